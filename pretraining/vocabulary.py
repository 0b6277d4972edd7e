"""The tokenizer: byte-level BPE with GPT-2's pre-tokeniser, trained on the pretraining text.

Most words are one token with a space before them and another without, and most answers one to four
tokens. Special tokens: beginning, end (of a text and of a turn), padding, and one for
each role of the chat template.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from pretraining.scenes import small_scene
from pretraining.sheet import write_sheet
from pretraining.story import tell
from tunelab.data.reading.draw import Draw

SIZE = 6144
BOS, EOS, PAD = "<|begin|>", "<|end|>", "<|pad|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL = (BOS, EOS, PAD, SYSTEM, USER, ASSISTANT)
CONTEXT = 2048

_SHEETS = 6000

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('The roles are system, user and assistant, not ' + message['role']) }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] | trim + eos_token + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


def train_tokenizer(*, seed: int) -> PreTrainedTokenizerFast:
    """The tokenizer, the same for the same seed."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(_text(seed), trainer)
    backend.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, SPECIAL.index(BOS))]
            ),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _text(seed: int) -> Iterator[str]:
    """Sheets of both kinds of story; their words again, each on a line of its own."""
    for number in range(_SHEETS):
        draw = Draw(f"vocabulary {seed} {number}")
        story = (
            tell(draw, facts=8, coined=0.25, untold=0.1)
            if number % 4 == 0
            else small_scene(draw, None, most=4)
        )
        sheet = write_sheet(draw, story)
        yield sheet.beginning
        yield from (f"{branch.prompt}{branch.answer}{branch.end}" for branch in sheet.branches[:3])
        yield "\n".join(sheet.beginning.split())
