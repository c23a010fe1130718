"""Machines, stacks and number formats of measured rows, one column entry per row."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from cost_models.compression import stored_bits
from cost_models.library import Chip, Library, Model
from cost_models.machine import Machine
from cost_models.parameters import count_parameters
from cost_models.peaks import OPERAND_WIDTHS, peak_ops_per_s
from cost_models.published import chip_machine
from cost_models.roofline import Formats
from cost_models.software import default_stack, stack_for_software
from cost_models.table import Choice, FloatArray
from cost_models.technology import Technology

COLUMNS = tuple(field.name for field in fields(Machine) if field.name not in ("peak_ops_per_s", "blocks", "limits"))


@dataclass(frozen=True)
class Operands:
    """In what a chip multiplies: the weight format that says so, and the width of the wider operand."""

    weight_format: str
    bits: float
    known: bool


def operands(chip: Chip, act_bits: float) -> Operands:
    """Return what a chip multiplies activations of a width in: fp8 where it can, int8 where not."""
    if act_bits > 8:
        form, kind = "bf16", "float"
    elif act_bits > 4.5:
        form, kind = ("fp8", "float") if "fp8" in chip.peak_tops or "int8" not in chip.peak_tops else ("int8", "int")
    else:
        form, kind = "nvfp4", "float"
    name, rate = peak_ops_per_s(chip, kind=kind, bits=act_bits)
    return Operands(form, OPERAND_WIDTHS[name], bool(np.isfinite(rate)))


def machines(rows: pd.DataFrame, technology: Technology) -> tuple[Machine, FloatArray, FloatArray]:
    """Return (machines, operand bits, whether peaks are published) of rows with ``chip``, ``act_bits``, ``kv_bits``.

    A chip without any published peak computes infinitely fast here: only its memory is predicted.
    """
    library = technology.library
    keys = list(zip(rows["chip"], rows["act_bits"].fillna(16.0), rows["kv_bits"].fillna(16.0), strict=True))
    distinct = list(dict.fromkeys(keys))
    place = {key: position for position, key in enumerate(distinct)}
    index = np.array([place[key] for key in keys], dtype=np.intp)
    made, multiplied = [], []
    for name, act_bits, kv_bits in distinct:
        chip = library.chip(name)
        what = operands(chip, act_bits)
        multiplied.append(what)
        made.append(
            chip_machine(
                chip,
                weight_format=library.weight_format(what.weight_format),
                act_bits=act_bits,
                kv_bits=min(kv_bits, 16),
                technology=technology,
            )
        )
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(machine, name) for machine in made])[index] for name in COLUMNS
    }
    known = np.array([what.known for what in multiplied])[index]
    for name in ("linear_mac_per_s", "head_mac_per_s", "attention_mac_per_s"):
        columns[name] = np.where(known, columns[name], np.inf)
    faster = _half_accumulation(rows, library)
    columns["linear_mac_per_s"] = columns["linear_mac_per_s"] * faster
    columns["head_mac_per_s"] = columns["head_mac_per_s"] * faster
    columns["link_bytes_per_s"] = np.nan_to_num(columns["link_bytes_per_s"], nan=0.0)
    return Machine(**columns), np.array([what.bits for what in multiplied])[index], known


def _half_accumulation(rows: pd.DataFrame, library: Library) -> FloatArray:
    """Return how much faster 16-bit GEMMs are that accumulate in 16 bits, 1 where the stack does not."""
    if "stack" not in rows:
        return np.ones(len(rows))
    factor = {name: 1.0 for name in rows["chip"].unique()}
    for name in factor:
        peaks = library.chip(name).peak_tops
        if "bf16" in peaks and "fp16" in peaks:
            factor[name] = max(peaks["fp16"] / peaks["bf16"], 1.0)
    half = rows["stack"].map(lambda name: library.stack(name).half_accumulation) & (rows["act_bits"] > 8)
    return np.where(half, rows["chip"].map(factor), 1.0)


def stacks(rows: pd.DataFrame, library: Library) -> tuple[Choice, list[bool]]:
    """Return the stack of each row's software on its chip, and whether it is the software's own profile."""
    pairs = list(zip(rows["software"], rows["chip"], strict=True))
    table = {pair: stack_for_software(pair[0], library.chip(pair[1]), library) for pair in dict.fromkeys(pairs)}
    return Choice.of(*(table[pair][0] for pair in pairs)), [table[pair][1] for pair in pairs]


def families(rows: pd.DataFrame, library: Library) -> Choice:
    """Return the chip family of each row."""
    return Choice.of(*rows["chip"]).translate(lambda name: library.chip(name).family)


def generic_stack(chip: str, library: Library) -> str:
    """Return the generic stack of a chip's family."""
    return default_stack(library.chip(chip), library)


def expert_share(model: Model) -> float:
    """Return the share of all weights that routed experts hold."""
    count = count_parameters(model)
    return count.experts / count.total


def formats(model: Model, rows: pd.DataFrame, stack: Choice, operand_bits: FloatArray, library: Library) -> Formats:
    """Return the number formats of rows that serve one model.

    A model whose maker publishes its experts in a narrow format keeps the other weights at 16 bits, or, in files that
    quantise everything, at what the average over the file leaves for them.
    """
    average = rows["weight_bits"].to_numpy(dtype=np.float64)
    whole = stack.map(lambda name: float(library.stack(name).quantises_head)) > 0
    body, expert = average, None
    if model.expert_format is not None:
        native = stored_bits(library.weight_format(model.expert_format))
        share = expert_share(model)
        rest = np.clip((average - share * native) / (1 - share), native, 16.0)
        narrow = average < 8
        body = np.where(narrow, np.where(whole, rest, 16.0), average)
        expert = np.where(narrow, native, average)
    stored = body if expert is None else np.minimum(body, expert)
    return Formats(
        weight_bits=body,
        head_bits=np.where(whole, body, 16.0),
        kv_bits=rows["kv_bits"].to_numpy(dtype=np.float64),
        activation_bits=16.0,
        operand_bits=operand_bits,
        unpacked=(stored < operand_bits - 0.5).astype(np.float64),
        expert_bits=expert,
    )
