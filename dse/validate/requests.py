"""Prediction of end-to-end rows: decode steps, prefills, whole requests, serving at a concurrency."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cost_models.inference import decode_bound_s
from cost_models.machine import Machine
from cost_models.passes import PassTime, decode_pass, prefill_pass
from cost_models.roofline import Formats
from cost_models.serving import Parallelism, Serving, footprint
from cost_models.software import Software, software
from cost_models.table import Choice, FloatArray, Number
from cost_models.technology import Technology
from cost_models.units import GIB
from dse.validate.harness import chunk_rows, same_prompts
from dse.validate.machines import families, formats, machines, stacks
from dse.validate.rows import add_reason, layout

QUANTITIES = {
    "ms_per_token": "decode",
    "prefill_ms": "prefill",
    "request_latency_s": "request",
    "output_tokens_per_s": "request",
}
"""What each metric measures."""

RESULTS = ("measured_s", "predicted_s", "bound_s", "decode_s", "interference_s", "memory_share", "used_batch")


@dataclass(frozen=True)
class _Group:
    """Rows that one call of the model serves: one architecture, one way of sharing it."""

    serving: Serving
    machine: Machine
    formats: Formats
    stack: Choice
    family: Choice


def prepare(rows: pd.DataFrame) -> pd.DataFrame:
    """Add quantity, layout and measured time of every row, with reasons where they are missing."""
    rows = rows.copy()
    rows["quantity"] = rows["metric"].map(QUANTITIES).fillna("")
    add_reason(rows, rows["quantity"] == "", "metric " + rows["metric"].astype(str) + " is not one that is predicted")
    shared = [
        layout(str(text), chips) for text, chips in zip(rows["parallelism"], rows["n_chips"].fillna(1), strict=True)
    ]
    rows["tensor"] = [float(entry.tensor) for entry in shared]
    rows["stages"] = [float(entry.stages) for entry in shared]
    rows["replicas"] = [float(entry.replicas) for entry in shared]
    rows["kind"] = [entry.kind for entry in shared]
    rows["remark"] = [entry.remark for entry in shared]
    rows["same_prompts"], rows["chunk_rows"] = same_prompts(rows), chunk_rows(rows)
    for name in ("weight_bits", "act_bits", "kv_bits"):
        add_reason(rows, ~(rows[name] > 0), f"{name} is not given")
    prompt = rows["input_len"]
    if "mean_input_len" in rows:
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
    # A pass serves the sequences of one replica.
    rows["used_batch"] = (served / rows["replicas"]).clip(lower=1)
    unknown = served.isna() | (rows["batch_mode"] == "static_max_unknown")
    rows.loc[unknown, "used_batch"] = np.nan
    return rows


def predict(
    rows: pd.DataFrame, technology: Technology, *, stack: Choice | None = None, bounds: bool = True
) -> pd.DataFrame:
    """Add stack, predicted time, physical bound and what sets it to prepared rows.

    Args:
        rows: from `prepare`.
        technology: figures, fitted constants among them.
        stack: replaces the stacks that the software names choose.
        bounds: whether physical bounds are wanted, which takes a second evaluation.
    """
    rows = rows.copy()
    for name in RESULTS:
        if name not in rows:
            rows[name] = np.nan
    rows["fits"] = None
    usable = rows.index[rows["reason"] == ""]
    chosen, own = stacks(rows.loc[usable], technology.library)
    if stack is not None:
        chosen = stack[np.flatnonzero(rows["reason"] == "")]
        own = [True] * len(usable)
    rows["stack"] = ""
    rows.loc[usable, "stack"] = chosen.names()
    rows["own_profile"] = False
    rows.loc[usable, "own_profile"] = own
    for _, part in rows.loc[usable].groupby(["model", "kind"], sort=False):
        _predict_group(rows, part, technology, bounds=bounds)
    return rows


def _predict_group(rows: pd.DataFrame, part: pd.DataFrame, technology: Technology, *, bounds: bool) -> None:
    """Fill the results of rows that share architecture and layout."""
    group, known = _group(part, technology)
    batch = np.asarray(group.serving.batch)
    missing = np.isnan(batch)
    if missing.any():
        batch = np.where(missing, largest_batch(group, technology), batch)
        group = replace(group, serving=replace(group.serving, batch=np.maximum(batch, 1.0)))
    index, quantity = part.index, part["quantity"].to_numpy()
    whole = group
    group, waves = _in_waves(group, technology, split=~missing & (quantity == "request"))
    profile = _as_run(software(group.stack, technology, group.family), part)
    decode_s = decode_pass(group.serving, group.machine, profile, group.formats).pass_s
    prefill_s = decode_s
    if (quantity != "decode").any():
        prefill_s = prefill_pass(group.serving, group.machine, profile, group.formats).pass_s
    rows.loc[index, "used_batch"] = waves * np.asarray(group.serving.batch) * np.asarray(group.serving.replicas)
    interference = _interference_s(group, technology, part)
    rows.loc[index, "decode_s"] = decode_s
    rows.loc[index, "interference_s"] = interference
    rows.loc[index, "predicted_s"] = of_quantity(
        quantity,
        decode_s + interference,
        prefill_s,
        waves * (prefill_s + decode_s * np.asarray(group.serving.output_tokens)),
    )
    split = pd.Series(waves > 1, index=index).reindex(rows.index, fill_value=False)
    rows.loc[split & (rows["remark"] == ""), "remark"] = "served in waves: the batch does not fit what an engine takes"
    if bounds:
        group = whole
        rows.loc[index, "fits"] = _held(group, technology) <= group.machine.capacity_bytes
        least, memory = _bound(group, technology, quantity)
        rows.loc[index, "bound_s"], rows.loc[index, "memory_share"] = least, memory
    blind = pd.Series(~known.astype(bool) & (quantity != "decode"), index=index).reindex(rows.index, fill_value=False)
    rows.loc[blind, ["predicted_s", "bound_s"]] = np.nan
    add_reason(rows, blind, "no peak arithmetic rate of the chip is published")
    endless = pd.Series(np.isinf(rows.loc[index, "predicted_s"].to_numpy()), index=index)
    endless = endless.reindex(rows.index, fill_value=False)
    rows.loc[endless, ["predicted_s", "bound_s"]] = np.nan
    add_reason(rows, endless, "no link between the chips is published")
    never = pd.Series(missing & (batch < 1), index=index).reindex(rows.index, fill_value=False)
    rows.loc[never, ["predicted_s", "bound_s"]] = np.nan
    add_reason(rows, never, "does not fit: weights and one sequence exceed the memory")


def _group(part: pd.DataFrame, technology: Technology) -> tuple[_Group, FloatArray]:
    model = technology.library.model(part["model"].iloc[0])
    machine, operand_bits, known = machines(part, technology)
    column = {
        name: part[name].to_numpy(dtype=np.float64) for name in ("used_batch", "prompt", "output", "tensor", "stages")
    }
    serving = Serving(
        model=model,
        batch=column["used_batch"],
        prompt_tokens=column["prompt"],
        output_tokens=column["output"],
        tensor_parallel=column["tensor"],
        stages=column["stages"],
        parallelism=cast("Parallelism", part["kind"].iloc[0]),
        replicas=part["replicas"].to_numpy(dtype=np.float64),
        expert_spread=_expert_spread(part, technology),
    )
    stack = Choice.of(*part["stack"])
    return _Group(
        serving,
        machine,
        formats(model, part, stack, operand_bits, technology.library),
        stack,
        families(part, technology.library),
    ), known


def _as_run(profile: Software, part: pd.DataFrame) -> Software:
    """Return the stack with the chunks of a prefill that rows print in place of the software's default."""
    told = part["chunk_rows"].to_numpy(dtype=np.float64)
    return replace(profile, chunk_rows=np.where(np.isnan(told), profile.chunk_rows, np.maximum(told, 1.0)))


