"""What `tunelab plan` says of the recipes of the published systems, on the hardware that they name.

    python -m benchmarks.plans [NAME ...] [--to docs/results/systems]

writes plan-NAME.md, and the line of its totals into the head of the recipe: neither is typed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tunelab.records import write_atomically

DEVICES = {
    "lit-llama-qa": "a100-80",
    "llama-squad": "a100-80",
    "expert": "rtx-4090",
    "distilbert-squad": "rtx-3080-ti-laptop",
    "llama-3.2-lab": "t4",
}
"""System -> a device like the one that it was made on, as far as it says."""
_FITS = (0, 3)
"""Exit codes: all runs fit; some do not, and the table says which."""
_TOTALS = re.compile(r"^\d[\d,]* runs?: .*$", re.MULTILINE)
_PLAN = re.compile(r"^# Plan.*$", re.MULTILINE)


def plan_of(name: str) -> str:
    """What the command prints.

    Raises:
        RuntimeError: it could not plan.
    """
    command = ["plan", str(recipe_of(name)), "--device", DEVICES[name], "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "tunelab", *command], capture_output=True, text=True, check=False
    )
    if done.returncode not in _FITS:
        raise RuntimeError(done.stderr)
    return f"# Plan: {name}\n\nMade by `tunelab {' '.join(command)}`.\n\n{done.stdout.strip()}\n"


def recipe_of(name: str) -> Path:
    """Its whole recipe."""
    return Path("recipes") / f"{name}.yaml"


def told(recipe: str, name: str, page: str) -> str:
    """The recipe with the totals of its plan in its head."""
    totals = _TOTALS.search(page)
    if totals is None:
        raise RuntimeError(f"the plan of {name} has no totals")
    line = f"# Plan ({DEVICES[name]}; docs/results/systems/plan-{name}.md): {totals[0]}"
    return _PLAN.sub(lambda _: line, recipe, count=1)


def main() -> None:
    """Plan the named systems, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DEVICES))
    parser.add_argument("--to", type=Path, default=Path("docs/results/systems"))
    asked = parser.parse_args()
    for name in asked.names or DEVICES:
        page = plan_of(name)
        recipe = recipe_of(name)
        asked.to.mkdir(parents=True, exist_ok=True)
        write_atomically(asked.to / f"plan-{name}.md", page)
        write_atomically(recipe, told(recipe.read_text(), name, page))
        print(f"Written: {asked.to}/plan-{name}.md", flush=True)


if __name__ == "__main__":
    main()
