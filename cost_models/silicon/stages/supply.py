"""Energies, power and physical limits of a table of designs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cost_models.silicon import area, dies, power
from cost_models.silicon.machine import Throttle
from cost_models.silicon.stages.floorplan import Placed
from cost_models.table import FloatArray
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, GIGA, PICO

LEAST_OVERDRIVE = 1e-3
"""Least supply above the threshold, over the nominal one, at which a clock is asked for."""


@dataclass(frozen=True)
class Powered(Placed):
    """Placed designs with the power that they draw and the limits that they meet."""

    @cached_property
    def moved_j_per_byte(self) -> FloatArray:
        """On-die energy of a byte from the memory's interface to the arrays: bank and wires."""
        return self.on_die_j_per_byte(self.die_mm2 * self.store.crossing**2)

    def on_die_j_per_byte(self, die_mm2: FloatArray) -> FloatArray:
        """Return the energy of a byte that crosses a die of some area."""
        return power.stream_j_per_byte(
            die_mm2,
            scales=self.scales,
            sram_voltage=power.dynamic_scale(self.sram_v, self.nominal_v) * self.of_class("model_error.power"),
            technology=self.technology,
        )

    @cached_property
    def moved_w(self) -> FloatArray:
        """Power of all memories' bytes on the die at the highest clock; those of the SRAM cross no more than a bank."""
        bandwidth = self.store.bandwidth_bytes_per_s
        if self.second is None:
            return bandwidth * self.moved_j_per_byte
        inside, outside = bandwidth - self.store.off_die_bytes_per_s, self.store.off_die_bytes_per_s
        return inside * self.on_die_j_per_byte(np.zeros(1)) + outside * self.on_die_j_per_byte(self.die_mm2)

    @cached_property
    def memory_w(self) -> FloatArray:
        """Power of all memories' bytes: those of the first on its pins, or inside of it where that takes more."""
        if self.banks is None:
            return self.store.bandwidth_bytes_per_s * self.store.j_per_byte
        units, second_w = self.banks.units, np.zeros(1)
        if self.second is not None:
            second_w = self.second.bandwidth_bytes_per_s * self.second.j_per_byte
        outside = self.first.bandwidth_bytes_per_s * self.first.j_per_byte
        return np.maximum(outside, units.bytes_per_s * units.j_per_byte) + second_w

    @cached_property
    def stream_j_per_byte(self) -> FloatArray:
        """On-die energy of a streamed byte as programs run, by class of architecture."""
        classes = self.choice("architecture")
        if area.PROGRAMMABLE not in classes.values:
            return self.moved_j_per_byte
        programmable = classes.map(lambda name: float(name == area.PROGRAMMABLE)) > 0
        measured = power.programmable_stream_j_per_byte(self.technology)
        return np.where(programmable, measured, self.moved_j_per_byte)

    @cached_property
    def host_bytes_per_s(self) -> FloatArray:
        """Bandwidth of the host interface, one way."""
        return self.number("host_lanes") * self.every_row("interfaces.host_gbps_per_lane") * GIGA

    @cached_property
    def link_bytes_per_s(self) -> FloatArray:
        """Bandwidth of the links, one way."""
        return self.number("link_gbps") * GIGA

    @cached_property
    def link_j_per_byte(self) -> FloatArray:
        """Energy of a byte sent."""
        pj_per_bit = self.every_row("noc_energy.die_to_die_pj_per_bit.serdes_112g_long_reach")
        return pj_per_bit * (PICO * BITS_PER_BYTE)

    @cached_property
    def links_w(self) -> FloatArray:
        """Power of every link sending, between chips and between dies."""
        watts = self.link_bytes_per_s * self.link_j_per_byte
        return watts + self.dies * self.die_link_bytes_per_s * self.die_link_j_per_byte if self.several else watts

    @cached_property
    def conversion_efficiency(self) -> FloatArray:
        """Power delivered over power drawn."""
        return self.every_row("board.vrm_efficiency")

    @cached_property
    def junction_c(self) -> FloatArray:
        """Temperature of the die."""
        return self.choice("cooling").map(lambda name: self.technology.value(f"thermal.junction_c.{name}"))

    @cached_property
    def lane_j(self) -> FloatArray:
        """Energy of a lane in a busy cycle."""
        return asarray(self.of_class("on_chip.lane_pj_n7") * self.scales.energy * PICO)

    @cached_property
    def vector_j_per_op(self) -> FloatArray:
        """Energy of an operation on the vector units; in `stream_j_per_byte` where that was measured."""
        classes = self.choice("architecture")
        if area.PROGRAMMABLE not in classes.values:
            return self.lane_j
        return asarray(self.lane_j * classes.map(lambda name: float(name != area.PROGRAMMABLE)))

    @cached_property
    def lane_w(self) -> FloatArray:
        """Power of the lanes at the highest clock, each busy in every cycle."""
        return asarray(self.lanes * self.number("clock_ghz") * GIGA * self.lane_j)

    @cached_property
    def leakage_w(self) -> FloatArray:
        """Leakage at the sustained clock's supply, of all silicon that is not blank."""
        value = self.technology.value
        return power.leakage_w(
            self.logic_mm2 - self.of_all_dies(self.areas["blank"]),
            self.node("leakage_w_per_mm2"),
            self.sustained_v,
            self.nominal_v,
            warmer_c=self.junction_c - asarray(value("thermal.leakage_reference_c")),
            doubling_c=value("thermal.leakage_doubling_c"),
        )

    @cached_property
    def throttle(self) -> Throttle:
        """What a lower clock saves; a supply that is given does not follow it."""
        guard, nominal_v = self.every_row("clocking.guard_over_nominal"), self.nominal_v
        threshold = self.every_row("clocking.threshold_over_nominal")
        highest, least = ((volts / nominal_v - guard) / (1 - guard) for volts in (self.supply_v, self.least_v))
        highest = np.maximum(highest, threshold + LEAST_OVERDRIVE)
        lowest = np.clip(least, threshold + LEAST_OVERDRIVE, highest)
        return Throttle(
            highest=highest,
            least=np.where(np.isnan(self.number("supply_v")), lowest, highest),
            threshold=threshold,
            alpha=self.every_row("clocking.alpha"),
            guard=guard,
            leakage_w=self.leakage_w,
        )

    @cached_property
    def watts(self) -> dict[str, FloatArray]:
        """The design limit: everything busy at the sustained clock."""
        bandwidth, core = self.store.bandwidth_bytes_per_s, self.at_limit
        if self.sustained_clock_ghz is not self.number("clock_ghz"):
            core = core * self.sustained_clock_ghz / self.number("clock_ghz")
        return power.power_blocks(
            mac_array=self.array.passes_per_s * self.array.j_per_pass * self.busiest * core,
            vector=self.lane_w * core,
            memory=self.memory_w,
            on_chip=self.moved_w * self.at_limit,
            weight_decoder=bandwidth * self.decoder.j_per_byte * self.at_limit,
            links=self.links_w,
            leakage=self.leakage_w,
            memory_idle=self.store.idle_w,
            board=self.every_row("board_load.fixed_w"),
            conversion_efficiency=self.conversion_efficiency,
        )

    @cached_property
    def tdp_w(self) -> FloatArray:
        """The design limit."""
        return area.total(self.watts)

    @cached_property
    def package_limits(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """(used, allowed) of what the package can carry."""
        delivered_w = area.total({name: self.watts[name] for name in ("mac_array", "vector", "on_chip", "leakage")})
        limits = area.package_limits(
            self.die_mm2,
            logic_mm2=self.logic_mm2,
            board_memory_bits=self.store.board_bits,
            board_devices=self.store.board_devices,
            stacks=self.per_die(self.store.stacks),
            link_gbps=self.number("link_gbps"),
            supply_w=delivered_w,
            supply_v=self.sustained_v,
            technology=self.technology,
        )
        return self.of_carriers(limits) if self.several else limits

    def of_carriers(self, limits: dict[str, tuple[FloatArray, FloatArray]]) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Return the limits of a die's own carrier as those of what dies stand on, some of them on one together."""
        value, together = self.technology.value, self.on_one_carrier > 0
        stacks, long_sides = limits["stack_edge_mm"]
        alone, most = limits["interposer_mm2"]
        silicon = self.logic_mm2 + self.store.stacks * value("assembly.stack_footprint_mm2")
        shared = silicon * value("packaging.silicon_interposer.area_over_sum_of_dies")
        largest = most * self.die_link("most_over_interposer")
        return {
            **limits,
            "stack_edge_mm": (stacks, long_sides * np.where(dies.facing_sides(self.dies) > 1, 0.5, 1.0)),
            "interposer_mm2": (np.where(together, shared, alone), np.where(together, largest, most)),
        }

    @cached_property
    def limits(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """(used, allowed) of every physical limit, by name."""
        floorplan = area.floorplan_limits(
            self.die_mm2,
            edge_mm=self.edge_mm,
            tdp_w=self.per_die(self.tdp_w),
            cooling=self.choice("cooling"),
            technology=self.technology,
        )
        if self.store.on_top_mm2.any():
            # DRAM on top is in the way of the heat, and may not become as hot as logic.
            used, bare = floorplan["heat_w_per_mm2"]
            factor = self.every_row("die_stacking.heat_over_bare")
            floorplan["heat_w_per_mm2"] = (used, np.where(self.store.on_top_mm2 > 0, bare * factor, bare))
        not_offered = self.store.not_offered
        if self.several:
            # Alike dies have alike numbers of devices.
            not_offered = np.maximum(not_offered, self.first.off_die * (self.number("memory_devices") % self.dies > 0))
            if self.second is not None:
                uneven = self.second.off_die * (self.number("second_memory_devices") % self.dies > 0)
                not_offered = np.maximum(not_offered, uneven)
        return {
            **floorplan,
            **self.package_limits,
            **self.clocking,
            "sram_mib": (self.least_sram_mib, self.number("sram_mib")),
            "memory_device": (not_offered, np.zeros_like(not_offered)),
        }