def _expert_spread(part: pd.DataFrame, technology: Technology) -> Number:
    """Return the exponent by which tokens choose experts: 0 where all sequences are the same, and choose the same."""
    return np.where(part["same_prompts"].to_numpy(dtype=bool), 0.0, technology.value("serving.expert_spread"))


def _in_waves(group: _Group, technology: Technology, *, split: NDArray[np.bool_]) -> tuple[_Group, FloatArray]:
    """Return the group with the batch that runs at a time, and how many such waves a whole batch takes.

    An engine takes a share of the memory (``serving.memory_share``), of which its context and the buffers of
    collectives take their part (``serving.reserved_gib``), and queues the sequences whose cache does not fit beside
    the weights. A batch is left whole where not even one sequence fits that share: something else then holds.
    """
    share = np.asarray(technology.value("serving.memory_share"))
    reserved = np.asarray(technology.value("serving.reserved_gib")) * GIB
    left = group.machine.capacity_bytes * share - reserved
    smaller = replace(group, machine=replace(group.machine, capacity_bytes=left))
    batch = np.asarray(group.serving.batch)
    waves = np.ones(len(group.stack))
    if split.any():
        most = largest_batch(smaller, technology)
        waves = np.where(split & (most >= 1), np.ceil(batch / np.maximum(most, 1.0)), 1.0)
    return replace(group, serving=replace(group.serving, batch=batch / waves)), waves


