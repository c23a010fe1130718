"""How a library chip works through stored weights: what it can do, what it does by itself, and at what rate.

With A the width that the chip multiplies at (its published peak for the wider of activation and operand):

    dense        weights as wide as A; a mask is dequantized first, and zeros are multiplied
    direct       codes as wide as A, narrower than 16 bits
    dequantize   narrower codes or codebooks, dequantized to A in software, once per tile of rows
    skip         2 of 4 on sparse tensor cores; the chip has no lanes to skip other zeros with
    look_up      one look-up of a sum over k bits per plane and k weights: L k / b MACs per second at L look-ups
                 (LUT-GEMM, arXiv 2206.09557); building the tables, 2^k / (N k) of the work, is not counted
    bit_plane    products of single bits, b a of them per MAC (binary tensor cores)

Widening takes time of the software stack (``unpack_*`` in ``stacks.yaml``), none of the machine. One way holds for
decode and prefill; kernels that look up would rather dequantize in prefill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cost_models.errors import ExecutionError
from cost_models.library import Chip, WeightFormat
from cost_models.library.chip_peaks import OPERAND_WIDTHS, peak_ops_per_s
from cost_models.library.technology import Technology
from cost_models.table import Number
from cost_models.units import OPS_PER_MAC, TERA
from cost_models.weights.compression import stored_bits

WIDE_BITS = 16.0
"""Bits of operands that are not narrow."""

SLACK_BITS = 0.5
"""Scales and zero points take less; stored weights that are narrower than operands by more have to be dequantized."""


@dataclass(frozen=True)
class ChipExecution:
    """How a chip multiplies body weights in one format.

    Attributes:
        execution_mode: name of the execution.
        peak: published format that sets the rate and energy of its multiplier.
        peak_ops_per_s: the chip's rate there, NaN where it has none.
        operand_bits: width of the wider operand.
        dequantizes: whether software dequantizes stored weights before they are multiplied.
        scales_blocks: whether operands of float formats share scales along what an output sums, and software applies
            them to partial sums. Chips with a peak in four-bit floats apply scales of blocks in their multipliers.
    """

    execution_mode: str
    peak: str
    peak_ops_per_s: float
    operand_bits: float
    dequantizes: bool
    scales_blocks: bool = False


class Gain(NamedTuple):
    """Rate and energy of an execution over those of a multiply-accumulate at the peak."""

    rate: Number = 1.0
    energy: Number = 1.0


def chip_execution(
    chip: Chip, form: WeightFormat, *, act_bits: float, chosen: str | None = None, stored: float | None = None
) -> ChipExecution:
    """Return how a chip executes a format.

    Args:
        chip: library chip.
        form: how weights are stored.
        act_bits: activations in linear layers.
        chosen: execution asked for; the chip's own way where None.
        stored: stored bits per weight where they are not the format's own.

    Raises:
        ExecutionError: the chip cannot do that, or not with this format; says what it can.
    """
    able = chip_executions(chip, form, act_bits=act_bits, stored=stored)
    execution_mode = able[0] if chosen is None else chosen
    if execution_mode not in able:
        raise ExecutionError(execution_mode, chip.key, form.key, act_bits, able)
    bits = WIDE_BITS if execution_mode in ("look_up", "bit_plane") else max(act_bits, form.operand_bits)
    peak, rate = peak_ops_per_s(
        chip, kind="float" if execution_mode in ("look_up", "bit_plane") else form.operand, bits=bits
    )
    width = OPERAND_WIDTHS[peak]
    if execution_mode in ("look_up", "bit_plane"):
        dequantizes = False
    elif execution_mode == "skip":
        dequantizes = form.operand_bits < width
    else:
        dequantizes = form.coded_bits is not None or _narrow(form, width, stored)
    blocks = execution_mode == "direct" and form.operand == "float" and form.group > 0 and "fp4" not in chip.peak_tops
    return ChipExecution(execution_mode, peak, rate, width, dequantizes, blocks)


def chip_executions(chip: Chip, form: WeightFormat, *, act_bits: float, stored: float | None = None) -> tuple[str, ...]:
    """Return the executions of a format that a chip can do, its own way first (arguments as in `chip_execution`)."""
    peak, rate = peak_ops_per_s(chip, kind=form.operand, bits=max(act_bits, form.operand_bits))
    width = OPERAND_WIDTHS[peak] if rate == rate else WIDE_BITS
    plain = form.operand == "int" and form.pruning is None and form.coded_bits is None
    execution_modes = []
    if form.kind == "nm" and (form.n, form.m) == (2, 4) and "skip_2of4" in chip.executions:
        execution_modes.append("skip")
    if (
        form.coded_bits is not None
        or form.operand_bits < width
        or (form.pruning is None and _narrow(form, width, stored))
    ):
        execution_modes.append("dequantize")
    else:
        execution_modes.append("direct" if width < WIDE_BITS else "dense")
    if plain and "look_up" in chip.executions:
        execution_modes.append("look_up")
    if plain and "bit_plane" in chip.executions and act_bits < WIDE_BITS:
        execution_modes.append("bit_plane")
    return tuple(execution_modes)


def execution_gain(
    chip: Chip, form: WeightFormat, execution: ChipExecution, *, act_bits: float, technology: Technology
) -> Gain:
    """Return what an execution gains over multiplying at the peak; below 1 it is slower, or takes less energy.

    Args:
        chip: library chip.
        form: how weights are stored.
        execution: how they are executed.
        act_bits: activations in linear layers.
        technology: parameters under ``execution``.
    """
    peak_macs = execution.peak_ops_per_s / OPS_PER_MAC
    if execution.execution_mode == "skip":
        return Gain(technology.value("execution.sparse_tensor_gain"), form.n / form.m)
    if execution.execution_mode == "look_up":
        assert chip.lut_tops is not None
        looks = form.weight_bits / technology.value("execution.gpu_look_up_bits")
        energy = looks * technology.value("execution.look_up_energy_factor")
        return Gain(chip.lut_tops * TERA / looks / peak_macs, energy)
    if execution.execution_mode == "bit_plane":
        assert chip.binary_tops is not None
        products = form.weight_bits * act_bits
        return Gain(chip.binary_tops * TERA / OPS_PER_MAC / products / peak_macs, products / WIDE_BITS**2)
    return Gain()


def _narrow(form: WeightFormat, width: float, stored: float | None) -> bool:
    return float(stored_bits(form) if stored is None else stored) < width - SLACK_BITS
