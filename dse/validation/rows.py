"""Reading measurement files: which form a file has, and what each of its rows says.

A row that cannot be used keeps its place and gets a reason; nothing is dropped.
"""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from cost_models.errors import ForeignFileError
from cost_models.library import Library
from cost_models.library.foreign import read_text
from cost_models.library.names import nearest, resolve
from cost_models.units import GIB
from cost_models.workload.param_count import count_parameters
from cost_models.workload.serving import Layout
from dse.errors import DseError
from dse.validation.bench_results import LLAMA, MAX_ROWS, rows_of_llama_table, rows_of_tool

Form = Literal["requests", "operators", "energy", "excluded", "weight_only", "sparse"]

NEEDED: dict[Form, tuple[str, ...]] = {
    "requests": (
        "source_id", "chip", "model", "weight_bits", "batch", "input_len", "output_len", "metric", "value",
    ),
    "operators": (
        "source_id", "chip", "n_chips", "kind", "dtype", "m", "n", "k", "size_bytes", "metric", "value", "software",
        "grade",
    ),
    "energy": (
        "source_id", "chip", "n_chips", "model", "weight_bits", "batch", "output_len", "phase", "power_W_total",
        "energy_J_per_output_token", "output_tokens_per_s", "grade",
    ),
    "excluded": (
        "source_id", "chip", "n_chips", "model", "batch", "input_len", "output_len", "metric", "value", "reason",
    ),
    "weight_only": ("source", "gpu", "method", "bits", "batch_M", "speedup_vs_fp16"),
    "sparse": ("source", "gpu", "kernel", "sparsity", "speedup_vs_cublas"),
}  # fmt: skip
"""Columns that tell the forms apart, and without which none can be scored."""

NUMBERS = (
    "n_chips", "weight_bits", "act_bits", "kv_bits", "batch", "input_len", "output_len", "value", "m", "n", "k",
    "size_bytes", "power_W_total", "energy_J_per_output_token", "output_tokens_per_s", "median_itl_ms",
    "effective_batch", "prefill_ms_per_step_ideal", "mean_input_len", "mean_output_len", "concurrency", "seq_len",
    "heads", "kv_heads", "head_dim", "tokens", "topk", "experts", "moe_tp", "moe_ep", "latency_us",
    "chunk_rows", "gpu_layers", "energy_uJ_per_call", "gflop", "mbyte", "sparsity", "speedup_vs_fp16",
    "speedup_vs_cublas",
)  # fmt: skip

LIMITS = {
    "n_chips": 1e5, "weight_bits": 64.0, "act_bits": 64.0, "kv_bits": 64.0, "batch": 1e6, "effective_batch": 1e6,
    "concurrency": 1e6,
    "input_len": 1e8, "output_len": 1e8, "chunk_rows": 1e9, "mean_input_len": 1e8, "mean_output_len": 1e8,
    "m": 1e9, "n": 1e9, "k": 1e9, "size_bytes": 1e15, "seq_len": 1e8, "heads": 1e6, "kv_heads": 1e6, "head_dim": 1e6,
    "tokens": 1e9, "topk": 1e6, "experts": 1e6,
}  # fmt: skip
"""Numbers beyond which a column is taken as a slip."""

DEFAULTS = {"grade": "C", "software": "", "batch_mode": "static", "scope": "", "parallelism": "", "config_key": ""}


MAX_HEAD = 10_000
"""Most characters of the line with the names of columns; ours have 300."""

NOTHING: Mapping[str, str] = MappingProxyType({})

ABSENT = {"n_chips": "1", "act_bits": "16", "kv_bits": "16"}
"""What end-to-end rows are taken to say where a file has no such column at all."""


NARROW = {4: {"fp4"}, 8: {"fp8", "int8"}}
"""Peaks by which a chip multiplies weights of so many bits with activations as narrow."""


class MeasurementError(DseError):
    """A measurement file has none of the known forms."""