def of_quantity(quantity: object, decode: Number, prefill: Number, request: Number) -> FloatArray:
    """Return per row the number that its quantity asks for."""
    names = np.asarray(quantity)
    return np.asarray(np.where(names == "decode", decode, np.where(names == "prefill", prefill, request)))


def _interference_s(group: _Group, technology: Technology, part: pd.DataFrame) -> FloatArray:
    """Return what prompts of other requests add to a step of a serving engine at a steady concurrency.

    Each step finishes batch / output requests, and as many prompts must be prefilled in its time.
    """
    ideal = part.get("prefill_ms_per_step_ideal")
    if ideal is None:
        return np.zeros(len(part))
    mixed = ((part["batch_mode"] == "inflight") & (part["quantity"] == "decode") & (ideal > 0)).to_numpy()
    if not mixed.any():
        return np.zeros(len(part))
    serving = group.serving
    arrivals = np.asarray(serving.batch) / serving.output_tokens
    # Prompts join running batches, so they share the cost of a step and of starting one.
    stack = _as_run(software(group.stack, technology, group.family), part)
    one = prefill_pass(replace(serving, batch=np.maximum(arrivals, 1.0)), group.machine, stack, group.formats)
    joined = one.pass_s - one.fixed_s
    return np.where(mixed, joined * arrivals / np.maximum(arrivals, 1.0), 0.0)


def _bound(group: _Group, technology: Technology, quantity: object) -> tuple[FloatArray, FloatArray]:
    """Return (least time, share of it that memory sets) at peak bandwidth and arithmetic rate, nothing else."""
    ideal = software(Choice.of(*["ideal"] * len(group.stack)), technology)
    machine = replace(group.machine, stream_efficiency=np.ones(1))
    steps = {
        "decode": decode_pass(group.serving, machine, ideal, group.formats),
        "prefill": prefill_pass(group.serving, machine, ideal, group.formats),
    }
    least = {name: decode_bound_s(step, group.serving, machine) for name, step in steps.items()}
    moving = {name: _moving(step, machine) / least[name] for name, step in steps.items()}
    if group.serving.parallelism == "layer_split":
        # Chunks of a prompt may keep all chips busy at once; a step goes through them in turn.
        least["prefill"] = least["prefill"] / group.serving.stages
    output = np.asarray(group.serving.output_tokens)
    whole = least["prefill"] + output * least["decode"]
    share = (least["prefill"] * moving["prefill"] + output * least["decode"] * moving["decode"]) / whole
    return (
        of_quantity(quantity, least["decode"], least["prefill"], whole),
        of_quantity(quantity, moving["decode"], moving["prefill"], share),
    )


def _moving(step: PassTime, machine: Machine) -> FloatArray:
    return step.sum(step.times.dram_bytes) / machine.bandwidth_bytes_per_s


def _held(group: _Group, technology: Technology) -> FloatArray:
    """Return the bytes that the fullest chip holds."""
    chunk = technology.value("serving.prefill_chunk_tokens")
    fullest = footprint(group.serving, group.formats, chunk_tokens=chunk).fullest_bytes
    return np.broadcast_to(fullest, (len(group.stack),))


def largest_batch(group: _Group, technology: Technology) -> FloatArray:
    """Return the largest batch whose weights, KV cache and activations the chips hold; 0 where not even one fits."""
    capacity = group.machine.capacity_bytes
    n = len(group.stack)

    def held(batch: FloatArray) -> FloatArray:
        return _held(replace(group, serving=replace(group.serving, batch=batch)), technology)

    low, high = np.zeros(n), np.full(n, 2.0**16)
    for _ in range(17):
        middle = np.floor((low + high) / 2)
        fits = held(np.maximum(middle, 1.0)) <= capacity
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    fits_one = held(np.ones(n)) <= capacity
    return np.where(fits_one, np.maximum(low, 1.0), 0.0)


def measured_s(rows: pd.DataFrame) -> pd.Series:
    """Return the measured time of each row: of a step, a prefill or a whole batch of requests."""
    tokens = rows["used_batch"] * rows["output"]
    with np.errstate(divide="ignore"):
        rate = tokens / rows["value"]
    time: pd.Series = rows["value"] / np.where(rows["metric"].isin(["ms_per_token", "prefill_ms"]), 1e3, 1.0)
    return time.where(rows["metric"] != "output_tokens_per_s", rate)


def in_metric_units(rows: pd.DataFrame, seconds: pd.Series) -> pd.Series:
    """Return times in the unit of each row's own metric."""
    tokens = rows["used_batch"] * rows["output"]
    scaled = seconds * np.where(rows["metric"].isin(["ms_per_token", "prefill_ms"]), 1e3, 1.0)
    return scaled.where(rows["metric"] != "output_tokens_per_s", tokens / seconds)
