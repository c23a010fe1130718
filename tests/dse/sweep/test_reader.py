"""Sections of a sweep: what each key may hold, and what is said of what it may not."""

from __future__ import annotations

from collections.abc import Callable


def test_every_rule_of_the_space_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("parameters")