def read_measurements(path: Path, library: Library, given: Mapping[str, str] = NOTHING) -> tuple[Form, pd.DataFrame]:
    """Return (form, rows) of a file; column ``reason`` says why a row cannot be predicted, "" where it can.

    Args:
        path: a CSV of a known form, or what a benchmark tool writes (`dse.validation.bench_results`).
        library: chips and models.
        given: cells of columns that the file has not, or has empty.

    Raises:
        MeasurementError: the file is of no known form.
    """
    rows = read_table(path, given).replace("", np.nan)
    form = _form(path, rows)
    published = rows["reason"].fillna("") if form == "excluded" else None
    absent = [name for name in ABSENT if form == "requests" and name not in rows]
    rows = rows.assign(**{name: ABSENT[name] for name in absent})
    rows["read_as"] = "; ".join(f"no column {name}: {ABSENT[name]} taken" for name in absent)
    rows["reason"] = ""
    for column in NUMBERS:
        if column in rows:
            _to_numbers(rows, column)
    for column, default in DEFAULTS.items():
        rows[column] = rows[column].fillna(default) if column in rows else default
    if "refused" in rows:
        add_reason(rows, rows["refused"].notna(), rows["refused"].astype(str))
    if published is not None:
        rows["excluded_for"] = published
    if form == "excluded":
        rows["weight_bits"], rows["act_bits"], rows["kv_bits"] = 16.0, 16.0, 16.0
    if form not in ("weight_only", "sparse"):
        _check_names(rows, form, library)
    if form == "requests":
        _refuse_hosts(rows, library)
        _settle_layouts(rows, library)
        _settle_activations(rows, library)
    return form, rows


def _refuse_hosts(rows: pd.DataFrame, library: Library) -> None:
    """Refuse rows of llama.cpp some of whose layers the host ran; more than the layers stand for all."""
    if "gpu_layers" not in rows:
        return
    layers = rows["model"].map({key: float(library.model(key).layers) for key in rows["model"].dropna().unique()
                                if key in library.models and library.models[key].complete})  # fmt: skip
    told = rows["gpu_layers"]
    text = "the host ran " + (layers - told).map("{:.0f}".format) + " of " + layers.map("{:.0f}".format) + " layers"
    add_reason(rows, told < layers, text)


