"""Chips whose figures stand in the rows of a measurement file: what the library does not know, the file may tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from pydantic import ValidationError

from cost_models.library import Chip, Library
from cost_models.library.names import resolve
from cost_models.library.parameters import issue_text
from dse.errors import DseError

FIELDS = {
    "chip_family": "family", "chip_memory": "memory_technology", "chip_bandwidth_gbps": "bandwidth_gbps",
    "chip_capacity_gib": "capacity_gib", "chip_sram_mib": "sram_mib", "chip_tdp_w": "tdp_w",
    "chip_link_gbps": "link_gbps", "chip_link_path": "link_path",
}  # fmt: skip
"""Columns that hold a figure of the row's chip, and the fields of a library chip that they are."""

PEAKS = {f"chip_{name}_tops": name for name in ("fp32", "fp16", "bf16", "fp8", "int8", "int4", "fp4")}
"""Columns that hold a peak, dense tera-operations per second."""

NEEDED = ("chip_family", "chip_memory", "chip_bandwidth_gbps", "chip_capacity_gib")
"""Columns without which a chip is not taken from its rows."""


class ChipColumnError(DseError):
    """Columns of a measurement file describe a chip that cannot be."""


def with_own_chips(table: pd.DataFrame, library: Library) -> Library:
    """Return a library with the chips that it lacks and whose figures stand beside their names.

    Args:
        table: cells of a measurement file, "" where empty; of several rows of a chip the first that has the figures.
        library: what is known already; what a file says of a known chip is left aside.

    Raises:
        ChipColumnError: what is wrong with the figures of a chip.
    """
    if not {"chip", *NEEDED} <= set(table.columns):
        return library
    described = table[(table[list(NEEDED)] != "").all(axis=1)].drop_duplicates("chip")
    own = {
        str(row["chip"]): _chip(row, library)
        for row in described.to_dict("records")
        if row["chip"] and resolve("chip", str(row["chip"]), library) not in library.chips
    }
    return replace(library, chips={**library.chips, **own}) if own else library


def _chip(row: Mapping[Any, Any], library: Library) -> Chip:
    """Return the chip that a row describes; what it does not tell is not known."""
    name = str(row["chip"])
    told = {field: row[column] for column, field in FIELDS.items() if row.get(column, "") != ""}
    known = {"chip_family": library.chip_families, "chip_memory": library.memories}
    for column, table in known.items():
        if row[column] not in table:
            raise ChipColumnError(f"chip {name!r}: {column} must be one of {', '.join(table)}, got {row[column]!r}")
    entry = {
        "key": name, "name": name, "vendor": "", "year": None, "node": None, "process": "", "die_mm2": None,
        "peak_tops": {peak: row[column] for column, peak in PEAKS.items() if row.get(column, "") != ""},
        "unified_memory": False, "sram_mib": None, "tdp_w": None, "link_name": "", "link_gbps": None,
        "link_topology": "", "price_low_usd": None, "price_high_usd": None, "price_basis": "",
        "sources": ("the row itself",), **told,
    }  # fmt: skip
    try:
        return Chip.model_validate(entry)
    except ValidationError as error:
        issues = "; ".join(issue_text(issue) for issue in error.errors())
        raise ChipColumnError(f"chip {name!r}, from the columns of its row: {issues}") from None
