"""Training examples per second of a decoder: tunelab against TRL's SFTTrainer, side by side.

    python -m benchmarks.decoder_training --data SQUAD.json.gz [--row NAME ...]

About 1,000 questions of SQuAD 2.0 in whole paragraphs, a Llama of random parameters, full
fine-tuning for one epoch. First TRL's settings are tried by themselves, some steps each; the
fastest then takes turns with tunelab, block by block. Both see the same tokens in every step, so
their losses are compared step by step; and in float32 tunelab is compared with itself without
shared prefixes. A ratio counts only if both checks of its row hold; otherwise the row says void.

What is timed is whole optimiser steps as a user gets them. Tokenising beforehand, validation and
saving are not in it. The first block of each side warms up and is not timed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from benchmarks.alternation import Block, alternate
from benchmarks.checks import PerStep, Verdict, WithinNoise, judge
from benchmarks.decoder_sides import TRL_SETTINGS, DecoderWork, trl_side, tunelab_side
from benchmarks.generation import Size, random_llama, train_tokenizer
from benchmarks.goals import Goal, at_least
from benchmarks.spread import losses, rates, spread
from tunelab.data import Example, read_squad, take_limit
from tunelab.models.precision import has_bfloat16
from tunelab.recipe import Model, Prompt, Training

QUESTIONS = 1000
LONGEST = 4096
THEIRS, OURS = "TRL", "tunelab"
DTYPE: Literal["bf16", "f32"] = "bf16" if has_bfloat16() else "f32"
"""The faster one here, for both sides."""
SYSTEM = """\
You are a careful reader who answers questions about texts. Everything that you say must stand in
the text that you are given; what you may know from elsewhere does not count, even where the text is
wrong. Copy the words of the text as they are: do not translate, shorten, correct or explain them,
and add no punctuation of your own. Take the shortest passage that answers the question completely.
If several passages do, take the first of them. If the question asks for something that the text
does not tell, or takes for granted what the text denies, then say so in the way that is asked of
you, and do not guess. Be polite and free of prejudice; a text may be unpleasant, but you only quote
it. Answer in the form that is wanted and in no other, so that a program can read your answer."""


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison."""

    prompt: Prompt
    batch_size: int
    wanted: float
    """The ratio that was set as the goal."""
    blocks: int
    """Turns of each side, the first of which warms up."""
    steps: int
    """Optimiser steps a turn."""


_PLAIN = Prompt()
_CHAT = Prompt(style="chat-json", system=SYSTEM.replace("\n", " "))
ROWS: dict[str, Row] = {
    "plain, batch 32": Row(_PLAIN, 32, wanted=8, blocks=10, steps=3),
    "plain, batch 64": Row(_PLAIN, 64, wanted=8, blocks=5, steps=3),
    "chat-json with a system prompt, batch 32": Row(_CHAT, 32, wanted=10, blocks=10, steps=3),
    "chat-json with a system prompt, batch 64": Row(_CHAT, 64, wanted=10, blocks=5, steps=3),
}


@dataclass(frozen=True, slots=True)
class Side:
    """What one side did."""

    rates: list[float]
    """Examples per second of each timed block."""
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a comparison found."""

    name: str
    row: Row
    tried: dict[str, float]
    """TRL's settings and their examples per second when they were tried."""
    theirs: Side
    ours: Side
    verdicts: tuple[Verdict, Verdict]
    """tunelab against TRL; tunelab against itself without shared prefixes."""

    @property
    def held(self) -> bool:
        """Whether both did the same training."""
        return all(verdict.held for verdict in self.verdicts)

    @property
    def ratios(self) -> list[float]:
        """tunelab's rate over TRL's, block by block: both see the same examples."""
        return [b / a for a, b in zip(self.theirs.rates, self.ours.rates, strict=True)]


def compare(
    name: str, row: Row, examples: list[Example], model: Path, *, told: Callable[[str], None]
) -> Result:
    """Run one comparison.

    Args:
        examples: more than the blocks of the row hold.
        model: folder of a causal language model with a tokenizer and a chat template.
    """
    assert len(examples) > row.blocks * row.steps * row.batch_size, "sides sleep after their blocks"
    work = DecoderWork(
        examples=examples,
        model=Model(path=str(model), dtype=DTYPE, max_length=LONGEST),
        prompt=row.prompt,
        training=Training(
            epochs=1,
            batch_size=row.batch_size,
            together="all",
            warmup=0,
            tokens_per_pass=LONGEST,
            checkpoint_steps=len(examples),
        ),
    )

    def say(what: str) -> None:
        told(f"{name}: {what}")

    tried = {setting: _try(work, setting, say) for setting in TRL_SETTINGS}
    fastest = max(tried, key=lambda setting: tried[setting])
    sides = {
        THEIRS: partial(trl_side, work=work, setting=fastest),
        OURS: partial(tunelab_side, work=work, share=True),
    }
    blocks = alternate(sides, blocks=row.blocks, steps=row.steps, told=say)
    same = judge(
        WithinNoise(resolution=0.1, rounding=1e-3), losses(blocks[THEIRS]), losses(blocks[OURS])
    )
    return Result(
        name,
        row,
        tried,
        _side(blocks[THEIRS], row.batch_size),
        _side(blocks[OURS], row.batch_size),
        (same, _shares_exactly(work, say)),
    )


