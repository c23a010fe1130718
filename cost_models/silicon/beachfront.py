"""The edge of a die: what stands along it, the least die that has room for it, and the most memory that one carries.

Whole units of memory are counted (an LPDDR channel, a GDDR package, an HBM stack), side by side: none goes round a
corner. Stacks, and with them their interfaces, stand along the two long sides; every other memory along all four; a
second memory beside the first, in what that leaves of each side. The host has its place on one short side. Links are
lanes, narrow enough to fill what whole units leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from cost_models.library.technology import Technology
from cost_models.silicon.area import board_reach_mm, sides_mm
from cost_models.silicon.memory import memory_technology
from cost_models.table import Choice, FloatArray, Number, distinct_rows, positive, rows_where
from cost_models.tape import as_one, asarray, row_by_row
from cost_models.units import BITS_PER_BYTE

ROUNDING = 1e-9
"""Relative room for what stands side by side, so that a sum of lengths holds what it was made for."""

DEFICIT = 3
"""Most units by which sides that have the length together lack places: less than one is lost on each of four."""

LONG, SHORT = (0, 2), (1, 3)
"""Sides of the die, clockwise from the top; the host begins on the last."""

FILLED = ((*LONG, *SHORT), (*SHORT, *LONG))
"""Orders in which the first of two memories fills side after side; that which leaves more to the second is taken."""

GROWTH, HALVINGS = 1.05, 40
"""Steps in which a die grows until two memories have room, and then shrinks to the least one in which they do."""


@dataclass(frozen=True)
class Edge:
    """What wants a place along the edge; ``(n,)`` or ``(1,)``.

    Attributes:
        units: interfaces of the memory.
        unit_mm: edge of one; 0 where there is none.
        stacked: 1 where they belong to stacks, along the long sides, else 0.
        host_mm: edge of the host interface.
        links_mm: edge of the links.
        second_units: interfaces of a memory behind the first.
        second_mm: edge of one.
        second_stacked: as `stacked`.
    """

    units: FloatArray
    unit_mm: FloatArray
    stacked: FloatArray
    host_mm: FloatArray
    links_mm: FloatArray
    second_units: FloatArray = field(default_factory=lambda: np.zeros(1))
    second_mm: FloatArray = field(default_factory=lambda: np.zeros(1))
    second_stacked: FloatArray = field(default_factory=lambda: np.zeros(1))

    @property
    def wanted(self) -> FloatArray:
        """Interfaces that want a place: what takes no edge wants none."""
        return self.units * (self.unit_mm > 0)


def unit_places(long_mm: FloatArray, short_mm: FloatArray, edge: Edge) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return how many whole units have room on a long side, on the free short side and on the host's.

    Args:
        long_mm: usable length of a long side.
        short_mm: that of a short one.
        edge: what wants a place.
    """
    room, width = 1 + ROUNDING, positive(edge.unit_mm, np.inf)
    around = 1 - edge.stacked
    beside_host = np.maximum(short_mm - edge.host_mm, 0.0)
    return (
        np.floor(long_mm * room / width),
        np.floor(short_mm * room / width) * around,
        np.floor(beside_host * room / width) * around,
    )


def filled_sides(
    long_mm: FloatArray, short_mm: FloatArray, edge: Edge, order: tuple[int, ...]
) -> dict[int, tuple[FloatArray, FloatArray]]:
    """Return by side the units of the first memory, which fills side after side, and the places left to the second.

    Args:
        long_mm: usable length of a long side.
        short_mm: that of a short one.
        edge: what wants a place.
        order: sides.
    """
    on_long, free, host = unit_places(long_mm, short_mm, edge)
    rooms = {0: on_long, 1: free, 2: on_long, 3: host}
    lengths = {0: long_mm, 1: short_mm, 2: long_mm, 3: np.maximum(short_mm - edge.host_mm, 0.0)}
    width, left = positive(edge.second_mm, np.inf), edge.units
    result = {}
    for side in order:
        first = np.minimum(rooms[side], left)
        left = left - first
        beside = np.floor((lengths[side] * (1 + ROUNDING) - first * edge.unit_mm) / width)
        result[side] = first, np.maximum(beside, 0.0) * (1.0 if side in LONG else 1 - edge.second_stacked)
    return result


