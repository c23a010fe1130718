"""Tables that sum up scored rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.records import LibraryParameter
from cost_models.library.technology import Technology
from dse.number_texts import share_text
from dse.time_intervals import built_on, fitted_constants
from dse.validation import score
from dse.validation.held_out import unseen_chips, unseen_power, unseen_sources
from dse.validation.intervals import GRADES, coverage, with_intervals
from dse.validation.results import ScoreTable


def _constants(rows: pd.DataFrame, library: Library) -> int:
    """Return how many fitted constants the stacks of some rows have, those of their bases included."""
    counts = fitted_constants(library)
    needed = set().union(*(built_on(key, library) for key in rows["stack"].unique()))
    return sum(counts[key] for key in needed)


def summary(files: Mapping[str, pd.DataFrame]) -> ScoreTable:
    """Return how many rows of each file were predicted, and why the others were not."""
    lines = []
    for name, rows in files.items():
        reasons = rows["reason"][rows["reason"] != ""].value_counts()
        why = "; ".join(f"{count} x {text}" for text, count in reasons.head(3).items())
        more = f"; and {len(reasons) - 3} other reasons" if len(reasons) > 3 else ""
        predicted = int(rows["predicted"].notna().sum())
        lines.append({"file": name, "rows": len(rows), "predicted": predicted, "not predicted": why + more})
    return ScoreTable("files", "Rows", pd.DataFrame(lines), "; ".join(_untold(files)))


def _untold(files: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Yield what a user can tell of rows that lack it."""
    lacking = [
        name
        for rows in files.values()
        if rows["reason"].astype(str).str.endswith(" is not given").any()
        for name in TOLD
        if name in rows and (rows[name] == "").all()
    ]
    if lacking:
        words = " ".join(f"--with {name}={TOLD[name]}" for name in dict.fromkeys(lacking))
        yield f"what a file does not tell is told beside it: {words}"
    unnamed = sum(
        int(((rows["software"] == "") & rows["stack"].astype(str).str.contains("(generic", regex=False)).sum())
        for rows in files.values()
        if "software" in rows
    )
    if unnamed:
        yield f"the software of {unnamed} rows is not told: a generic stack, less sure; --with software=vLLM"


TOLD = {"chip": "h100_sxm", "model": "llama3_8b", "weight_bits": "16", "input_len": "1024", "output_len": "128"}
"""Columns of end-to-end rows that are mostly the same in a whole file, and a cell of each as an example."""


def _with_baseline(rows: pd.DataFrame) -> pd.DataFrame:
    scores = score.score(rows)
    usable = rows[np.isfinite(rows["predicted_s"]) & np.isfinite(rows["bound_s"])].copy()
    usable["one_constant_s"] = score.one_constant(usable)
    baseline = score.score(usable, predicted="one_constant_s")
    scores["baseline_mdape"] = baseline["mdape"]
    return scores


def _headlines(scores: pd.DataFrame, constants: int) -> pd.DataFrame:
    head = score.headline(scores)
    if "baseline_mdape" in scores:
        head["baseline_mdape"] = scores.groupby(level="quantity")["baseline_mdape"].median()
    head["constants"] = constants
    return head.rename(index=score.QUANTITY_NAMES)


def request_tables(rows: pd.DataFrame, technology: Technology) -> list[ScoreTable]:
    """Return the tables of end-to-end rows: both row sets, unseen chips and sources, gains, served rows."""
    tables: list[ScoreTable] = []
    usable = rows[rows["reason"] == ""]
    static = score.collapse(usable[score.static_rows(usable)])
    if len(static):
        scores = _with_baseline(static)
        constants = _constants(static, technology.library)
        tables.append(
            ScoreTable(
                "static_headline",
                "Static grade-A rows (a): median over sources",
                _headlines(scores, constants),
                "errors of time; baseline: roofline x one constant fitted on the same rows",
            )
        )
        tables.append(
            ScoreTable("static_sources", "Static grade-A rows by source", scores.rename(index=score.QUANTITY_NAMES))
        )
        tables += _unseen(usable[score.static_rows(usable)], technology)
        tables += _peers(usable, technology.library)
    elif len(usable):
        tables.append(
            ScoreTable("all_rows", "All rows", score.score(usable, ("quantity",)).rename(index=score.QUANTITY_NAMES))
        )
    others = usable[(usable["batch_mode"] == "static") & usable["grade"].isin(["B", "C"])]
    if len(others):
        table = score.score(score.collapse(others), ("quantity", "source", "grade")).rename(index=score.QUANTITY_NAMES)
        tables.append(ScoreTable("lower_grades", "Static rows of grades B and C", table))
    tables += _intervals(usable, technology)
    tables += _gains(usable)
    served = usable[usable["batch_mode"] != "static"]
    if len(served):
        table = score.score(served, ("quantity", "source", "stack")).rename(index=score.QUANTITY_NAMES)
        tables.append(
            ScoreTable(
                "served",
                "Served rows: in-flight batches",
                table,
                "judge by bias; largest batch that fits where none is given; steps include other requests' prompts",
            )
        )
        rates = served[served["metric"] == "output_tokens_per_s"]
        if len(rates):
            by_chip = score.score(rates, ("source", "grade", "chip"))
            judged = by_chip[(by_chip["n"] >= JUDGED_ROWS) & (by_chip.index.get_level_values("grade") != "C")]
            note = f"chips of grades A and B with {JUDGED_ROWS} rows or more: "
            note += (
                f"median {share_text(judged['mdape'].median())}, worst {share_text(judged['mdape'].max())}"
                if len(judged)
                else "none"
            )
            tables.append(ScoreTable("served_chips", "Served throughput by source and chip", by_chip, note))
    return tables