def _settle_layouts(rows: pd.DataFrame, library: Library) -> None:
    """Put a layout in place of one that the source leaves open: as many replicas as hold the weights, and say so."""
    left_open = rows["parallelism"].str.fullmatch(r"dp_or_tp\d+|replicas\b.*") & (rows["reason"] == "")
    for index in rows.index[left_open]:
        row = rows.loc[index]
        told = row["parallelism"].removeprefix("dp_or_tp")
        chips = int(told) if told.isdecimal() else int(row["n_chips"])
        weights = count_parameters(library.model(row["model"])).total * row["weight_bits"] / 8
        room = (library.chip(row["chip"]).capacity_gib or 0.0) * GIB * library.parameters["serving.memory_fraction"].typ
        groups = [count for count in range(1, chips + 1) if chips % count == 0 and weights <= count * room]
        shared = min(groups, default=chips)
        found = "_".join(f"{name}{n}" for name, n in (("dp", chips // shared), ("tp", shared)) if n > 1) or "tp1"
        rows.loc[index, "parallelism"] = found
        note = f"layout read as {found}: the fewest chips that hold the weights share them"
        rows.loc[index, "read_as"] = "; ".join(filter(None, (rows.loc[index, "read_as"], note)))


def _settle_activations(rows: pd.DataFrame, library: Library) -> None:
    """Fill in what activations are multiplied in where a cell is empty, as the chip multiplies such weights; say so."""
    left_open = rows["act_bits"].isna() & rows["weight_bits"].notna() & (rows["reason"] == "")
    for index in rows.index[left_open]:
        row, peaks = rows.loc[index], library.chip(rows.loc[index, "chip"]).peak_tops
        widths = [
            bits for bits, names in NARROW.items() if bits <= row["weight_bits"] < bits + 1 and names & set(peaks)
        ]
        rows.loc[index, "act_bits"] = float(widths[0] if widths else ABSENT["act_bits"])
        note = f"act_bits is not given: {rows.loc[index, 'act_bits']:g} taken, as the chip multiplies such weights"
        rows.loc[index, "read_as"] = "; ".join(filter(None, (rows.loc[index, "read_as"], note)))


def read_table(path: Path, given: Mapping[str, str] = NOTHING) -> pd.DataFrame:
    """Return a measurement file as text, cell by cell, "" where a cell is empty.

    Args:
        path: a CSV, or what a benchmark tool writes.
        given: cells of columns that it has not, or has empty.

    Raises:
        MeasurementError: it cannot be read, or two columns have the same name.
    """
    text = read_text(path)
    made = rows_of_tool(path, text)
    table = _csv(path, text) if made is None else made
    if len(table) > MAX_ROWS:
        raise ForeignFileError(path, f"has {len(table):,} rows, at most {MAX_ROWS:,} are read")
    if set(LLAMA) <= set(table.columns):
        table = rows_of_llama_table(path, table)
    for name, cell in given.items():
        table[name] = table[name].where(table[name] != "", cell) if name in table else cell
    return table


def _csv(path: Path, text: str) -> pd.DataFrame:
    """Return the text of a CSV file as cells of text."""
    head = text[: MAX_HEAD + 1].partition("\n")[0]
    if len(head) > MAX_HEAD or "\0" in text:
        what = f"its first line is longer than {MAX_HEAD:,} characters" if len(head) > MAX_HEAD else "it holds a NUL"
        raise MeasurementError(f"{path}: cannot be read as a CSV file: {what}")
    try:
        names = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, header=None, nrows=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            rows = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col=False)
    except pd.errors.ParserWarning:
        raise MeasurementError(f"{path}: a row has more cells than the header has names") from None
    except ValueError as error:
        what = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise MeasurementError(f"{path}: cannot be read as a CSV file: {what}") from None
    heads = [str(name).strip() for name in names.iloc[0]]
    twice = sorted({name for name, times in Counter(heads).items() if name and times > 1})
    if twice:
        raise MeasurementError(f"{path}: two columns have the name {', '.join(twice)}")
    return rows.rename(columns=dict(zip(rows.columns, heads, strict=False)))


SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _form(path: Path, rows: pd.DataFrame) -> Form:
    for form in ("energy", "operators", "requests", "excluded", "weight_only", "sparse"):
        if set(NEEDED[form]) <= set(rows.columns):
            return form
    missing = {form: sorted(set(columns) - set(rows.columns)) for form, columns in NEEDED.items()}
    # Most people's rows are end to end: another form must be nearer by what it has.
    had = {form: len(NEEDED[form]) - len(lacking) for form, lacking in missing.items()}
    nearest = max(missing, key=lambda form: (had[form], form == "requests"))
    only = str(rows.columns[0]) if len(rows.columns) == 1 else ""
    word = next((word for sign, word in SEPARATORS.items() if sign in only), "")
    wrong = f"; cells are parted by {word}, not by commas" if word else ""
    raise MeasurementError(
        f"{path}: neither a table of measurements nor a result of llama-bench, vLLM, SGLang, genai-perf or aiperf; "
        f"as a file of {nearest} it lacks "
        f"{', '.join(missing[nearest])}{wrong}"
    )


def _to_numbers(rows: pd.DataFrame, column: str) -> None:
    """Turn a column into numbers; text, infinities and negative numbers become reasons."""
    values = pd.to_numeric(rows[column], errors="coerce")
    text = rows[column].notna() & ~np.isfinite(values)
    negative = values < 0
    most = LIMITS.get(column, np.inf)
    beyond = values > most
    for bad, must in ((text, "a number"), (negative, "at least 0"), (beyond & ~text, f"at most {most:g}")):
        add_reason(rows, bad, column + " must be " + must + ", got " + rows[column].astype(str))
    rows[column] = values.where(np.isfinite(values) & ~negative & ~beyond)


def add_reason(rows: pd.DataFrame, where: pd.Series, text: str | pd.Series) -> None:
    """Note why rows cannot be predicted; the first reason stays."""
    at = where & (rows["reason"] == "")
    rows.loc[at, "reason"] = text if isinstance(text, str) else text[at]


def _resolve(rows: pd.DataFrame, kind: str, library: Library) -> None:
    """Put the library's key in place of other spellings of chips or models, and note in ``read_as`` where it did."""
    reported = [str(name) for name in rows[kind].fillna("")]
    result = {name: resolve(kind, name, library, quantized=True) for name in set(reported)}
    said = list(rows["read_as"])
    notes = [f"{kind} {name!r} read as {result[name]}" if result[name] != name else "" for name in reported]
    rows[kind] = pd.Series([result[name] or np.nan for name in reported], index=rows.index, dtype=object)
    rows["read_as"] = ["; ".join(filter(None, pair)) for pair in zip(said, notes, strict=True)]


def _perhaps(kind: str, names: pd.Series, rows: pd.DataFrame, library: Library) -> pd.Series:
    """Return for every row the known name most like its unknown one, as "; perhaps ...", "" for the other rows."""
    likest = {name: nearest(kind, name, library) for name in names.unique()}
    result = {name: f"; perhaps {key}" for name, key in likest.items() if key}
    return pd.Series([result.get(name, "") for name in names.reindex(rows.index)], index=rows.index, dtype=object)


def _check_names(rows: pd.DataFrame, form: Form, library: Library) -> None:
    _resolve(rows, "chip", library)
    chip = rows["chip"].fillna("")
    add_reason(rows, chip == "", "chip is not given")
    absent = ~chip.isin(list(library.chips))
    add_reason(
        rows,
        absent,
        "chip " + chip.map(repr) + " is not in the library" + _perhaps("chip", chip[absent], rows, library),
    )
    held = [key for key, entry in library.chips.items() if entry.bandwidth_gbps and entry.capacity_gib]
    add_reason(rows, ~chip.isin(held), "bandwidth or capacity of the chip is not published")
    if form != "operators":
        _resolve(rows, "model", library)
        model = rows["model"].fillna("")
        known = [key for key, entry in library.models.items() if entry.complete]
        if form != "energy":
            add_reason(rows, model == "", "model is not given")
        absent = ~model.isin(known) if form != "energy" else ~model.isin([*known, ""])
        add_reason(rows, absent & model.isin(list(library.models)), "dimensions of the model are not public")
        add_reason(
            rows,
            absent,
            "model " + model.map(repr) + " is not in the library" + _perhaps("model", model[absent], rows, library),
        )
    if form == "requests":
        add_reason(rows, ~(rows["n_chips"] >= 1), "n_chips must be at least 1")
    if form != "operators" and "weight_format" in rows:
        form_name = rows["weight_format"].fillna("")
        absent = ~form_name.isin(["", *library.weight_formats])
        add_reason(rows, absent, "weight_format " + form_name.map(repr) + " is not in the library")


def layout(parallelism: str, n_chips: float) -> tuple[Layout, str]:
    """Return (how chips share a model, what is to be said about it) of a cell of ``parallelism``.

    ``tpN`` and ``ppN`` multiply; ``layer_splitN`` places layers on N chips that work in turn; ``dpN`` serves N groups
    that share routed experts, which ``epN`` deals whole to N groups of chips; ``2d_ws`` keeps weights where they are
    over two axes of chips, and deals the cache out by sequences. Anything else is taken as tensor parallel over all
    chips, with a remark.
    """
    split = re.search(r"layer_split(\d+)", parallelism)
    if split:
        return Layout(stages=float(max(int(split[1]), 1)), kind="layer_split"), ""
    tensor, pipeline = (re.search(rf"(?<![a-z]){key}(\d+)", parallelism) for key in ("tp", "pp"))
    data = re.search(r"(?<![a-z])dp(\d+)", parallelism)
    if tensor is None and data is None:
        chips = max(int(n_chips), 1)
        if parallelism == "2d_ws":
            return Layout(tensor_parallel=float(chips), cache_split="batch"), ""
        remark = "" if chips == 1 and not parallelism else f"layout {parallelism!r} taken as tensor parallel"
        return Layout(tensor_parallel=float(chips)), remark
    stages = max(int(pipeline[1]), 1) if pipeline else 1
    shared = float(max(int(tensor[1]), 1) if tensor else 1)
    replicas = float(max(int(data[1]), 1) if data and "_or_" not in parallelism else 1)
    told = re.search(r"(?<![a-z])ep(\d+)", parallelism)
    ranks = shared * replicas
    dealt = float(max(int(told[1]), 1)) if told else (ranks if replicas > 1 else 1.0)
    remark = ""
    if ranks % dealt:
        remark, dealt = f"ep{int(dealt)} does not divide {int(ranks)} chips: experts taken as dealt to all", ranks
    return Layout(shared, float(stages), replicas, "pipeline" if stages > 1 else "tensor", dealt), remark
