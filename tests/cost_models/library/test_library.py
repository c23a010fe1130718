"""The library: what it holds is sourced, consistent and complete, and issues are told with file and line."""

from __future__ import annotations

import csv
import math
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from cost_models.errors import LibraryError
from cost_models.library import shipped_library
from cost_models.library.files import read_yaml
from cost_models.library.parameters import unit_of
from cost_models.library.records import Bounds, Cause

LIBRARY = shipped_library()
DATA = LIBRARY.directory / "data"
FILES = sorted([*DATA.rglob("*.yaml"), *(LIBRARY.directory / "evidence").rglob("*.yaml")])
MEASUREMENTS = sorted((LIBRARY.directory / "measurements").glob("*.csv"))
COLLECTED = {
    "sources", "reticle", "node_scaling_conflicts", "sram_macro_model", "nodes", "raw_node_observations",
    "arithmetic_primitives", "mac_n7", "chip_level_density_constants", "relative_gains_reported", "decompression_ip",
    "sram_energy", "noc_energy", "memory", "memory_relative_claims", "dram_price_late_2025_usd_per_gbit",
    "measured_bandwidth_fraction", "measured_lpddr_rail_power", "packaging", "board", "heat_limits_w_per_mm2",
    "formulas", "interface_areas", "reference_chips", "die_breakdowns_mm2", "static_power", "llm_power_measurements",
    "node_power", "gpu_decode_power_split", "provisioning", "tco", "carbon", "validation", "meta", "open_questions",
}  # fmt: skip


def mappings(data: object) -> Iterator[dict[str, object]]:
    """Yield every mapping inside nested data, items of lists included."""
    if isinstance(data, dict):
        yield data
    if isinstance(data, dict | list):
        for item in data.values() if isinstance(data, dict) else data:
            yield from mappings(item)


def records(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def column(path: Path, name: str) -> set[str]:
    return {row[name] for row in records(path) if row.get(name)}


def is_parameter(entry: dict[str, object]) -> bool:
    number = entry.get("typ", entry.get("value"))
    return isinstance(number, int | float) and not isinstance(number, bool)


# --- parameters
# ---------------------------------------------------------------------------------------------------------


def test_every_parameter_of_the_collection_is_still_there():
    parts = [(name, content) for path in FILES for name, content in read_yaml(path).items() if name in COLLECTED]
    assert {name for name, _ in parts} == COLLECTED
    # Counts of the technology collection that this library was built from.
    assert sum(is_parameter(entry) for _, content in parts for entry in mappings(content)) >= 376
    assert len(LIBRARY.sources) >= 118
    assert len(LIBRARY.nodes) >= 16
    assert len(LIBRARY.parameters) >= 1000 and len(LIBRARY.evidence) >= 600
    assert not set(LIBRARY.parameters) & set(LIBRARY.evidence)


def test_every_parameter_lies_in_its_range_and_is_finite():
    for path, parameter in {**LIBRARY.parameters, **LIBRARY.evidence}.items():
        low = parameter.typ if parameter.low is None else parameter.low
        high = parameter.typ if parameter.high is None else parameter.high
        assert low <= parameter.typ <= high, path
        assert math.isfinite(low) and math.isfinite(high), path


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("(0, 1]", [1e-9, 0.5, 1], [0, -1, 1.1]),
        ("[0, 1]", [0, 1], [-1e-9, 2]),
        ("[0, inf)", [0, 1e-15, 1e15], [-1, 1e30, 1e-320]),
        ("(-inf, inf)", [-5, 5], [-1e300]),
        ("[-2, 2)", [-2, 1.9], [2, -2.1]),
    ],
)
def test_bounds_are_intervals(text, good, bad):
    bounds = Bounds.of(text)
    assert [number for number in good if bounds.issue(number)] == []
    assert [number for number in bad if not bounds.issue(number)] == []


@pytest.mark.parametrize("text", ["0 to 1", "[1, 0]", "(0, 1", "[a, b]", "(1, 1)"])
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match=r"interval such as \(0, 1\]"):
        Bounds.of(text)


def test_parts_of_a_whole_are_at_most_all_of_it():
    parts = ("efficiency", "yield", "utilisation", "correlation")
    for path, parameter in LIBRARY.parameters.items():
        if set(path.rpartition(".")[2].split("_")) & set(parts):
            assert parameter.bounds.high == 1, path


def test_every_source_named_anywhere_exists():
    for path in FILES:
        for entry in mappings(read_yaml(path)):
            named = entry.get("src", [])
            for source in [named] if isinstance(named, str) else named:  # type: ignore[attr-defined]
                assert source in LIBRARY.sources, f"{path.name}: {source}"


