"""Entries, parameters and stacks of a library made by hand, as tables and sheets."""

import math
from types import MethodType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from cost_models.errors import UnknownEntryError
from cost_models.library import Library, LibraryParameter, Source
from cost_models.library.records import Stack
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.render.terminal.library import (
    SECTIONS,
    Sheet,
    entry_data,
    entry_parts,
    entry_rows,
    parameter_data,
    parameter_parts,
    parameters_below,
    section_sheet,
    sections_of,
    suggest_anything,
)
from dse.render.terminal.quantities import NAMES, found_in, quantity_sheet
from dse.render.terminal.stack import constants, stack_data, stack_parts, stack_rows


class Entry(BaseModel):
    """An entry of any section."""

    model_config = ConfigDict(extra="allow")


def parameter(typ, *sources, **changes):
    usual = {"low": typ / 2, "high": typ * 2, "unit": "W", "year": 2024, "confidence": "high"}
    return LibraryParameter(typ=typ, sources=sources or ("paper",), **{**usual, **changes})


SOURCES = {
    "paper": Source(key="paper", title="A paper", kind="paper", read="2026", venue="ISSCC", year=2024, url="https://x.y"),
    "sum": Source(key="sum", title="Arithmetic", kind="derived", read="2026"),
    "nobody": Source(key="nobody", title="Nobody", kind="none", read="2026"),
}  # fmt: skip
HBM = parameter(1234.5, "paper", "sum", note="read off a figure")
PARAMETERS_MADE = {
    "memories.hbm3.edge_mm": HBM,
    "memories.hbm3e.edge_mm": parameter(2.0, "nobody", confidence="medium"),
    "tco.hbm3": parameter(3.0, "nobody", confidence="low", low=None, high=None, year=None),
    "tco.pue": parameter(4.0, "sum", confidence="low"),
    "tco.share": parameter(5.0, "paper", confidence="low"),
}


def library(**changes) -> Any:
    empty: dict[str, Any] = {section: {} for section in SECTIONS}
    chip = Entry(key="a100", name="A100", year=2020, bandwidth_gbps=1555.0, capacity_gib=40.0, tdp_w=400.0,
                 price_low_usd=None, price_high_usd=15000.0, sources=("paper", "gone"))  # fmt: skip
    memory = Entry(key="hbm3", packaging_class="stack", package_bits=1024, package_gib=(16, 24), note="",
                   sources=("sum",), parameters={}, limits={"a": 1.5, "b": (1, 2)}, none=None)  # fmt: skip
    held = {
        **empty, "chips": {"a100": chip}, "memories": {"hbm3": memory}, "sources": SOURCES,
        "memory_grades": {"hbm3_6400": Entry(technology="hbm3", gbps_per_pin=6.4, sources=())},
        "nodes": {"hbm3": Entry(foundry="nobody", sources=("paper",))},
        "parameters": PARAMETERS_MADE, "evidence": {"claims.x": parameter(6.0, "paper", confidence="low")}, **changes,
    }  # fmt: skip
    made = SimpleNamespace(**held)
    made.support = MethodType(Library.support, made)
    made.stack = MethodType(Library.stack, made)
    return made


def test_sections_with_their_sizes():
    sheet = section_sheet(library(), None)
    assert sheet.headings == ("section", "entries", "low confidence", "unsourced")
    rows = {row[0]: tuple(row[1:]) for row in sheet.cells}
    assert [*rows] == [*SECTIONS, "sweep_parameters", "metrics"]
    assert (rows["chips"], rows["models"]) == ((1, None, None), (0, None, None))
    # Three are of low confidence; two rest on nobody's page.
    assert (rows["parameters"], rows["evidence"]) == ((5, 3, 2), (1, 1, 0))
    assert rows["sweep_parameters"] == (len(PARAMETERS) + len(WORKLOAD_FIELDS), None, None)
    assert rows["metrics"] == (len(METRICS), None, None)
    assert sheet.table().cells[0] == ("chips", "1", "", "") and sheet.records()[0]["entries"] == 1


def test_entries_of_a_section():
    sheet = section_sheet(library(), "chips")
    assert (sheet.title, sheet.headings[:2]) == ("chips", ("key", "name"))
    # A year is no quantity.
    assert sheet.table().cells == (("a100", "A100", "2020", "1 555", "40", "400", "", "15 000"),)
    assert section_sheet(library(), "memories").table().cells == (("hbm3", "stack", "1024", "16, 24"),)
    assert section_sheet(library(), "memories").rows() == (
        ("key", "packaging_class", "package_bits", "package_gib"), [["hbm3", "stack", 1024, "16, 24"]],
    )  # fmt: skip
    assert [one.title for one in (section_sheet(library(), "parameters"), section_sheet(library(), "evidence"))] == [
        "Parameters", "Evidence: cited, read by no model",
    ]  # fmt: skip
    assert [row[0] for row in section_sheet(library(), "parameters").cells] == [*PARAMETERS_MADE]
    weakest = section_sheet(library(), "parameters", weakest_first=True)
    assert [(row[0], row[6], row[7]) for row in weakest.cells] == [
        ("tco.hbm3", "low", "unsourced"), ("memories.hbm3e.edge_mm", "medium", "unsourced"),
        ("tco.pue", "low", "derived"),
        ("tco.share", "low", "cited"), ("memories.hbm3.edge_mm", "high", "cited"),
    ]  # fmt: skip
    with pytest.raises(UnknownEntryError, match="'chip' is not a section"):
        section_sheet(library(), "chip")


