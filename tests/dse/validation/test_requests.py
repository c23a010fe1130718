"""What an end-to-end row is taken to say, and its metric as a time."""

import numpy as np
import pandas as pd
import pytest

from dse.validation import requests
from dse.validation.harness import chunk_rows, same_prompts
from tests.dse.validation.cells import assert_cells

SERVED = {
    "metric": "tpot_ms", "parallelism": "tp2", "n_chips": 2.0, "weight_bits": 16.0, "act_bits": 16.0, "kv_bits": 16.0,
    "input_len": 100.0, "output_len": 50.0, "value": 5.0, "batch": 8.0, "batch_mode": "static", "reason": "",
}  # fmt: skip
"""A row as it is read; `requests.prepare` adds what it is taken to say."""


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"quantity": "decode", "tensor": 2, "used_batch": 8, "prompt": 100, "output": 50, "batching": "static",
              "batch_given": True, "remark": "", "reason": "", "same_prompts": False, "chunk_rows": np.nan}),
        ({"metric": "ttft_ms"}, {"quantity": "prefill", "batching": "static", "used_batch": 8}),
        ({"metric": "request_latency_s"}, {"quantity": "request", "batching": "waves"}),
        ({"metric": "output_tokens_per_s", "batch": np.nan},
         {"quantity": "request", "batching": "static", "used_batch": np.nan, "batch_given": False}),
        ({"metric": "speed"}, {"quantity": "", "reason": f"metric speed is none of {', '.join(requests.QUANTITIES)}"}),
        ({"weight_bits": 0.0}, {"reason": "weight_bits is not given"}),
        ({"act_bits": np.nan}, {"reason": "act_bits is not given"}),
        ({"kv_bits": 0.5}, {"reason": ""}),
        ({"input_len": np.nan}, {"reason": "input_len is not given"}),
        ({"input_len": 0.0}, {"reason": "", "prompt": 0}),
        ({"output_len": np.nan}, {"reason": "", "output": 1}),
        ({"output_len": np.nan, "metric": "request_latency_s"}, {"reason": "output_len is not given", "output": 1}),
        ({"output_len": 0.0}, {"output": 1}),
        ({"value": 0.0}, {"reason": "value must be above 0"}), ({"value": 0.5}, {"reason": ""}),
        ({"batch": 0.5}, {"used_batch": 1}), ({"batch": 1.5}, {"used_batch": 1.5}),
        ({"effective_batch": 3.0}, {"used_batch": 3}), ({"effective_batch": np.nan}, {"used_batch": 8}),
        ({"batch": np.nan}, {"used_batch": np.nan, "batch_given": False, "remark": "", "batching": "static"}),
        ({"batch": np.nan, "metric": "ttft_ms"},
         {"used_batch": 1, "batch_given": True, "remark": "no batch given: one prompt"}),
        ({"batch": np.nan, "metric": "ttft_ms", "parallelism": "ring", "n_chips": 4.0},
         {"used_batch": 1, "remark": "layout 'ring' taken as tensor parallel", "tensor": 4}),
        ({"batch_mode": "static_max_unknown"}, {"used_batch": np.nan, "batch_given": False}),
        ({"batch_mode": "static_max_unknown", "batch": np.nan, "metric": "ttft_ms"},
         {"used_batch": np.nan, "batch_given": False, "remark": ""}),
        ({"mean_input_len": 70.0, "mean_output_len": 30.0}, {"prompt": 70, "output": 30}),
        ({"mean_input_len": np.nan, "mean_output_len": np.nan}, {"prompt": 100, "output": 50}),
        ({"mean_input_len": 70.0}, {"prompt": 100, "output": 50}),
        ({"batch_mode": "inflight"}, {"batching": "in_flight"}),
        ({"batch_mode": "inflight", "input_len": 0.0}, {"batching": "static"}),
        ({"batch_mode": "inflight", "prefill_ms_per_step_ideal": 0.0}, {"batching": "static"}),
        ({"batch_mode": "inflight", "prefill_ms_per_step_ideal": 0.5}, {"batching": "in_flight"}),
        ({"batch_mode": "inflight", "metric": "ttft_ms"}, {"batching": "in_flight", "used_batch": 8}),
        ({"batch_mode": "inflight", "metric": "ttft_ms", "concurrency": 20.0}, {"used_batch": 20}),
        ({"batch_mode": "inflight", "metric": "ttft_ms", "concurrency": np.nan}, {"used_batch": 8, "reason": ""}),
        ({"batch_mode": "inflight", "metric": "ttft_ms", "concurrency": 0.0},
         {"used_batch": 8, "reason": "concurrency must be above 0"}),
        ({"batch_mode": "inflight", "concurrency": 0.0}, {"used_batch": 8, "reason": ""}),
        ({"concurrency": 20.0, "metric": "ttft_ms"}, {"used_batch": 8, "batching": "static"}),
        ({"batch_mode": "inflight", "metric": "request_latency_s"}, {"batching": "waves"}),
        ({"parallelism": "tp2_dp4_ep8_pp3", "n_chips": 24.0},
         {"tensor": 2, "replicas": 4, "dealt": 8, "stages": 3, "kind": "pipeline", "cache_split": "heads"}),
        ({"same_prompts": "Yes", "chunk_rows": 512}, {"same_prompts": True, "chunk_rows": 512}),
    ],
)  # fmt: skip
def test_what_an_end_to_end_row_says(changed, cells):
    assert_cells(requests.prepare(pd.DataFrame([SERVED | changed])).iloc[0], cells)


@pytest.mark.parametrize(
    ("metric", "value", "seconds"),
    [
        ("ms_per_token", 5.0, 0.005), ("tpot_ms", 5.0, 0.005), ("prefill_ms", 5.0, 0.005), ("ttft_ms", 5.0, 0.005),
        ("request_latency_s", 5.0, 5.0), ("output_tokens_per_s", 5.0, 8 * 50 / 5.0),
    ],
)  # fmt: skip
def test_a_metric_is_a_time_and_a_time_is_a_metric(metric, value, seconds):
    row = pd.DataFrame([{"metric": metric, "value": value, "used_batch": 8.0, "output": 50.0}])
    assert requests.measured_s(row).tolist() == pytest.approx([seconds])
    assert requests.in_metric_units(row, pd.Series([seconds])).tolist() == pytest.approx([value])


def test_prompts_are_the_same_where_a_row_says_so():
    told = pd.DataFrame({"same_prompts": ["yes", "True", "1", "no", "", 0, np.nan]})
    assert same_prompts(told).tolist() == [True] * 3 + [False] * 4
    assert same_prompts(told[[]]).tolist() == [False] * 7
    assert np.isnan(chunk_rows(told)).all() and chunk_rows(pd.DataFrame({"chunk_rows": [3]})).tolist() == [3.0]
