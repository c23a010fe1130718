"""What can be wrong with an entry of the library, or with the name of one.

LibraryError            a library file cannot be read, or a value in it is not what it must be
├── ForeignFileError    a file from outside cannot be read, or is not of the kind that it must be
├── UnknownEntryError   a name that the library does not hold, with the closest names it does
└── ExecutionError      a chip is asked to execute a weight format in a way that it cannot
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

MAX_SHOWN = 40
"""Most characters of a wrong value that a message repeats."""


def shown(value: object) -> str:
    """Return a wrong value as a message repeats it, no more of it than a glance."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


_ENDLESS, _CLIPPED = re.compile(r"\S{300,}"), 100
"""Words of a message that are cut, and to how many characters."""


def clipped(text: str) -> str:
    """Return text whose words are no longer than anybody would write one."""
    return _ENDLESS.sub(lambda word: f"{word[0][:_CLIPPED]}...", text)


MAX_ISSUES = 100
"""Most issues that are told of one file; what follows from the first is often told in the others."""


def told(issues: Sequence[str]) -> str:
    """Return issues as lines, with how many more there are where there are many."""
    more = len(issues) - MAX_ISSUES
    return "\n".join([*map(clipped, issues[:MAX_ISSUES]), *([f"and {more:,} issues more"] if more > 0 else [])])


NEAR = 0.72
"""How much alike names are, as `difflib` measures it, of which one may be meant by the other."""

ALL_BUT_THE_SAME = 0.85
"""The same of the one name that alone is told."""


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names that one which is not known was probably meant to be, the most alike first."""
    return difflib.get_close_matches(name, [*known], n=most, cutoff=NEAR if most > 1 else ALL_BUT_THE_SAME)


class LibraryError(ValueError):
    """A library file cannot be read, or one of its entries is not what it must be."""


class ForeignFileError(LibraryError):
    """A file from outside cannot be read, or is not of the kind that it must be.

    Attributes:
        what: what is wrong, without the name of the file.
    """

    def __init__(self, path: Path, what: str, line: int = 0) -> None:
        self.what = what
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}")


class UnknownEntryError(LibraryError, KeyError):
    """A name that the library does not hold."""

    def __init__(self, kind: str, name: str, known: Iterable[str], suggestions: Iterable[str] | None = None) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        self.suggestions = tuple(near_names(name, self.known) if suggestions is None else suggestions)
        super().__init__(str(self))

    def __str__(self) -> str:
        perhaps = f"; perhaps {' or '.join(self.suggestions)}" if self.suggestions else ""
        return (
            f"{shown(self.name)} is not {'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind} of the library{perhaps}"
        )


class ExecutionError(LibraryError):
    """A chip of the library cannot execute a weight format in the way that was asked for."""

    def __init__(
        self, execution_mode: str, chip: str, weight_format: str, act_bits: float, able: Iterable[str]
    ) -> None:
        self.able = tuple(able)
        super().__init__(
            f"{chip} cannot execute {weight_format} with {act_bits:g}-bit activations as {execution_mode}: "
            f"it can do {', '.join(self.able)}"
        )


class CompressionError(ValueError):
    """A tensor, a code or a setting that cannot be stored as asked."""
