"""Predictions of `tunelab plan` against runs that were measured, on a CPU.

Each point is a run of a few steps in a process of its own (`runs.process`), whose peak of memory is
measured as every run's is, and two plans of it: one that has seen the configuration alone, and one
that has measured a shorter run. Checkpoints have random weights: sizes and times are those of
trained ones. A point that is done is kept in FOLDER, so that the table can be made in several goes.

    python -m benchmarks --part plan
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.goals import Goal, Outcome
from benchmarks.page import code_digest
from tunelab.plan.devices import find_device
from tunelab.plan.estimate import Machine
from tunelab.plan.planning import Planner
from tunelab.recipe import Recipe, digest, validate
from tunelab.records import RunDirectory
from tunelab.report.figures import duration, size
from tunelab.runs.measuring import measured
from tunelab.runs.process import Workers

FOLDER = Path(tempfile.gettempdir()) / "tunelab-plan"
PLAIN, MEASURED, TIME = 0.10, 0.05, 0.25
"""How far a prediction may be off."""
GROWTH = 500e6
"""Bytes that a run grows by at least, to count."""
_STEPS, _BATCH = 8, 4
_LORA = {"kind": "lora", "rank": 8}
_DORA = {"kind": "lora", "rank": 8, "dora": True}
_FULL = {"kind": "full"}


@dataclass(frozen=True, slots=True)
class Point:
    """A run, and what was predicted of it."""

    name: str
    growth: float
    """Bytes; measured."""
    planned: float
    planned_measured: float
    seconds: float
    """Of training and answering; measured."""
    seconds_measured: float
    """Predicted, with `--measure`."""
    load: float
    """Of the machine, at the end of the run."""


def compare(squad: Path, *, told: Callable[[str], None]) -> Outcome:
    """The grid, and the published table beside what is planned."""
    points = [_point(name, recipe, told) for name, recipe in grid(squad)]
    counted = [point for point in points if point.growth >= GROWTH]
    goals = _goals(counted)
    lines = [
        "| run | memory grew by | planned | off | planned, `--measure` | off "
        "| took | planned, `--measure` | off | load |",
        "| --- |" + " ---: |" * 9,
        *(_line(point) for point in points),
        "",
        *(f"- {goal.what}: {goal.found}." for goal in goals),
        "",
        published(),
    ]
    return Outcome("\n".join(lines), True, goals)


def grid(squad: Path) -> Iterator[tuple[str, Recipe]]:
    """Names and recipes."""
    encoder, decoder = _encoder(), _decoder(squad)
    held: dict[str, dict[str, Any]] = {
        "f32": {"dtype": "f32"},
        "bf16": {"dtype": "bf16"},
        "nf4": {"dtype": "f32", "quantize": "nf4"},
    }
    for method, tuning in (("full", _FULL), ("LoRA", _LORA), ("DoRA", _DORA)):
        for precision, model in held.items():
            if precision == "nf4" and tuning is _FULL:
                continue
            yield f"encoder, {method}, {precision}", _recipe(squad, encoder, tuning, model)
            for checkpointing in (False, True):
                told = ", checkpointing" if checkpointing else ""
                recipe = _recipe(squad, decoder, tuning, model, checkpointing=checkpointing)
                yield f"decoder, {method}, {precision}{told}", recipe


def published() -> str:
    """System 1's table of hardware beside what is planned for the same runs."""
    rows = [
        "| published run (Lit-LLaMA-QA, micro-batch 1, 512 tokens) | published | planned, training "
        "| planned, whole run |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, told, model, tuning in (
        ("LoRA 7B, bfloat16", "~20 GB", "huggyllama/llama-7b", _LORA),
        ("LoRA 13B, bfloat16", "~40 GB", "huggyllama/llama-13b", _LORA),
        ("LoRA 30B, bfloat16", "~75 GB", "huggyllama/llama-30b", _LORA),
        ("full 7B, bfloat16", "~80 GB", "huggyllama/llama-7b", _FULL),
    ):
        targets = {"targets": ["q_proj", "v_proj"], "alpha": 16} if tuning is _LORA else {}
        found = _planned_on_a_card(model, {**tuning, **targets}, dtype="bf16-true")
        rows.append(
            f"| {name} | {told} | {found['training'] / 1e9:.1f} GB "
            f"| {max(found.values()) / 1e9:.1f} GB |"
        )
    rows += [
        "",
        "| published inference, 2,048 tokens | published | planned |",
        "| --- | ---: | ---: |",
    ]
    for name, told, model, quantize in (
        ("7B, bfloat16", "13 GB", "huggyllama/llama-7b", "none"),
        ("13B, bfloat16", "26 GB", "huggyllama/llama-13b", "none"),
        ("30B, bfloat16", "60 GB", "huggyllama/llama-30b", "none"),
        ("7B, int8", "6 GB", "huggyllama/llama-7b", "int8"),
        ("13B, int8", "15 GB", "huggyllama/llama-13b", "int8"),
        ("30B, int8", "35 GB", "huggyllama/llama-30b", "int8"),
        ("65B, int8", "69 GB", "huggyllama/llama-65b", "int8"),
    ):
        found = _planned_on_a_card(model, {"kind": "none"}, dtype="bf16-true", quantize=quantize)
        rows.append(f"| {name} | {told} | {max(found.values()) / 1e9:.1f} GB |")
    return "\n".join(rows)