def test_cells_of_lists_mappings_and_truths():
    sheet = Sheet("t", ("a",), [[{"x": (1, 2.5), "y": "z"}], [(True, None)], [1234567], ["text"], [0.5]])
    assert sheet.table().cells == (("x 1, 2.5, y z",), ("yes, ",), ("1234567",), ("text",), ("0.5",))
    assert sheet.rows() == (("a",), [["x 1, 2.5, y z"], ["yes, "], [1234567], ["text"], [0.5]])


def test_which_sections_hold_a_name():
    made = library()
    assert sections_of(made, None, "hbm3") == ["memories", "nodes"]
    assert sections_of(made, "memory", "hbm3") == sections_of(made, "memories", "hbm3") == ["memories"]
    for section, name, words in (
        (None, "a100x", "'a100x' is not an entry of the library; perhaps a100"),
        ("chip", "hbm3", "'hbm3' is not a chip of the library"), ("thing", "hbm3", "'thing' is not a section"),
    ):  # fmt: skip
        with pytest.raises(UnknownEntryError) as caught:
            sections_of(made, section, name)
        assert str(caught.value).startswith(words)
    assert suggest_anything("zzzzzz", made) == [] and suggest_anything("hbm3_640", made)[0] == "hbm3_6400"
    assert "tco.pue" not in suggest_anything("tco.pue", made)


PAPER = "paper: A paper, ISSCC, 2024, https://x.y"


def test_an_entry_with_its_parameters_and_sources():
    made = library()
    fields, second, parameters, sources = entry_parts(made, "hbm3", ["memories", "nodes"])
    assert (fields.title, second.title) == ("memories: hbm3", "nodes: hbm3")
    # What says nothing is left out, as are the key, sources and parameters.
    assert fields.cells == (
        ("packaging_class", "stack"), ("package_bits", "1024"), ("package_gib", "16, 24"), ("limits", "a 1.5, b 1, 2"),
    )  # fmt: skip
    # Parameters below the name, not that of the name itself.
    assert [row[0] for row in parameters.cells] == ["memories.hbm3.edge_mm"]
    assert (sources.heading, sources.lines) == ("Sources", ["sum: Arithmetic", PAPER])
    # Of a grade those of its technology; without any no table.
    assert [row[0] for row in entry_parts(made, "hbm3_6400", ["memory_grades"])[1].cells] == ["memories.hbm3.edge_mm"]
    chip, sources = entry_parts(made, "a100", ["chips"])
    assert sources.lines == [PAPER, "gone"] and chip.cells[1] == ("year", "2020")
    headings, rows = entry_rows(made, "hbm3", ["memories"])
    assert len(headings) == 9 and all(len(row) == 9 for row in rows)
    assert rows[0] == ["packaging_class", "", "stack", *[""] * 6]
    assert rows[-1] == ["memories.hbm3.edge_mm", "W", 1234.5, 617.25, 2469.0, 2024, "high", "cited", "paper, sum"]
    data = entry_data(made, "hbm3", ["memories", "nodes"])
    assert [*data] == ["memories", "nodes", "parameters"] and data["memories"]["package_bits"] == 1024
    assert data["parameters"] == parameter_data({"memories.hbm3.edge_mm": HBM})


def test_parameters_by_their_path():
    made = library()
    assert [*parameters_below(made, "memories.hbm3")] == ["memories.hbm3.edge_mm"]
    assert [*parameters_below(made, "tco.pue")] == ["tco.pue"] and [*parameters_below(made, "claims")] == ["claims.x"]
    with pytest.raises(UnknownEntryError, match=r"'tco\.pu' is not a parameter of the library; perhaps tco\.pue"):
        parameters_below(made, "tco.pu")
    table, notes, sources = parameter_parts(made, parameters_below(made, "memories"))
    assert table.cells[0] == (
        "memories.hbm3.edge_mm", "W", "1 234", "617.2", "2 469", "2024", "high", "cited", "paper, sum",
    )  # fmt: skip
    assert notes.lines == ["memories.hbm3.edge_mm: read off a figure"]
    assert sources.lines == [PAPER, "sum: Arithmetic", "nobody: Nobody"]


