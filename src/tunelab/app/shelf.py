"""Models that stay loaded as long as there is room, shared by everybody who asks.

A model is loaded when it is first asked. When another one needs the memory, the one that has
not been asked for the longest time goes, unless somebody is asking it just now: then whoever
needs the room waits. A model that fits nowhere is still tried when nothing else is loaded.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import torch

from tunelab.answering import Answerer

Room = Callable[[int], int]
"""From the bytes that loaded models take to the bytes that are left for others."""

_BESIDES_WEIGHTS = 1.25
"""What answering takes, in weights: activations, keys and values."""


def measured_room(_held: int) -> int:
    """What the system says is free: of the accelerator where there is one, else of the machine."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def fixed_room(limit: int) -> Room:
    """What is left of a number of bytes."""
    return lambda held: limit - held


@dataclass(slots=True)
class _Place:
    """A model that is loaded, or being loaded."""

    bytes: int
    users: int = 1
    answerer: Future[Answerer] = field(default_factory=Future)


class Shelf:
    """The loaded models.

    Args:
        load: loads a model by its name.
        size: about what the weights of a model take, in bytes.
        room: what is left.
    """

    def __init__(
        self, load: Callable[[str], Answerer], *, size: Callable[[str], int], room: Room
    ) -> None:
        self._load = load
        self._size = size
        self._room = room
        self._places: dict[str, _Place] = {}  # who was asked last comes last
        self._changed = threading.Condition()

    @property
    def loaded(self) -> list[str]:
        """The names of the models that are loaded, the one asked last at the end."""
        with self._changed:
            return list(self._places)

    @contextmanager
    def borrow(self, name: str) -> Iterator[Answerer]:
        """A model that stays loaded until it is given back.

        Raises:
            TunelabError: it cannot be loaded.
        """
        place, mine = self._take(name)
        try:
            if mine:
                self._fill(place, name)
            yield place.answerer.result()
        finally:
            with self._changed:
                place.users -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Free all models; those that are being asked finish first."""
        with self._changed:
            while self._places:
                name = next(iter(self._places))
                self._changed.wait_for(lambda name=name: self._is_idle(name))
                self._free(name)

    def _take(self, name: str) -> tuple[_Place, bool]:
        """A place, and whether whoever takes it has to load the model."""
        needed = int(self._size(name) * _BESIDES_WEIGHTS)
        with self._changed:
            while True:
                if name in self._places:
                    place = self._places[name] = self._places.pop(name)
                    place.users += 1
                    return place, False
                if any(not place.answerer.done() for place in self._places.values()):
                    self._changed.wait()  # one is loaded at a time: what is free is then known
                    continue
                if not self._places or self._room(self._held) >= needed:
                    place = self._places[name] = _Place(needed)
                    return place, True
                idle = next(filter(self._is_idle, self._places), None)
                if idle is None:
                    self._changed.wait()
                else:
                    self._free(idle)

    def _fill(self, place: _Place, name: str) -> None:
        try:
            place.answerer.set_result(self._load(name))
        except Exception as error:  # noqa: BLE001 - whoever waits for it learns of it
            with self._changed:
                del self._places[name]
            place.answerer.set_exception(error)
        finally:
            with self._changed:
                self._changed.notify_all()

    @property
    def _held(self) -> int:
        return sum(place.bytes for place in self._places.values())

    def _is_idle(self, name: str) -> bool:
        return name not in self._places or self._places[name].users == 0

    def _free(self, name: str) -> None:
        place = self._places.pop(name, None)
        if place is None:
            return
        place.answerer.result().close()
        del place
        gc.collect()  # a model refers to itself
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
