"""Prediction of energy rows: joules per output token of served models, joules per call of single operators."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from cost_models.evaluate.serve import run_kernels, serve_chips
from cost_models.library.technology import Technology
from cost_models.performance.energy import phase_energy
from cost_models.performance.phases import PhaseTime
from cost_models.workload.serving import ServingConfig
from dse.validation import operators, requests
from dse.validation.rows import add_reason
from dse.validation.setups import chip_setups, row_workload, stacks

SOFTWARE = {
    r"^vLLM|ML\.ENERGY": "vLLM",
    r"^TensorRT-LLM": "TensorRT-LLM",
    r"^Deepspeed-MII": "DeepSpeed-MII",
    r"\bvulkan|\bhip_|\brocwmma": "llama.cpp vulkan",
}
"""Software of rows without a column for it, by what their note or the title of their source says."""

OPERATORS = ("gemm", "moe_grouped_gemm", "decode_attention", "prefill_attention", "decode_mla", "prefill_mla")


def prepare(rows: pd.DataFrame, technology: Technology) -> pd.DataFrame:
    """Add what is measured (joules per token or per call), layout and number formats, with reasons."""
    rows = rows.copy()
    rows["remark"] = ""
    for column in ("kind", "note", "software"):
        rows[column] = rows[column].fillna("") if column in rows else ""
    title = rows["source_title"].fillna("") if "source_title" in rows else ""
    for pattern, name in SOFTWARE.items():
        reported = rows["note"].str.contains(pattern) | pd.Series(title, index=rows.index).str.contains(pattern)
        rows.loc[(rows["software"] == "") & reported, "software"] = name
    single = rows["kind"] != ""
    rows["quantity"] = np.where(single, rows["kind"], "served")
    rows["measured_j"] = rows["energy_J_per_output_token"]
    if "energy_uJ_per_call" in rows:
        rows["measured_j"] = rows["measured_j"].where(~single, rows["energy_uJ_per_call"] / 1e6)
    add_reason(rows, ~(rows["measured_j"] > 0), "no energy per output token or call is given")
    add_reason(rows, ~single & ~rows["model"].fillna("").isin(list(technology.library.models)), "model is not given")
    add_reason(rows, ~single & ~(rows["batch"] > 0), "batch is not given")
    add_reason(rows, ~single & ~(rows["weight_bits"] > 0), "weight_bits is not given")
    prompt = rows["input_len"] if "input_len" in rows else pd.Series(np.nan, index=rows.index)
    assumed = ~single & prompt.isna()
    rows.loc[assumed & (rows["reason"] == ""), "remark"] = "prompt length assumed (serving.chat_prompt_tokens)"
    rows["prompt"] = prompt.fillna(float(np.asarray(technology.value("serving.chat_prompt_tokens"))))
    add_reason(rows, ~single & ~(rows["output_len"] > 0), "output_len is not given")
    rows["output"] = rows["output_len"].fillna(1.0).clip(lower=1)
    shared = [_layout(note, chips) for note, chips in zip(rows["note"], rows["n_chips"].fillna(1), strict=True)]
    for place, name in enumerate(("tensor", "replicas", "dealt")):
        rows[name] = [float(entry[place]) for entry in shared]
    rows["used_batch"] = rows["batch"].clip(lower=1)
    rows["act_bits"] = np.where(rows["weight_bits"] == 8, 8.0, 16.0)
    rows["kv_bits"] = 16.0
    return rows


def _layout(note: str, chips: float) -> tuple[int, int, int]:
    """Return (tensor parallel, replicas, expert parallel) from a note such as ``TP 1, EP 8, DP 1``."""
    count = max(int(chips), 1)
    result, dealt = (re.search(rf"\b{name} (\d+)", note) for name in ("TP", "EP"))
    tensor = int(result[1]) if result else count
    replicas = max(count // max(tensor, 1), 1)
    ranks = tensor * replicas
    experts = int(dealt[1]) if dealt else 1
    return tensor, replicas, experts if experts > 1 and ranks % experts == 0 else ranks if replicas > 1 else 1


def predict(rows: pd.DataFrame, technology: Technology) -> pd.DataFrame:
    """Add stack, predicted time, energy and board power."""
    rows = rows.copy()
    for name in ("predicted_s", "predicted_j", "predicted_w"):
        rows[name] = np.nan
    rows["stack"], rows["own_profile"] = "", False
    served = rows.index[(rows["reason"] == "") & (rows["quantity"] == "served")]
    if len(served):
        chosen, own = stacks(rows.loc[served], technology.library)
        rows.loc[served, "stack"], rows.loc[served, "own_profile"] = chosen.names(), own
        for _, part in rows.loc[served].groupby("model", sort=False):
            _predict_served(rows, part, technology)
    single = rows.index[(rows["reason"] == "") & (rows["quantity"] != "served")]
    if len(single):
        _predict_operators(rows, rows.loc[single], technology)
    add_reason(
        rows, (rows["reason"] == "") & rows["predicted_j"].isna(), "power coefficients of the chip are not published"
    )
    return rows


def _predict_served(rows: pd.DataFrame, part: pd.DataFrame, technology: Technology) -> None:
    """Fill energy per output token of rows that serve one model: decode steps, and the prompts that feed them."""
    made = served_power(part, technology)
    for name in ("predicted_s", "predicted_j", "predicted_w"):
        rows.loc[part.index, name] = made[name]


def served_power(part: pd.DataFrame, technology: Technology, *, timed: bool = False) -> pd.DataFrame:
    """Return step time, joules per output token and mean watts of all chips of rows that serve one model.

    A row of whole requests or of steady serving holds a prefill for every `output` steps: its power is the energy of
    both over the time of both. With `timed`, both take the time that the row's measured throughput says, so that what
    is left to err is the energy alone; `stretch` is measured over predicted time.

    Args:
        part: prepared rows of one model, with ``stack``.
        technology: parameters.
        timed: whether measured time replaces predicted time.
    """
    plain: dict[str, Any] = {
        "kind": "tensor",
        "cache_split": "heads",
        "stages": 1.0,
        "batching": "static",
        "same_prompts": 0.0,
        "chunk_rows": np.nan,
        "expert_spread": requests.served_spread(part["batch_mode"] == "inflight", technology),
    }
    workload = row_workload(part.assign(**plain))
    setups = chip_setups(part, technology.library, technology.library.model(workload.model))
    served = serve_chips(setups, workload, technology)
    result, machine, profile, form = served.inference, served.machine, served.inference.software, served.formats
    serving, step, prefill = served.serving, result.decode, result.prefill
    prompts = (~part["phase"].fillna("").eq("decode") & (part["prompt"] > 0)).to_numpy(dtype=np.float64)
    tokens, batch = np.asarray(serving.output_tokens), np.asarray(serving.sequences)
    steps = tokens - prompts
    seconds = steps * step.pass_s + prompts * prefill.pass_s
    with np.errstate(divide="ignore"):
        stretch = batch * tokens / part["output_tokens_per_s"].to_numpy(dtype=np.float64) / seconds
    paced = stretch if timed else np.ones(len(part))
    spent = phase_energy(step, step.pass_s * paced, serving, machine, form, profile)
    filled = phase_energy(prefill, prefill.pass_s * paced, serving, machine, form, profile)
    joules = steps * spent.board_j + prompts * filled.board_j
    return pd.DataFrame(
        {
            "predicted_s": step.pass_s,
            "predicted_j": joules / (batch * tokens),
            "predicted_w": joules / (seconds * paced),
            "stretch": stretch,
        },
        index=part.index,
    )


def _predict_operators(rows: pd.DataFrame, part: pd.DataFrame, technology: Technology) -> None:
    """Fill energy per call of single operators."""
    reported = part.assign(
        size_bytes=np.nan, metric="latency_us", value=part.get("latency_us", np.nan), kind=part["quantity"]
    )
    reported = operators.prepare(reported)
    for name in ("act_bits", "kv_bits"):
        rows.loc[part.index, name] = reported[name]
    add_reason(rows, reported["reason"].reindex(rows.index, fill_value="") != "", "shape of the operator is not given")
    reported = operators.predict(reported, technology)
    for kind, index in reported[reported["reason"] == ""].groupby("quantity").groups.items():
        if kind not in OPERATORS:
            continue
        group = reported.loc[index]
        machine, profile, form = run_kernels(chip_setups(group, technology.library), technology)
        ran, time = operators.operator_time(group, machine, profile, form)
        seconds = time.total_s.sum(axis=0)
        one = ServingConfig(technology.library.model("llama2_7b"), np.ones(len(group)), 1.0, 1.0)
        spent = phase_energy(
            PhaseTime(ran, time, time.total_s, np.zeros(len(group)), sharing=operators.sharing(group)),
            seconds,
            one,
            machine,
            form,
            profile,
        )
        rows.loc[index, "predicted_s"] = seconds
        rows.loc[index, "predicted_j"] = spent.board_j
        rows.loc[index, "predicted_w"] = spent.board_w
        rows.loc[index, "stack"] = group["stack"]
