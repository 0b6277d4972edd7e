"""lm-eval's requests per second: the model class `tunelab` against lm-eval's own `hf`.

    python -m benchmarks.lm_eval_speed --data FOLDER [--row NAME ...] [--items N] [--layers N]

Both load one model, a Llama with random weights and a vocabulary of 2,048, in float32, and answer
the same requests of lm-eval's own tasks by turns, block by block. `hf` has the batch size that was
the fastest of those tried on a part of the first block. Timed is what lm-eval calls,
`loglikelihood`: tokenising and reading; building the requests is lm-eval's affair and not timed.
Tokens that either
side puts through its model are counted: their ratio is what sharing can give.

Items are drawn at random from the whole data set (MMLU: 50 questions of each of 8 subjects). A row
counts only if the two say the same: log-likelihoods within 1e-4, and the metrics of every item
equal except where two choices lie within that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from benchmarks.generation import Size, random_llama
from benchmarks.goals import Goal
from benchmarks.lm_eval_equality import Equality, compare_samples
from benchmarks.lm_eval_tasks import texts, write_tasks
from benchmarks.spread import spread
from tunelab.lmeval.tasks import task_manager

SIZE = Size(hidden=768, layers=6, vocabulary=2048)
SHOT_SEED = 1234
"""lm-eval's own."""
BATCHES = (1, 4, 16)
POSITIONS = 8192
"""With a small vocabulary five shots of history are more than 4,096 tokens."""
SUBJECTS = 8
THEIRS, OURS = "hf", "tunelab"


@dataclass(frozen=True, slots=True)
class Row:
    """What is asked, and how much faster it has to be."""

    tasks: str
    """Names that begin so."""
    asked: float
    items: int
    """Of each task."""
    blocks: int | None
    """Each with the same share of every task; None: a task is a block."""


