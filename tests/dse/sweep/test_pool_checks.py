"""What must hold where some chips prefill and others decode."""

from __future__ import annotations

from collections.abc import Callable


def test_every_rule_of_a_pool_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("pools")
