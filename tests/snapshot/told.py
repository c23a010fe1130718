"""Compares what is told now with what was stored: words and short numbers exactly, other numbers nearly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PIECE = re.compile(r'"[^"]*"|(?<![\w.#])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)')
"""What stands in quotes, which is words, or a number."""


def assert_same(relative: float, absolute: float, digits: int) -> Callable[[Path, Path], None]:
    """Return a comparison of two files: numbers of more than `digits` digits within the tolerances, all else exact."""

    def is_number(piece: str) -> bool:
        mantissa = piece.partition("e")[0]
        return not piece.startswith('"') and sum(map(str.isdigit, mantissa.strip("-+0."))) >= digits

    def words(line: str) -> str:
        return PIECE.sub(lambda found: "#" if is_number(found[0]) else found[0], line)

    def numbers(line: str) -> Iterator[float]:
        return (float(found[0]) for found in PIECE.finditer(line) if is_number(found[0]))

    def compare(made: Path, stored: Path) -> None:
        now, before = (path.read_text(encoding="utf-8").splitlines() for path in (made, stored))
        assert [*map(words, now)] == [*map(words, before)], f"made now: {made}"
        for one, other in zip(now, before, strict=True):
            assert [*numbers(one)] == pytest.approx([*numbers(other)], rel=relative, abs=absolute), f"stored: {other}"

    return compare
