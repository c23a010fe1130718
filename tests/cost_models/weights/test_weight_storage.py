"""Formats with fields from columns, and ways to execute them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import INACTIVE, Choice
from cost_models.weights.compression import entropy_bound, stored_bits
from cost_models.weights.decoder import encoding_efficiency
from cost_models.weights.execution import EXECUTIONS, Lanes, execution, executions_of
from cost_models.weights.lanes import lane_efficiency
from cost_models.weights.weight_storage import Storage, varied

LIBRARY = shipped_library()
TECHNOLOGY = Technology()
LOSSLESS = ("bitmap", "run_length", "csr16", "csr32", "tiled", "xor")


def storage(*formats, **given):
    return Storage.of(
        {"weight_format": Choice.of(*formats), **{k: np.array(v, float) for k, v in given.items()}}, LIBRARY
    )


def executed(formats, name=None, *, lanes=None, unit=4.0, **given):
    chosen = None if name is None else Choice.of(name)
    return execution(
        storage(*formats, **given),
        chosen,
        unit_bits=np.array([unit]),
        unit_splits=np.ones(1),
        activation_passes=np.ones(1),
        lanes=lanes or Lanes(64, 128, 1),
        technology=TECHNOLOGY,
    )


def test_silent_rows_keep_the_format_of_the_library():
    names = ("bitmap", "xor", "int4_g128", "nm")
    nothing = [np.nan] * 4
    mixed = storage(*names, sparsity=nothing, weight_bits=nothing)
    assert not mixed.given
    assert mixed.map(stored_bits).tolist() == [stored_bits(LIBRARY.weight_format(name)) for name in names]


def test_a_row_sets_its_own_fields_and_no_other():
    mixed = storage("bitmap", "bitmap", "int4_g128", "nm", sparsity=[0.7, np.nan, 0.7, 0.7], nm_m=[8, 8, 8, 8])
    bits = mixed.map(stored_bits)
    assert bits[0] == pytest.approx(1 + 0.3 * 4 + 16 / 128)
    assert bits[1] == stored_bits(LIBRARY.weight_format("bitmap"))
    assert bits[2] == stored_bits(LIBRARY.weight_format("int4_g128"))
    assert bits[3] == pytest.approx(2 / 8 * (4 + 3) + 16 / 128)


@given(st.sampled_from(LOSSLESS), st.lists(st.tuples(st.floats(0.3, 0.95), st.integers(2, 8)), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def test_no_lossless_code_beats_entropy_whatever_its_fields(name, rows):
    sparsity, bits = np.array(rows).T
    swept = storage(*[name] * len(rows), sparsity=sparsity, weight_bits=bits, weight_group=[0.0] * len(rows))
    assert (swept.map(stored_bits) >= swept.map(entropy_bound) * (1 - 1e-9)).all()


@given(st.integers(1, 7), st.integers(2, 16), st.integers(2, 8))
def test_no_pattern_beats_entropy(n, more, bits):
    m = n + more
    swept = storage("nm", nm_n=[n], nm_m=[m], weight_bits=[bits], weight_group=[0.0])
    assert swept.map(stored_bits) >= swept.map(entropy_bound) * (1 - 1e-9)


def test_columns_equal_one_row_at_a_time():
    rng = np.random.default_rng(3)
    names = tuple(LOSSLESS[i] for i in rng.integers(0, len(LOSSLESS), 40))
    columns = {
        "sparsity": rng.uniform(0.3, 0.9, 40),
        "weight_bits": rng.integers(2, 9, 40).astype(float),
        "weight_group": rng.choice([0.0, 64.0], 40),
    }
    together = storage(*names, **columns).map(stored_bits)
    alone = [storage(n, **{k: [v[i]] for k, v in columns.items()}).map(stored_bits)[0] for i, n in enumerate(names)]
    assert together == pytest.approx(alone, rel=1e-12)


def test_the_xor_code_is_looked_up_where_it_was_measured():
    form = varied(LIBRARY.weight_format("xor"), {"n_in": 8.0, "shift_registers": 1.0, "sparsity": 0.7})
    assert form.encoding_efficiency == encoding_efficiency(8, 1, 0.7)
    loose = varied(LIBRARY.weight_format("xor"), {"sparsity": 0.7, "correlation": 0.24})
    assert loose.encoding_efficiency < form.encoding_efficiency + 0.05
    assert stored_bits(loose) > stored_bits(varied(LIBRARY.weight_format("xor"), {"sparsity": 0.7}))


def test_slack_in_the_outputs_stores_more_and_misses_less():
    outputs = np.array([13.0, 14, 15, 16])
    form = varied(LIBRARY.weight_format("xor"), {"n_out": outputs, "sparsity": 0.5})
    assert (np.diff(form.encoding_efficiency) <= 0).all()
    plain = varied(LIBRARY.weight_format("xor"), {"sparsity": 0.5})
    assert stored_bits(form)[-1] == pytest.approx(stored_bits(plain))  # 16 is the most that 8 bits pay for
    swept = storage(*["xor"] * 4, n_out=outputs, sparsity=[0.5] * 4)
    assert swept.map(stored_bits) == pytest.approx(stored_bits(form))
    misses = 0.5 * (1 - form.encoding_efficiency) * 10
    group = form.scale_bits / form.group
    assert stored_bits(form) == pytest.approx(1 + 4 * (8 / outputs + misses + 1 / 512) + group)


def test_binary_codes_pay_a_scale_per_plane_and_group():
    swept = storage("binary_coded", "binary_coded", weight_bits=[3.0, 4.0], weight_group=[64.0, 128.0])
    assert swept.map(stored_bits) == pytest.approx([3 * (1 + 16 / 64) + 16 / 64, 4 * (1 + 16 / 128) + 16 / 128])


def test_skipping_waits_for_the_fullest_lane():
    lanes = Lanes(np.array([4.0, 64, 1024]), 100.0, 1.0)
    result = executed(["bitmap"], "skip", lanes=lanes, sparsity=[0.9])
    share = lane_efficiency(100, 0.1, [4, 64, 1024])
    assert share == pytest.approx([0.761, 0.569, 0.479], abs=6e-4)  # the table of the compression facts
    assert result.time == pytest.approx(0.1 / share, rel=1e-3)
    assert result.energy == pytest.approx(0.1 * 1.2)
    assert (result.skips == 1).all()
    # One lane waits for nobody, whatever its block: what a design without lanes has.
    assert executed(["bitmap"], "skip", lanes=Lanes(), sparsity=[0.9]).time == pytest.approx(0.1)


def test_correlation_slows_skipping_and_a_queue_mends_it():
    times = [
        executed(["bitmap"], lanes=Lanes(64, 100, depth), mask_correlation=[rho]).time[0]
        for rho, depth in ((0.0, 1), (0.05, 1), (0.235, 1), (0.235, 16))
    ]
    assert times[0] < times[1] < times[2] > times[3]


def test_gating_saves_energy_and_no_time():
    dense, gated = (executed(["bitmap"], name, sparsity=[0.8]) for name in ("dense", "gated"))
    assert gated.time == dense.time == 1
    assert gated.energy == pytest.approx(0.2)


def test_bit_planes_leave_no_bit_of_the_unit_idle():
    assert executed(["group_int"], "direct", weight_bits=[3]).time == 1
    assert executed(["group_int"], "bit_plane", weight_bits=[3]).time == 0.75
    assert executed(["group_int"], "look_up", weight_bits=[3]).energy == pytest.approx(0.75 * 0.63)


def test_expanding_multiplies_wide_and_costs_work_per_tile():
    result = executed(["group_int"], "dequantize", weight_bits=[3])
    assert result.time == 4
    assert result.dequantize_macs > 0
    assert executed(["group_int"]).dequantize_macs == 0


def test_rows_execute_as_they_choose():
    chosen = Choice(("gated", "skip"), np.array([0, 1, INACTIVE]))
    result = execution(
        storage("bitmap", "bitmap", "int4_g128"),
        chosen,
        unit_bits=np.full(1, 4.0),
        unit_splits=np.ones(1),
        activation_passes=np.ones(1),
        lanes=Lanes(1, 100, 1),
        technology=TECHNOLOGY,
    )
    assert result.time.tolist() == pytest.approx([1.0, 0.5, 1.0])
    assert result.skips.tolist() == [0, 1, 0]


@pytest.mark.parametrize("key", sorted(LIBRARY.weight_formats))
def test_every_format_can_execute_its_own_way(key):
    form = LIBRARY.weight_formats[key]
    assert form.execution in executions_of(form)
    assert set(executions_of(form)) <= set(EXECUTIONS)