JUDGED_ROWS = 4
"""Rows from which a chip's median error means something."""


def _unseen(rows: pd.DataFrame, technology: Technology) -> list[ScoreTable]:
    tables = []
    for key, title, function, target in (
        (
            "unseen_chip",
            "Known stack, unseen chip: constants refitted without the chip",
            unseen_chips,
            (0.12, 0.18, 0.12),
        ),
        (
            "unseen_source",
            "Unseen source: generic profile refitted without the source",
            unseen_sources,
            (0.25, 0.25, 0.25),
        ),
    ):
        made = function(rows, technology)
        if not len(made):
            continue
        scores = score.score(score.collapse(made))
        head = _headlines(scores, _constants(made, technology.library))
        head["target"] = head.index.map(dict(zip(score.QUANTITY_NAMES.values(), target, strict=True)))
        by_source = ", ".join(
            f"{pair[0]} {pair[1]} {share_text(v)}" for pair, v in zip(scores.index, scores["mdape"], strict=True)
        )
        tables.append(ScoreTable(key, title, head, by_source))
    return tables


def _intervals(rows: pd.DataFrame, technology: Technology) -> list[ScoreTable]:
    """Return how many rows lie inside their 80 % interval: as predicted, and with their chip left out of everything."""
    library = technology.library
    judged = rows[rows["grade"].isin(list(GRADES)) & rows["batch_given"]]
    made = unseen_chips(judged, technology)
    left_out = with_intervals(made, library, own_left_out=True) if len(made) else made
    tables = []
    for key, title, scored in (
        ("intervals", "80 % prediction intervals: rows inside", rows),
        ("intervals_unseen_chip", "80 % prediction intervals, constants and quantiles without the chip", left_out),
    ):
        if not len(scored) or not scored["inside"].notna().any():
            continue
        frame = coverage(scored)
        within, width = (float(frame[name].loc["all"]) for name in ("within", "width"))
        note = f"{share_text(within)} of rows inside, median P90/P10 {width:.2f}"
        tables.append(ScoreTable(key, title, frame, note))
    return tables


def _peers(rows: pd.DataFrame, library: Library) -> list[ScoreTable]:
    """Return the scores of this model, of the roofline alone, and of it times one constant, on the rows at hand."""
    chosen = rows[score.peer_rows(rows, library)]
    if not len(chosen):
        return []
    kept = score.collapse(chosen)
    predictors = {
        "this model": kept["predicted_s"],
        "ideal roofline": kept["bound_s"],
        "roofline x one constant": score.one_constant(kept),
    }
    lines = []
    for name, seconds in predictors.items():
        head = score.headline(score.score(kept.assign(predicted_s=seconds))).rename(index=score.QUANTITY_NAMES)
        columns = (("error", "mdape"), ("bias", "bias"))
        shown = {
            f"{kind} {q}": head[column].get(q, np.nan)
            for q in score.QUANTITY_NAMES.values()
            for kind, column in columns
        }
        lines.append({"predictor": name, **shown})
    return [
        ScoreTable(
            "peers",
            f"Dense models on NVIDIA chips, tensor parallel 1-8, static, grade A (b): {len(chosen)} rows",
            pd.DataFrame(lines),
            "median over sources; the constant, one per quantity, is fitted on these very rows",
        )
    ]


