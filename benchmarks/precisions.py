"""What a precision and a method cost: bytes, peak memory, time of a step, tokens per second.

    python -m benchmarks.precisions --data SQUAD.json.gz [--row NAME ...]

A Llama of random parameters, questions of SQuAD 2.0 in whole paragraphs. All rows of a table take
turns, block by block, each in a process of its own; the first block of each warms up and is not
timed. Trained are whole optimiser steps as a user gets them. While answering, every question is
continued by the same number of tokens, which makes the work of all precisions the same.

Quality is not measured: a random model has none. That is what recipes/small/precisions*.yaml are
for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from benchmarks.alternation import Baton, Block, Side, alternate
from benchmarks.decoder_sides import SEED, DecoderWork
from benchmarks.generation import Size, draw_paragraphs, random_llama, train_tokenizer
from benchmarks.spread import spread
from tunelab.data import read_squad
from tunelab.models.decoder import load_decoder
from tunelab.models.quantise_held import held_bytes
from tunelab.recipe import FullTuning, LoraTuning, Model, Precision, Prompt, Training, Tuning

QUESTIONS = 600
BATCH = 8
TOKENS = 16
"""That every question is continued by."""
LONGEST = 2048
BLOCKS, STEPS = 6, 2

_LORA = LoraTuning(kind="lora")
_DORA = LoraTuning(kind="lora", dora=True)
TRAININGS: dict[str, tuple[Precision, Tuning]] = {
    "full": ("none", FullTuning(kind="full")),
    "LoRA": ("none", _LORA),
    "DoRA": ("none", _DORA),
    "LoRA on int8": ("int8", _LORA),
    "QLoRA (nf4)": ("nf4", _LORA),
    "QDoRA (nf4)": ("nf4", _DORA),
    "LoRA on gptq-int4": ("gptq-int4", _LORA),
}
ANSWERING: tuple[Precision, ...] = ("none", "int8", "nf4", "gptq-int8", "gptq-int4")
ROWS: tuple[str, ...] = (*TRAININGS, *ANSWERING)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a side knows of its model."""

    held_bytes: int
    """Of all weights, adapter included."""
    trained_parameters: int
    saved_bytes: int
    """Of what a run stores."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one row did, without its first block."""

    facts: Facts
    blocks: list[Block]

    @property
    def step_milliseconds(self) -> list[float]:
        """Mean of each block."""
        return [1000 * block.seconds / len(block.losses) for block in self.blocks[1:]]

    @property
    def tokens_per_second(self) -> list[float]:
        """Of each block; a step of an answering side tells how many it wrote."""
        return [sum(block.losses) / block.seconds for block in self.blocks[1:]]

    @property
    def peak(self) -> str:
        """In GiB."""
        return f"{max(block.peak_bytes for block in self.blocks) / 2**30:.2f}"