def _both_fit(long_mm: FloatArray, short_mm: FloatArray, edge: Edge) -> NDArray[np.bool_]:
    """Return whether both memories have a place for every unit."""
    on_long, free, host = unit_places(long_mm, short_mm, edge)
    beside = [
        sum((places for _, places in filled_sides(long_mm, short_mm, edge, order).values()), np.zeros(1))
        for order in FILLED
    ]
    first, second = 2 * on_long + free + host >= edge.wanted, np.maximum(*beside) >= edge.second_units
    return asarray(first & second)


def usable_sides_mm(die_mm2: Number, technology: Technology) -> tuple[FloatArray, FloatArray]:
    """Return the usable length of a long and of a short side, corners kept free."""
    value = technology.value
    usable = asarray(value("floorplan.usable_edge_fraction"))
    long, short = sides_mm(asarray(die_mm2, dtype=np.float64), value("floorplan.aspect_ratio"))
    return asarray(long * usable), asarray(short * usable)


def units_around(die_mm2: FloatArray, edge: Edge, technology: Technology) -> FloatArray:
    """Return how many whole interfaces the sides of a die hold beside the host's and the links'."""
    long, short = usable_sides_mm(die_mm2, technology)
    on_long, free, host = unit_places(long, short, edge)
    left = np.maximum(2 * (long + short) - edge.host_mm - edge.links_mm - edge.second_units * edge.second_mm, 0.0)
    width = positive(edge.unit_mm, np.inf)
    return asarray(np.minimum(2 * on_long + free + host, np.floor(left * (1 + ROUNDING) / width)))


def least_die_mm2(edge: Edge, technology: Technology) -> FloatArray:
    """Return the area of the least die along whose edge everything has a place.

    Long enough together: N w + host + links = u P. Whole units on each side: sides that have the length together lack
    `DEFICIT` places at most, and the next place opens where the next side is long enough for one more. With a second
    memory the die grows until both have room, and is the least between that and one in which they had not.
    """
    per_long, per_short = usable_sides_mm(1.0, technology)
    needed = edge.units * edge.unit_mm
    second = edge.second_units * edge.second_mm
    together = (needed + second + edge.host_mm + edge.links_mm) / (2 * (per_long + per_short))
    # Stacks take the two long sides, half of them each; otherwise the bound from which places are counted.
    half = np.ceil(edge.units / 2) * edge.unit_mm / per_long
    around = np.minimum(needed / (2 * per_long + per_short), (needed + edge.host_mm) / (2 * (per_long + per_short)))
    least = np.maximum(rows_where(edge.stacked > 0, half, around), together)
    scale = _whole_units(least, per_long, per_short, edge.units, edge.unit_mm, edge.stacked, edge.host_mm)
    if second.any():
        scale = _beside_second(scale, per_long, per_short, *vars(edge).values())
    return asarray(scale * scale)


@as_one
def _beside_second(scale: FloatArray, per_long: FloatArray, per_short: FloatArray, *parts: FloatArray) -> FloatArray:
    """Return the root of the least area in which two memories have room, from one in which the first has."""
    columns = np.broadcast_arrays(*map(np.atleast_1d, (scale, per_long, per_short, *parts)))
    # Designs that share their interfaces share their edge.
    first, same = distinct_rows(columns)
    scale, long, short, *some = (column[first] for column in columns)
    edge = Edge(*some)
    low = high = scale
    both = edge.second_units * edge.second_mm > 0
    fits = _both_fit(long * low, short * low, edge) | ~both
    while not fits.all():
        low, high = np.where(fits, low, high), np.where(fits, high, high * GROWTH)
        fits = _both_fit(long * high, short * high, edge) | ~both
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _both_fit(long * middle, short * middle, edge)
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    least = np.where(both & ~_both_fit(long * scale, short * scale, edge), high, scale)
    return asarray(least[same])


