"""The design space of a sweep: unit cube to designs and back, and its grid.

A design is one row of a table of columns (`cost_models.table.Table`). Every parameter that the sweep leaves
free has one coordinate in the unit cube, whatever conditions it stands under; a parameter that does not apply in a
row is NaN there (`INACTIVE` for names), its coordinate is ignored, and models take the parameter's default.
Two rows are the same design if their active values are equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from cost_models.quantities.columns import PREFILL_PREFIX, TECHNOLOGY_PREFIX
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from cost_models.table import Designs, FloatArray, Table
from dse.errors import Issue, Place, SpecError
from dse.space.codecs import Codec, cells
from dse.space.grid import Grid
from dse.space.parameters import SpaceParameter, holds_in, parameters_of
from dse.sweep import ParameterSpec, Spec
from dse.sweep.library_additions import library_of

__all__ = ["Space", "SpaceParameter"]


class Space:
    """The designs that a sweep allows.

    Args:
        spec: the checked sweep.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self.parameters: Mapping[str, SpaceParameter] = parameters_of(spec.space, sorted(spec.space, key=_rank))
        self._order = tuple(TopologicalSorter({name: p.needs for name, p in self.parameters.items()}).static_order())
        self._requested = frozenset(name for parameter in self.parameters.values() for name in parameter.needs)
        self._coordinate = {name: index for index, name in enumerate(self.dimensions)}

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The free parameters, in the order of the coordinates (that of the registry, not of the file)."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.is_free)

    @cached_property
    def fixed(self) -> Mapping[str, float | str]:
        """Parameters with one value in every design, and that value."""
        fixed: dict[str, float | str] = {}
        for name, parameter in self.parameters.items():
            if not parameter.is_free and not parameter.is_conditional:
                level = parameter.only_level
                fixed[name] = parameter.names[int(level)] if parameter.names else level
        return fixed

    def declared(self, name: str) -> tuple[ParameterSpec, ...]:
        """Return what the sweep says of a parameter: declarations of which at most one holds for a design."""
        return tuple(self._spec.space[name])

    def place_of(self, path: str) -> Place:
        """Return where a key of the sweep stands (see `Spec.place_of`)."""
        return self._spec.place_of(path)

    # -- unit cube ----------------------------------------------------------------------------------------------

    def decode(self, unit: FloatArray) -> Table:
        """Return the designs at points of the unit cube.

        Args:
            unit: ``(n, dimensions)`` in ``[0, 1]``; coordinates of inactive parameters are ignored.

        Raises:
            ValueError: another shape, or a coordinate outside of the cube.
        """
        unit = np.asarray(unit, dtype=np.float64)
        if unit.ndim != 2 or unit.shape[1] != len(self.dimensions):
            raise ValueError(f"unit must have the shape (n, {len(self.dimensions)}), got {unit.shape}")
        if unit.size and not (unit.min() >= 0 and unit.max() <= 1):
            raise ValueError("unit must lie in [0, 1]")
        unit = np.asfortranarray(unit)  # coordinates are read one by one
        numbers: dict[str, FloatArray] = {}
        for name in self._order:
            numbers[name] = self._decoded(self.parameters[name], self._own(name, unit), numbers)
        return self._columns(numbers)

    def _own(self, name: str, unit: FloatArray) -> FloatArray:
        """Return the coordinates of a parameter; anywhere where it has none, as there is nothing to choose."""
        return unit[:, self._coordinate[name]] if self.parameters[name].is_free else np.zeros(len(unit))

    def _decoded(self, parameter: SpaceParameter, unit: FloatArray, numbers: Mapping[str, FloatArray]) -> FloatArray:
        if not parameter.is_conditional:
            if not parameter.is_free:
                return np.broadcast_to(parameter.only_level, unit.shape)
            (alternative,) = parameter.alternatives
            return alternative.codec.decode(unit)
        held = [holds_in(alternative, numbers, len(unit)) for alternative in parameter.alternatives]
        if parameter.is_enumerable:
            which = np.zeros(len(unit), dtype=np.int16)
            for place, holds in enumerate(held, start=1):
                which += np.multiply(holds, place, dtype=np.int16)
            return parameter.listed(unit, which.astype(np.intp))
        values = np.full(unit.shape, np.nan)
        for alternative, holds in zip(parameter.alternatives, held, strict=True):
            values[holds] = alternative.codec.decode(unit[holds])
        return values

    def encode(self, designs: Designs) -> FloatArray:
        """Return ``(n, dimensions)`` points of the unit cube that decode to `designs`.

        Discrete values are put in the middle of their cell, inactive ones at 0.5; a number that the space does not
        hold is taken to the nearest it does. `decode` of the result returns designs of this space unchanged
        (continuous values to the last digits).
        """
        rows = Table(designs).rows
        numbers = {name: p.numbers(designs[name]) for name, p in self.parameters.items()}
        unit = np.full((rows, len(self.dimensions)), 0.5)
        for name in self.dimensions:
            for alternative in self.parameters[name].alternatives:
                holds = holds_in(alternative, numbers, rows) & ~np.isnan(numbers[name])
                unit[holds, self._coordinate[name]] = alternative.codec.encode(numbers[name][holds])
        return np.asarray(np.clip(unit, 0.0, 1.0))

    def snapped(self, unit: FloatArray) -> FloatArray:
        """Return points of the unit cube moved to the middle of their cells, so that equal designs are equal points.

        The same as `encode` of `decode`, without the values between them where no condition asks for them.
        """
        numbers: dict[str, FloatArray] = {}
        points = np.full(unit.shape, 0.5)
        places, counts, starts, middles = self._lists
        points[:, places] = middles.take(starts + cells(unit[:, places], counts))
        for name in self._order:
            parameter, own = self.parameters[name], self._own(name, unit)
            if name in self._requested:
                numbers[name] = self._decoded(parameter, own, numbers)
            if parameter.is_free and self._coordinate[name] not in places:
                for alternative in parameter.alternatives:
                    holds = holds_in(alternative, numbers, len(unit)) if parameter.is_conditional else slice(None)
                    points[holds, self._coordinate[name]] = alternative.codec.snapped(own[holds])
        return np.asarray(np.clip(points, 0.0, 1.0))

    @cached_property
    def _lists(self) -> tuple[list[int], FloatArray, NDArray[np.intp], FloatArray]:
        """The coordinates of lists without a condition, how long each is, and the middles of their cells on end."""
        codecs = {
            self._coordinate[name]: parameter.alternatives[0].codec
            for name in self.dimensions
            if not (parameter := self.parameters[name]).is_conditional and parameter.is_enumerable
        }
        middles = [codec.encode(codec.levels) for codec in codecs.values() if codec.levels is not None]
        counts = np.array([len(each) for each in middles], dtype=np.intp)
        return [*codecs], counts.astype(np.float64), np.cumsum(counts) - counts, np.concatenate([np.empty(0), *middles])

    def _columns(self, numbers: Mapping[str, FloatArray]) -> Table:
        return Table({name: parameter.column(numbers[name]) for name, parameter in self.parameters.items()})

    # -- grid ---------------------------------------------------------------------------------------------------

    @cached_property
    def _grid(self) -> Grid:
        endless = [name for name, p in self.parameters.items() if not p.is_enumerable]
        if endless:
            places = {name: self._spec.place_of(f"space.{name}") for name in endless}
            what, perhaps = "a range that cannot be enumerated", "add step or levels"
            raise SpecError(Issue(places[name], f"space.{name}", what, perhaps=perhaps) for name in endless)
        return Grid({name: self.parameters[name] for name in self._order})

    @property
    def grid_size(self) -> int:
        """Number of distinct designs; inactive parameters do not multiply.

        Raises:
            SpecError: a range has neither `step` nor `levels`.
        """
        return self._grid.size

    @property
    def grid_groups(self) -> tuple[tuple[tuple[str, ...], int], ...]:
        """The parameters that depend on one another and the number of their combinations, group by group.

        The grid holds every combination of one row of each group; the last group varies fastest.
        """
        return tuple(zip(self._grid.names, self._grid.sizes, strict=True))

    def grid_places(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return which row of each group the designs of the enumeration are made of."""
        return self._grid.places(rows)

    def grid_at(self, places: Sequence[NDArray[np.int64]]) -> Table:
        """Return designs made of rows of the groups; a column is as long as the places of its group."""
        return self._columns(self._grid.at(places))

    @property
    def is_enumerable(self) -> bool:
        """Whether every range has levels, so that the space has a grid."""
        return all(parameter.is_enumerable for parameter in self.parameters.values())

    def grid(self, start: int, stop: int) -> Table:
        """Return designs `start` to `stop` (exclusive) of the enumeration, each design once.

        Raises:
            SpecError: a range has neither `step` nor `levels`.
            IndexError: beyond the last design.
        """
        return self._columns(self._grid.rows(start, stop))

    def scattered(self, rows: int) -> Table:
        """Return designs scattered over the space, always the same."""
        # Multiples of irrational numbers fill the cube as evenly as random ones, whose module takes a while to import.
        steps = np.sqrt(2.0) * np.exp(np.arange(len(self.dimensions)) / 7)
        return self.decode(np.outer(np.arange(1, rows + 1), steps) % 1.0)

    # -- one design ---------------------------------------------------------------------------------------------

    def default_design(self) -> Table:
        """Return one row with every parameter at its default, or at the nearest value that the space allows.

        A name that is not allowed gives way to the first that is; numbers without a default are in the middle.
        """
        numbers: dict[str, FloatArray] = {}
        for name in self._order:
            parameter = self.parameters[name]
            wanted = self._default(name)
            numbers[name] = np.array([np.nan])
            for alternative in parameter.alternatives:
                (holds,) = holds_in(alternative, numbers, 1)
                if holds:
                    numbers[name] = _nearest(alternative.codec, parameter, wanted)
        return self._columns(numbers)

    def _default(self, name: str) -> float | str | None:
        if name in PARAMETERS or name.startswith(PREFILL_PREFIX):
            return PARAMETERS[name.removeprefix(PREFILL_PREFIX)].default
        if name.startswith(TECHNOLOGY_PREFIX):
            path = name.removeprefix(TECHNOLOGY_PREFIX)
            return self._spec.technology.get(path, library_of(self._spec.library).parameters[path].typ)
        workload, _, field = name.partition(".")
        own = self._spec.workloads[workload].said(field)
        return (PARAMETERS.get(field) or WORKLOAD_FIELDS[field]).default if own is None else float(own)


def _rank(name: str) -> tuple[int, int, str]:
    """Return the place of a parameter: the registry's, then workload fields, then parameters, by name."""
    if name in PARAMETERS:
        return 0, list(PARAMETERS).index(name), name
    return 1 + name.startswith(TECHNOLOGY_PREFIX), 0, name


def _nearest(codec: Codec, parameter: SpaceParameter, wanted: float | str | None) -> FloatArray:
    """Return the allowed value nearest to `wanted`, as one row."""
    if parameter.names:
        code = parameter.names.index(wanted) if wanted in parameter.names else -1
        assert codec.levels is not None
        return np.array([code if code in codec.levels else codec.levels[0]], dtype=np.float64)
    if wanted is None or isinstance(wanted, str):
        return codec.decode(np.array([0.5]))
    ends = codec.decode(np.array([0.0, 1.0]))
    within = np.clip(np.array([float(wanted)]), ends.min(), ends.max())
    return codec.decode(codec.encode(within))
