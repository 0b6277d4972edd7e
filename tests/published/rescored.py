"""The computed blocks of docs/systems that need real data: published answers, scored anew."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.published.blocks import bullets, ruled
from tests.published.shares import Share

from tunelab.data.squad import read_squad
from tunelab.metrics import score_squad
from tunelab.metrics.pubmedqa import LABELS, score_pubmedqa
from tunelab.statistics import mean_interval

_SYSTEMS = ("v2.0-nlnet-single", "v2.0-bidaf-sa-elmo-single")


def paragraphs_count(data: Path) -> str:
    """How much wider an interval is when questions on one paragraph count together."""
    examples = read_squad(data / "squad" / "dev-v2.0.json.gz")
    gold = {each.id: each.gold for each in examples}
    lines: list[str] = []
    for name in _SYSTEMS:
        path = data / "squad" / "predictions" / f"{name}.json.gz"
        answers = json.loads(gzip.decompress(path.read_bytes()))
        exact = 100 * score_squad(gold, answers, version="2.0").exact
        widths = [
            (found.high or 0) - (found.low or 0)
            for found in (
                mean_interval(exact, [each.group for each in examples]),
                mean_interval(exact, [each.id for each in examples]),
            )
        ]
        lines.append(
            f"{name}: {exact.mean():.2f} EM, ± {widths[0] / 2:.2f} by paragraph, "
            f"± {widths[1] / 2:.2f} by question; {widths[0] / widths[1]:.2f} times as wide"
        )
    return bullets(lines)


def expert_rescored(data: Path) -> str:
    """EXPERT's 500 published answers under PubMedQA's official metric."""
    gold = _read(data / "pubmedqa" / "test_ground_truth.json")
    given = _read(data / "expert" / "pubmedqa_preds.json")
    ids = sorted(gold)
    score = score_pubmedqa([gold[each] for each in ids], [given[each] for each in ids])
    figures = {"accuracy": score.right, "macro-F1": score.macro_f1}
    figures |= {f"F1 of {label}": values for label, values in score.f1.items()}
    told = []
    for name, values in figures.items():
        found = mean_interval(100 * np.asarray(values), ids).within(0, 100)
        told.append(f"{name} {found.value:.2f} [{found.low:.1f}, {found.high:.1f}]")
    right, majority = (int(values.sum()) for values in (score.right, score.majority))
    told.append(f"always saying the commonest label: {Share(majority, len(ids)).told()}")
    told.append(f"right: {right} of {len(ids)}")
    cells = [
        [label, *(str(score.confusion[label][answer]) for answer in LABELS)] for label in LABELS
    ]
    return f"{bullets(told)}\n\n{ruled(['label, by answer', *LABELS], cells)}"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
