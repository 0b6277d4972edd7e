"""A long text as a decoder reads it to weigh all of it: windows, each token a target once.

    text       t1 t2 t3 t4 | t5 t6 t7 | t8
    window 1   s  T1 T2 T3 T4              s: beginning-of-sequence, or else end-of-sequence
    window 2            t4 T5 T6 T7        T: targets, behind `overlap` tokens or one
    window 3                     t7 T8

With an overlap of 1 these are lm-eval's rolling windows (lm_eval.utils.get_rolling_token_windows
with context_len=1 and max_seq_len one below the window, of which the last target is not read).
"""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from tunelab.errors import ModelError
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.frame import Quoted
from tunelab.prompts.lexer import Lexer

VERSION = "rolling-1"
"""Names the way of cutting; raised whenever it changes."""


class RollingReader:
    """Cuts texts into windows.

    Args:
        tokenizer: of the model.
        window: tokens of a window at most.
        overlap: tokens that a window takes over from the one before it, one at least.

    Raises:
        ModelError: nothing can stand before the first token, or windows hold one token at most.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, window: int, overlap: int) -> None:
        self._lexer = Lexer(tokenizer)
        start = self._lexer.begin_id if self._lexer.begin_id is not None else self._lexer.end_id
        if start is None:
            raise ModelError(
                "The tokenizer has neither beginning- nor end-of-sequence: the first token of a "
                "text would have no probability.",
                hint="Name one of its tokens as bos_token in tokenizer_config.json.",
            )
        if window < 2:
            raise ModelError(
                f"A window of {window} tokens has no room for a token and the one before it.",
                hint="Raise model.max_length or the window of the task, or lower "
                "tuning.virtual_tokens.",
            )
        self._start = start
        self._window = window
        self._overlap = max(1, min(overlap, window - 1))

    def windows(self, text: str) -> list[EncodedExample]:
        """The windows of a text; nothing in it is a control token."""
        [ids] = self._lexer.read([(Quoted(text),)])
        sequence = (self._start, *ids)
        found: list[EncodedExample] = []
        scored = 1
        while scored < len(sequence):
            begin = max(0, scored - self._overlap)
            part = sequence[begin : begin + self._window]
            targets = tuple(begin + place >= scored for place in range(len(part)))
            found.append(EncodedExample(part, targets))
            scored = begin + len(part)
        return found
