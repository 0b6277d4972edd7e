"""Characters that hide, reverse or command, made visible. Model output may hold any.

Markup is escaped elsewhere (jinja2, markupsafe); this is about what remains: controls, terminal
escapes, marks that turn the direction of the text around (Unicode TR 36), half surrogates.
"""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, without tab and line feed
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""The joiners U+200C and U+200D stay: Persian, Hindi and emoji need them."""


def visible(text: str) -> str:
    """The text with such characters as ⟨U+202E⟩; all others as they are."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)
