"""How fronts differ, on fronts made up for it."""

from types import SimpleNamespace

import pandas as pd
import pytest

from dse.analysis.diff import Difference, _of_fronts

OBJECTIVES = [
    SimpleNamespace(metric="ms", direction="minimize"),
    SimpleNamespace(metric="tokens", direction="maximize"),
]


def stored(folder, name, points):
    """What is read of a run with such a front."""
    path = folder / name
    path.write_text(str(points))
    front = pd.DataFrame(points, columns=["ms", "tokens"])
    return SimpleNamespace(file=lambda _: path, spec=SimpleNamespace(objectives=OBJECTIVES), front=front)


@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 0)])
def test_a_front_without_designs_is_told_by_numbers_alone(tmp_path, first, second):
    runs = [stored(tmp_path, str(n), [(float(k), float(k)) for k in range(n)]) for n in (first, second)]
    assert _of_fronts(*runs) == [Difference("front", "designs", str(first), str(second))]
    assert _of_fronts(runs[0], runs[0]) == []


def test_designs_that_the_other_front_beats_are_counted(tmp_path):
    # (1, 9) beats (2, 8) and (3, 9); nothing beats (4, 10), and an equal does not.
    one = stored(tmp_path, "one", [(1.0, 9.0), (0.0, 5.0)])
    two = stored(tmp_path, "two", [(2.0, 8.0), (3.0, 9.0), (4.0, 10.0), (0.0, 5.0)])
    told = {found.what: (found.first, found.second) for found in _of_fronts(one, two)}
    assert told["designs"] == ("2", "4")
    assert told["beaten by a design of the other"] == ("0", "2")
