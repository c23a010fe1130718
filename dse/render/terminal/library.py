"""Entries and parameters of the library as tables, each with unit, range, source, year and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from cost_models.errors import UnknownEntryError
from cost_models.library import Library, LibraryParameter, Support
from cost_models.library.names import singular
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.render.terminal.tables import Lines, Part, Rows, TextTable, cell_text
from dse.sweep.hints import METRIC_ALIASES, NAME_ALIASES, suggest

SECTIONS = (
    "chips", "models", "memories", "memory_grades", "nodes", "mac_formats", "weight_formats", "stacks", "parameters",
    "evidence", "sources",
)  # fmt: skip
"""Sections of the library, in the order in which they are listed."""

_LISTED: Mapping[str, tuple[str, ...]] = {
    "chips": ("name", "year", "bandwidth_gbps", "capacity_gib", "tdp_w", "price_low_usd", "price_high_usd"),
    "models": ("name", "attention", "published_params"),
    "memories": ("packaging_class", "package_bits", "package_gib"),
    "memory_grades": ("technology", "gbps_per_pin"),
    "nodes": ("foundry",),
    "mac_formats": ("weight_bits", "activation_bits", "float_weights"),
    "weight_formats": ("name", "kind", "weight_bits", "sparsity", "method"),
    "stacks": ("name", "families"),
    "sources": ("title", "year", "url"),
}
"""Fields of an entry that a list shows."""

_PARAMETER_HEADINGS = ("parameter", "unit", "typical", "low", "high", "year", "confidence", "support", "sources")

CONFIDENCES = ("low", "medium", "high")
SUPPORTS: tuple[Support, ...] = get_args(Support)


@dataclass(frozen=True)
class Sheet:
    """Rows of the library under a title.

    Attributes:
        title: what they are.
        headings: one per column.
        cells: values as the library has them.
    """

    title: str
    headings: tuple[str, ...]
    cells: Sequence[Sequence[Any]]

    def table(self) -> TextTable:
        """Return the sheet for people."""
        return TextTable(self.title, self.headings, [[_cell(value) for value in row] for row in self.cells])

    def rows(self) -> Rows:
        """Return the sheet for programs, lists in one cell."""
        listed = [
            [_cell(value) if isinstance(value, tuple | list | dict) else value for value in row] for row in self.cells
        ]
        return self.headings, listed

    def records(self) -> list[dict[str, Any]]:
        """Return the sheet as plain data."""
        return [dict(zip(self.headings, row, strict=True)) for row in self.cells]


def section_sheet(library: Library, section: str | None, *, weakest_first: bool = False) -> Sheet:
    """Return the sections with their sizes, or the entries of one.

    Args:
        library: the library.
        section: one of `SECTIONS`; all of them where None.
        weakest_first: whether numbers are ordered by what they rest on (see `Library.support`) and by confidence.

    Raises:
        UnknownEntryError: there is no such section.
    """
    if section is None:
        sizes = []
        for name in SECTIONS:
            held, low, unsourced = getattr(library, name), None, None
            if name in ("parameters", "evidence"):
                low = sum(parameter.confidence == "low" for parameter in held.values())
                unsourced = sum(library.support(parameter) == "unsourced" for parameter in held.values())
            sizes.append([name, len(held), low, unsourced])
        sizes += [
            ["sweep_parameters", len(PARAMETERS) + len(WORKLOAD_FIELDS), None, None],
            ["metrics", len(METRICS), None, None],
        ]
        return Sheet("Sections of the library", ("section", "entries", "low confidence", "unsourced"), sizes)
    if section in ("parameters", "evidence"):
        title = "Parameters" if section == "parameters" else "Evidence: cited, read by no model"
        parameters: Mapping[str, LibraryParameter] = getattr(library, section)
        if weakest_first:
            parameters = dict(sorted(parameters.items(), key=lambda item: _strength(library, item[1])))
        return parameter_sheet(library, parameters, title)
    if section not in SECTIONS:
        raise UnknownEntryError("section", section, SECTIONS)
    fields = _LISTED[section]
    entries: Mapping[str, BaseModel] = getattr(library, section)
    cells = [[key, *(getattr(entry, field) for field in fields)] for key, entry in entries.items()]
    return Sheet(section, ("key", *fields), cells)


def sections_of(library: Library, section: str | None, name: str) -> list[str]:
    """Return the sections that hold an entry; with a section, singular or plural, that one.

    Raises:
        UnknownEntryError: there is no such section, or no such entry.
    """
    if section is None:
        result = [whole for whole in SECTIONS if name in getattr(library, whole)]
        if not result:
            raise UnknownEntryError("entry", name, (), suggest_anything(name, library))
        return result
    whole = next((known for known in SECTIONS if section in (known, singular(known))), None)
    if whole is None:
        raise UnknownEntryError("section", section, SECTIONS)
    entries: Mapping[str, BaseModel] = getattr(library, whole)
    if name not in entries:
        raise UnknownEntryError(singular(whole), name, entries)
    return [whole]


def suggest_anything(name: str, library: Library) -> list[str]:
    """Return what of the library, parameters and metrics included, a word was probably meant to be."""
    held = [key for whole in SECTIONS if whole not in ("parameters", "evidence") for key in getattr(library, whole)]
    perhaps = suggest(name, [*held, *PARAMETERS, *METRICS], {**METRIC_ALIASES, **NAME_ALIASES})
    return perhaps.split(" or ") if perhaps else []


def entry_parts(library: Library, name: str, sections: Sequence[str]) -> list[Part]:
    """Return every field of the entries of a name, the parameters that belong to them, and the sources of both."""
    parts: list[Part] = [
        Sheet(f"{section}: {name}", ("field", "value"), _fields(getattr(library, section)[name])).table()
        for section in sections
    ]
    if parameters := _parameters_of(library, name):
        parts.append(parameter_sheet(library, parameters).table())
    return [*parts, Lines(_sources(library, name, sections), "Sources")]


def entry_rows(library: Library, name: str, sections: Sequence[str]) -> Rows:
    """Return fields and parameters of an entry in one sheet: a field has a value alone."""
    fields = [row for section in sections for row in _fields(getattr(library, section)[name])]
    empty = [""] * (len(_PARAMETER_HEADINGS) - 3)
    cells = [
        *([field, "", value, *empty] for field, value in fields),
        *parameter_sheet(library, _parameters_of(library, name)).cells,
    ]
    return Sheet("", ("field or parameter", "unit", "value", *_PARAMETER_HEADINGS[3:]), cells).rows()


def entry_data(library: Library, name: str, sections: Sequence[str]) -> dict[str, Any]:
    """Return an entry and its parameters as plain data."""
    entries = {section: getattr(library, section)[name].model_dump(mode="json") for section in sections}
    return {**entries, "parameters": parameter_data(_parameters_of(library, name))}


def parameters_below(library: Library, path: str) -> dict[str, LibraryParameter]:
    """Return the parameter at a dotted path, or every parameter below it.

    Raises:
        UnknownEntryError: there is none.
    """
    everything = {**library.parameters, **library.evidence}
    chosen = {name: parameter for name, parameter in everything.items() if name == path or name.startswith(f"{path}.")}
    if not chosen:
        raise UnknownEntryError("parameter", path, everything)
    return chosen


def parameter_parts(library: Library, parameters: Mapping[str, LibraryParameter]) -> list[Part]:
    """Return parameters with their notes and sources."""
    notes = [f"{name}: {parameter.note}" for name, parameter in parameters.items() if parameter.note]
    keys = dict.fromkeys(key for parameter in parameters.values() for key in parameter.sources)
    sources = [_source_words(library, key) for key in keys]
    return [parameter_sheet(library, parameters).table(), Lines(notes, "Notes"), Lines(sources, "Sources")]


def _strength(library: Library, parameter: LibraryParameter) -> tuple[int, int]:
    return SUPPORTS.index(library.support(parameter)), CONFIDENCES.index(parameter.confidence)


def parameter_sheet(library: Library, parameters: Mapping[str, LibraryParameter], title: str = "Parameters") -> Sheet:
    """Return parameters, a row each."""
    cells = [
        [
            path, one.unit, one.typ, one.low, one.high, one.year, one.confidence, library.support(one), one.sources,
        ]
        for path, one in parameters.items()
    ]  # fmt: skip
    return Sheet(title, _PARAMETER_HEADINGS, cells)


def parameter_data(parameters: Mapping[str, LibraryParameter]) -> dict[str, Any]:
    """Return parameters as plain data, by path."""
    return {path: parameter.model_dump(mode="json") for path, parameter in parameters.items()}


def _parameters_of(library: Library, name: str) -> dict[str, LibraryParameter]:
    grade = library.memory_grades.get(name)
    owner = grade.technology if grade is not None else name
    return {path: parameter for path, parameter in library.parameters.items() if owner in path.split(".")[:-1]}


def _fields(entry: BaseModel) -> list[list[Any]]:
    """Return the fields of an entry that say something."""
    return [
        [field, value]
        for field, value in entry.model_dump(mode="json").items()
        if field not in ("key", "sources", "parameters") and value not in (None, "", [], {})
    ]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_cell(inner) for inner in value)
    # A year is no quantity: its thousands are not set apart.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else cell_text(value)


def _sources(library: Library, name: str, sections: Sequence[str]) -> list[str]:
    keys = [key for section in sections for key in getattr(getattr(library, section)[name], "sources", ())]
    keys += [key for parameter in _parameters_of(library, name).values() for key in parameter.sources]
    return [_source_words(library, key) for key in dict.fromkeys(keys)]


def _source_words(library: Library, key: str) -> str:
    source = library.sources.get(key)
    if source is None:
        return key
    parts = [source.title, source.venue, str(source.year or ""), source.url]
    return f"{key}: {', '.join(part for part in parts if part)}"
