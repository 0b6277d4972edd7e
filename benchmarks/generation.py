"""Questions answered per second: a token tree against transformers' `generate`.

    python -m benchmarks.generation --data SQUAD.json.gz [--row NAME ...] [--questions 500]

One model, a Llama with random weights, answers all questions of paragraphs drawn at random from a
SQuAD file, greedily and in float32, in three ways that take turns paragraph by paragraph:

    one at a time    `model.generate`, each question by itself
    left-padded      `model.generate` on batches, questions sorted by length
    tunelab          `tunelab.tokentree.generation.generate`

A random model never says when it has finished. So some of its tokens are declared to end answers,
just so many that answers are on average as long as real ones in the same style. A row's ratios
count only if tunelab's tokens are those of one question at a time: they may part where the two best
tokens were closer than rounding, and such places are counted. Loading and tokenising are not timed;
the first block of each way warms up and is not timed either.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.goals import Goal, at_least
from benchmarks.spread import spread
from tunelab.data import Example, read_squad
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Prompt
from tunelab.tokentree.decoding import Decoding
from tunelab.tokentree.generation import generate

SEED = 0
CLOSE = 1e-4
"""Logits that differ by less may change places through rounding."""
QUESTIONS, BLOCKS = 500, 10
CALIBRATED = 24
"""Questions whose answers tell which tokens shall end answers."""
ROWS: dict[str, Prompt] = {
    "plain": Prompt(),
    "chat-json": Prompt(style="chat-json", system="You answer questions about a text."),
}
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A model and how it is asked."""

    hidden: int = 512
    layers: int = 8
    vocabulary: int = 16_384
    batch: int = 16
    """Questions of a left-padded batch."""
    tokens_per_pass: int = 2048
    """tunelab's."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a comparison found."""

    name: str
    parameters: int
    new_tokens: float
    """Mean tokens of an answer."""
    seconds: dict[str, list[float]]
    """Of each way and timed block."""
    questions: list[int]
    """Of each timed block."""
    answered: int
    close: int
    """Answers that part where the two best tokens are closer than CLOSE."""
    wrong: int
    """Answers that part elsewhere."""

    def rates(self, way: str) -> list[float]:
        """Questions per second of each timed block."""
        return [n / s for n, s in zip(self.questions, self.seconds[way], strict=True)]

    def ratios(self, way: str) -> list[float]:
        """tunelab's rate over another's, block by block."""
        return [b / a for a, b in zip(self.rates(way), self.rates(OURS), strict=True)]


ONE, PADDED, OURS = "one at a time", "left-padded", "tunelab"
WANTED = {ONE: 10.0, PADDED: 4.0}
"""Times the speed of each way."""


