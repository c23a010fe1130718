"""Perplexity of compressed models: closed forms, monotony, the fits on their data, published values, honest limits."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import Choice
from cost_models.weights.quality import (
    KV_METHODS,
    UNAFFECTED,
    Damage,
    format_quality,
    kv_damage,
    perplexity,
    pruning_damage,
    quantisation_damage,
    rise,
)
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import parse_spec
from dse.uncertainty.monte_carlo import spreads_of

sys.path.insert(0, str(Path(__file__).parents[3]))

from studies.fits.quality import __main__ as fits
from studies.fits.quality.fit import alarms_of, cross_validate, damage_of, errors_of
from studies.fits.quality.reported import reproduce
from studies.fits.quality.rows import read_rows
from studies.fits.quality.sensitivity import effects_of, learnt_factors
from studies.fits.quality_cache import kv_constants, read_caches

LIBRARY = shipped_library()
TECHNOLOGY = Technology()
CEILING = TECHNOLOGY.value("quality.ceiling")
METHODS = ("rtn", "gptq", "awq", "omniquant", "qat", "vector", "kquant", "kquant_imatrix")
PRUNERS = ("sparsegpt", "wanda", "alps")

bits = st.floats(1, 8)
groups = st.sampled_from([16.0, 32.0, 64.0, 128.0, 1024.0, 4096.0])
tokens = st.floats(0.1, 40)
sparsities = st.floats(0, 0.95)
sizes = st.floats(1, 500)
growth = st.floats(1, 3)


def damage_at(bits=4.0, group=128.0, tokens=2.0, method="gptq"):
    parameter = TECHNOLOGY.value
    return quantisation_damage(
        bits, group, tokens,
        damage=parameter(f"quality.quantisation.damage_at_4_bit.{method}"),
        runaway=parameter(f"quality.quantisation.runaway.{method}"),
        technology=TECHNOLOGY,
    )  # fmt: skip


def pruned_at(sparsity=0.5, block=math.inf, tokens=2.0, size=7.0, method="sparsegpt"):
    damage = TECHNOLOGY.value(f"quality.pruning.damage.{method}")
    return pruning_damage(sparsity, block, tokens, size, damage=damage, technology=TECHNOLOGY)


def quality_of(model, form, method=None, *, kv_bits=16.0, **changes):
    record = LIBRARY.weight_format(form).model_copy(update=changes)
    weights = format_quality(LIBRARY.model(model), record, method or record.method, TECHNOLOGY)
    return perplexity(weights, kv_bits, LIBRARY.model(model), TECHNOLOGY)


# --- the equations ---------------------------------------------------------------------------------------------------


def test_small_damage_is_the_rise_and_large_damage_guesses():
    assert rise(1e-4, TECHNOLOGY) == pytest.approx(1e-4, rel=1e-4)
    assert rise(1e300, TECHNOLOGY) == pytest.approx(CEILING)
    assert rise(CEILING, TECHNOLOGY) == pytest.approx(CEILING / 2)
    y = np.array([0.001, 0.1, 1.0, 9.0])
    assert rise(damage_of(y), TECHNOLOGY) == pytest.approx(y)


def test_references_give_the_constants_back():
    assert damage_at(method="qat") == TECHNOLOGY.value("quality.quantisation.damage_at_4_bit.qat")
    assert pruned_at() == pytest.approx(TECHNOLOGY.value("quality.pruning.damage.sparsegpt"))
    assert kv_damage(4.0, 2.0, TECHNOLOGY) == TECHNOLOGY.value("quality.kv.damage_at_4_bit.rotated")


@pytest.mark.parametrize("method", METHODS)
def test_a_slow_twin_agrees(method):
    constants = {name: TECHNOLOGY.value(f"quality.quantisation.{name}") for name in ("kappa", "gamma", "alpha")}
    for width in (1.5, 2, 3.5, 8):
        for group in (64, 4096):
            z = TECHNOLOGY.value(f"quality.quantisation.damage_at_4_bit.{method}") * 2 ** (
                constants["kappa"] * (4 - width) + constants["gamma"] * math.log2(group / 128)
            )
            z *= math.exp(constants["alpha"] * math.log(15 / 2))
            power = (z * TECHNOLOGY.value(f"quality.quantisation.runaway.{method}")) ** 2
            assert math.log(damage_at(width, group, 15, method)) == pytest.approx(math.log(z) + min(power, 600))
    assert damage_at(3, 0, method=method) == damage_at(3, 4096, method=method)


@given(bits, groups, tokens, growth, st.sampled_from(METHODS))
def test_quantising_costs_more_with_fewer_bits_larger_groups_and_more_training(width, group, trained, more, method):
    base = damage_at(width, group, trained, method)
    assert damage_at(width / more, group, trained, method) >= base
    assert damage_at(width, group * more, trained, method) >= base
    assert damage_at(width, group, trained * more, method) >= base
    assert 0 < rise(base, TECHNOLOGY) <= CEILING * (1 + 1e-12)


@settings(max_examples=50)
@given(sparsities, tokens, sizes, growth, st.sampled_from(PRUNERS))
def test_pruning_costs_more_with_sparsity_training_and_patterns_and_less_in_large_models(
    s, trained, size, more, method
):
    base = pruned_at(s, 8, trained, size, method)
    assert pruned_at(s + (1 - s) * (1 - 1 / more), 8, trained, size, method) >= base
    assert pruned_at(s, 8, trained * more, size, method) >= base
    assert pruned_at(s, 8, trained, size * more, method) <= base
    assert pruned_at(s, 8 * more, trained, size, method) <= base
    assert pruned_at(s, math.inf, trained, size, method) <= base


@settings(max_examples=30)
@given(st.floats(2, 16), st.sampled_from(["int4_g128", "int2_g64", "bitmap_int4_s50", "nm2of4_bf16", "bf16"]))
def test_an_interval_holds_its_middle_and_a_smaller_cache_never_helps(kv_bits, form):
    quality = quality_of("llama2_70b", form, kv_bits=kv_bits)
    assert 1 <= quality.ratio_low <= quality.ratio <= quality.ratio_high <= math.exp(CEILING) * (1 + 1e-9)
    assert quality.ratio >= quality_of("llama2_70b", form).ratio


def test_uncompressed_models_are_the_reference():
    for model in ("llama2_70b", "synthetic_250b_gqa", "mixtral_8x7b"):
        quality = quality_of(model, "bf16")
        assert (quality.ratio, quality.ratio_low, quality.ratio_high) == (1, 1, 1)
        assert quality.extrapolated == quality.unusable == 0


def test_columns_give_what_scalars_give():
    widths, model = np.array([2.0, 3.0, 4.0]), LIBRARY.model("llama3_8b")
    form = LIBRARY.weight_format("int4_g128")
    column = format_quality(model, form.model_copy(update={"weight_bits": widths}), "awq", TECHNOLOGY)
    single = [format_quality(model, form.model_copy(update={"weight_bits": b}), "awq", TECHNOLOGY) for b in widths]
    for index, part in enumerate(column):
        assert part == pytest.approx([one[index] for one in single])
    shares = np.array([0.0, 0.25, 0.5, 0.9])
    pruned = format_quality(
        model, LIBRARY.weight_format("bitmap_bf16_s50").model_copy(update={"sparsity": shares}), "none", TECHNOLOGY
    )
    assert pruned.typ[0] == 0
    assert pruned.extrapolated.tolist() == [0, 1, 0, 1]


def test_drawn_parameters_make_columns():
    sampled = TECHNOLOGY.with_overrides({"quality.quantisation.kappa": np.array([2.0, 2.3])})
    damage = format_quality(LIBRARY.model("llama2_7b"), LIBRARY.weight_format("int3_g128"), "gptq", sampled)
    assert damage.typ[1] > damage.typ[0]
    assert perplexity(damage, 8.0, LIBRARY.model("llama2_7b"), sampled).ratio_high.shape == (2,)


# --- the fits --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quantisation():
    return fits.solve_quantisation(folds=("model",))


@pytest.fixture(scope="module")
def pruning():
    return fits.solve_pruning(folds=("model",))


@pytest.fixture(scope="module")
def first(quantisation, pruning):
    return {one.name: one for one in reproduce(quantisation.rows, pruning.rows)}


def test_the_first_fits_are_reproduced_on_their_rows(first):
    result = first["quantisation"]
    assert result.errors.rows == 320
    assert [result.constants[name] for name in ("kappa", "gamma", "alpha")] == pytest.approx(
        [2.327, 0.249, 0.393], abs=6e-4
    )
    damages = {"rtn": 0.051, "gptq": 0.031, "omniquant": 0.019, "qat": 0.013, "vector": 0.0083, "kquant": 0.046}
    for name, damage in damages.items():
        assert result.constants[f"damage.{name}"] == pytest.approx(damage, rel=0.03)
    errors = result.errors
    assert (errors.deviation, errors.median, errors.r2) == pytest.approx((0.43, 0.22, 0.86), abs=5e-3)
    assert (errors.perplexity_median, errors.perplexity_p90) == pytest.approx((0.027, 0.19), rel=0.01)


def test_the_first_pruning_fits_are_reproduced_on_their_rows(first):
    expected = {
        "unstructured, y < 2": (117, (0.226, 0.282, 0.165, 2.486, 0.375, -0.126), 0.86, 0.054, 0.24),
        "unstructured, y < 9": (160, (0.227, 0.330, 0.160, 2.244, 0.271, -0.101), 0.893, 0.107, 0.87),
        "N:M": (78, (0.659, 0.933, 0.556, 0.381, 0.527, 0.336, 0.381, -0.332), 0.90, 0.055, 0.19),
    }
    for name, (rows, constants, r2, median, p90) in expected.items():
        errors = first[name].errors
        assert errors.rows == rows
        assert list(first[name].constants.values()) == pytest.approx(constants, abs=6e-4)
        assert errors.r2 == pytest.approx(r2, abs=5e-3)
        assert (errors.perplexity_median, errors.perplexity_p90) == pytest.approx((median, p90), rel=0.03)


def test_the_library_holds_what_the_fits_find(quantisation, pruning):
    for path, value in fits.fitted(quantisation, pruning).items():
        parameter = LIBRARY.parameter(f"quality.{path}")
        assert parameter.typ == pytest.approx(value, rel=1e-3), path
        assert "fitted" in parameter.note or parameter.note == "as qat", path


def test_written_constants_come_back(tmp_path):
    shipped = LIBRARY.directory / "data" / "quality.yaml"
    copy = tmp_path / "quality.yaml"
    copy.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    fits.write({"quantisation.kappa": "low: 1, typ: 2, high: 3", "kv.least_bits.grouped": "value: 5"}, copy)
    changed = [
        (before, after)
        for before, after in zip(shipped.read_text().splitlines(), copy.read_text().splitlines(), strict=True)
        if before != after
    ]
    assert [after.split(", src")[0].strip() for _, after in changed] == [
        "kappa: {low: 1, typ: 2, high: 3", "grouped: {value: 5",
    ]  # fmt: skip
    with pytest.raises(KeyError, match=r"no entry quantisation\.capa"):
        fits.write({"quantisation.capa": "value: 1"}, copy)


def test_models_that_a_fit_has_not_seen_are_predicted(quantisation, pruning, first):
    measured = quantisation.rows["y"].to_numpy()
    errors = errors_of(measured, quantisation.left_out["model"])
    assert errors.rows == 320
    assert errors.perplexity_median < 0.03 < first["quantisation"].left_out.perplexity_median
    assert errors.perplexity_p90 < 0.20
    free = np.isinf(pruning.rows["block"]).to_numpy()
    for chosen, median, p90 in ((free, 0.08, 0.35), (~free, 0.07, 0.36)):
        out = errors_of(pruning.rows["y"].to_numpy()[chosen], pruning.left_out["model"][chosen], below=2)
        assert out.perplexity_median < median
        assert out.perplexity_p90 < p90
    by_source = cross_validate(pruning.form, pruning.rows, "source")
    assert errors_of(pruning.rows["y"].to_numpy(), by_source, below=2).perplexity_median < 0.07


def test_left_out_rows_do_not_reach_their_own_prediction(pruning):
    changed = pruning.rows.copy()
    own = (changed["model"] == "Llama-2-70B").to_numpy()
    changed.loc[own, "y"] *= 1.9
    again = cross_validate(pruning.form, changed, "model")
    assert again[own] == pytest.approx(pruning.left_out["model"][own], rel=1e-3)


def test_intervals_hold_nine_rows_of_ten_of_unseen_models(quantisation, pruning):
    for result in (quantisation, pruning):
        assert 0.85 <= result.intervals.coverage <= 0.95


def test_what_other_sources_say_of_a_model_predicts_a_source(quantisation):
    rows, law = quantisation.rows, quantisation.in_sample
    factors = np.ones(len(rows))
    judged = rows["lineage"].isin(["llama2_13b", "llama3_70b"])
    for source in rows.loc[judged, "source"].unique():
        out = (rows["source"] == source).to_numpy()
        factors[out] = learnt_factors(rows[~out], law[~out], rows[out])
    errors = np.log(rows["y"].to_numpy() / law)
    for name, within in (("llama2_13b", 0.25), ("llama3_70b", 0.3)):
        own = (rows["lineage"] == name).to_numpy() & (rows["y"] < 1).to_numpy()
        known = np.median(np.abs(errors - np.log(factors))[own])
        assert known < min(within, np.median(np.abs(errors[own])))
    # Models that the law holds for are left alone, k-quants of all.
    assert (factors[rows["lineage"].isin(["llama2_70b", "llama3_8b", "llama2_7b"]).to_numpy()] == 1).all()
    assert (factors[rows["method_class"].isin(UNAFFECTED).to_numpy()] == 1).all()


def test_planted_effects_come_back_and_those_of_sources_that_disagree_do_not():
    planted = {
        ("harmed", "one"): (0.81, 0.79, 0.8, 0.82), ("alike", "one"): (0.02, -0.02, 0.01), ("once", "two"): (0.1,),
        ("disputed", "two"): (0.3, -0.3), ("spared", "three"): (-0.6, -0.62, -0.58),
    }  # fmt: skip
    seen = [(*names, str(source), error) for names, own in planted.items() for source, error in enumerate(own)]
    rows = pd.DataFrame(seen, columns=["lineage", "model_family", "source", "error"])
    rows = rows.assign(method_class="gptq", y=0.05 * np.exp(rows["error"]))
    effects = effects_of(rows, np.full(len(rows), 0.05))
    assert {name for name, one in effects.items() if one.is_told} == {"harmed", "spared"}
    assert effects["harmed"].middle == pytest.approx(0.8, abs=0.05)
    assert effects["spared"].middle == pytest.approx(-0.6, abs=0.05)
    assert all(abs(one.middle) <= 0.82 and one.low <= one.middle <= one.high for one in effects.values())


def test_a_model_that_departs_from_the_law_does_so_for_integers_only():
    one, law = LIBRARY.model("llama3_70b"), LIBRARY.model("llama3_70b").model_copy(update={"quantised_like": None})
    times = LIBRARY.parameter("quality.quantisation.sensitivity.llama3_70b").typ
    formats = {"int4_g128": "gptq", "vector_2bit": "vector", "gguf_q4_k_m": "kquant", "nvfp4": "rtn"}
    ratios = []
    for form, method in formats.items():
        of = [format_quality(model, LIBRARY.weight_format(form), method, TECHNOLOGY).typ for model in (one, law)]
        ratios.append(float(of[0] / of[1]))
    assert ratios == pytest.approx([times, times, 1, 1])


def test_collapse_is_called_and_seldom_in_vain(quantisation, pruning):
    for result, missed, vain in ((quantisation, 0.07, 0.05), (pruning, 0.0, 0.15)):
        alarms = alarms_of(result.rows["y"].to_numpy(), result.left_out["model"])
        assert alarms.collapsed >= 70
        assert 1 - alarms.called / alarms.collapsed <= missed
        assert alarms.false / alarms.calls <= vain


def test_layer_by_layer_methods_collapse_at_two_bits_and_trained_ones_do_not():
    for method in ("rtn", "gptq", "awq"):
        assert quality_of("llama2_7b", "int2_g64", method, group=128).unusable == 1
        assert quality_of("llama2_7b", "int4_g128", method).unusable == 0
    for method in ("omniquant", "qat"):
        assert quality_of("llama2_7b", "int2_g64", method, group=128).unusable == 0


# --- published values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "form", "method", "changes", "dense", "measured", "off"),
    [
        ("llama2_70b", "int4_g128_zp", "gptq", {}, 3.32, 3.42, 0.01),
        ("llama2_70b", "int3_g128", "gptq", {}, 3.32, 3.85, 0.03),
        ("llama2_70b", "int3_g128", "omniquant", {}, 3.31, 3.78, 0.04),
        ("llama2_70b", "int2_g64", "qat", {"group": 128}, 3.32, 4.61, 0.02),
        ("llama2_70b", "vector_2bit", "vector", {}, 3.12, 3.93, 0.05),
        ("llama2_70b", "gguf_q4_k_m", "kquant", {"weight_bits": 4.8}, 3.4313, 3.4725, 0.01),
        ("llama3_8b", "int3_g128", "gptq", {}, 6.14, 8.2, 0.03),
        ("llama3_70b", "int3_g128", "gptq", {}, 2.9, 5.2, 0.16),
        ("llama3_70b", "int4_g128_zp", "gptq", {}, 2.9, 3.3, 0.03),
        ("llama3_70b", "int4_g128_zp", "awq", {}, 2.9, 3.3, 0.04),
        ("llama2_13b", "int3_g128", "gptq", {}, 4.88, 5.42, 0.04),
        ("llama2_70b", "bitmap_bf16_s50", "none", {}, 3.12, 3.98, 0.09),
        ("llama2_70b", "bitmap_bf16_s50", "none", {"sparsity": 0.6}, 3.32, 5.10, 0.02),
        ("llama2_13b", "bitmap_bf16_s70", "none", {}, 4.88, 19.9, 0.09),
        ("llama1_65b", "bitmap_bf16_s70", "none", {}, 3.53, 10.5, 0.05),
        ("llama2_7b", "nm2of4_bf16", "none", {}, 5.47, 10.94, 0.10),
    ],
)
def test_published_perplexities(model, form, method, changes, dense, measured, off):
    quality = quality_of(model, form, method, **changes)
    assert dense * quality.ratio == pytest.approx(measured, rel=off)
    assert quality.ratio_low < measured / dense < quality.ratio_high
    assert quality.extrapolated == 0


def test_the_first_fit_of_two_bit_rows_called_awq_usable_and_they_are_not():
    rows = read_rows()
    awq = rows[(rows["method_class"] == "awq") & (rows["bits"] == 2)]
    assert (awq["y"] > 9).all()
    assert len(awq) == 21
    assert (rise(damage_at(2, 64, awq["tokens"].to_numpy(), "awq"), TECHNOLOGY) > 5).all()


def test_caches_of_few_bits_cost_what_was_measured_on_models_left_out_of_the_fit():
    """KVQuant's table of nine models: calibrated codes down to 2.33 bits, grouped scales above 3 and their collapse."""
    alpha = TECHNOLOGY.value("quality.quantisation.alpha")
    rows = read_caches(alpha)
    errors: dict[str, list[float]] = {"grouped": [], "calibrated": []}
    for model in rows["model"].unique():
        own = rows[rows["model"] == model]
        found = kv_constants(alpha, rows[rows["model"] != model])
        for method, parts in errors.items():
            part = own[(own["method"] == method) & ((own["bits"] > 3) | (method == "calibrated"))]
            decay, at_4 = found[f"kv.decay_per_bit.{method}"], found[f"kv.damage_at_4_bit.{method}"]
            parts += [*np.abs(np.log(at_4 * 2 ** (-decay * (part["bits"] - 4)) / part["u"]))]
    assert len(errors["grouped"]) == 36 and np.median(errors["grouped"]) < 0.45
    assert len(errors["calibrated"]) == 27 and np.median(errors["calibrated"]) < 0.18
    fallen = rows[(rows["method"] == "grouped") & (rows["bits"] < 3)]
    told = kv_damage(
        fallen["bits"], 2 * fallen["training"] ** (1 / alpha), TECHNOLOGY, Choice(KV_METHODS, np.full(len(fallen), 1))
    )
    assert np.median(rise(told, TECHNOLOGY)) > TECHNOLOGY.value("quality.unusable_y")


