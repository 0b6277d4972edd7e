"""What methods cost, copied from committed results onto their cards: no figure is typed.

A card asks for rows by comments, and everything between two of them is written anew by
`python -m tests.documentation.measured`:

    <!-- measured: full; lora -->      rows of docs/methods-matrix.md
    <!-- quantised: lora -->           rows of docs/methods-matrix-quantised.md
    <!-- scored: full; lora-r8 -->     rows of docs/results/distilbert-squad.md
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.documentation.markdown import ROOT

CARDS = ROOT / "docs" / "methods"

Row = dict[str, str]
"""Heading -> cell."""

_ASKED = re.compile(r"(<!-- (measured|quantised|scored): (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(card: str) -> str:
    """A card with its measured rows as the results have them now.

    Raises:
        KeyError: a row that is asked for is not there.
    """
    return _ASKED.sub(lambda m: m[1] + "\n" + _WAYS[m[2]](m[3].split("; ")) + "\n" + m[4], card)


def _measured(methods: Iterable[str]) -> str:
    told = _table(
        _rows(ROOT / "docs" / "methods-matrix.md", "method"),
        methods,
        ("trained parameters", "CPU s a step", "stored bytes", "merges"),
    )
    return (
        f"{told}\nMiniLM, 4 rows of 64 random tokens a step, float32: "
        "[methods-matrix.md](../methods-matrix.md). Compare the seconds with each other only.\n"
    )


def _quantised(methods: Iterable[str]) -> str:
    precisions = ("none", "nf4", "int8", "gptq-int4", "gptq-int8")
    rows = _rows(ROOT / "docs" / "methods-matrix-quantised.md", "method")
    told = _table(rows, methods, precisions, absent="refused")
    return (
        f"{told}\nA small Llama with random weights: whether it works, bits held for each weight "
        "of the base, processor seconds a step: "
        "[methods-matrix-quantised.md](../methods-matrix-quantised.md).\n"
    )


def _scored(labels: Iterable[str]) -> str:
    told = _table(
        _rows(ROOT / "docs" / "results" / "distilbert-squad.md", "method"),
        labels,
        (
            "learning rate",
            "trained parameters",
            "training time",
            "peak memory",
            "saved",
            "EM",
            "F1",
        ),
    )
    return (
        f"{told}\nMiniLM, 4,000 questions of SQuAD 1.1, three seeds: "
        "[results](../results/distilbert-squad.md). Other work ran on the same cores, so the times "
        "are too long.\n"
    )


_WAYS: Mapping[str, Callable[[Iterable[str]], str]] = {
    "measured": _measured,
    "quantised": _quantised,
    "scored": _scored,
}


def _rows(page: Path, key: str) -> dict[str, Row]:
    """The rows of all tables of a page whose first heading is `key`, joined by their first cell."""
    rows: dict[str, Row] = {}
    headings: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            headings = []
        elif cells[0] == key:
            headings = cells
        elif headings and not set(line) <= set("|-: "):
            rows.setdefault(cells[0], {}).update(zip(headings, cells, strict=True))
    return rows


def _table(
    rows: Mapping[str, Row], wanted: Iterable[str], columns: Iterable[str], *, absent: str = ""
) -> str:
    columns = tuple(columns)
    lines = [["", *columns], ["---", *("---:" for _ in columns)]]
    lines += [[name, *(rows[name].get(column, absent) for column in columns)] for name in wanted]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    for path in sorted(CARDS.glob("*.md")):
        path.write_text(fill(path.read_text(encoding="utf-8")), encoding="utf-8")
