"""Arithmetic of a MAC array, and the decoder of stored weights before it.

A unit of format W x A multiplies one W-bit by one A-bit operand per cycle. Wider operands are composed from several
passes, ceil(w / W) x ceil(a / A) (bit-serial composition as in BitFusion, Sharma et al., ISCA 2018, with the unit as
the brick); floating-point operands wider than the unit too, at the price of `float_factor`. A narrower operand gains
nothing, the unit is used once whatever the bits, unless it splits: then it multiplies s weights of W / s bits at once.
Each pass costs a cycle and the energy of one native multiply-accumulate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.library import WeightFormat
from cost_models.library.technology import Technology
from cost_models.table import Choice, FloatArray, Number, rows_where
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, FEMTO, GIGA, MIB, MM2_PER_UM2, PICO, TERA
from cost_models.weights.compression import stored_bits as bits_of_format
from cost_models.weights.compression import xor_outputs
from cost_models.weights.decoder import decoder_hardware
from cost_models.weights.execution import Lanes, execution, unit_passes
from cost_models.weights.weight_storage import Storage

HEAD_BITS = 16.0
"""Bits of a head that is not compressed with the body."""


@dataclass(frozen=True)
class Scales:
    """What node and supply make of parameters given at N7; each ``(n,)`` or ``(1,)``.

    Attributes:
        logic_area: area of logic over N7.
        logic_energy: energy of logic over N7, at the node's nominal supply.
        voltage: dynamic energy at the supply over that at the nominal one; the model's own error is a factor of it.
    """

    logic_area: FloatArray
    logic_energy: FloatArray
    voltage: FloatArray

    @property
    def energy(self) -> FloatArray:
        """Dynamic energy of logic over N7 at nominal supply."""
        return self.logic_energy * self.voltage


@dataclass(frozen=True)
class MacArray:
    """The array of a design; every field ``(n,)`` or ``(1,)``.

    Attributes:
        passes_per_s: native multiply-accumulates per second, all units together.
        j_per_pass: energy of one, operands delivered.
        weight_bits: operand width of the unit on the side of weights and KV cache.
        activation_bits: operand width on the side of activations.
        weight_splits: narrower weights that a unit multiplies at once.
        mm2: area of the units.
    """

    passes_per_s: FloatArray
    j_per_pass: FloatArray
    weight_bits: FloatArray
    activation_bits: FloatArray
    weight_splits: FloatArray
    mm2: FloatArray


def mac_array(
    mac_format: Choice,
    *,
    macs: FloatArray,
    clock_ghz: FloatArray,
    delivery: Number,
    scales: Scales,
    technology: Technology,
) -> MacArray:
    """Return the array of `macs` units.

    Energy = bare MAC at N7 x node factor x (V / Vnom)^2 x operand delivery; area = area per MAC at N7 x node factor x
    MACs (library ``mac_n7``).

    Args:
        mac_format: what a unit multiplies.
        macs: units.
        clock_ghz: their clock.
        delivery: energy of a multiply-accumulate with its operands over the bare one.
        scales: node and supply.
        technology: parameters.
    """
    library = technology.library
    bare = technology.of("mac_n7.formats", mac_format, "energy_bare_pj")
    um2 = technology.of("mac_n7.formats", mac_format, "area_array_um2")
    return MacArray(
        passes_per_s=macs * clock_ghz * GIGA,
        j_per_pass=asarray(bare * scales.energy * (asarray(delivery) * PICO)),
        weight_bits=mac_format.map(lambda name: float(library.mac_format(name).weight_bits)),
        activation_bits=mac_format.map(lambda name: float(library.mac_format(name).activation_bits)),
        weight_splits=mac_format.map(lambda name: float(library.mac_format(name).weight_splits)),
        mm2=macs * um2 * scales.logic_area * MM2_PER_UM2,
    )


def float_factor(
    storage: Storage, mac_format: Choice, float_activations: FloatArray, technology: Technology
) -> FloatArray:
    """Return ``(n,)`` what units cost in area and energy because floating-point operands meet a side made for integers.

    Integers multiply no exponents: a unit that takes both aligns, normalizes and adds in floating point as a
    floating-point unit does (library ``execution.float_over_integer``). Weights of 16 bits in the head, queries,
    probabilities and cached elements are taken as integers with scales.

    Args:
        storage: how weights are stored; whether the multiplier sees floating-point numbers.
        mac_format: the unit.
        float_activations: 1 where narrow activations are floating-point numbers, else 0.
        technology: parameters under ``execution``.
    """
    library = technology.library
    float_weights = storage.map(lambda form: float(form.operand == "float"))
    needs_weights = mac_format.map(lambda name: float(not library.mac_format(name).float_weights)) * float_weights
    integer_side = mac_format.map(lambda name: float(not library.mac_format(name).takes_float_activations))
    needed = np.maximum(needs_weights, integer_side * float_activations)
    # Read whatever the rows are: what a run read must not depend on which of its blocks this process evaluated.
    factor = technology.value("execution.float_over_integer")
    return rows_where(needed > 0, factor, 1.0) if needed.any() else np.ones(1)


@dataclass(frozen=True)
class LaneOverheads:
    """What lanes that skip zeros need beside their multipliers; ``(n,)``.

    Attributes:
        mm2: queues in front of all lanes, and control of every group of lanes in lockstep.
        j_per_pass: writing and reading the queued operands of one pass.
    """

    mm2: FloatArray
    j_per_pass: FloatArray


def lane_overheads(
    storage: Storage,
    array: MacArray,
    *,
    macs: FloatArray,
    act_bits: FloatArray,
    lanes: Lanes,
    sram_mm2_per_mib: FloatArray,
    scales: Scales,
    technology: Technology,
) -> LaneOverheads:
    """Return what lockstep lanes of a design that skips zeros need beside their multipliers.

    A lane queues the survivors of as many blocks as it may run ahead, d n p weights; the lanes of a group share the
    d n activations that they choose from, a sequencer and a port. Queued bits are written and read once per pass at
    e0 + e1 sqrt(queue in MiB) (library ``sram_energy``).

    Args:
        storage: how weights are stored.
        array: the units, one per lane.
        macs: their number.
        act_bits: bits of an activation.
        lanes: lanes in lockstep, block and depth.
        sram_mm2_per_mib: area of SRAM in the node.
        scales: node and supply.
        technology: parameters under ``execution``, ``sram_energy`` and ``on_chip``.
    """
    value, count = technology.value, asarray(lanes.count)
    queued = asarray(lanes.block) * lanes.depth
    kept = storage.map(lambda form: 1 - asarray(form.sparsity))
    weights_mib = queued * kept * array.weight_bits / (BITS_PER_BYTE * MIB)
    activations_mib = queued * act_bits / (BITS_PER_BYTE * MIB)
    groups = macs / count
    dense = asarray(value("execution.lane_queue_over_sram")) * sram_mm2_per_mib
    control = asarray(value("execution.lane_group_um2_n7")) * scales.logic_area * MM2_PER_UM2
    e0, e1 = (asarray(value(f"sram_energy.model_n7.{name}_pj_per_bit")) for name in ("e0", "e1"))
    both = 1 + asarray(value("on_chip.write_over_read_energy"))
    per_weight = (e0 + e1 * np.sqrt(weights_mib)) * array.weight_bits
    per_activation = (e0 + e1 * np.sqrt(activations_mib)) * array.activation_bits / count
    return LaneOverheads(
        mm2=(weights_mib * macs + activations_mib * groups) * dense + groups * control,
        j_per_pass=(per_weight + per_activation) * both * scales.energy * PICO,
    )


def operand_buffer_bytes(array: MacArray, macs: FloatArray) -> FloatArray:
    """Return the bytes of operands that an array holds twice: one set is multiplied while the next arrives.

    A square of units holds a weight each, and an activation per row.
    """
    return asarray(2 * (macs * array.weight_bits + np.sqrt(macs) * array.activation_bits) / BITS_PER_BYTE)


def passes(operand_bits: Number, activation_bits: Number, array: MacArray) -> FloatArray:
    """Return the native multiply-accumulates that one of the given operands takes; below 1 where units split."""
    weights = unit_passes(operand_bits, array.weight_bits, array.weight_splits)
    return asarray(weights * np.ceil(activation_bits / array.activation_bits))


@dataclass(frozen=True)
class Arithmetic:
    """Passes of the array per multiply-accumulate, ``(n,)``; below 1 where zeros are skipped.

    Attributes:
        linear: body weights times activations.
        linear_energy: the same in passes that take energy.
        head: embedding, router and language-model head times activations.
        attention: KV cache times activations.
        skips: 1 where unstructured zeros are skipped.
        dequantize_macs: multiply-accumulates that dequantizing a weight takes, per tile of rows.
    """

    linear: FloatArray
    linear_energy: FloatArray
    head: FloatArray
    attention: FloatArray
    skips: FloatArray
    dequantize_macs: FloatArray


def head_operand_bits(form: WeightFormat) -> float:
    """Return bits of a head weight as the multiplier sees it: the body's where the head is compressed with it."""
    return float(form.operand_bits) if form.head_bits < HEAD_BITS else form.head_bits