def test_a_way_to_quantise_a_cache_that_is_named_is_the_one_that_is_taken():
    model = LIBRARY.model("llama2_7b")
    told = {}
    for place, name in enumerate(KV_METHODS):
        methods = Choice(KV_METHODS, np.array([place]))
        told[name] = perplexity(Damage(0.0, 0.0, 0.0, 0.0), 2.33, model, TECHNOLOGY, methods=methods)
    usual = perplexity(Damage(0.0, 0.0, 0.0, 0.0), 2.33, model, TECHNOLOGY)
    assert float(told["rotated"].ratio[0]) == float(usual.ratio) and float(told["rotated"].extrapolated[0]) == 1
    assert float(told["calibrated"].ratio[0]) == pytest.approx(5.41 / 5.12, rel=0.01)
    assert float(told["grouped"].ratio[0]) > 1.5
    assert float(told["grouped"].extrapolated[0]) == float(told["calibrated"].extrapolated[0]) == 0


def test_a_four_bit_cache_costs_half_a_percent_after_two_trillion_tokens_and_twice_that_after_fifteen():
    assert kv_damage(16.0, 15.0, TECHNOLOGY) == 0
    assert kv_damage(8.0, 15.0, TECHNOLOGY) < 1e-3
    assert 0.004 < kv_damage(4.0, 2.0, TECHNOLOGY) < 0.010
    assert 1.5 < kv_damage(4.0, 15.0, TECHNOLOGY) / kv_damage(4.0, 2.0, TECHNOLOGY) < 2.5
    worst = kv_damage(4.0, 15.0, TECHNOLOGY) * math.exp(TECHNOLOGY.value("quality.kv.spread_above.rotated"))
    assert worst > math.log(7.3 / 7.1)


