"""Every error statistic beside a plain twin of lists and Python's `statistics`, on made rows with all odd cases."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation.score import collapse, headline, one_constant, peer_rows, score, static_rows, weight_gain

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


def quantile(values, share):
    """The value at a share of the way from the least to the largest, between two in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def middle_ranks(values):
    return [sum(b < a for b in values) + (sum(b == a for b in values) + 1) / 2 for a in values]


def by_hand(pairs):
    """The statistics of (predicted, measured) of one group."""
    errors = [abs(made / real - 1) for made, real in pairs]
    made, real = zip(*pairs, strict=True)
    told = len(pairs) >= 3 and len(set(made)) > 1 and len(set(real)) > 1
    return {
        "n": len(pairs),
        "mdape": statistics.median(errors),
        "mape": statistics.fmean(errors),
        "bias": statistics.geometric_mean(made / real for made, real in pairs),
        "p90": quantile(errors, 0.9),
        "rank": statistics.correlation(middle_ranks(made), middle_ranks(real)) if told else math.nan,
    }


def groups_of(rows, *names, predicted="predicted_s"):
    found = {}
    for row in rows.to_dict("records"):
        if math.isfinite(row[predicted]) and math.isfinite(row["measured_s"]):
            pair = (row[predicted], row["measured_s"])
            found.setdefault(tuple(row[name] for name in names), []).append(pair)
    return found


