"""The pretraining run: goes on from its last checkpoint, whatever stopped it.

A step's text depends on the seed and the step's number alone, so nothing but weights, optimiser
state and the curriculum's progress is stored; every file is written aside and renamed.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pretraining.batch import cut, lay_out, losses
from pretraining.curriculum import LEVELS, Lesson, Progress, lesson
from pretraining.model import configuration, first_model, take_over
from pretraining.vocabulary import train_tokenizer

SEED = 0
RATE = 1.5e-3
WARMUP, COOLING = 100, 600
"""Steps over which the rate rises in the beginning, and falls to nothing in the end."""
TOKENS = 3072
"""Of a step."""
_PASS = 2048
"""Of a forward pass, with padding."""
_TEXT_SHARE, _TEXT_WEIGHT = 0.1, 0.2
_LOOKING = 0.3
"""What a head's looking where it is told counts beside the answers."""
_AVERAGE = 0.995
"""How slowly the averaged weights, which are exported, follow the trained ones."""
_SAVE_EVERY, _TELL_EVERY = 100, 10


def pretrain(folder: Path, *, steps: int, processes: int, smaller: Path | None = None) -> None:
    """Train until step `steps`, from the checkpoint in `folder` if there is one.

    Args:
        steps: the rate falls before the last of them; who goes on later raises it again.
        smaller: a model of fewer layers to begin with, on the last level, instead of random
            weights; its tokenizer is taken over.
        processes: which share the trees of a step; one thread each is quicker than one process
            with as many threads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if smaller is not None:
        PreTrainedTokenizerFast.from_pretrained(smaller).save_pretrained(folder / "tokenizer")
    prepare_tokenizer(folder)
    if processes == 1:
        _pretrain(0, folder, steps, processes, os.getppid(), smaller)
        return
    meeting_place(folder).unlink(missing_ok=True)
    spawn(_pretrain, (folder, steps, processes, os.getpid(), smaller), nprocs=processes)


def meeting_place(folder: Path) -> Path:
    """The file by which processes find each other."""
    return folder.absolute() / "meeting"


def _pretrain(
    rank: int, folder: Path, steps: int, processes: int, parent: int, smaller: Path | None
) -> None:
    torch.set_num_threads(1)
    if processes > 1:
        where = f"file://{meeting_place(folder)}"
        distributed.init_process_group("gloo", where, rank=rank, world_size=processes)
    tokenizer = prepare_tokenizer(folder)
    model = first_model(tokenizer, seed=SEED)
    if smaller is not None:
        take_over(model, smaller)
    first = Progress(level=0 if smaller is None else len(LEVELS) - 1)
    weights = dict(model.named_parameters())
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = torch.optim.AdamW(_groups(weights), lr=RATE, betas=(0.9, 0.98), fused=True)
    step, progress = _load(folder, weights, average, optimizer) or (0, first)
    model.set_attn_implementation("eager")  # short rows with masks: quicker on a CPU than sdpa
    model.train()
    began, told = time.perf_counter(), step
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP, (steps - step) / COOLING)
        trees = lesson(
            f"tiny {SEED} {step}", level=progress.level, tokens=TOKENS, tokenizer=tokenizer
        )
        learned = _learn(model, trees.share(rank, processes), seed=step)
        loss, right = _add_up(list(weights.values()), learned, processes)
        norm = float(torch.nn.utils.clip_grad_norm_(weights.values(), 1.0))
        if not math.isfinite(norm):
            raise ArithmeticError(f"step {step}: the gradient is not finite")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        decay = min(_AVERAGE, (step + 1) / (step + 10))
        for name, weight in weights.items():
            average[name].lerp_(weight.detach(), 1.0 - decay)
        progress.learn(right)
        step += 1
        if processes > 1 and os.getppid() != parent:
            raise SystemExit("the process that began this one is gone")  # or two would write
        if rank == 0 and step % _TELL_EVERY == 0:
            pace = (time.perf_counter() - began) / (step - told)
            _tell(folder, step=step, level=progress.level, loss=loss, right=right,
                  mean=progress.right, norm=norm, seconds=pace)  # fmt: skip
            began, told = time.perf_counter(), step
        if rank == 0 and (step % _SAVE_EVERY == 0 or step == steps):
            _save(folder, step, progress, weights, average, optimizer)


def _learn(model: LlamaForCausalLM, trees: Lesson, *, seed: int) -> Tensor:
    """Gradients of the summed loss.

    Returns:
        (4,) the loss, its weight, and of the answers on this level those that begin right, and all.
    """
    learned = torch.zeros(4, dtype=torch.float32)
    for group, known in ((trees.present, True), (trees.others, False)):
        for part in cut(group, tokens=_PASS):
            rows = lay_out(part, pad=0, text_share=_TEXT_SHARE, text_weight=_TEXT_WEIGHT, seed=seed)
            read = losses(model, rows, guided=True)
            loss = (read.losses * rows.weights).sum()
            (loss + _LOOKING * read.looking).backward()
            asked = rows.firsts if known else torch.zeros_like(rows.firsts)
            said = (loss.detach(), rows.weights.sum(), (read.right & asked).sum(), asked.sum())
            learned += torch.stack([number.float() for number in said])
    return learned


def _add_up(weights: Sequence[Tensor], learned: Tensor, processes: int) -> tuple[float, float]:
    """Mean gradients over all processes; returns the mean loss and the share of right answers."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    assert len(gradients) == len(weights)
    flat = torch.cat([*(gradient.flatten() for gradient in gradients), learned])
    if processes > 1:
        distributed.all_reduce(flat)
    loss, weight, right, asked = flat[-4:].tolist()
    for gradient, summed in zip(
        gradients, flat[:-4].split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(summed.view_as(gradient) / weight)
    return loss / weight, right / asked


def prepare_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in `folder`, trained if it is not there yet."""
    place = folder / "tokenizer"
    if not (place / "tokenizer.json").exists():
        train_tokenizer(seed=SEED).save_pretrained(place)
    return PreTrainedTokenizerFast.from_pretrained(place)


def load_average(
    folder: Path, tokenizer: PreTrainedTokenizerBase
) -> tuple[LlamaForCausalLM, dict[str, str]]:
    """The averaged model of the last checkpoint, and what the checkpoint says of itself."""
    model = LlamaForCausalLM(configuration(tokenizer))
    stored = load_file(folder / "checkpoint.safetensors")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(stored[f"average/{name}"])
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        return model, file.metadata()


def _groups(weights: dict[str, torch.nn.Parameter]) -> list[dict[str, object]]:
    inner = [w for n, w in weights.items() if w.ndim == 2 and "embed" not in n]
    outer = [w for n, w in weights.items() if w.ndim != 2 or "embed" in n]
    return [{"params": inner, "weight_decay": 0.05}, {"params": outer, "weight_decay": 0.0}]


def _save(
    folder: Path,
    step: int,
    progress: Progress,
    weights: dict[str, torch.nn.Parameter],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    tensors = {f"weight/{name}": weight.detach() for name, weight in weights.items()}
    tensors |= {f"average/{name}": weight for name, weight in average.items()}
    for name, weight in weights.items():
        state = optimizer.state[weight]
        tensors |= {f"{key}/{name}": state[key] for key in ("exp_avg", "exp_avg_sq", "step")}
    aside = folder / "checkpoint.part"
    said = {"step": str(step), "progress": json.dumps(asdict(progress))}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside, said)
    aside.replace(folder / "checkpoint.safetensors")


def _load(
    folder: Path,
    weights: dict[str, torch.nn.Parameter],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> tuple[int, Progress] | None:
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return None
    stored = load_file(path)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(stored[f"weight/{name}"])
            average[name].copy_(stored[f"average/{name}"])
            optimizer.state[weight] = {
                key: stored[f"{key}/{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
            }
    with safe_open(path, "pt") as file:
        said = file.metadata()
    return int(said["step"]), Progress(**json.loads(said["progress"]))


def _tell(folder: Path, **said: float) -> None:
    line = json.dumps({name: round(value, 4) for name, value in said.items()})
    with (folder / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)
