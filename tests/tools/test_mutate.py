"""What the tool for mutation testing changes, by which tests it judges, and what it says of time."""

import pytest

from tools.mutate import Mutant, Reach, Some, Source, _within

TEXT = """def f(a: int | None, *, b=1) -> "None | int":
    if a > 2 * b:
        raise ValueError(3 * a)
    return zip(a, b, strict=True)


x: int | None = 4 * f(*y)
axes.plot(1, linewidth=2)
"""


def place(word, occurrence=0):
    """Return (line, column) of a word in the text."""
    at = -1
    for _ in range(occurrence + 1):
        at = TEXT.index(word, at + 1)
    return TEXT.count("\n", 0, at) + 1, at - TEXT.rfind("\n", 0, at) - 1


@pytest.mark.parametrize(
    ("operator", "at", "counts"),
    [
        ("ReplaceBinaryOperator_BitOr_BitAnd", place("|"), False),
        ("ReplaceBinaryOperator_Mul_Div", place("*,"), False),
        ("NumberReplacer", place("1)"), True),
        ("ReplaceBinaryOperator_Mul_Div", place("* b"), True),
        ("ReplaceBinaryOperator_Mul_Div", place("* a"), False),
        ("NumberReplacer", place("3"), False),
        ("ReplaceTrueWithFalse", place("True"), False),
        ("ReplaceBinaryOperator_BitOr_BitAnd", place("|", 2), False),
        ("ReplaceBinaryOperator_Mul_Div", place("* f"), True),
        ("ReplaceBinaryOperator_Mul_Div", place("*y"), False),
        ("NumberReplacer", place("4"), True),
    ],
)
def test_only_what_a_test_could_know_is_changed(operator, at, counts):
    assert Source(TEXT, drawn=False).counts(operator, at) == counts


def test_widths_of_lines_are_taste_where_something_is_drawn():
    assert Source(TEXT, drawn=False).counts("NumberReplacer", place("2)", 0))
    assert not Source(TEXT, drawn=True).counts("NumberReplacer", place("2)", 0))
    assert Source(TEXT, drawn=True).counts("NumberReplacer", place("1, line"))


def test_a_line_is_judged_by_those_that_run_it_and_one_of_the_import_by_all():
    known = Reach.__new__(Reach)
    known.files = {
        "tests/dse/test_other.py": [("quick", 1.0, 0.1), ("slow", 9.0, 5.0)],
        "tests/dse/test_one.py": [("own", 2.0, 3.0)],
        "tests/project/test_far.py": [("far", 1.0, 1.0)],
    }
    known.lines = {
        "dse/one.py": {
            "tests/dse/test_other.py": {1: 0b100, 5: 0b11, 6: 0b10},
            "tests/dse/test_one.py": {1: 0b10, 5: 0b01},
            "tests/project/test_far.py": {1: 0b10},
        }
    }

    def judges(*lines):
        return [
            (one.file.rpartition("_")[2], list(one.cpu_s)) for one in known.tests(Mutant("dse/one.py", "", 0, lines))
        ]

    assert judges(5) == [("one.py", ["own"]), ("other.py", ["quick", "slow"])]
    assert judges(6) == [("other.py", ["slow"])]
    assert judges(7, 6) == [("other.py", ["slow"])]
    assert judges(1) == [("one.py", ["own"]), ("other.py", ["quick", "slow"])]
    # What no test runs in its own process may run in one that a test starts.
    assert judges(9) == [("one.py", ["own"]), ("other.py", ["quick", "slow"])]


def test_tests_beyond_a_limit_are_left_out_and_counted():
    tests = [Some("a", {"one": 1.0, "two": 5.0}, 6.0), Some("b", {"three": 2.0}, 2.0)]
    some, left_out = _within(tests, 4.0)
    assert [list(one.cpu_s) for one in some] == [["one"], ["three"]]
    assert left_out == 1
    assert _within(tests, 100.0) == (tests, 0)
