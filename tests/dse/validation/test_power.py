"""What a row of energy is taken to say, and its energy by hand."""

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation import power
from tests.dse.validation.cells import assert_cells

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


ENERGY = {
    "chip": "h100_sxm", "model": "llama3_8b", "n_chips": 8.0, "weight_bits": 16.0, "batch": 4.0, "input_len": 100.0,
    "output_len": 10.0, "phase": "decode", "energy_J_per_output_token": 2.0, "reason": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"quantity": "served", "measured_j": 2, "remark": "", "reason": "", "tensor": 8, "replicas": 1, "dealt": 1,
              "act_bits": 16, "kv_bits": 16, "used_batch": 4, "prompt": 100, "output": 10, "software": ""}),
        ({"note": "TP 2, DP 4"}, {"tensor": 2, "replicas": 4, "dealt": 8}),
        ({"note": "TP 2, EP 4"}, {"tensor": 2, "replicas": 4, "dealt": 4}),
        ({"note": "TP 1, EP 8, DP 1", "n_chips": 8.0}, {"tensor": 1, "replicas": 8, "dealt": 8}),
        ({"note": "TP 2, EP 3"}, {"tensor": 2, "replicas": 4, "dealt": 8}),
        ({"note": "TP 8, EP 1"}, {"tensor": 8, "replicas": 1, "dealt": 1}),
        ({"note": "TP 8, EP 8"}, {"tensor": 8, "replicas": 1, "dealt": 8}),
        ({"note": "TP 16"}, {"tensor": 16, "replicas": 1, "dealt": 1}),
        ({"note": "TP 0"}, {"tensor": 0, "replicas": 8}), ({"n_chips": np.nan}, {"tensor": 1, "replicas": 1}),
        ({"n_chips": 0.0}, {"tensor": 1, "replicas": 1}), ({"note": "STP 4"}, {"tensor": 8}),
        ({"weight_bits": 8.0}, {"act_bits": 8}), ({"weight_bits": 0.0}, {"reason": "weight_bits is not given"}),
        ({"weight_bits": 0.5}, {"reason": ""}), ({"batch": 0.0}, {"reason": "batch is not given", "used_batch": 1}),
        ({"batch": 0.5}, {"reason": "", "used_batch": 1}), ({"model": "gpt9"}, {"reason": "model is not given"}),
        ({"output_len": 0.0}, {"reason": "output_len is not given", "output": 1}),
        ({"output_len": 0.5}, {"reason": "", "output": 1}),
        ({"output_len": np.nan}, {"reason": "output_len is not given", "output": 1}),
        ({"energy_J_per_output_token": 0.0}, {"reason": "no energy per output token or call is given"}),
        ({"energy_J_per_output_token": 0.5}, {"reason": ""}),
        ({"input_len": np.nan}, {"remark": "prompt length assumed (serving.chat_prompt_tokens)", "reason": ""}),
        ({"input_len": np.nan, "batch": 0.0}, {"remark": "", "reason": "batch is not given"}),
        ({"note": "vLLM 0.9"}, {"software": "vLLM"}), ({"note": "runs on TensorRT-LLM"}, {"software": ""}),
        ({"source_title": "ML.ENERGY v3"}, {"software": "vLLM"}),
        ({"note": "Deepspeed-MII", "software": "mine"}, {"software": "mine"}),
        ({"kind": "gemm", "energy_uJ_per_call": 5.0, "model": None, "batch": np.nan, "weight_bits": np.nan,
          "input_len": np.nan, "output_len": np.nan},
         {"quantity": "gemm", "measured_j": 5e-6, "reason": "", "remark": "", "output": 1}),
        ({"kind": "", "energy_uJ_per_call": 5.0}, {"quantity": "served", "measured_j": 2}),
        ({"kind": "gemm"}, {"quantity": "gemm", "measured_j": 2}),
    ],
)  # fmt: skip
def test_what_a_row_of_energy_says(changed, cells):
    made = power.prepare(pd.DataFrame([ENERGY | changed]), TECHNOLOGY).iloc[0]
    assert_cells(made, cells)
    if "prompt length" in made["remark"]:
        assert made["prompt"] == LIBRARY.parameters["serving.chat_prompt_tokens"].typ


def test_energy_of_a_request_is_that_of_its_prompt_and_its_steps():
    rows = power.prepare(
        pd.DataFrame([ENERGY | {"n_chips": 1.0, "output_tokens_per_s": 100.0, "batch_mode": "static"}] * 3), TECHNOLOGY
    )
    rows = rows.assign(stack="vllm", phase=["decode", "all", np.nan])
    rows.loc[2, "prompt"] = 0.0
    steps, whole, bare = power.served_power(rows, TECHNOLOGY).to_dict("records")
    assert bare["predicted_w"] < whole["predicted_w"], "without a prompt nothing but steps is left"
    assert steps["predicted_j"] < whole["predicted_j"]
    for timed in (False, True):
        made = power.served_power(rows, TECHNOLOGY, timed=timed)
        seconds = 4 * 10 / 100 if timed else 4 * 10 / 100 / made["stretch"]
        # Watts are joules over time, of 4 sequences of 10 tokens at 100 tokens a second if that was measured.
        np.testing.assert_allclose(made["predicted_w"], made["predicted_j"] * 40 / seconds)
    np.testing.assert_allclose(steps["predicted_s"] * 10 * steps["stretch"], 0.4)
