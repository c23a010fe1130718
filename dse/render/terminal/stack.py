"""The constants of a software stack as tables: what each comes from and how far it may be off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from cost_models.library import Library, LibraryParameter
from dse.render.terminal.tables import Lines, Part, Rows, TextTable

NOTE = re.compile(
    r"^fitted on (?:the power of )?(?P<rows>\d+) (?:end-to-end )?rows \((?P<sources>[^)]*)\).*? from a start of "
    r"(?P<start>[\d.e+-]+);.*?(?:; (?P<least>[\d.e+-]+) to (?P<most>[\d.e+-]+) with a chip or source left out)?$"
)
"""What `studies/fits/stacks.py` and `studies/fits/power.py` write beside a fitted constant."""

POWER = ("active_fraction", "decode_attention_energy")
"""Constants fitted on power and not on time."""


@dataclass(frozen=True)
class Constant:
    """One constant of a stack.

    Attributes:
        name: parameter.
        value: typical value.
        low: low end of its range; None where it has none.
        high: high end.
        stack: the stack that gives it: this one, or one that it is built on.
        rows: rows that it was fitted on; None for a definition, a reading or an assumption.
        start: value from which the fit started.
        least: least value with a chip or a source left out of the fit.
        most: greatest such value.
        source: sources of the rows, or what the library says of the value.
        confidence: high, medium or low.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    stack: str
    rows: int | None
    start: float | None
    least: float | None
    most: float | None
    source: str
    confidence: str


def constants(name: str, library: Library) -> list[Constant]:
    """Return every constant of a stack, fitted ones first.

    Raises:
        UnknownEntryError: there is no such stack.
    """
    made = [_constant(library, name, key, parameter) for key, parameter in library.stack(name).parameters.items()]
    return sorted(made, key=lambda constant: constant.rows is None)


def _constant(library: Library, stack: str, name: str, parameter: LibraryParameter) -> Constant:
    result = NOTE.match(parameter.note)
    reported: Mapping[str, str | None] = result.groupdict() if result else {}
    start, least, most = (
        None if reported.get(key) is None else float(str(reported[key])) for key in ("start", "least", "most")
    )
    return Constant(
        name=name,
        value=parameter.typ,
        low=parameter.low,
        high=parameter.high,
        stack=_giver(library, stack, name),
        rows=int(str(reported["rows"])) if result else None,
        start=start,
        least=least,
        most=most,
        source=str(reported["sources"]) if result else parameter.note or ", ".join(parameter.sources),
        confidence=parameter.confidence,
    )


def _giver(library: Library, stack: str, name: str) -> str:
    """Return the stack of a chain of bases that gives a parameter itself."""
    base = library.stack(stack).base
    same = base is not None and library.stack(base).parameters.get(name) is library.stack(stack).parameters[name]
    return _giver(library, str(base), name) if same else stack


def stack_parts(library: Library, name: str) -> list[Part]:
    """Return a stack and all its constants: value, spread, rows used, start and source."""
    every, entry = constants(name, library), library.stack(name)
    fitted = [constant for constant in every if constant.rows is not None]
    others = [constant for constant in every if constant.rows is None]
    lines = [entry.name, entry.note, f"built on {entry.base}" if entry.base else "built on no other stack"]
    lines += [f"stands for software named {', '.join(entry.software)}"] if entry.software else []
    lines += [f"generic profile of {', '.join(entry.families)}"] if entry.families else []
    parts: list[Part] = [Lines([line for line in lines if line], f"stack {name}")]
    if fitted:
        cells = [(c.name, c.value, c.low, c.high, c.least, c.most, c.start, c.rows, _given(c, name)) for c in fitted]
        headings = ("constant", "value", "low", "high", "left out, low", "left out, high", "start", "rows", "given by")
        parts.append(TextTable("Fitted constants", headings, cells))
    groups: dict[str, list[str]] = {}
    for constant in fitted:
        kind = "power" if constant.name in POWER else "time"
        groups.setdefault(f"{kind} of {constant.rows} rows of {constant.source}", []).append(constant.name)
    come_from = [f"{', '.join(names)}: {rows}" for rows, names in groups.items()]
    parts.append(Lines(come_from, "Rows that the fitted constants come from"))
    plain = [(c.name, c.value, c.low, c.high, c.confidence, _given(c, name)) for c in others]
    short = ("constant", "value", "low", "high", "confidence", "given by")
    parts.append(TextTable("Constants that no fit has moved", short, plain))
    return [*parts, Lines([f"{c.name}: {c.source}" for c in others], "Where they come from")]


def stack_rows(library: Library, name: str) -> Rows:
    """Return the constants of a stack as a sheet."""
    headings = tuple(field.name for field in fields(Constant))
    return headings, [tuple(asdict(constant).values()) for constant in constants(name, library)]


def stack_data(library: Library, name: str) -> dict[str, Any]:
    """Return a stack and its constants as plain data."""
    kept = library.stack(name).model_dump(mode="json", exclude={"parameters"})
    return {"stack": kept, "constants": [asdict(constant) for constant in constants(name, library)]}


def _given(constant: Constant, name: str) -> str:
    return "itself" if constant.stack == name else constant.stack
