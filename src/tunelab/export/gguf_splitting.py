"""How a tokenizer splits and joins a text, in the terms that llama.cpp has for it.

llama.cpp splits texts for byte-level BPE by expressions that it knows by a name, and joins the
pieces of SentencePiece by scores. Names and what they stand for are from its `src/llama-vocab.cpp`
(v0.5.0). What it would do otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tunelab.errors import ModelError

SPACE = "▁"
"""Stands for a space in SentencePiece's pieces."""

_SECOND_SPACE = (
    "A text that begins with a space is given another one by llama.cpp, and not by its tokenizer."
)
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_DIGIT = r"\p{N}"
_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_START = r"[^\r\n\p{L}\p{N}]?"
_CASED = f"{_START}{_UPPER}*{_LOWER}+|{_START}{_UPPER}+{_LOWER}*"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_PATHS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_BLANK = r"\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True, slots=True)
class _Splitting:
    name: str
    whole_words: bool = False
    """A word that is a piece by itself is not taken apart (`ignore_merges`)."""


_SPLITTINGS: dict[tuple[str, ...], _Splitting] = {
    (_GPT2,): _Splitting("gpt-2"),
    (_DIGIT, _GPT2): _Splitting("smollm"),
    ("|".join((_SHORT, _WORD, r"\p{N}", _SIGNS, _BLANK)),): _Splitting("qwen2"),
    ("|".join((_SHORT, _WORD, r"\p{N}{1,3}", _SIGNS, _BLANK)),): _Splitting(
        "llama-bpe", whole_words=True
    ),
    ("|".join((_CASED, r"\p{N}", _PATHS, _BLANK)),): _Splitting("tekken", whole_words=True),
}
"""By the expressions that a text is split by, one after the other."""


def splitting_name(state: Mapping[str, Any]) -> str:
    """What llama.cpp calls the way in which a byte-level tokenizer splits a text.

    Args:
        state: the tokenizer, as the `tokenizers` library writes it.

    Raises:
        ModelError: it has no name for it.
    """
    model = state["model"]
    if (state["decoder"] or {}).get("type") != "ByteLevel":
        raise refused("its tokenizer is BPE without bytes")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise refused(f"its tokenizer has {name}={model[name]}")
    rules = tuple(_rules(state["pre_tokenizer"]))
    found = _SPLITTINGS.get(rules)
    if found is None:
        known = ", ".join(each.name for each in _SPLITTINGS.values())
        raise refused(
            f"its tokenizer splits texts by {' and then '.join(rules) or 'nothing'}, and written "
            f"are the ways of {known}"
        )
    if found.whole_words != bool(model.get("ignore_merges")):
        raise refused(
            f"its tokenizer splits as {found.name}, but with ignore_merges="
            f"{bool(model.get('ignore_merges'))}, which llama.cpp does not do"
        )
    return found.name


def space_before(state: Mapping[str, Any], *, behind_special: bool) -> tuple[bool, tuple[str, ...]]:
    """Whether llama.cpp shall put a space before a text, and what is to be told about it.

    Args:
        state: a tokenizer of SentencePiece's kind, as the `tokenizers` library writes it.
        behind_special: whether prompts begin with a special token, as chat templates' do.

    Raises:
        ModelError: it changes texts in a way that llama.cpp does not.
    """
    normalizer, splitter = state["normalizer"], state["pre_tokenizer"]
    parts = (normalizer or {}).get("normalizers", [normalizer] if normalizer else [])
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepend = {"type": "Prepend", "prepend": SPACE}
    match splitter:
        case None if parts in ([prepend, replace], [replace, prepend]):
            return True, ()
        case None if parts == [replace]:
            return False, ()
        case {"type": "Metaspace", "split": False, "prepend_scheme": scheme} if not parts:
            if scheme == "never":
                return False, ()
            if scheme == "always":
                return True, (_SECOND_SPACE,)
            first = "a special token" if behind_special else "text"
            told = (
                "Its tokenizer puts a space before a text at the very beginning alone; llama.cpp "
                "does so behind every special token, or never. The file is for prompts that begin "
                f"with {first}, as the run's did."
            )
            return not behind_special, (told,) if behind_special else (told, _SECOND_SPACE)
        case _:
            raise refused("its tokenizer prepares texts in a way that SentencePiece does not")


def scores(
    pieces: Sequence[str], ordinary: Collection[str], merges: Sequence[tuple[str, str]]
) -> tuple[float, ...]:
    """What pieces are joined by in llama.cpp: of all that two neighbours could become, the highest.

    Merges name pairs, scores name what pairs become. They say the same where all pairs that become
    a piece are merged, one behind the other.

    Args:
        pieces: all.
        ordinary: those that come from joining.
        merges: pairs, the first to be merged first.

    Raises:
        ModelError: merges say something that scores cannot.
    """
    products = [product for product, _ in groupby(left + right for left, right in merges)]
    if len(set(products)) != len(products):
        raise refused("its tokenizer has merges that no scores stand for")
    known, pairs = set(ordinary), set(merges)
    for piece in ordinary:
        for cut in range(1, len(piece)):
            pair = piece[:cut], piece[cut:]
            if pair[0] in known and pair[1] in known and pair not in pairs:
                raise refused(
                    f"its tokenizer does not merge '{pair[0]}' and '{pair[1]}', and llama.cpp would"
                )
    rank = {product: -float(place) for place, product in enumerate(products)}
    return tuple(rank.get(piece, -float(len(products))) for piece in pieces)


def edges(state: Mapping[str, Any]) -> tuple[str, ...]:
    """Where llama.cpp differs at an edge, as sentences.

    Raises:
        ModelError: a byte-level tokenizer changes texts before it splits them.
    """
    told: list[str] = []
    stripping = [
        each["content"] for each in state["added_tokens"] if each["lstrip"] or each["rstrip"]
    ]
    if stripping:
        told.append(
            f"Spaces beside {', '.join(stripping)} are dropped by its tokenizer, and kept by "
            "llama.cpp."
        )
    normalizer = state["normalizer"]
    if not state["model"].get("byte_fallback") and normalizer is not None:
        if normalizer["type"] != "NFC":
            raise refused(
                f"its tokenizer changes texts by {normalizer['type']} before it reads them"
            )
        told.append(
            "Its tokenizer composes characters (NFC), llama.cpp does not: texts with accents "
            "written as characters of their own are read differently."
        )
    return tuple(told)


def refused(why: str) -> ModelError:
    """The model cannot be written."""
    return ModelError(
        f"This model cannot be written as GGUF: {why}.",
        hint="Export the merged model, which transformers loads: --format merged.",
    )


def _rules(splitter: Mapping[str, Any] | None) -> list[str]:
    """The expressions that a text is split by, one after the other."""
    match splitter:
        case None:
            return []
        case {"type": "Sequence", "pretokenizers": parts}:
            return [rule for part in parts for rule in _rules(part)]
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": use}:
            return [_GPT2] if use else []
        case {"type": "Digits", "individual_digits": True}:
            return [_DIGIT]
        case {"type": "Split", "pattern": {"Regex": rule}, "behavior": "Isolated", "invert": False}:
            return [rule]
        case _:
            raise refused(f"its tokenizer splits texts by {splitter['type']}, as {splitter}")
