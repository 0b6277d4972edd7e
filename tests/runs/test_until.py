"""A study that adds seeds by itself: from the command line, with real runs of untrained models.

`silent` withholds every answer and `eager` gives one to every question, so that their scores are
far apart; `brief` is eager with shorter answers, so that it is hard to tell from it.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command import ONE_THREAD, tunelab

from tunelab.data.reading import generate
from tunelab.errors import RecordError, UsageError
from tunelab.evaluation.scores import squad_scores
from tunelab.recipe import Recipe, digest, dump, read_recipe
from tunelab.records import Cost, Manifest, Prediction, RunDirectory, Status, find_runs
from tunelab.records.looks import Looks, read_looks
from tunelab.report import write_report
from tunelab.report.markdown import text
from tunelab.report.study import asked_for
from tunelab.runs.until import UntilSeparable, read_budget

SILENT = {"evaluation": {"no_answer_threshold": -1.0e9}}
EAGER = {"evaluation": {"no_answer_threshold": 1.0e9}}
BRIEF = {"evaluation": {"no_answer_threshold": 1.0e9, "max_answer_tokens": 12}}


def write_recipe(folder: Path, encoder: Path, *cases: dict[str, Any]) -> Path:
    (folder / "train.json").write_text(json.dumps(generate("train", questions=30)))
    (folder / "test.json").write_text(json.dumps(generate("test", questions=60)))
    recipe = {
        "name": "until",
        "task": {
            "version": "2.0",
            "train": "./train.json",
            "test": "./test.json",
            "validation": 0,
        },
        "model": {"path": str(encoder), "max_length": 160, "stride": 40},
        "tuning": {"kind": "none"},
        "grid": {"cases": list(cases)},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def looks_of(out: Path) -> Looks:
    found = read_looks(out)
    assert found is not None
    return found


def test_seeds_are_added_until_the_methods_are_told_apart(
    small_encoder: Path, tmp_path: Path
) -> None:
    recipe, out = write_recipe(tmp_path, small_encoder, SILENT, EAGER), tmp_path / "out"
    asked = ("run", recipe, "--out", out, "--quiet", "--until-separable", "--budget")

    spent = tunelab(*asked, "1s")
    assert spent.returncode == 0, spent.stderr
    assert 1 <= len(find_runs(out)) <= 2
    assert looks_of(out).stopped.endswith("of 1.0 s are spent")

    done = tunelab(*asked, "1h")
    assert done.returncode == 0, done.stderr
    looks = looks_of(out)
    assert looks.stopped == "no pair is open any more"
    assert len(looks.looks) == 1
    (added,) = set(looks.added.values())
    assert added == (1, 2)  # the recipe asks for seed 0
    document = json.loads((out / "comparisons.json").read_text())
    (f1,) = [each for each in document["comparisons"] if each["metric"] == "f1"]
    assert f1["outcome"] in ("better", "worse")
    assert (f1["look"], f1["seeds"]) == (1, [3, 3])
    assert f1["p_value"] < f1["level"] < 0.05
    assert "shown at look 1 of at most 8" in f1["sentence"]
    table = (out / "table.md").read_text()
    assert "Looks: 1 of at most 8 were taken" in table
    assert "No seed was added any more: no pair is open any more." in table


@pytest.mark.slow
def test_an_open_pair_gets_seeds_until_all_looks_are_taken_and_may_be_interrupted(
    small_encoder: Path, tmp_path: Path
) -> None:
    recipe, out = write_recipe(tmp_path, small_encoder, SILENT, EAGER, BRIEF), tmp_path / "out"
    asked = ["run", recipe, "--out", out, "--quiet", "--until-separable", "--budget", "1h"]
    process = subprocess.Popen([sys.executable, "-m", "tunelab", *map(str, asked)], env=ONE_THREAD)
    began = time.monotonic()
    while not (out / "looks.json").exists() or not looks_of(out).looks:
        assert process.poll() is None and time.monotonic() - began < 300
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) in (130, 0)

    done = tunelab(*asked)
    assert done.returncode == 0, done.stderr
    looks = looks_of(out)
    assert looks.stopped in (
        "all looks that were planned are taken",
        "no pair is open any more",
    )
    seeds = {label: len(counted) for label, counted in looks.looks[-1].seeds.items()}
    silent = next(label for label in seeds if label.endswith("=-1000000000.0"))
    assert seeds[silent] == 3  # told from both at once
    assert max(seeds.values()) == 2 + len(looks.looks)
    assert len(looks.looks) > 1

    before = {name: (out / name).read_bytes() for name in ("comparisons.json", "looks.json")}
    assert tunelab("report", out).returncode == 0
    assert {name: (out / name).read_bytes() for name in before} == before
    plain = tunelab("run", recipe, "--out", out, "--quiet")  # keeps what was added
    assert plain.returncode == 0
    assert {name: (out / name).read_bytes() for name in before} == before


class Made:
    """A study whose runs are made up: with `gap` of the questions that only `full` gets right."""

    def __init__(self, folder: Path, *, gap: float, seeds: tuple[int, ...] = (0,)) -> None:
        path = folder / "recipe.yaml"
        tunings = [{"kind": "full"}, {"kind": "lora"}, {"kind": "head"}]
        task = {"version": "1.1", "train": "reading", "test": "reading"}
        grid = {"tuning": tunings, "seed": list(seeds)}
        path.write_text(yaml.safe_dump({"task": task, "grid": grid}))
        self.recipe, self.out, self.gap = read_recipe(path), folder / "out", gap
        self.out.mkdir()
        (self.out / "recipe.yaml").write_text(dump(self.recipe))
        for (label, _), run in asked_for(self.recipe, None).items():
            self.do(label, run)

    def do(self, label: str, run: Recipe, status: Status = "ok") -> None:
        rng = random.Random(f"{label} {run.seed}")
        share = 0.5 + (self.gap if label == "full" else 0)
        right = [rng.random() < share for _ in range(200)]
        rows = [
            Prediction(
                id=f"q{n:03}",
                group=f"p{n // 4}",
                article=f"a{n // 20}",
                output="right" if correct else "wrong",
                answer="right" if correct else "wrong",
                gold=("right",),
            )
            for n, correct in enumerate(right)
        ]
        place = RunDirectory(self.out / "runs" / f"{label}-seed{run.seed}-{digest(run)}")
        place.path.mkdir(parents=True, exist_ok=True)
        place.recipe.write_text(dump(run))
        place.write_predictions(rows)
        place.write_scores(squad_scores(rows, version="1.1"))
        cost = Cost(
            seconds_training=1000.0,
            seconds_evaluation=0.0,
            peak_memory_bytes=None,
            trained_parameters=1,
            total_parameters=2,
            saved_bytes=3,
            tokens_per_second=None,
        )
        place.write_manifest(Manifest(label=label, digest=digest(run), status=status, cost=cost))

    def until(self, budget: float = 1e6) -> UntilSeparable:
        return UntilSeparable(self.recipe, self.out, budget=budget)

    def finish(self, until: UntilSeparable) -> list[set[tuple[str, int]]]:
        """Do all that is asked for; the rounds."""
        rounds: list[set[tuple[str, int]]] = []
        while more := until.more():
            rounds.append({(label, run.seed) for label, run in more})
            for label, run in more:
                self.do(label, run)
        return rounds


def test_only_methods_of_open_pairs_get_further_seeds(tmp_path: Path) -> None:
    study = Made(tmp_path, gap=0.3)
    rounds = study.finish(study.until())
    everyone = {"full", "lora-r8", "head"}
    assert rounds[:2] == [{(label, seed) for label in everyone} for seed in (1, 2)]
    assert rounds[2:] == [{("lora-r8", seed), ("head", seed)} for seed in range(3, 10)]
    looks = looks_of(study.out)
    assert len(looks.looks) == len(looks.times) == 8
    assert looks.stopped == "all looks that were planned are taken"
    assert looks.looks[-1].seeds["full"] == (0, 1, 2)

    document = write_report(study.out).document()
    found = {(c["first"], c["second"]): c for c in document["comparisons"] if c["metric"] == "f1"}
    assert found["full", "lora-r8"]["look"] == found["full", "head"]["look"] == 1
    assert found["full", "head"]["seeds"] == [3, 3]
    assert found["lora-r8", "head"]["seeds"] == [10, 10]
    assert found["lora-r8", "head"]["sentence"].count("open after look 8 of at most 8") == 1
    assert found["full", "head"]["p_value_holm"] is None  # its level is corrected instead
    assert found["full", "head"]["level"] < 0.05 / 2


def test_a_study_goes_on_where_it_was_left(tmp_path: Path) -> None:
    study = Made(tmp_path, gap=0.0, seeds=(0, 1, 2))
    before = study.until().more()  # a look, three runs to do, and then nothing: it was killed
    label, run = before[0]
    study.do(label, run)
    after = study.until()
    assert [(name, run.seed) for name, run in after.more()] == [
        (name, run.seed) for name, run in before[1:]
    ]
    assert len(looks_of(study.out).looks) == 1  # none is taken of half a round
    for name, run in before[1:]:
        study.do(name, run)
    after.more()
    assert [set(look.seeds["full"]) for look in looks_of(study.out).looks] == [
        {0, 1, 2},
        {0, 1, 2, 3},
    ]


def test_a_round_that_the_budget_does_not_hold_is_not_begun(tmp_path: Path) -> None:
    study = Made(tmp_path, gap=0.0, seeds=(0, 1, 2))  # 9 runs of 1,000 s; a round takes 3,000 s
    until = study.until(budget=3 * 3600)
    assert until.has_time
    assert until.more() == []
    looks = looks_of(study.out)
    assert looks.stopped == "2 h 30 min of 3 h 00 min are spent; a round takes 50 min 00 s"
    assert len(looks.looks) == 1  # what is there was looked at
    assert len(study.until(budget=3.5 * 3600).more()) == 3
    assert looks_of(study.out).stopped == ""
    late = study.until(budget=2 * 3600)
    assert not late.has_time
    assert late.more() == []
    assert looks_of(study.out).stopped == "2 h 30 min of 2 h 00 min are spent"


def test_a_report_before_the_first_look_is_held_against_its_level(tmp_path: Path) -> None:
    study = Made(tmp_path, gap=0.3)
    assert study.until(budget=1.0).more() == []
    assert looks_of(study.out).looks == ()
    report = write_report(study.out)
    assert "No look was taken yet" in text(report)
    first = report.comparisons[0].verdict
    assert first.decision is not None
    assert first.decision.level < 0.021


def test_methods_with_a_run_that_failed_get_no_further_seeds(tmp_path: Path) -> None:
    study = Made(tmp_path, gap=0.0, seeds=(0, 1, 2))
    runs = asked_for(study.recipe, None)
    for label in ("head", "lora-r8"):
        study.do(label, runs[label, 2], status="diverged")
    assert study.until().more() == []
    assert looks_of(study.out).stopped == "every open pair has a run that did not finish"


def test_a_report_tells_what_a_look_counted_and_is_gone(tmp_path: Path) -> None:
    study = Made(tmp_path, gap=0.3, seeds=(0, 1, 2))
    study.until().more()
    runs = asked_for(study.recipe, None)
    study.do("head", runs["head", 1], status="failed")
    table = text(write_report(study.out))
    assert "A look counted head seed 1, which is not finished here any more" in table
    (study.out / "looks.json").write_text('{"schema_version": 99}')
    with pytest.raises(RecordError, match="schema version 99"):
        write_report(study.out)


def test_a_budget_is_read_or_refused() -> None:
    assert read_budget(False, None) is None
    assert read_budget(True, "2h") == 7200
    assert read_budget(True, "1h30m") == read_budget(True, "90m") == 5400
    assert read_budget(True, "45s") == 45
    for wrong in ("", "2", "2d", "h", "-1h", "0s"):
        with pytest.raises(UsageError, match="no budget"):
            read_budget(True, wrong)
    for unpaired in ((True, None), (False, "2h")):
        with pytest.raises(UsageError, match="belong together"):
            read_budget(*unpaired)


def test_wrong_usage_starts_nothing(small_encoder: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path, small_encoder, EAGER), tmp_path / "out"
    alone = tunelab("run", recipe, "--out", out, "--until-separable", "--budget", "1h")
    assert alone.returncode == 2
    assert "one method only" in alone.stderr
    assert not out.exists()
