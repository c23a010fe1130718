"""Rules between parts of a sweep, each just inside and just outside."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dse.sweep.checks import _circles, _overlaps, values_of
from dse.yaml_positions import node_of


def declared(needs: dict[str, str]) -> dict[str, tuple[Any, ...]]:
    return {name: (SimpleNamespace(when=dict.fromkeys(after, ())),) for name, after in needs.items()}


def in_circles(needs: dict[str, str]) -> set[str]:
    """Parameters from which a walk over conditions comes back."""
    found = set()
    for start in needs:
        reached, open_names = set(), set(needs[start]) & set(needs)
        while open_names:
            reached |= open_names
            open_names = {n for one in open_names for n in needs[one] if n in needs} - reached
        if start in reached:
            found.add(start)
    return found


def test_circles_of_conditions_are_found_once_each() -> None:
    def trails(needs: dict[str, str]) -> list[str]:
        return [issue.what.partition(": ")[2] for issue in _circles(node_of({"space": {}}), declared(needs))]

    assert trails({"a": "b", "b": "c", "c": ""}) == [] and trails({"a": "xy"}) == []
    assert trails({"a": "a"}) == ["a -> a"] and trails({"a": "b", "b": "a"}) == ["a -> b -> a"]
    assert trails({"a": "b", "b": "c", "c": "b"}) == ["b -> c -> b"]
    assert sorted(trails({"a": "b", "b": "a", "c": "d", "d": "c"})) == ["a -> b -> a", "c -> d -> c"]
    for edges in itertools.product(["", "a", "b", "c", "ab", "bc"], repeat=3):
        needs = dict(zip("abc", edges, strict=True))
        named = {name for trail in trails(needs) for name in trail.split(" -> ")}
        assert named == in_circles(needs), needs


@pytest.mark.parametrize(
    ("conditions", "overlaps"),
    [
        ([{"a": (1,)}, {"a": (2,)}], 0), ([{"a": (1,)}, {"a": (1, 2)}], 1), ([{"a": (1,)}, {"b": (2,)}], 1),
        ([{}, {"a": (1,)}], 1),
        ([{"a": (1,), "b": (1,)}, {"a": (1,), "b": (2,)}], 0), ([{"a": (1,)}, {"a": (2,)}, {"a": (2, 3)}], 1),
        ([{"a": (1,)}, {"a": (1,)}, {"a": (1,)}], 3), ([{}], 0),
    ],
)  # fmt: skip
def test_declarations_that_may_hold_together_overlap(conditions: Any, overlaps: int) -> None:
    alternatives: list[Any] = [SimpleNamespace(when=when, values=()) for when in conditions]
    assert len(list(_overlaps(node_of({"space": {}}), "x", alternatives))) == overlaps
    listed: list[Any] = [SimpleNamespace(values=(1, 2)), SimpleNamespace(values=(2, 3))]
    assert values_of(listed) == (1, 2, 3)


def test_every_rule_of_a_condition_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("conditions")


def test_every_rule_of_a_layout_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("layouts")


def test_every_rule_of_traffic_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("traffic")
