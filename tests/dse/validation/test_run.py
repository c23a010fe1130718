"""What a validation adds to a file."""

import numpy as np
import pandas as pd

from dse.validation.run import run_validation
from tests.dse.validation.test_rows import ROW


def test_every_column_that_a_validation_adds_is_what_its_neighbours_say(tmp_path):
    rows = [
        ROW | {"value": "6", "batch": "1"}, ROW | {"metric": "ttft_ms", "value": "60"},
        ROW | {"metric": "request_latency_s", "value": "1.5"}, ROW | {"metric": "output_tokens_per_s", "value": "900"},
        ROW | {"software": "some tool"}, ROW | {"chip": "banana"}, ROW | {"batch": "100000"},
        ROW | {"metric": "ttft_ms", "input_len": "4096", "batch": "8"},
    ]  # fmt: skip
    path = tmp_path / "mine.csv"
    pd.DataFrame(rows).assign(kv_bits="16", act_bits="16").to_csv(path, index=False)
    validation = run_validation([path, path])
    assert list(validation.files) == ["mine.csv", str(path)]
    out = validation.files["mine.csv"]
    value, good = out["value"].astype(float), out["reason"] == ""
    assert good.tolist() == [True] * 5 + [False, True, True]
    rate = out["metric"] == "output_tokens_per_s"
    expected = (out["predicted"] / value) ** np.where(rate, -1, 1)
    np.testing.assert_allclose(out["ratio"][good], expected[good])
    assert (out["bound_by"] == ["memory", "arithmetic", "memory", "memory", "memory", "", "memory", "arithmetic"]).all()
    slower = out["predicted"].where(~rate, out["bound"]) > out["bound"].where(~rate, out["predicted"])
    assert (slower == good).all()
    assert (
        out["stack"].str.endswith(" (generic: software has no profile)").tolist() == [False] * 4 + [True] + [False] * 3
    )
    assert out["stack"].iloc[5] == "" and out["stack"].iloc[0] == "vllm"
    assert out["fits"].tolist() == ["yes"] * 5 + ["", "no", "yes"]
    assert (out["p10"] < out["p90"])[good].all() and out["p10"].isna().tolist() == (~good).tolist()
    inside = (value >= out["p10"]) & (value <= out["p90"])
    assert out["inside"].tolist() == np.where(good, np.where(inside, "yes", "no"), "").tolist()
    assert out["remark"].iloc[0] == "no column n_chips: 1 taken"
    assert out["interference_ms"][good].notna().all()
    many = rows[0] | {"metric": "ttft_ms", "value": "20", "batch": ""}
    pd.DataFrame([many]).to_csv(path, index=False)
    (said,) = run_validation([path]).files.values()
    assert said["remark"].iloc[0].endswith("no column kv_bits: 16 taken; no batch given: one prompt")
