"""Prediction of end-to-end rows: decode steps, prefills, whole requests, serving at a concurrency."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cost_models.evaluate.serve import serve_chips
from cost_models.library.technology import Technology
from cost_models.performance.inference import decode_bound_s
from cost_models.performance.phases import PhaseTime, decode_phase, prefill_phase
from cost_models.performance.serving_stack import software
from cost_models.performance.workload_result import WorkloadResult
from cost_models.silicon.machine import Machine
from cost_models.table import Choice, FloatArray, Number
from cost_models.workload.serving import ServingConfig, footprint
from dse.validation.harness import chunk_rows, same_prompts
from dse.validation.rows import add_reason, layout
from dse.validation.setups import chip_setups, row_workload, stacks

QUANTITIES = {
    "ms_per_token": "decode",
    "tpot_ms": "decode",
    "prefill_ms": "prefill",
    "ttft_ms": "prefill",
    "request_latency_s": "request",
    "output_tokens_per_s": "request",
}
"""What each metric measures."""

MILLISECONDS = ("ms_per_token", "tpot_ms", "prefill_ms", "ttft_ms")
"""Metrics in milliseconds; times of others are in seconds."""

RESULTS = ("measured_s", "predicted_s", "bound_s", "decode_s", "interference_s", "memory_fraction", "used_batch")


def prepare(rows: pd.DataFrame) -> pd.DataFrame:
    """Add quantity, layout and measured time of every row, with reasons where they are missing."""
    rows = rows.copy()
    rows["quantity"] = rows["metric"].map(QUANTITIES).fillna("")
    add_reason(
        rows, rows["quantity"] == "", "metric " + rows["metric"].astype(str) + f" is none of {', '.join(QUANTITIES)}"
    )
    shared = [
        layout(str(text), chips) for text, chips in zip(rows["parallelism"], rows["n_chips"].fillna(1), strict=True)
    ]
    rows["tensor"] = [float(entry.tensor_parallel) for entry, _ in shared]
    rows["stages"] = [float(entry.stages) for entry, _ in shared]
    rows["replicas"] = [float(entry.replicas) for entry, _ in shared]
    rows["dealt"] = [float(entry.expert_parallel) for entry, _ in shared]
    rows["kind"] = [entry.kind for entry, _ in shared]
    rows["cache_split"] = [entry.cache_split for entry, _ in shared]
    rows["remark"] = [remark for _, remark in shared]
    rows["same_prompts"], rows["chunk_rows"] = same_prompts(rows), chunk_rows(rows)
    for name in ("weight_bits", "act_bits", "kv_bits"):
        add_reason(rows, ~(rows[name] > 0), f"{name} is not given")
    prompt = rows["input_len"]
    if {"mean_input_len", "mean_output_len"} <= set(rows.columns):
        prompt = rows["mean_input_len"].fillna(prompt)
        rows["output_len"] = rows["mean_output_len"].fillna(rows["output_len"])
    rows["prompt"] = prompt
    add_reason(rows, prompt.isna(), "input_len is not given")
    rows["output"] = rows["output_len"].clip(lower=1)
    needs_output = (rows["quantity"] == "request") & rows["output"].isna()
    add_reason(rows, needs_output, "output_len is not given")
    rows["output"] = rows["output"].fillna(1.0)
    add_reason(rows, ~(rows["value"] > 0), "value must be above 0")
    served = rows["batch"]
    if "effective_batch" in rows:
        served = rows["effective_batch"].fillna(served)
    rows["used_batch"] = served.clip(lower=1)
    # Time to the first token is that of one prompt unless told otherwise.
    alone = served.isna() & (rows["quantity"] == "prefill") & (rows["batch_mode"] != "static_max_unknown")
    rows.loc[alone, "used_batch"] = 1.0
    rows.loc[alone & (rows["remark"] == ""), "remark"] = "no batch given: one prompt"
    unknown = (served.isna() & ~alone) | (rows["batch_mode"] == "static_max_unknown")
    rows.loc[unknown, "used_batch"] = np.nan
    rows["batch_given"] = ~unknown
    rows["batching"] = np.where((rows["quantity"] == "request") & ~unknown, "waves", "static")
    # Steps of a file that says nothing of prompts that join them are those of one engine for both.
    ideal = rows.get("prefill_ms_per_step_ideal", rows["prompt"])
    flying = rows["batch_mode"] == "inflight"
    first = flying & (rows["quantity"] == "prefill")
    # A prompt meets the requests that are in flight.
    if "concurrency" in rows:
        inside = rows["concurrency"]
        add_reason(rows, first & (inside <= 0), "concurrency must be above 0")
        rows.loc[first, "used_batch"] = inside.where(inside > 0).fillna(rows["used_batch"])
    rows.loc[first | (flying & (rows["quantity"] == "decode") & (ideal > 0)), "batching"] = "in_flight"
    return rows


def predict(
    rows: pd.DataFrame, technology: Technology, *, stack: Choice | None = None, bounds: bool = True
) -> pd.DataFrame:
    """Add stack, predicted time, physical bound and what sets it to prepared rows.

    Args:
        rows: from `prepare`.
        technology: parameters, fitted constants among them.
        stack: replaces the stacks that the software names choose.
        bounds: whether physical bounds are wanted, which takes a second evaluation.
    """
    usable, n = np.flatnonzero(rows["reason"] == ""), len(rows)
    chosen, own = stacks(rows.iloc[usable], technology.library)
    if stack is not None:
        chosen, own = stack[usable], [True] * len(usable)
    columns: dict[str, NDArray[Any]] = {
        name: rows[name].to_numpy(np.float64, copy=True) if name in rows else np.full(n, np.nan) for name in RESULTS
    }
    # Texts of requests in flight differ, whether prompts join their steps or other chips read them.
    columns["expert_spread"] = served_spread(rows["batch_mode"] == "inflight", technology)
    columns |= {name: rows[name].to_numpy(object, copy=True) for name in ("reason", "remark")}
    columns |= {"fits": np.full(n, None), "stack": np.full(n, "", object), "own_profile": np.zeros(n, bool)}
    columns["stack"][usable], columns["own_profile"][usable] = chosen.names(), own
    rows = rows.assign(**columns)
    for places in rows.iloc[usable].groupby(["model", "kind", "cache_split"], sort=False).indices.values():
        at = usable[places]
        for name, values in _predict_group(rows.iloc[at], technology, bounds=bounds).items():
            columns[name][at] = values
    return rows.assign(**columns)


def _predict_group(part: pd.DataFrame, technology: Technology, *, bounds: bool) -> dict[str, NDArray[Any]]:
    """Return the results of rows that share architecture and layout, by column."""
    workload = row_workload(part)
    setups = chip_setups(part, technology.library, technology.library.model(workload.model))
    served = serve_chips(setups, workload, technology)
    result, machine, serving = served.inference, served.machine, served.serving
    quantity, n = part["quantity"].to_numpy(), len(part)
    requested = part["used_batch"].to_numpy(dtype=np.float64)
    prefill_s = request_s = result.decode_s
    if (quantity != "decode").any():
        prefill_s, request_s = result.prefill_s, result.request_s
    predicted = of_quantity(quantity, result.decode_s, prefill_s, request_s)
    whole = replace(serving, batch=np.where(np.isnan(requested), serving.batch, serving.batch * result.waves))
    held = footprint(whole, served.formats, chunk_rows=result.software.chunk_rows).most_loaded_bytes
    fits = held <= machine.capacity_bytes
    found: dict[str, Any] = {
        "used_batch": serving.sequences * result.waves,
        "decode_s": result.decode.pass_s,
        "interference_s": result.joining_s,
        "predicted_s": predicted,
    }
    if bounds:
        found["fits"] = fits
        found["bound_s"], found["memory_fraction"] = _bound(whole, served, quantity, technology)
    found = {name: np.broadcast_to(values, (n,)) for name, values in found.items()}
    in_waves = (np.broadcast_to(result.waves, (n,)) > 1) & (part["remark"] == "").to_numpy()
    found["remark"] = np.where(in_waves, "served in waves: the batch does not fit what an engine takes", part["remark"])
    found["reason"] = np.full(n, "", object)
    unmet = (
        ((machine.arithmetic_known == 0) & (quantity != "decode"), "no peak arithmetic rate of the chip is published"),
        (~np.isfinite(predicted) & (np.asarray(serving.chips) > 1), "no link between the chips is published"),
        (np.isnan(requested) & ~fits, "does not fit: weights and one sequence exceed the memory"),
    )
    for where, reason in unmet:
        for name in {"predicted_s", "bound_s"} & set(found):
            found[name] = np.where(where, np.nan, found[name])
        found["reason"] = np.where(where & (found["reason"] == ""), reason, found["reason"])
    return found


def served_spread(served: pd.Series, technology: Technology) -> FloatArray:
    """Return how texts of served rows choose experts, NaN for other rows."""
    return np.where(served, float(np.asarray(technology.value("serving.served_expert_spread"))), np.nan)


def of_quantity(quantity: object, decode: Number, prefill: Number, request: Number) -> FloatArray:
    """Return per row the number that its quantity asks for."""
    names = np.asarray(quantity)
    return np.asarray(np.where(names == "decode", decode, np.where(names == "prefill", prefill, request)))


def _bound(
    serving: ServingConfig, served: WorkloadResult, quantity: object, technology: Technology
) -> tuple[FloatArray, FloatArray]:
    """Return (least time, share of it that memory sets) at peak bandwidth and arithmetic rate, nothing else."""
    formats = served.formats
    machine = replace(served.machine, stream_efficiency=np.ones(1))
    ideal = software(Choice.of("ideal"), technology)
    steps = {
        "decode": decode_phase(serving, machine, ideal, formats),
        # In flight, a first token is that of one prompt.
        "prefill": prefill_phase(
            replace(serving, batch=np.where(served.inference.in_flight, 1.0, serving.batch)), machine, ideal, formats
        ),
    }
    least = {name: decode_bound_s(step, machine) for name, step in steps.items()}
    moving = {name: _moving(step, machine) / least[name] for name, step in steps.items()}
    if serving.parallelism == "layer_split":
        # Chunks of a prompt may keep all chips busy at once; a step goes through them in turn.
        least["prefill"] = least["prefill"] / serving.stages
    output = np.asarray(serving.decode_steps)
    whole = least["prefill"] + output * least["decode"]
    share = (least["prefill"] * moving["prefill"] + output * least["decode"] * moving["decode"]) / whole
    return (
        of_quantity(quantity, least["decode"], least["prefill"], whole),
        of_quantity(quantity, moving["decode"], moving["prefill"], share),
    )


def _moving(step: PhaseTime, machine: Machine) -> FloatArray:
    return step.sum(step.times.dram_bytes) / machine.bandwidth_bytes_per_s


def measured_s(rows: pd.DataFrame) -> pd.Series:
    """Return the measured time of each row: of a step, a prefill or a whole batch of requests."""
    tokens = rows["used_batch"] * rows["output"]
    with np.errstate(divide="ignore"):
        rate = tokens / rows["value"]
    time: pd.Series = rows["value"] / np.where(rows["metric"].isin(MILLISECONDS), 1e3, 1.0)
    return time.where(rows["metric"] != "output_tokens_per_s", rate)


def in_metric_units(rows: pd.DataFrame, seconds: pd.Series) -> pd.Series:
    """Return times in the unit of each row's own metric."""
    tokens = rows["used_batch"] * rows["output"]
    scaled = seconds * np.where(rows["metric"].isin(MILLISECONDS), 1e3, 1.0)
    return scaled.where(rows["metric"] != "output_tokens_per_s", tokens / seconds)