def training_side(baton: Baton, *, work: DecoderWork, tuning: Tuning, facts: Path) -> None:
    """What `tunelab run` does between loading and saving; what it would save is weighed first."""
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    from benchmarks.turns import train_in_turns
    from tunelab.prompts.prompter import Prompter
    from tunelab.training.answers import AnswerObjective
    from tunelab.tuning import apply_tuning

    baton.imported()
    set_seed(SEED)
    accelerator = Accelerator()
    decoder = load_decoder(work.model, seed=SEED)
    found = Prompter(decoder.tokenizer, work.prompt).encode_all(work.examples, max_length=LONGEST)
    tuned = apply_tuning(decoder.model, tuning, total_steps=len(work.examples), seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        saved = sum(path.stat().st_size for path in tuned.save(Path(folder)).rglob("*.safetensors"))
    trained = sum(each.numel() for each in tuned.trained_parameters().values())
    known = Facts(held_bytes(tuned.model), trained, saved)
    facts.write_text(json.dumps(asdict(known)))
    groups = [example.group for example in found.examples]
    objective = AnswerObjective(
        tuned, groups, found.encoded, work.training, accelerator=accelerator, share=True
    )
    train_in_turns(tuned, objective, work.training, accelerator=accelerator, seed=SEED, baton=baton)


def answering_side(baton: Baton, *, work: DecoderWork, facts: Path) -> None:
    """Continue the questions of one paragraph after another, all of a paragraph together."""
    from tunelab.prompts.prompter import Prompter
    from tunelab.tokentree.decoding import Decoding
    from tunelab.tokentree.generation import generate

    baton.imported()
    decoder = load_decoder(work.model, seed=SEED)
    prompter = Prompter(decoder.tokenizer, work.prompt)
    facts.write_text(json.dumps(asdict(Facts(held_bytes(decoder.model), 0, 0))))
    decoding = Decoding(max_new_tokens=TOKENS, stop_ids=frozenset())
    baton.wait()
    for _, questions in groupby(work.examples, key=lambda example: example.group):
        written = generate(
            decoder.model, decoder.tokenizer, prompter.prompts_of(list(questions)), decoding,
            tokens_per_pass=LONGEST, advance=lambda _: None,
        )  # fmt: skip
        baton.step(sum(len(each.ids) for each in written))


def run(
    data: Path,
    rows: Sequence[str],
    *,
    blocks: int,
    steps: int,
    size: Size,
    told: Callable[[str], None],
) -> tuple[str, dict[str, Measured], dict[str, Measured]]:
    """Measure the rows of both tables; returns the model in words, trainings and precisions.

    Args:
        data: a file of SQuAD 2.0.
        rows: of `ROWS`.
        blocks: turns of each side, the first of which warms up.
        steps: optimiser steps, or paragraphs, a turn.
        size: of the Llama.
    """
    examples = draw_paragraphs(read_squad(data), QUESTIONS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["TUNELAB_CACHE"] = str(folder / "cache")  # GPTQ bases are made anew
        train_tokenizer(examples, size.vocabulary).save_pretrained(folder)
        llama = random_llama(size)
        llama.save_pretrained(folder)
        model = f"A Llama of {llama.num_parameters() / 1e6:.0f} million random parameters"
        del llama
        text = folder / "calibration.txt"
        contexts = {" ".join(example.context.split()): None for example in examples}
        text.write_text("\n".join(contexts), encoding="utf-8")
        work = DecoderWork(
            examples=examples,
            model=Model(path=str(folder), max_length=LONGEST, calibration=str(text)),
            prompt=Prompt(),
            training=Training(
                epochs=1, batch_size=BATCH, warmup=0, tokens_per_pass=LONGEST,
                checkpoint_steps=len(examples),
            ),
        )  # fmt: skip
        trainings, precisions = _sides(work, rows, folder)
        return (
            model,
            _measure(trainings, folder, blocks, steps, told, "training"),
            _measure(precisions, folder, blocks, steps, told, "answering"),
        )


def table(model: str, trainings: Mapping[str, Measured], precisions: Mapping[str, Measured]) -> str:
    """Both tables in markdown; ratios are block by block."""
    lines = [f"{model}, questions of SQuAD 2.0, float32 where nothing else is said."]
    if trainings:
        lines += [
            "",
            f"Training, {BATCH} questions a step, prefixes shared:",
            "",
            "| method | trained | stored, MB | weights held, MB | ms a step | times LoRA "
            "| peak GiB |",
            "| --- | ---: | ---: | ---: | --- | --- | ---: |",
        ]
        usual = trainings["LoRA"].step_milliseconds
        lines += [
            f"| {name} | {row.facts.trained_parameters:,} | {_mb(row.facts.saved_bytes)} "
            f"| {_mb(row.facts.held_bytes)} | {spread(row.step_milliseconds, 0)} "
            f"| {_ratio(row.step_milliseconds, usual)} | {row.peak} |"
            for name, row in trainings.items()
        ]
    if precisions:
        lines += [
            "",
            f"Answering, {TOKENS} tokens a question, all questions of a paragraph together; on "
            "disk the weights take what they take in memory:",
            "",
            "| precision | weights, MB | tokens/s | times none | peak GiB |",
            "| --- | ---: | --- | --- | ---: |",
        ]
        plain = precisions["none"].tokens_per_second
        lines += [
            f"| {name} | {_mb(row.facts.held_bytes)} | {spread(row.tokens_per_second, 1)} "
            f"| {_ratio(row.tokens_per_second, plain)} | {row.peak} |"
            for name, row in precisions.items()
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows asked for, and LoRA and none with them, and print the tables."""
    usual = Size()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precisions")
    parser.add_argument("--data", type=Path, required=True, help="a training file of SQuAD 2.0")
    parser.add_argument("--row", action="append", choices=ROWS, help="only this row")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="turns of each side")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps a turn")
    parser.add_argument("--layers", type=int, default=usual.layers, help="of the Llama")
    parser.add_argument("--hidden", type=int, default=usual.hidden, help="width of the Llama")
    parser.add_argument("--vocabulary", type=int, default=usual.vocabulary, help="of the Llama")
    options = parser.parse_args(arguments)
    found = run(
        options.data,
        options.row or ROWS,
        blocks=options.blocks,
        steps=options.steps,
        size=Size(options.hidden, options.layers, options.vocabulary),
        told=lambda what: print(what, file=sys.stderr, flush=True),
    )
    print(table(*found))


def _sides(
    work: DecoderWork, rows: Sequence[str], folder: Path
) -> tuple[dict[str, Side], dict[str, Side]]:
    """The rows asked for of each table; where there is one, its reference too."""
    trainings = {name: each for name, each in TRAININGS.items() if name in rows}
    precisions: list[Precision] = [each for each in ANSWERING if each in rows]
    if trainings:
        trainings = {"LoRA": TRAININGS["LoRA"]} | trainings
    if precisions:
        precisions = [each for each in ANSWERING if each == "none" or each in precisions]
    held: set[Precision] = {precision for precision, _ in trainings.values()}
    held.update(precisions)
    for precision in sorted(held):
        if precision.startswith("gptq"):  # made once, here: making one takes memory and time
            load_decoder(_in(work, precision).model, seed=SEED)
    return (
        {
            name: partial(
                training_side, work=_in(work, precision), tuning=tuning, facts=_facts(folder, name)
            )
            for name, (precision, tuning) in trainings.items()
        },
        {
            precision: partial(
                answering_side, work=_in(work, precision), facts=_facts(folder, precision)
            )
            for precision in precisions
        },
    )


def _facts(folder: Path, name: str) -> Path:
    return folder / f"facts of {name}.json"


def _in(work: DecoderWork, precision: Precision) -> DecoderWork:
    return replace(work, model=work.model.model_copy(update={"quantize": precision}))


def _measure(
    sides: Mapping[str, Side],
    folder: Path,
    blocks: int,
    steps: int,
    told: Callable[[str], None],
    what: str,
) -> dict[str, Measured]:
    found = alternate(sides, blocks=blocks, steps=steps, told=lambda said: told(f"{what}: {said}"))
    return {
        name: Measured(Facts(**json.loads(_facts(folder, name).read_text())), done)
        for name, done in found.items()
    }


def _ratio(values: Sequence[float], usual: Sequence[float]) -> str:
    return spread([a / b for a, b in zip(values, usual, strict=True)], 2)


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f}"


if __name__ == "__main__":
    main()