def compare(
    name: str,
    prompt: Prompt,
    data: Path,
    *,
    size: Size,
    questions: int,
    blocks: int,
    told: Callable[[str], None],
) -> Result:
    """Let the three ways answer the same paragraphs by turns."""
    examples = draw_paragraphs(read_squad(data), questions)
    tokenizer = train_tokenizer(examples, size.vocabulary)
    model = random_llama(size)
    prompter = Prompter(tokenizer, prompt)
    encoded = prompter.encode_all(examples, max_length=None).encoded
    lengths = [sum(each.targets) for each in encoded]
    asked = dict(zip([e.id for e in examples], prompter.prompts_of(examples), strict=True))
    some = list(asked.values())[:: max(1, len(asked) // CALIBRATED)]
    stops = stops_like(
        answer_with_tree(
            model, tokenizer, some, stops=frozenset(), longest=max(lengths), size=size
        ),
        wanted=statistics.fmean(lengths),
    )
    told(f"{name}: answers of {statistics.fmean(lengths):.1f} tokens, at most {max(lengths)}")
    ways: dict[str, Callable[[Sequence[Tokens]], list[Tokens]]] = {
        ONE: lambda prompts: answer_one_by_one(model, prompts, stops, max(lengths)),
        PADDED: lambda prompts: answer_padded(model, prompts, stops, max(lengths), size.batch),
        OURS: lambda prompts: answer_with_tree(
            model, tokenizer, prompts, stops=stops, longest=max(lengths), size=size
        ),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    counts: list[int] = []
    answers: dict[str, list[Tokens]] = {way: [] for way in ways}
    for number, block in enumerate(cut_blocks(examples, blocks)):
        prompts = [asked[example.id] for example in block]
        counts.append(len(prompts))
        for way, answer in ways.items():
            began = time.perf_counter()
            answers[way] += answer(prompts)
            seconds[way].append(time.perf_counter() - began)
        told(f"{name}: block {number + 1} of {blocks}")
    gaps = [
        gap(model, prompt, ours, theirs)
        for prompt, ours, theirs in zip(asked.values(), answers[OURS], answers[ONE], strict=True)
        if ours != theirs
    ]
    return Result(
        name,
        parameters=model.num_parameters(),
        new_tokens=statistics.fmean(map(len, answers[ONE])),
        seconds={way: each[1:] for way, each in seconds.items()},
        questions=counts[1:],
        answered=len(asked),
        close=sum(found < CLOSE for found in gaps),
        wrong=sum(found >= CLOSE for found in gaps),
    )


def answer_one_by_one(
    model: LlamaForCausalLM, prompts: Sequence[Tokens], stops: frozenset[int], longest: int
) -> list[Tokens]:
    """Each question by itself."""
    return [answer_padded(model, [prompt], stops, longest, 1)[0] for prompt in prompts]


def answer_padded(
    model: LlamaForCausalLM,
    prompts: Sequence[Tokens],
    stops: frozenset[int],
    longest: int,
    batch: int,
) -> list[Tokens]:
    """Batches of about equally long prompts, filled up on the left."""
    answers: dict[int, Tokens] = {}
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for first in range(0, len(order), batch):
        members = order[first : first + batch]
        width = max(len(prompts[index]) for index in members)
        rows = [[0] * (width - len(prompts[index])) + list(prompts[index]) for index in members]
        mask = [[int(place >= width - len(prompts[i])) for place in range(width)] for i in members]
        output = model.generate(  # pyright: ignore[reportAttributeAccessIssue]
            torch.tensor(rows),
            attention_mask=torch.tensor(mask),
            do_sample=False,
            max_new_tokens=longest,
            eos_token_id=sorted(stops),
            pad_token_id=0,
        )
        for index, row in zip(members, output[:, width:].tolist(), strict=True):
            end = next((place for place, token in enumerate(row) if token in stops), len(row))
            answers[index] = tuple(row[: end + 1])
    return [answers[index] for index in range(len(prompts))]


def answer_with_tree(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Tokens],
    *,
    stops: frozenset[int],
    longest: int,
    size: Size,
) -> list[Tokens]:
    """All questions that fit a pass together."""
    found = generate(
        model,
        tokenizer,
        prompts,
        Decoding(max_new_tokens=longest, stop_ids=stops),
        tokens_per_pass=size.tokens_per_pass,
        advance=lambda _: None,
    )
    return [each.ids for each in found]


@torch.inference_mode()
def gap(model: LlamaForCausalLM, prompt: Tokens, ours: Tokens, theirs: Tokens) -> float:
    """How far the two best tokens are apart where two answers part."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    common = next((i for i, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    logits = model(torch.tensor([[*prompt, *ours[:common]]]), logits_to_keep=1).logits[0, -1]
    best = logits.topk(2).values
    return float(best[0] - best[1])


def stops_like(answers: Sequence[Tokens], *, wanted: float) -> frozenset[int]:
    """Tokens that cut endless answers down to the wanted mean length, in a random order of them."""
    said = sorted({token for answer in answers for token in answer})
    random.Random(SEED).shuffle(said)
    stops: set[int] = set()

    def length(answer: Tokens) -> int:
        return next((i + 1 for i, token in enumerate(answer) if token in stops), len(answer))

    for token in said:
        if statistics.fmean(map(length, answers)) <= wanted:
            break
        stops.add(token)
    return frozenset(stops)


def draw_paragraphs(examples: Sequence[Example], questions: int) -> list[Example]:
    """Whole paragraphs at random, until they have so many questions."""
    paragraphs = [list(members) for _, members in groupby(examples, key=lambda each: each.group)]
    random.Random(SEED).shuffle(paragraphs)
    drawn: list[Example] = []
    for paragraph in paragraphs:
        if len(drawn) >= questions:
            break
        drawn += paragraph
    return drawn


def cut_blocks(examples: Sequence[Example], blocks: int) -> list[list[Example]]:
    """Whole paragraphs in blocks of about equally many questions."""
    cut: list[list[Example]] = [[] for _ in range(blocks)]
    done = 0
    for _, members in groupby(examples, key=lambda each: each.group):
        paragraph = list(members)
        cut[min(done * blocks // len(examples), blocks - 1)] += paragraph
        done += len(paragraph)
    return [block for block in cut if block]


def train_tokenizer(examples: Sequence[Example], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte pairs of the texts at hand, so that a word is about as many tokens as it usually is."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = sorted({text for each in examples for text in (each.context, each.question)})
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=CHAT_TEMPLATE,
    )


def random_llama(size: Size, *, positions: int = 4096) -> LlamaForCausalLM:
    """In the proportions of small Llamas: four query heads to a key, three-fold inner width."""
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=3 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.hidden // 64,
        num_key_value_heads=max(1, size.hidden // 256),
        max_position_embeddings=positions,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


def table(results: Sequence[Result]) -> str:
    """The results in markdown; a row whose answers differ is void."""
    lines = [
        f"| prompt | {ONE}, questions/s | {PADDED} | {OURS} | ratios | same answers? |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        ratios = f"{spread(result.ratios(ONE), 1)}; {spread(result.ratios(PADDED), 1)}"
        answer = "NO" if result.wrong else "yes"
        lines.append(
            f"| {result.name}, {result.parameters / 1e6:.0f} M parameters, {result.new_tokens:.1f} "
            f"new tokens | {spread(result.rates(ONE), 2)} | {spread(result.rates(PADDED), 2)} "
            f"| {spread(result.rates(OURS), 2)} | {'void' if result.wrong else ratios} "
            f"| {answer}: of {result.answered}, {result.close} part where the best two tokens "
            f"differ by less than {CLOSE:.0e}, {result.wrong} elsewhere |"
        )
    return "\n".join(lines)


def goals(results: Sequence[Result]) -> list[Goal]:
    """Both ratios of each row."""
    return [
        at_least(
            f"answering, {result.name}, against {way}",
            result.ratios(way),
            wanted,
            same=not result.wrong,
        )
        for result in results
        for way, wanted in WANTED.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows asked for and print the table; exit code 1 if one is void."""
    size = Size()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation")
    parser.add_argument("--data", type=Path, required=True, help="a SQuAD file")
    parser.add_argument("--row", choices=ROWS, action="append", help="all if left out")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="the first of them warms up")
    parser.add_argument("--hidden", type=int, default=size.hidden)
    parser.add_argument("--layers", type=int, default=size.layers)
    parser.add_argument("--vocabulary", type=int, default=size.vocabulary)
    parser.add_argument("--batch", type=int, default=size.batch, help="of the left-padded way")
    parser.add_argument("--tokens-per-pass", type=int, default=size.tokens_per_pass)
    options = parser.parse_args(arguments)
    size = Size(
        hidden=options.hidden,
        layers=options.layers,
        vocabulary=options.vocabulary,
        batch=options.batch,
        tokens_per_pass=options.tokens_per_pass,
    )
    results = [
        compare(
            name,
            ROWS[name],
            options.data,
            size=size,
            questions=options.questions,
            blocks=options.blocks,
            told=lambda what: print(what, file=sys.stderr),
        )
        for name in options.row or ROWS
    ]
    print(table(results))
    sys.exit(any(result.wrong for result in results))


if __name__ == "__main__":
    main()
