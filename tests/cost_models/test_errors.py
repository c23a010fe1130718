"""What messages about the library say."""

import pytest

from cost_models.errors import MAX_ISSUES, MAX_SHOWN, UnknownEntryError, shown, told


@pytest.mark.parametrize(
    ("kind", "words"),
    [("node", "a node"), ("execution mode", "an execution mode"), ("chip", "a chip"), ("act method", "an act method")],
)
def test_an_unknown_name_is_told_of_its_kind_with_what_was_meant(kind, words):
    error = UnknownEntryError(kind, "tsmc_55", ["tsmc_5", "tsmc_7", "samsung_14"])
    assert str(error) == f"'tsmc_55' is not {words} of the library; perhaps tsmc_5 or tsmc_7"
    assert str(UnknownEntryError(kind, "xyz", ["tsmc_5"])) == f"'xyz' is not {words} of the library"


def test_no_more_of_a_wrong_value_is_repeated_than_a_glance():
    exactly = "x" * (MAX_SHOWN - 2)
    assert shown(exactly) == f"'{exactly}'"
    assert shown(exactly + "y") == f"'{exactly}y..."


def test_many_issues_are_counted():
    some = [str(number) for number in range(MAX_ISSUES)]
    assert told(some).splitlines() == some
    assert told([*some, "last"]).splitlines() == [*some, "and 1 issues more"]
    assert told(some * 30).endswith("and 2,900 issues more")
