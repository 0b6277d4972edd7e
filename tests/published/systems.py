"""Writes the computed parts of docs/systems/*.md: `python -m tests.published.systems`.

A page is prose with blocks between `<!-- computed: NAME -->` and `<!-- end -->`. A block is made
from the fixtures beside this file; two of them also from the data sets in $TUNELAB_DATA, and where
those are not there they stay as they are. `tests/docs/test_systems.py` holds the pages to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from tests.published.blocks import (
    distilbert_parameters,
    distilbert_rows,
    expert_mmlu,
    expert_pubmedqa,
    lab_rows,
    lit_llama_differences,
    lit_llama_rows,
    llama_squad_differences,
    llama_squad_rows,
    mistakes,
)
from tests.published.rescored import expert_rescored, paragraphs_count

PAGES = Path(__file__).parents[2] / "docs" / "systems"
_BLOCK = re.compile(r"(?<=<!-- computed: )([a-z0-9-]+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)

FROM_FIXTURES: dict[str, Callable[[], str]] = {
    "lit-llama-rows": lit_llama_rows,
    "lit-llama-differences": lit_llama_differences,
    "llama-squad-rows": llama_squad_rows,
    "llama-squad-differences": llama_squad_differences,
    "expert-pubmedqa": expert_pubmedqa,
    "expert-mmlu": expert_mmlu,
    "distilbert-rows": distilbert_rows,
    "distilbert-parameters": distilbert_parameters,
    "lab-rows": lab_rows,
    "llama-squad-mistakes": lambda: mistakes("LLaMA SQuAD"),
    "expert-mistakes": lambda: mistakes("EXPERT"),
    "lab-mistakes": lambda: mistakes("Llama-3.2-1B lab"),
}
FROM_DATA: dict[str, Callable[[Path], str]] = {
    "paragraphs-count": paragraphs_count,
    "expert-rescored": expert_rescored,
}


def renewed(page: str, data: Path | None) -> str:
    """A page with its blocks computed anew; those that need data only where there are some."""

    def block(found: re.Match[str]) -> str:
        name, line, old = found.groups()
        if name in FROM_FIXTURES:
            return f"{name}{line}{FROM_FIXTURES[name]()}\n"
        return f"{name}{line}{old if data is None else FROM_DATA[name](data) + chr(10)}"

    return _BLOCK.sub(block, page)


def main() -> None:
    """Write all pages anew."""
    folder = os.environ.get("TUNELAB_DATA")
    for path in sorted(PAGES.glob("*.md")):
        path.write_text(renewed(path.read_text(), Path(folder) if folder else None))


if __name__ == "__main__":
    main()
