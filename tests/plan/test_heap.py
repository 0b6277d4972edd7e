"""The heap of a process: holes are filled, joined, and sometimes too small."""

from __future__ import annotations

from tunelab.plan.heap import Heap, replay


def test_a_hole_is_filled_before_the_heap_grows() -> None:
    heap = Heap(room=0)
    first = heap.take(1000)
    heap.take(1000)
    heap.give(first)
    assert heap.take(900) == first


def test_the_smallest_hole_that_is_large_enough_is_taken() -> None:
    heap = Heap(room=0)
    large, _, small, _ = heap.take(5000), heap.take(10), heap.take(1000), heap.take(10)
    heap.give(large)
    heap.give(small)
    assert heap.take(1000) == small


def test_neighbouring_holes_are_one() -> None:
    heap = Heap(room=0)
    one, other, _ = heap.take(1000), heap.take(1000), heap.take(10)
    heap.give(one)
    heap.give(other)
    assert heap.take(2000) == one


def test_what_it_reached_stays_when_all_is_given_back() -> None:
    heap = Heap(room=0)
    places = [heap.take(1000) for _ in range(3)]
    for place in places:
        heap.give(place)
    assert heap.top == 0
    assert heap.highest >= 3000


def test_requests_are_replayed_in_their_order() -> None:
    heap, places = Heap(room=0), dict[int, int]()
    replay(heap, [1000, 2000, 500], [1, 2, -1, 3], places)
    assert places[2] == 0  # in the hole that the first one left
    assert heap.held >= 2500


def test_a_hole_is_too_small_for_what_left_it_where_room_to_align_is_asked_for() -> None:
    heap = Heap(room=96)
    first = heap.take(1000)
    heap.take(10)
    heap.give(first)
    assert heap.take(1000) != first
    assert heap.take(800) == first
