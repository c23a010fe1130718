"""Dies of a table of designs: blocks and edge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cost_models.silicon import area
from cost_models.silicon.beachfront import Edge, least_die_mm2
from cost_models.silicon.stages.logic import Equipped
from cost_models.table import FloatArray, rows_where
from cost_models.tape import asarray
from cost_models.units import GIGA, MM2_PER_UM2

HOST_LANES = 16.0
"""Lanes that the parameters of the host interface are of."""


@dataclass(frozen=True)
class Placed(Equipped):
    """Equipped designs with their dies."""

    @cached_property
    def built(self) -> FloatArray:
        """Cores built over cores used."""
        return 1 + self.number("spare_cores") / self.number("cores")

    @cached_property
    def array_mm2(self) -> FloatArray:
        """Area of the units, with operand selection, queues and control of lanes where zeros are skipped."""
        skips = self.arithmetic.skips
        if not skips.any():
            return self.array.mm2
        factor = asarray(self.technology.value("execution.skip_area_factor"))
        skipping = self.array.mm2 * factor + self.lane_overheads.mm2
        return rows_where(skips > 0, skipping, self.array.mm2)

    @cached_property
    def rail_crossings(self) -> FloatArray:
        """Area of the SRAM with level shifters and a supply network of its own over that without."""
        several = self.number("supply_rails") > 1
        share = self.every_row("floorplan.second_rail_over_sram")
        return np.where(several, 1 + share, 1.0) if several.any() else np.ones(1)

    @cached_property
    def core_isolation_mm2(self) -> FloatArray:
        """Area of what lets bad cores be switched off; nothing where none is spare."""
        spare, cores = self.number("spare_cores"), self.number("cores")
        if not spare.any():
            return np.zeros(1)
        each = self.of_class("floorplan.core_isolation_mm2_n7") * self.node("logic_area_rel_n7")
        return np.where(spare > 0, (cores + spare) * each, 0.0)

    @cached_property
    def host_fraction(self) -> FloatArray:
        """Lanes of the host interface over those that its parameters are of."""
        return self.number("host_lanes") / HOST_LANES

    @cached_property
    def link_gbps(self) -> FloatArray:
        """Chip-to-chip bandwidth of one die."""
        return self.per_die(self.number("link_gbps"))

    @cached_property
    def interfaces(self) -> dict[str, FloatArray]:
        """Area of PHYs and controllers of one die; dies are alike, and so each has a host interface."""
        value = self.technology.value
        blocks = {
            "memory_interface": self.per_die(self.store.interface_mm2),
            "host_interface": self.every_row("interfaces.host_mm2") * self.host_fraction,
            "link_interface": self.link_gbps * value("interfaces.link_mm2_per_gbps"),
        }
        if self.several:
            blocks["die_link_interface"] = self.die_link_gbps * self.die_link("mm2_per_gbps")
        return blocks

    @cached_property
    def host_mm(self) -> FloatArray:
        """Edge that the host interface takes."""
        return self.every_row("interfaces.host_edge_mm") * self.host_fraction

    @cached_property
    def links_mm(self) -> FloatArray:
        """Edge that the links of one die take."""
        return asarray(self.link_gbps * self.technology.value("interfaces.link_edge_mm_per_gbps"))

    @cached_property
    def edge(self) -> Edge:
        """What wants a place along the edge of one die.

        Sides that face other dies are taken like links: a length without places of its own.
        """
        units = self.per_die(self.first.units)
        further_mm = self.edge_mm - units * self.first.unit_mm - self.host_mm
        first = (units, self.first.unit_mm, self.first.on_interposer, self.host_mm)
        if self.second is None:
            return Edge(*first, further_mm)
        beside = self.per_die(self.second.units)
        further_mm = np.maximum(further_mm - beside * self.second.unit_mm, 0.0)
        return Edge(*first, further_mm, beside, self.second.unit_mm, self.second.on_interposer)

    @cached_property
    def edges(self) -> dict[str, FloatArray]:
        """Edge of one die that interfaces take, in mm."""
        edges = {"memory": self.per_die(self.first.edge_mm), "host": self.host_mm, "links": self.links_mm}
        if self.second is not None:
            edges["second"] = self.per_die(self.second.edge_mm)
        if self.several:
            edges["die_links"] = self.die_link_gbps * self.die_link("edge_mm_per_gbps")
        return edges

    @cached_property
    def edge_mm(self) -> FloatArray:
        """Edge that all interfaces of a die take of its outline."""
        return self.outline_edge_mm(self.edges) if self.several else area.total(self.edges)

    @cached_property
    def least_mm2(self) -> FloatArray:
        """The least die that interfaces have a place along, and memory a place on."""
        by_edge = least_die_mm2(self.edge, self.technology)
        if not self.store.on_top_mm2.any():
            return by_edge
        return np.maximum(by_edge, self.per_die(self.store.on_top_mm2))

    @cached_property
    def array_edges_mm2(self) -> FloatArray:
        """Accumulators and operand queues beyond those of arrays of the usual side; below 0 for larger arrays."""
        if self.arrays is None:
            return np.zeros(1)
        usual = self.array_mm2 * self.built * self.of_class("floorplan.control_over_mac_array")
        return usual * (self.edge_over_usual - 1)

    @cached_property
    def areas(self) -> dict[str, FloatArray]:
        """Blocks of one die in mm2; they sum to it."""
        classes, logic = self.choice("architecture"), self.node("logic_area_rel_n7") * self.built
        lane_mm2 = self.of_class("floorplan.lane_um2_n7") * MM2_PER_UM2
        return area.area_blocks(
            classes,
            mac_array=self.per_die(self.array_mm2 * self.built),
            vector_unit=self.per_die(self.lanes * lane_mm2 * logic + self.array_edges_mm2),
            sram=self.per_die(
                self.number("sram_mib") * self.node("sram_mm2_per_mib") * self.built * self.rail_crossings
            ),
            interfaces=self.interfaces,
            gbps=self.distributed_gbps,
            weight_decoder=self.per_die(self.decoder.mm2),
            least_mm2=self.least_mm2,
            core_isolation=self.core_isolation_mm2,
            technology=self.technology,
        )

    @cached_property
    def distributed_gbps(self) -> FloatArray:
        """Bandwidth that the network of a die distributes: of memory, links and other dies."""
        entering = self.per_die(self.store.off_die_bytes_per_s / GIGA) + self.link_gbps
        return entering + self.die_link_gbps if self.several else entering

    @cached_property
    def die_mm2(self) -> FloatArray:
        """Area of one die."""
        return area.total(self.areas)

    @cached_property
    def logic_mm2(self) -> FloatArray:
        """Area of all dies."""
        return self.of_all_dies(self.die_mm2)
