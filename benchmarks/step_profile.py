"""Where the time of a decoder's training step goes, and how much of the machine it uses.

The peak is what the machine reaches in one large matrix product of the same precision, measured
between the steps. The work of a step is counted by torch (`FlopCounterMode`: matrix products as
they were called, forwards and backwards, products that are done again included), so a step that
computes less because prefixes are shared is not credited with what it left out. Fused attention on
a CPU is not in torch's count: what stands here is a little less than what was done.

The width is one at which a product of the step is large enough for the peak to be reachable.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.decoder_sides import SEED
from benchmarks.generation import Size, random_llama, train_tokenizer
from benchmarks.goals import Goal, Outcome
from benchmarks.spread import spread
from tunelab.data import read_squad, take_limit
from tunelab.models.decoder import load_decoder
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import FullTuning, Model, Prompt, Training
from tunelab.training.answers import AnswerBatch, AnswerObjective
from tunelab.training.optimizers import make_optimizer
from tunelab.tuning import apply_tuning

SIZE = Size(hidden=1024, layers=4, vocabulary=16_384)
BATCH, STEPS, WIDTH = 32, 6, 2048
ASKED = 0.6
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul", "attention")


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured."""

    parameters: int
    dtype: str
    peak: list[float]
    """Products' floating-point operations per second."""
    reached: list[float]
    """Those of the step, likewise."""
    share: float
    """Of processor time in matrix products and attention."""


def measure(squad: Path, dtype: str) -> Profile:
    """Some steps of full fine-tuning on questions of `squad` in whole paragraphs.

    Args:
        dtype: bf16 or f32.
    """
    examples = take_limit(read_squad(squad), BATCH * STEPS)
    with tempfile.TemporaryDirectory() as folder:
        train_tokenizer(examples, SIZE.vocabulary).save_pretrained(folder)
        random_llama(SIZE).save_pretrained(folder)
        model = Model.model_validate({"path": folder, "dtype": dtype, "max_length": 4096})
        decoder = load_decoder(model, seed=SEED)
    encoded = Prompter(decoder.tokenizer, Prompt()).encode_all(examples, max_length=None).encoded
    settings = Training(batch_size=BATCH, tokens_per_pass=4096)
    tuned = apply_tuning(decoder.model, FullTuning(kind="full"), total_steps=STEPS, seed=SEED)
    AcceleratorState._reset_state(reset_partial_state=True)  # as in a process of its own
    accelerator = Accelerator(mixed_precision="bf16" if dtype == "bf16" else "no")
    groups = [example.group for example in examples]
    objective = AnswerObjective(
        tuned, groups, encoded, settings, accelerator=accelerator, share=True
    )
    trained = list(tuned.trained_parameters().values())
    optimizer = make_optimizer(settings, tuned.parameter_groups(1e-4, 0.01))
    tuned.model.train()

    def step(number: int) -> None:
        batch: AnswerBatch = objective.batch(range(BATCH * number, BATCH * (number + 1)))
        [rows] = batch.passes(processes=1)
        for loss_sum in rows:
            accelerator.backward(loss_sum() / batch.targets)
        accelerator.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step(0)  # warms up
    peak, reached = [], []
    for number in range(1, STEPS - 1):
        with FlopCounterMode(display=False) as counted:
            step(number)
        peak.append(_peak(torch.bfloat16 if dtype == "bf16" else torch.float32))
        reached.append(counted.get_total_flops() / _seconds(lambda n=number: step(n)))
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step(STEPS - 1)
    return Profile(tuned.checkpoint.num_parameters(), dtype, peak, reached, _share(profiled))


def shares_of_peak(squad: Path) -> Outcome:
    """In both precisions."""
    lines = [
        "| full fine-tuning of a Llama, precision | peak, GFLOP/s | in a training step | "
        "share of the peak | asked | processor time in matrix products |",
        "| --- | --- | --- | --- | ---: | ---: |",
    ]
    goals: list[Goal] = []
    for dtype in ("bf16", "f32"):
        found = measure(squad, dtype)
        shares = [a / b for a, b in zip(found.reached, found.peak, strict=True)]
        lines.append(
            f"| {found.parameters / 1e6:.0f} M parameters, width {SIZE.hidden}, {dtype} "
            f"| {spread([each / 1e9 for each in found.peak], 0)} "
            f"| {spread([each / 1e9 for each in found.reached], 0)} "
            f"| {spread(shares, 2)} | {ASKED} | {100 * found.share:.0f} % |"
        )
        goals.append(
            Goal(
                f"training step in {dtype}, share of the measured peak",
                spread(shares, 2),
                f">= {ASKED}",
                statistics.median(shares) >= ASKED,
            )
        )
    return Outcome("\n".join(lines), True, goals)


def _peak(dtype: torch.dtype) -> float:
    a = torch.randn(WIDTH, WIDTH).to(dtype)
    b = torch.randn(WIDTH, WIDTH).to(dtype)
    return 2 * WIDTH**3 / statistics.median(_seconds(lambda: a @ b) for _ in range(9))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _share(profiled: profile) -> float:
    averages = profiled.key_averages()
    total = sum(row.self_cpu_time_total for row in averages)
    products = sum(row.self_cpu_time_total for row in averages if _is_product(row.key))
    return products / total


def _is_product(name: str) -> bool:
    return any(part in name.split("::")[-1].lower() for part in _PRODUCTS)
