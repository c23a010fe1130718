"""Machine: what every model after the silicon sees of a chip, whether it exists or not.

A design becomes a Machine through the silicon models (`cost_models.silicon.design`), a library chip through its
published values (`cost_models.silicon.chip`). Nothing downstream knows which of the two it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray

NO_COLUMNS = frozenset(
    {"peak_ops_per_s", "blocks", "limits", "second", "placement", "arrays", "near", "nodes", "throttle"}
)
"""Fields of a `Machine` that are no columns."""

Part = TypeVar("Part", "SecondMemory", "Throttle")


@dataclass(frozen=True)
class Arrays:
    """Systolic arrays of a chip; ``(n,)`` or ``(1,)``.

    Attributes:
        macs: units of all arrays.
        rows: inputs of one array, along which products are summed; NaN in rows whose arrays are as software's tiles.
        columns: outputs of one.
        outputs_stay: 1 where outputs stay in the array while inputs and weights stream, 0 where weights stay.
    """

    macs: FloatArray
    rows: FloatArray
    columns: FloatArray
    outputs_stay: FloatArray


@dataclass(frozen=True)
class Throttle:
    """What a chip saves that lowers its clock; ``(n,)`` or ``(1,)``, supplies over the nominal one less guard bands.

    Attributes:
        highest: supply that the highest clock needs.
        least: supply that it does not go below, that of the highest clock where it does not follow the clock.
        threshold: of the alpha-power law.
        alpha: its exponent.
        guard: guard band over the nominal supply.
        leakage_w: what falls with the supply of the power that flows whatever the chip does.
    """

    highest: FloatArray
    least: FloatArray
    threshold: FloatArray
    alpha: FloatArray
    guard: FloatArray
    leakage_w: FloatArray


@dataclass(frozen=True)
class SecondMemory:
    """A memory behind the first; ``(n,)`` or ``(1,)``, zeros in rows without one.

    Attributes:
        bytes_per_s: what long sequential reads reach.
        capacity_bytes: of all its devices.
        j_per_byte: energy of device, PHY and controller per byte moved.
        read_mostly: 1 where it holds nothing that is written at every step.
    """

    bytes_per_s: FloatArray
    capacity_bytes: FloatArray
    j_per_byte: FloatArray
    read_mostly: FloatArray


@dataclass(frozen=True)
class NearMemory:
    """Units that multiply beside the banks of the first memory; ``(n,)`` or ``(1,)``, zeros in rows without any.

    Attributes:
        bytes_per_s: what a matrix-vector product reads there, of all banks at once.
        linear_mac_per_s: multiply-accumulates of body weights; 0 where their format is not understood.
        expert_mac_per_s: the same of routed experts that are stored like the body.
        head_mac_per_s: the same of the head.
        attention_mac_per_s: the same of activations with the KV cache.
        j_per_byte: energy of a byte that is read and multiplied there.
        channels: parts of the memory of which each must be told the inputs of a product.
        start_s: time before the units work.
    """

    bytes_per_s: FloatArray
    linear_mac_per_s: FloatArray
    expert_mac_per_s: FloatArray
    head_mac_per_s: FloatArray
    attention_mac_per_s: FloatArray
    j_per_byte: FloatArray
    channels: FloatArray
    start_s: FloatArray


@dataclass(frozen=True)
class Nodes:
    """Groups of chips that reach each other by their own links, and the network between groups; ``(n,)`` or ``(1,)``.

    Attributes:
        chips: chips of a node, a server or a rack; infinite where all are in one.
        bytes_per_s: bandwidth of each chip into the network, one way.
        added_s: what a collective over the network takes longer than over the chips' own links, whatever its size.
        hop_s: the same for each further node.
        usd_per_chip: price of a chip's port and its share of switches.
        w_per_chip: power of those, whatever crosses.
    """

    chips: FloatArray
    bytes_per_s: FloatArray
    added_s: FloatArray
    hop_s: FloatArray
    usd_per_chip: FloatArray
    w_per_chip: FloatArray


@dataclass(frozen=True)
class Placement:
    """Which tensors lie in the second memory, and what that means for reading them; ``(n,)`` by tensor.

    Attributes:
        held_bytes: what a chip holds.
        read_bytes: what a decode step reads and writes of it.
        second_fraction: share of it in the second memory.
        second_reads: share of its reads that go there.
        slowdown: time of a byte over that in the first memory.
        added_j_per_byte: memory energy of a byte beyond that in the first memory.
    """

    held_bytes: Mapping[str, FloatArray]
    read_bytes: Mapping[str, FloatArray]
    second_fraction: Mapping[str, FloatArray]
    second_reads: Mapping[str, FloatArray]
    slowdown: Mapping[str, FloatArray]
    added_j_per_byte: Mapping[str, FloatArray]


@dataclass(frozen=True)
class Machine:
    """One chip with its memory and board, for chosen number formats; every field ``(n,)`` or ``(1,)``, SI units.

    Attributes:
        linear_mac_per_s: multiply-accumulates per second of body linear layers, weights in the chosen format.
        head_mac_per_s: the same for embedding, router and LM head, which keep more bits.
        attention_mac_per_s: the same for activations times KV cache.
        linear_j_per_mac: dynamic energy of one such multiply-accumulate, operand delivery included.
        head_j_per_mac: the same for the head.
        attention_j_per_mac: the same for attention.
        bandwidth_bytes_per_s: peak bandwidth of the (first) memory.
        stream_efficiency: share of the peak that long sequential reads reach in hardware.
        capacity_bytes: memory capacity, of both memories where there are two.
        sram_bytes: on-chip memory of one die.
        dequantize_bytes_per_s: rate at which stored weights can be dequantized; infinite where nothing limits it.
        host_bytes_per_s: bandwidth of the host interface, one way; 0 for none, NaN where it is not known.
        link_bytes_per_s: chip-to-chip bandwidth, one way, all links; 0 for none.
        dram_j_per_byte: memory device, PHY and controller energy per byte moved.
        sram_j_per_byte: on-chip storage and wire energy per byte that crosses the die.
        link_j_per_byte: link energy per byte sent.
        dequantize_j_per_byte: decoder energy per stored weight byte.
        static_w: power that flows whatever the chip does: leakage, idle memory, fixed board loads.
        conversion_efficiency: power delivered to chip and memory over power drawn by the board.
        tdp_w: the board's design limit.
        die_mm2: area of all logic dies, NaN where not published.
        cost_usd: production cost of one board without NRE, NaN where not modelled.
        price_usd: selling price, NaN where neither modelled nor published.
        dequantize_macs: multiply-accumulates that expanding a body weight for the multiplier takes, per tile of rows.
        dequantize_rows: activation rows of such a tile.
        arithmetic_known: 1 where arithmetic rates are known; 0 where no peak is published and they are infinite, so
            that only what memory bounds is predicted.
        static_shapes: 1 where a schedule made beforehand sweeps the whole cache at every step, filled or not.
        nre_usd: masks and design per unit sold, NaN where not modelled.
        embodied_kg: carbon of making die and memory, CO2e; NaN where not modelled.
        measured: 1 where the software is measured on the chip, what its power cap costs included.
        throttle: what a lower clock saves; None where that is not known.
        dies: equal dies of a chip to which every operator is dealt; 1 where software has been measured on the whole.
        die_link_bytes_per_s: bandwidth between a die and the others of its package, one way.
        die_link_j_per_byte: energy of a byte sent there.
        die_step_s: time of a step of an exchange between dies beside its bytes.
        devices: parts of the chip that software sees as devices, each with a shard of its own.
        link_added_s: what a collective takes longer than between chips that are linked directly.
        link_hop_s: the same for each further chip.
        link_rivalry: exponent by which the bandwidth of each chip falls with the chips beyond two that send at once.
        link_axes: axes of the torus that the links form; 1 for a ring or a switch.
        read_mostly_bytes: capacity that holds nothing which is written at every step.
        arrays: shape of the systolic arrays; None where no row says it.
        second: a memory behind the first; None where no row has one.
        placement: which tensors of a workload lie there; None until one is served.
        near: units beside the banks of the first memory; None where no row has any.
        nodes: how the chips of a workload are spread over servers; None where they are all in one.
        vector_ops_per_s: operations per second of the vector units; infinite where their time is in what was measured.
        special_function_ops: such operations that an exponential or a reciprocal takes.
        vector_j_per_op: energy of one; 0 where it is in other energies.
        peak_ops_per_s: peak operations per second by number format, for reports.
        blocks: shares that sum to a total: "area_mm2", "tdp_w", "cost_usd", "edge_mm" -> block -> column.
        limits: physical limits, name -> (used, allowed); a design with used > allowed cannot be built.
    """

    linear_mac_per_s: FloatArray
    head_mac_per_s: FloatArray
    attention_mac_per_s: FloatArray
    linear_j_per_mac: FloatArray
    head_j_per_mac: FloatArray
    attention_j_per_mac: FloatArray
    bandwidth_bytes_per_s: FloatArray
    stream_efficiency: FloatArray
    capacity_bytes: FloatArray
    sram_bytes: FloatArray
    dequantize_bytes_per_s: FloatArray
    link_bytes_per_s: FloatArray
    dram_j_per_byte: FloatArray
    sram_j_per_byte: FloatArray
    link_j_per_byte: FloatArray
    dequantize_j_per_byte: FloatArray
    static_w: FloatArray
    conversion_efficiency: FloatArray
    tdp_w: FloatArray
    die_mm2: FloatArray
    cost_usd: FloatArray
    price_usd: FloatArray
    embodied_kg: FloatArray = field(default_factory=lambda: np.array([np.nan]))
    dequantize_macs: FloatArray = field(default_factory=lambda: np.zeros(1))
    dequantize_rows: FloatArray = field(default_factory=lambda: np.ones(1))
    arithmetic_known: FloatArray = field(default_factory=lambda: np.ones(1))
    host_bytes_per_s: FloatArray = field(default_factory=lambda: np.array([np.nan]))
    nre_usd: FloatArray = field(default_factory=lambda: np.array([np.nan]))
    static_shapes: FloatArray = field(default_factory=lambda: np.zeros(1))
    measured: FloatArray = field(default_factory=lambda: np.ones(1))
    dies: FloatArray = field(default_factory=lambda: np.ones(1))
    die_link_bytes_per_s: FloatArray = field(default_factory=lambda: np.zeros(1))
    die_link_j_per_byte: FloatArray = field(default_factory=lambda: np.zeros(1))
    die_step_s: FloatArray = field(default_factory=lambda: np.zeros(1))
    devices: FloatArray = field(default_factory=lambda: np.ones(1))
    link_added_s: FloatArray = field(default_factory=lambda: np.zeros(1))
    link_hop_s: FloatArray = field(default_factory=lambda: np.zeros(1))
    link_rivalry: FloatArray = field(default_factory=lambda: np.zeros(1))
    link_axes: FloatArray = field(default_factory=lambda: np.ones(1))
    read_mostly_bytes: FloatArray = field(default_factory=lambda: np.zeros(1))
    arrays: Arrays | None = None
    throttle: Throttle | None = None
    second: SecondMemory | None = None
    placement: Placement | None = None
    near: NearMemory | None = None
    nodes: Nodes | None = None
    vector_ops_per_s: FloatArray = field(default_factory=lambda: np.array([np.inf]))
    special_function_ops: FloatArray = field(default_factory=lambda: np.ones(1))
    vector_j_per_op: FloatArray = field(default_factory=lambda: np.zeros(1))
    peak_ops_per_s: Mapping[str, FloatArray] = field(default_factory=dict)
    blocks: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)
    limits: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, machines: Sequence[Machine], index: NDArray[np.intp]) -> Machine:
        """Return machines of one row each as the rows of one table; peaks and blocks, which differ, are left out.

        Args:
            machines: one row each.
            index: ``(n,)`` which of them each row is.
        """
        if len(machines) == 1:
            return machines[0]
        columns: dict[str, Any] = {
            column.name: np.concatenate([getattr(machine, column.name) for machine in machines])[index]
            for column in fields(cls)
            if column.name not in NO_COLUMNS
        }
        return cls(
            **columns,
            second=_of_rows(SecondMemory, [machine.second for machine in machines], index, 0.0),
            throttle=_of_rows(Throttle, [machine.throttle for machine in machines], index, np.nan),
        )


def _of_rows(kind: type[Part], parts: Sequence[Part | None], index: NDArray[np.intp], missing: float) -> Part | None:
    """Return a part of machines of one row each as the rows of one table; a number where one has none."""
    if all(part is None for part in parts):
        return None
    none = kind(*(np.full(1, missing) for _ in fields(kind)))
    rows = [part or none for part in parts]
    return kind(**{one.name: np.concatenate([getattr(row, one.name) for row in rows])[index] for one in fields(kind)})