def _gains(rows: pd.DataFrame) -> list[ScoreTable]:
    pairs = score.weight_gain(rows[rows["grade"].isin(["A", "B"])])
    if not len(pairs):
        return []
    grouped = pairs.groupby(["source", "quantity"])
    frame = grouped[["measured_gain", "predicted_gain", "error"]].median()
    frame.insert(0, "pairs", grouped.size())
    generating = frame[frame.index.get_level_values("quantity") != "prefill"]
    note = f"median over sources that generate tokens: error {share_text(generating['error'].median())}"
    return [ScoreTable("weight_gain", "Gain of 4-bit over 16-bit weights on paired rows", frame, note)]


def operator_tables(rows: pd.DataFrame) -> list[ScoreTable]:
    """Return scores of operators by kind, those that fit on the chip left out."""
    usable = rows[rows["reason"] == ""]
    if "bound_flag" in usable:
        usable = usable[usable["bound_flag"] != "fits_on_chip_memory"]
    if not len(usable):
        return []
    return [
        ScoreTable(
            "operators",
            "Operators by kind",
            score.score(usable, ("quantity",)),
            "operands that fit in on-chip memory left out",
        ),
        ScoreTable("operators_by_chip", "Operators by kind and chip", score.score(usable, ("quantity", "chip"))),
    ]


def energy_tables(rows: pd.DataFrame, technology: Technology) -> list[ScoreTable]:
    """Return scores of energy per output token and per operator call, and of mean power, seen and unseen."""
    usable = rows[rows["reason"] == ""].copy()
    if "bound_flag" in usable:
        usable = usable[usable["bound_flag"].fillna("") != "fits_on_chip_memory"]
    if not len(usable):
        return []
    usable["kind"] = np.where(usable["quantity"] == "served", "per token", usable["quantity"])
    by = ("kind", "source", "chip", "grade")
    energy = score.score(usable, by, predicted="predicted_j")
    note = f"energy per token, median over sources of grades A and B: {share_text(_over_sources(energy))}"
    tables = [ScoreTable("energy", "Energy", energy, note)]
    watts = usable[usable["power_W_total"] > 0].assign(measured_s=lambda part: part["power_W_total"])
    if not len(watts):
        return tables
    power = score.score(watts, by, predicted="predicted_w")
    fitted = len(power_constants(technology.library))
    median = share_text(_over_sources(power))
    note = f"power while serving, median over sources of grades A and B: {median}; {fitted} constants"
    tables.append(ScoreTable("power", "Mean power", power, note))
    served = watts[watts["quantity"] == "served"]
    for key, name, title in (("power_unseen_chip", "chip", "chip"), ("power_unseen_source", "source_id", "source")):
        made = unseen_power(served, name, technology)
        if len(made):
            table = score.score(made, by, predicted="predicted_w")
            table["energy_mdape"] = score.score(
                made.assign(measured_s=made["measured_j"]), by, predicted="predicted_j"
            )["mdape"]
            note = f"median over sources of grades A and B: power {share_text(_over_sources(table))}"
            note += f", energy per token {share_text(_over_sources(table, 'energy_mdape'))}"
            tables.append(ScoreTable(key, f"Mean power, energy constants refitted without the {title}", table, note))
    return tables


def power_constants(library: Library) -> dict[str, LibraryParameter]:
    """Return the constants that were fitted on the power of measured rows; one path of those that hold for several."""
    found: dict[float, tuple[str, LibraryParameter]] = {}
    for path, one in library.parameters.items():
        if re.match(r"fitted on the power of \d+ rows", one.note):
            found.setdefault(one.typ, (path, one))
    return dict(found.values())


def _over_sources(table: pd.DataFrame, column: str = "mdape") -> float:
    """Return the median over sources of the error per output token, rows of grade C apart."""
    kind, grade = (table.index.get_level_values(name) for name in ("kind", "grade"))
    served = table[(kind == "per token") & (grade != "C")]
    return float(served.groupby(level="source")[column].median().median())


def excluded_tables(rows: pd.DataFrame) -> list[ScoreTable]:
    """Return whether every row left out for lack of memory is found not to fit."""
    full = rows[rows["excluded_for"].str.startswith("weights + KV")]
    frame = pd.DataFrame([{"rows": len(full), "reported as not fitting": int((full["fits"] == False).sum())}])  # noqa: E712
    return [ScoreTable("excluded", "Rows left out because weights and KV cache exceed the memory", frame)]
