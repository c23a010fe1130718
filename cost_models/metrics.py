"""Metrics of a machine and of a workload on it, by the names that `quantities` gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.columns import FloatArray, Number
from cost_models.cost import usd_per_million_tokens
from cost_models.inference import Inference
from cost_models.machine import Machine
from cost_models.quality import Quality
from cost_models.quantities import METRICS
from cost_models.roofline import Formats
from cost_models.serving import Serving
from cost_models.technology import Technology


@dataclass(frozen=True)
class Served:
    """One workload on one machine, with everything that explains it."""

    workload: str
    serving: Serving
    machine: Machine
    formats: Formats
    inference: Inference
    quality: Quality


def design_metrics(machine: Machine, stored_bits: Number) -> dict[str, FloatArray]:
    """Return the metrics of a machine that no workload enters."""
    used, allowed = machine.limits.get("die_edge_mm", (np.array([np.nan]), np.array([1.0])))
    return {
        "die_mm2": machine.die_mm2,
        "tdp_w": machine.tdp_w,
        "cost_usd": machine.cost_usd,
        "price_usd": machine.price_usd,
        "bandwidth_gbps": machine.bandwidth_bytes_per_s / 1e9,
        "capacity_gib": machine.capacity_bytes / 2**30,
        "peak_tflops": machine.linear_mac_per_s * 2 / 1e12,
        "stored_bits": np.asarray(stored_bits),
        "edge_share": used / allowed,
    }


def workload_metrics(served: Served, technology: Technology) -> dict[str, FloatArray]:
    """Return the metrics of a workload on a machine; missing (NaN) in rows whose chips cannot hold it."""
    result, serving, machine = served.inference, served.serving, served.machine
    batch, output = np.asarray(serving.batch), np.asarray(serving.output_tokens)
    tokens = batch * output
    decode_j = result.decode_energy.board_j / batch
    prompt_j = result.prefill_energy.board_j / (batch * np.asarray(serving.prompt_tokens))
    request_j = (result.prefill_energy.board_j + result.decode_energy.board_j * output) / tokens
    bound_by_memory = np.where(
        result.decode.times.memory_s >= result.decode.times.arithmetic_s, result.decode.total_s, 0.0
    ).sum(axis=0)
    end_to_end = tokens / result.request_s
    decode_share = np.where(np.isfinite(result.decode_s), 1 / result.decode_s, 0.0)
    prices = machine.price_usd * serving.chips
    values = {
        "ms_per_token": result.decode_s * 1e3,
        "ttft_ms": result.prefill_s * 1e3,
        "request_s": result.request_s,
        "tokens_per_s": batch / result.decode_s,
        "tokens_per_s_end_to_end": end_to_end,
        "bound_ms_per_token": result.bound_s * 1e3,
        "overhead_share": 1 - result.bound_s / result.decode_s,
        "memory_share": np.where(result.fits, bound_by_memory, 0.0) * decode_share,
        "decode_w": result.decode_energy.board_w,
        "prefill_w": result.prefill_energy.board_w,
        "decode_j_per_token": decode_j,
        "prefill_j_per_token": prompt_j,
        "request_j_per_token": request_j,
        "tokens_per_joule": 1 / decode_j,
        "tokens_per_joule_tdp": batch / result.decode_s / (machine.tdp_w * serving.chips),
        "usd_per_million_tokens": usd_per_million_tokens(
            prices, request_j * end_to_end, end_to_end, chips=serving.chips, technology=technology,
            idle_w=machine.static_w / machine.conversion_efficiency * serving.chips,
            provisioned_w=machine.tdp_w * serving.chips,
        ),
        "tokens_per_s_per_usd": end_to_end / prices,
    }  # fmt: skip
    if not result.fits.all():
        values = {name: np.where(result.fits, value, np.nan) for name, value in values.items()}
    held = result.footprint
    total = held.weights_bytes + held.kv_bytes + held.activations_bytes
    values["chips_needed"] = np.asarray(result.chips_needed, dtype=np.float64)
    values["memory_gib"] = total / 2**30
    values["perplexity_ratio"] = np.asarray(served.quality.ratio)
    values["perplexity_ratio_high"] = np.asarray(served.quality.ratio_high)
    values["perplexity_unusable"] = np.asarray(served.quality.unusable, dtype=np.float64)
    values["perplexity_extrapolated"] = np.asarray(served.quality.extrapolated, dtype=np.float64)
    assert values.keys() == {name for name, metric in METRICS.items() if metric.scope == "workload"}
    return values