def _planned_on_a_card(
    model: str, tuning: dict[str, Any], *, dtype: str, quantize: str = "none"
) -> dict[str, int]:
    recipe = validate(
        {
            "task": {"train": "rajpurkar/squad_v2", "test": "rajpurkar/squad_v2"},
            "model": {"path": model, "dtype": dtype, "quantize": quantize, "max_length": 512},
            "tuning": tuning,
            "training": {"batch_size": 128, "tokens_per_pass": 512, "share_prefix": False},
        },
        source="the benchmark",
    )
    return Planner(Machine(find_device("a100-80")), steps=2).plan(recipe, "").phases


def _point(name: str, recipe: Recipe, told: Callable[[str], None]) -> Point:
    kept = FOLDER / "points" / f"{digest(recipe)}-{code_digest()}.json"
    if kept.exists():
        return Point(**json.loads(kept.read_text()))
    told(name)
    forecast = Planner(Machine(find_device("cpu"))).plan(recipe, name)
    short = measured(recipe, forecast)
    with tempfile.TemporaryDirectory() as folder:
        manifest = Workers().run(recipe, name, RunDirectory(Path(folder) / "run"), quiet=True)
    cost = manifest.cost
    if cost is None or cost.peak_memory_bytes is None:
        raise RuntimeError(f"{name}: {manifest.status}: {manifest.message}")
    point = Point(
        name,
        growth=cost.peak_memory_bytes,
        planned=forecast.peak_memory_bytes,
        planned_measured=short.peak_memory_bytes,
        seconds=cost.seconds_training + cost.seconds_evaluation,
        seconds_measured=short.seconds_training + short.seconds_evaluation,
        load=os.getloadavg()[0],
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(asdict(point)))
    return point


def _recipe(
    squad: Path,
    model: Path,
    tuning: dict[str, Any],
    held: dict[str, Any],
    *,
    checkpointing: bool = False,
) -> Recipe:
    return validate(
        {
            "name": "plan",
            "task": {
                "version": "2.0",
                "train": str(squad / "train-v2.0.head.json.gz"),
                "test": str(squad / "dev-v2.0.json.gz"),
                "train_limit": _STEPS * _BATCH,
                "test_limit": 8,
                "validation": 0.0,
            },
            "model": {"path": str(model), "max_length": 512, **held},
            "tuning": tuning,
            "training": {
                "epochs": 1,
                "batch_size": _BATCH,
                "tokens_per_pass": 1024,
                "gradient_checkpointing": checkpointing,
            },
            "evaluation": {"max_new_tokens": 8, "no_answer_threshold": "decoded"},
        },
        source="the benchmark",
    )


def _encoder() -> Path:
    """DistilBERT's shape with random weights and the tokenizer of the bundled encoder."""
    folder = FOLDER / "encoder"
    if not (folder / "tokenizer.json").exists():
        from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

        from tunelab.models.checkpoint import resolve_checkpoint

        DistilBertModel(DistilBertConfig()).save_pretrained(folder)
        AutoTokenizer.from_pretrained(resolve_checkpoint("minilm")).save_pretrained(folder)
    return folder


def _decoder(squad: Path) -> Path:
    """A Llama of 48 million random weights and a tokenizer made of the training paragraphs."""
    folder = FOLDER / "decoder"
    if not (folder / "tokenizer.json").exists():
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

        from tunelab.data import read_squad

        config = LlamaConfig(
            vocab_size=16000,
            hidden_size=512,
            intermediate_size=1536,
            num_hidden_layers=10,
            num_attention_heads=8,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            bos_token_id=0,
            eos_token_id=1,
        )
        LlamaForCausalLM(config).save_pretrained(folder)
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        texts = {each.context for each in read_squad(squad / "train-v2.0.head.json.gz")}
        trainer = trainers.BpeTrainer(
            vocab_size=8000,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        backend.train_from_iterator(sorted(texts), trainer)
        PreTrainedTokenizerFast(
            tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="</s>"
        ).save_pretrained(folder)
    return folder


def _line(point: Point) -> str:
    void = "" if point.growth >= GROWTH else " (grows too little to count)"
    return (
        f"| {point.name}{void} | {size(point.growth)} | {size(point.planned)} "
        f"| {_off(point.planned, point.growth)} | {size(point.planned_measured)} "
        f"| {_off(point.planned_measured, point.growth)} | {duration(point.seconds)} "
        f"| {duration(point.seconds_measured)} | {_off(point.seconds_measured, point.seconds)} "
        f"| {point.load:.1f} |"
    )


def _goals(points: Sequence[Point]) -> list[Goal]:
    """How many are near enough."""
    goals: list[Goal] = []
    for what, limit, pairs in (
        ("memory", PLAIN, [(each.planned, each.growth) for each in points]),
        (
            "memory, `--measure`",
            MEASURED,
            [(each.planned_measured, each.growth) for each in points],
        ),
        ("time, `--measure`", TIME, [(each.seconds_measured, each.seconds) for each in points]),
    ):
        off = [abs(predicted / found - 1) for predicted, found in pairs]
        near = sum(each <= limit for each in off)
        worst = f", the worst {max(off):.1%}" if off else ""
        goals.append(
            Goal(
                f"plan, {what}",
                f"{near} of {len(off)} within {limit:.0%}{worst}",
                "all",
                near == len(off) > 0,
            )
        )
    return goals


def _off(predicted: float, found: float) -> str:
    return f"{100 * (predicted / found - 1):+.1f} %"
