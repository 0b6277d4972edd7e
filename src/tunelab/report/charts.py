"""The pictures of a report: quality against cost, loss against time, risk against coverage.

Each takes figures and gives SVG text. A method has the same colour in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tunelab.metrics import RiskCoverage
from tunelab.report.breakeven import Axis
from tunelab.report.figures import middle, scored
from tunelab.report.recommendation import CostName, Field, pareto
from tunelab.report.scales import (
    MEMORY,
    NUMBER,
    SAVED,
    SECONDS,
    Quantity,
    Scale,
    cost_scale,
    score_scale,
)
from tunelab.report.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    TOP,
    WIDTH,
    Picture,
    colour,
    path,
    tag,
    text_width,
)

Colours = Mapping[str, int]
"""Label -> number of its colour."""

QUANTITIES: Mapping[CostName, Quantity] = {"time": SECONDS, "memory": MEMORY, "size": SAVED}

_MOST_POINTS = 200
"""A line shows no more, whatever the number of items or steps."""


@dataclass(frozen=True, slots=True)
class LossCurve:
    """One run's loss over its training time."""

    label: str
    seconds: Sequence[float]
    loss: Sequence[float]


def cost_chart(field: Field, name: CostName, colours: Colours) -> Markup:
    """Score against one cost: a mark and an interval a method, and the Pareto set as a line."""
    quantity = QUANTITIES[name]
    options = [option for option in field.options if option.costs[name]]
    costs = {option.label: middle(option.costs[name]) for option in options}
    ends = [e for o in options for e in (o.value, o.low, o.high) if e is not None]
    across = cost_scale(list(costs.values()), LEFT, WIDTH - 14)
    up = score_scale(ends, HEIGHT - BOTTOM, TOP + 14)
    front = pareto(options, name)
    told = "; ".join(
        f"{o.label}: {scored(o.value, unit=field.metric)} at {quantity.show(costs[o.label])}"
        for o in front
    )
    picture = Picture(
        f"cost-{name}",
        f"{field.metric} against {quantity.name}",
        f"Methods that no other beats at the same or a lower cost: {told}.",
    )
    picture.axes((across, quantity, quantity.name), (up, NUMBER, field.metric))
    corner = [(across.at(costs[o.label]), up.at(o.value)) for o in reversed(front)]
    stairs = [corner[0]]
    for (x, y), (_, below) in zip(corner[1:], corner, strict=False):
        stairs += [(x, below), (x, y)]
    picture.marks.append(path([*stairs, (WIDTH - 14, corner[-1][1])], "front"))
    for option in options:
        x, y = across.at(costs[option.label]), up.at(option.value)
        style = colour(colours[option.label])
        if option.low is not None and option.high is not None:
            low, high = up.at(option.low), up.at(option.high)
            picture.marks.append(path([(x, low), (x, high)], f"whisker {style}"))
            picture.taken.append((x - 2, high, x + 2, low))
        mark = "dot" if option in front else "hollow"
        picture.marks.append(tag("circle", {"cx": x, "cy": y, "r": 5, "class": f"{mark} {style}"}))
        picture.taken.append((x - 6, y - 6, x + 6, y + 6))
    for option in options:
        at = (across.at(costs[option.label]), up.at(option.value))
        reach = [up.at(e) for e in (option.high, option.low) if e is not None] or [at[1], at[1]]
        picture.beside(option.label, at, (reach[0], reach[-1]), colour(colours[option.label]))
    return picture.svg()


def loss_chart(curves: Sequence[LossCurve], colours: Colours) -> Markup:
    """Loss against time: one line a run, labelled where its method's last one ends."""
    longest = max(curve.seconds[-1] for curve in curves)
    highest = max(max(curve.loss) for curve in curves)
    right = 16 + max(text_width(curve.label) for curve in curves)
    across = Scale(0, longest, LEFT, WIDTH - right)
    up = Scale(0, 1.05 * highest, HEIGHT - BOTTOM, TOP + 14)
    told = "; ".join(f"{c.label}: {c.loss[0]:.2f} to {c.loss[-1]:.2f}" for c in curves)
    picture = Picture("loss", "Training loss against time", f"First and last: {told}.", right=right)
    picture.axes((across, SECONDS, "training time"), (up, NUMBER, "loss"))
    ends: dict[str, tuple[str, float, float, str]] = {}
    for curve in sorted(curves, key=lambda curve: curve.seconds[-1]):
        style = colour(colours[curve.label])
        points = [(across.at(x), up.at(y)) for x, y in zip(curve.seconds, curve.loss, strict=True)]
        picture.marks.append(path(points, f"curve thin {style}"))
        ends[curve.label] = (curve.label, *points[-1], style)
    picture.at_the_end(list(ends.values()))
    return picture.svg()