@row_by_row
def _whole_units(
    scale: FloatArray,
    per_long: FloatArray,
    per_short: FloatArray,
    units: FloatArray,
    unit_mm: FloatArray,
    stacked: FloatArray,
    host_mm: FloatArray,
) -> FloatArray:
    """Return the root of the least area, no less than a given one, in which every unit of the first memory has room."""
    edge = Edge(units, unit_mm, stacked, host_mm, np.zeros(1))
    places = unit_places(per_long * scale, per_short * scale, edge)
    lacking = _in_all(places) < edge.wanted
    if not lacking.any():
        return scale
    # Few rows are left after each step, so the steps are taken on those alone.
    n = max(len(np.atleast_1d(column)) for column in (scale, per_long, per_short, edge.host_mm))
    scale, rows = np.broadcast_to(scale, (n,)).copy(), np.flatnonzero(np.broadcast_to(lacking, (n,)))
    on_long, free, host = (_at(column, rows, n) for column in places)
    for _ in range(DEFICIT):
        own = [*(_at(column, rows, n) for column in (units, unit_mm, stacked, host_mm)), np.zeros(1)]
        some, long, short = Edge(*own), _at(per_long, rows, n), _at(per_short, rows, n)
        opens = np.minimum((on_long + 1) * some.unit_mm / long, (free + 1) * some.unit_mm / short)
        opens = np.minimum(opens, ((host + 1) * some.unit_mm + some.host_mm) / short)
        scale[rows] = opens
        places = unit_places(long * opens, short * opens, some)
        still = _in_all(places) < some.wanted
        rows = rows[still]
        if not len(rows):
            break
        on_long, free, host = (column[still] for column in places)
    return scale