def test_a_path_is_the_position_in_the_file():
    nodes = read_yaml(DATA / "nodes.yaml")["nodes"]
    entry = nodes["tsmc_7"]["wafer_price_usd"]
    parameter = LIBRARY.parameter("nodes.tsmc_7.wafer_price_usd")
    assert (parameter.low, parameter.typ, parameter.high) == (entry["low"], entry["typ"], entry["high"])
    assert parameter.sources == tuple(entry["src"])
    assert (parameter.unit, parameter.confidence, parameter.note) == ("usd", entry["conf"], entry["note"])


@pytest.mark.parametrize(
    ("path", "typ", "unit"),
    [
        ("memory.lpddr5x.energy_total_pj_per_bit", 5.0, "pj_per_bit"),
        ("mac_n7.formats.int4xfp16.energy_bare_pj", 0.33, "pj"),
        ("tco.pue", 1.35, ""),
        ("packaging.flip_chip_bond_yield", 0.99, ""),
        ("heat_limits_w_per_mm2.air", 0.95, "w_per_mm2"),
        ("board.vrm_efficiency", 0.9, ""),
        ("sram_energy.model_n7.e0_pj_per_bit", 0.1, "pj_per_bit"),
        ("formulas.gross_dies_edge.scribe_mm", 0.2, "mm"),
        ("carbon.fab_gas_g_per_cm2_95pct_abatement.7", 350, "g_per_cm2"),
        ("carbon.grid_g_per_kwh.korea", 402, "g_per_kwh"),
    ],
)
def test_parameters_that_models_ask_for(path, typ, unit):
    assert (LIBRARY.parameter(path).typ, LIBRARY.parameter(path).unit) == (typ, unit)


def test_a_parameter_takes_its_source_from_the_mapping_around_it():
    parameter = LIBRARY.parameter("mac_n7.formats.int8xint8.energy_bare_pj")
    assert parameter.sources == ("jouppi21", "horowitz14", "jouppi17", "derived")
    assert parameter.year == max(LIBRARY.sources[key].year or 0 for key in parameter.sources)


def test_recalled_fields_of_a_chip_carry_low_confidence():
    assert LIBRARY.evidence["reference_chips.tpu_v1.tdp_w"].sources == ("unsourced",)
    assert LIBRARY.evidence["reference_chips.tpu_v1.tdp_w"].confidence == "low"
    assert LIBRARY.evidence["reference_chips.tpu_v1.sram_mib"].sources == ("jouppi17",)


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("price_usd_per_gb", "usd_per_gb"),
        ("defect_density_per_cm2", "per_cm2"),
        ("bandwidth_gb_s_per_x32", "gb/s_per_x32"),
        ("kernel_s", "s"),
        ("logic_area_rel_n7", ""),
        ("pue", ""),
    ],
)
def test_the_unit_is_the_last_words_of_the_key(key, unit):
    assert unit_of(key) == unit


def test_assumptions_are_marked_as_low_confidence():
    for path, parameter in LIBRARY.parameters.items():
        if path.startswith("memory.") and parameter.note.startswith("assumption:"):
            assert parameter.confidence == "low", path


# --- entries ---------------------------------------------------------------------------------------------------------


def test_hbm_and_lpddr_grades_give_their_published_bandwidth():
    published = {"hbm2e": 410, "hbm3": 819, "hbm3e": 1024, "hbm4": 2048, "hbm3_5200": 665, "hbm2": 256}
    published |= {"hbf": 1600, "cxl_pcie5": 31.5}
    published |= {"lpddr5x_8533": 17.1, "lpddr5_6400": 12.8, "lpddr6_10667": 28.5, "lpddr6_14400": 38.4, "gddr6_16": 64}
    for key, gb_per_s in published.items():
        grade = LIBRARY.memory_grade(key)
        unit_bits = LIBRARY.parameter(f"memory.{grade.technology}.unit_bits").typ
        share = LIBRARY.parameter(f"memory.{grade.technology}.effective_fraction").typ
        assert grade.gbps_per_pin * unit_bits * share / 8 == pytest.approx(gb_per_s, rel=0.005), key