# --- honest limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "form", "method", "changes", "extrapolated"),
    [
        ("llama2_70b", "int4_g128", "gptq", {}, 0),
        ("llama2_70b", "int4_g128", "gptq", {"weight_bits": 1.5}, 1),
        ("llama2_70b", "int8", "rtn", {}, 0),
        ("llama2_70b", "vector_2bit", "vector", {}, 0),
        ("llama2_70b", "vector_2bit", "vector", {"weight_bits": 3}, 1),
        ("llama2_70b", "int4_g32", "gptq", {}, 1),
        ("llama2_70b", "mxfp4", "gptq", {}, 1),
        ("llama2_70b", "mxfp4", "rtn", {}, 0),
        ("llama2_70b", "mxfp4", "rtn", {"group": 0}, 1),
        ("llama2_70b", "mxfp4", "rtn", {"group": 1}, 0),
        ("llama2_70b", "nf4_dq", "rtn", {}, 1),
        ("llama2_70b", "bitmap_bf16_s50", "none", {}, 0),
        ("llama2_70b", "bitmap_bf16_s50", "none", {"sparsity": 0.4}, 1),
        ("llama2_70b", "bitmap_bf16_s50", "none", {"sparsity": 0.8}, 1),
        ("llama2_70b", "nm2of4_bf16", "none", {}, 0),
        ("llama2_70b", "nm2of4_bf16", "none", {"n": 4, "m": 16, "sparsity": 0.75}, 1),
        ("llama2_70b", "nm2of4_bf16", "none", {"n": 8, "m": 16}, 1),
        ("llama2_70b", "bitmap_int4_s50", "gptq", {}, 1),
        ("synthetic_250b_gqa", "int4_g128", "gptq", {}, 1),
        ("synthetic_250b_gqa", "int8", "rtn", {}, 1),
        ("opt_175b", "int4_g128", "gptq", {}, 1),
        ("qwen3_32b", "int4_g128", "gptq", {}, 1),
        ("qwen3_30b_a3b", "int4_g128", "gptq", {}, 1),
        ("mistral_7b", "int4_g128", "gptq", {}, 1),
    ],
)
def test_predictions_without_data_nearby_say_so(model, form, method, changes, extrapolated):
    assert quality_of(model, form, method, **changes).extrapolated == extrapolated


