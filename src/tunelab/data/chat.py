"""Rows of conversations in the three forms that they are published in.

    messages   {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", ...}]}
    ShareGPT   {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", ...}]}
    Alpaca     {"instruction": "Greet.", "input": "Ada", "output": "Hello, Ada!"}

A row may have an `id`, and a `system` message beside its turns. Alpaca's input stands behind its
instruction, without the heading that the paper puts in front. What is neither said by a user nor by
an assistant (tools) is not read.
"""

from __future__ import annotations

from typing import Any

from tunelab.data.conversation import Conversation, Role, Turn
from tunelab.data.example import text_hash
from tunelab.data.tables import MEND, said
from tunelab.errors import DataError, did_you_mean

FORM = (
    'Expected rows of one form: {"messages": [{"role", "content"}]}, '
    '{"conversations": [{"from", "value"}]}, or {"instruction", "input", "output"}.'
)
_FORMS = ("messages", "conversations", "instruction")
_KEYS = (("role", "content"), ("from", "value"))
_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}


def read_conversation(row: dict[str, Any], place: str) -> Conversation:
    """The conversation of a row; `place` names it in messages.

    Raises:
        DataError: the row has no form, or two; a turn has an unknown role, no text or the wrong
            type; the turns are in no order, or none is the assistant's.
    """
    forms = [name for name in _FORMS if row.get(name) is not None]
    if len(forms) != 1:
        found = f"both {' and '.join(forms)}" if forms else f"the keys {', '.join(row) or 'none'}"
        raise DataError(f"{place} has {found}.", hint=f"{FORM} {MEND}")
    turns = _alpaca(row, place) if forms == ["instruction"] else _listed(row[forms[0]], place)
    system = row.get("system")
    if system:
        if turns[0].role == "system":
            raise DataError(f"{place} has two system messages.", hint=MEND)
        turns = [Turn("system", said(system, f"{place}, 'system'", form=FORM)), *turns]
    _check_order(turns, place)
    named = row.get("id")
    content = "\n".join(f"{turn.role}: {turn.text}" for turn in turns)
    return Conversation(
        id=text_hash(content) if named is None else str(named),
        turns=tuple(turns),
        group=text_hash("\n".join(turn.text for turn in turns[: _first_reply(turns)])),
        gold=(turns[-1].text,),
    )


def _alpaca(row: dict[str, Any], place: str) -> list[Turn]:
    asked = said(row["instruction"], f"{place}, 'instruction'", form=FORM)
    given = row.get("input")
    if given:
        asked += "\n\n" + said(given, f"{place}, 'input'", form=FORM)
    reply = said(row.get("output"), f"{place}, 'output'", form=FORM)
    return [Turn("user", asked), Turn("assistant", reply)]


def _listed(value: object, place: str) -> list[Turn]:
    if not isinstance(value, list) or not value:
        raise DataError(
            f"{place}: the turns should be a list, not an empty one; found {value!r:.60}.",
            hint=f"{FORM} {MEND}",
        )
    turns: list[Turn] = []
    for number, each in enumerate(value, start=1):
        where = f"{place}, turn {number}"
        if not isinstance(each, dict):
            raise DataError(f"{where} should be an object; found {each!r:.60}.", hint=FORM)
        keys = [pair for pair in _KEYS if any(each.get(key) is not None for key in pair)]
        if len(keys) != 1:
            found = "both role/content and from/value" if keys else f"the keys {', '.join(each)}"
            raise DataError(f"{where} has {found}.", hint=f"{FORM} {MEND}")
        (who, what) = keys[0]
        turns.append(Turn(_role(each.get(who), where), said(each.get(what), where, form=FORM)))
    return turns


def _role(value: object, place: str) -> Role:
    if isinstance(value, str) and value in _ROLES:
        return _ROLES[value]
    near = did_you_mean(value, _ROLES) if isinstance(value, str) else ""
    raise DataError(
        f"{place} has the unknown role {value!r:.60}.",
        hint=" ".join(part for part in (near, f"Roles are {', '.join(_ROLES)}.", MEND) if part),
    )


def _first_reply(turns: list[Turn]) -> int:
    return next(index for index, turn in enumerate(turns) if turn.role == "assistant")


def _check_order(turns: list[Turn], where: str) -> None:
    """A system message may come first; then user and assistant take turns."""
    if not any(turn.role == "assistant" for turn in turns):
        raise DataError(
            f"{where} has no turn of the assistant: there is nothing to learn.", hint=MEND
        )
    first = 1 if turns[0].role == "system" else 0
    for place, turn in enumerate(turns[first:]):
        wanted = ("user", "assistant")[place % 2]
        if turn.role != wanted:
            raise DataError(
                f"{where}, turn {first + place + 1} is the {turn.role}'s; it should be the "
                f"{wanted}'s.",
                hint=f"User and assistant take turns, the user first. {MEND}",
            )
    if turns[-1].role != "assistant":
        raise DataError(
            f"{where} ends with a turn of the user, which has no reply.",
            hint=f"Take the last turn away. {MEND}",
        )
