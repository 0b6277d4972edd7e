"""A run gone through without data, phase by phase, and the memory that it needs in each.

    loading -> proof of sharing -> a step -> proof of reloading -> answering

What counts calls what a run calls (`target_log_probs`, torch's AdamW, the growing tree), on fake
tensors, under a `Ledger`: a step that finds the moments of the step before, and the first tokens of
the answers. The rest is arithmetic on the sizes that are known then.

On an accelerator memory is what tensors hold at the worst moment. On a CPU it is what the process
holds: the heap at its highest, and beside it the files of checkpoints, which transformers maps
into memory instead of copying them, as far as somebody looked at their pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from tunelab.plan.coding import Rectangle
from tunelab.plan.drawn import Drawn, Pass, tokens
from tunelab.plan.heap import Heap, replay
from tunelab.plan.ledger import Ledger
from tunelab.plan.simulated import Simulated
from tunelab.recipe import FullTuning, HeadTuning, Recipe
from tunelab.tokentree.exactness import sampled
from tunelab.tokentree.growth import GrowingTree, Growth
from tunelab.tokentree.head import evaluating
from tunelab.tokentree.packing import pack
from tunelab.tokentree.reading import target_log_probs
from tunelab.tokentree.tree import TokenTree
from tunelab.training.cpu_kernels import cpu_kernels

PHASES = ("loading", "sharing", "training", "reloading", "answering")


@dataclass(frozen=True, slots=True)
class Parts:
    """What memory is used for in the training, in bytes; not all of it is there at one moment."""

    weights: int
    gradients: int
    optimizer: int
    logits: int
    activations: int
    """What the forward pass keeps for the backward pass."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a run needs."""

    phases: dict[str, int]
    """Bytes at the worst moment of each phase; on a CPU of all up to its end."""
    parts: Parts | None
    """None where nothing is trained."""
    flops_step: float
    """Of the largest pass of a step."""
    step_tokens: int
    """Its tokens."""
    flops_asked: float
    """Of reading the largest pass of questions."""
    keys_and_values: int
    """Bytes that are kept of it while answers are written."""

    @property
    def peak(self) -> int:
        """The most of all phases."""
        return max(self.phases.values())


def rehearse(sim: Simulated, recipe: Recipe, drawn: Drawn, *, on_cpu: bool) -> Rehearsal:
    """Go through a run.

    Args:
        sim: its model.
        recipe: resolved.
        drawn: its rows.
        on_cpu: in a process of its own, on a CPU; else on one accelerator.
    """
    stage = _Stage(sim, recipe, on_cpu)
    stage.load()
    if drawn.step:
        if drawn.sample:
            stage.share(drawn)
        stage.train(drawn)
        stage.reload()
    stage.answer(drawn)
    return stage.finish(drawn)


