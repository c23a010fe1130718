"""Plain data from YAML 1.2, built from the parser's events: at half the time of PyYAML's way by a tree of nodes.

The library is read anew by every command, so what reading it takes is what every command waits for. What an unquoted
word stands for, and how much a document may hold, is the same in files of the library and in sweeps.
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn, TypeAlias

import yaml

Scalar: TypeAlias = "str | int | float | bool | None"

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Parses text to events; what words mean is not left to it, as it follows YAML 1.1."""

MAX_DEPTH = 40
"""Deepest nesting that is read; a sweep needs six levels."""

MAX_VALUES = 20_000
"""Most values that a document may hold once its aliases are written out; the largest of ours has 2,200."""

MERGE = "<<"
"""Key that YAML 1.1 merges a mapping by; YAML 1.2 has no such key."""

_INTEGER = re.compile(r"[-+]?[0-9](_?[0-9])*")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9](_?[0-9])*(\.([0-9](_?[0-9])*)?)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBERS_START = "+-.0123456789"
_MAX_DIGITS = 400
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def scalar_of(text: str) -> Scalar:
    """Return what an unquoted word of a file stands for (a float that is not finite included)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBERS_START:
        return text
    if _NOT_FINITE.fullmatch(text):
        return float(text.lower().replace(".", ""))
    # Longer ones than so many digits are refused by int() itself; float() calls them infinite.
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", "")) if len(text) < _MAX_DIGITS else float(text.replace("_", ""))
    if _BASED.fullmatch(text):
        return int(text, 0) if len(text) < _MAX_DIGITS else math.inf
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def plain_data(text: str) -> Any:
    """Return what a YAML text holds: mappings, lists, finite numbers, words; None where it holds nothing.

    Raises:
        yaml.MarkedYAMLError: the text is not YAML, holds several documents, has a key twice in one mapping, asks for
            more than plain data, or for more of it than is read.
    """
    loader = LOADER(text)
    try:
        return _Builder(loader).document()
    finally:
        loader.dispose()


class _Builder:
    """Builds data from the events of a loader."""

    def __init__(self, loader: Any) -> None:
        self._next = loader.get_event
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._scalars: dict[str, Scalar] = {}
        self._values = self._depth = 0

    def document(self) -> Any:
        """Return the one document of the stream."""
        self._next()
        if type(self._next()) is yaml.StreamEndEvent:
            return None
        data = self._value(self._next())
        self._next()
        if type(more := self._next()) is not yaml.StreamEndEvent:
            self._refuse("must be one document, got another", more)
        return data

    def _refuse(self, what: str, event: Any) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, what, event.start_mark)

    def _count(self, values: int, event: Any) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            self._refuse(f"the file holds more than {MAX_VALUES} values", event)

    def _value(self, event: Any) -> Any:
        kind = type(event)
        made: Any
        if kind is yaml.ScalarEvent and event.tag is None and event.anchor is None:
            # Nearly all values: what it takes is what reading takes.
            self._values += 1
            if self._values > MAX_VALUES:
                self._count(0, event)
            written = event.value
            if not event.implicit[0]:
                return written
            return self._scalars[written] if written in self._scalars else self._scalar(event)
        if kind is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                self._refuse(f"no anchor &{event.anchor} that ends before it", event)
            made, size = self._anchors[event.anchor]
            self._count(size, event)
            return made
        if event.tag is not None:
            self._refuse(f"the tag {event.tag} has no meaning here, it is not plain data", event)
        before = self._values
        self._count(1, event)
        if kind is yaml.ScalarEvent:
            made = self._scalar(event) if event.implicit[0] else event.value
        else:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                self._refuse(f"is nested deeper than {MAX_DEPTH} levels", event)
            made = self._mapping() if kind is yaml.MappingStartEvent else self._sequence()
            self._depth -= 1
        if event.anchor is not None:
            self._anchors[event.anchor] = made, self._values - before
        return made

    def _mapping(self) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        names = set()
        take, value = self._next, self._value
        while type(event := take()) is not yaml.MappingEndEvent:
            if type(event) is yaml.AliasEvent:
                self._refuse(f"the alias *{event.anchor} stands where a key must be", event)
            key = name = value(event)
            if type(key) is not str:
                if type(key) is not int:
                    self._refuse("a key must be a word or a whole number", event)
                name = str(key)
            elif key == MERGE and event.implicit[0]:
                self._refuse("merge keys (<<) are not followed: write out what is meant", event)
            if name in names:
                # YAML itself would keep the last; 1 and "1" are one name.
                self._refuse(f"{event.value!r} appears twice", event)
            names.add(name)
            built[key] = value(take())
        return built

    def _sequence(self) -> list[Any]:
        built = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            built.append(self._value(event))
        return built

    def _scalar(self, event: Any) -> Scalar:
        written = event.value
        value = scalar_of(written)
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(f"{written[:40]} is not a finite number", event)
        self._scalars[written] = value
        return value
