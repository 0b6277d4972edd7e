"""Small real tokenizers with chat templates, and questions to ask with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AddedToken, AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tunelab.data import Answer, Example
from tunelab.models.checkpoint import resolve_checkpoint

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking %}<think>{% endif %}{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}"
    "<|end_header_id|>\n\n{% if loop.first and message.role == 'system' %}"
    "Today: {{ strftime_now('%d %b %Y') }}\n\n{% endif %}{{ message.content | trim }}<|eot_id|>"
    "{% endfor %}"
)
LLAMA_2 = (
    "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}"
    "{% set told = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' %}"
    "{% else %}{% set rest = messages %}{% set told = '' %}{% endif %}"
    "{% for message in rest %}{% if message.role == 'user' %}"
    "{{ bos_token + '[INST] ' + (told if loop.first else '') + message.content.strip() "
    "+ ' [/INST]' }}{% elif message.role == 'assistant' %}"
    "{{ ' ' + message.content.strip() + ' ' + eos_token }}"
    "{% else %}{{ raise_exception('no system message here') }}{% endif %}{% endfor %}"
)

_CORPUS = [
    'Normandy is a region in France. {"answer": "France"} {"answer": "?"} ```json',
    "### Context:\n### Question:\nIn what country is Normandy?\n\n### Answer:\n",
    "Find the shortest passage of the context that answers the question, word for word.",
    "\n\n\nFrance" * 4,
]
_BYTE_LEVEL = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(r" ?\w+| ?[^\s\w]+|\s+(?!\S)|\s+"), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)


_SPACES_AS_MARKS = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


@cache
def chatml() -> PreTrainedTokenizerBase:
    """Like Qwen: no beginning-of-sequence, padding is end-of-sequence, `<think>` is not special."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = _byte_level(special, eos="<|im_end|>", pad="<|im_end|>", template=CHATML)
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    return tokenizer


@cache
def llama_3() -> PreTrainedTokenizerBase:
    """Beginning-of-sequence from template and tokenizer alike; end of turn is not its eos."""
    special = ["<bos>", "<eos>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = _byte_level(special, bos="<bos>", eos="<eos>", template=LLAMA_3)
    _begin_with(tokenizer, "<bos>")
    return tokenizer


@cache
def llama_2() -> PreTrainedTokenizerBase:
    """Like sentencepiece: spaces as marks, no pre-tokenizer, bytes for unknown characters."""
    learnt = Tokenizer(models.BPE())
    learnt.normalizer = _SPACES_AS_MARKS
    learnt.train_from_iterator(
        [line.replace("\n", " ") for line in _CORPUS],
        trainers.BpeTrainer(vocab_size=160, show_progress=False),
    )
    bytes_and_special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    model = json.loads(learnt.to_str())["model"]
    vocabulary = {token: place for place, token in enumerate([*bytes_and_special, *model["vocab"]])}
    backend = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[tuple(merge) for merge in model["merges"]],
            unk_token="<unk>",
            byte_fallback=True,
        )
    )
    backend.normalizer = _SPACES_AS_MARKS
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=LLAMA_2,
    )
    _begin_with(tokenizer, "<s>")
    return tokenizer


@cache
def minilm() -> PreTrainedTokenizerBase:
    """The real WordPiece tokenizer of an encoder: no end-of-sequence, no chat template."""
    return AutoTokenizer.from_pretrained(resolve_checkpoint("minilm"))


def text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of tokens, control tokens included."""
    return str(tokenizer.decode(list(ids)))


def example(
    question: str = "In what country is Normandy?",
    context: str = "Normandy is a region in France.",
    answers: Sequence[str] = ("France",),
    *,
    id: str = "q",  # noqa: A002
) -> Example:
    return Example(
        id=id,
        question=question,
        context=context,
        answers=tuple(Answer(text, max(context.find(text), 0)) for text in answers),
        group=context,
        article="Normandy",
    )


def _byte_level(
    special: Sequence[str],
    *,
    eos: str,
    template: str,
    bos: str | None = None,
    pad: str | None = None,
) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = _BYTE_LEVEL
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        chat_template=template,
    )


def _begin_with(tokenizer: PreTrainedTokenizerFast, token: str) -> None:
    id = tokenizer.convert_tokens_to_ids(token)  # noqa: A001
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{token} $A", special_tokens=[(token, id)]
    )
