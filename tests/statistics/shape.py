"""What real F1 scores look like, beside the simulated ones.

    python -m tests.statistics.shape --data FOLDER

FOLDER holds squad/ with predictions/, as `$TUNELAB_DATA` does: published answers of six systems.
Alike: the intraclass correlation of scores, or of differences, of questions on one paragraph.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from tests.statistics.simulation import (
    TASTE,
    TASTE_OF_PARAGRAPH,
    Design,
    part,
    questions,
    scores_of,
)

from tunelab.data import read_squad
from tunelab.evaluation.prediction_file import read_predictions
from tunelab.metrics import score_squad
from tunelab.metrics.squad import Floats, SquadVersion
from tunelab.statistics import Clusters, Sample
from tunelab.statistics.variance import intraclass_correlation

SYSTEMS: dict[SquadVersion, tuple[str, ...]] = {
    "1.1": (
        "electra-small",
        "logistic-regression",
        "match-lstm-boundary-ensemble",
        "r-net-plus-ensemble",
    ),
    "2.0": ("bidaf-sa-elmo-single", "nlnet-single"),
}


def real(folder: Path, version: SquadVersion) -> tuple[dict[str, Floats], Clusters]:
    """The F1 of every question under every system, in percent, and the questions' paragraphs."""
    examples = {e.id: e for e in read_squad(folder / f"dev-v{version}.json.gz")}
    gold = {key: example.gold for key, example in examples.items()}
    scores: dict[str, Floats] = {}
    for name in SYSTEMS[version]:
        file = folder / "predictions" / f"v{version}-{name}.json.gz"
        scored = score_squad(gold, read_predictions(file).answers, version=version)
        known = dict(zip(scored.ids, 100 * scored.f1, strict=True))
        scores[name] = np.array([known.get(key, 0.0) for key in gold])
    return scores, Clusters.of([example.group for example in examples.values()])


def simulated() -> tuple[dict[str, Floats], Clusters]:
    """Two seeds of one method and one of another."""
    rng, design = np.random.default_rng(0), Design(1204, 0.0, seeds=2)
    clusters, shared = questions(design, rng)
    first, other = (
        scores_of(shared + part(clusters, TASTE, TASTE_OF_PARAGRAPH, rng), clusters, design, rng)
        for _ in range(2)
    )
    rows = {"simulated, seed 0": first[0], "seed 1": first[1], "another method": other[0]}
    return {name: row.astype(np.float64) for name, row in rows.items()}, clusters


def rows(scores: dict[str, Floats], clusters: Clusters) -> Iterator[str]:
    """Lines of markdown: every set of scores, and every two of them."""
    for name, x in scores.items():
        yield (
            f"| {name} | {x.mean():.1f} | {100 * (x == 0).mean():.0f} % | "
            f"{100 * (x == 100).mean():.0f} % | {x.std():.1f} | {_alike(x, clusters):.3f} | |"
        )
    for (a, x), (b, y) in combinations(scores.items(), 2):
        correlation = np.corrcoef(x, y)[0, 1]
        yield (
            f"| {a} - {b} | {(x - y).mean():.1f} | | | {(x - y).std():.1f} | "
            f"{_alike(x - y, clusters):.3f} | {correlation:.2f} |"
        )


def _alike(scores: Floats, clusters: Clusters) -> float:
    sample = Sample.of(scores, clusters)
    return intraclass_correlation(sample.mean, sample.influence, clusters)


def main() -> None:
    """Print the table."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    parser = argparse.ArgumentParser(prog="python -m tests.statistics.shape")
    parser.add_argument("--data", type=Path, default=os.environ.get("TUNELAB_DATA", beside))
    folder = parser.parse_args().data / "squad"
    print("| scores | mean | at 0 | at 100 | deviation | alike in a paragraph | correlation |")
    print("| --- |" + " ---: |" * 6)
    for version in SYSTEMS:
        for line in rows(*real(folder, version)):
            print(line, flush=True)
    for line in rows(*simulated()):
        print(line)


if __name__ == "__main__":
    main()
