"""Blocks of the page on accuracy that are predicted for it: power by Splitwise, power caps, steps of baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cost_models.evaluate.serve import serve_chips
from cost_models.library.technology import Technology
from cost_models.table import FloatArray
from dse.analysis.explain.inputs import explain_library_chip
from dse.validation.requests import of_quantity
from dse.validation.score_tables import power_constants
from dse.validation.setups import chip_setups, row_workload
from studies.accuracy.scores import Lines, percent
from studies.pages import table

REQUEST = "prompt_tokens=1024 output_tokens=1024"
BATCHES = (8, 32)

WATTS = {("a100_80gb_sxm", "prefill"): 400, ("h100_sxm", "prefill"): 700, ("a100_80gb_sxm", "decode"): 250,
         ("h100_sxm", "decode"): 380}  # fmt: skip
"""Watts per chip that Splitwise (Patel et al., ISCA 2024) measured; its batches and lengths are not given."""

SHARED, SHARES = "a100_80gb_sxm", {2: 0.71, 4: 0.59, 8: 0.43}
"""Share of this chip's power limit that it measured in decode, by chips in tensor parallel."""

STEPS = (
    ("2x a100_80gb_sxm", "tensorrt_llm", "scored on its own rows above"),
    ("2x h100_sxm", "tensorrt_llm", "scored on its own rows above"),
    ("2x h200_sxm", "tensorrt_llm", "**not validated**: no open row of this chip"),
    ("8x h200_sxm", "tensorrt_llm", "**not validated**: no open row of this chip"),
    ("5x tpu_v4", "accelerator_serving", "**not validated**: two secondary rows (PaLM 540B on 64 chips) miss"),
    ("16x tpu_v5e", "accelerator_serving", "**not validated**: its rows have no lengths"),
)
"""Chips, stack, and what is known of them."""


def _phases(chips: str, stack: str, batch: int) -> dict[str, dict[str, float]]:
    told = explain_library_chip(chips, [f"llama2_70b batch={batch} {REQUEST}"], _words(stack)).to_json()
    (workload,) = told["workloads"].values()
    return {phase: workload[phase] for phase in ("decode", "prefill")}


def _words(stack: str) -> list[str]:
    return ["weight_format=bf16", "kv_bits=16", "act_bits=16", f"serving_stack={stack}"]


def splitwise(technology: Technology) -> Lines:
    """Return predicted watts per chip beside those that Splitwise measured."""
    limit = {chip: float(technology.library.chip(chip).tdp_w or np.nan) for chip, _ in WATTS}
    rows: list[tuple[object, ...]] = []
    over = []
    for (chip, phase), measured in WATTS.items():
        found = [_phases(f"2x {chip}", "tensorrt_llm", batch)[phase]["board_w"] / 2 for batch in BATCHES]
        capped = min(found) >= 0.999 * limit[chip]
        rows.append((f"{chip}, {phase}", measured, *(f"{one:.0f}" for one in found), "the limit" if capped else ""))
        over += [one / measured - 1 for one in found if phase == "decode"]
    for chips, share in SHARES.items():
        found = [_phases(f"{chips}x {SHARED}", "tensorrt_llm", batch)["decode"]["board_w"] for batch in BATCHES]
        shares = (f"{one / chips / limit[SHARED]:.2f}" for one in found)
        rows.append((f"{SHARED}, decode on {chips} chips, share of the limit", share, *shares, ""))
    return [
        *table(("", "measured", *(f"predicted, batch {batch}" for batch in BATCHES), ""), rows),
        "",
        f"Decode of two chips comes out {percent(min(over), 0)} to {percent(max(over), 0)} above it.",
    ]


def stretches(rows: pd.DataFrame, technology: Technology) -> FloatArray:
    """Return by how much longer each predicted row would take, were its power held to the limit of its chips."""
    result = np.ones(len(rows))
    for _, place in rows.reset_index(drop=True).groupby(["model", "kind", "cache_split"], sort=False).groups.items():
        part = rows.iloc[place]
        workload = row_workload(part)
        setups = chip_setups(part, technology.library, technology.library.model(workload.model))
        found = serve_chips(setups, workload, technology).inference
        decode, prefill = (np.nan_to_num(one, nan=1.0) for one in (found.decode_cap_stretch, found.prefill_cap_stretch))
        share = found.prefill_s / found.request_s
        result[place] = of_quantity(part["quantity"], decode, prefill, share * prefill + (1 - share) * decode)
    return result


def caps(rows: pd.DataFrame, technology: Technology) -> Lines:
    """Return what errors of time would become were library chips held to their power limit."""
    rows = rows[np.isfinite(rows["predicted_s"]) & np.isfinite(rows["measured_s"])]
    longer = stretches(rows, technology)
    before = (rows["predicted_s"] / rows["measured_s"]).to_numpy()
    errors = [np.abs(before - 1), np.abs(before * longer - 1)]
    moved = longer > 1 + 1e-6
    nearer = (errors[1] < errors[0])[moved].mean()
    mean, median = ([percent(of_all(one[moved])) for one in errors] for of_all in (np.mean, np.median))
    return [
        f"Tried on {len(rows):,} rows of end-to-end times: {moved.sum()} would be stretched, by "
        f"{percent(np.median(longer[moved]) - 1)} in the median and {percent(longer.max() - 1)} at most.",
        f"Their mean error would go from {mean[0]} to {mean[1]}, their median error from {median[0]} to {median[1]}; "
        f"{percent(nearer, 0)} of them would come closer.",
    ]


def energy_constants(technology: Technology) -> Lines:
    """Return the fitted constants of energy with the range that two standard errors leave."""
    fitted = power_constants(technology.library)
    rows = [(f"`{path}`", f"{one.typ:.3g}", f"{one.low:.3g} to {one.high:.3g}") for path, one in fitted.items()]
    return table(("constant", "value", "two standard errors"), rows)


def baseline_steps() -> Lines:
    """Return one decode step of the Mach-1 case on its baselines."""
    rows = []
    for chips, stack, known in STEPS:
        step = _phases(chips, stack, 32)["decode"]
        rows.append((chips, stack, f"{step['bound_ms']:.1f}", f"{step['ms']:.1f}", known))
    return table(("chips", "stack", "bound", "predicted", ""), rows)