def test_caches_without_data_say_so():
    assert quality_of("llama2_70b", "bf16", kv_bits=4.0).extrapolated == 0
    assert quality_of("llama2_70b", "bf16", kv_bits=3.0).extrapolated == 1
    assert quality_of("synthetic_250b_gqa", "bf16", kv_bits=8.0).extrapolated == 1
    assert quality_of("synthetic_250b_gqa", "bf16", kv_bits=16.0).extrapolated == 0


def test_unusable_is_a_rise_beyond_the_limit():
    limit = TECHNOLOGY.value("quality.unusable_y")
    model = LIBRARY.model("llama2_7b")
    for y, unusable in ((limit * 0.99, 0), (limit * 1.01, 1)):
        damage = damage_of(np.array([y]))
        quality = perplexity(Damage(damage, damage, damage, 0.0), 16.0, model, TECHNOLOGY)
        assert quality.unusable == unusable
        assert quality.ratio == pytest.approx(math.exp(y))


def test_a_sweep_of_formats_methods_and_caches_gives_each_row_its_own_quality():
    spec = parse_spec({
        "name": "formats",
        "workloads": {"chat": {"model": "llama2_7b", "batch": 1}},
        "space": {
            "weight_format": {"values": ["int4_g128", "int2_g64", "bf16"]},
            "weight_method": [{"values": ["gptq", "qat"], "when": {"weight_format": ["int4_g128", "int2_g64"]}}],
            "kv_bits": {"values": [4, 16]},
        },
        "objectives": [{"metric": "chat.tpot_ms", "direction": "minimize"}],
        "search": {"sampler": "grid"},
    })  # fmt: skip
    space = Space(spec)
    designs = space.grid(0, space.grid_size)
    metrics = Evaluator(spec).evaluate(designs).metrics
    rows = zip(designs["weight_format"].names(), designs["weight_method"].names(), designs["kv_bits"], strict=True)
    expected = [quality_of("llama2_7b", form, method, kv_bits=kv) for form, method, kv in rows]
    assert len(expected) == 10
    for metric, field in (
        ("perplexity_ratio", "ratio"),
        ("perplexity_ratio_high", "ratio_high"),
        ("perplexity_unusable", "unusable"),
        ("perplexity_extrapolated", "extrapolated"),
    ):
        assert metrics[f"chat.{metric}"] == pytest.approx([float(getattr(one, field)) for one in expected])
    assert sum(metrics["chat.perplexity_unusable"]) == 2


