"""Which methods work on a checkpoint: each is truly run, none is taken from a list of promises.

Every method that the installed PEFT knows, and every variant of LoRA that a recipe can ask for,
is applied with its default options to a fresh copy of the checkpoint, trained for a few optimiser
steps on a small batch of random tokens, watched, stored, loaded again and merged. One that fails
fails alone, and its reason is kept in one line. This tells what runs, not what learns well.
"""

from __future__ import annotations

import copy
import inspect
import io
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import peft
import torch
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from tunelab.errors import TunelabError, TuningError
from tunelab.models.quantise_held import bits_held, kept_for_backward, quantised_layers
from tunelab.models.virtual import VirtualInputs, VirtualKeys
from tunelab.recipe import Precision, schema
from tunelab.recipe.schema import Tuning
from tunelab.tuning.apply import apply_tuning, check_tuning
from tunelab.tuning.layers import is_decoder
from tunelab.tuning.methods import peft_methods
from tunelab.tuning.model import TunedModel
from tunelab.tuning.parity import reload_proofs
from tunelab.tuning.proofs import WATCHED_STEPS, TrainingWatch, count, raise_unless_held

STEPS = WATCHED_STEPS + 1
LEARNING_RATE = 1e-3
ROWS, LENGTH = 4, 64
_REASON = 200