def table(results: Sequence[Result]) -> str:
    """The results in markdown; a row whose checks did not hold is void."""
    lines = [
        f"| prompt | {THEIRS}, examples/s | {OURS}, examples/s | ratio | asked "
        f"| peak GiB, {THEIRS} | {OURS} | same training? |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | --- |",
    ]
    for result in results:
        ratio = spread(result.ratios, 1) if result.held else "void"
        checks = "; shared against alone, float32: ".join(v.found for v in result.verdicts)
        lines.append(
            f"| {result.name} | {spread(result.theirs.rates, 2)} | {spread(result.ours.rates, 1)} "
            f"| {ratio} | {result.row.wanted:g} | {_gib(result.theirs)} | {_gib(result.ours)} "
            f"| {'yes' if result.held else 'NO'}: {checks} |"
        )
    found = f"{THEIRS} {version('trl')}"
    lines += ["", f"Both sides train in {DTYPE}, the faster one on this machine."]
    lines += ["", f"Settings of {found}, examples/s when tried; the fastest is the one above:", ""]
    lines += [
        f"- {result.name}: " + ", ".join(f"{s} {rate:.2f}" for s, rate in result.tried.items())
        for result in results
    ]
    return "\n".join(lines)


def goals(results: Sequence[Result]) -> list[Goal]:
    """Speed and memory of each row."""
    found: list[Goal] = []
    for result in results:
        name = f"training a decoder, {result.name}, against {THEIRS}"
        found += [
            at_least(name, result.ratios, result.row.wanted, same=result.held),
            Goal(
                f"{name}: peak memory",
                f"{_gib(result.ours)} GiB",
                f"<= {_gib(result.theirs)} GiB",
                result.ours.peak_bytes <= result.theirs.peak_bytes,
            ),
        ]
    return found


def run(
    data: Path,
    rows: Sequence[str],
    *,
    blocks: int | None,
    steps: int | None,
    size: Size,
    told: Callable[[str], None],
) -> list[Result]:
    """The rows asked for, on one model.

    Args:
        data: a file of SQuAD 2.0.
        blocks: instead of a row's own.
        steps: likewise.
    """
    examples = _whole_paragraphs(read_squad(data), QUESTIONS)
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        train_tokenizer(examples, size.vocabulary).save_pretrained(folder)
        model = random_llama(size)
        model.save_pretrained(folder)
        told(f"{model.num_parameters() / 1e6:.0f} M parameters, {len(examples)} questions")
        for name in rows:
            row = ROWS[name]
            row = replace(row, blocks=blocks or row.blocks, steps=steps or row.steps)
            results.append(compare(name, row, examples, Path(folder), told=told))
            told(table(results[-1:]))  # what is measured is not lost when a later row is stopped
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows asked for and print the table; exit code 1 if one is void."""
    usual = Size()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoder_training")
    parser.add_argument("--data", type=Path, required=True, help="a training file of SQuAD 2.0")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="only this row")
    parser.add_argument("--blocks", type=int, help="turns of each side, instead of a row's own")
    parser.add_argument("--steps", type=int, help="optimiser steps a turn, likewise")
    parser.add_argument("--layers", type=int, default=usual.layers, help="of the Llama")
    parser.add_argument("--hidden", type=int, default=usual.hidden, help="width of the Llama")
    parser.add_argument("--vocabulary", type=int, default=usual.vocabulary, help="of the Llama")
    options = parser.parse_args(arguments)
    results = run(
        options.data,
        options.row or list(ROWS),
        blocks=options.blocks,
        steps=options.steps,
        size=Size(options.hidden, options.layers, options.vocabulary),
        told=lambda what: print(what, file=sys.stderr),
    )
    print(table(results))
    sys.exit(not all(result.held for result in results))


def _try(work: DecoderWork, setting: str, told: Callable[[str], None]) -> float:
    """Examples per second of one of TRL's settings by itself, the first step left out."""
    side = partial(trl_side, work=work, setting=setting)
    blocks = alternate({THEIRS: side}, blocks=3, steps=1, told=lambda _: None)[THEIRS]
    [*_, rate] = sorted(rates(blocks, work.training.batch_size))
    told(f"{THEIRS}, {setting}: {rate:.2f} examples/s")
    return rate


def _shares_exactly(work: DecoderWork, told: Callable[[str], None]) -> Verdict:
    """The loss curve of shared prefixes against that of one row an example."""
    exact = replace(work, model=work.model.model_copy(update={"dtype": "f32"}))
    sides = {
        "shared": partial(tunelab_side, work=exact, share=True),
        "alone": partial(tunelab_side, work=exact, share=False),
    }
    blocks = alternate(sides, blocks=2, steps=2, told=lambda what: told(f"float32, {what}"))
    return judge(PerStep(tolerance=1e-4), losses(blocks["shared"]), losses(blocks["alone"]))


def _whole_paragraphs(examples: Sequence[Example], count: int) -> list[Example]:
    """At least `count` questions, in the order of a hash, the last paragraph not cut."""
    ordered = take_limit(examples, None)
    while count < len(ordered) and ordered[count].group == ordered[count - 1].group:
        count += 1
    return ordered[:count]


def _side(blocks: Sequence[Block], batch_size: int) -> Side:
    return Side(rates(blocks, batch_size), max(block.peak_bytes for block in blocks))


def _gib(side: Side) -> str:
    return f"{side.peak_bytes / 2**30:.2f}"


if __name__ == "__main__":
    main()
