"""The front against a plain-Python twin, and the traps of the library below it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dse.front import Front, hypervolume, nondominated, normalised, ranks

pytestmark = pytest.mark.bounded

# Few distinct values, so that ties and duplicates are frequent.
POINTS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 40), st.integers(1, 4)),
    elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0, np.nan, np.inf, -np.inf]),
)


def twin(points: np.ndarray) -> list[bool]:
    """Dominance by its definition; of equal rows the first."""
    rows = [tuple(row) for row in points.tolist()]

    def finite(row: tuple[float, ...]) -> bool:
        return all(np.isfinite(value) for value in row)

    def beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return finite(a) and all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    return [
        finite(row) and row not in rows[:place] and not any(beats(other, row) for other in rows)
        for place, row in enumerate(rows)
    ]


@given(POINTS)
def test_nondominated_is_its_definition(points: np.ndarray) -> None:
    assert nondominated(points).tolist() == twin(points)


@pytest.mark.parametrize("objectives", [1, 2, 3, 5])
def test_rows_of_nan_do_not_reach_the_library(objectives: int) -> None:
    points = np.full((1000, objectives), np.nan)
    points[7] = 1.0
    assert nondominated(points).nonzero()[0].tolist() == [7]
    assert hypervolume(points, np.full(objectives, 3.0)) == pytest.approx(2.0**objectives)
    assert not nondominated(points[:5]).any()


@settings(max_examples=60)
@given(POINTS, st.randoms(use_true_random=False), st.integers(1, 9))
def test_front_does_not_depend_on_order_or_chunks(points: np.ndarray, random, chunk: int) -> None:
    ids = np.arange(len(points)) * 3 + 1
    expected = ids[np.array(twin(points), dtype=bool)]
    order = list(range(len(points)))
    random.shuffle(order)
    front = Front(points.shape[1])
    for start in range(0, len(order), chunk):
        rows = order[start : start + chunk]
        entered = front.update(points[rows], ids[rows])
        assert set(ids[rows][entered]) == set(ids[rows]) & set(front.ids)
    assert front.ids.tolist() == expected.tolist()
    assert np.array_equal(front.objectives, points[np.isin(ids, expected)])


@given(POINTS)
def test_ranks_are_fronts_taken_away_one_after_another(points: np.ndarray) -> None:
    points = points[np.isfinite(points).all(axis=1)]
    result = ranks(points)
    left = np.unique(points, axis=0)
    for rank in range(len(left)):
        front = left[np.array(twin(left), dtype=bool)]
        members = {tuple(row) for row in points[result == rank].tolist()}
        assert members == {tuple(row) for row in front.tolist()}
        left = left[~np.array(twin(left), dtype=bool)]
        if not len(left):
            break
    with pytest.raises(ValueError, match="finite"):
        ranks(np.array([[np.nan, 1.0]]))


def test_infeasible_rows_never_enter() -> None:
    front = Front(2)
    entered = front.update(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 1]), np.array([False, True]))
    assert entered.tolist() == [False, True]
    assert front.ids.tolist() == [1]


def test_equal_rows_keep_the_lowest_id_even_if_it_comes_later() -> None:
    front = Front(2)
    front.update(np.array([[1.0, 2.0]]), np.array([9]))
    front.update(np.array([[1.0, 2.0]]), np.array([4]))
    assert front.ids.tolist() == [4]


def test_hypervolume_of_a_staircase_is_its_closed_form() -> None:
    # Points (k, n - 1 - k) below (n, n): the staircase holds n (n + 1) / 2 unit squares.
    n = 12
    steps = np.array([[k, n - 1 - k] for k in range(n)], dtype=float)
    front = Front(2)
    front.update(steps, np.arange(n))
    assert front.hypervolume([n, n]) == pytest.approx(n * (n + 1) / 2)
    assert front.hypervolume([n, n], ideal=[0, 0]) == pytest.approx((n + 1) / (2 * n))


@given(POINTS)
def test_hypervolume_grows_with_every_point(points: np.ndarray) -> None:
    reference = np.full(points.shape[1], 4.0)
    volumes = [hypervolume(points[:count], reference) for count in range(0, len(points) + 1, 5)]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(volumes))
    on_front = points[nondominated(points)]
    assert hypervolume(on_front, reference) == pytest.approx(hypervolume(points, reference))


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume(np.array([[1.0, 5.0], [4.0, 0.0]]), [4.0, 4.0]) == 0.0


@pytest.mark.parametrize("reference", [[1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_unusable_references_are_refused(reference: list[float]) -> None:
    with pytest.raises(ValueError, match="reference must be 2 finite numbers"):
        hypervolume(np.array([[0.0, 0.0]]), reference)


def test_knee_is_the_bend() -> None:
    front = Front(2)
    front.update(np.array([[0.0, 100.0], [1.0, 10.0], [50.0, 0.0]]), np.array([5, 6, 7]))
    assert front.ids[front.knee()] == 6
    assert front.ideal.tolist() == [0.0, 0.0]
    assert front.nadir.tolist() == [50.0, 100.0]


def test_the_knee_is_nearest_by_a_straight_line() -> None:
    # By sums the fourth would be nearer than the third of the first front, by the greatest the third of the other.
    for third, fourth, nearest in (((0.5, 0.5), (0.02, 0.71), 2), ((0.45, 0.45), (0.02, 0.63), 3)):
        front = Front(2)
        front.update(np.array([(0.0, 1.0), (1.0, 0.0), third, fourth]), np.arange(4))
        assert front.ids[front.knee()] == nearest


def test_knee_of_one_point_and_of_none() -> None:
    front = Front(3)
    with pytest.raises(ValueError, match="empty front"):
        front.knee()
    front.update(np.array([[1.0, 2.0, 3.0]]), np.array([0]))
    assert front.knee() == 0


def test_normalised_does_not_divide_by_an_empty_range() -> None:
    scaled = normalised(np.array([[2.0, 3.0]]), np.array([2.0, 1.0]), np.array([2.0, 5.0]))
    assert scaled.tolist() == [[0.0, 0.5]]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Front(0)
    with pytest.raises(ValueError, match=r"objectives must be \(2, 3\)"):
        Front(3).update(np.zeros((2, 2)), np.arange(2))
    with pytest.raises(ValueError, match="shape"):
        nondominated(np.zeros(3))