_VARIANTS: tuple[Mapping[str, object], ...] = (
    {"kind": "full"},
    {"kind": "head"},
    {"kind": "lora"},
    {"kind": "lora", "dora": True},
    {"kind": "lora", "rslora": True},
    {"kind": "lora", "init": "gaussian"},
    {"kind": "lora", "init": "pissa"},
    {"kind": "lora", "init": "olora"},
    {"kind": "lora", "init": "orthogonal"},
    {"kind": "lora", "plus_ratio": 16},
    {"kind": "prefix"},
    {"kind": "prompt"},
    {"kind": "stack", "parts": [{"kind": "lora"}, {"kind": "prefix"}]},
)
_OURS: Mapping[str, type] = {
    "none": schema.NoTuning,
    "full": schema.FullTuning,
    "head": schema.HeadTuning,
    "lora": schema.LoraTuning,
    "prefix": schema.PrefixTuning,
    "prompt": schema.PromptTuning,
    "stack": schema.StackTuning,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """How one method fared."""

    method: str
    works: bool
    reason: str
    """Why it does not, in one line; empty where it works."""
    trained_parameters: int | None = None
    cpu_seconds_per_step: float | None = None
    """Processor time, all threads together, of the fastest step after the first."""
    stored_bytes: int | None = None
    """Weights alone."""
    merges: bool | None = None
    """Whether it can be folded into the checkpoint; None where it was not tried."""
    held_bits: float | None = None
    """Of each weight of a quantised base in the middle of a step, with what is kept of it in
    unpacked form for the backward pass; None where the base is not quantised."""


def summaries() -> dict[str, str]:
    """Every method by the name a recipe gives it, with one line: ours first, then PEFT's."""
    ours = {name: _first_sentence(kind) for name, kind in _OURS.items()}
    others = {
        name: f"PEFT: {_first_sentence(PEFT_TYPE_TO_TUNER_MAPPING[peft.PeftType(name.upper())])}"
        for name in sorted(peft_methods())
        if name not in ours
    }
    return ours | others


def all_tunings(precision: Precision = "none") -> list[Tuning]:
    """What `check_methods` tries: our methods with LoRA's variants, then PEFT's.

    Those that a quantised base is refused for are left out there.
    """
    read = TypeAdapter[Tuning](Tuning).validate_python
    others = [name for name in sorted(peft_methods()) if name not in _OURS]
    every = [read(fields) for fields in _VARIANTS] + [read({"kind": name}) for name in others]
    return [tuning for tuning in every if _is_allowed(tuning, precision)]


def _is_allowed(tuning: Tuning, precision: Precision) -> bool:
    try:
        check_tuning(tuning, precision)
    except TuningError:
        return False
    return True


def check_methods(
    base: PreTrainedModel, tunings: Sequence[Tuning], *, advance: Callable[[str], None]
) -> list[Checked]:
    """Run each method on its own copy of `base`.

    Args:
        base: a checkpoint for question answering or a decoder, in float32 or quantised; left as
            it is.
        tunings: what to try.
        advance: told the name of each method when it is done.
    """
    rows = []
    for tuning in tunings:
        with _quietly():
            rows.append(_check(base, tuning))
        advance(rows[-1].method)
    return rows


@contextmanager
def _quietly() -> Iterator[None]:
    """What PEFT prints and warns about is not the user's concern here."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _check(base: PreTrainedModel, tuning: Tuning) -> Checked:
    name = _label(tuning)
    try:
        return _run(base, tuning, name)
    except TunelabError as error:
        return Checked(name, works=False, reason=_one_line(error.problem))
    except Exception as error:  # noqa: BLE001 - whatever a method throws is its row's reason
        return Checked(name, works=False, reason=_one_line(f"{type(error).__name__}: {error}"))


def _run(base: PreTrainedModel, tuning: Tuning, name: str) -> Checked:
    tuned = apply_tuning(copy.deepcopy(base), tuning, total_steps=STEPS, seed=0)
    batch, targets = _batch(base)
    watch = TrainingWatch(tuned)
    optimizer = torch.optim.AdamW(tuned.parameter_groups(LEARNING_RATE, 0.0))
    watch.before(optimizer)
    tuned.model.train()
    seconds = []
    bits = None
    for index in range(STEPS):
        began = time.process_time()
        if index == 0 and quantised_layers(tuned.model):
            with kept_for_backward() as kept:
                loss = cross_entropy(_scores(tuned, batch), targets)
            bits = bits_held(tuned.model, kept)
        else:
            loss = cross_entropy(_scores(tuned, batch), targets)
        loss.backward()
        tuned.after_backward()
        watch.after_backward()
        optimizer.step()
        watch.after_step()
        tuned.after_step(index)
        optimizer.zero_grad()
        seconds.append(time.process_time() - began)
    raise_unless_held(watch.proofs())

    with tempfile.TemporaryDirectory() as directory:
        folder = tuned.save(Path(directory))
        stored = sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
        proofs = reload_proofs(
            tuned,
            folder,
            lambda: copy.deepcopy(base),
            lambda model: _logits(model, batch),
            unpack=True,
        )
    raise_unless_held(proofs)
    return Checked(
        name,
        works=True,
        reason="",
        trained_parameters=count(tuned.trained_parameters().values()),
        cpu_seconds_per_step=min(seconds[1:]),
        stored_bytes=stored,
        held_bits=bits,
        merges=any("merged" in proof.name for proof in proofs)
        if tuned.stored == "adapter"
        else None,
    )


@torch.inference_mode()
def _logits(model: TunedModel, batch: dict[str, Tensor]) -> Tensor:
    model.model.eval()
    return _scores(model, batch)


def _scores(tuned: TunedModel, batch: dict[str, Tensor]) -> Tensor:
    """What the loss is taken of, classes second: positions of two ends, or the next tokens."""
    if not is_decoder(tuned.checkpoint):
        return tuned.span_logits(**batch)
    ids, rows = batch["input_ids"], {}
    match tuned.virtual():
        case VirtualInputs(embeddings):
            words = tuned.checkpoint.get_input_embeddings()(ids)
            rows["inputs_embeds"] = torch.cat((embeddings.expand(len(ids), -1, -1), words), dim=1)
        case VirtualKeys() as keys:
            past = keys.cache()
            past.batch_repeat_interleave(len(ids))
            rows |= {"input_ids": ids, "past_key_values": past}
        case None:
            rows["input_ids"] = ids
    logits = tuned.checkpoint(**rows).logits[:, -ids.shape[1] :]
    return logits[:, :-1].transpose(1, 2)


def _batch(base: PreTrainedModel) -> tuple[dict[str, Tensor], Tensor]:
    """Random tokens, and targets: of two types, some rows padded, and two positions for an
    encoder; whole rows and each next token for a decoder.
    """
    generator = torch.Generator().manual_seed(0)
    size = (ROWS, LENGTH)
    ids = torch.randint(10, base.config.vocab_size, size, generator=generator)
    if is_decoder(base):
        return {"input_ids": ids}, ids[:, 1:]
    mask = torch.ones(size, dtype=torch.long)
    mask[ROWS // 2 :, LENGTH // 2 :] = 0
    types = (torch.arange(LENGTH) >= LENGTH // 4).long().expand(size)
    targets = torch.randint(0, LENGTH // 2, (ROWS, 2), generator=generator)
    rows = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return rows, targets


def _label(tuning: Tuning) -> str:
    if isinstance(tuning, schema.StackTuning):
        return f"stack ({' + '.join(part.kind for part in tuning.parts)})"
    settings = {
        name: value
        for name, value in tuning.model_dump(exclude_defaults=True).items()
        if name != "kind"
    }
    described = ", ".join(f"{name}: {str(value).lower()}" for name, value in settings.items())
    return f"{tuning.kind} ({described})" if described else tuning.kind


def _first_sentence(kind: type) -> str:
    """The first sentence of a class's own docstring, without PEFT's standing phrases."""
    text = " ".join((inspect.cleandoc(kind.__doc__) if kind.__doc__ else kind.__name__).split())
    sentence = re.split(r"(?<=\.)\s|\s(?=Args:|Paper:)", text)[0].rstrip(".")
    sentence = re.sub(r"^Creates (an? )?", "", sentence)
    phrase = r"( [Mm]odel| adapter)? (from|around) a pretrained( transformers?)? model"
    return re.sub(phrase, "", sentence)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _REASON else f"{line[: _REASON - 3]}..."
