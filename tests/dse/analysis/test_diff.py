"""How fronts differ, on fronts made up for it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.analysis.diff import Difference, _beaten, _between, _flat, _of_fronts, _word, differences

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


# -- what was asked and with what it was computed ----------------------------------------------------------------------


def test_nested_sections_are_paths_and_lists_of_values_are_one_value():
    nested = {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 2], "f": [{"g": 3}, 4], "h": (), "i": {}, "j": [5, {"k": [6]}]}
    assert _flat(nested) == {
        "a.b": 1, "a.c.d": 2, "e": [1, 2], "f[0].g": 3, "f[1]": 4, "h": (), "j[0]": 5, "j[1].k": [6],
    }  # fmt: skip
    assert _flat({1: "x"}) == {"1": "x"}


def test_values_are_told_in_six_digits_and_lists_in_words():
    words = [None, 3, 1 / 3, 1234567.0, "x", [1, 0.5, None], (True,), ["a", ["b", "c"]]]
    assert [_word(one) for one in words] == ["", "3", "0.333333", "1.23457e+06", "x", "1, 0.5, ", "True", "a, b, c"]


def test_keys_of_either_side_are_compared_in_the_order_of_the_first():
    first, second = {"b": 1, "same": 5, "gone": 2, "none": None}, {"same": 5, "new": 3, "b": 2}
    assert _between("sweep", first, second) == [
        Difference("sweep", "b", "1", "2"), Difference("sweep", "gone", "2", ""), Difference("sweep", "new", "", "3"),
    ]  # fmt: skip


def test_runs_differ_in_sweep_provenance_packages_counts_and_front(tmp_path):
    def run(name, points, resolved, **manifest):
        made = stored(tmp_path, name, points)
        made.spec.resolved = lambda: resolved
        made.manifest = {"counts": {"evaluated": 7}, "status": "feasible", "python": "3.12", **manifest}
        return made

    one = run("1", [(1.0, 9.0)], {"search": {"seed": 0}}, commit="a", library_sha256="x", packages={"numpy": "2.0"})
    two = run("2", [(1.0, 9.0), (2.0, 10.0)], {"search": {"seed": 1}}, commit="b", library_sha256="x",
              counts={"evaluated": 8}, status="none", python="3.13", started="later")  # fmt: skip
    assert [(found.section, found.what, found.first, found.second) for found in differences(one, two)] == [
        ("sweep", "search.seed", "0", "1"),
        ("provenance", "commit", "a", "b"),
        ("provenance", "python", "3.12", "3.13"),
        ("counts", "status", "feasible", "none"),
        ("packages", "numpy", "2.0", ""),
        ("counts", "evaluated", "7", "8"),
        ("front", "designs", "1", "2"),
        # None is beaten, which is told all the same; the best time is the same.
        ("front", "beaten by a design of the other", "0", "0"),
        ("front", "best tokens", "9", "10"),
    ]
    assert differences(one, one) == []


def test_fronts_of_other_goals_are_not_compared(tmp_path):
    one, two = stored(tmp_path, "one", [(1.0, 9.0)]), stored(tmp_path, "two", [(2.0, 8.0)])
    two.spec = SimpleNamespace(objectives=OBJECTIVES[:1])
    assert _of_fronts(one, two) == [Difference("front", "objectives", "ms, tokens", "others")]


def test_points_that_their_own_front_beats_are_not_counted():
    assert _beaten(np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])) == 1
    assert _beaten(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])) == 0


def test_each_front_is_counted_by_what_the_other_beats_of_it(tmp_path):
    # (1, 5) beats (2, 4), and (3, 10) beats (4, 9).
    one, two = stored(tmp_path, "a", [(1.0, 5.0), (4.0, 9.0)]), stored(tmp_path, "b", [(2.0, 4.0), (3.0, 10.0)])
    told = {found.what: (found.first, found.second) for found in _of_fronts(one, two)}
    assert told["beaten by a design of the other"] == ("1", "1")
    assert told["best ms"] == ("1", "2") and told["best tokens"] == ("9", "10")
