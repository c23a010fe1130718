"""Names, numbers and words that a sweep holds."""

from __future__ import annotations

from collections.abc import Callable


def test_every_rule_of_a_name_or_a_number_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("names_and_numbers")