def _in_all(places: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
    """Return how many whole units have room on all four sides (`unit_places`)."""
    on_long, free, host = places
    return asarray(2 * on_long + free + host)


def _at(column: FloatArray, rows: NDArray[np.intp], n: int) -> FloatArray:
    return asarray(column[rows] if np.shape(column) == (n,) else np.broadcast_to(column, (n,))[rows])


def along_the_sides(die_mm2: float, edge: Edge, technology: Technology) -> dict[str, list[tuple[int, float, float]]]:
    """Return where along the sides of one die its interfaces stand: (side, from, to) by what they are.

    "memory", "second", "host", "links"; every unit of memory has a piece of its own.

    Sides are counted clockwise from the top, whose long sides are 0 and 2; lengths run clockwise from the corner where
    a side begins. Units are dealt to sides in turn as far as there is room, and each side's stand in its middle; where
    there is a second memory, the first fills side after side.
    """
    sides = usable_sides_mm(die_mm2, technology)
    usable, fraction = [side.item() for side in sides], asarray(technology.value("floorplan.usable_edge_fraction"))
    whole = [side / fraction.item() for side in usable]
    on_long, free, host = (int(places.item()) for places in unit_places(*sides, edge))
    rooms, left = {0: on_long, 2: on_long, 1: free, 3: host}, edge.units.item()
    dealt, further = dict.fromkeys(rooms, 0), dict.fromkeys(rooms, 0)
    while left > 0 and any(dealt[side] < rooms[side] for side in rooms):
        for side in rooms:
            if left > 0 and dealt[side] < rooms[side]:
                dealt[side], left = dealt[side] + 1, left - 1
    unit, host_mm, links = edge.unit_mm.item(), edge.host_mm.item(), edge.links_mm.item()
    second = edge.second_mm.item()
    if edge.second_units.item() > 0:
        dealt, further = _dealt_to_both(*sides, edge)
    result: dict[str, list[tuple[int, float, float]]] = {"memory": [], "second": [], "host": [], "links": []}
    for side in sorted(rooms):
        length, corner = usable[side % 2], (whole[side % 2] - usable[side % 2]) / 2
        own_host = min(host_mm, length) if side == SHORT[-1] else 0.0
        taken = own_host + dealt[side] * unit + further[side] * second
        spare = max(length - taken, 0.0)
        own_links = min(links, spare)
        links -= own_links
        at = corner + (spare - own_links) / 2
        memories = [("memory", unit)] * dealt[side] + [("second", second)] * further[side]
        for name, mm in (("host", own_host), *memories, ("links", own_links)):
            if mm > 0:
                result[name].append((side, at, at + mm))
                at += mm
    return {name: pieces for name, pieces in result.items() if pieces}


def _dealt_to_both(long_mm: FloatArray, short_mm: FloatArray, edge: Edge) -> tuple[dict[int, int], dict[int, int]]:
    """Return the units of both memories by side of one die."""
    filled = [filled_sides(long_mm, short_mm, edge, order) for order in FILLED]
    sides = max(filled, key=lambda one: sum(places.item() for _, places in one.values()))
    left, further = int(edge.second_units.item()), {}
    for side, (_, places) in sides.items():
        further[side] = min(int(places.item()), left)
        left -= further[side]
    return {side: int(first.item()) for side, (first, _) in sides.items()}, further


@dataclass(frozen=True)
class BandwidthLimit:
    """What one die carries of one memory grade; ``(n,)``.

    Attributes:
        units: the most units by each limit: "sides", "package", "interposer"; infinite where a limit does not apply.
        gbps_per_unit: peak bandwidth of one unit.
        delivered_fraction: share of the peak that long sequential reads reach.
        interface_mm2: PHYs and controllers of that many units.
    """

    units: dict[str, FloatArray]
    gbps_per_unit: FloatArray
    delivered_fraction: FloatArray
    interface_mm2: FloatArray

    @property
    def most(self) -> FloatArray:
        """Units that every limit allows."""
        return asarray(reduce(np.minimum, self.units.values()))

    @property
    def gbps(self) -> FloatArray:
        """Peak bandwidth."""
        return asarray(self.most * self.gbps_per_unit)


def max_bandwidth(
    grade: Choice, die_mm2: FloatArray, *, supply_w: Number, supply_v: Number, technology: Technology
) -> BandwidthLimit:
    """Return the most memory of a grade that a die of some area can have.

    Sides: `units_around` beside a host of 16 lanes; stacks `package.stack_overhang` times as long as the long sides;
    memory on top of the die, as much as its area has room for.
    Package: balls left by host and supply over the balls of a unit, and devices of the largest width that stand around
    the package. Interposer: what the largest one leaves beside the die.

    Args:
        grade: memory grade.
        die_mm2: area of the die.
        supply_w: power that enters the package for the logic.
        supply_v: its supply.
        technology: parameters.
    """
    library, value = technology.library, technology.value
    names = memory_technology(grade, library)
    unit_bits, unit_mm = technology.of("memory", names, "unit_bits"), technology.of("memory", names, "beachfront_mm")
    stacked = names.map(lambda name: float(library.memories[name].packaging_class == "interposer"))
    host_mm = np.atleast_1d(asarray(value("interfaces.host_edge_mm"), dtype=np.float64))
    sides = units_around(die_mm2, Edge(np.zeros(1), unit_mm, stacked, host_mm, np.zeros(1)), technology)
    on_top = names.map(lambda name: float(library.memories[name].packaging_class == "on_top"))
    per_pin = grade.map(lambda name: library.memory_grade(name).gbps_per_pin)
    gbps_per_unit = unit_bits * per_pin * technology.of("memory", names, "effective_fraction") / BITS_PER_BYTE
    if on_top.any():
        over_die = np.floor(die_mm2 / (gbps_per_unit * value("die_stacking.mm2_per_gbps")))
        sides = np.where(on_top > 0, over_die, sides)
    long, _ = sides_mm(die_mm2, value("floorplan.aspect_ratio"))
    along = 2 * np.floor(long * value("package.stack_overhang") / value("package.stack_width_mm"))
    balls = (asarray(value("package.body_mm")) / value("package.ball_pitch_mm")) ** 2 - value("package.host_balls")
    balls = balls - 2 * asarray(supply_w) / supply_v / value("package.ball_current_a")
    package = np.floor(np.maximum(balls, 0.0) / (unit_bits * value("package.balls_per_memory_bit")))
    widest = names.map(lambda name: float(max(library.memories[name].package_bits)))
    devices = np.floor(board_reach_mm(asarray(value("package.body_mm")), technology) / value("package.device_mm"))
    package = np.minimum(package, devices * np.floor(widest / unit_bits))
    room = asarray(value("package.interposer_mm2")) / value("packaging.silicon_interposer.area_over_sum_of_dies")
    interposer = np.floor(np.maximum(room - die_mm2, 0.0) / value("assembly.stack_footprint_mm2"))
    units = {
        "sides": np.where(stacked > 0, np.minimum(along, sides), sides),
        "package": np.where(stacked + on_top > 0, np.inf, package),
        "interposer": np.where(stacked > 0, interposer, np.inf),
    }
    most = reduce(np.minimum, units.values())
    return BandwidthLimit(
        units=units,
        gbps_per_unit=gbps_per_unit,
        delivered_fraction=technology.of("memory", names, "efficiency_stream"),
        interface_mm2=most * technology.of("memory", names, "phy_controller_mm2"),
    )