def arithmetic(
    storage: Storage,
    array: MacArray,
    *,
    act_bits: FloatArray,
    kv_bits: FloatArray,
    attention_act_bits: Number,
    technology: Technology,
    chosen: Choice | None = None,
    lanes: Lanes = Lanes(),  # noqa: B008
) -> Arithmetic:
    """Count the passes of each kind of multiplication.

    Args:
        storage: how weights are stored; the multiplier sees their `operand_bits`.
        array: the units.
        act_bits: activations in linear layers and head.
        kv_bits: KV-cache elements.
        attention_act_bits: queries and probabilities (library ``serving.activation_bits``).
        technology: parameters under ``execution``.
        chosen: execution of each row; the format's own where None or inactive.
        lanes: of designs that skip zeros.
    """
    body = execution(
        storage,
        chosen,
        unit_bits=array.weight_bits,
        unit_splits=array.weight_splits,
        activation_passes=np.ceil(act_bits / array.activation_bits),
        lanes=lanes,
        technology=technology,
    )
    return Arithmetic(
        linear=body.time,
        linear_energy=body.energy,
        head=passes(storage.map(head_operand_bits), act_bits, array),
        attention=passes(kv_bits, attention_act_bits, array),
        skips=body.skips,
        dequantize_macs=body.dequantize_macs,
    )


