"""Models are loaded when first asked, shared, and freed when another needs the memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tunelab.answering import Answerer, load_answerer
from tunelab.app.shelf import Shelf, fixed_room, measured_room
from tunelab.errors import ModelError


class Loading:
    """Loads one checkpoint under any name, and counts."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.names: list[str] = []

    def __call__(self, name: str) -> Answerer:
        self.names.append(name)
        if name == "broken":
            raise ModelError("There is no such model.")
        return load_answerer(str(self.checkpoint))


@pytest.fixture
def loading(small_decoder: Path) -> Loading:
    return Loading(small_decoder)


@pytest.fixture
def shelf(loading: Loading) -> Iterator[Shelf]:
    made = Shelf(loading, size=lambda _name: 100, room=fixed_room(260))  # two of 125 fit
    yield made
    made.close()
    assert made.loaded == []


def test_the_one_not_asked_for_the_longest_time_goes(shelf: Shelf, loading: Loading) -> None:
    for name in ("a", "b", "a", "c", "a"):
        with shelf.borrow(name):
            pass
    assert loading.names == ["a", "b", "c"]
    assert shelf.loaded == ["c", "a"]


def test_a_model_that_is_being_asked_stays(shelf: Shelf) -> None:
    with shelf.borrow("a"), shelf.borrow("b"):
        waiting = threading.Thread(target=borrow_shortly, args=(shelf, "c"))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive() and shelf.loaded == ["a", "b"]
    waiting.join(20)
    assert "c" in shelf.loaded and len(shelf.loaded) == 2


def borrow_shortly(shelf: Shelf, name: str) -> None:
    with shelf.borrow(name):
        pass


def test_many_who_want_one_model_load_it_once(shelf: Shelf, loading: Loading) -> None:
    def ask(_number: int) -> Answerer:
        with shelf.borrow("a") as answerer:
            return answerer

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert loading.names == ["a"]


def test_what_cannot_be_loaded_takes_no_room(shelf: Shelf) -> None:
    for _ in range(3):
        with pytest.raises(ModelError), shelf.borrow("broken"):
            pass
    assert shelf.loaded == []


def test_what_fits_nowhere_is_tried_alone(loading: Loading) -> None:
    shelf = Shelf(loading, size=lambda name: 10**6 if name == "large" else 1, room=fixed_room(99))
    for name in ("small", "large", "small"):
        with shelf.borrow(name):
            assert shelf.loaded == [name]
    shelf.close()
    assert measured_room(0) > 0
