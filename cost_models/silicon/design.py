"""From a design to a Machine: the silicon models put together, one row per design."""

from __future__ import annotations

import numpy as np

from cost_models.library.technology import Technology
from cost_models.silicon import compute
from cost_models.silicon.cost import Economics
from cost_models.silicon.defaults import fill_defaults
from cost_models.silicon.machine import Machine
from cost_models.silicon.stages.price import Priced
from cost_models.table import Designs, FloatArray
from cost_models.units import GIGA, MIB, OPS_PER_MAC


def design_machine(
    designs: Designs, technology: Technology, *, economics: Economics, stored_bits: FloatArray | None = None
) -> Machine:
    """Return the Machine of each design; what no column varies has one row.

    Equations stand in `compute`, `memory`, `area`, `power` and `cost`. The weight decoder is sized to peak memory
    bandwidth and therefore limits nothing. `limits` says where a design cannot be built: reticle, die edge, heat, and
    ``memory_device`` (used 1, allowed 0) where the technology has no device of that width or capacity.

    Args:
        designs: table of parameters; missing ones take their defaults (`fill_defaults`).
        technology: parameters.
        economics: business terms.
        stored_bits: stored bits per body weight, metadata included; XOR-coded formats use it for the share of the
            stream that their network sees (all of it where None).

    Raises:
        UnknownEntryError: a node, memory grade or format that the library does not hold.
    """
    design = Priced(fill_defaults(designs), technology, economics, stored_bits)
    store, array, uses, watts = design.first, design.array, design.arithmetic, design.watts
    linear_rate, linear_j = compute.rate_and_energy(array, uses.linear, uses.linear_energy)
    head_rate, head_j = compute.rate_and_energy(array, uses.head)
    attention_rate, attention_j = compute.rate_and_energy(array, uses.attention)
    return Machine(
        linear_mac_per_s=linear_rate,
        head_mac_per_s=head_rate,
        attention_mac_per_s=attention_rate,
        linear_j_per_mac=linear_j,
        head_j_per_mac=head_j,
        attention_j_per_mac=attention_j,
        bandwidth_bytes_per_s=store.bandwidth_bytes_per_s,
        stream_efficiency=store.stream_efficiency,
        capacity_bytes=design.store.capacity_bytes,
        read_mostly_bytes=design.read_mostly_bytes,
        arrays=design.arrays,
        second=design.second_memory,
        near=None if design.banks is None else design.banks.units,
        sram_bytes=design.per_die(design.number("sram_mib") * MIB),
        dequantize_bytes_per_s=np.array([np.inf]),
        dequantize_macs=uses.dequantize_macs,
        static_shapes=design.choice("architecture").map(lambda name: float(name == "static")),
        dequantize_rows=design.dequantize_rows,
        link_bytes_per_s=design.link_bytes_per_s,
        host_bytes_per_s=design.host_bytes_per_s,
        dram_j_per_byte=store.j_per_byte,
        sram_j_per_byte=design.stream_j_per_byte,
        link_j_per_byte=design.link_j_per_byte,
        dequantize_j_per_byte=design.decoder.j_per_byte,
        static_w=watts["leakage"] + watts["memory_idle"] + watts["board"],
        conversion_efficiency=design.conversion_efficiency,
        tdp_w=design.tdp_w,
        die_mm2=design.logic_mm2,
        cost_usd=design.cost_usd,
        price_usd=design.price_usd,
        nre_usd=design.nre_usd,
        embodied_kg=design.embodied_kg,
        vector_ops_per_s=design.lanes * design.number("clock_ghz") * GIGA,
        special_function_ops=design.every_row("on_chip.special_function_ops"),
        vector_j_per_op=design.vector_j_per_op,
        measured=np.zeros(1),
        throttle=design.throttle,
        peak_ops_per_s={
            "linear": OPS_PER_MAC * linear_rate,
            "head": OPS_PER_MAC * head_rate,
            "attention": OPS_PER_MAC * attention_rate,
        },
        dies=design.dies,
        die_link_bytes_per_s=design.die_link_bytes_per_s,
        die_link_j_per_byte=design.die_link_j_per_byte,
        die_step_s=design.die_step_s,
        blocks={
            "area_mm2": {name: design.of_all_dies(block) for name, block in design.areas.items()},
            "tdp_w": watts,
            "cost_usd": design.dollars,
            "edge_mm": {name: design.of_all_dies(edge) for name, edge in design.edges.items()},
        },
        limits=design.limits,
    )
