"""What can be wrong with an entry of the library, or with the name of one.

LibraryError            a library file cannot be read, or a value in it is not what it must be
└── UnknownEntryError   a name that the library does not hold, with the closest names it does
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LibraryError(ValueError):
    """A library file cannot be read, or one of its entries is not what it must be."""


class UnknownEntryError(LibraryError, KeyError):
    """A name that the library does not hold."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        self.suggestions = tuple(difflib.get_close_matches(name, self.known, n=3, cutoff=0.6))
        super().__init__(str(self))

    def __str__(self) -> str:
        perhaps = f"; perhaps {' or '.join(self.suggestions)}" if self.suggestions else ""
        return f"{self.name!r} is not a {self.kind} of the library{perhaps}"
