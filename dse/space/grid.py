"""The enumeration of a space with conditions: every design once, any slice of it at once.

Parameters that depend on one another form a group. In a group the parameters that others ask for (its switches) are
written out, one block per combination of their values that can occur; in a block every other parameter either has
a list of levels or is inactive, so the block is a plain mixed-radix count. Groups multiply.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray
from dse.errors import NOWHERE, Issue, SpecError
from dse.space.parameters import SpaceParameter

IntArray = NDArray[np.int64]

MAX_BLOCKS = 200_000
"""Most combinations of the switches of one group."""

MAX_SIZE = 2**62
"""Largest grid whose rows can be numbered."""


class Grid:
    """The enumeration of parameters whose values are all listed.

    Args:
        parameters: by name, each after those that its conditions ask for.

    Raises:
        SpecError: the conditions of one group have too many combinations to be written out.
    """

    def __init__(self, parameters: Mapping[str, SpaceParameter]) -> None:
        self._groups = [_Group.of([parameters[name] for name in names]) for names in _grouped(parameters)]
        self.size = math.prod(group.size for group in self._groups)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of every group of parameters; the grid is their product."""
        return tuple(group.size for group in self._groups)

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The parameters of every group."""
        return tuple((*group.switches, *group.others) for group in self._groups)

    def rows(self, start: int, stop: int) -> dict[str, FloatArray]:
        """Return the values of rows `start` to `stop` (exclusive), NaN where inactive.

        Raises:
            IndexError: beyond the last row.
            SpecError: the grid is too large for its rows to be numbered.
        """
        if self.size > MAX_SIZE:
            raise SpecError([Issue(NOWHERE, "space", f"has {float(self.size):.3g} designs: too many to enumerate")])
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"rows {start} to {stop} of a grid of {self.size}")
        return self.at(self.places(np.arange(start, stop, dtype=np.int64)))

    def places(self, rows: IntArray) -> list[IntArray]:
        """Return which row of each group every row of the grid is made of."""
        places = []
        for size in reversed(self.sizes):
            # Division by one number is quick; its remainder, which NumPy works out anew, is not.
            whole = rows // size
            places.append(rows - whole * size)
            rows = whole
        return places[::-1]

    def at(self, places: Sequence[IntArray]) -> dict[str, FloatArray]:
        """Return the values at rows of the groups, each column as long as the places of its group."""
        numbers: dict[str, FloatArray] = {}
        for group, place in zip(self._groups, places, strict=True):
            numbers |= group.rows(place)
        return numbers


@dataclass(frozen=True, eq=False)
class _Group:
    """Parameters that depend on one another.

    Attributes:
        switches: names of the parameters that others ask for.
        others: names of the rest.
        settings: ``(blocks, switches)`` value of each switch in each block.
        starts: ``(blocks,)`` number of rows before each block.
        radix: ``(blocks, others)`` number of levels.
        offset: ``(blocks, others)`` where in `pools` the levels of that block begin.
        pools: the levels of each of the others, all alternatives in a row, and NaN.
        size: number of rows.
    """

    switches: tuple[str, ...]
    others: tuple[str, ...]
    settings: FloatArray
    starts: IntArray
    radix: IntArray
    offset: IntArray
    pools: tuple[FloatArray, ...]
    size: int

    @classmethod
    def of(cls, parameters: Sequence[SpaceParameter]) -> _Group:
        """Write out the blocks of a group whose parameters are in the order of their conditions."""
        requested = set().union(*(parameter.needs for parameter in parameters))
        switches = [parameter for parameter in parameters if parameter.name in requested]
        others = [parameter for parameter in parameters if parameter.name not in requested]
        settings: list[list[float]] = []
        radix: list[list[int]] = []
        offset: list[list[int]] = []
        for block in _blocks(switches):
            if len(settings) == MAX_BLOCKS:
                names = ", ".join(parameter.name for parameter in switches)
                what = f"the conditions on {names} have more than {MAX_BLOCKS} combinations"
                raise SpecError([Issue(NOWHERE, "space", what)])
            settings.append([block[parameter.name] for parameter in switches])
            cuts = [_cut(parameter, block) for parameter in others]
            offset.append([first for first, _ in cuts])
            radix.append([count for _, count in cuts])
        sizes = [math.prod(counts) for counts in radix]
        size = sum(sizes)
        fits = size <= MAX_SIZE
        return cls(
            tuple(parameter.name for parameter in switches),
            tuple(parameter.name for parameter in others),
            np.array(settings, dtype=np.float64).reshape(len(sizes), len(switches)),
            np.array([0, *accumulate(sizes[:-1])] if fits else [0] * len(sizes), dtype=np.int64),
            np.array(radix, dtype=np.int64).reshape(len(sizes), len(others)),
            np.array(offset, dtype=np.int64).reshape(len(sizes), len(others)),
            tuple(np.append(np.concatenate(_levels(parameter)), np.nan) for parameter in others),
            size,
        )

    def rows(self, index: IntArray) -> dict[str, FloatArray]:
        """Return the values of the given rows of the group."""
        one_block = len(self.starts) == 1
        block = 0 if one_block else np.searchsorted(self.starts, index, side="right") - 1
        numbers = {name: self.settings[block, place] for place, name in enumerate(self.switches)}
        if one_block:
            numbers = {name: np.broadcast_to(value, index.shape) for name, value in numbers.items()}
        rest = index - self.starts[block]
        for place, name in reversed(list(enumerate(self.others))):
            rest, digit = np.divmod(rest, self.radix[block, place])
            numbers[name] = self.pools[place][self.offset[block, place] + digit]
        return numbers


def _levels(parameter: SpaceParameter) -> list[FloatArray]:
    return [alternative.codec.levels for alternative in parameter.alternatives if alternative.codec.levels is not None]


def _grouped(parameters: Mapping[str, SpaceParameter]) -> list[list[str]]:
    """Return the names that depend on one another together, in the given order."""
    group_of: dict[str, list[str]] = {}
    for name, parameter in parameters.items():
        joined = [name]
        for group in {id(group_of[need]): group_of[need] for need in parameter.needs}.values():
            joined += group
        group_of |= dict.fromkeys(joined, joined)
    groups = {id(group): set(group) for group in group_of.values()}
    return [[name for name in parameters if name in group] for group in groups.values()]


def _active(parameter: SpaceParameter, block: Mapping[str, float]) -> int | None:
    """Return which alternative of a parameter holds in a block, None where it is inactive."""
    for place, alternative in enumerate(parameter.alternatives):
        if all(block[name] in values for name, values in alternative.when.items()):
            return place
    return None


def _cut(parameter: SpaceParameter, block: Mapping[str, float]) -> tuple[int, int]:
    """Return where in the pool of a parameter its levels begin in a block, and how many there are."""
    counts = [len(levels) for levels in _levels(parameter)]
    place = _active(parameter, block)
    return (sum(counts), 1) if place is None else (sum(counts[:place]), counts[place])


def _blocks(switches: Sequence[SpaceParameter]) -> Iterator[dict[str, float]]:
    """Yield every combination of the switches that can occur, NaN for inactive ones."""

    def extend(place: int, block: dict[str, float]) -> Iterator[dict[str, float]]:
        if place == len(switches):
            yield block
            return
        parameter = switches[place]
        active = _active(parameter, block)
        levels = [float("nan")] if active is None else _levels(parameter)[active]
        for value in levels:
            yield from extend(place + 1, {**block, parameter.name: float(value)})

    yield from extend(0, {})
