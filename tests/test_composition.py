"""What is validated is what users run: every measured row, typed as a user would type it, gives the same bits."""

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.technology import Technology
from dse.evaluate import Evaluator
from dse.explain import explain_library_chip
from dse.spec import parse_spec
from dse.validate import requests
from dse.validate.rows import read_measurements
from dse.validate.run import shipped
from dse.validate.setups import typed

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


def predicted_rows():
    """Return all shipped end-to-end rows that validation predicts, with what a user types for each."""
    parts = []
    for path in shipped(LIBRARY):
        form, rows = read_measurements(path, LIBRARY)
        if form not in ("requests", "excluded"):
            continue
        asked = requests.prepare(rows)
        made = requests.predict(asked, TECHNOLOGY)
        # The batch as it was asked for: prediction fills in the largest.
        usable = made["reason"] == ""
        part = made[usable].assign(
            typed=[typed(row, LIBRARY) for _, row in asked[usable].assign(stack=made["stack"]).iterrows()]
        )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


ROWS = predicted_rows()


def sweep(model, part):
    """Return a sweep whose baselines and workloads are those of rows of one model, each once."""
    baselines, workloads = {}, {}
    for baseline, workload in part["typed"]:
        baselines.setdefault(repr(baseline), (f"b{len(baselines)}", baseline))
        workloads.setdefault(repr(workload), (f"w{len(workloads)}", workload))
    spec = parse_spec(
        {
            "name": "rows",
            "workloads": dict(workloads.values()),
            "baselines": dict(baselines.values()),
            "space": {"kv_bits": 16},
            "objectives": [{"metric": "tdp_w", "direction": "minimize"}],
            "search": {"sampler": "grid"},
        }
    )
    return Evaluator(spec), baselines, workloads


SECONDS = {"decode": "decode_s", "prefill": "prefill_s", "request": "request_s"}


@pytest.mark.parametrize("model", sorted(ROWS["model"].unique()))
def test_a_measured_row_and_what_a_user_types_give_the_same_bits(model):
    part = ROWS[ROWS["model"] == model]
    evaluator, baselines, workloads = sweep(model, part)
    served = {}
    for row in part.itertuples():
        pair = tuple(map(repr, row.typed))
        if pair not in served:
            entry = evaluator.spec.baselines[baselines[pair[0]][0]]
            served[pair] = evaluator.serve_baseline(entry, workloads[pair[1]][0]).inference
        found = getattr(served[pair], SECONDS[row.quantity])
        assert found.shape == (1,)
        assert found[0] == row.predicted_s, (row.Index, row.typed)


def test_there_are_rows_of_every_kind():
    assert len(ROWS) > 2500
    assert set(ROWS["batching"]) == {"static", "waves", "in_flight"}
    assert set(ROWS["kind"]) == {"tensor", "pipeline", "layer_split"}
    assert (ROWS["replicas"] > 1).any()
    assert ROWS["same_prompts"].any()
    assert ROWS["chunk_rows"].notna().any()
    assert any("expert_format" in baseline for baseline, _ in ROWS["typed"])
    assert any(workload["batch"] == "largest" for _, workload in ROWS["typed"])


def test_explain_of_a_row_is_validate_of_it():
    for row in ROWS.iloc[:: len(ROWS) // 60].itertuples():
        baseline, workload = (dict(part) for part in row.typed)
        chips, model = baseline.pop("chips"), workload.pop("model")
        words = [
            f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in workload.items()
        ]
        explained = explain_library_chip(
            chips, [" ".join([model, *words])], [f"{name}={value}" for name, value in baseline.items()]
        )
        table = next(iter(explained.workloads.values()))
        joining_ms = table.settings.get("joining_prompts_ms", 0.0)
        if row.quantity == "decode":
            assert table.decode.ms == row.decode_s * 1e3
            assert joining_ms == row.interference_s * 1e3
        elif row.quantity == "prefill":
            assert table.prefill.ms == row.predicted_s * 1e3
        elif table.fits:
            assert table.metrics["request_s"] == row.predicted_s


def test_kept_figures_of_the_paths_that_differed():
    """Values that only validation had before there was one path."""
    gpu = explain_library_chip(
        "1x rtx_3090", ["llama3_8b batch=1 prompt_tokens=0"], ["weight_format=gguf_q4_k_m", "stack=llama_cpp"]
    )
    assert next(iter(gpu.workloads.values())).decode.ms == pytest.approx(9.74, abs=0.01)
    native = explain_library_chip("1x h100_sxm", ["gpt_oss_120b batch=1"])
    table = next(iter(native.workloads.values()))
    assert table.fits
    assert np.isclose(table.settings["expert_bits"], 4.25)
    assert table.settings["weight_bits"] == 16
