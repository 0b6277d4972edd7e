"""Windows hold the answer where they say, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from tunelab.data import Answer, Example
from tunelab.errors import DataError
from tunelab.prompts.windows import encode_windows
from tunelab.recipe import Model

WORDS = [f"w{i}" for i in range(40)]


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word; a real fast tokenizer with BERT's layout of pairs."""
    vocabulary = {t: i for i, t in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )


TOKENIZER = word_tokenizer()


def example(words: list[str], first: int, last: int, *, question: str = "w1 w2") -> Example:
    context = " ".join(words)
    start = len(" ".join(words[:first])) + (1 if first else 0)
    text = " ".join(words[first : last + 1])
    answers = (Answer(text, start),) if first <= last else ()
    return Example("q", question, context, answers, "g", "a")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_window_with_the_answer_points_at_its_text(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60))
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, min(len(words) - 1, first + 4)))
    question = example(words, first, last)
    model = Model(max_length=data.draw(st.integers(16, 30)), stride=5)
    windows = encode_windows([question], TOKENIZER, model)
    for window in windows:
        assert len(window.input_ids) <= model.max_length
        if window.answered:
            begin, end = (position - window.context_start for position in window.target)
            span = question.context[window.offsets[begin][0] : window.offsets[end][1]]
            assert span == question.answers[0].text
    # answers of at most `stride` tokens lie whole in some window
    assert any(window.answered for window in windows)
    seen = {offset for window in windows for offset in window.offsets}
    assert len(seen) == len(words)


def test_a_question_without_an_answer_points_at_cls() -> None:
    (window,) = encode_windows(
        [example(WORDS[:5], 1, 0)], TOKENIZER, Model(max_length=32, stride=4)
    )
    assert window.target == (window.null_position, window.null_position) == (0, 0)
    assert not window.answered


def test_windows_know_their_example() -> None:
    three = [example(WORDS[:30], 2, 3), example(WORDS[:3], 0, 0), example(WORDS[:30], 29, 29)]
    windows = encode_windows(three, TOKENIZER, Model(max_length=20, stride=4))
    assert [window.example for window in windows] == [0, 0, 0, 1, 2, 2, 2]


def test_an_answer_that_begins_inside_a_token_covers_it() -> None:
    whole = example(["w1", "w22", "w3"], 1, 1)
    inside = Example("q", whole.question, whole.context, (Answer("22", 4),), "g", "a")
    (window,) = encode_windows([inside], TOKENIZER, Model(max_length=32, stride=4))
    assert window.target == (window.context_start + 1, window.context_start + 1)


def test_a_question_that_leaves_no_room_is_told() -> None:
    long = example(WORDS, 0, 0, question=" ".join(WORDS[:30]))
    with pytest.raises(DataError, match=r"'q' has 30 tokens: .* leaves 0 for the context"):
        encode_windows([long], TOKENIZER, Model(max_length=32, stride=4))


def test_nothing_gives_nothing() -> None:
    assert encode_windows([], TOKENIZER, Model()) == []
