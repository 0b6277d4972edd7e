"""What a process on Linux holds for tensors that come and go: its heap.

Nothing is given back in a run (`training.allocator`), so its memory is the highest place that the
heap ever reached, holes included. Which holes there are follows from the order of requests:

    a request    takes the smallest hole that is large enough, else new room at the top
    a release    joins the holes on both sides, or lowers the top

This is the best fit of tcmalloc and, for large blocks, of glibc; caches for small ones are left
out, and so is all that is not a tensor. Before 2.38 glibc looks for room to align a block in any
way, so that a hole is too small for a block of the very size that left it: up to half of a heap is
such holes. And where small blocks lie between large ones, as glibc has them, there are more.
"""

from __future__ import annotations

import platform
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from functools import cache

from tunelab.training.allocator import runs_use_tcmalloc

_HEADER, _SMALLEST = 16, 32
_FITS_ALIGNED = (2, 38)
_ALIGNMENT = 64
"""Of torch's tensors."""


class Heap:
    """Blocks of bytes with holes between them; places count from the bottom.

    Args:
        room: bytes that a hole must be larger than a block; not given: as the allocator that runs
            use here has it.
    """

    def __init__(self, *, room: int | None = None) -> None:
        self._room = _room() if room is None else room
        self.top = 0
        self.highest = 0
        """The most that it ever reached."""
        self._holes: list[tuple[int, int]] = []  # (size, place), sorted
        self._hole_at: dict[int, int] = {}  # place -> size
        self._hole_before: dict[int, int] = {}  # its end -> its place
        self._blocks: dict[int, int] = {}  # place -> size

    def take(self, size: int) -> int:
        """The place of a new block."""
        size = _rounded(size)
        index = bisect_left(self._holes, (size + self._room, 0))
        if index < len(self._holes):
            found, place = self._holes[index]
            self._fill(place)
            if found > size:
                self._dig(place + size, found - size)
        else:
            place = self.top
            self._raise(place + size)
        self._blocks[place] = size
        return place

    def give(self, place: int) -> None:
        """Release a block."""
        size = self._blocks.pop(place)
        if (before := self._hole_before.get(place)) is not None:
            size += self._fill(before)
            place = before
        if place + size in self._hole_at:
            size += self._fill(place + size)
        if place + size == self.top:
            self.top = place
        else:
            self._dig(place, size)

    @property
    def held(self) -> int:
        """Bytes of all blocks."""
        return sum(self._blocks.values())

    def _raise(self, top: int) -> None:
        self.top = top
        self.highest = max(self.highest, top)

    def _dig(self, place: int, size: int) -> None:
        insort(self._holes, (size, place))
        self._hole_at[place] = size
        self._hole_before[place + size] = place

    def _fill(self, place: int) -> int:
        size = self._hole_at.pop(place)
        del self._hole_before[place + size]
        del self._holes[bisect_left(self._holes, (size, place))]
        return size


def replay(heap: Heap, sizes: Sequence[int], events: Iterable[int], places: dict[int, int]) -> None:
    """Requests and releases of a `Ledger`, in their order.

    Args:
        heap: changed in place.
        sizes: bytes of each entry.
        events: entry n taken: n + 1, given back: -(n + 1).
        places: of the entries that are held; changed in place.
    """
    for event in events:
        if event > 0:
            places[event - 1] = heap.take(sizes[event - 1])
        else:
            heap.give(places.pop(-event - 1))


@cache
def _room() -> int:
    if runs_use_tcmalloc():
        return 0
    library, version = platform.libc_ver()
    searches = library == "glibc" and tuple(map(int, version.split(".")[:2])) < _FITS_ALIGNED
    return _ALIGNMENT + _SMALLEST if searches else 0


def _rounded(size: int) -> int:
    return -(-(size + _HEADER) // _ALIGNMENT) * _ALIGNMENT