def made_rows(seed=0, n=60):
    """Rows of a few sources of unlike sizes, some of one row or two, some constant, some without a time."""
    rng = np.random.default_rng(seed)
    source = rng.choice(["large", "middle", "small"], n, p=[0.7, 0.2, 0.1])
    rows = pd.DataFrame({
        "source": source, "quantity": rng.choice(["decode", "prefill", "request"], n, p=[0.6, 0.3, 0.1]),
        "chip": rng.choice(["a", "b"], n), "measured_s": np.round(rng.lognormal(0, 1, n), 1) + 0.1,
    })  # fmt: skip
    rows["predicted_s"] = np.round(rows["measured_s"] * rng.lognormal(0.1, 0.4, n), 1) + 0.1
    rows["bound_s"] = rows["measured_s"] * rng.uniform(0.2, 0.9, n)
    odd = [
        {"source": "one", "measured_s": 2.0, "predicted_s": 3.0},
        *({"source": "two", "measured_s": float(i), "predicted_s": float(i * i)} for i in (1, 2)),
        *({"source": "flat", "measured_s": 2.0, "predicted_s": float(i)} for i in (1, 2, 3)),
        *({"source": "level", "measured_s": float(i), "predicted_s": 2.0} for i in (1, 2, 3)),
        *({"source": "pair", "measured_s": float(i), "predicted_s": float(i // 2)} for i in (1, 2, 3)),
        {"source": "none", "measured_s": math.nan, "predicted_s": 1.0},
        {"source": "none", "measured_s": 1.0, "predicted_s": math.nan},
        {"source": "large", "measured_s": 1.0, "predicted_s": math.inf},
    ]
    more = pd.DataFrame(odd).assign(quantity="decode", chip="a", bound_s=0.5)
    more.loc[more["source"] == "pair", "predicted_s"] += 1
    return pd.concat([rows, more], ignore_index=True)


@pytest.mark.parametrize("by", [("quantity", "source"), ("quantity",), ("source", "quantity", "chip")])
def test_scores_are_those_of_a_plain_twin(by):
    rows = made_rows()
    expected = {key: by_hand(pairs) for key, pairs in groups_of(rows, *by).items()}
    found = score(rows, by)
    assert [key if isinstance(key, tuple) else (key,) for key in found.index] == sorted(expected)
    for key, line in zip(found.index, found.to_dict("records"), strict=True):
        assert line == pytest.approx(expected[key if isinstance(key, tuple) else (key,)], nan_ok=True), key
    assert score(rows, by, predicted="bound_s")["mdape"].tolist() == pytest.approx(
        [by_hand(pairs)["mdape"] for _, pairs in sorted(groups_of(rows, *by, predicted="bound_s").items())]
    )


def test_a_headline_is_the_median_over_sources():
    scores = score(made_rows())
    found = headline(scores)
    for quantity, part in scores.groupby(level="quantity"):
        assert found.loc[quantity, "sources"] == len(part) and found.loc[quantity, "n"] == part["n"].sum()
        for name in ("mdape", "mape", "bias", "p90"):
            assert found.loc[quantity, name] == pytest.approx(statistics.median(part[name]))


def test_one_constant_per_quantity_is_the_median_ratio_to_the_bound():
    rows = made_rows().dropna()
    rows = rows.iloc[::-1]
    ratios = {}
    for row in rows.to_dict("records"):
        ratios.setdefault(row["quantity"], []).append(row["measured_s"] / row["bound_s"])
    # Half way in proportion between the two in the middle of an even number.
    middle = {name: math.exp(statistics.median(map(math.log, values))) for name, values in ratios.items()}
    expected = rows["bound_s"] * rows["quantity"].map(middle)
    pd.testing.assert_series_equal(one_constant(rows), expected, check_names=False)


def test_repeats_and_editions_collapse_as_a_twin_collapses_them():
    cells = [
        # source, key, quantity, measured, predicted, bound
        ("mine", "k", "decode", 1.0, 10.0, 3.0), ("mine", "k", "decode", 2.0, 20.0, 9.0),
        ("mine", "k", "decode", 7.0, 60.0, 6.0), ("mine", "k", "prefill", 9.0, 1.0, 1.0),
        ("mine", "", "decode", 5.0, 1.0, 1.0), ("mine", "", "decode", 6.0, 1.0, 1.0),
        ("other", "k", "decode", 4.0, 1.0, 1.0),
        ("trtllm_v090", "t", "decode", 3.0, 2.0, 1.0), ("trtllm_v050", "t", "decode", 8.0, 2.0, 1.0),
        ("trtllm_v080", "u", "decode", 8.5, 2.0, 1.0), ("trtllm_v061", "u", "decode", 9.5, 2.0, 1.0),
        ("trtllm_v061", "u", "prefill", 0.5, 2.0, 1.0),
    ]  # fmt: skip
    names = ["source_id", "config_key", "quantity", "measured_s", "predicted_s", "bound_s"]
    one = collapse(pd.DataFrame(cells, columns=names).assign(note="x"))
    found = {
        (row["source"], row["quantity"], row["measured_s"], row["predicted_s"], row["bound_s"])
        for row in one.to_dict("records")
    }
    assert len(one) == len(found) and (one["note"] == "x").all()
    assert found == {
        ("mine", "decode", 2.0, 20.0, 6.0), ("mine", "prefill", 9.0, 1.0, 1.0), ("mine", "decode", 5.0, 1.0, 1.0),
        ("mine", "decode", 6.0, 1.0, 1.0), ("other", "decode", 4.0, 1.0, 1.0),
        ("trtllm_static", "decode", 3.0, 2.0, 1.0), ("trtllm_static", "decode", 8.5, 2.0, 1.0),
        ("trtllm_static", "prefill", 0.5, 2.0, 1.0),
    }  # fmt: skip


def test_the_gain_of_narrow_weights_compares_what_differs_in_them_alone():
    base = {
        "source": "s", "chip": "c", "n_chips": 1.0, "model": "m", "input_len": 1.0, "output_len": 5.0, "output": 5.0,
        "quantity": "request", "used_batch": 2.0, "measured_s": 20.0, "predicted_s": 30.0, "weight_bits": 16.0,
    }  # fmt: skip
    alike = [
        base,
        base | {"weight_bits": 15.5, "measured_s": 40.0, "predicted_s": 50.0, "used_batch": 4.0},
        base | {"weight_bits": 5.5, "measured_s": 5.0, "predicted_s": 6.0},
        base | {"weight_bits": 4.0, "measured_s": 7.0, "predicted_s": 10.0},
    ]
    neither = [
        base | {"weight_bits": 8.0, "measured_s": 1e9}, base | {"weight_bits": 5.6, "measured_s": 1e9},
        base | {"weight_bits": 15.4, "measured_s": 1e9}, base | {"weight_bits": 4.0, "predicted_s": math.nan},
        base | {"weight_bits": 4.0, "measured_s": math.nan}, base | {"weight_bits": 4.0, "chip": "alone"},
    ]  # fmt: skip
    steps = base | {"quantity": "decode", "n_chips": math.nan}
    others = [steps, steps | {"weight_bits": 4.0, "used_batch": 8.0}]
    found = weight_gain(pd.DataFrame(alike + neither + others)).set_index("quantity")
    # Per token: medians of 2 and 2, and of 3 and 2.5, of wide; 0.5 and 0.7, and 0.6 and 1, of narrow weights.
    assert found.loc["request", "measured_gain"] == pytest.approx(2 / 0.6)
    assert found.loc["request", "predicted_gain"] == pytest.approx(2.75 / 0.8)
    assert found.loc["request", "error"] == pytest.approx(abs(2.75 / 0.8 / (2 / 0.6) - 1))
    # A step makes one token per sequence, whatever the length of the answer.
    assert found.loc["decode", "measured_gain"] == pytest.approx(4.0) and len(found) == 2


PEER = {"chip": "h100_sxm", "model": "llama3_8b", "kind": "tensor", "tensor": 8, "batch_mode": "static", "grade": "A"}


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, True), ({"tensor": 1}, True), ({"tensor": 9}, False), ({"kind": "pipeline"}, False),
        ({"chip": "mi300x"}, False), ({"model": "mixtral_8x7b"}, False), ({"batch_mode": "inflight"}, False),
        ({"grade": "B"}, False), ({"model": "nobody_knows"}, False), ({"chip": "nobody_knows"}, False),
    ],
)  # fmt: skip
def test_peers_were_scored_on_dense_models_of_nvidia_chips(changed, counts):
    rows = pd.DataFrame([PEER | changed, PEER])
    assert peer_rows(rows, LIBRARY).tolist() == [counts, True]
    static = {"batch_mode", "grade"}.isdisjoint(changed)
    assert static_rows(rows).tolist() == [static, True]
    assert static_rows(rows, "AB").tolist() == ["batch_mode" not in changed, True]