def rate_and_energy(
    array: MacArray, passes_per_mac: FloatArray, energy_per_mac: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return (multiply-accumulates per second, joules each); energy of every pass unless told otherwise."""
    charged = passes_per_mac if energy_per_mac is None else energy_per_mac
    return array.passes_per_s / passes_per_mac, array.j_per_pass * charged


@dataclass(frozen=True)
class Decoder:
    """Dequantizing of stored weights at the rate of the memory; ``(n,)``.

    Attributes:
        mm2: area.
        j_per_byte: energy per stored byte.
    """

    mm2: FloatArray
    j_per_byte: FloatArray


def dequantizes(form: WeightFormat) -> FloatArray:
    """Return 1 where stored weights of a format need a decoder before the array, else 0.

    Codes that the array multiplies as they are need none; masks, indices, run lengths, codebooks and codes that are
    dequantized do.
    """
    return np.where(asarray(form.sparsity) > 0, 1.0, float(form.execution == "dequantize"))


def xor_network(form: WeightFormat) -> tuple[Number, Number]:
    """Return (XOR2 gates, flip-flops) of one decoder of the fixed-to-fixed code; zeros for other formats.

    N_out ((N_s + 1) N_in / 2 - 1) gates and N_s N_in flip-flops turn N_in stored bits into N_out each cycle: a random
    linear network over the present and N_s earlier inputs (code of Lee et al., ICLR 2022).
    """
    if form.kind != "xor":
        return 0.0, 0.0
    needed = decoder_hardware(form.n_in, xor_outputs(form), form.shift_registers)
    return needed.xor2_gates, needed.flip_flops


def xor_code_bits(form: WeightFormat) -> Number:
    """Return XOR-code bits per weight, b N_in / N_out; 0 for other formats."""
    return asarray(form.weight_bits) * form.n_in / xor_outputs(form) if form.kind == "xor" else 0.0


def weight_decoder(
    storage: Storage,
    *,
    bytes_per_s: FloatArray,
    clock_ghz: FloatArray,
    stored_bits: FloatArray | None,
    scales: Scales,
    technology: Technology,
    unpacks_all: bool = False,
) -> Decoder:
    """Return the decoder that keeps up with the memory: unpacker, and XOR networks for their share of the stream.

    Args:
        storage: how weights are stored.
        bytes_per_s: peak memory bandwidth.
        clock_ghz: clock; an XOR network takes N_in bits per cycle.
        stored_bits: stored bits per weight, metadata included; None: all of the stream is XOR code.
        scales: node and supply.
        technology: parameters under ``decoder``.
        unpacks_all: whether codes that an array multiplies as they are stored are unpacked too.
    """
    value, per_format = technology.value, storage.map
    dequantizing = np.ones(1) if unpacks_all else per_format(dequantizes)
    mm2 = dequantizing * bytes_per_s * (asarray(value("decoder.unpack_mm2_per_tbps_n7")) / TERA)
    joules = dequantizing * (asarray(value("decoder.unpack_pj_per_byte_n7")) * PICO)
    if any(form.kind == "xor" for form in storage.forms):
        code = per_format(xor_code_bits)
        share = (code > 0).astype(np.float64) if stored_bits is None else code / stored_bits
        steps_per_byte = share * per_format(lambda form: BITS_PER_BYTE / np.maximum(form.n_in, 1))
        gates = per_format(lambda form: xor_network(form)[0])
        registers = per_format(lambda form: xor_network(form)[1])
        networks = bytes_per_s * steps_per_byte / (clock_ghz * GIGA)
        um2 = gates * value("decoder.xor2_um2_n7") + registers * value("decoder.flip_flop_um2_n7")
        femtojoules = gates * value("decoder.xor2_fj_n7") + registers * value("decoder.flip_flop_fj_n7")
        mm2 = mm2 + networks * um2 * MM2_PER_UM2
        joules = joules + steps_per_byte * femtojoules * FEMTO
    if any(form.coded_bits is not None for form in storage.forms):
        # One symbol a weight: what the codes of an integer are, or the exponent of a float.
        symbols = per_format(lambda form: 0.0 if form.coded_bits is None else BITS_PER_BYTE / bits_of_format(form))
        mm2 = mm2 + bytes_per_s * symbols / GIGA * value("decoder.ans_um2_per_gsymbols_n7") * MM2_PER_UM2
        joules = joules + symbols * (asarray(value("decoder.ans_pj_per_symbol_n7")) * PICO)
    return Decoder(mm2 * scales.logic_area, joules * scales.energy)
