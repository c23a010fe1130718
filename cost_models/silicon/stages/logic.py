"""Arithmetic, weight decoders and memory of a table of designs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.silicon import compute, memory, near_memory
from cost_models.silicon.machine import Arrays, SecondMemory
from cost_models.silicon.stages.dies import Divided
from cost_models.table import INACTIVE, FloatArray, Number, rows_where
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, KIB, MIB, NANO
from cost_models.weights import activations
from cost_models.weights.execution import Lanes
from cost_models.weights.weight_storage import Storage


@dataclass(frozen=True)
class Equipped(Divided):
    """Divided designs with their arrays, decoders and memory."""

    @cached_property
    def store(self) -> memory.MemorySystem:
        """All memory of the board."""
        return self.first if self.second is None else memory.together(self.first, self.second)

    @cached_property
    def second(self) -> memory.MemorySystem | None:
        """The memory behind the first; None where no design has one."""
        grade = self.choice("second_memory")
        absent = grade.codes == INACTIVE
        if absent.all():
            return None
        system = memory.memory_system(
            grade.filled(grade.values[0]),
            devices=self.number("second_memory_devices"),
            sram_mib=np.zeros(1),
            clock_ghz=self.number("clock_ghz"),
            device_bits=self.number("second_memory_device_bits"),
            device_gib=self.number("second_memory_device_gib"),
            technology=self.technology,
        )
        return memory.none_where(absent | (system.off_die == 0), system)

    @property
    def experts_alike(self) -> NDArray[np.bool_]:
        """Whether no format but that of the other weights is named for routed experts."""
        experts, weights = self.choice("expert_format"), self.choice("weight_format")
        if (experts.codes == INACTIVE).all():
            return np.ones(1, dtype=bool)
        return asarray((experts.codes == INACTIVE) | (experts.names() == weights.names()))

    @cached_property
    def banks(self) -> near_memory.Banks | None:
        """Units beside the banks of the first memory; None where no design has any."""
        return near_memory.banks(
            memory.memory_technology(self.choice("memory"), self.technology.library),
            self.first_devices,
            self.storage,
            stored_bits=self.stored_bits,
            act_bits=self.number("act_bits"),
            kv_bits=self.number("kv_bits"),
            decoder=self.number("memory_decoder"),
            alike=asarray(self.experts_alike, dtype=np.float64),
            technology=self.technology,
        )

    @cached_property
    def first(self) -> memory.MemorySystem:
        """The memory that a design cannot do without."""
        return near_memory.with_decoders(self.first_devices, self.banks)

    @cached_property
    def first_devices(self) -> memory.MemorySystem:
        """Its devices, without decoders beside their banks."""
        return memory.memory_system(
            self.choice("memory"),
            devices=self.number("memory_devices"),
            sram_mib=self.number("sram_mib"),
            clock_ghz=self.number("clock_ghz"),
            device_bits=self.number("memory_device_bits"),
            device_gib=self.number("memory_device_gib"),
            technology=self.technology,
        )

    @cached_property
    def read_mostly_bytes(self) -> FloatArray:
        """Capacity that holds nothing which is written at every step."""
        first = self.first.capacity_bytes * self.first.read_mostly
        return first if self.second is None else first + self.second.capacity_bytes * self.second.read_mostly

    @cached_property
    def second_memory(self) -> SecondMemory | None:
        """What a machine is told of the memory behind the first."""
        if self.second is None:
            return None
        return SecondMemory(
            bytes_per_s=self.second.bandwidth_bytes_per_s * self.second.stream_efficiency,
            capacity_bytes=self.second.capacity_bytes,
            j_per_byte=self.second.j_per_byte,
            read_mostly=self.second.read_mostly,
        )

    @cached_property
    def storage(self) -> Storage:
        """How weights are stored."""
        return Storage.of({**self.columns, "weight_format": self.choice("weight_format")}, self.technology.library)

    @cached_property
    def float_activations(self) -> FloatArray:
        """1 where activations of fewer than 16 bits are floating-point numbers, else 0."""
        narrow_bits = activations.narrow(self.number("act_bits"), self.technology)
        if not narrow_bits.any():
            return np.zeros(1)
        methods = activations.act_methods(self.columns, self.storage)
        return activations.is_method(methods, activations.FLOATING) * narrow_bits

    @cached_property
    def arrays(self) -> Arrays | None:
        """Shape of the systolic arrays; None where no design says it."""
        rows, columns = self.number("array_rows"), self.number("array_columns")
        if np.isnan(rows).all() and np.isnan(columns).all():
            return None
        side = self.every_row("on_chip.array_side")
        told = ~(np.isnan(rows) & np.isnan(columns))
        return Arrays(
            macs=self.number("macs"),
            rows=np.where(told, np.where(np.isnan(rows), side, rows), np.nan),
            columns=np.where(np.isnan(columns), side, columns),
            outputs_stay=self.choice("dataflow").map(lambda name: float(name == "outputs")),
        )

    @cached_property
    def edge_over_usual(self) -> FloatArray:
        """Rows and columns over units, over those of arrays of the usual side: what stands along an array's edges."""
        if self.arrays is None:
            return np.ones(1)
        over = (1 / self.arrays.rows + 1 / self.arrays.columns) / 2 * self.every_row("on_chip.array_side")
        return np.where(np.isnan(self.arrays.rows), 1.0, over)

    @cached_property
    def delivery(self) -> Number:
        """Energy of a multiply-accumulate with its operands over the bare one; operands enter at an array's edges."""
        usual = self.technology.value("mac_n7.operand_delivery_factor")
        if self.arrays is None:
            return usual
        further = asarray(usual) - 1
        return np.where(self.edge_over_usual == 1, usual, 1 + further * self.edge_over_usual)

    @cached_property
    def array(self) -> compute.MacArray:
        """The MAC array, what the formats add to its units included."""
        units, technology = self.choice("mac_format"), self.technology
        array = compute.mac_array(
            units,
            macs=self.number("macs"),
            clock_ghz=self.number("clock_ghz"),
            delivery=self.delivery,
            scales=self.scales,
            technology=technology,
        )
        factor = compute.float_factor(self.storage, units, self.float_activations, technology)
        return replace(array, mm2=array.mm2 * factor, j_per_pass=array.j_per_pass * factor)

    @cached_property
    def skip_lanes(self) -> Lanes:
        """Lanes of units that skip zeros."""
        return Lanes(self.number("lanes"), self.number("lane_block"), self.number("lane_depth"))

    @cached_property
    def lane_overheads(self) -> compute.LaneOverheads:
        """What queues and control of lanes take."""
        return compute.lane_overheads(
            self.storage,
            self.array,
            macs=self.number("macs"),
            act_bits=self.number("act_bits"),
            lanes=self.skip_lanes,
            sram_mm2_per_mib=self.node("sram_mm2_per_mib"),
            scales=self.scales,
            technology=self.technology,
        )

    @cached_property
    def lanes(self) -> FloatArray:
        """Lanes of the vector units."""
        return self.given("vector_lanes", self.number("macs") / self.of_class("floorplan.macs_per_lane"))

    @cached_property
    def decoder(self) -> compute.Decoder:
        """Dequantizing of stored weights, as fast as the memory is."""
        return compute.weight_decoder(
            self.storage,
            bytes_per_s=self.store.bandwidth_bytes_per_s,
            clock_ghz=self.number("clock_ghz"),
            stored_bits=self.stored_bits,
            scales=self.scales,
            technology=self.technology,
        )

    @cached_property
    def arithmetic(self) -> compute.Arithmetic:
        """How weights are executed on the array."""
        uses = compute.arithmetic(
            self.storage,
            self.array,
            act_bits=self.number("act_bits"),
            kv_bits=self.number("kv_bits"),
            attention_act_bits=self.technology.value("serving.activation_bits"),
            technology=self.technology,
            chosen=self.choice("weight_execution"),
            lanes=self.skip_lanes,
        )
        if not uses.skips.any():
            return uses
        # A pass that is not skipped has its operands queued as well.
        kept = self.storage.map(lambda form: 1 - asarray(form.sparsity))
        whole = compute.passes(self.storage.map(lambda form: form.operand_bits), self.number("act_bits"), self.array)
        queued = rows_where(uses.skips > 0, self.lane_overheads.j_per_pass / self.array.j_per_pass * whole * kept, 0.0)
        return replace(uses, linear_energy=uses.linear_energy + queued)

    @cached_property
    def dequantize_rows(self) -> FloatArray:
        """Rows that an dequantized weight serves."""
        return self.every_row("execution.dequantize_rows") if self.arithmetic.dequantize_macs.any() else np.ones(1)

    @cached_property
    def busiest(self) -> FloatArray:
        """Energy per cycle of the most a unit does over that of a plain pass; above 1 where operands are selected."""
        return np.maximum(self.arithmetic.linear_energy / self.arithmetic.linear, 1.0)

    @cached_property
    def least_sram_mib(self) -> FloatArray:
        """SRAM that an array cannot work without: room for what it holds, and ports that keep it fed.

        Room: operand buffers, bytes in flight from the memory and a tile of activations on each die. Ports: square
        arrays of a side take an activation per row and return a sum per column in each cycle.
        """
        value = self.technology.value
        operands = self.of_all_dies(compute.operand_buffer_bytes(self.array, self.per_die(self.number("macs"))))
        in_flight = self.store.bandwidth_bytes_per_s * (asarray(value("on_chip.memory_latency_ns")) * NANO)
        width = self.number("act_bits") / asarray(value("serving.activation_bits"))
        tile = self.of_all_dies(asarray(value("on_chip.activation_tile_kib")) * KIB * width)
        room = (operands + in_flight + tile) / MIB
        return asarray(np.maximum(room, self.fed_bytes / value("on_chip.buffer_bytes_per_cycle_per_mib")))

    @cached_property
    def fed_bytes(self) -> FloatArray:
        """Bytes that cross the edges of all arrays in a cycle: an activation per row, a sum (or weight) per column."""
        value, macs = self.technology.value, self.number("macs")
        activation, result = self.array.activation_bits, asarray(value("on_chip.sum_bits"))
        usual = macs / value("on_chip.array_side") * ((activation + result) / BITS_PER_BYTE)
        if self.arrays is None:
            return asarray(usual)
        at_columns = np.where(self.arrays.outputs_stay > 0, self.array.weight_bits, result)
        told = macs * (activation / self.arrays.columns + at_columns / self.arrays.rows) / BITS_PER_BYTE
        return np.where(np.isnan(self.arrays.rows), usual, told)
