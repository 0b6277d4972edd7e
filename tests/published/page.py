"""Writes docs/published.md: `python -m tests.published.page > docs/published.md`."""

from __future__ import annotations

import sys

from tests.published.recompute import Claim, System, systems

HEAD = """\
# Published figures, recomputed

Written by `python -m tests.published.page` from the fixtures in tests/published; do not edit. Every
published figure stands beside what tunelab's own arithmetic makes of the published table around it.
`tests/published/test_published.py` holds both to this page, the mistakes included.
"""


def page() -> str:
    every = [claim for system in systems() for claim in system.claims]
    wrong = sum(not claim.agrees for claim in every)
    count = f"{len(every)} figures; {wrong} do not agree.\n"
    return "\n".join([HEAD, count, *map(_section, systems())])


def _section(system: System) -> str:
    lines = [
        f"## {system.title}",
        "",
        f"Source: {system.source}. {system.how}",
        "",
        f"Why it matters: {system.why}",
        "",
        "| row | figure | published | recomputed | |",
        "| --- | --- | ---: | ---: | --- |",
        *map(_line, system.claims),
        "",
    ]
    return "\n".join(lines)


def _line(claim: Claim) -> str:
    digits = min(claim.decimals + 1, 16)
    name = claim.row.replace("<", "\\<")
    found = f"{claim.recomputed:.{digits}f}" if digits < 10 else repr(claim.recomputed)
    verdict = "agrees" if claim.agrees else "**does not agree**"
    return f"| {name} | {claim.figure} | {claim.published} | {found} | {verdict} |"


if __name__ == "__main__":
    sys.stdout.write(page())