FITTED = "fitted on 12 rows (a, b) of chips from a start of 0.5; kept; 0.25 to 0.75 with a chip or source left out"
ON_POWER = "fitted on the power of 3 end-to-end rows (c) from a start of 1e-3;"


def stacked():
    base = {
        "active_fraction": parameter(0.75, note=ON_POWER), "step_us": parameter(5.0, low=None, high=None),
        "share": parameter(0.5, "sum", "paper", note=""),
    }  # fmt: skip
    own = {**base, "bandwidth_share": parameter(0.8, note=FITTED), "share": parameter(0.6, note="assumed")}
    return library(stacks={
        "base": Stack(key="base", name="Base", sources=("paper",), families=("a", "b"), software=("vLLM", "x"),
                      parameters=base),
        "own": Stack(key="own", name="Own", note="a note", sources=("paper",), base="base", parameters=own),
    })  # fmt: skip


def test_the_constants_of_a_stack():
    made = constants("own", stacked())
    assert [(one.name, one.rows, one.start, one.least, one.most, one.source, one.stack) for one in made] == [
        ("active_fraction", 3, 0.001, None, None, "c", "base"), ("bandwidth_share", 12, 0.5, 0.25, 0.75, "a, b", "own"),
        ("step_us", None, None, None, None, "paper", "base"), ("share", None, None, None, None, "assumed", "own"),
    ]  # fmt: skip
    about, fitted, rows, others, sources = stack_parts(stacked(), "own")
    assert (about.heading, about.lines) == ("stack own", ["Own", "a note", "built on base"])
    assert fitted.cells == (
        ("active_fraction", "0.75", "0.375", "1.5", "", "", "0.001", "3", "base"),
        ("bandwidth_share", "0.8", "0.4", "1.6", "0.25", "0.75", "0.5", "12", "itself"),
    )
    assert rows.lines == ["active_fraction: power of 3 rows of c", "bandwidth_share: time of 12 rows of a, b"]
    assert others.cells == (
        ("step_us", "5", "", "", "high", "base"), ("share", "0.6", "0.3", "1.2", "high", "itself"),
    )  # fmt: skip
    assert sources.lines == ["step_us: paper", "share: assumed"]
    assert stack_parts(stacked(), "base")[0].lines == [
        "Base", "built on no other stack", "stands for software named vLLM, x", "generic profile of a, b",
    ]  # fmt: skip
    plain = stacked()
    del plain.stacks["base"].parameters["active_fraction"]
    assert [getattr(part, "title", "") for part in stack_parts(plain, "base")] == [
        "",
        "",
        "Constants that no fit has moved",
        "",
    ]
    headings, cells = stack_rows(stacked(), "own")
    assert headings[:3] == ("name", "value", "low") and cells[0][:3] == ("active_fraction", 0.75, 0.375)
    data = stack_data(stacked(), "own")
    assert data["stack"]["name"] == "Own" and "parameters" not in data["stack"] and len(data["constants"]) == 4


def test_parameters_and_metrics_as_they_are_looked_up():
    made = library(memory_grades={"a": 1, "b": 2})
    assert (found_in("chat.tpot_ms"), found_in("macs"), found_in("live.batch"), found_in("nothing")) == (
        "metrics", "sweep_parameters", "sweep_parameters", None,
    )  # fmt: skip
    metrics = quantity_sheet("metrics", made)
    assert len(metrics.cells) == len(METRICS) and metrics.title == "Metrics, for objectives and constraints"
    rows = {row[0]: row for row in metrics.cells}
    assert rows["tdp_w"][1:3] == ["W", "less"] and rows["WORKLOAD.tokens_per_joule"][2] == "more"
    assert {row[2] for row in metrics.cells} == {"less", "more", ""}
    assert [row[0] for row in quantity_sheet("metrics", made, "chat.tpot_ms").cells] == ["WORKLOAD.tpot_ms"]
    sheet = quantity_sheet("sweep_parameters", made)
    assert len(sheet.cells) == len(NAMES["sweep_parameters"]) and sheet.title == "Parameters of a sweep, for space"
    bounds = {row[0]: row[3] for row in sheet.cells}
    for name, values in (
        ("clock_ghz", "number above 0 to 10"), ("dies", "whole number above 0 to 8"), ("memory", "dse library list "
         "memory_grades"), ("die_link", "organic, bridge, interposer"),
    ):  # fmt: skip
        assert bounds[name] == values
    assert bounds["spare_cores"].startswith("whole number from 0 to ")
    for name, one in NAMES["sweep_parameters"].items():
        if not one.is_choice:
            assert (" to " in bounds[name]) == math.isfinite(one.high)
    defaults = {row[0]: row[2] for row in sheet.cells}
    assert (defaults["spare_cores"], defaults["supply_v"], defaults["die_link"]) == (0.0, "", "organic")
    (row,) = quantity_sheet("sweep_parameters", made, "memory").cells
    assert row[3] == "a, b"
