"""Finding the parameters among the library's data: every number with a source, by its dotted path."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from cost_models.errors import shown
from cost_models.library.files import Data, Sections
from cost_models.library.records import Bounds, LibraryParameter, Source

NOT_PARAMETERS = frozenset(
    {"bounds", "meta", "open_questions", "sources", "chips", "models", "memory_grades", "mac_formats", "weight_formats"}
)
"""Sections whose numbers are fields of records or remarks."""

_OWN_WORDS = frozenset({"typ", "value", "low", "high", "year", "src", "conf", "note", "unit", "sources"})
_UNITS = frozenset({
    "usd", "w", "mw", "pw", "pj", "fj", "j", "mm", "mm2", "um2", "cm2", "mib", "gib", "kib", "gb", "gbps", "ghz", "v",
    "bits", "s", "ms", "us", "years", "g", "kg", "kwh", "mtr", "tflops", "transistors", "cycles", "bn", "nm",
    "gb/s", "tb/s", "gbit/s",
})  # fmt: skip

ANY_SIZE = Bounds()
"""Of a number that the section ``bounds`` does not name: not negative."""

_RATE = re.compile("(gb|tb|gbit)_s(?=_|$)")


class _Context(NamedTuple):
    """What a parameter takes from the mappings around it where it says nothing itself."""

    sources: tuple[str, ...] = ()
    confidence: str = ""
    note: str = ""
    unit: str = ""

    def within(self, node: Data, key: str) -> _Context:
        sources = node.get("src", self.sources)
        return _Context(
            (sources,) if isinstance(sources, str) else tuple(sources),
            node.get("conf", self.confidence),
            str(node.get("note", self.note)),
            str(node.get("unit", unit_of(key) or self.unit)),
        )


def _is_words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


_REMARKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "src": (lambda value: isinstance(value, str) or _is_words(value), "a word or a list of words"),
    "conf": (lambda value: isinstance(value, str), "a word"),
    "note": (lambda value: isinstance(value, str), "text"),
    "unit": (lambda value: isinstance(value, str), "a word"),
    "unsourced_fields": (_is_words, "a list of words"),
}
"""What stands beside parameters, and what it must be."""


@functools.cache
def unit_of(key: str) -> str:
    """Return the unit that the last words of a key name, "" where they name none.

    >>> unit_of("organic_fc_substrate_usd_per_mm2")
    'usd_per_mm2'
    >>> unit_of("pue")
    ''
    """
    words = _RATE.sub(r"\1/s", key).split("_")
    if "per" in words:
        start = words.index("per")
        return "_".join(words[start - 1 :] if start and words[start - 1] in _UNITS else words[start:])
    return words[-1] if words[-1] in _UNITS else ""


def is_number(value: object) -> bool:
    """Return whether a value of a file is a number (YAML's true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class _BoundsTable:
    """The section ``bounds``: patterns of paths, and what a number there may be."""

    def __init__(self, sections: Sections) -> None:
        # By first and last part, so that few patterns are tried for a path.
        self._rows: dict[tuple[str, str], list[tuple[list[str], Bounds]]] = {}
        for pattern, text in dict(sections.data.get("bounds", {})).items():
            parts = str(pattern).split(".")
            try:
                self._rows.setdefault((parts[0], parts[-1]), []).append((parts, Bounds.of(str(text))))
            except ValueError as error:
                sections.issue(["bounds", pattern], str(error))

    def of(self, path: Sequence[str]) -> Bounds:
        """Return the bounds of the number at a path."""
        for parts, bounds in self._rows.get((path[0], path[-1]), ()):
            if len(parts) == len(path) and all(part in ("*", word) for part, word in zip(parts, path, strict=True)):
                return bounds
        return ANY_SIZE


class LibraryParameterReader:
    """Walks the sections and collects their parameters.

    A parameter is a mapping with a numeric ``typ`` or ``value``, or a bare number somewhere under a ``src``. Source,
    confidence, note and unit come from the nearest mapping that names them. Items of lists are observations.
    """

    def __init__(self, sections: Sections, sources: Mapping[str, Source]) -> None:
        self._sections, self._sources = sections, sources
        self._bounds = _BoundsTable(sections)
        self.parameters: dict[str, LibraryParameter] = {}

    def read(self) -> dict[str, LibraryParameter]:
        """Return every parameter of every section by its path."""
        for section, content in self._sections.data.items():
            if section not in NOT_PARAMETERS and isinstance(content, Mapping):
                self._walk(content, (section,), _Context())
        return self.parameters

    def _walk(self, node: Data, path: tuple[str, ...], around: _Context) -> None:
        wrong = [key for key, (fits, _) in _REMARKS.items() if key in node and not fits(node[key])]
        for key in wrong:
            self._sections.issue((*path, key), f"must be {_REMARKS[key][1]}, got {shown(node[key])}")
        if wrong:
            return
        context = around.within(node, path[-1])
        typ = node.get("typ", node.get("value"))
        if is_number(typ):
            self._add(path, {"typ": typ, "low": node.get("low"), "high": node.get("high")}, context)
        recalled = node.get("unsourced_fields", ())
        for key, value in node.items():
            if is_number(value):
                if key not in _OWN_WORDS and context.sources:
                    bare = context.within({"src": ["unsourced"], "conf": "low"} if key in recalled else {}, str(key))
                    self._add((*path, str(key)), {"typ": value}, bare)
            elif isinstance(value, Mapping):
                self._walk(value, (*path, str(key)), context)

    def _add(self, path: tuple[str, ...], numbers: Mapping[str, Any], context: _Context) -> None:
        unknown = [source for source in context.sources if source not in self._sources]
        if unknown:
            self._sections.issue(path, f"src must name entries of sources, got {', '.join(map(shown, unknown[:5]))}")
            return
        years = [year for source in context.sources if (year := self._sources[source].year) is not None]
        try:
            self.parameters[".".join(path)] = LibraryParameter(
                **numbers,
                unit=context.unit,
                sources=context.sources,
                year=max(years, default=None),
                confidence=context.confidence,
                note=context.note,
                bounds=self._bounds.of(path),
            )
        except ValidationError as error:
            for issue in error.errors():
                self._sections.issue(path, issue_text(issue))


def issue_text(issue: Any) -> str:
    """Return one pydantic error as a sentence: field, what it must be, what it is."""
    where = ".".join(str(part) for part in issue["loc"])
    message = issue["msg"].removeprefix("Value error, ")
    if issue["type"] == "missing":
        return f"{where} is missing"
    if issue["type"] == "extra_forbidden":
        return f"{where} is not a field of this entry"
    if not where:
        return str(message)
    message = re.sub(r"^Input should be", "must be", message)
    return f"{where} {message}, got {shown(issue['input'])}"
