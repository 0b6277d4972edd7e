"""The kill test: a grid of short runs under SIGKILLs at random moments ends as if undisturbed.

    python -m tests.runs.kills [--kills 100] [--runs 6] [--seed 0]

Prints what happened as markdown, and leaves with 1 if a result was lost, is there twice, or differs
in a bit from that of an undisturbed execution.

Each session is `run_experiment` in a process group of its own, forked off this process, which has
everything imported: so a hundred of them take minutes. The moment of a kill is drawn in seconds of
processor time of the whole group, evenly from nothing to about the length of a run, so that a busy
machine changes nothing. The group is killed as a whole, parent and run, as by a loss of power.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from tests.checkpoints import write_decoder, write_encoder
from tests.runs.outcome import differences

from tunelab.data.reading import generate
from tunelab.recipe import Recipe, validate
from tunelab.records import RunDirectory
from tunelab.runs.environment import hardware, versions
from tunelab.runs.experiment import run_experiment
from tunelab.runs.process import Workers

SECONDS_BETWEEN_LOOKS = 0.05
CASES = (
    ("encoder", {"kind": "lora", "dropout": 0.1}),
    ("decoder", {"kind": "lora", "dropout": 0.1}),
    ("encoder", {"kind": "full"}),
    ("decoder", {"kind": "full"}),
    ("encoder", {"kind": "adalora", "options": {"init_r": 6, "target_r": 3}}),
    ("decoder", {"kind": "prefix", "virtual_tokens": 4}),
)
"""BERT drops out a tenth by itself, so that the random state matters for the encoders anyway."""


@dataclass
class Tally:
    """What happened."""

    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter[str])
    """What the group was doing when it was killed."""
    resumed_from: list[int] = field(default_factory=list[int])
    """The step of every checkpoint that was gone on from."""
    rounds: int = 0
    differences: list[str] = field(default_factory=list[str])


def grid(folder: Path, runs: int) -> Recipe:
    """Short runs of small models, encoders and decoders by turns, and their files."""
    import json

    folder.mkdir()
    for part, count in (("train", 60), ("test", 8)):
        (folder / f"{part}.json").write_text(json.dumps(generate(part, questions=count)))  # pyright: ignore[reportArgumentType]
    write_encoder(folder / "encoder")
    write_decoder(folder / "decoder")
    models = {
        "encoder": {"path": str(folder / "encoder"), "max_length": 160, "stride": 40},
        "decoder": {"path": str(folder / "decoder"), "max_length": 1500},
    }
    cases = [{"model": models[model], "tuning": tuning} for model, tuning in CASES[:runs]]
    content: dict[str, Any] = {
        "name": "kills",
        "task": {
            "version": "2.0",
            "train": str(folder / "train.json"),
            "test": str(folder / "test.json"),
            "train_limit": 8,
            "validation": 0.1,
        },
        "training": {"epochs": 5, "batch_size": 2, "learning_rate": 1.0e-3, "checkpoint_steps": 2},
        "evaluation": {"max_new_tokens": 4},
        "grid": {"cases": cases},
    }
    return validate(content, source="the kill test")


def start(recipe: Recipe, out: Path, log: Path) -> int:
    """A session in a process group of its own; returns the group's number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, sys.stderr.fileno())
        os.dup2(descriptor, sys.stdout.fileno())
        manifests = run_experiment(recipe, out, workers=Workers("fork"))
        code = int(any(manifest.status != "ok" for manifest in manifests))
    finally:
        os._exit(code)


def seconds_of(group: int) -> float:
    """Processor seconds that a session took so far."""
    try:
        leader = psutil.Process(group)
        members = [leader, *leader.children(recursive=True)]
        times = [member.cpu_times() for member in members]
    except psutil.Error:
        return 0.0  # one of them ended while it was looked at
    return sum(each.user + each.system for each in times)


def ended(group: int) -> int | None:
    """The exit code of a session; None while it goes on."""
    pid, status = os.waitpid(group, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def session(recipe: Recipe, out: Path, log: Path, *, until: float) -> int | None:
    """One session, killed after `until` processor seconds; its exit code, None if it was killed."""
    group = start(recipe, out, log)
    while (code := ended(group)) is None:
        if seconds_of(group) >= until:
            os.killpg(group, signal.SIGKILL)
            os.waitpid(group, 0)
            return None
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return code


def moment(out: Path) -> str:
    """What the run that goes on is doing, told from its files."""
    for path in sorted((out / "runs").glob("*")) if (out / "runs").exists() else []:
        run = RunDirectory(path)
        if not run.manifest.exists():
            return "starting a run"
        if run.read_manifest().status == "ok":
            continue
        total = 20  # 8 questions, 2 a step, 5 epochs
        done = len(run.read_steps())
        if done == 0:
            return "loading, or in the first step"
        if done < total:
            return "training or validating"
        return "after the last step: saving, proving, predicting, scoring"
    return "between runs"


def kill_test(folder: Path, *, kills: int, runs: int, seed: int) -> Tally:
    """Run the grid undisturbed once, then under kills until there were enough of them."""
    recipe = grid(folder / "files", runs)
    log = folder / "log.txt"
    before = os.times()
    if session(recipe, folder / "whole", log, until=float("inf")) != 0:
        raise SystemExit(f"the undisturbed execution failed:\n{log.read_text()}")
    after = os.times()
    spent = after.children_user + after.children_system
    whole = spent - before.children_user - before.children_system
    longest = 1.2 * whole / runs
    moments, tally = random.Random(seed), Tally()
    while tally.kills < kills:
        out, log = folder / f"round-{tally.rounds}", folder / f"log-{tally.rounds}.txt"
        tally.rounds += 1
        while True:
            spare = tally.kills == kills
            until = float("inf") if spare else moments.uniform(0, longest)
            code = session(recipe, out, log, until=until)
            if code is not None:
                break
            tally.kills += 1
            print(f"{tally.kills} of {kills} kills", file=sys.stderr, flush=True)
            tally.moments[moment(out)] += 1
        said = log.read_text()
        tally.resumed_from += [int(n) for n in re.findall(r"goes on from step (\d+)", said)]
        tally.differences += [f"exit code {code}\n{said}"] if code else []
        tally.differences += differences(folder / "whole", out)
    return tally


def report(tally: Tally, runs: int) -> str:
    """The tally as markdown."""
    steps = sorted(tally.resumed_from)
    above = [step for step in steps if step > 0]
    kinds = ", ".join(f"{model} {tuning['kind']}" for model, tuning in CASES[:runs])
    lines = [
        f"- {runs} runs of small random models: {kinds}",
        f"- {tally.kills} SIGKILLs of the whole process group, over {tally.rounds} executions of "
        "the grid:",
        *(f"  - {count} while {name}" for name, count in tally.moments.most_common()),
        f"- {len(above)} times a run went on from a checkpoint above step 0"
        + (f" (steps {above[0]} to {above[-1]} of 20)" if above else ""),
        f"- lost, duplicated or different results: {len(tally.differences)}",
    ]
    return "\n".join([*lines, *(f"  - {each}" for each in tally.differences)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--runs", type=int, default=len(CASES))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        tally = kill_test(Path(folder), kills=chosen.kills, runs=chosen.runs, seed=chosen.seed)
    print("# The kill test\n\n`make stress` prints this.\n")
    print(report(tally, chosen.runs))
    print(f"\nHardware: {', '.join(hardware().values())}")
    print(f"\nVersions: {', '.join(f'{name} {found}' for name, found in versions().items())}")
    sys.exit(bool(tally.differences))


if __name__ == "__main__":
    main()
