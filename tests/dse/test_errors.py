"""Issues: where, what it is, what it must be, and what was perhaps meant."""

from __future__ import annotations

import pickle

import pytest

from dse.errors import NOWHERE, Issue, MissingPackageError, Place, SpecError


@pytest.mark.parametrize(
    ("issue", "text"),
    [
        (Issue(NOWHERE, "", "is empty"), "is empty"), (Issue(Place("f"), "", "is empty"), "f: is empty"),
        (Issue(Place("f", 3), "a.b", "7", "a name"), "f:3  a.b: 7 is not a name"),
        (Issue(Place("f", 3, 4), "a", "7", "a name", "seven"), "f:3:4  a: 7 is not a name; perhaps seven"),
        (Issue(NOWHERE, "a", "is odd", perhaps="even"), "a: is odd; perhaps even"),
        (Issue(NOWHERE, "", "x" * 299), "x" * 299), (Issue(NOWHERE, "", "y " + "x" * 300), "y " + "x" * 100 + "..."),
    ],
)  # fmt: skip
def test_an_issue_says_where_what_and_what_was_meant(issue: Issue, text: str) -> None:
    assert str(issue) == text


def test_issues_stand_in_the_order_of_the_file_each_once() -> None:
    one, two, three = Issue(Place("f", 2), "b", "x"), Issue(Place("f", 1, 5), "c", "x"), Issue(Place("f", 2), "a", "x")
    assert SpecError([one, two, three, one]).issues == (two, one, three)
    with pytest.raises(ValueError, match="at least one issue"):
        SpecError([])


def test_errors_come_whole_from_other_processes() -> None:
    for error in (SpecError([Issue(Place("f", 9), "b", "x"), Issue(NOWHERE, "", "y")]), MissingPackageError("a", "b")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(MissingPackageError("a", "b")) == "b needs the package a; install it with: pip install a"
    assert sorted([Place("b"), Place("a", 10), Place("a", 9, 5), Place("a", 9)])[:2] == [
        Place("a", 9),
        Place("a", 9, 5),
    ]
