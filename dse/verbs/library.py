"""``dse library``: the cited data, with unit, range, source, year and confidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cost_models.errors import UnknownEntryError
from cost_models.library import Figure, Library
from dse.spec.additions import library_with
from dse.terminal import console, print_lines, print_table
from dse.terminal.tables import Table, cell_text, csv_text
from dse.verbs.stack import show_stack

SECTIONS = (
    "chips",
    "models",
    "memories",
    "memory_grades",
    "nodes",
    "mac_formats",
    "weight_formats",
    "stacks",
    "figures",
    "evidence",
    "sources",
)
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

_FIGURE_HEADINGS = ("figure", "unit", "typical", "low", "high", "year", "confidence", "sources")


def list_section(section: str | None, *, output: str, library: Library) -> None:
    """Print the sections with their sizes, or the entries of one.

    Raises:
        UnknownEntryError: there is no such section.
    """
    if section is None:
        rows: list[list[Any]] = [[name, len(getattr(library, name))] for name in SECTIONS]
        _print("Sections of the library", ("section", "entries"), rows, output)
    elif section in ("figures", "evidence"):
        title = "Figures" if section == "figures" else "Evidence: cited, read by no model"
        _print(title, _FIGURE_HEADINGS, _figure_rows(getattr(library, section)), output)
    elif section in SECTIONS:
        fields = _LISTED[section]
        entries: Mapping[str, BaseModel] = getattr(library, section)
        rows = [[key, *(getattr(entry, field) for field in fields)] for key, entry in entries.items()]
        _print(section, ("key", *fields), rows, output)
    else:
        raise UnknownEntryError("section", section, SECTIONS)


def show_named(name: str, *, output: str, library: Library) -> None:
    """Print every field of the entries with a key, and the figures that belong to them.

    Raises:
        UnknownEntryError: no section has such an entry.
    """
    found = [section for section in SECTIONS if name in getattr(library, section)]
    if not found:
        known = [
            key for section in SECTIONS if section not in ("figures", "evidence") for key in getattr(library, section)
        ]
        raise UnknownEntryError("entry", name, known)
    if found in (["figures"], ["evidence"]):
        show_figures(name, output=output, library=library)
        return
    if found == ["stacks"]:
        show_stack(name, output=output, library=library)
        return
    figures = _figures_of(library, name)
    if output == "csv":
        _print_csv(library, name, found, figures)
        return
    if output == "json":
        entries = {section: getattr(library, section)[name].model_dump(mode="json") for section in found}
        print(json.dumps({**entries, "figures": _figures_json(figures)}, indent=2))
        return
    for section in found:
        _print(f"{section}: {name}", ("field", "value"), _fields(getattr(library, section)[name]), output)
    if figures:
        _print("Figures", _FIGURE_HEADINGS, _figure_rows(figures), output)
    if output == "table" and (sources := _sources(library, name, found)):
        print_lines(console(), sources, heading="Sources")


def _print_csv(library: Library, name: str, sections: Sequence[str], figures: Mapping[str, Figure]) -> None:
    """Print fields and figures of an entry in one table: a field has a value alone."""
    fields = [row for section in sections for row in _fields(getattr(library, section)[name])]
    empty = [""] * (len(_FIGURE_HEADINGS) - 3)
    rows = [[field, "", value, *empty] for field, value in fields] + _figure_rows(figures)
    _print("", ("field or figure", "unit", "value", *_FIGURE_HEADINGS[3:]), rows, "csv")


def show_in_section(section: str, name: str, *, output: str, library: Library) -> None:
    """Print an entry of a section, named in the singular or the plural: ``stack tensorrt_llm``.

    Raises:
        UnknownEntryError: there is no such section, or no such entry in it.
    """
    whole = next((known for known in SECTIONS if section in (known, known.removesuffix("s"))), None)
    if whole is None and section == "memory":
        whole = "memories"
    if whole is None:
        raise UnknownEntryError("section", section, SECTIONS)
    entries: Mapping[str, BaseModel] = getattr(library, whole)
    if name not in entries:
        raise UnknownEntryError(whole.removesuffix("s"), name, entries)
    show_named(name, output=output, library=library)


def show_figures(path: str, *, output: str, library: Library) -> None:
    """Print the figure at a dotted path, or every figure below it.

    Raises:
        UnknownEntryError: there is none.
    """
    everything = {**library.figures, **library.evidence}
    chosen = {name: figure for name, figure in everything.items() if name == path or name.startswith(f"{path}.")}
    if not chosen:
        raise UnknownEntryError("figure", path, everything)
    if output == "json":
        print(json.dumps(_figures_json(chosen), indent=2))
        return
    _print("Figures", _FIGURE_HEADINGS, _figure_rows(chosen), output)
    if output == "table":
        if notes := [f"{name}: {figure.note}" for name, figure in chosen.items() if figure.note]:
            print_lines(console(), notes, heading="Notes")
        keys = dict.fromkeys(key for figure in chosen.values() for key in figure.sources)
        print_lines(console(), [_source_words(library, key) for key in keys], heading="Sources")


def _figure_rows(figures: Mapping[str, Figure]) -> list[list[Any]]:
    return [
        [path, figure.unit, figure.typ, figure.low, figure.high, figure.year, figure.confidence, figure.sources]
        for path, figure in figures.items()
    ]


def _figures_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {path: figure.model_dump(mode="json") for path, figure in figures.items()}


def _figures_of(library: Library, name: str) -> dict[str, Figure]:
    grade = library.memory_grades.get(name)
    owner = grade.technology if grade is not None else name
    return {path: figure for path, figure in library.figures.items() if owner in path.split(".")[:-1]}


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
    keys += [key for figure in _figures_of(library, name).values() for key in figure.sources]
    return [_source_words(library, key) for key in dict.fromkeys(keys)]


def _source_words(library: Library, key: str) -> str:
    source = library.sources.get(key)
    if source is None:
        return key
    parts = [source.title, source.venue, str(source.year or ""), source.url]
    return f"{key}: {', '.join(part for part in parts if part)}"


def _print(title: str, headings: tuple[str, ...], rows: Sequence[Sequence[Any]], output: str) -> None:
    if output == "json":
        print(json.dumps([dict(zip(headings, row, strict=True)) for row in rows], indent=2))
    elif output == "csv":
        listed = [[_cell(value) if isinstance(value, tuple | list | dict) else value for value in row] for row in rows]
        print(csv_text(headings, listed), end="")
    else:
        cells = tuple(tuple(_cell(value) for value in row) for row in rows)
        print_table(console(), Table(title, headings, cells))


def show_uses(path: str, *, output: str, library: Sequence[Path] = ()) -> None:
    """Print which metrics and limits a figure moves, and how far.

    Args:
        path: dotted path of the figure.
        output: "table", "json" or "csv".
        library: directories and sweep files whose entries are added to the library.

    Raises:
        UnknownEntryError: no such figure.
        LibraryError: an addition is at fault.
    """
    from dse.robustness.usage import uses_of

    uses = uses_of(path, library=library)
    rows = [[use.metric, use.seen_in, use.at_low, use.at_typ, use.at_high, round(100 * use.change, 3)] for use in uses]
    if output == "table":
        show_figures(path, output=output, library=library_with(library))
        if not rows:
            evidence = path in library_with(library).evidence
            why = "it is evidence only: no model reads it" if evidence else "not with the designs and chips tried here"
            print_lines(console(), [f"no metric moves with {path}: {why}"])
            return
    headings = ("metric or limit", "seen in", "at its low", "typical", "at its high", "change %")
    _print(f"What {path} moves", headings, rows, output)
