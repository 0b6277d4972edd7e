"""Pictures as SVG text: the same bytes for the same figures, and no file written here."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunelab.metrics import RiskCoverage

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and to be searched
    "svg.hashsalt": "tunelab",  # names inside the file are random otherwise
    "text.parse_math": False,  # labels are told as they are
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_COLOURS = 10
_STYLES = ("-", "--", ":")
"""A study with more methods than colours begins again with another kind of line."""

_MOST_POINTS = 400
"""A line shows no more; whatever the number of items."""


def draw_risk_coverage(curves: Mapping[str, Sequence[RiskCoverage]]) -> str:
    """Risk against coverage: one line a method, the mean of its seeds.

    Args:
        curves: label -> one curve a seed, over the same number of items.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for number, (label, seeds) in enumerate(curves.items()):
            coverage = seeds[0].coverage
            risk = np.mean([seed.risk for seed in seeds], axis=0)
            shown = np.unique(np.linspace(0, len(risk) - 1, _MOST_POINTS).astype(int))
            area = np.mean([seed.area for seed in seeds])
            axes.plot(
                coverage[shown],
                risk[shown],
                label=f"{label} (area {area:.3f})",
                linestyle=_STYLES[number // _COLOURS % len(_STYLES)],
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="coverage: share of items answered")
        axes.set_ylabel("risk: mean of 1 - F1 of those answered")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()
