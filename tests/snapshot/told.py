"""Compares what is told now with what was stored: words and short numbers exactly, other numbers nearly."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
        moved = [pair for pair in itertools.zip_longest(now, before, fillvalue="") if len({*map(words, pair)}) > 1]
        assert not moved, f"now and before, of {len(moved)} lines: {moved[:3]}"
        for one, other in zip(now, before, strict=True):
            assert [*numbers(one)] == pytest.approx([*numbers(other)], rel=relative, abs=absolute), f"stored: {other}"

    return compare


CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?"), "DATE"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA-256"),
    (re.compile(r"llm-chip-dse [0-9][\w.]*(, [a-z]+ [0-9][\w.]*)+"), "PACKAGES"),
)
"""What no two calls print alike."""

SURROUNDINGS = ("commit", "packages", "python")
"""What a manifest says of where a run was made."""


def steady(text: str, folder: Path) -> str:
    """Return the text without what no two calls print alike, and without spaces at the ends of lines."""
    text = text.replace(str(folder), "FOLDER")
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def shortened(value: Any) -> Any:
    """Return JSON with the first and the last of every long list, and how many lie between."""
    if isinstance(value, dict):
        return {key: shortened(one) if key not in SURROUNDINGS else "SURROUNDINGS" for key, one in value.items()}
    if not isinstance(value, list):
        return float(f"{value:.9g}") if isinstance(value, float) else value
    if len(value) < 4:
        return [shortened(one) for one in value]
    return [shortened(value[0]), f"and {len(value) - 2} more", shortened(value[-1])]
