"""Clocks and supplies of a table of designs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cost_models.library.technology import Technology
from cost_models.silicon import area, compute, power
from cost_models.silicon.cost import Economics
from cost_models.table import Choice, Column, FloatArray, Number
from cost_models.tape import asarray


@dataclass(frozen=True)
class Clocked:
    """A filled table of designs with its clocks and supplies."""

    columns: dict[str, Column]
    technology: Technology
    economics: Economics
    stored_bits: FloatArray | None

    def number(self, name: str) -> FloatArray:
        """Return a column of numbers."""
        column = self.columns[name]
        assert not isinstance(column, Choice)
        return column

    @cached_property
    def drawn_rows(self) -> int:
        """Rows of the parameters that are columns, 1 where none is: a name must be repeated to gather from them."""
        return max((len(sampled) for sampled in self.technology.columns().values()), default=1)

    def choice(self, name: str) -> Choice:
        """Return a column of names, a row per drawn parameter set."""
        column = self.columns[name]
        assert isinstance(column, Choice)
        if len(column) == 1 < self.drawn_rows:
            return Choice(column.values, np.broadcast_to(column.codes, self.drawn_rows))
        return column

    def node(self, field: str) -> FloatArray:
        """Return a field of the row's node."""
        return self.technology.of("nodes", self.choice("node"), field)

    def every_row(self, path: str) -> FloatArray:
        """Return a parameter as a column."""
        return np.atleast_1d(asarray(self.technology.value(path), dtype=np.float64))

    @cached_property
    def nominal_v(self) -> FloatArray:
        """Nominal supply of the node."""
        return self.node("vdd_nominal_v")

    def of_class(self, path: str) -> FloatArray:
        """Return the parameter of the row's class of architecture."""
        return area.of_class(self.choice("architecture"), path, self.technology)

    def given(self, name: str, otherwise: FloatArray) -> FloatArray:
        """Return a parameter, and something else where it is not given."""
        column = self.number(name)
        return np.where(np.isnan(column), otherwise, column) if np.isnan(column).any() else column

    @cached_property
    def curve(self) -> dict[str, Number]:
        """Parameters of the alpha-power law."""
        value = self.technology.value
        return {
            "threshold": value("clocking.threshold_over_nominal"),
            "alpha": value("clocking.alpha"),
            "guard": value("clocking.guard_over_nominal"),
        }

    @cached_property
    def nominal_clock_ghz(self) -> FloatArray:
        """The clock that a design of its class reaches at the nominal supply."""
        return self.node("nominal_clock_ghz") * self.of_class("clocking.clock_over_node")

    @cached_property
    def sustained_clock_ghz(self) -> FloatArray:
        """The clock at the design limit: the highest one where no other is given."""
        clock_ghz, sustained = self.number("clock_ghz"), self.number("sustained_clock_ghz")
        if np.isnan(sustained).all():
            return clock_ghz
        return np.minimum(np.where(np.isnan(sustained), clock_ghz, sustained), clock_ghz)

    @cached_property
    def least_v(self) -> FloatArray:
        """The least supply of the logic: that of the SRAM, unless it has a rail of its own."""
        value = self.technology.value
        sram, logic = (asarray(value(f"clocking.{name}")) for name in ("sram_least_over_nominal", "least_over_nominal"))
        return np.where(self.number("supply_rails") > 1, np.minimum(logic, sram), sram) * self.nominal_v

    def supply_at(self, clock_ghz: FloatArray) -> FloatArray:
        """Return the supply given, else the least that reaches a clock and at which the die works."""
        given = self.number("supply_v")
        if not np.isnan(given).any():
            return given
        needed = power.guarded_supply_ratio(clock_ghz / self.nominal_clock_ghz, **self.curve) * self.nominal_v
        return np.where(np.isnan(given), np.maximum(needed, self.least_v), given)

    @cached_property
    def supply_v(self) -> FloatArray:
        """The supply at the highest clock."""
        return self.supply_at(self.number("clock_ghz"))

    @cached_property
    def sustained_v(self) -> FloatArray:
        """The supply at the sustained clock."""
        if self.sustained_clock_ghz is self.number("clock_ghz"):
            return self.supply_v
        return self.supply_at(self.sustained_clock_ghz)

    @cached_property
    def sram_v(self) -> FloatArray:
        """The supply of the SRAM: of a rail of its own, or that of the logic."""
        least = asarray(self.technology.value("clocking.sram_least_over_nominal")) * self.nominal_v
        return np.maximum(self.supply_v, least)

    @cached_property
    def clocking(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """(used, allowed) of the clock at a given supply, and of the supply."""
        given, nominal = self.number("supply_v"), self.nominal_v
        highest = nominal * self.technology.value("clocking.highest_over_nominal")
        clock_ghz = self.number("clock_ghz")
        if np.isnan(given).all():
            reached = np.array([np.inf])
        else:
            reached = self.nominal_clock_ghz * power.guarded_clock_ratio(self.supply_v / nominal, **self.curve)
            reached = np.where(np.isnan(given), np.inf, reached)
        return {"clock_ghz": (clock_ghz, reached), "supply_v": (self.supply_v, highest)}

    @cached_property
    def at_limit(self) -> FloatArray:
        """Dynamic energy at the sustained clock over that at the highest one."""
        if self.sustained_v is self.supply_v:
            return np.ones(1)
        return asarray((self.sustained_v / self.supply_v) ** 2)

    @cached_property
    def scales(self) -> compute.Scales:
        """Area and energy of logic over those at N7, voltage included."""
        voltage = power.dynamic_scale(self.supply_v, self.nominal_v) * self.of_class("model_error.power")
        return compute.Scales(self.node("logic_area_rel_n7"), self.node("logic_energy_rel_n7"), voltage)
