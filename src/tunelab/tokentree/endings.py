"""When an answer has come to its end, and what it then is."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from tunelab.tokentree.decoding import Decoding, Finish, Generated, Hypothesis


class Endings:
    """The rules that end answers, each answer on its own."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        decoding: Decoding,
        *,
        forced_start: Sequence[int],
    ) -> None:
        self._tokenizer = tokenizer
        self._stop_ids = decoding.stop_ids
        self._stop_texts = decoding.stop_texts
        # a token is a byte at least, and may be a part of a character only
        self._tail = max((len(text.encode()) for text in decoding.stop_texts), default=0) + 3
        self._forced_start = tuple(forced_start)

    def of(self, hypothesis: Hypothesis) -> Finish | None:
        """Why the hypothesis ends with its last token; None if it goes on."""
        if hypothesis.ids[-1] in self._stop_ids:
            return "stop"
        guide = hypothesis.guide
        if guide is not None and guide.complete:
            return "stop"
        if self._stop_texts and guide is None:
            tail = self._decode(hypothesis.ids[-self._tail :])
            if _first_end(tail, self._stop_texts) is not None:
                return "stop"
        if len(hypothesis.ids) < hypothesis.room:
            return None
        if guide is not None:
            guide.hurry()
        return "length" if guide is None or guide.complete else None

    def generated(self, hypothesis: Hypothesis, finished: Finish) -> Generated:
        """The finished answer."""
        ids = tuple(hypothesis.ids)
        read = ids[:-1] if ids and ids[-1] in self._stop_ids else ids
        text = self._decode((*self._forced_start, *read))
        if self._stop_texts and hypothesis.guide is None:
            start = self._decode(self._forced_start)
            end = _first_end(text[len(start) :], self._stop_texts)
            text = text if end is None else text[: len(start) + end]
        if len(ids) > hypothesis.room:
            finished = "length"
        return Generated(ids, text, finished, hypothesis.log_prob)

    def _decode(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text


def _first_end(text: str, stops: Sequence[str]) -> int | None:
    """Where the first of the stop texts in a text ends; None if there is none."""
    found = [(place, place + len(stop)) for stop in stops if (place := text.find(stop)) >= 0]
    return min(found)[1] if found else None
