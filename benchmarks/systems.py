"""`make recipes`: the small recipes of the published systems through every stage, a page of each.

    python -m benchmarks.systems [NAME ...] [--out out/recipes] [--to docs/results/systems]

$TUNELAB_DATA is the folder of the official files. A stage that fails ends it. What is finished in
the output directory is kept, so that the same command goes on after an interruption; the seconds of
a stage are those of all its goes.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tunelab.records import write_atomically

PORT = 8377
"""Where recipes/small/llama-squad.yaml looks for its endpoint."""
_PATIENCE = 300.0
"""Seconds that a server may take to listen."""


@dataclass(frozen=True, slots=True)
class System:
    """What is done with a small recipe."""

    commands: tuple[str, ...]
    """Of tunelab; {recipe} and {out} stand for its files, and a * for one run's directory."""
    served: str = ""
    """A model that the recipe asks behind an endpoint."""


_USUAL = ("doctor {recipe}", "run {recipe} --out {out}")

SYSTEMS = {
    "lit-llama-qa": System((*_USUAL, "export {out}/runs/LoRA_r32-* --to {out}/merged")),
    "llama-squad": System((*_USUAL, "report {out} --answers"), served="tiny"),
    "expert": System(
        (
            *_USUAL,
            "score pubmedqa --data $TUNELAB_DATA/pubmedqa/ori_pqal.json "
            "--predictions $TUNELAB_DATA/expert/pubmedqa_preds.json",
        )
    ),
    "distilbert-squad": System(
        (*_USUAL, "export {out}/runs/lora-r8-* --format adapter --to {out}/adapter")
    ),
    "llama-3.2-lab": System((*_USUAL, "latency tiny --precision f32,bf16 --batch 1,8")),
}


def run_system(name: str, system: System, out: Path) -> str:
    """Run all stages; returns the page.

    Raises:
        subprocess.CalledProcessError: a stage failed.
    """
    recipe = _recipe(name)
    kept = out / "stages.json"
    seconds: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}
    with _served(system.served) if system.served else nullcontext():
        for template in system.commands:
            command = template.format(recipe=recipe, out=out)
            print(f"== tunelab {command}", flush=True)
            began = time.perf_counter()
            typed = words(command)
            if "--to" in typed:  # of an earlier go; `export` replaces no folder
                shutil.rmtree(typed[typed.index("--to") + 1], ignore_errors=True)
            _tunelab(typed)
            seconds[command] = seconds.get(command, 0.0) + time.perf_counter() - began
            write_atomically(kept, json.dumps(seconds, indent=1))
    return page_of(name, seconds, (out / "table.md").read_text())


def _recipe(name: str) -> str:
    return f"recipes/small/{name}.yaml"


def _tunelab(words: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "tunelab", *words], check=True)


def words(command: str) -> list[str]:
    """A command's words, with variables and patterns replaced as a shell would."""
    typed: list[str] = []
    for word in shlex.split(os.path.expandvars(command)):
        path = Path(word)
        typed += map(str, sorted(path.parent.glob(path.name))) if "*" in word else [word]
    return typed


@contextmanager
def _served(model: str) -> Iterator[None]:
    """`tunelab serve` while something asks it."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tunelab", "serve", model, "--port", str(PORT)],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(server)
        yield
    finally:
        server.terminate()
        server.wait()


def _wait_for(server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.5)
    raise RuntimeError(f"`tunelab serve` does not listen on port {PORT}")


def page_of(name: str, seconds: dict[str, float], table: str) -> str:
    """The stages with their seconds, then the run's own table, without its picture."""
    title, _, rest = table.partition("\n")
    body = "\n".join(line for line in rest.splitlines() if not line.startswith("!["))
    recipe = _recipe(name)
    lines = [
        title,
        "",
        f"Made by `make recipes` from [{recipe}](../../../{recipe}) in "
        f"{sum(seconds.values()) / 60:.1f} minutes; [the system](../../systems/{name}.md).",
        "",
        "| stage | s |",
        "| --- | ---: |",
        *(f"| `tunelab {command}` | {taken:.0f} |" for command, taken in seconds.items()),
        body,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the named systems, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SYSTEMS))
    parser.add_argument("--out", type=Path, default=Path("out/recipes"))
    parser.add_argument("--to", type=Path, default=Path("docs/results/systems"))
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - SYSTEMS.keys())
    if unknown:
        parser.error(f"there is no system {unknown[0]}; there are {', '.join(SYSTEMS)}")
    for name in asked.names or SYSTEMS:
        page = run_system(name, SYSTEMS[name], asked.out / name)
        asked.to.mkdir(parents=True, exist_ok=True)
        write_atomically(asked.to / f"{name}.md", page)
        print(f"Written: {asked.to / name}.md", flush=True)


if __name__ == "__main__":
    main()
