"""The best designs of one objective beside a plain sort."""

import numpy as np
import pytest

from dse.results.top import Top
from tests.dse.results.streams import archived, firsts


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_best_of_one_objective_are_kept_each_design_once(size):
    rows = archived(400, 8, values=6)
    found = rows.evaluation
    expected = firsts(rows, sorted(np.flatnonzero(found.feasible), key=lambda i: (found.objectives[i, 1], i)), size)
    whole, pieces, backwards = Top(1, size), Top(1, size), Top(1, size)
    whole.add(rows)
    parts = np.split(np.arange(400), [3, 50, 51, 300])
    for part in parts:
        pieces.add(rows.take(part))
    for part in reversed(parts):
        other = Top(1, size)
        other.add(rows.take(part))
        backwards.merge(other)
    for one in (whole, pieces, backwards):
        assert one.rows.ids.tolist() == expected
    whole.renumber(7)
    assert whole.rows.ids.tolist() == [i + 7 for i in expected]
    none = Top(0)
    none.add(rows.take(~found.feasible))
    none.renumber(1)
    whole.merge(none)
    assert none.rows is None and len(whole.rows) == size
