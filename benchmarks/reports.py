"""Seconds and memory of `tunelab report` on a large study, from files to the last line.

    python -m benchmarks.reports [--runs 40] [--seeds 4] [--items 11873]
    python -m benchmarks.reports --runs 1000 --seeds 20 --items 10000

The study is made up from a seed: items in paragraphs and articles of the sizes of SQuAD 2.0 dev,
answers that are right, partly right or wrong as those of a middling model are, and 20 candidates
for each, as encoders store them. Of a study of more than 40 runs the first 40 are made up and the
others are links to their predictions: a report reads every run's file, and the disk holds 40.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.goals import Outcome, at_most
from tunelab.evaluation.scores import squad_scores
from tunelab.recipe import digest, dump, expand, labels, read_recipe
from tunelab.records import Cost, Manifest, Prediction, RunDirectory, Span, Step, append_line

SEEDS = 4
DISTINCT = 40
ASKED_SECONDS, ASKED_GIB = 30, 2
CANDIDATES = 20
_GLANCE_SECONDS = 0.02
_WORDS = [f"{a}{b}{c}" for a in "bdkmnprst" for b in "aeiou" for c in ("", "n", "r", "l", "st")]


@dataclass(frozen=True, slots=True)
class Item:
    """A question of the made-up set."""

    id: str
    group: str
    article: str
    gold: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def write_study(out: Path, *, runs: int, items: int, seeds: int = SEEDS) -> None:
    """Write the directory of a study with so many finished runs, `seeds` of each method."""
    rng = random.Random(0)
    questions = list(_questions(items, rng))
    ranks = [2 ** (n % 8) + n // 8 for n in range(-(-runs // seeds))]
    recipe = {
        "name": "a large study",
        "task": {"version": "2.0", "test": "nowhere.json"},
        "grid": {
            "tuning": [{"kind": "lora", "rank": rank} for rank in ranks],
            "seed": list(range(seeds)),
        },
    }
    out.mkdir(parents=True)
    (out / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    asked = read_recipe(out / "recipe.yaml")
    (out / "recipe.yaml").write_text(dump(asked))
    resolved = expand(asked)
    written: list[RunDirectory] = []
    for run, label in list(zip(resolved, labels(resolved), strict=True))[:runs]:
        place = RunDirectory(out / "runs" / f"{label}-seed{run.seed}-{digest(run)}")
        place.path.mkdir(parents=True)
        place.recipe.write_text(yaml.safe_dump(run.model_dump(mode="json")))
        if len(written) < DISTINCT:
            _write_answers(place, questions, rng)
        else:
            like = written[len(written) % DISTINCT]
            place.predictions.hardlink_to(like.predictions)
            place.scores.hardlink_to(like.scores)
        written.append(place)
        for number in range(1, 101):
            append_line(place.steps, _step(number))
        place.write_manifest(
            Manifest(label=label, digest=digest(run), status="ok", cost=_cost(rng), steps=100)
        )


def _write_answers(place: RunDirectory, questions: Sequence[Item], rng: random.Random) -> None:
    rows = [_answered(item, rng) for item in questions]
    candidates = json.dumps([_candidate(rng) for _ in range(CANDIDATES)])
    with place.predictions.open("w") as file:
        file.writelines(
            row.model_dump_json().replace('"n_best":[]', f'"n_best":{candidates}') + "\n"
            for row in rows
        )
    place.write_scores(squad_scores(rows, version="2.0"))


def measure(command: Sequence[str]) -> Used:
    """Run a command to its end.

    Peak memory is the kernel's high-water mark, looked at while the command runs (Linux): that of
    `wait4` is not less than what this process had when it started the other.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while True:
        peak = max(peak, _high_water(process.pid))
        time.sleep(_GLANCE_SECONDS)
        finished, status, usage = os.wait4(process.pid, os.WNOHANG)
        if finished:
            break
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return Used(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, peak)


def _high_water(process: int) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return 0  # it has just ended


def report(runs: int, items: int, seeds: int = SEEDS) -> Outcome:
    """Report a study of so many runs; the time that is asked for is that of 40."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "study"
        write_study(out, runs=runs, items=items, seeds=seeds)
        used = measure([sys.executable, "-m", "tunelab", "report", str(out)])
        page = (out / "report.html").stat().st_size
    label = f"tunelab report, {runs:,} runs of {items:,} items"
    asked = f"< {ASKED_SECONDS}" if runs <= DISTINCT else "-"
    lines = [
        "| command | s | CPU s | asked s | peak memory | asked | report.html |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| {label} | {used.seconds:.1f} | {used.cpu_seconds:.1f} | {asked} | "
        f"{used.peak_bytes / 2**20:,.0f} MiB | < {ASKED_GIB} GiB | {page / 2**20:.1f} MiB |",
    ]
    goals = [at_most(f"{label}: peak memory", [used.peak_bytes / 2**30], ASKED_GIB, "GiB")]
    if runs <= DISTINCT:
        goals.append(at_most(label, [used.seconds], ASKED_SECONDS, "s"))
    return Outcome("\n".join(lines), True, goals)


def _questions(count: int, rng: random.Random) -> Iterator[Item]:
    paragraph = left = 0
    for number in range(count):
        if left == 0:
            paragraph, left = paragraph + 1, rng.randint(6, 14)
        left -= 1
        gold = tuple(_text(rng) for _ in range(rng.randint(1, 4))) if rng.random() < 0.5 else ()
        group = f"{paragraph:064x}"
        yield Item(f"{number:024x}", group, f"An_article_{paragraph // 35}", gold)


def _answered(item: Item, rng: random.Random) -> Prediction:
    chance = rng.random()
    if chance < 0.55:
        answer = item.gold[0] if item.gold else ""
    elif chance < 0.75 and item.gold:
        answer = f"{item.gold[-1]} {_text(rng)}"
    else:
        answer = _text(rng)
    score = rng.gauss(0, 3)
    return Prediction(
        id=item.id,
        group=item.group,
        article=item.article,
        output=answer or _text(rng),
        answer=answer,
        gold=item.gold,
        span_score=score,
        null_score=score + (1 if answer == "" else -1),
    )


def _text(rng: random.Random) -> str:
    return " ".join(rng.choices(_WORDS, k=rng.choice((1, 1, 2, 2, 3, 4, 6))))


def _candidate(rng: random.Random) -> dict[str, object]:
    return Span(text=_text(rng), start=rng.randint(0, 900), score=rng.gauss(0, 3)).model_dump()


def _step(number: int) -> Step:
    return Step(
        step=number,
        examples=16 * number,
        tokens=3000,
        target_tokens=32,
        loss=5 / number,
        learning_rate=1e-4,
        grad_norm=1.0,
        seconds=0.5,
        peak_memory_bytes=2**30,
    )


def _cost(rng: random.Random) -> Cost:
    return Cost(
        seconds_training=rng.uniform(50, 100),
        seconds_evaluation=10,
        peak_memory_bytes=2**30,
        trained_parameters=300_000,
        total_parameters=22_000_000,
        saved_bytes=2**20,
        tokens_per_second=6000,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reports")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--items", type=int, default=11_873)
    asked = parser.parse_args()
    print(report(asked.runs, asked.items, asked.seeds).table)


if __name__ == "__main__":
    main()
