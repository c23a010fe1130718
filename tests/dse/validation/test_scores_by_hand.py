"""Every error statistic beside a plain twin of lists and Python's `statistics`, on made rows with all odd cases."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation import kernels, score_tables
from dse.validation.results import ScoreTable, Validation
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


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_summary_counts_rows_and_the_commonest_reasons():
    def file(reasons, **columns):
        rows = pd.DataFrame({"reason": reasons, **columns})
        return rows.assign(predicted=np.where(rows["reason"] == "", 1.0, np.nan), stack="vllm")

    files = {
        "three": file(["", "a", "a", "a", "b", "b", "c"]),
        "four": file(["a", "a", "b", "c", "d"]),
        "five": file(["a", "a", "b", "c", "d", "e"]),
    }
    table = score_tables.summary(files).frame.set_index("file")
    assert table["rows"].tolist() == [7, 5, 6] and table["predicted"].tolist() == [1, 0, 0]
    assert table.loc["three", "not predicted"] == "3 x a; 2 x b; 1 x c"
    assert table.loc["four", "not predicted"].startswith("2 x a; ")
    assert [table.loc[name, "not predicted"].rpartition("; ")[2] for name in ("four", "five")] == [
        "and 1 other reasons", "and 2 other reasons",
    ]  # fmt: skip
    assert score_tables.summary(files).note == ""


def test_a_summary_says_what_can_be_told_beside_a_file():
    def file(reason, **columns):
        return pd.DataFrame({"reason": reason, "predicted": np.nan, "stack": "", **columns}, index=range(2))

    def note(*files):
        return score_tables.summary({str(place): one for place, one in enumerate(files)}).note

    told = "what a file does not tell is told beside it: "
    assert note(file("chip is not given", chip="", model="")) == told + "--with chip=h100_sxm --with model=llama3_8b"
    assert note(file("chip is not given", chip=["", "a100"], model="")) == told + "--with model=llama3_8b"
    assert note(file("chip 'x' is not in the library", chip="", model="")) == ""
    assert note(file("", chip="")) == ""
    twice = (file("chip is not given", chip=""), file("model is not given", chip="", output_len=""))
    assert note(*twice) == told + "--with chip=h100_sxm --with output_len=128"
    generic = file("", software=["", "vLLM"]).assign(stack="gpu_serving (generic: software has no profile)")
    unsure = "the software of {} rows is not told: a generic stack, less sure; --with software=vLLM"
    assert note(generic) == unsure.format(1)
    assert note(generic, generic) == unsure.format(2)
    assert note(generic.assign(stack="vllm")) == ""
    assert note(file("chip is not given", chip=""), generic) == f"{told}--with chip=h100_sxm; {unsure.format(1)}"


SERVED = {
    "reason": "", "batch_mode": "inflight", "metric": "output_tokens_per_s", "quantity": "request", "stack": "vllm",
    "bound_s": 0.1, "predicted_s": 1.0, "measured_s": 1.0, "batch_given": True, "source": "s", "chip": "h100_sxm",
    "grade": "A", "model": "llama3_8b", "weight_bits": 16.0, "used_batch": 1.0, "output": 1.0, "n_chips": 1.0,
    "input_len": 1.0, "output_len": 1.0, "kind": "tensor", "tensor": 1.0, "low_s": np.nan, "high_s": np.nan,
    "inside": np.nan, "source_id": "s", "config_key": "",
}  # fmt: skip


def served(*changes, monkeypatch):
    monkeypatch.setattr(score_tables, "unseen_chips", lambda rows, technology: rows.iloc[:0])
    tables = score_tables.request_tables(pd.DataFrame([SERVED | one for one in changes]), TECHNOLOGY)
    return {table.key: table for table in tables}


def test_chips_of_a_served_table_are_judged_from_four_rows_of_better_grades(monkeypatch):
    def chip(name, grade, count, error):
        return [{"chip": name, "grade": grade, "predicted_s": 1 + error}] * count

    many = [*chip("a", "A", 4, 0.1), *chip("b", "B", 5, 0.3), *chip("c", "C", 9, 0.9), *chip("d", "A", 3, 0.8)]
    unread = [{"reason": "why", "predicted_s": np.nan}] * 5
    tables = served(*many, *unread, {"metric": "tpot_ms", "quantity": "decode", "chip": "a"}, monkeypatch=monkeypatch)
    rates = tables["served_chips"]
    assert rates.note == "chips of grades A and B with 4 rows or more: median 20 %, worst 30 %"
    assert rates.frame["n"].tolist() == [4, 3, 5, 9]
    assert tables["served"].frame["n"].to_dict() == {("decode", "s", "vllm"): 1, ("end to end", "s", "vllm"): 21}
    few = served(*chip("a", "A", 3, 0.1), monkeypatch=monkeypatch)
    assert few["served_chips"].note == "chips of grades A and B with 4 rows or more: none"
    assert set(few) == {"all_rows", "served", "served_chips"}
    assert "served_chips" not in served({"metric": "tpot_ms"}, monkeypatch=monkeypatch)


def test_rows_inside_their_interval_are_counted_by_quantity(monkeypatch):
    cells = [("request", 1.0, 1.0, 2.0), ("request", 0.0, 1.0, 4.0), ("decode", 1.0, 1.0, 3.0)]
    rows = [
        {"quantity": name, "inside": inside, "low_s": low, "high_s": high, "grade": "C"}
        for name, inside, low, high in cells
    ]
    tables = served(*rows, {"quantity": "decode"}, monkeypatch=monkeypatch)
    table = tables["intervals"]
    assert table.frame["n"].to_dict() == {"decode": 1, "end to end": 2, "all": 3}
    assert table.frame["within"].tolist() == pytest.approx([1, 0.5, 2 / 3])
    assert table.frame["width"].tolist() == pytest.approx([3, 3, 3])
    assert table.note == "66.7 % of rows inside, median P90/P10 3.00"
    assert "intervals_unseen_chip" not in tables
    assert "intervals" not in served({}, monkeypatch=monkeypatch), "no row has one"


def test_lower_grades_have_a_table_of_their_own(monkeypatch):
    rows = [{"batch_mode": mode, "grade": grade} for mode in ("static", "inflight") for grade in "BBCD"]
    found = served(*rows, monkeypatch=monkeypatch)["lower_grades"].frame
    assert found["n"].to_dict() == {("end to end", "s", "B"): 2, ("end to end", "s", "C"): 1}


def test_a_gain_is_summed_up_by_source_and_told_of_those_that_generate(monkeypatch):
    def pair(source, quantity, gain, predicted, grade="A"):
        shared = {"source": source, "quantity": quantity, "grade": grade}
        narrow = {"weight_bits": 4.0, "measured_s": 1 / gain, "predicted_s": 1 / predicted}
        return [shared, shared | narrow]

    rows = [*pair("a", "decode", 2.0, 3.0), *pair("b", "request", 2.0, 2.2), *pair("c", "prefill", 1.0, 9.0),
            *pair("d", "decode", 2.0, 9.0, "C")]  # fmt: skip
    table = served(*rows, monkeypatch=monkeypatch)["weight_gain"]
    assert table.frame["pairs"].to_dict() == {("a", "decode"): 1, ("b", "request"): 1, ("c", "prefill"): 1}
    assert table.frame["error"].tolist() == pytest.approx([0.5, 0.1, 8])
    assert table.note.endswith("error 30 %")
    assert "weight_gain" not in served(*pair("a", "decode", 2.0, 3.0, "C"), monkeypatch=monkeypatch)


def test_operators_that_fit_on_the_chip_are_not_scored():
    rows = pd.DataFrame({
        "reason": ["", "", "", "why"], "quantity": ["gemm", "gemm", "copy", "gemm"], "chip": ["a", "b", "a", "a"],
        "predicted_s": [1.1, 1.3, 1.0, np.nan], "measured_s": 1.0,
        "bound_flag": ["", "fits_on_chip_memory", "memory", ""],
    })  # fmt: skip
    by_kind, by_chip = score_tables.operator_tables(rows)
    assert by_kind.frame["n"].to_dict() == {"copy": 1, "gemm": 1}
    assert by_kind.frame.loc["gemm", "mdape"] == pytest.approx(0.1)
    assert by_chip.frame["n"].to_dict() == {("copy", "a"): 1, ("gemm", "a"): 1}
    (all_kinds, _) = score_tables.operator_tables(rows.drop(columns="bound_flag"))
    assert all_kinds.frame.loc["gemm", "mdape"] == pytest.approx(0.2)
    assert score_tables.operator_tables(rows[1:2]) == [] and score_tables.operator_tables(rows[3:]) == []


def test_energy_and_power_are_the_median_over_sources_of_better_grades(monkeypatch):
    monkeypatch.setattr(score_tables, "unseen_power", lambda rows, kind, technology: rows[rows["chip"] == kind])

    def row(source, error, **more):
        usual = {
            "reason": "", "quantity": "served", "source": source, "chip": "chip", "grade": "A", "power_W_total": 0.5,
            "predicted_w": 0.5 * (1 + 2 * error), "predicted_j": 1 + error, "measured_j": 1.0, "measured_s": 1.0,
            "bound_flag": np.nan,
        }  # fmt: skip
        return usual | more

    rows = [
        row("a", 0.1), row("a", 0.3), row("b", 0.4, grade="B"), row("c", 0.9, grade="C"),
        row("d", 0.5, quantity="gemm"),
        row("e", 0.6, power_W_total=np.nan), row("f", 7.0, bound_flag="fits_on_chip_memory"), row("g", 7.0, reason="?"),
    ]  # fmt: skip
    tables = {table.key: table for table in score_tables.energy_tables(pd.DataFrame(rows), TECHNOLOGY)}
    assert tables["energy"].note == "energy per token, median over sources of grades A and B: 40 %"
    assert set(tables["energy"].frame.index.get_level_values("source")) == set("abcde")
    assert set(tables["energy"].frame.index.get_level_values("kind")) == {"gemm", "per token"}
    power = tables["power"]
    fitted = len(score_tables.power_constants(LIBRARY))
    assert power.note == f"power while serving, median over sources of grades A and B: 60 %; {fitted} constants"
    assert power.frame["mdape"].tolist() == pytest.approx([1.0, 0.4, 0.8, 1.8])
    unseen = tables["power_unseen_chip"]
    assert unseen.note == "median over sources of grades A and B: power 60 %, energy per token 30 %"
    assert set(unseen.frame.index.get_level_values("kind")) == {"per token"}
    assert "power_unseen_source" not in tables, "no row is left"
    watts = pd.DataFrame(rows).assign(power_W_total=0.0)
    assert [table.key for table in score_tables.energy_tables(watts, TECHNOLOGY)] == ["energy"]
    assert score_tables.energy_tables(pd.DataFrame(rows[6:]), TECHNOLOGY) == []


def test_constants_of_power_that_hold_for_several_count_once():
    found = score_tables.power_constants(LIBRARY)
    words = "fitted on the power of "
    fitted = [one for one in LIBRARY.parameters.values() if one.note.startswith(words) and "dies" not in one.note]
    assert fitted and sorted(one.typ for one in found.values()) == sorted({one.typ for one in fitted})


def test_rows_left_out_for_lack_of_memory_are_counted():
    rows = pd.DataFrame({
        "excluded_for": ["weights + KV 90 GB", "weights + KV 95 GB", "a slip"], "fits": [False, True, False],
    })  # fmt: skip
    (table,) = score_tables.excluded_tables(rows)
    assert table.frame.to_dict("records") == [{"rows": 2, "reported as not fitting": 1}]


def test_all_tables_are_told_as_one():
    plain = ScoreTable("plain", "", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    index = pd.MultiIndex.from_tuples([("p", 1), ("q", 2)], names=["source", "n"])
    named = ScoreTable("named", "", pd.DataFrame({"c": [0.5, np.nan]}, index=index))
    single = ScoreTable("single", "", pd.DataFrame({"c": [7]}, index=pd.Index(["row"], name="quantity")))
    found = Validation({}, (plain, named, single))
    told = found.rows()
    assert told[:5] == [
        ("plain", 0, "a", 1), ("plain", 0, "b", "x"), ("plain", 1, "a", 2), ("plain", 1, "b", "y"),
        ("named", "p 1", "c", 0.5),
    ]  # fmt: skip
    assert told[5][:3] == ("named", "q 2", "c") and math.isnan(told[5][3]) and told[6] == ("single", "row", "c", 7)
    assert found.records()["named"][1] == {"source": "q", "n": 2, "c": None}


# --- kernels ----------------------------------------------------------------------------------------------------------


def test_gains_of_weight_only_kernels_cross_one_where_the_rows_do():
    told = [
        ("A10", "Marlin W4A16 g128", "1", "4.0", ""), ("A10", "Marlin W4A16 g128", "64", "1.0", ""),
        ("A10", "Marlin W4A16 g128", "128", "0.9", ""), ("A10", "Marlin W4A16 g128", "128", "0.99", ""),
        ("A10", "Marlin W4A16 g128", "256", "0.5", ""), ("A100", "Marlin W4A16 g128", "16", "1.0", ""),
        ("A10", "Marlin W4A16 g128", "0.5", "2.0", "the batch is not a number"),
        ("A10", "Marlin W4A16 g128", "many", "2.0", "the batch is not a number"),
        ("A10", "Marlin W4A16 g128", "8", "0", "no speed-up over a dense FP16 GEMM is given"),
        ("RTX 9090", "Marlin W4A16 g128", "8", "2.0", "peaks of the GPU are not in the library"),
        ("A10", "a fast one", "8", "2.0", "kernel 'a fast one' has no profile"),
    ]  # fmt: skip
    rows = pd.DataFrame(told, columns=["gpu", "method", "batch_M", "speedup_vs_fp16", "why"]).assign(reason="")
    rows["speedup_vs_fp16"] = rows["speedup_vs_fp16"].astype(float)
    made = kernels.predict(rows, "weight_only", TECHNOLOGY)
    assert made["reason"].tolist() == made["why"].tolist()
    assert (made["predicted_gain"].notna() == (made["reason"] == "")).all()
    assert set(made["profile"][:-1]) == {"marlin"} and made["profile"].iloc[-1] == ""
    (table,) = kernels.kernel_tables(made, "weight_only", TECHNOLOGY)
    a10, a100 = table.frame[table.frame["gpu"] == "A10"].iloc[0], table.frame[table.frame["gpu"] == "A100"].iloc[0]
    assert (a10["n"], a10["first slower batch"], a10["constants"]) == (5, 128, "fitted")
    assert (a100["n"], a100["first slower batch"]) == (1, np.inf)
    usable = made[(made["reason"] == "") & (made["gpu"] == "A10")]
    errors = [abs(a / b - 1) for a, b in zip(usable["predicted_gain"], usable["measured_gain"], strict=True)]
    assert a10["mdape"] == pytest.approx(statistics.median(errors)) and a10["p90"] == pytest.approx(
        quantile(errors, 0.9)
    )
    assert kernels.kernel_tables(made[6:], "weight_only", TECHNOLOGY) == []


def test_gains_of_sparse_kernels_reach_one_where_the_rows_do():
    told = [(0.5, 0.8), (0.7, 1.0), (0.8, 1.5), (1.0, 9.0), (0.0, 0.1), (1.1, 2.0), (-0.1, 2.0), (np.nan, 2.0)]
    rows = pd.DataFrame(told, columns=["sparsity", "speedup_vs_cublas"]).assign(
        reason="", gpu="A100", kernel="Flash-LLM"
    )
    made = kernels.predict(rows, "sparse", TECHNOLOGY)
    assert made["reason"].tolist() == [""] * 5 + ["sparsity is not given"] * 3
    (table,) = kernels.kernel_tables(made, "sparse", TECHNOLOGY)
    line = table.frame.iloc[0]
    assert (line["kernel"], line["n"], line["first faster sparsity"]) == ("flash_llm", 5, 0.7)
    slow = kernels.predict(rows.assign(speedup_vs_cublas=0.5), "sparse", TECHNOLOGY)
    (never,) = kernels.kernel_tables(slow, "sparse", TECHNOLOGY)
    assert math.isnan(never.frame.iloc[0]["first faster sparsity"])
    # The same kernel is faster the fewer weights are left.
    assert made["predicted_gain"].iloc[:3].is_monotonic_increasing
