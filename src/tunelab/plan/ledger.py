"""Counts memory and work of real code that runs on tensors without data.

A model whose tensors are fake (shapes, types and a device, but no data) goes through the very
functions that a run calls: PEFT's layers, our attention, autocast, autograd. Every tensor that is
made on the way is noted here, and noted again when the last reference to it is gone. So what a
backward pass keeps, what autocast copies and what a kernel leaves behind is found by doing it, not
by a formula for each architecture.

It sees tensors alone: not what a kernel needs inside, nor what an allocator wastes (see `heap`).
Where the code reads a number off a fake tensor, it reads zero.
"""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_READ_NUMBER = torch.ops.aten._local_scalar_dense.default
_SMALL = 1 << 16
"""Elements up to which a tensor that the code makes out of nothing has its data: masks and places
are read, large ones are not."""


class Ledger(TorchDispatchMode):
    """While entered, notes every tensor that is made, and how much arithmetic is done.

    Args:
        fakes: the mode that the model's tensors were made in.
        held: tensors that were there before.
    """

    def __init__(self, fakes: FakeTensorMode, held: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self._fakes = fakes
        self._live: dict[int, int] = {}  # storage -> its entry
        self.sizes: list[int] = []
        """Bytes of each entry, in the order they were made."""
        self.events: list[int] = []
        """Entry n was made: n + 1. It was let go: -(n + 1)."""
        self.flops: Counter[torch.dtype] = Counter()
        """Multiplications and additions, by the type that they were done in."""
        self.logits: set[int] = set()
        """Entries that are as wide as `vocabulary`."""
        self.vocabulary: int | None = None
        self._known = {_key(tensor) for tensor in held}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _READ_NUMBER and isinstance(args[0], FakeTensor):
            return torch.zeros((), dtype=args[0].dtype).item()
        made = self._done(func, args, kwargs)
        count = flop_registry.get(func._overloadpacket) or _attention_flops(func)
        if count is not None:
            first = next(each for each in args if isinstance(each, Tensor))
            self.flops[first.dtype] += int(count(*args, **kwargs, out_val=made))
        for each in made if isinstance(made, list | tuple) else (made,):
            if isinstance(each, Tensor):
                self._note(each)
        return made

    def _done(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The result; large tensors out of nothing are made without data."""
        if _elements(args) > _SMALL:
            with self._fakes:
                return func(*args, **kwargs)
        return func(*args, **kwargs)

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live or key in self._known:
            return
        entry = len(self.sizes)
        self._live[key] = entry
        self.sizes.append(storage.nbytes())
        self.events.append(entry + 1)
        if self.vocabulary is not None and tensor.ndim and tensor.shape[-1] == self.vocabulary:
            self.logits.add(entry)
        weakref.finalize(storage, self._let_go, key)

    def _let_go(self, key: int) -> None:
        entry = self._live.pop(key)
        self.events.append(-(entry + 1))

    @property
    def live(self) -> list[int]:
        """Bytes alive after each event."""
        return list(accumulate(self._change(event) for event in self.events))

    @property
    def now(self) -> int:
        """Bytes that are alive."""
        return sum(self.sizes[entry] for entry in self._live.values())

    def peak_since(self, event: int) -> int:
        """The most bytes that were alive at a time, from an event on."""
        return max(self.live[event:], default=0)

    def at_peak_since(self, begin: int) -> set[int]:
        """The entries that were alive then."""
        live = self.live
        later = live[begin:]
        if not later:
            return set()
        alive: set[int] = set()
        for event in self.events[: begin + later.index(max(later)) + 1]:
            (alive.add if event > 0 else alive.discard)(abs(event) - 1)
        return alive

    def bytes_of(self, entries: Iterable[int]) -> int:
        """Together."""
        return sum(self.sizes[entry] for entry in entries)

    def _change(self, event: int) -> int:
        return self.sizes[event - 1] if event > 0 else -self.sizes[-event - 1]


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _elements(args: Any) -> int:
    """Of a tensor that is made out of nothing, whose shape is the first argument; else 0."""
    shape = args[0] if args else None
    sides = shape if isinstance(shape, list | tuple) else ()
    return math.prod(sides) if all(isinstance(side, int) for side in sides) else 0


def _attention_flops(func: Any) -> Callable[..., int] | None:
    """torch counts the fused attention of GPUs; that of CPUs has the same products."""
    match func._overloadpacket.__name__:
        case "_scaled_dot_product_flash_attention_for_cpu":
            return lambda query, key, *_, **__: 2 * _products(query.shape, key.shape)
        case "_scaled_dot_product_flash_attention_for_cpu_backward":
            return lambda _grad, query, key, *_, **__: 5 * _products(query.shape, key.shape)
        case _:
            return None


def _products(query: Sequence[int], key: Sequence[int]) -> int:
    """FLOPs of all queries times all keys: two each."""
    return 2 * torch.Size(query).numel() * key[-2]
