"""How the designs of a table are divided into dies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cost_models.silicon import dies
from cost_models.silicon.stages.clocking import Clocked
from cost_models.table import FloatArray, Number
from cost_models.units import BITS_PER_BYTE, GIGA, NANO, PICO


@dataclass(frozen=True)
class Divided(Clocked):
    """Clocked designs with the dies of their packages; blocks and edges of later stages are those of one die."""

    @cached_property
    def dies(self) -> FloatArray:
        """Dies of a package."""
        return self.number("dies")

    @cached_property
    def several(self) -> bool:
        """Whether any package has more than one die."""
        return bool((self.dies > 1).any())

    def per_die(self, amount: FloatArray) -> FloatArray:
        """Return what each die has of an amount."""
        return amount / self.dies if self.several else amount

    def of_all_dies(self, amount: FloatArray) -> FloatArray:
        """Return what all dies have together of an amount of each."""
        return amount * self.dies if self.several else amount

    def die_link(self, field: str) -> FloatArray:
        """Return a parameter of what joins the dies."""
        return self.technology.of("die_links", self.choice("die_link"), field)

    @cached_property
    def die_link_gbps(self) -> FloatArray:
        """Bandwidth between a die and the others, one way; none where there are no others."""
        return np.where(self.dies > 1, self.number("die_link_gbps"), 0.0)

    @cached_property
    def die_link_bytes_per_s(self) -> FloatArray:
        """The same in bytes per second."""
        return self.die_link_gbps * GIGA

    @cached_property
    def die_link_j_per_byte(self) -> FloatArray:
        """Energy of a byte sent to another die."""
        return self.die_link("pj_per_bit") * (PICO * BITS_PER_BYTE) if self.several else np.zeros(1)

    @cached_property
    def die_step_s(self) -> FloatArray:
        """Time of one step of an exchange between dies beside its bytes."""
        return self.every_row("multi_die.step_ns") * NANO if self.several else np.zeros(1)

    def outline_edge_mm(self, edges: dict[str, FloatArray]) -> FloatArray:
        """Return the edge that the interfaces of one die take of its outline, sides that face other dies taken off."""
        outward = sum((edge for name, edge in edges.items() if name != "die_links"), np.zeros(1))
        ratio: Number = self.technology.value("floorplan.aspect_ratio")
        return dies.outline_edge_mm(outward, edges["die_links"], dies=self.dies, aspect_ratio=ratio)

    @cached_property
    def on_one_carrier(self) -> FloatArray:
        """1 where silicon lies under all dies of a package together, 0 where each die stands for itself."""
        return np.where(self.dies > 1, self.die_link("shared_carrier"), 0.0)
