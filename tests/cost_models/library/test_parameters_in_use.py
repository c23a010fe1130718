"""What parameters move, what dies carry, and which plots a sweep may not set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import UnknownEntryError
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.beachfront import max_bandwidth
from cost_models.table import Choice, Table
from cost_models.weights.quality import format_quality
from dse.analysis.require.bandwidth_limit import bandwidth_by_area
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import load_spec, parse_spec
from dse.sweep.records import LibraryParameterSpec
from dse.uncertainty.monte_carlo import spreads_of
from dse.uncertainty.usage import probe_sweeps, uses_of
from dse.validation.run import run_validation

LIBRARY = shipped_library()
LIBRARY_PARAMETERS = LIBRARY.parameters


def on_die(grade, die, overrides=None, watts=100.0):
    return max_bandwidth(
        Choice.of(grade), np.array([float(die)]), supply_w=watts, supply_v=0.75, technology=Technology(overrides or {})
    )


def test_channels_by_hand():
    # A square die of 400 mm2: 20 mm sides, 17 usable; 12 channels of 1.375 mm on three sides, 17 - 7 mm on the fourth.
    result = on_die("lpddr5x_9600", 400, {"floorplan.aspect_ratio": 1.0})
    assert result.units["sides"] == 12 * 3 + 7
    assert result.gbps_per_unit == pytest.approx(19.2)
    assert result.gbps == pytest.approx(43 * 19.2)
    balls = (70 / 0.94) ** 2 - 140 - 2 * 100 / 0.75
    # The ring of memory around 70 mm has room for more: 26 devices of 14 mm, eight channels each.
    assert result.units["package"] == np.floor(balls / 48) < np.floor(4 * (70 + 24) / 14) * 8
    assert np.isinf(result.units["interposer"])


def test_stacks_by_hand():
    # GH100: 814 mm2 and six stacks; its long side of 31 mm holds three of 10 mm.
    result = on_die("hbm3", 814)
    assert result.most == 6
    assert result.gbps == pytest.approx(6 * 819.2)
    assert on_die("hbm3", 814, {"package.interposer_mm2": 1500.0}).most == np.floor((1500 / 1.1 - 814) / 110)


@given(st.sampled_from(["lpddr5x_8533", "lpddr6_14400", "gddr7_28", "hbm3e"]), st.floats(60, 850), st.floats(1, 2))
@settings(max_examples=40, deadline=None)
def test_more_die_carries_no_less_until_the_package_is_full(grade, die, larger):
    small, large = on_die(grade, die), on_die(grade, min(die * larger, 858))
    assert large.units["sides"] >= small.units["sides"]
    assert large.units["package"] == small.units["package"]
    assert large.units["interposer"] <= small.units["interposer"]


def test_ordinary_memory_gives_a_die_a_terabyte_per_second():
    rows = bandwidth_by_area(["lpddr5x_8533"], areas_mm2=[400, 800], draws=400)
    by_area = {row.die_mm2: row for row in rows}
    # One terabyte per second takes some 60 channels: as wide as those of M1 Max, more than 400 mm2 have room for.
    assert 600 < by_area[400].peak_gbps < 1000 < by_area[800].peak_gbps
    assert by_area[400].low_gbps < by_area[400].peak_gbps < by_area[400].high_gbps
    assert by_area[800].peak_gbps > by_area[400].peak_gbps
    assert by_area[400].delivered_gbps == pytest.approx(0.86 * by_area[400].peak_gbps)


def test_where_a_parameter_is_used():
    uses = {use.metric: use for use in uses_of("tco.pue")}
    moved = ("usd_per_million_tokens", "co2e_g_per_million_tokens")
    expected = {f"{workload}.{metric}" for workload in ("chat", "experts", "users", "talkers") for metric in moved}
    assert set(uses) == expected | {f"talkers.usd_per_million_{kind}_tokens" for kind in ("input", "cached", "output")}
    use = uses["chat.usd_per_million_tokens"]
    assert use.at_low < use.at_typ < use.at_high
    assert uses_of("sram_energy.leakage_mw_per_mib") == [], "evidence"
    with pytest.raises(UnknownEntryError, match=r"tco\.pue"):
        uses_of("tco.pues")


@pytest.mark.parametrize(
    ("path", "metric"),
    [
        ("nodes.samsung_8.wafer_price_usd", "cost_usd"),
        ("clocking.alpha", "tdp_w"),
        ("package.balls_per_memory_bit", "margin of package_balls"),
        ("memory.gddr6.beachfront_mm", "edge_fraction"),
        ("thermal.junction_c.liquid", "tdp_w"),
        ("static_power.idle_board_w.h100_80gb", "chat.decode_w"),
    ],
)
def test_parameters_move_what_they_are_of(path, metric):
    assert metric in {use.metric for use in uses_of(path)}


BAD = """
extends: {quickstart}
technology:
  tco.pue: -1.2
  memory.lpddr5x.efficiency_stream: 1.7
  nodes.tsmc_5.wafer_price_usd: 12 ms
  board.vrm_efficiency: {{typ: 0.9, low: 0.95}}
  tco.utilisation: 60
  nodes.tsmc_5.defect_densty_per_cm2: 0.1