ROWS: dict[str, Row] = {
    "MMLU, 5 shots": Row("local_mmlu_", 5.5, items=50, blocks=None),
    "TruthfulQA, mc1 and mc2": Row("local_truthfulqa_", 5.0, items=40, blocks=4),
    "ARC, 25 shots drawn anew": Row("local_arc_25", 3.0, items=24, blocks=4),
    "ARC, the first 25 as shots": Row("local_arc_25_first", 6.0, items=24, blocks=4),
    "HellaSwag": Row("local_hellaswag", 1.7, items=80, blocks=4),
    "PubMedQA": Row("local_pubmedqa", 1.0, items=40, blocks=4),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A document of a task with its requests."""

    task: Any
    document: Any
    requests: list[Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a comparison found."""

    name: str
    row: Row
    batch: int
    """Of `hf`."""
    requests: list[int]
    """Of each block."""
    seconds: dict[str, list[float]]
    """Of each side and block."""
    tokens: dict[str, int]
    """That each side put through its model."""
    equality: Equality

    @property
    def ratio(self) -> float:
        """Of all seconds."""
        return sum(self.seconds[THEIRS]) / sum(self.seconds[OURS])

    @property
    def ratios(self) -> list[float]:
        """Of each block."""
        pairs = zip(self.seconds[THEIRS], self.seconds[OURS], strict=True)
        return [theirs / ours for theirs, ours in pairs]


class Side:
    """A model class of lm-eval that answers, with its clock and its count of tokens."""

    def __init__(self, model: Any, checkpoint: Any) -> None:
        self.model = model
        self.tokens = 0
        self.seconds: list[float] = []
        checkpoint.get_input_embeddings().register_forward_pre_hook(self._count)

    def answer(self, items: Sequence[Item]) -> list[Any]:
        """Answer all requests of the items, timed."""
        asked = [request for item in items for request in item.requests]
        began = time.perf_counter()
        answers = self.model.loglikelihood(asked, disable_tqdm=True)
        self.seconds.append(time.perf_counter() - began)
        return answers

    def _count(self, _module: object, inputs: tuple[Any, ...]) -> None:
        self.tokens += inputs[0].numel()


def run(
    data: Path,
    names: Sequence[str],
    *,
    size: Size = SIZE,
    items: int | None = None,
    told: Callable[[str], None],
) -> list[Result]:
    """Compare the two on every row asked for.

    Args:
        data: the folder around mmlu/, arc/ and the others.
        names: of ROWS.
        size: of the model.
        items: of each task, instead of a row's own.
        told: is told what is going on.
    """
    with tempfile.TemporaryDirectory() as place:
        checkpoint = Path(place) / "model"
        train_tokenizer(texts(data), size.vocabulary).save_pretrained(checkpoint)
        random_llama(size, positions=POSITIONS).save_pretrained(checkpoint)
        results: list[Result] = []
        for name in names:
            row = ROWS[name]
            folder = Path(place) / row.tasks
            written = write_tasks(data, folder, items=items or row.items, subjects=SUBJECTS)
            chosen = [each for each in written if each.startswith(row.tasks)]
            if not row.tasks.endswith("_"):
                chosen = [row.tasks]
            blocks = cut(load_tasks(chosen, folder), row.blocks)
            results.append(compare(name, row, blocks, checkpoint, told=told))
        return results


def compare(
    name: str,
    row: Row,
    blocks: Sequence[Sequence[Item]],
    checkpoint: Path,
    *,
    told: Callable[[str], None],
) -> Result:
    """Let the two answer the blocks by turns; who begins alternates."""
    from tunelab.lmeval.model import TunelabLM

    ours = TunelabLM(str(checkpoint), device="cpu")
    some = blocks[0][: max(1, len(blocks[0]) // 4)]
    tried = {batch: _seconds_of(_hf(checkpoint, batch), some) for batch in BATCHES}
    batch = min(tried, key=lambda each: tried[each])
    told(f"{name}: hf takes {', '.join(f'{s:.1f} s in batches of {b}' for b, s in tried.items())}")
    theirs = _hf(checkpoint, batch)
    sides = {
        THEIRS: Side(theirs, theirs.model),
        OURS: Side(ours, ours.tuned.checkpoint),
    }
    for side in sides.values():
        side.answer(some)  # warms up
        side.seconds, side.tokens = [], 0
    samples: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for number, block in enumerate(blocks):
        for side in list(sides)[:: 1 if number % 2 else -1]:
            samples[side] += logged(block, sides[side].answer(block))
        took = ", ".join(f"{side} {each.seconds[-1]:.1f} s" for side, each in sides.items())
        told(f"{name}: block {number + 1} of {len(blocks)}: {took}")
    return Result(
        name,
        row,
        batch,
        requests=[sum(len(item.requests) for item in block) for block in blocks],
        seconds={side: each.seconds for side, each in sides.items()},
        tokens={side: each.tokens for side, each in sides.items()},
        equality=compare_samples(samples[THEIRS], samples[OURS]),
    )


def load_tasks(names: Sequence[str], folder: Path) -> list[list[Item]]:
    """The items of each task, with requests as lm-eval builds them."""
    loaded: dict[str, Any] = task_manager(names, include_path=folder).load(list(names))["tasks"]
    tasks: list[list[Item]] = []
    for task in loaded.values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=SHOT_SEED)
        task.build_all_requests(rank=0, world_size=1)
        requests: dict[int, list[Any]] = {}
        for request in task.instances:
            requests.setdefault(request.doc_id, []).append(request)
        tasks.append([Item(task, each[0].doc, each) for each in requests.values()])
    return tasks


def cut(tasks: Sequence[Sequence[Item]], blocks: int | None) -> list[list[Item]]:
    """Blocks of items; each holds the same share of every task."""
    if blocks is None:
        return [list(items) for items in tasks]
    return [
        [
            item
            for items in tasks
            for item in items[number * len(items) // blocks : (number + 1) * len(items) // blocks]
        ]
        for number in range(min(blocks, *map(len, tasks)))
    ]


def logged(items: Sequence[Item], answers: Sequence[Any]) -> list[dict[str, Any]]:
    """Answers with the metrics that lm-eval computes from them, as it logs them."""
    ends = [0]
    for item in items:
        ends.append(ends[-1] + len(item.requests))
    samples: list[dict[str, Any]] = []
    for item, (start, end) in zip(items, pairwise(ends), strict=True):
        said = list(answers[start:end])
        metrics = item.task.process_results(item.document, said)
        samples.append({"resps": [[each] for each in said], "metrics": list(metrics), **metrics})
    return samples


def train_tokenizer(written: Any, vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte pairs of the data's own texts."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(written, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|end|>", pad_token="<|end|>"
    )


def table(results: Sequence[Result]) -> str:
    """The results in markdown; a row whose numbers differ is void."""
    lines = [
        "| task | hf, requests/s | tunelab | ratio | asked | tokens read | same numbers? |",
        "| --- | ---: | ---: | --- | ---: | --- | --- |",
    ]
    for result in results:
        rates = {
            side: f"{sum(result.requests) / sum(taken):.2f}"
            for side, taken in result.seconds.items()
        }
        ratio = f"{result.ratio:.2f}; blocks {spread(result.ratios, 2)}"
        possible = result.tokens[THEIRS] / result.tokens[OURS]
        lines.append(
            f"| {result.name} | {rates[THEIRS]} (batches of {result.batch}) | {rates[OURS]} "
            f"| {ratio if result.equality.held else 'void'} | {result.row.asked:g} "
            f"| {result.tokens[THEIRS]:,} and {result.tokens[OURS]:,}: {possible:.2f} "
            f"| {'yes' if result.equality.held else 'NO'}: {result.equality.told} |"
        )
    return "\n".join(lines)


def goals(results: Sequence[Result]) -> list[Goal]:
    """The ratio of each row over all of its seconds, with the range of its blocks."""
    return [
        Goal(
            f"lm-eval, {result.name}, against {THEIRS}",
            f"{result.ratio:.2f} ({min(result.ratios):.2f} to {max(result.ratios):.2f}) times",
            f">= {result.row.asked:g}",
            result.equality.held and result.ratio >= result.row.asked,
            "yes" if result.equality.held else "NO",
        )
        for result in results
    ]


def _hf(checkpoint: Path, batch: int) -> Any:
    from lm_eval.models.huggingface import HFLM

    made: Any = HFLM  # its decorator hides the type
    return made(pretrained=str(checkpoint), device="cpu", dtype="float32", batch_size=batch)


def _seconds_of(model: Any, items: Sequence[Item]) -> float:
    side = Side(model, model.model)
    for _ in range(2):
        side.answer(items)
    return statistics.fmean(side.seconds[1:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows asked for and print the table; exit code 1 if one is void."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lm_eval_speed")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--row", choices=ROWS, action="append", help="all if left out")
    parser.add_argument("--items", type=int, help="of each task")
    parser.add_argument("--hidden", type=int, default=SIZE.hidden)
    parser.add_argument("--layers", type=int, default=SIZE.layers)
    options = parser.parse_args(arguments)
    results = run(
        options.data,
        options.row or list(ROWS),
        size=Size(options.hidden, options.layers, SIZE.vocabulary),
        items=options.items,
        told=lambda what: print(what, file=sys.stderr, flush=True),
    )
    print(table(results))
    sys.exit(not all(result.equality.held for result in results))


if __name__ == "__main__":
    main()
