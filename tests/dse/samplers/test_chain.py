"""What a chain hands on to its next stage, and who asks and is told when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cost_models.table import Table
from dse.errors import SamplerError
from dse.packing import packed, read_packed
from dse.samplers import Feedback, chain
from dse.space import Space
from tests.dse.samplers.plain import NUMBERS, dominates, space_of


def judged(space: Space, n: int, *, infeasible: float = 0.5, seed: int = 0) -> tuple[Table, Feedback]:
    random = np.random.default_rng(seed)
    designs = space.decode(random.random((n, len(space.dimensions))))
    violations = np.where(random.random((n, 1)) < infeasible, np.round(random.random((n, 1)), 2) + 0.01, 0.0)
    objectives = np.round(random.random((n, 2)) * 0.3, 2)
    objectives[:, 1] += 1 - objectives[:, 0]
    return designs, Feedback(np.arange(n), objectives, violations, violations[:, 0] == 0)


def nearest(feedback: Feedback, at_most: int) -> list[int]:
    missed = [i for i in range(len(feedback)) if not feedback.feasible[i]]
    return sorted(missed, key=lambda i: (feedback.violation[i], i))[:at_most]


@pytest.mark.parametrize("n", [1, 5, 90, 150, 300])
def test_the_nearest_misses_are_those_of_a_plain_sort(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, told = judged(space_of(**NUMBERS), n, infeasible=0.7)
    missed = int((~told.feasible).sum())
    for most in (1, 3, max(1, missed - 1), chain.MAX_SEED_DESIGNS):
        monkeypatch.setattr(chain, "MAX_SEED_DESIGNS", most)
        assert chain._nearest(told).tolist() == nearest(told, most)


@pytest.mark.parametrize("pieces", [1, 4])
def test_seeds_are_the_front_and_the_nearest_misses_whatever_the_pieces(
    pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_SEED_DESIGNS", 12)
    space = space_of(**NUMBERS)
    designs, told = judged(space, 200)
    seeds, merged = chain.Seeds(space, 2), chain.Seeds(space, 2)
    step = 200 // pieces
    for start in range(0, 200, step):
        part = designs.take(slice(start, start + step)), told.rows(start, start + step)
        seeds.add(*part)
        later = chain.Seeds(space, 2)
        later.add(*part)
        merged.merge(later)
    feasible = [i for i in range(200) if told.feasible[i]]
    points = told.objectives
    front = [
        i for i in feasible
        if not any(dominates(points[k], points[i]) or (k < i and (points[k] == points[i]).all()) for k in feasible)
    ]  # fmt: skip
    expected = front + nearest(told, 12)[: max(0, 12 - len(front))]
    restored = chain.Seeds(space, 2)
    restored.restore(read_packed(packed(seeds.state()), "it"))
    for one in (seeds, merged, restored):
        unit, chosen = one.chosen()
        assert chosen.ids.tolist() == expected
        np.testing.assert_array_equal(unit, space.encode(designs)[expected])
        np.testing.assert_array_equal(chosen.objectives, points[expected])
    monkeypatch.setattr(chain, "MAX_SEEDS", 3)
    by_first = sorted(front, key=lambda i: tuple(points[i]))
    middle = by_first[round((len(by_first) - 1) / 2)]
    assert len(front) > 3
    kept = [by_first[0], middle, by_first[-1], *nearest(told, 12)[:9]]
    assert seeds.chosen()[1].ids.tolist() == kept
    monkeypatch.setattr(chain, "MAX_SEED_DESIGNS", 2)
    assert seeds.chosen()[1].ids.tolist() == kept[:3]


def test_equal_designs_are_handed_on_once() -> None:
    space = space_of(cooling={"values": ["air", "liquid"]})
    designs, told = judged(space, 30, infeasible=1.0)
    seeds = chain.Seeds(space, 2)
    seeds.add(designs, told)
    unit, chosen = seeds.chosen()
    firsts = {}
    for i in nearest(told, 100):
        firsts.setdefault(tuple(space.encode(designs)[i]), i)
    assert chosen.ids.tolist() == list(firsts.values()) and len(unit) == 2


class Stage:
    """A stage that proposes so many designs, and remembers what it hears."""

    def __init__(self, space: Space, total: int | None) -> None:
        self.space, self.total, self.asked = space, total, 0
        self.heard: list[list[int]] = []
        self.warm: list[Any] = []

    def ask(self, n: int) -> Table:
        count = min(n, (self.total or 0) - self.asked)
        self.asked += count
        return self.space.decode(np.full((count, len(self.space.dimensions)), 0.5)) if count else Table()

    def tell(self, feedback: Feedback) -> None:
        self.heard.append(feedback.ids.tolist())

    def extend(self, more: int) -> None:
        self.total = (self.total or 0) + more

    def describe(self) -> tuple[str, ...]:
        return (f"stage of {self.total}",)

    def warm_start(self, unit: Any, feedback: Feedback) -> None:
        self.warm.append((unit, feedback))


def test_a_chain_of_three_by_hand() -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5})
    stages: list[Any] = [Stage(space, total) for total in (3, 2, 2)]
    one = chain.Chain(space, stages, n_objectives=1)
    assert one.total == 7 and one.first is stages[0]
    assert one.describe() == ("3 + 2 + 2 designs in 3 stages", "stage of 3", "stage of 2", "stage of 2")

    def told(first: int, count: int, feasible: bool = True) -> Feedback:
        values = np.arange(first, first + count)[:, None] * 1.0
        missed = np.full((count, 1), 1.0 - feasible)
        return Feedback(np.arange(first, first + count), -values, missed, np.full(count, feasible))

    assert one.ask(2).rows == 2 and one.ask(2).rows == 1
    with pytest.raises(SamplerError, match="needs to be told of a whole stage"):
        one.ask(1)
    one.tell(told(0, 1))
    with pytest.raises(SamplerError, match="needs to be told of a whole stage"):
        one.ask(1)
    assert len(one._waiting) == 2 and [designs.rows for designs in one._waiting] == [1, 1]
    one.tell(told(1, 2))
    assert not one._waiting and not stages[1].warm
    assert one.ask(9).rows == 2 and one._offset == 3 and stages[0].heard == [[0], [1, 2]]
    ((unit, best),) = stages[1].warm
    assert best.ids.tolist() == [2] and unit.tolist() == [[0.5]], "of equal designs the front alone: -2"
    one.tell(told(3, 2, feasible=False))
    assert stages[1].heard == [[0, 1]]
    one.extend(4)
    assert [stage.total for stage in stages] == [3, 2, 6] and one.total == 11
    assert one.ask(9).rows == 6 and one._offset == 5 and len(one._waiting) == 1
    one.tell(told(5, 6))
    assert stages[2].heard == [[0, 1, 2, 3, 4, 5]] and one._waiting == [] and one.ask(1) == {}
    stages[1].total = None
    assert one.total is None
