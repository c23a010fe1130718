"""Gains of kernels on compressed weights: limits, crossovers, and the published tables."""

import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.kernels import break_even_sparsity, crossover_rows, sparse_gain, weight_only_gain
from dse.validation.run import run_validation

TECHNOLOGY = Technology()


def test_a_fused_kernel_gains_its_bits_at_one_row_and_nothing_at_many():
    gain = weight_only_gain(np.array([1.0, 1e5]), "marlin", 150.0, TECHNOLOGY)
    share = TECHNOLOGY.value("weight_only_kernels.marlin.one_row_efficiency")
    np.testing.assert_allclose(gain, [1 / share, 1.0])


def test_passes_cross_over_where_their_number_times_their_fraction_exceeds_one():
    technology = Technology(
        {"weight_only_kernels.torch_int4.one_row_efficiency": 0.3, "weight_only_kernels.torch_int4.rows_per_pass": 8}
    )
    # Four passes of 0.3 exceed one: from 25 rows on.
    assert crossover_rows("torch_int4", 1e9, technology) == 25
    assert crossover_rows("marlin", 150.0, technology) == float("inf")


@pytest.mark.parametrize("kernel", ["flash_llm", "sparta", "sputnik"])
def test_a_sparse_kernel_breaks_even_where_its_gain_is_one_and_gains_with_sparsity(kernel):
    sparsity = break_even_sparsity(kernel, TECHNOLOGY)
    assert sparse_gain(sparsity, kernel, TECHNOLOGY) == pytest.approx(1.0)
    gains = sparse_gain(np.linspace(0, 1, 20), kernel, TECHNOLOGY)
    assert (np.diff(gains) > 0).all()


@pytest.mark.parametrize("name", ["weight_only_speedup.csv", "spmm_gpu.csv"])
def test_published_tables_are_predicted_or_say_why_not(name):
    validation = run_validation([shipped_library().data_file(name)])
    (rows,) = validation.files.values()
    assert (rows["predicted"].notna() == (rows["reason"] == "")).all()
    (table,) = [table.frame for table in validation.tables if table.key != "files"]
    assert table["mdape"].median() < 0.15


# Section 3 and 5 of the compression facts: break-even sparsity, and the first batch slower than FP16.
@pytest.mark.parametrize(
    ("kernel", "low", "high"),
    [("cusparse", 0.99, 1), ("sputnik", 0.86, 0.91), ("sparta", 0.67, 0.70), ("flash_llm", 0.3, 0.6),
     ("deepsparse", -0.01, 0.4), ("cutlass_2of4", -0.01, 0.5)],
)  # fmt: skip
def test_break_even_sparsity_is_the_published_one(kernel, low, high):
    assert low <= break_even_sparsity(kernel, TECHNOLOGY) <= high


@pytest.mark.parametrize(
    ("kernel", "last_faster", "first_slower"),
    [("bitsandbytes", 1, 2), ("awq", 2, 4), ("exllamav2", 8, 16), ("torch_int4", 16, 32)],
)
def test_the_crossover_batch_is_the_published_one(kernel, last_faster, first_slower):
    ridge = float(TECHNOLOGY.value("kernel_gpus.A10.ridge_rows"))
    assert last_faster < crossover_rows(kernel, ridge, TECHNOLOGY) <= first_slower
    assert crossover_rows("marlin", ridge, TECHNOLOGY) == float("inf")


def test_profiles_without_a_fitted_constant_are_held_against_rows_that_they_have_not_seen():
    (rows,) = run_validation([shipped_library().data_file("weight_only_speedup.csv")]).files.values()
    error = (rows["predicted"] / rows["speedup_vs_fp16"].astype(float) - 1).abs().groupby(rows["method"]).median()
    assert error["Sparse-Marlin 2:4 W4A16 g128"] < 0.1
    assert error["FP6-LLM W6A16"] < 0.2
    # Small layers lose more than bits and peaks explain.
    assert error["TensorRT-LLM fine-grained W4A16"] > 0.5
