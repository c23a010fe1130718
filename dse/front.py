"""The non-dominated set of what has been seen so far, and the volume it dominates.

The only room that knows moocore, which crashes on NaN: every call goes through `_finite`. All
objectives are minimised; a row dominates another if it is nowhere worse and somewhere better.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cost_models.table import FloatArray


def nondominated(points: FloatArray, *, keep_equal: bool = False) -> NDArray[np.bool_]:
    """Return which rows no other row dominates; of equal rows only the first.

    Args:
        points: ``(n, objectives)``, minimised. Rows that are not finite are never in the set and dominate nothing.
        keep_equal: keep all of equal rows instead.
    """
    points, finite = _finite(points)
    chosen = np.zeros(len(finite), dtype=bool)
    if not len(points):
        return chosen
    if points.shape[1] == 1:
        kept = points.ravel() == points.min()
        if not keep_equal:
            kept &= np.cumsum(kept) == 1
    else:
        import moocore

        kept = np.asarray(moocore.is_nondominated(points, keep_weakly=keep_equal), dtype=bool)
    chosen[finite] = kept
    return chosen


def ranks(points: FloatArray) -> NDArray[np.intp]:
    """Return the front that each row is on when the fronts before it are taken away: 0 for non-dominated rows.

    Equal rows have equal ranks.

    Args:
        points: ``(n, objectives)``, finite, minimised.

    Raises:
        ValueError: a row is not finite.
    """
    points, finite = _finite(points)
    if not finite.all():
        raise ValueError("only finite rows have a rank")
    if not len(points):
        return np.empty(0, dtype=np.intp)
    if points.shape[1] == 1:
        return np.unique(points.ravel(), return_inverse=True)[1].astype(np.intp)
    import moocore

    return np.asarray(moocore.pareto_rank(points), dtype=np.intp)


def hypervolume(points: FloatArray, reference: ArrayLike) -> float:
    """Return the volume between the set that `points` dominates and a reference point.

    Exact. The time grows with the number of objectives: 30 000 points take 0.01 s with three, many seconds with five.

    Args:
        points: ``(n, objectives)``, minimised; rows that are not finite count for nothing.
        reference: ``(objectives,)``; points that do not lie below it in every objective add nothing.

    Raises:
        ValueError: the reference is not finite or of another length.
    """
    points, _ = _finite(points)
    worst = np.asarray(reference, dtype=np.float64)
    if worst.shape != (points.shape[1],) or not np.isfinite(worst).all():
        raise ValueError(f"reference must be {points.shape[1]} finite numbers, got {worst}")
    points = points[(points < worst).all(axis=1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(worst[0] - points.min())
    import moocore

    return float(moocore.hypervolume(points, worst))


def normalised(points: FloatArray, ideal: FloatArray, nadir: FloatArray) -> FloatArray:
    """Return points with `ideal` at 0 and `nadir` at 1; an objective in which the two are equal is 0 throughout."""
    span = nadir - ideal
    return np.where(span > 0, (points - ideal) / np.where(span > 0, span, 1.0), 0.0)


class Front:
    """The feasible non-dominated rows among all that were shown, whatever the order in which they came.

    Of rows with equal objectives the one with the lowest id is kept. The caller keeps the rows
    themselves and drops those whose ids have left.

    Args:
        n_objectives: number of objectives, at least 1.

    Attributes:
        ids: ``(size,)`` ids of the members, ascending.
        objectives: ``(size, n_objectives)`` their objectives.
    """

    def __init__(self, n_objectives: int) -> None:
        if n_objectives < 1:
            raise ValueError(f"n_objectives must be at least 1, got {n_objectives}")
        self.ids: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.objectives: FloatArray = np.empty((0, n_objectives))

    def __len__(self) -> int:
        return len(self.ids)

    def update(
        self, objectives: FloatArray, ids: NDArray[np.int64], feasible: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """Show rows and return which of them are members now.

        Args:
            objectives: ``(n, n_objectives)``, minimised; rows that are not finite never enter.
            ids: ``(n,)``, each id once over the life of the front.
            feasible: ``(n,)``; rows that are not feasible never enter. All are where None.

        Raises:
            ValueError: wrong shapes.
        """
        objectives = np.asarray(objectives, dtype=np.float64)
        if objectives.shape != (len(ids), self.objectives.shape[1]):
            raise ValueError(f"objectives must be ({len(ids)}, {self.objectives.shape[1]}), got {objectives.shape}")
        places = np.arange(len(ids)) if feasible is None else np.flatnonzero(feasible)
        places = places[np.isfinite(objectives[places]).all(axis=1)]
        if not len(places):
            return np.zeros(len(ids), dtype=bool)
        # The rows' own front first: it is small, and what is left to compare with the members is too.
        places = places[np.argsort(np.asarray(ids)[places], kind="stable")]
        places = places[nondominated(objectives[places])]
        all_ids = np.concatenate([self.ids, np.asarray(ids, dtype=np.int64)[places]])
        all_objectives = np.concatenate([self.objectives, objectives[places]])
        order = np.argsort(all_ids, kind="stable")
        kept = order[nondominated(all_objectives[order])]
        entered = np.zeros(len(ids), dtype=bool)
        entered[places[kept[kept >= len(self.ids)] - len(self.ids)]] = True
        self.ids, self.objectives = all_ids[kept], all_objectives[kept]
        return entered

    @property
    def ideal(self) -> FloatArray:
        """``(n_objectives,)`` best value of each objective on the front."""
        return cast("FloatArray", self.objectives.min(axis=0))

    @property
    def nadir(self) -> FloatArray:
        """``(n_objectives,)`` worst value of each objective on the front."""
        return cast("FloatArray", self.objectives.max(axis=0))

    def hypervolume(self, reference: ArrayLike, *, ideal: ArrayLike | None = None) -> float:
        """Return the dominated volume up to `reference`; as a share of the box from `ideal` to it where that is given.

        Raises:
            ValueError: the reference does not fit.
        """
        if ideal is None:
            return hypervolume(self.objectives, reference)
        worst, best = np.asarray(reference, dtype=np.float64), np.asarray(ideal, dtype=np.float64)
        return hypervolume(normalised(self.objectives, best, worst), (worst > best).astype(np.float64))

    def knee(self) -> int:
        """Return the place of the member nearest to the ideal, each objective scaled to its range on the front.

        The lowest id where several are as near.

        Raises:
            ValueError: the front is empty.
        """
        if not len(self):
            raise ValueError("an empty front has no knee")
        scaled = normalised(self.objectives, self.ideal, self.nadir)
        return int(np.argmin((scaled**2).sum(axis=1)))


def _finite(points: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the finite rows as moocore wants them, and which rows those are."""
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 1:
        raise ValueError(f"points must have the shape (n, objectives), got {points.shape}")
    finite = np.asarray(np.isfinite(points).all(axis=1))
    return np.ascontiguousarray(points[finite]), finite
