"""Activations in few bits against published perplexities, bounds and monotonicity, and what they move."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cost_models.evaluate.serve import designs_machine, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.cost import Economics
from cost_models.table import Choice, Table
from cost_models.weights.activations import ACT_METHODS, act_methods
from cost_models.weights.quality import activation_quality, format_quality, methods_of, perplexity
from cost_models.weights.weight_storage import Storage
from dse.errors import SpecError
from dse.sweep import parse_spec
from studies.fits.quality_activations import CLASSES, read_activations

LIBRARY, TECHNOLOGY = shipped_library(), Technology()
ECONOMICS = Economics.of(LIBRARY)


def quality_of(model, form, act_bits, method, *, kv_bits=16.0):
    record = LIBRARY.weight_format(form)
    coarse = float(record.power_of_two_scales)
    weights = format_quality(LIBRARY.model(model), record, record.method, TECHNOLOGY)
    acts = activation_quality(act_bits, Choice.of(method), coarse, LIBRARY.model(model), TECHNOLOGY)
    return perplexity(weights, kv_bits, LIBRARY.model(model), TECHNOLOGY, acts)


@pytest.mark.parametrize(
    ("model", "form", "act_bits", "method", "dense", "measured"),
    [
        # Not among the rows of the fit: QuaRot W4A4 and QoQ W4A8KV4 of the QServe README.
        ("llama2_7b", "int4_g128", 4, "rotated", 5.47, 6.19),
        ("llama2_13b", "int4_g128", 4, "rotated", 4.88, 5.45),
        ("llama1_65b", "int4_g128", 4, "rotated", 3.53, 3.95),
        ("llama2_7b", "int4_g128", 8, "scaled", 5.47, 5.70),
        ("llama2_13b", "int4_g128", 8, "scaled", 4.88, 5.08),
        ("llama2_70b", "int4_g128", 8, "scaled", 3.32, 3.47),
    ],
)
def test_published_models_lie_in_the_interval(model, form, act_bits, method, dense, measured):
    kv_bits = 4.0 if act_bits == 8 else 16.0
    quality = quality_of(model, form, float(act_bits), method, kv_bits=kv_bits)
    assert quality.ratio_low < measured / dense < quality.ratio_high
    assert quality.extrapolated == 0


def test_most_rows_of_the_fit_lie_in_their_intervals():
    rows = read_activations()
    rows = rows[rows["what"] == "activations"]
    inside = 0
    for row in rows.itertuples():
        damage = activation_quality(
            float(row.bits), Choice.of(CLASSES[row.method]), 0.0,
            LIBRARY.model("llama2_7b").model_copy(update={"training_tokens": row.tokens}), TECHNOLOGY,
        )  # fmt: skip
        u = row.y / (1 - row.y / TECHNOLOGY.value("quality.ceiling"))
        inside += bool(damage.low <= u <= damage.high)
    assert 0.8 * len(rows) <= inside <= len(rows)


@pytest.mark.parametrize("method", ACT_METHODS)
def test_fewer_bits_cost_more_and_sixteen_nothing(method):
    bits = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0])
    quality = quality_of("llama2_70b", "int4_g128", bits, method)
    assert (np.diff(quality.ratio) < 0).all()
    assert quality.ratio[-1] == pytest.approx(quality_of("llama2_70b", "int4_g128", 16.0, method).ratio)
    assert list(quality.extrapolated[:3]) == [1, 1, 1]
    assert quality.extrapolated[3] == quality.extrapolated[-1] == 0


def test_four_bits_without_rotations_are_beyond_use_and_with_them_a_tenth():
    plain, rotated = (quality_of("llama2_70b", "int4_g128", 4.0, method) for method in ("scaled", "rotated"))
    assert plain.unusable == 1
    assert rotated.unusable == 0
    assert 1.05 < rotated.ratio < 1.2


def test_floats_are_quantised_as_floats_and_integers_as_integers_unless_said_otherwise():
    columns = {"weight_format": Choice.of("fp8", "int4_g128", "nvfp4", "gguf_q4_k_m", "int4_g128")}
    own = act_methods(columns, Storage.of(columns, LIBRARY))
    assert list(own.names()) == ["floating", "scaled", "floating", "scaled", "scaled"]
    chosen = {**columns, "act_method": Choice(("rotated",), np.array([-1, -1, 0, -1, 0]))}
    requested = act_methods(chosen, Storage.of(columns, LIBRARY))
    assert list(requested.names()) == ["floating", "scaled", "rotated", "scaled", "rotated"]


def served(**design):
    settings = {"memory_devices": 16.0, "memory_device_gib": 16.0, "link_gbps": 100.0, **design}
    columns = Table.from_settings(settings)
    chat = Workload("chat", "llama3_8b", 16.0, 2048.0, 256.0, n_chips=2.0)
    return serve_designs(
        columns, chat, TECHNOLOGY, ECONOMICS, machine=designs_machine(columns, TECHNOLOGY, ECONOMICS)
    ).inference


def test_narrow_activations_move_fewer_bytes_on_the_die_over_links_and_in_spills():
    wide, narrow = (served(act_bits=bits, sram_mib=16.0) for bits in (16.0, 8.0))
    for name in ("on_chip", "links"):
        assert narrow.prefill_energy.parts_j[name][0] < wide.prefill_energy.parts_j[name][0], name
    links = [one.prefill.sum(one.prefill.times.link_bytes)[0] for one in (wide, narrow)]
    assert links[1] == pytest.approx(links[0] / 2)
    assert narrow.prefill.dram_bytes[0] < wide.prefill.dram_bytes[0]
    assert narrow.footprint.activations_bytes[0] == pytest.approx(wide.footprint.activations_bytes[0] / 2)


def test_partial_sums_are_exchanged_in_as_many_bits_as_the_stack_keeps():
    eight, four = (served(act_bits=bits) for bits in (8.0, 4.0))
    links = [one.decode.sum(one.decode.times.link_bytes)[0] for one in (eight, four)]
    assert links[0] == links[1]
    kernels = [served(act_bits=bits, serving_stack="gpu_serving") for bits in (16.0, 8.0)]
    for name in ("on_chip", "links"):
        assert kernels[0].decode_energy.parts_j[name] == kernels[1].decode_energy.parts_j[name], name


def test_rotations_take_time_and_energy():
    plain, rotated = (served(act_bits=4.0, act_method=method) for method in ("scaled", "rotated"))
    assert rotated.decode_s > plain.decode_s
    assert rotated.prefill_s > plain.prefill_s
    assert rotated.prefill_energy.parts_j["arithmetic"] > plain.prefill_energy.parts_j["arithmetic"]


@pytest.mark.parametrize(
    ("form", "method", "words"),
    [
        ("int2_g64", "none", "none does not make weight_format int2_g64: int2_g64 loses something"),
        ("int4_g128", "vector", "vector does not make weight_format int4_g128: int4_g128 is made by awq or gptq"),
        ("int4_g128", "kquant", "kquant does not make weight_format int4_g128"),
        ("vector_2bit", "gptq", "gptq does not make weight_format vector_2bit: vector_2bit is made by vector"),
        ("bf16", "rtn", "rtn does not make weight_format bf16: bf16 is made by none"),
    ],
)
def test_methods_that_do_not_make_a_format_are_refused_with_the_reason(form, method, words):
    sweep = {
        "name": "act",
        "workloads": {"chat": {"model": "llama3_8b"}},
        "space": {"weight_format": form, "weight_method": method, "macs": {"values": [1024, 2048]}},
        "objectives": [{"metric": "cost_usd", "direction": "minimize"}],
        "search": {"sampler": "grid"},
    }
    with pytest.raises(SpecError, match="weight_method") as refused:
        parse_spec(sweep)
    assert words in str(refused.value)


def test_every_format_takes_its_own_method_and_no_other_kind():
    for form in LIBRARY.weight_formats.values():
        assert form.method in methods_of(form)
        assert ("none" in methods_of(form)) == (form.method == "none")


def test_sources_of_the_rows_are_named():
    rows = read_activations()
    assert rows["source"].str.startswith("github:").mean() > 0.7
    assert rows["source"].notna().all()
    assert rows["tokens"].notna().all()
    assert np.isfinite(rows["y"]).all()
    assert Path(LIBRARY.data_file("activations.csv")).is_file()
    assert math.isfinite(rows["y"].max())
