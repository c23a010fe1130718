"""Tables of scores, of made rows whose scores are worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation import score_tables

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


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


def test_rows_of_better_grades_and_known_batches_are_judged_without_their_chip(monkeypatch):
    asked = {}

    def unseen(rows, technology):
        asked["rows"] = rows.index.tolist()
        return rows

    def ends(rows, library, *, own_left_out=False):
        asked["left out"] = own_left_out
        return rows.assign(inside=1.0, low_s=1.0, high_s=5.0)

    monkeypatch.setattr(score_tables, "unseen_chips", unseen)
    monkeypatch.setattr(score_tables, "with_intervals", ends)
    rows = pd.DataFrame({
        "grade": list("ABCA"), "batch_given": [True, True, True, False], "quantity": "decode", "inside": np.nan,
        "low_s": 1.0, "high_s": 2.0,
    })  # fmt: skip
    (table,) = score_tables._intervals(rows, Technology())
    assert asked == {"rows": [0, 1], "left out": True}
    assert (table.key, table.frame.loc["all", "n"], table.frame.loc["all", "width"]) == ("intervals_unseen_chip", 2, 5)


def test_tables_of_what_was_not_seen_are_scored_by_source(monkeypatch):
    def made(rows, technology):
        return rows.assign(predicted_s=rows["measured_s"] * 1.2)

    monkeypatch.setattr(score_tables, "unseen_chips", made)
    monkeypatch.setattr(score_tables, "unseen_sources", lambda rows, technology: rows[:0])
    rows = pd.DataFrame({
        "source": list("ab"), "source_id": list("ab"), "config_key": "", "quantity": "decode", "stack": "ideal",
        "measured_s": [1.0, 2.0], "predicted_s": 9.0, "bound_s": 0.5,
    })  # fmt: skip
    (table,) = score_tables._unseen(rows, Technology())
    line = table.frame.loc["decode"]
    assert (line["sources"], line["n"], line["target"], line["constants"]) == (2, 2, 0.12, 0)
    assert line["mdape"] == pytest.approx(0.2) and table.note == "decode a 20 %, decode b 20 %"