def test_nodes_of_the_2_nm_class_follow_the_makers_claims():
    def node(name, field):
        return LIBRARY.parameter(f"nodes.{name}.{field}").typ

    assert node("tsmc_3", "logic_area_rel_n7") / node("tsmc_2", "logic_area_rel_n7") == pytest.approx(1.15, abs=0.01)
    assert 0.70 < node("tsmc_2", "logic_energy_rel_n7") / node("tsmc_3", "logic_energy_rel_n7") < 0.75
    assert node("samsung_3", "logic_energy_rel_n7") / node("samsung_2", "logic_energy_rel_n7") == pytest.approx(
        1.25, abs=0.01
    )
    # ISSCC 2025: macros of 38.1 Mb/mm2 on both; no more SRAM fits the area than that.
    for name in ("tsmc_2", "intel_18a"):
        assert LIBRARY.parameter(f"nodes.{name}.sram_mm2_per_mib").low == pytest.approx(8.389 / 38.1, rel=0.01)
    # A wafer of a newer node costs more at the same foundry, and its transistors no more than before.
    for newer, older in (("tsmc_2", "tsmc_3"), ("samsung_2", "samsung_3")):
        assert node(newer, "wafer_price_usd") > node(older, "wafer_price_usd")


def test_packages_hold_whole_phy_units():
    for key, memory in LIBRARY.memories.items():
        unit_bits = LIBRARY.parameter(f"memory.{key}.unit_bits").typ
        assert all(bits % unit_bits == 0 for bits in memory.package_bits), key
        beside = "interposer" if key.startswith(("hbm", "hbf")) else "board"
        assert memory.packaging_class == {"none": "on_die", "stacked_dram": "on_top"}.get(key, beside)


def test_total_memory_energy_is_device_plus_host():
    known = [key for key in LIBRARY.memories if f"memory.{key}.energy_host_pj_per_bit" in LIBRARY.evidence]
    assert len(known) >= 7
    for key in known:
        parts = [LIBRARY.evidence.get(f"memory.{key}.energy_{part}_pj_per_bit") for part in ("device", "host")]
        if all(parts):
            total = LIBRARY.parameter(f"memory.{key}.energy_total_pj_per_bit").typ
            assert total == pytest.approx(sum(part.typ for part in parts if part), rel=0.15), key


@pytest.mark.parametrize(
    ("key", "bf16", "fp8", "tdp_w", "bandwidth_gbps", "capacity_gib"),
    [
        ("a100_80gb_sxm", 312, None, 400, 2039, 80),
        ("a100_40gb_sxm", 312, None, 400, 1555, 40),
        ("h100_sxm", 989, 1979, 700, 3350, 80),
        ("h200_sxm", 989, 1979, 700, 4800, 141),
        ("tpu_v4", 275, None, 192, 1200, 32),
    ],
)
def test_published_chips(key, bf16, fp8, tdp_w, bandwidth_gbps, capacity_gib):
    chip = LIBRARY.chip(key)
    assert (chip.peak_tops["bf16"], chip.peak_tops.get("fp8")) == (bf16, fp8)
    assert (chip.tdp_w, chip.bandwidth_gbps, chip.capacity_gib) == (tdp_w, bandwidth_gbps, capacity_gib)


def test_names_in_chips_exist():
    for key, chip in LIBRARY.chips.items():
        assert chip.node is None or chip.node in LIBRARY.nodes, key
        assert chip.memory_technology is None or chip.memory_technology in LIBRARY.memories, key


def test_a_conflict_keeps_the_chosen_value_among_the_printed_ones():
    conflicts = [(chip, conflict) for chip in LIBRARY.chips.values() for conflict in chip.conflicts]
    assert {"gaudi3", "b200", "groq_lpu1", "rebellions_atom", "cloud_ai_100_pro"} <= {c.key for c, _ in conflicts}
    for chip, conflict in conflicts:
        assert len(conflict.values) == len(conflict.sources) >= 2, chip.key
        name, _, number_format = conflict.field.partition(".")
        used = chip.peak_tops[number_format] if number_format else getattr(chip, name)
        assert conflict.chosen in conflict.values and used == conflict.chosen, f"{chip.key}.{conflict.field}"


def test_a_chip_stands_once_and_other_numbers_for_it_are_stated_conflicts():
    rows = read_yaml(LIBRARY.directory / "evidence" / "reference_chips.yaml")["reference_chips"]
    same = {key: row for key, row in rows.items() if "chip" in row}
    assert {"b200", "gaudi3", "rebellions_atom", "l4"} <= set(same)
    named = {
        "die_area_mm2": ("die_mm2",), "sram_mib": ("sram_mib",), "mem_gb_s": ("bandwidth_gbps",), "tdp_w": ("tdp_w",),
        "mem_gb": ("capacity_printed_gb", "capacity_gib"), "node": ("node",),
    }  # fmt: skip
    compared = 0
    for key, row in same.items():
        chip = LIBRARY.chip(row["chip"])
        stated = {(conflict.field, value) for conflict in chip.conflicts for value in conflict.values}
        for field, theirs in row.items():
            fields = (f"peak_tops.{field[5:]}",) if field.startswith("tops_") else named.get(field, ())
            for name in fields:
                used = chip.peak_tops.get(name[10:]) if name.startswith("peak_tops.") else getattr(chip, name)
                if used is not None:
                    compared += 1
                    assert used == theirs or any((one, theirs) in stated for one in fields), f"{key}.{field}"
    assert compared > 80


