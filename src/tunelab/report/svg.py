"""Small pictures as SVG text, in one style: a frame with axes, marks and labels beside them.

Colours are classes (`s0` to `s7`), so that chart.css can choose them for paper, light and dark. All
text is escaped, and a label never covers another one where there is room elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup, escape

from tunelab.report.scales import Quantity, Scale, ticks
from tunelab.report.visible import visible

WIDTH, HEIGHT = 380.0, 280.0
LEFT, TOP, BOTTOM = 46.0, 14.0, 44.0
COLOURS = 8
LINE = 14.0
"""Pixels from one line of text to the next."""

_CHARACTER = 6.9
"""Pixels of a character of a label, on average."""
_LONGEST_LABEL = 20

STYLE = Path(__file__).with_name("template") / "chart.css"


def tag(name: str, attributes: Mapping[str, object], *children: str) -> Markup:
    """An element; numbers are rounded to a tenth of a pixel, texts escaped."""
    written = "".join(
        f' {key}="{value:.1f}"' if isinstance(value, float) else f' {key}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{''.join(escape(child) for child in children)}</{name}>")


def label(text: str, x: float, y: float, style: str = "", anchor: str = "start") -> Markup:
    """Text at a point; a long one is shortened, and told whole to who points at it."""
    shown = visible(text)
    attributes = {"x": x, "y": y, "class": style, "text-anchor": anchor}
    if len(shown) <= _LONGEST_LABEL:
        return tag("text", attributes, shown)
    return tag("text", attributes, in_short(shown), tag("title", {}, shown))


def in_short(text: str) -> str:
    """At most `_LONGEST_LABEL` characters, both ends kept: labels of one study differ at the end
    as often as at the beginning.
    """
    if len(text) <= _LONGEST_LABEL:
        return text
    end = _LONGEST_LABEL // 2
    return f"{text[: _LONGEST_LABEL - end - 1]}…{text[-end:]}"


def text_width(text: str) -> float:
    """About how wide a label is, in pixels."""
    return _CHARACTER * min(len(visible(text)), _LONGEST_LABEL)


def colour(number: int) -> str:
    """The classes of the series of that number: a colour, and beyond `COLOURS` another dash."""
    return f"s{number % COLOURS} d{number // COLOURS % 3}"


def path(points: Sequence[tuple[float, float]], style: str) -> Markup:
    """A line through points."""
    drawn = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("path", {"d": f"M{drawn}", "class": style})


@dataclass
class Picture:
    """A frame that is drawn into, and written out as one `svg` element."""

    name: str
    """Unique on the page: ids begin with it."""
    title: str
    description: str
    width: float = WIDTH
    height: float = HEIGHT
    right: float = 14.0
    marks: list[Markup] = field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Rectangles with something in them: left, top, right, bottom."""

    def axes(self, x: tuple[Scale, Quantity, str], y: tuple[Scale, Quantity, str]) -> None:
        """Grid lines, tick labels and the name of each axis."""
        (across, across_in, across_name), (up, up_in, up_name) = x, y
        bottom, right = self.height - BOTTOM, self.width - self.right
        for value in ticks(up, up_in):
            at = up.at(value)
            self.marks.append(
                tag("path", {"d": f"M{LEFT:.1f},{at:.1f}H{right:.1f}", "class": "grid"})
            )
            self.marks.append(label(up_in.show(value), LEFT - 6, at + 4, "tick", "end"))
        for value in ticks(across, across_in):
            at = across.at(value)
            self.marks.append(tag("path", {"d": f"M{at:.1f},{bottom:.1f}v4", "class": "edge"}))
            self.marks.append(label(across_in.show(value), at, bottom + 17, "tick", "middle"))
        self.marks.append(
            tag("path", {"d": f"M{LEFT:.1f},{bottom:.1f}H{right:.1f}", "class": "edge"})
        )
        below = {"x": right, "y": bottom + 35, "class": "name", "text-anchor": "end"}
        above = {"x": LEFT - 38, "y": TOP - 2, "class": "name"}
        self.marks.append(tag("text", below, visible(across_name)))
        self.marks.append(tag("text", above, visible(up_name)))

    def beside(
        self, text: str, at: tuple[float, float], reach: tuple[float, float], style: str
    ) -> None:
        """A label next to a point, on the side where nothing else is; none if there is no room.

        Args:
            text: the label.
            at: the point.
            reach: from which height to which one its mark goes, whiskers included.
            style: classes.
        """
        (x, y), (above, below) = at, reach
        width, gap = text_width(text), 8.0
        places = [
            (x + gap, y + 4, "start"),
            (x - gap, y + 4, "end"),
            (x, above - gap + 2, "middle"),
            (x, below + gap + 7, "middle"),
            (x + gap, above - gap + 2, "end"),
            (x + gap, below + gap + 7, "end"),
            (x + gap, y - gap, "start"),
            (x - gap, y - gap, "end"),
            (x + gap, y + gap + 8, "start"),
            (x - gap, y + gap + 8, "end"),
        ]
        for at_x, at_y, anchor in places:
            left = at_x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = (left, at_y - 10, left + width, at_y + 3)
            if self._free(box):
                self.taken.append(box)
                self.marks.append(label(text, at_x, at_y, f"label {style}", anchor))
                return

    def at_the_end(self, ends: Sequence[tuple[str, float, float, str]]) -> None:
        """Labels right of where lines end, each as near to its height as can be."""
        ordered = sorted(ends, key=lambda end: end[2])
        heights: list[float] = []
        for _, _, y, _ in ordered:
            heights.append(max(y + 4, heights[-1] + LINE if heights else y + 4))
        lowest = self.height - BOTTOM + LINE
        for back in range(
            len(heights) - 1, -1, -1
        ):  # what was pushed below the frame goes up again
            lowest -= LINE
            heights[back] = lowest = min(heights[back], lowest)
        for (text, x, _, style), height in zip(ordered, heights, strict=True):
            self.marks.append(label(text, x + 7, height, f"label {style}"))

    def svg(self, *, standalone: bool = False) -> Markup:
        """The whole picture."""
        ids = f"{self.name}-title {self.name}-description"
        frame: dict[str, object] = {
            "viewBox": f"0 0 {self.width:g} {self.height:g}",
            "class": "chart",
            "role": "img",
            "aria-labelledby": ids,
        }
        told = [
            tag("title", {"id": f"{self.name}-title"}, visible(self.title)),
            tag("desc", {"id": f"{self.name}-description"}, visible(self.description)),
        ]
        if standalone:
            frame |= {"xmlns": "http://www.w3.org/2000/svg", "width": self.width}
            told.append(tag("style", {}, Markup(STYLE.read_text(encoding="utf-8"))))
            told.append(tag("rect", {"width": "100%", "height": "100%", "class": "paper"}))
        return tag("svg", frame, *told, *self.marks)

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        if left < LEFT or right > self.width or top < 0 or bottom > self.height - BOTTOM:
            return False
        return all(
            right < other[0] or left > other[2] or bottom < other[1] or top > other[3]
            for other in self.taken
        )
