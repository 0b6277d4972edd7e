"""A tokenizer as llama.cpp reads it.

llama.cpp has its own tokenizers; a file says which of them to use and with which pieces. Two kinds
are written: byte-level BPE, and BPE over characters with bytes to fall back on, as SentencePiece
makes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from tunelab.errors import ModelError
from tunelab.export.gguf_splitting import (
    SPACE,
    edges,
    refused,
    scores,
    space_before,
    splitting_name,
)
from tunelab.prompts.conversation import Conversations

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_Kind = Literal["NORMAL", "UNKNOWN", "CONTROL", "USER_DEFINED", "UNUSED", "BYTE"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a file says of a tokenizer."""

    model: Literal["gpt2", "llama"]
    splitting: str
    pieces: tuple[str, ...]
    kinds: tuple[_Kind, ...]
    scores: tuple[float, ...] | None
    """The higher is joined first; None where there are merges."""
    merges: tuple[str, ...]
    space_before: bool | None
    """Whether a space is put before a text; None where llama.cpp does not ask."""
    begins: bool
    """Whether every text gets a beginning-of-sequence."""
    ends: bool
    special: Mapping[str, int]
    """Tokens by role: bos, eos, eot, unk, pad."""
    template: str | None
    told: tuple[str, ...]
    """Where llama.cpp differs."""

    def write(self, writer: Any, *, rows: int) -> None:
        """Add it to a file.

        Args:
            writer: a `gguf.GGUFWriter`.
            rows: of the embedding; those without a token are marked as unused.

        Raises:
            ModelError: there are fewer rows than tokens.
        """
        from gguf import TokenType

        unused = range(len(self.pieces), rows)
        if rows < len(self.pieces):
            raise refused(
                f"its tokenizer has {len(self.pieces):,} tokens, and its embedding {rows:,} rows"
            )
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.splitting)
        writer.add_token_list([*self.pieces, *(f"[PAD{row}]" for row in unused)])
        kinds = [*self.kinds, *("UNUSED" for _ in unused)]
        writer.add_token_types([TokenType[kind] for kind in kinds])
        if self.scores is not None:
            writer.add_token_scores([*self.scores, *(-1e9 for _ in unused)])
        if self.merges:
            writer.add_token_merges(self.merges)
        if self.space_before is not None:
            writer.add_add_space_prefix(self.space_before)
        writer.add_add_bos_token(self.begins)
        writer.add_add_eos_token(self.ends)
        add = {
            "bos": writer.add_bos_token_id,
            "eos": writer.add_eos_token_id,
            "eot": writer.add_eot_token_id,
            "unk": writer.add_unk_token_id,
            "pad": writer.add_pad_token_id,
        }
        for role, token in self.special.items():
            add[role](token)
        if self.template is not None:
            writer.add_chat_template(self.template)


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, *, behind_special: bool) -> Vocabulary:
    """Take a tokenizer apart.

    Args:
        tokenizer: any of the `tokenizers` library.
        behind_special: whether prompts begin with a special token, as chat templates' do.

    Raises:
        ModelError: llama.cpp would read texts in another way.
    """
    if not tokenizer.is_fast:
        raise refused(f"its tokenizer {type(tokenizer).__name__} has no tokenizer.json")
    backend: Any = tokenizer
    state: dict[str, Any] = json.loads(backend.backend_tokenizer.to_str())
    model = state["model"]
    if model["type"] != "BPE":
        raise refused(f"its tokenizer is of the kind {model['type']}, and written is BPE")
    pieces, kinds = _pieces(tokenizer, state)
    pairs = [(left, right) for left, right in model["merges"]]
    begins, ends = _surroundings(tokenizer)
    special, told_of_end = _special(tokenizer)
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    joined = bool(model.get("byte_fallback"))
    before, told_of_space = (
        space_before(state, behind_special=behind_special) if joined else (None, ())
    )
    ordinary = [piece for piece, kind in zip(pieces, kinds, strict=True) if kind == "NORMAL"]
    return Vocabulary(
        model="llama" if joined else "gpt2",
        splitting="default" if joined else splitting_name(state),
        pieces=pieces,
        kinds=kinds,
        scores=scores(pieces, ordinary, pairs) if joined else None,
        merges=() if joined else tuple(" ".join(pair) for pair in pairs),
        space_before=before,
        begins=begins,
        ends=ends,
        special=special,
        template=template,
        told=(*edges(state), *told_of_space, *told_of_end),
    )


def _pieces(
    tokenizer: PreTrainedTokenizerBase, state: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[_Kind, ...]]:
    """All pieces by id, with what they are; ids without one are unused."""
    vocabulary: dict[str, int] = state["model"]["vocab"]
    added = {each["id"]: each for each in state["added_tokens"]}
    texts = {number: piece for piece, number in vocabulary.items()}
    texts |= {number: each["content"] for number, each in added.items()}
    bytewise = bool(state["model"].get("byte_fallback"))
    pieces: list[str] = []
    kinds: list[_Kind] = []
    for number in range(max(texts) + 1):
        piece = texts.get(number, f"[PAD{number}]")
        kind: _Kind = "NORMAL"
        if number not in texts:
            kind = "UNUSED"
        elif bytewise and piece == tokenizer.unk_token:
            kind = "UNKNOWN"
        elif number in added:
            kind = "CONTROL" if added[number]["special"] else "USER_DEFINED"
        elif bytewise and _BYTE.fullmatch(piece):
            kind = "BYTE"
        if bytewise and kind == "USER_DEFINED":
            piece = piece.replace(SPACE, " ")  # llama.cpp looks for it in the text as it is
        pieces.append(piece)
        kinds.append(kind)
    if len(set(pieces)) < len(pieces):
        raise refused("two of its tokens have the same text")
    return tuple(pieces), tuple(kinds)


def _surroundings(tokenizer: PreTrainedTokenizerBase) -> tuple[bool, bool]:
    """Whether a text gets a beginning and an end."""
    bare: Any = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole: Any = tokenizer("a")["input_ids"]
    bos, eos = [tokenizer.bos_token_id], [tokenizer.eos_token_id]
    for begins in (False, True):
        for ends in (False, True):
            if whole == bos * begins + bare + eos * ends:
                return begins, ends
    raise refused("its tokenizer puts other tokens around a text than a beginning and an end")


def _special(tokenizer: PreTrainedTokenizerBase) -> tuple[dict[str, int], tuple[str, ...]]:
    """Tokens by role; the one that ends a turn is found in the chat template."""
    told: tuple[str, ...] = ()
    roles: dict[str, Any] = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unk": tokenizer.unk_token_id,
        "pad": tokenizer.pad_token_id,
    }
    if tokenizer.chat_template:
        try:
            ends = Conversations(tokenizer).stop_ids.difference((roles["eos"],))
        except ModelError as error:  # the run asked in another style
            told = (f"What ends a turn is not known: {error.problem}",)
        else:
            roles["eot"] = next(iter(ends), None)
    return {role: token for role, token in roles.items() if isinstance(token, int)}, told
