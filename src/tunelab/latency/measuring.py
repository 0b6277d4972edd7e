"""Measures one model in a process of its own, so that memory is its own and so is a kill.

Prompts are random tokens: what a model makes of them takes as long as what it makes of words. The
questions of a batch share their paragraph, which is read once, as everywhere in tunelab.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from tunelab.errors import TunelabError, UsageError
from tunelab.latency.case import Case, Failed, Held, Load, Measured, Timing, precision
from tunelab.latency.shapes import Shape
from tunelab.models.loading import load_weights
from tunelab.models.virtual import VirtualTokens
from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import Model, NoTuning
from tunelab.runs.decoding import DecoderFamily
from tunelab.runs.encoding import EncoderFamily
from tunelab.runs.source import find_source, in_precision, load_source
from tunelab.tokentree.attention import can_share
from tunelab.tokentree.growth import GrowingTree, Growth, SeparateBranches
from tunelab.tokentree.tree import build_tree
from tunelab.training.meters import MemoryMeter
from tunelab.tuning import TunedModel

Once = Callable[[int], tuple[float | None, float]]
"""A batch -> seconds until the first tokens, and for the rest."""


def measure(case: Case, load: Load) -> Measured | Failed:
    """Load a model and time it; what can go wrong for a user is told as a failure."""
    torch.manual_seed(0)
    memory = MemoryMeter()
    try:
        return _measure(case, load, memory)
    except TunelabError as error:
        return Failed(str(error).replace("\n", " "))
    except (torch.OutOfMemoryError, MemoryError):
        return Failed("out of memory")


@torch.inference_mode()
def _measure(case: Case, load: Load, memory: MemoryMeter) -> Measured:
    if isinstance(case.source, Shape):
        model = _random(case.source, case.held)
        once, whole = _writing(model, None, load), model
    else:
        family = load_source(in_precision(find_source(case.source), precision(case.held)))
        tuned = _merged(family.tuned) if case.merged else family.tuned
        whole = tuned.model.eval()
        if isinstance(family, DecoderFamily):
            once = _writing(tuned.checkpoint, tuned.virtual(), load)
        else:
            once = _pointing(family, load)
    timings: list[Timing] = []
    for batch in load.batches:
        for _ in range(load.warmup):
            once(batch)
        found = [once(batch) for _ in range(load.repeats)]
        first = tuple(seconds for seconds, _ in found if seconds is not None)
        tokens = batch * (load.answer_tokens - 1) if first else 0
        timings.append(Timing(batch, tokens, first, tuple(rest for _, rest in found)))
    return Measured(
        parameters=sum(p.numel() for p in whole.parameters()),
        weight_bytes=_bytes(whole),
        peak_bytes=memory.peak_bytes(),
        timings=tuple(timings),
    )


def _writing(model: PreTrainedModel, virtual: VirtualTokens | None, load: Load) -> Once:
    """Times a decoder that writes."""
    vocabulary = model.config.get_text_config().vocab_size

    def once(batch: int) -> tuple[float, float]:
        if can_share(model) is None:
            prompts = _prompts(vocabulary, batch, load)
            tree = build_tree([EncodedExample(ids, (False,) * len(ids)) for ids in prompts])
            return _write(GrowingTree(model, tree, virtual=virtual), batch, load, model.device)
        seconds = [
            _write(SeparateBranches(model, ids, virtual=virtual), 1, load, model.device)
            for ids in _prompts(vocabulary, batch, load)
        ]
        return sum(first for first, _ in seconds), sum(rest for _, rest in seconds)

    return once


def _write(
    branches: GrowingTree | SeparateBranches, count: int, load: Load, device: torch.device
) -> tuple[float, float]:
    """Greedy answers that nothing ends: seconds until their first tokens, and for the rest."""
    began = _now(device)
    logits = branches.begin()
    tokens = _likeliest(logits)
    first = _now(device)
    for _ in range(load.answer_tokens - 1):
        logits = branches.grow(Growth(list(range(count)), tokens))
        tokens = _likeliest(logits)
    return first - began, _now(device) - first


def _pointing(family: EncoderFamily, load: Load) -> Once:
    """Times an encoder that points: a window a question."""
    model = family.tuned.checkpoint
    length = load.paragraph_tokens + load.question_tokens
    vocabulary = model.config.get_text_config().vocab_size

    def once(batch: int) -> tuple[None, float]:
        ids = torch.randint(vocabulary, (batch, length), device=model.device)
        began = _now(model.device)
        family.tuned.span_logits(ids, torch.ones_like(ids), torch.zeros_like(ids))
        return None, _now(model.device) - began

    return once


def _prompts(vocabulary: int, batch: int, load: Load) -> list[tuple[int, ...]]:
    paragraph = torch.randint(vocabulary, (load.paragraph_tokens,)).tolist()
    questions = torch.randint(vocabulary, (batch, load.question_tokens))
    questions[:, 0] = torch.arange(batch) % vocabulary  # no two begin alike
    return [(*paragraph, *question) for question in questions.tolist()]


def _likeliest(logits: Tensor) -> list[int]:
    return logits.argmax(dim=1).tolist()


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _random(shape: Shape, held: Held) -> PreTrainedModel:
    """A decoder of a shape with random weights, on the accelerator if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    match held:
        case "f32" | "bf16":
            dtype = torch.float32 if held == "f32" else torch.bfloat16
            model: PreTrainedModel = AutoModelForCausalLM.from_config(shape.config(), dtype=dtype)
        case "int8" | "nf4":
            with tempfile.TemporaryDirectory() as folder:
                drawn = AutoModelForCausalLM.from_config(shape.config(), dtype=torch.bfloat16)
                drawn.save_pretrained(Path(folder))
                del drawn
                settings = Model(path=folder, quantize=held)
                model, _ = load_weights(AutoModelForCausalLM, settings, seed=0)
        case _:
            raise UsageError(
                f"{held} is made with a calibration text, which random weights have no use for.",
                hint="Measure nf4 or int8, or a checkpoint that is quantised already.",
            )
    torch.nn.Module.to(model, device)
    return model.eval()


def _merged(tuned: TunedModel) -> TunedModel:
    """The adapter merged into its base.

    Raises:
        UsageError: there is none, or it is no change of weights.
    """
    if isinstance(tuned.model, PreTrainedModel) or tuned.virtual_tokens:
        raise UsageError("There is no adapter that could be merged: virtual tokens, or none.")
    merged = tuned.adapted.merge_and_unload()
    assert isinstance(merged, PreTrainedModel)
    return TunedModel(merged.eval(), NoTuning(kind="none"), frozenset())


def _bytes(model: nn.Module) -> int:
    held = {id(t): t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers())}
    return sum(held.values())
