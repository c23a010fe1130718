"""Blocks of a page in docs/ that a command makes: from ``<!-- name -->`` to ``<!-- end -->``, the markers kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"(?<=<!-- )(?!end )(\w+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table in Markdown; columns with a number stand right, fractions have three digits."""
    body = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    rule = ["---:" if any(_is_number(line[i]) for line in body) else "---" for i in range(len(head))]
    return ["| " + " | ".join(line) + " |" for line in (list(head), rule, *body)]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\**-?[\d.]+( %)?\**", text) is not None


def blocks_of(page: str) -> dict[str, list[str]]:
    """Return the lines of every block of a page."""
    return {name: lines.splitlines() for name, _, lines in BLOCK.findall(page)}


def rewritten(page: str, blocks: Mapping[str, Sequence[str]]) -> str:
    """Return a page with the lines of its blocks replaced.

    Raises:
        ValueError: the page has other blocks.
    """
    if set(blocks_of(page)) != set(blocks):
        raise ValueError(f"blocks are {', '.join(sorted(blocks))}; the page has {', '.join(sorted(blocks_of(page)))}")
    return BLOCK.sub(lambda found: "".join((found[1], found[2], *(f"{line}\n" for line in blocks[found[1]]))), page)


def write(name: str, blocks: Mapping[str, Sequence[str]]) -> None:
    """Replace the blocks of a page of docs/."""
    path = DOCS / name
    path.write_text(rewritten(path.read_text(encoding="utf-8"), blocks), encoding="utf-8")