robustness: {{draws: 1}}
"""


def test_bad_overrides_are_refused_with_name_and_line(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(BAD.format(quickstart=Path(__file__).parents[3] / "sweeps" / "quickstart.yaml"))
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    reported = [str(issue) for issue in caught.value.issues]
    for line, path, says in (
        (4, "tco.pue", "-1.2 is not at least 0"),
        (5, "memory.lpddr5x.efficiency_stream", "at most 1"),
        (6, "nodes.tsmc_5.wafer_price_usd", "converts to USD"),
        (7, "board.vrm_efficiency", "low 0.95 is not at most typ 0.9"),
        (8, "tco.utilisation", "at most 1"),
        (9, "nodes.tsmc_5.defect_densty_per_cm2", "perhaps nodes.tsmc_5.defect_density_per_cm2"),
        (10, "robustness.draws", "at least 2"),
    ):
        assert any(f"bad.yaml:{line}:" in one and path in one and says in one for one in reported), (path, reported)
    assert len(reported) == 7


EVIDENCE = """
extends: {quickstart}
technology: {{reference_chips.l4.tdp_w: 1}}
space: {{technology.memory.lpddr5x.energy_host_pj_per_bit: {{values: [1, 2]}}}}
"""


def test_evidence_is_refused_with_the_reason(tmp_path):
    quickstart = Path(__file__).parents[3] / "sweeps" / "quickstart.yaml"
    for overrides in (
        ["technology.reference_chips.l4.tdp_w=1"],
        ["space.technology.nodes.tsmc_5.sram_bitcell_um2.values=[1, 2]"],
    ):
        with pytest.raises(SpecError, match="is evidence only: no model reads it"):
            load_spec(quickstart, overrides=overrides)
    file = tmp_path / "evidence.yaml"
    file.write_text(EVIDENCE.format(quickstart=quickstart))
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    assert [issue.what for issue in caught.value.issues] == [
        "reference_chips.l4.tdp_w is evidence only: no model reads it",
        "memory.lpddr5x.energy_host_pj_per_bit is evidence only: no model reads it",
    ]


def reads_of(space=None, baselines=None, **sections):
    """Return the parameters that the default design of a space and some chips read."""
    board = {"memory": "hbm3", "memory_devices": 8, "memory_device_gib": 16}
    spec = parse_spec({
        "name": "probe", "workloads": {"chat": {"model": "llama2_70b", "batch": 8}},
        "space": {**board, **(space or {})},
        "objectives": [{"metric": "cost_usd", "direction": "minimize"}], "search": {"sampler": "grid"},
        "baselines": baselines or {}, **sections,
    })  # fmt: skip
    evaluator = Evaluator(spec)
    evaluator.evaluate(Space(spec).default_design())
    for entry in spec.baselines.values():
        evaluator.baseline_columns(entry)
    return evaluator.technology.reads


class Recorded(dict):
    """Parameters that remember which were looked up."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.seen = set()

    def __getitem__(self, path):
        self.seen.add(path)
        return super().__getitem__(path)


