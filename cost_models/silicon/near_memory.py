"""Units beside the banks of a DRAM, that multiply what they read there: rates, energy, and what decoders take there.

All banks of a channel are read at once, with one operand each at the rate of a column access, so that more bytes pass
inside than over the pins (Samsung's Aquabolt-XL and LPDDR-PIM, SK hynix' AiM). Units keep up with one row of
activations: each operand that is read meets one multiplier. Area of the units is in price and capacity of devices as
sold. Formats that units do not multiply as stored must be decoded beside the banks, in the transistors of a DRAM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cost_models.library import WeightFormat
from cost_models.library.technology import Technology
from cost_models.silicon import compute
from cost_models.silicon.machine import NearMemory
from cost_models.silicon.memory import MemorySystem
from cost_models.table import Choice, FloatArray, positive
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, GIB, NANO
from cost_models.weights.weight_storage import Storage


@dataclass(frozen=True)
class Banks:
    """Units beside the banks of a memory, and their decoders; ``(n,)`` or ``(1,)``.

    Attributes:
        units: what a machine is told of them.
        decoder_share: area of the decoders over that of the DRAM.
    """

    units: NearMemory
    decoder_share: FloatArray


def operand_bits(
    operands: Sequence[str], *, plain: FloatArray, narrowest: FloatArray, activations: FloatArray, decoder: FloatArray
) -> FloatArray:
    """Return the width in which units multiply what is stored; 0 where they cannot.

    Args:
        operands: what they multiply, ``int8`` or ``float16``.
        plain: width of a number that they multiply as it is stored, 0 where it must be decoded.
        narrowest: least width that holds the stored number.
        activations: bits of the other operand, which is as wide as theirs at the most.
        decoder: 1 where what is stored is decoded beside the banks.
    """
    as_stored = np.where(activations <= plain, plain, 0.0)
    decoded = np.zeros(1)
    for width in sorted({width_of(name) for name in operands}, reverse=True):
        decoded = np.where((narrowest <= width) & (activations <= width), width, decoded)
    return np.where(as_stored > 0, as_stored, decoder * decoded)


def width_of(operand: str) -> float:
    """Return the bits of an operand, 16 for ``float16``."""
    return float(operand.removeprefix("int").removeprefix("float"))


def plain_bits(form: WeightFormat, operands: Sequence[str]) -> FloatArray:
    """Return the width of weights that units multiply as they are stored, 0 where none of them do.

    Codes without scales of groups, zeros that are not stored, or tables; a scale per channel multiplies the sum.
    """
    stored = asarray(form.weight_bits, dtype=np.float64)
    known = np.isin(stored, [width_of(name) for name in operands if name.startswith(form.operand)])
    without_groups = (asarray(form.group) == 0) & (asarray(form.zero_bits) == 0)
    as_it_is = form.kind in ("dense", "group") and form.execution != "dequantize" and form.coded_bits is None
    return np.where(known & without_groups & as_it_is, stored, 0.0)


def banks(
    names: Choice,
    system: MemorySystem,
    storage: Storage,
    *,
    stored_bits: FloatArray | None,
    act_bits: FloatArray,
    kv_bits: FloatArray,
    decoder: FloatArray,
    alike: FloatArray,
    technology: Technology,
) -> Banks | None:
    """Return the units beside the banks of a memory; None where no technology has any.

    Args:
        names: technology of the memory.
        system: its devices, decoders left out.
        storage: how weights are stored.
        stored_bits: stored bits per body weight, for decoders of XOR codes.
        act_bits: activations of linear layers.
        kv_bits: KV-cache elements.
        decoder: 1 where stored formats are decoded beside the banks.
        alike: 1 where no other format is named for routed experts.
        technology: parameters under ``near_memory``.
    """
    memories = technology.library.memories
    having = [name for name in names.values if memories[name].near_operands]
    if not having:
        return None
    present = names.map(lambda name: float(name in having))
    known = names.translate(lambda name: name if name in having else having[0])

    def parameter(field: str) -> FloatArray:
        return technology.of("near_memory", known, field)

    # All channels at once: what a stream over the pins loses elsewhere is in the share that products reach.
    inside = present * system.bandwidth_bytes_per_s * parameter("bandwidth_over_external")
    reached = inside * parameter("gemv_efficiency")
    wide = asarray(technology.value("serving.activation_bits"), dtype=np.float64)
    macs = {use: np.zeros(1) for use in ("linear", "head", "attention")}
    for code, name in enumerate(known.values):
        operands = memories[name].near_operands
        here = (known.codes == code) * present
        head = storage.map(lambda form: form.head_bits)
        stored = {
            "linear": (
                storage.map(partial(plain_bits, operands=operands)),
                storage.map(lambda form: form.operand_bits),
                act_bits,
            ),
            "head": (_listed(head, operands), head, act_bits),
            "attention": (_listed(kv_bits, operands), kv_bits, wide),
        }
        for use, (plain, narrowest, other) in stored.items():
            bits = operand_bits(operands, plain=plain, narrowest=narrowest, activations=other, decoder=decoder)
            read = reached * parameter("rows") * BITS_PER_BYTE
            macs[use] = macs[use] + here * np.where(bits > 0, read / positive(bits), 0.0)
    share, j_per_byte = np.zeros(1), system.j_per_byte * parameter("energy_over_external")
    if decoder.any():
        decoders = _decoders(storage, inside, stored_bits, parameter("clock_ghz"), technology)
        j_per_byte = j_per_byte + decoder * decoders.j_per_byte
        dram_mm2 = positive(present * system.capacity_bytes / GIB * parameter("mm2_per_gib"), np.inf)
        share = decoder * decoders.mm2 / dram_mm2
    return Banks(
        NearMemory(
            bytes_per_s=reached,
            linear_mac_per_s=macs["linear"],
            expert_mac_per_s=macs["linear"] * alike,
            head_mac_per_s=macs["head"],
            attention_mac_per_s=macs["attention"],
            j_per_byte=present * j_per_byte,
            channels=present * system.units * technology.of("memory", known, "unit_bits") / parameter("channel_bits"),
            start_s=present * parameter("start_ns") * NANO,
        ),
        share,
    )


def with_decoders(system: MemorySystem, found: Banks | None) -> MemorySystem:
    """Return the devices with decoders beside their banks, whose DRAM dies are dearer by their area."""
    if found is None:
        return system
    larger = 1 + found.decoder_share
    return replace(system, price_usd=system.price_usd * larger, embodied_kg=system.embodied_kg * larger)


def _listed(bits: FloatArray, operands: Sequence[str]) -> FloatArray:
    return np.where(np.isin(bits, [width_of(name) for name in operands]), bits, 0.0)


def _decoders(
    storage: Storage,
    bytes_per_s: FloatArray,
    stored_bits: FloatArray | None,
    clock_ghz: FloatArray,
    technology: Technology,
) -> compute.Decoder:
    """Return decoders that keep up with all banks at once, made of the transistors of a DRAM."""
    area, energy = (
        np.atleast_1d(asarray(technology.value(f"near_memory.logic_{name}_rel_n7"))) for name in ("area", "energy")
    )
    return compute.weight_decoder(
        storage,
        bytes_per_s=bytes_per_s,
        clock_ghz=clock_ghz,
        stored_bits=stored_bits,
        scales=compute.Scales(area, energy, np.ones(1)),
        technology=technology,
        unpacks_all=True,
    )
