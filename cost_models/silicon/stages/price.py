"""Production cost, price and embodied carbon of a table of designs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cost_models.silicon import area, carbon, cost, dies
from cost_models.silicon.stages.supply import Powered
from cost_models.table import FloatArray, rows_where
from cost_models.tape import asarray


@dataclass(frozen=True)
class Priced(Powered):
    """Powered designs with what they cost to make."""

    @cached_property
    def exposed_mm2(self) -> FloatArray:
        """What of a die holds circuits: defects in blank silicon kill nothing."""
        return self.die_mm2 - self.areas["blank"]

    @cached_property
    def harvest(self) -> cost.Harvest | None:
        """Cores of which some may be bad; None where no core is spare."""
        spare = self.number("spare_cores")
        if not spare.any():
            return None
        in_cores = sum(self.areas[name] for name in area.CORE_BLOCKS)
        return cost.Harvest(core_fraction=in_cores / self.exposed_mm2, cores=self.number("cores"), spare_cores=spare)

    @cached_property
    def joined(self) -> cost.Joined | None:
        """What joining the dies of a package, and memory on top of them, takes; None where nothing is joined."""
        value, none, on_top_mm2 = self.technology.value, np.zeros(1), self.store.on_top_mm2
        if not self.several and not on_top_mm2.any():
            return None
        joined = cost.Joined(none, none, none, np.ones(1), none)
        if self.several:
            joined = cost.Joined(
                on_silicon=np.where(self.dies > 1, self.die_link("silicon_under_dies"), 0.0),
                bridges_usd=dies.joints(self.dies) * self.die_link("usd_per_joint"),
                attached_usd=(self.dies - 1) * value("multi_die.attach_usd"),
                good_fraction=dies.assembled_fraction(
                    self.dies,
                    bond_yield=self.die_link("bond_yield"),
                    known_good_fraction=value("multi_die.known_good_fraction"),
                ),
                memory=none,
            )
        if not on_top_mm2.any():
            return joined
        on_top = on_top_mm2 > 0
        return replace(
            joined,
            attached_usd=joined.attached_usd + on_top_mm2 * value("die_stacking.bond_usd_per_mm2"),
            good_fraction=joined.good_fraction * np.where(on_top, value("die_stacking.bond_yield"), 1.0),
            memory=np.where(on_top, 1.0, 0.0),
        )

    @cached_property
    def masks_usd(self) -> FloatArray:
        """What is paid in full once: masks, and a package of several dies."""
        masks = self.node("mask_set_usd")
        return masks + np.where(self.dies > 1, self.die_link("nre_usd"), 0.0) if self.several else masks

    @cached_property
    def memory_usd(self) -> FloatArray:
        """Price of all memory in the year of the prices."""
        factor = cost.memory_price_factor(self.economics.price_year, self.technology)
        systems = [self.first] if self.second is None else [self.first, self.second]
        return sum((one.price_usd * rows_where(one.on_interposer > 0, 1.0, factor) for one in systems), np.zeros(1))

    @cached_property
    def dollars(self) -> dict[str, FloatArray]:
        """Production cost in USD by block."""
        die = cost.die_blocks(
            self.die_mm2,
            exposed_mm2=self.exposed_mm2,
            wafer_usd=self.node("wafer_price_usd"),
            defects_per_cm2=self.node("defect_density_per_cm2"),
            yield_model=self.economics.yield_model,
            technology=self.technology,
            harvest=self.harvest,
        )
        if self.several:
            good = np.where(self.dies > 1, self.every_row("multi_die.known_good_die_test_factor"), 1.0)
            die = {"die": self.of_all_dies(die["die"]), "die_test": self.of_all_dies(die["die_test"]) * good}
        package = cost.package_blocks(
            self.logic_mm2,
            die_usd=die["die"] + die["die_test"],
            memory_usd=self.memory_usd,
            stacks=self.store.stacks,
            on_interposer=self.store.on_interposer,
            body_mm=self.package_limits["package_body_mm"][0],
            technology=self.technology,
            joined=self.joined,
        )
        second_rail = (self.number("supply_rails") > 1) * self.every_row("board_load.second_rail_usd")
        board = cost.board_usd(self.tdp_w, self.technology) + second_rail
        if "liquid" in self.choice("cooling").values:
            per_w = asarray(self.technology.value("board.liquid_cooling_usd_per_w"))
            board = board + self.tdp_w * per_w * self.choice("cooling").map(lambda name: float(name == "liquid"))
        return {**die, **package, "memory": self.memory_usd, "board": board}

    @cached_property
    def cost_usd(self) -> FloatArray:
        """Production cost."""
        return area.total(self.dollars)

    @cached_property
    def nre_usd(self) -> FloatArray:
        """Masks and design per unit."""
        return cost.nre_usd(
            mask_set_usd=self.masks_usd, design_nre_usd=self.node("design_nre_usd"), economics=self.economics
        )

    @cached_property
    def price_usd(self) -> FloatArray:
        """Selling price."""
        return cost.price_usd(
            self.cost_usd,
            mask_set_usd=self.masks_usd,
            design_nre_usd=self.node("design_nre_usd"),
            economics=self.economics,
        )

    @cached_property
    def embodied_kg(self) -> FloatArray:
        """CO2e of making die and memory."""
        good = cost.good_fraction(
            self.exposed_mm2,
            self.node("defect_density_per_cm2"),
            yield_model=self.economics.yield_model,
            technology=self.technology,
            harvest=self.harvest,
        )
        return carbon.die_kg(self.choice("node"), self.logic_mm2, good, self.technology) + self.store.embodied_kg