def test_training_tokens_are_those_of_the_model_library():
    known = {row["model"]: row["tokens"] for _, row in read_rows().iterrows()}
    for name, key in (
        ("LLaMA-7B", "llama1_7b"),
        ("LLaMA-65B", "llama1_65b"),
        ("Llama-2-70B", "llama2_70b"),
        ("Llama-3-8B", "llama3_8b"),
        ("OPT-66B", "opt_66b"),
        ("Qwen3-32B", "qwen3_32b"),
    ):
        assert known[name] == LIBRARY.model(key).training_tokens


def test_the_fits_own_error_moves_the_ratio_between_the_ends_of_its_interval():
    model, form = LIBRARY.model("llama2_70b"), LIBRARY.weight_format("int4_g128")

    def ratios(score):
        technology = Technology({"model_error.quality": score})
        result = perplexity(format_quality(model, form, "omniquant", technology), 4.0, model, technology)
        return [float(np.asarray(one)) for one in (result.ratio_low, result.ratio, result.ratio_high)]

    low, typ, high = ratios(0.0)
    assert ratios(-1.0)[1] == pytest.approx(low)
    assert ratios(1.0)[1] == pytest.approx(high)
    assert low < ratios(-0.5)[1] < typ < ratios(0.5)[1] < high
    # Nothing lost stays nothing lost.
    for score in (-1.0, 1.0):
        technology = Technology({"model_error.quality": score})
        exact = format_quality(model, LIBRARY.weight_format("bf16"), "none", technology)
        assert float(np.asarray(perplexity(exact, 16.0, model, technology).ratio)) == pytest.approx(1)
    # A drawn score has a twentieth beyond each end.
    (spread,) = spreads_of(["model_error.quality"], {}, LIBRARY)
    assert spread.quantile(0.95) == pytest.approx(1, abs=0.01)
    assert spread.quantile(0.5) == 0