def risk_chart(
    curves: Mapping[str, Sequence[RiskCoverage]], colours: Colours, *, standalone: bool = False
) -> Markup:
    """Risk against coverage: one line a method, the mean of its seeds.

    Args:
        curves: label -> one curve a seed, over the same number of items.
        colours: of the labels.
        standalone: as a file of its own.
    """
    areas = {
        label: f"{label} (area {np.mean([seed.area for seed in seeds]):.3f})"
        for label, seeds in curves.items()
    }
    right = 16 + max(text_width(label) for label in areas)
    across = Scale(0, 1, LEFT, WIDTH - right)
    means = {
        label: np.mean([seed.risk for seed in seeds], axis=0) for label, seeds in curves.items()
    }
    highest = max(float(risk.max()) for risk in means.values())
    up = Scale(0, min(1.05 * highest, 1.0) or 1.0, HEIGHT - BOTTOM, TOP + 14)
    told = "; ".join(areas.values())
    picture = Picture("risk", "Risk against coverage", f"{told}. Lower is better.", right=right)
    picture.axes(
        (across, NUMBER, "coverage: share of items answered"),
        (up, NUMBER, "risk: mean of 1 - F1 of those answered"),
    )
    ends: list[tuple[str, float, float, str]] = []
    for label, risk in means.items():
        coverage, style = curves[label][0].coverage, colour(colours[label])
        shown = np.unique(np.linspace(0, len(risk) - 1, _MOST_POINTS).astype(int))
        points = [(across.at(float(coverage[i])), up.at(float(risk[i]))) for i in shown]
        picture.marks.append(path(points, f"curve {style}"))
        ends.append((label, *points[-1], style))
    picture.at_the_end(ends)
    return picture.svg(standalone=standalone)


def axis_chart(field: Field, axis: Axis, name: str) -> Markup:
    """Score against a setting that the study varies: one line a method, with intervals."""
    families = list(dict.fromkeys(place.family for place in axis.places.values()))
    right = 16 + max(text_width(family) for family in families)
    ends = [e for o in field.options for e in (o.value, o.low, o.high) if e is not None]
    across = cost_scale([float(level) for level in axis.levels], LEFT, WIDTH - right)
    up = score_scale(ends, HEIGHT - BOTTOM, TOP + 14)
    picture = Picture(
        name,
        f"{field.metric} against {axis.unit}",
        f"One line a method: {', '.join(families)}.",
        right=right,
    )
    shown = Quantity(axis.unit, tuple(float(level) for level in axis.levels), "{:,g}".format)
    picture.axes((across, shown, axis.unit), (up, NUMBER, field.metric))
    last: list[tuple[str, float, float, str]] = []
    for number, family in enumerate(families):
        line: list[tuple[float, float]] = []
        style = colour(number)
        for level in axis.levels:
            for option in axis.at(field, level).options:
                if axis.places[option.label].family != family:
                    continue
                x = across.at(level)
                line.append((x, up.at(option.value)))
                if option.low is not None and option.high is not None:
                    whisker = [(x, up.at(option.low)), (x, up.at(option.high))]
                    picture.marks.append(path(whisker, f"whisker {style}"))
        if line:
            picture.marks.append(path(line, f"curve {style}"))
            picture.marks += [
                tag("circle", {"cx": x, "cy": y, "r": 4, "class": f"dot {style}"}) for x, y in line
            ]
            last.append((family, *line[-1], style))
    picture.at_the_end(last)
    return picture.svg()


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with its interval on a strip."""

    value: float
    low: float | None
    high: float | None
    colour: int


def strip(marks: Sequence[Mark], low: float, high: float) -> Markup:
    """Values on one short axis, one below the other: a picture for a cell of a table."""
    width, gap = 150.0, 7.0
    height = 9.0 + gap * len(marks)
    scale = Scale(low, high, 5, width - 5)
    drawn: list[Markup] = [
        tag("path", {"d": f"M5,{height - 2:.1f}H{width - 5:.1f}", "class": "grid"})
    ]
    for row, mark in enumerate(marks):
        y, style = 6.0 + gap * row, colour(mark.colour)
        if mark.low is not None and mark.high is not None:
            ends = [(scale.at(max(mark.low, low)), y), (scale.at(min(mark.high, high)), y)]
            drawn.append(path(ends, f"whisker {style}"))
        place = {"cx": scale.at(mark.value), "cy": y, "r": 3.4, "class": f"dot {style}"}
        drawn.append(tag("circle", place))
    frame = {"viewBox": f"0 0 {width:g} {height:g}", "class": "chart strip", "aria-hidden": "true"}
    return tag("svg", frame, *drawn)