@dataclass(slots=True)
class _Stage:
    """A rehearsal while it goes on."""

    sim: Simulated
    recipe: Recipe
    on_cpu: bool
    phases: dict[str, int] = field(default_factory=dict)
    parts: Parts | None = None
    flops_step: float = 0.0
    flops_asked: float = 0.0
    keys_and_values: int = 0
    _heap: Heap = field(default_factory=Heap)
    _places: dict[int, int] = field(default_factory=dict)
    _mapped: int = 0
    """Bytes of files that are mapped into memory for good."""
    _resident: int = 0
    """Bytes of tensors that stay: weights, and moments of the optimiser."""
    _replayed: int = 0
    _ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.sim.fakes, self.sim.tensors)
        head = getattr(self.sim.tuned.checkpoint.config, "vocab_size", None)
        self._ledger.vocabulary = head if isinstance(head, int) else None

    def load(self) -> None:
        """The base as it lies in its file, and what is made of it."""
        sizes = self.sim.sizes
        self._resident = sizes.held
        if self.sim.mapped:
            self._mapped += sizes.file
            self._hold(sizes.held - sizes.plain)
            self._end("loading", 0)
        else:  # the file is let go when all is converted
            self._hold(sizes.held)
            self._end("loading", 0, while_there=sizes.file)

    def train(self, drawn: Drawn) -> None:
        """A step with the moments of the step before.

        Where a step has several passes, the largest one finds the gradients of another.
        A checkpoint is written tensor by tensor and takes nothing more.
        """
        tuned = self.sim.tuned
        trained = list(tuned.trained_parameters().values())
        optimizer = torch.optim.AdamW(trained, fused=True)
        tuned.model.train()
        begin = self._settle()
        with self._noted("training"):
            for parameter in trained:
                parameter.grad = torch.empty_like(parameter)
            optimizer.step()
            if len(drawn.step) == 1:
                optimizer.zero_grad(set_to_none=True)
            work, before = self._ledger.flops.total(), self._ledger.now
            loss = self._loss(drawn.step[0])
            kept = self._ledger.now - before
            loss.backward()
            self.flops_step = self._ledger.flops.total() - work
            del loss
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            gradients = sum(p.grad.nbytes for p in trained if p.grad is not None)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        moments = [value for state in optimizer.state.values() for value in state.values()]
        logits = self._ledger.bytes_of(self._ledger.at_peak_since(begin) & self._ledger.logits)
        moving = sum(each.nbytes for each in moments)
        self.parts = Parts(self._resident, gradients, moving, logits, max(0, kept - logits))
        del optimizer, moments
        self._settle()

    def share(self, drawn: Drawn) -> None:
        """The proof of sharing: the gradients of a small tree beside those of single examples."""
        tuned = self.sim.tuned
        trained = list(tuned.trained_parameters().values())
        few = sampled(drawn.sample)
        [row, *_] = pack(few, tokens_per_pass=sum(len(each.ids) for each in few))
        with evaluating(tuned.checkpoint), self._noted("sharing"):
            kept = [torch.zeros_like(each) for each in trained]
            log_probs = target_log_probs(
                tuned.checkpoint, row.tree, virtual=tuned.virtual(), by_blocks=self.on_cpu
            )
            torch.autograd.grad(log_probs.sum(), trained, allow_unused=True)
            del log_probs, kept

    def reload(self) -> None:
        """The base a second time; one of few bits is not unpacked to prove merging.

        A whole model that was trained is read back as it was stored; of a base nobody looks at most
        rows of input embeddings.
        """
        sizes = self.sim.sizes
        whole = isinstance(self.recipe.tuning, FullTuning | HeadTuning)
        packed = sizes.held - sizes.plain if self.recipe.model.quantize != "none" else 0
        made = packed if self.sim.mapped else sizes.base
        block = self._hold(made)
        looked_at = sizes.file if whole else max(0, sizes.file - sizes.embedding)
        self._end("reloading", (2 if whole else 1) * sizes.base, while_there=looked_at)
        self._heap.give(block)

    def answer(self, drawn: Drawn) -> None:
        """The largest pass of questions, and the first token of every answer."""
        tuned, row = self.sim.tuned, drawn.asked
        tuned.model.eval()
        work = self._ledger.flops.total()
        with self._noted("answering"), torch.no_grad(), self._autocast():
            if isinstance(row, Rectangle):
                self._read(row)
            elif drawn.branches:
                growing = GrowingTree(tuned.checkpoint, row, virtual=tuned.virtual())
                logits = growing.begin()
                self.keys_and_values = self._ledger.now - logits.nbytes
                self.flops_asked = self._ledger.flops.total() - work
                del logits
                growing.grow(Growth(list(range(drawn.branches)), [0] * drawn.branches))
            else:
                self._log_probs(row)
        self.flops_asked = self.flops_asked or self._ledger.flops.total() - work

    def finish(self, drawn: Drawn) -> Rehearsal:
        """All that was seen."""
        return Rehearsal(
            phases=self.phases,
            parts=self.parts,
            flops_step=self.flops_step,
            step_tokens=tokens(drawn.step[0]) if drawn.step else 0,
            flops_asked=self.flops_asked,
            keys_and_values=self.keys_and_values,
        )

    def _loss(self, row: Pass) -> Tensor:
        with self._autocast():
            if isinstance(row, Rectangle):
                logits = self._read(row).float()
                targets = torch.zeros((row.rows, *logits.shape[2:]), dtype=torch.int64)
                return F.cross_entropy(logits, targets, reduction="sum")
            return -self._log_probs(row).sum()

    def _log_probs(self, row: TokenTree) -> Tensor:
        model = self.sim.tuned.checkpoint
        quick = self.on_cpu and not model.is_gradient_checkpointing
        with cpu_kernels() if quick else nullcontext():
            return target_log_probs(
                model, row, virtual=self.sim.tuned.virtual(), by_blocks=self.on_cpu
            )

    def _read(self, row: Rectangle) -> Tensor:
        ids = torch.ones((row.rows, row.length), dtype=torch.int64)
        tuned = self.sim.tuned
        with cpu_kernels() if self.on_cpu else nullcontext():
            if self.recipe.task.kind == "squad":
                return tuned.span_logits(ids, torch.ones_like(ids), torch.zeros_like(ids))
            return tuned.class_logits(ids, torch.ones_like(ids), torch.zeros_like(ids))

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.model.dtype == "bf16")

    @contextmanager
    def _noted(self, phase: str) -> Iterator[None]:
        """What is done meanwhile belongs to a phase."""
        begin = self._settle()
        with self._ledger:
            yield
        self._settle()
        self._end(phase, self._ledger.peak_since(begin))

    def _settle(self) -> int:
        """Bring the heap up to what the ledger says; returns how many events that are."""
        events = self._ledger.events[self._replayed :]
        replay(self._heap, self._ledger.sizes, events, self._places)
        self._replayed += len(events)
        return self._replayed

    def _hold(self, size: int) -> int:
        """A block of the heap."""
        return self._heap.take(max(size, 0))

    def _end(self, phase: str, working: int, *, while_there: int = 0) -> None:
        """Note what a phase needed.

        Args:
            phase: its name.
            working: bytes of tensors besides those that stay.
            while_there: bytes of files that were mapped meanwhile.
        """
        if self.on_cpu:
            found = self._heap.highest + self._mapped + while_there
        else:
            found = self._resident + working
        self.phases[phase] = max(self.phases.get(phase, 0), found)