def test_every_parameter_that_can_be_set_is_read_by_some_evaluation():
    """Designs with every choice, every chip, a user's own entries, Monte Carlo samples, measured rows and kernels."""
    read = set()
    for spec, probes in probe_sweeps(()):
        evaluator = Evaluator(spec)
        evaluator.evaluate(Table.from_settings(*probes.values()))
        read |= evaluator.technology.reads
    usable = [name for name, chip in LIBRARY.chips.items() if chip.bandwidth_gbps and chip.capacity_gib]
    read |= reads_of(baselines={name: {"chips": f"8x {name}"} for name in usable})
    read |= reads_of(baselines={"nm": {"chips": "8x h100_sxm", "weight_format": "nm2of4_int4"}})
    for method, form in {
        "awq": "int3_g128", "qat": "int3_g128", "kquant_imatrix": "gguf_q4_k_m", "vector": "vector_2bit",
    }.items():  # fmt: skip
        read |= reads_of({"weight_format": form, "weight_method": method})
    for method in ("scaled", "rotated", "floating"):
        read |= reads_of({"weight_format": "mxfp4", "act_bits": 4, "act_method": method})
    for execution in ("look_up", "bit_plane"):
        read |= reads_of({"weight_format": "bcq3_g128", "weight_execution": execution})
        one = {"chips": "8x h100_sxm", "weight_format": "bcq3_g128", "weight_execution": execution}
        read |= reads_of(baselines={"one": one if execution == "look_up" else {"chips": "8x h100_sxm"}})
    for execution in ("gated", "skip"):
        read |= reads_of({"weight_format": "bitmap_int4_s50", "weight_execution": execution})
    read |= reads_of({"architecture": "programmable", "spare_cores": 2})
    for pruning in ("wanda", "alps"):
        mine = {"weight_formats": {"bitmap_int4_s50": {"pruning": pruning}}}
        read |= reads_of({"weight_format": "bitmap_int4_s50"}, library=mine)
    for year in (2023.5, 2025.5):
        read |= reads_of(economics={"price_year": year})
    for path in [path for path in LIBRARY.parameters if path.startswith("carbon.grid_g_per_kwh.")]:
        mine = {"nodes": {"tsmc_5": {"fab_grid": path.rpartition(".")[2]}}}
        read |= reads_of({"node": "tsmc_5"}, library=mine)
    sampled = Recorded(LIBRARY.parameters)
    spreads_of(read, {}, replace(LIBRARY, parameters=sampled))
    read |= sampled.seen
    technology = Technology()
    for model in LIBRARY.models.values():
        if model.quantised_like:
            format_quality(model, LIBRARY.weight_format("int4_g128"), "gptq", technology)
    run_validation(technology=technology)
    read |= technology.reads
    # Business terms have a section of their own, see test_spec.
    settable = {path for path in LIBRARY.parameters if not path.startswith("economics.")}
    assert len(settable) > 1000
    assert sorted(settable - read) == []


def test_correlations_can_be_replaced():
    path, cause = "nodes.tsmc_7.wafer_price_usd", "shared_causes.wafer_price.correlation"
    own = {cause: LibraryParameterSpec.model_construct(typ=0.1, low=None, high=None)}
    (shipped,), (other,) = (spreads_of([path], one, LIBRARY) for one in ({}, own))
    assert shipped.correlation == LIBRARY.parameters[cause].typ and other.correlation == 0.1
