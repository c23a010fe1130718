"""Measured LPDDR computers typed as designs: bandwidth as published, bounds kept, decode steps met."""

import functools

import pytest

from cost_models.evaluate.serve import designs_machine
from cost_models.library.technology import Technology
from cost_models.silicon.cost import Economics
from studies.lpddr_computers import LIBRARY, SETTINGS, decode_rows, designs_of, page_table, predicted, table
from tests.pages import assert_made

TECHNOLOGY = Technology(library=LIBRARY)
GENERAL, COMPILED = SETTINGS["stacks"]


@functools.cache
def rows():
    return predicted(decode_rows(), TECHNOLOGY)


@pytest.mark.parametrize("name", SETTINGS["machines"])
def test_a_typed_machine_has_the_published_bandwidth_capacity_and_peak(name):
    part = rows()[rows()["chip"] == name].head(1)
    machine = designs_machine(designs_of(part, GENERAL), TECHNOLOGY, Economics.of(LIBRARY))
    chip = LIBRARY.chip(name)
    assert machine.bandwidth_bytes_per_s.item() == pytest.approx(chip.bandwidth_gbps * 1e9, rel=0.01)
    assert machine.capacity_bytes.item() >= chip.capacity_gib * 2**30
    if "fp16" in chip.peak_tops:
        assert 2e-12 * machine.linear_mac_per_s.item() == pytest.approx(chip.peak_tops["fp16"], rel=0.01)


def test_measured_decode_is_met_within_15_percent_and_by_each_machine_within_20():
    found = rows()
    errors = (found[f"{GENERAL}_ratio"] - 1).abs()
    assert len(found) > 150
    assert errors.median() <= 0.15
    assert (errors.groupby(found["chip"]).median() <= 0.20).all()


def test_software_costs_and_never_gains():
    found = rows()
    assert (found[COMPILED] <= found[GENERAL]).mean() > 0.95, "a program compiled for the chip is hardly ever slower"


def test_the_table_of_the_page_is_what_is_made():
    shown = table(rows())
    assert shown["rows"].iloc[:-2].sum() == shown["rows"].iloc[-2] == len(rows())
    assert_made("lpddr.md", {"machines": page_table(shown)}, "python -m studies.lpddr_computers --write")
