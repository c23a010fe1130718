"""Real chips as designs: typed as an architect would, evaluated by the path that designs take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cost_models.evaluate.serve import designs_machine
from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.quantities.parameters import PARAMETERS
from cost_models.silicon.cost import Economics
from cost_models.silicon.machine import Machine
from cost_models.table import Choice, Column, FloatArray
from dse.validation.silicon.rows import read_checks


@dataclass(frozen=True)
class RealChips:
    """Chips of ``designs.csv``.

    Attributes:
        table: their rows.
        designs: the columns that are parameters of a design.
    """

    table: pd.DataFrame
    designs: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.table)

    def numbers(self, column: str) -> FloatArray:
        """Return a column of published numbers, NaN where nothing is published."""
        return self.table[column].to_numpy(dtype=np.float64)

    def repeated(self, times: int) -> RealChips:
        """Return the chips several times, one set after the other."""
        columns: dict[str, Column] = {
            name: Choice(column.values, np.tile(column.codes, times)) if isinstance(column, Choice)
            else np.tile(column, times)
            for name, column in self.designs.items()
        }  # fmt: skip
        return RealChips(pd.concat([self.table] * times, ignore_index=True), columns)

    @property
    def dies(self) -> Sequence[str]:
        """The die of each chip: what is left out together."""
        return [str(die) for die in self.table["die"]]


def real_chips(library: Library) -> RealChips:
    """Return the real chips of the library with the inputs that stand for them."""
    table = read_checks("designs", library)
    columns: dict[str, Column] = {}
    for name, parameter in PARAMETERS.items():
        if name not in table:
            continue
        if parameter.is_choice:
            columns[name] = Choice.of(*(str(value) for value in table[name]))
        else:
            columns[name] = table[name].to_numpy(dtype=np.float64)
    return RealChips(table, columns)


def machines_of(chips: RealChips, technology: Technology) -> Machine:
    """Return the machines of the chips, one row each."""
    return designs_machine(chips.designs, technology, Economics.of(technology.library))


def predicted_area_mm2(chips: RealChips, technology: Technology) -> FloatArray:
    """Return the area of each die."""
    return np.broadcast_to(machines_of(chips, technology).die_mm2, len(chips))


def predicted_power_w(chips: RealChips, technology: Technology) -> FloatArray:
    """Return the power of each chip in the scope of its published parameter.

    A board's is ``tdp_w``. A package's leaves out the loads of the board, and its memory unless that is in it.
    """
    return scoped_power_w(chips, machines_of(chips, technology), technology.library)


def scoped_power_w(chips: RealChips, machine: Machine, library: Library) -> FloatArray:
    """Return the same from machines of the chips."""
    watts, memory = machine.blocks["tdp_w"], chips.designs["memory"]
    assert isinstance(memory, Choice)
    beside = memory.map(
        lambda name: float(library.memories[library.memory_grade(name).technology].packaging_class == "board")
    )
    package = (chips.table["power_scope"] == "package").to_numpy(dtype=np.float64)
    outside = watts["board"] + watts["conversion_loss"] + beside * (watts["memory"] + watts["memory_idle"])
    return np.asarray(machine.tdp_w - package * outside)
