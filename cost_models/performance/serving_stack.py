"""Software stacks: how close real kernels come to the machine they run on.

Every parameter is a parameter of the library (``stacks.NAME.parameter``), so it has a range and a source, and
can be swept or drawn like any other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

import numpy as np

from cost_models.library import Chip, Library, shipped_library
from cost_models.library.technology import Technology
from cost_models.table import Choice, FloatArray


@dataclass(frozen=True)
class Software:
    """A stack's parameters per row, ``(n,)`` each; meanings stand at the head of ``stacks.yaml``."""

    bandwidth_efficiency: FloatArray
    stream_limit_gbps: FloatArray
    attention_bandwidth_efficiency: FloatArray
    gemm_efficiency: FloatArray
    narrow_gemm_efficiency: FloatArray
    attention_compute_efficiency: FloatArray
    decode_attention_compute_efficiency: FloatArray
    attention_rows: FloatArray
    attention_group: FloatArray
    cache_read_gbps: FloatArray
    score_passes: FloatArray
    non_overlapped_fraction: FloatArray
    tile_rows: FloatArray
    expert_rows: FloatArray
    expert_most_rows: FloatArray
    expert_efficiency: FloatArray
    expert_block_efficiency: FloatArray
    expert_dequantize_efficiency: FloatArray
    portable_kernels: FloatArray
    all_experts: FloatArray
    vector_rows: FloatArray
    chunk_rows: FloatArray
    dequantize_bandwidth_efficiency: FloatArray
    dequantize_compute_efficiency: FloatArray
    dequantize_macs: FloatArray
    dequantize_rows: FloatArray
    kernel_s: FloatArray
    kernels_launched: FloatArray
    step_s: FloatArray
    sequence_s: FloatArray
    logit_s: FloatArray
    prefill_s: FloatArray
    wait_s: FloatArray
    collective_base_s: FloatArray
    collective_hop_s: FloatArray
    collective_fraction: FloatArray
    collective_quick_fraction: FloatArray
    collective_bulk_s: FloatArray
    exchange_base_s: FloatArray
    exchange_exposed_fraction: FloatArray
    active_fraction: FloatArray
    decode_attention_energy: FloatArray
    least_activation_bits: FloatArray
    least_reduced_bits: FloatArray


PACED = ("kernel_s", "collective_base_s", "collective_hop_s", "collective_bulk_s")
"""Parameters that a chip's generation scales: what a kernel or a signal costs whatever its size."""


def software(stack: Choice, technology: Technology, family: Choice | None = None) -> Software:
    """Return the parameters of the stack that each row has chosen.

    Args:
        stack: stack per row.
        technology: parameters.
        family: chip family per row, whose generation sets the pace of kernels (``chip_families.NAME.floor_factor``);
            None for designs, whose stacks state times of their own.
    """
    columns = {field.name: technology.of("stacks", stack, field.name) for field in fields(Software)}
    if family is not None:
        pace = technology.of("chip_families", family, "floor_factor")
        columns.update({name: columns[name] * pace for name in PACED})
        for name in ("stream_limit_gbps", "cache_read_gbps"):
            columns[name] = columns[name] / pace
        reached = columns["gemm_efficiency"] * technology.of("chip_families", family, "gemm_factor")
        portable = technology.of("chip_families", family, "portable_factor")
        everywhere = np.where(columns["portable_kernels"] > 0, portable, 1.0)
        columns["gemm_efficiency"] = np.minimum(reached, 1.0) * everywhere
        columns["expert_dequantize_efficiency"] = columns["expert_dequantize_efficiency"] * portable / everywhere
    return Software(**columns)


def default_stack(chip: Chip, library: Library) -> str:
    """Return the key of the generic stack for a library chip's family.

    Raises:
        LibraryError: no stack lists the family.
    """
    return library.stack_for_family(chip.family).key


def stack_for_software(name: str, chip: Chip, library: Library) -> tuple[str, bool]:
    """Return (stack, whether it is the software's own): the one whose patterns match, else the family's generic one.

    Stacks that were added to the shipped ones come first.

    Args:
        name: software as a source prints it, with its version.
        chip: the chip it runs on.
        library: the stacks.
    """
    generic = default_stack(chip, library)
    added = [key for key in library.stacks if key not in shipped_library().stacks]
    for key in (*added, generic, *library.stacks):
        stack = library.stacks[key]
        root = _root(key, library)
        here = stack.anywhere or root == generic or generic in library.stacks[root].lends_to
        if here and any(re.search(pattern, name, re.IGNORECASE) for pattern in stack.software):
            return key, True
    return generic, False


def _root(key: str, library: Library) -> str:
    """Return the generic stack that a stack is built on, or is."""
    base = library.stacks[key].base
    return key if base is None or library.stacks[key].families else _root(base, library)
