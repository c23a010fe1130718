"""Measured rows as what a user types: chips and how they are run, a workload and how it is served."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.workload import Workload
from cost_models.library import Chip, Library, Model, WeightFormat
from cost_models.performance.serving_stack import default_stack, stack_for_software
from cost_models.table import Choice
from cost_models.weights.chip_execution import SLACK_BITS
from cost_models.weights.compression import stored_bits
from cost_models.workload.operators import CacheSplit
from cost_models.workload.serving import Layout, Parallelism

UNQUANTISED_BITS = 8.0
"""Files of a model whose experts are published narrower than this hold them so where their mean is below it."""


def multiplied_format(chip: Chip, act_bits: float) -> str:
    """Return the weight format in whose operands a chip multiplies activations: fp8 where it can, int8 where not."""
    if act_bits > 8:
        return "bf16"
    if act_bits > 4.5:
        return "fp8" if "fp8" in chip.peak_tops or "int8" not in chip.peak_tops else "int8"
    return "nvfp4"


def stacks(rows: pd.DataFrame, library: Library) -> tuple[Choice, list[bool]]:
    """Return the stack of each row's software on its chip, and whether it is the software's own profile."""
    pairs = list(zip(rows["software"], rows["chip"], strict=True))
    table = {pair: stack_for_software(pair[0], library.chip(pair[1]), library) for pair in dict.fromkeys(pairs)}
    return Choice.of(*(table[pair][0] for pair in pairs)), [table[pair][1] for pair in pairs]


def generic_stack(chip: str, library: Library) -> str:
    """Return the generic stack of a chip's family."""
    return default_stack(library.chip(chip), library)


def chip_setups(rows: pd.DataFrame, library: Library, model: Model | None = None) -> list[ChipSetup]:
    """Return the chips of rows with ``chip``, ``stack``, ``weight_bits``, ``act_bits``, ``kv_bits`` as they are run.

    Where a row names a ``weight_format``, or its bits are those of the format that the model's maker publishes, it is
    that one.

    Args:
        rows: of one model.
        library: chips, formats and stacks.
        model: what they serve; None where they serve none, as single kernels do.
    """
    columns = ("chip", "stack", "weight_bits", "act_bits", "kv_bits")
    numbers = dict.fromkeys(columns[2:], np.float64)
    usual = rows[list(columns)].astype(numbers).fillna({"act_bits": 16.0, "kv_bits": 16.0})
    usual["weight_format"] = rows["weight_format"].fillna("") if "weight_format" in rows else ""
    keys = list(usual.itertuples(index=False, name=None))
    made = {key: _setup(key, library, model) for key in dict.fromkeys(keys)}
    return [made[key] for key in keys]


def _setup(key: tuple[Any, ...], library: Library, model: Model | None) -> ChipSetup:
    chip, stack, weight_bits, act_bits, kv_bits, told = key
    name, expert, stored = multiplied_format(library.chip(chip), act_bits), None, weight_bits
    published = told or (model.weight_format if model is not None else None)
    if published is not None and _is_in(library.weight_format(published), weight_bits, act_bits):
        name = published
    form = library.weight_format(name)
    if model is None or model.expert_format is None:
        reported = None if stored == _bits(form) else stored
    elif weight_bits >= UNQUANTISED_BITS or library.stack(stack).quantises_head:
        reported = stored
    else:
        # The maker's own file: experts in their narrow format, everything else as it was trained. Narrower
        # activations say that experts were converted to a format that multiplies with them.
        reported = None
        native = _bits(library.weight_format(model.expert_format))
        name, expert = "bf16", name if _bits(form) < native + SLACK_BITS else None
    return ChipSetup(
        chip, name, expert_format=expert, stored_bits=reported, kv_bits=kv_bits, act_bits=act_bits, serving_stack=stack
    )


def _is_in(form: WeightFormat, weight_bits: float, act_bits: float) -> bool:
    """Return whether weights of so many bits that meet such activations can be in a format."""
    return abs(_bits(form) - weight_bits) < SLACK_BITS and act_bits == form.operand_bits


def _bits(form: WeightFormat) -> float:
    return float(stored_bits(form))


def row_workload(rows: pd.DataFrame) -> Workload:
    """Return what prepared rows of one model and one kind of layout serve, as columns."""
    column = {
        name: rows[name].to_numpy(dtype=np.float64)
        for name in (
            "used_batch",
            "prompt",
            "output",
            "tensor",
            "stages",
            "replicas",
            "dealt",
            "same_prompts",
            "chunk_rows",
            "expert_spread",
        )
    }
    return Workload(
        name="rows",
        model=str(rows["model"].iloc[0]),
        batch=column["used_batch"],
        prompt_tokens=column["prompt"],
        output_tokens=column["output"],
        parallelism=Layout(
            column["tensor"],
            column["stages"],
            column["replicas"],
            cast("Parallelism", rows["kind"].iloc[0]),
            column["dealt"],
            cast("CacheSplit", rows["cache_split"].iloc[0]),
        ),
        batching=rows["batching"].to_numpy(dtype=object),
        chunk_rows=column["chunk_rows"],
        same_prompts=column["same_prompts"],
        expert_spread=column["expert_spread"],
    )


def typed(rows: pd.DataFrame, library: Library) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return (baseline, workload) of each of some prepared rows of one model, as they stand in a sweep file."""
    setups = chip_setups(rows, library, library.model(str(rows["model"].iloc[0])))
    return [_typed(row, setup) for row, setup in zip(rows.to_dict("records"), setups, strict=True)]


def _typed(row: Mapping[Hashable, Any], setup: ChipSetup) -> tuple[dict[str, Any], dict[str, Any]]:
    chips = int(row["tensor"] * row["stages"] * row["replicas"])
    words = {"tp": row["tensor"], ("layer_split" if row["kind"] == "layer_split" else "pp"): row["stages"]}
    words["dp"] = row["replicas"]
    layout = "_".join(f"{name}{int(count)}" for name, count in words.items() if count > 1)
    if row["dealt"] != (words["tp"] * words["dp"] if words["dp"] > 1 else 1):
        layout += f"_ep{int(row['dealt'])}"
    if row["cache_split"] != "heads":
        layout += f"_kv_{row['cache_split']}"
    baseline: dict[str, Any] = {
        "chips": f"{chips}x {setup.chip}",
        "weight_format": str(setup.weight_format),
        "kv_bits": float(setup.kv_bits),
        "act_bits": float(setup.act_bits),
        "serving_stack": setup.serving_stack,
        "parallelism": layout or "tensor",
    }
    if setup.expert_format is not None:
        baseline["expert_format"] = setup.expert_format
    if setup.stored_bits is not None:
        baseline["stored_bits"] = float(setup.stored_bits)
    workload: dict[str, Any] = {
        "model": str(row["model"]),
        "batch": "largest" if np.isnan(row["used_batch"]) else float(row["used_batch"]),
        "prompt_tokens": float(row["prompt"]),
        "output_tokens": float(row["output"]),
        "batching": str(row["batching"]),
    }
    if not np.isnan(row["chunk_rows"]):
        workload["chunk_rows"] = int(row["chunk_rows"])
    if not np.isnan(row["expert_spread"]):
        workload["expert_spread"] = float(row["expert_spread"])
    if row["same_prompts"]:
        workload["same_prompts"] = True
    return baseline, workload
