"""A decoder is asked in the model's own way, and learns the answer and where it ends."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prompts import small
from tests.prompts.small import example
from transformers import PreTrainedTokenizerBase

from tunelab.errors import DataError, ModelError, RecipeError
from tunelab.prompts.chat import converse
from tunelab.prompts.checks import (
    double_start,
    seam_mismatch,
    target_start,
    untrained_end,
)
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.frame import Piece, Quoted, Slot
from tunelab.prompts.prompter import Prompter
from tunelab.prompts.reasoning import add_reasoning_tokens
from tunelab.prompts.vocabulary import check_vocabulary
from tunelab.recipe import Prompt

CHAT = Prompt(style="chat-json")
MULTI = Prompt(style="chat-json", turns="multi")
STYLES = [Prompt(), CHAT, MULTI, Prompt(style="chat-json", system="Be brief.")]
TOKENIZERS = [small.chatml, small.llama_3, small.llama_2]

each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS)
each_style = pytest.mark.parametrize("style", STYLES)


def target_text(tokenizer: PreTrainedTokenizerBase, encoded: EncodedExample) -> str:
    ids = [i for i, target in zip(encoded.ids, encoded.targets, strict=True) if target]
    return small.text(tokenizer, ids)


def begin(tokenizer: PreTrainedTokenizerBase) -> int | None:
    known = tokenizer.bos_token_id
    return known if isinstance(known, int) else None


@each_style
@each_tokenizer
def test_the_answer_and_its_end_are_the_targets(
    tokenizer: Callable[[], PreTrainedTokenizerBase], style: Prompt
) -> None:
    prompter = Prompter(tokenizer(), style)
    encoded = prompter.encode(example())
    prompt = prompter.prompt_ids(example())
    assert encoded.ids[: len(prompt)] == prompt
    assert encoded.targets == (False,) * len(prompt) + (True,) * (len(encoded.ids) - len(prompt))
    assert not untrained_end(encoded, prompter.stop_ids)
    bare = target_text(tokenizer(), encoded).strip()
    wanted = "France" if style.style == "plain" else '```json\n{"answer": "France"}\n```'
    assert bare.startswith(wanted)
    assert not double_start(encoded.ids, begin(tokenizer()))


@pytest.mark.parametrize("style", STYLES[1:])
@each_tokenizer
def test_the_chat_is_what_the_template_itself_makes_of_it(
    tokenizer: Callable[[], PreTrainedTokenizerBase], style: Prompt
) -> None:
    asked = {Slot.CONTEXT: example().context, Slot.QUESTION: example().question}
    prompter = Prompter(tokenizer(), style)
    asked[Slot.ANSWER] = prompter.target_text("France").strip()

    def told(piece: Piece) -> str:
        match piece:
            case Slot():
                return asked[piece]
            case Quoted(written):
                return written
            case _:
                return piece

    turns = [
        {"role": message.role, "content": "".join(map(told, message.content))}
        for message in converse(style, no_answer="?", shots=())
    ]
    rendered: Any = tokenizer().apply_chat_template(turns, strftime_now=lambda _: "26 Jul 2024")
    end = max(i for i, token in enumerate(rendered["input_ids"]) if token in prompter.stop_ids)
    assert prompter.encode(example()).ids == tuple(rendered["input_ids"][: end + 1])


def test_padding_that_is_the_end_token_does_not_hide_it() -> None:
    tokenizer = small.chatml()
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    encoded = Prompter(tokenizer, Prompt()).encode(example())
    assert encoded.ids[-1] == tokenizer.pad_token_id
    assert encoded.targets[-1]


@each_tokenizer
def test_beginning_of_sequence_stands_where_the_tokenizer_sets_it(
    tokenizer: Callable[[], PreTrainedTokenizerBase],
) -> None:
    known = tokenizer()
    ids = Prompter(known, Prompt()).prompt_ids(example())
    assert ids[0] == known.bos_token_id or known.bos_token_id is None
    assert not double_start(ids, begin(known))


def test_a_template_that_begins_twice_is_refused() -> None:
    tokenizer = copy.copy(small.llama_3())
    tokenizer.chat_template = "{{ bos_token }}" + small.LLAMA_3
    with pytest.raises(ModelError, match="begin with '<bos>' twice"):
        Prompter(tokenizer, CHAT)


@each_style
@each_tokenizer
def test_the_no_answer_word_is_ordinary_text(
    tokenizer: Callable[[], PreTrainedTokenizerBase], style: Prompt
) -> None:
    prompter = Prompter(tokenizer(), style)
    encoded = prompter.encode(example(answers=()))
    ids = [i for i, t in zip(encoded.ids, encoded.targets, strict=True) if t]
    said = str(tokenizer().decode(ids, skip_special_tokens=True)).strip()
    assert said == prompter.target_text(prompter.no_answer).strip()
    assert prompter.no_answer == ("<unk>" if style.style == "plain" else "?")


def test_another_no_answer_word() -> None:
    prompter = Prompter(small.chatml(), Prompt(style="chat-json", no_answer='"none"'))
    assert prompter.target_text(prompter.gold(example(answers=()))) == (
        '```json\n{"answer": "\\"none\\""}\n```'
    )


@pytest.mark.parametrize("style", STYLES[1:])
@each_tokenizer
@pytest.mark.parametrize("answer", ["France", "7 towns", "?", '"so"', "\\n", "é", "(a) b", "- x"])
def test_every_answer_begins_with_the_forced_start(
    tokenizer: Callable[[], PreTrainedTokenizerBase], style: Prompt, answer: str
) -> None:
    prompter = Prompter(tokenizer(), style)
    prompt = prompter.prompt_ids(example())
    whole = prompter.answer_ids(example(), answer).ids
    assert whole[len(prompt) :][: len(prompter.forced_ids)] == prompter.forced_ids
    assert prompter.opening.startswith(prompter.forced_start)
    assert '{"answer":' in prompter.forced_start


def test_a_bare_answer_has_no_forced_start() -> None:
    prompter = Prompter(small.chatml(), Prompt())
    assert (prompter.forced_start, prompter.forced_ids) == ("", ())


def test_shots_stand_before_the_context_and_are_not_trained() -> None:
    shots = [example("Who?", "Rollo led.", ["Rollo"]), example("When?", "Rollo led.", [])]
    for style in STYLES:
        prompter = Prompter(small.chatml(), style, shots)
        encoded = prompter.encode(example())
        text = small.text(small.chatml(), encoded.ids)
        assert text.index("Rollo led.") < text.index("When?") < text.index(example().context)
        assert prompter.target_text(prompter.no_answer) in text
        assert "Rollo" not in target_text(small.chatml(), encoded)


def test_questions_on_a_paragraph_share_all_up_to_the_question() -> None:
    for style in STYLES:
        prompter = Prompter(small.llama_3(), style)
        first, second = (prompter.encode(example(q)).ids for q in ("What is it?", "Why?"))
        shared = target_start(first, second)
        assert example().context in small.text(small.llama_3(), first[: shared + 1])


def test_reasoning_tokens_stand_before_the_answer_untrained() -> None:
    tokenizer = copy.deepcopy(small.llama_2())
    style = Prompt(style="chat-json", reasoning_tokens=3)
    with pytest.raises(ModelError, match="<blah_0>"):
        Prompter(tokenizer, style)
    ids = add_reasoning_tokens(tokenizer, 3)
    assert add_reasoning_tokens(tokenizer, 3) == ids == tuple(range(ids[0], ids[0] + 3))
    prompter = Prompter(tokenizer, style)
    asked = example(context="<blah_1> is a region in France.")
    encoded = prompter.encode(asked)
    assert prompter.prompt_ids(asked)[-3:] == ids
    assert encoded.ids.count(ids[1]) == 1
    assert target_text(tokenizer, encoded).lstrip().startswith("```json")
    assert not any(t for i, t in zip(encoded.ids, encoded.targets, strict=True) if i in ids)


@pytest.mark.parametrize("key", ["turns", "system", "reasoning_tokens"])
def test_plain_refuses_what_belongs_to_chats(key: str) -> None:
    value = {"turns": "multi", "system": "Be brief.", "reasoning_tokens": 2}[key]
    with pytest.raises(RecipeError, match=f"prompt.{key} is set"):
        Prompter(small.chatml(), Prompt.model_validate({key: value}))


def test_a_merge_across_the_seam_moves_the_target_to_the_first_token_that_differs() -> None:
    prompter = Prompter(small.chatml(), Prompt())
    merged = example(context="It is\n\nFrance.", answers=["\n\nFrance"])
    prompt, encoded = prompter.prompt_ids(merged), prompter.encode(merged)
    assert seam_mismatch(prompt, encoded.ids)
    assert encoded.targets.index(True) == len(prompt) - 1
    assert target_text(small.chatml(), encoded) == "\n\n\nFrance<|im_end|>"
    found = prompter.encode_all([example(), merged], max_length=None)
    assert found.seam_mismatches == (merged,)


def test_space_that_merges_at_the_end_of_a_prompt_belongs_to_the_target() -> None:
    prompter = Prompter(small.llama_3(), CHAT)
    assert small.text(small.llama_3(), prompter.prompt_ids(example())).endswith("<|end_header_id|>")
    assert prompter.opening == prompter.forced_start + ' "' == '\n\n```json\n{"answer": "'
    assert prompter.encode_all([example()], max_length=None).seam_mismatches == ()


def test_too_long_is_set_apart_not_cut() -> None:
    long = example(context="Normandy is a region in France. " * 20, id="long")
    prompter = Prompter(small.chatml(), Prompt())
    found = prompter.encode_all([example(), long], max_length=100)
    assert [e.id for e in found.too_long] == ["long"]
    assert [e.id for e in found.examples] == ["q"]
    assert found.encoded == (prompter.encode(example()),)
    assert found.seam_mismatches == ()
    assert len(prompter.encode_all([example(), long], max_length=None).encoded) == 2


def test_a_model_without_end_of_sequence_is_refused() -> None:
    with pytest.raises(ModelError, match="no end-of-sequence token"):
        Prompter(small.minilm(), Prompt())


def test_a_word_piece_tokenizer_that_names_its_end() -> None:
    tokenizer = copy.deepcopy(small.minilm())
    tokenizer.eos_token = tokenizer.sep_token
    asked = example(context="A ☃ [SEP] [UNK] in France.")
    encoded = Prompter(tokenizer, Prompt()).encode(asked)
    assert encoded.ids.count(tokenizer.sep_token_id) == 1
    assert tokenizer.decode([encoded.ids[-1]]) == "[SEP]"
    assert "a [UNK] [ sep ] [ unk ] in france." in small.text(tokenizer, encoded.ids)


def test_without_padding_the_end_token_fills_in() -> None:
    tokenizer = small.llama_3()
    assert tokenizer.pad_token_id is None
    assert Prompter(tokenizer, CHAT).pad_id == tokenizer.convert_tokens_to_ids("<|eot_id|>")


@pytest.mark.parametrize("answer", ["", " \n"])
def test_an_empty_answer_is_refused(answer: str) -> None:
    with pytest.raises(DataError, match="Question 'q' has an empty answer"):
        Prompter(small.chatml(), CHAT).encode(example(answers=[answer]))


@pytest.mark.parametrize("part", ["context", "question", "answer"])
def test_half_a_character_is_refused(part: str) -> None:
    broken = {
        "context": example(context="France\ud83d."),
        "question": example("What\ud83d?"),
        "answer": example(answers=["\ud83d"]),
    }[part]
    with pytest.raises(DataError, match=rf"its {part} has half a surrogate pair \(U\+D83D"):
        Prompter(small.chatml(), Prompt()).encode(broken)
    with pytest.raises(DataError, match="half a surrogate pair"):
        Prompter(small.chatml(), Prompt(), [broken])


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused() -> None:
    tokenizer = small.chatml()
    check_vocabulary(tokenizer, len(tokenizer))
    with pytest.raises(ModelError, match=r"1 tokens, such as '<think>', have none"):
        check_vocabulary(tokenizer, len(tokenizer) - 1)


texts = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        st.sampled_from(["<|im_end|>", "<|im_start|>user\n", "<think>", "\ue0000\ue001", "</s>"]),
    ),
    max_size=6,
).map("".join)


@cache
def chatml_prompter(style: int) -> Prompter:
    return Prompter(small.chatml(), STYLES[style])


@settings(max_examples=40, deadline=None)
@given(
    context=texts,
    question=texts,
    answer=texts.filter(str.strip),
    style=st.sampled_from(range(len(STYLES))),
)
def test_any_text_is_kept_and_none_is_a_control_token(
    context: str, question: str, answer: str, style: int
) -> None:
    tokenizer, prompter = small.chatml(), chatml_prompter(style)
    asked = example(question, context, [answer])
    plain = prompter.encode(example("b", "a", ["a"]))
    encoded = prompter.encode(asked)
    control = set(tokenizer.added_tokens_decoder)
    assert [i for i in encoded.ids if i in control] == [i for i in plain.ids if i in control]
    text = small.text(tokenizer, encoded.ids)
    assert context in text
    assert question in text
    target = small.text(tokenizer, encoded.ids[len(prompter.prompt_ids(asked)) :])
    if not seam_mismatch(prompter.prompt_ids(asked), encoded.ids):
        assert prompter.target_text(answer) in target
    assert not untrained_end(encoded, prompter.stop_ids)