def test_no_chip_has_more_memory_than_its_box_says():
    for key, chip in LIBRARY.chips.items():
        if chip.capacity_gib is not None and chip.capacity_printed_gb is not None:
            assert chip.capacity_gib <= chip.capacity_printed_gb, key


@pytest.mark.parametrize("table", MEASUREMENTS, ids=lambda path: path.stem)
def test_measured_chips_and_models_are_entries(table):
    assert column(table, "chip") <= set(LIBRARY.chips)
    assert column(table, "model") <= set(LIBRARY.models)


def test_all_measurement_tables_are_shipped():
    rows = {path.stem: len(records(path)) for path in MEASUREMENTS}
    assert rows == {
        "open": 2262, "micro_open": 668, "energy_open": 180, "excluded": 41, "e2e2_open": 289, "micro2_open": 677,
        "energy2_open": 169, "mlperf_open": 187,
    }  # fmt: skip


def test_windows_cover_the_layers_that_the_makers_say():
    windowed = {key: model.window_layers for key, model in LIBRARY.models.items() if model.sliding_window}
    assert windowed["mistral_7b"] == LIBRARY.model("mistral_7b").layers
    for key in ("gpt_oss_20b", "gpt_oss_120b", "gemma2_9b", "gemma2_27b"):
        assert windowed[key] == LIBRARY.model(key).layers / 2


def test_dimensions_that_are_not_public_are_refused_with_the_reason():
    model = LIBRARY.model("hyperclova_204b")
    assert not model.complete
    with pytest.raises(LibraryError, match=r"hyperclova_204b.*not public"):
        _ = model.layers
    with pytest.raises(LibraryError, match="not public"):
        model.require_dimensions()
    with pytest.raises(AttributeError):
        _ = model.number_of_layers


def test_models_say_how_much_text_they_were_trained_on():
    tokens = {key: LIBRARY.model(key).training_tokens for key in ("opt_175b", "llama1_65b", "llama2_70b", "llama3_70b")}
    assert tokens == {"opt_175b": 0.18, "llama1_65b": 1.4, "llama2_70b": 2.0, "llama3_70b": 15.0}
    assert LIBRARY.model("gptj_6b").training_tokens is None


def test_records_survive_pickling_and_refuse_changes():
    for entry in (LIBRARY.chip("h100_sxm"), LIBRARY.model("hyperclova_204b"), LIBRARY.stack("ideal")):
        assert pickle.loads(pickle.dumps(entry)) == entry
    with pytest.raises(ValueError, match="frozen"):
        LIBRARY.chip("h100_sxm").tdp_w = 1.0  # type: ignore[misc]


def test_hypothetical_formats_have_exactly_their_bits():
    for bits in (2, 3, 4):
        form = LIBRARY.weight_format(f"exact_{bits}bit")
        assert form.hypothetical and form.weight_bits == bits and form.kind == "dense"


def test_every_stack_parameter_is_a_parameter_and_all_stacks_have_the_same():
    names = {frozenset(stack.parameters) for stack in LIBRARY.stacks.values()}
    assert len(names) == 1
    for key, stack in LIBRARY.stacks.items():
        for name, parameter in stack.parameters.items():
            assert LIBRARY.parameter(f"stacks.{key}.{name}") is parameter


def test_a_family_finds_its_stack():
    assert "hopper" in LIBRARY.stack_for_family("hopper").families
    with pytest.raises(LibraryError, match="no stack lists 'abacus'"):
        LIBRARY.stack_for_family("abacus")


def test_a_cause_moves_its_parameters_by_one_factor_or_by_one_per_field():
    together = Cause(key="price", parameters=("memory.*.usd",))
    apart = Cause(key="software", parameters=("stacks.*.*", "links.*.sum.share"), per_field=True)
    paths = ("memory.hbm3.usd", "stacks.vllm.share", "stacks.mlc.share", "stacks.mlc.rate_hz", "links.board.sum.share")
    assert [together.factor_of(path) for path in paths] == ["price", *[None] * 4]
    factors = [None, "software.share", "software.share", "software.rate_hz", "software.share"]
    assert [apart.factor_of(path) for path in paths] == factors
