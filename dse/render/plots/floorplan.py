"""The die of one design: interfaces along the edge that they take, blocks inside."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Polygon, Rectangle

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.silicon.beachfront import Edge, along_the_sides
from dse.analysis.explain.records import Explanation
from dse.render.plots.style import FILLS, HATCHES, new_figure, save, short

_EDGE_OF = {
    "memory_interface": "memory",
    "host_interface": "host",
    "link_interface": "links",
    "die_link_interface": "die_links",
}

Piece: TypeAlias = tuple[int, float, float]
"""A stretch of one side: the side, from, to."""

TITLE_WIDTH = 62
"""Letters of the title in a line."""

_CORNER_FRACTION = 0.25
"""Share of the shorter side within which strips meet in a corner."""


@dataclass(frozen=True)
class Box:
    """A rectangle on the die, in mm."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Strip:
    """A part of an interface along one side of the die, in mm.

    Attributes:
        name: the block.
        side: 0 top, 1 right, 2 bottom, 3 left.
        points: its corners: the two on the edge, then back along the inside.
    """

    name: str
    side: int
    points: tuple[tuple[float, float], ...]


def draw_floorplan(
    name: str, design: Explanation, library: Library, folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Draw the die to scale: interfaces along the edge that they take, blocks inside in proportion. Not a layout."""
    dies = float(design.settings.get("dies") or 1)
    areas = {block: amount / dies for block, amount in design.blocks["area_mm2"].items()}
    ratio = library.parameters["floorplan.aspect_ratio"].typ
    width = float(np.sqrt(sum(areas.values()) * ratio))
    height = width / ratio
    edges = {block: amount / dies for block, amount in design.blocks["edge_mm"].items()}
    pieces = along_the_sides(width * height, edge_of(design.settings, edges, library), Technology({}, library))
    pieces["memory"] = [*pieces.get("memory", []), *pieces.pop("second", [])]
    pieces["links"], pieces["die_links"] = split_pieces(pieces.get("links", []), edges["links"])
    strips, inset = edge_strips(areas, pieces, width, height)
    by_size = sorted(areas.items(), key=lambda item: -item[1])
    inside = [(block, area) for block, area in by_size if block not in _EDGE_OF and area > 0]
    core = slice_boxes(inside, Box("", inset[3], inset[2], width - inset[1] - inset[3], height - inset[0] - inset[2]))
    figure = new_figure(6.4, 6.6)
    axes = figure.subplots()
    free = {"facecolor": "#F4F4F4", "edgecolor": "black"}
    axes.add_patch(Rectangle((0, 0), width, height, linewidth=1.6, zorder=1, **free))  # type: ignore[arg-type]
    legend = _fill_die(axes, strips, core, areas)
    legend.append(Patch(label="edge without an interface", linewidth=0.6, **free))  # type: ignore[arg-type]
    used, allowed = design.limits["die_edge_mm"].used, design.limits["die_edge_mm"].allowed
    axes.set(xlim=(-0.03 * width, 1.03 * width), ylim=(-0.03 * height, 1.03 * height), aspect="equal")
    axes.grid(visible=False)
    axes.set_xlabel("[mm]; die and interfaces to scale, blocks inside in proportion to each other, not a layout")
    axes.set_ylabel("[mm]")
    which = "die" if dies == 1 else f"one of {short(dies)} dies,"
    title = f"{name}: {which} of {short(width * height)} mm², interfaces on {short(used)} of {short(allowed)} mm edge"
    axes.set_title(textwrap.fill(title, TITLE_WIDTH))
    figure.legend(handles=legend, loc="outside lower center", ncols=2)
    return save(figure, folder, "floorplan", formats)


def edge_of(settings: Mapping[str, float | str | None], edges: Mapping[str, float], library: Library) -> Edge:
    """Return what a die wants along its edge: whole units of memory, host, and links of both kinds together.

    Args:
        settings: parameters of the design.
        edges: edge of one die by interface.
        library: where memories are looked up.
    """
    first = _units_of(settings, "memory", edges["memory"], library)
    second = _units_of(settings, "second_memory", edges.get("second", 0.0), library)
    links = edges["links"] + edges.get("die_links", 0.0)
    return Edge(*(np.array([number]) for number in (*first, edges["host"], links, *second)))


def _units_of(
    settings: Mapping[str, float | str | None], memory: str, edge_mm: float, library: Library
) -> tuple[float, float, float]:
    """Return the units of a memory on one die, the edge of one, and 1 where they are stacks."""
    grade = settings.get(memory)
    if not isinstance(grade, str) or edge_mm <= 0:
        return 0.0, 0.0, 0.0
    key = library.memory_grade(grade).technology
    technology, unit_bits = library.memories[key], library.parameters[f"memory.{key}.unit_bits"].typ
    wide = float(settings.get(f"{memory}_device_bits") or np.nan)
    bits = float(technology.package_bits[0]) if np.isnan(wide) else wide
    units = float(settings[f"{memory}_devices"] or np.nan) / float(settings.get("dies") or 1) * bits / unit_bits
    return units, edge_mm / units, float(technology.packaging_class == "interposer")


def split_pieces(pieces: Sequence[Piece], length: float) -> tuple[list[Piece], list[Piece]]:
    """Return pieces of the first `length` of a stretch of the edge, and those of the rest."""
    first: list[Piece] = []
    rest: list[Piece] = []
    for side, low, high in pieces:
        cut = min(high, low + length)
        length -= cut - low
        first += [(side, low, cut)] if cut > low else []
        rest += [(side, cut, high)] if high > cut else []
    return first, rest


def edge_strips(
    areas: Mapping[str, float], pieces: Mapping[str, Sequence[Piece]], width: float, height: float
) -> tuple[list[Strip], list[float]]:
    """Return the interfaces where they stand along the edge, and how deep they are on each side.

    Strips are cut along the diagonal of a corner that others come near to from its other side, so that none covers
    another; an interface is as deep as its area then takes.

    Args:
        areas: area by block.
        pieces: interface, by what it is an edge of, to where it stands (`beachfront.along_the_sides`).
        width: of the die.
        height: of the die.
    """
    sides = (width, height, width, height)
    every = [piece for own in pieces.values() for piece in own]
    near = _CORNER_FRACTION * min(width, height)
    begins = {side for side, low, _ in every if low < near}
    ends = {(side + 1) % 4 for side, _, high in every if high > sides[side] - near}
    strips: list[Strip] = []
    inset = [0.0] * 4
    for block, edge in _EDGE_OF.items():
        if not (own := pieces.get(edge, ())):
            continue
        cuts = [_Cut(*piece, sides[piece[0]], begins & ends) for piece in own]
        depth = _depth(areas[block], cuts)
        for cut in cuts:
            profile = cut.profile(depth)
            inset[cut.side] = max(inset[cut.side], *(inward for _, inward in profile))
            outline = [(cut.low, 0.0), (cut.high, 0.0), *reversed(profile)]
            points = tuple(_on_die(cut.side, along, inward, width, height) for along, inward in outline)
            strips.append(Strip(block, cut.side, points))
    return strips, inset


@dataclass(frozen=True)
class _Cut:
    """A stretch of one side of the die, `length` long, and the corners (by the side that begins there) that are cut."""

    side: int
    low: float
    high: float
    length: float
    corners: Set[int]

    def inward(self, along: float, depth: float) -> float:
        """Return how far a strip so deep reaches in at a place along the side."""
        reach = depth
        if self.side in self.corners:
            reach = min(reach, along)
        if (self.side + 1) % 4 in self.corners:
            reach = min(reach, self.length - along)
        return reach

    def profile(self, depth: float) -> list[tuple[float, float]]:
        """Return the inner outline of a strip so deep: straight between points (along, inward)."""
        breaks = (depth, self.length - depth, self.length / 2)
        places = sorted({self.low, self.high, *np.clip(breaks, self.low, self.high).tolist()})
        return [(place, self.inward(place, depth)) for place in places]

    def area(self, depth: float) -> float:
        """Return the area of a strip so deep."""
        places, reaches = np.array(self.profile(depth)).T
        return float(np.trapezoid(reaches, places))


def _depth(area: float, cuts: Sequence[_Cut]) -> float:
    """Return how deep strips are that cover an area together, by bisection; all there is where corners leave less."""
    low, high = 0.0, max(cut.length for cut in cuts)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(cut.area(middle) for cut in cuts) < area else (low, middle)
    return high


def _on_die(side: int, along: float, inward: float, width: float, height: float) -> tuple[float, float]:
    """Return a point so far along a side, clockwise, and so far in from it."""
    return ((along, height - inward), (width - inward, height - along), (width - along, inward), (inward, along))[side]


def slice_boxes(parts: Sequence[tuple[str, float]], room: Box) -> list[Box]:
    """Cut a rectangle into slices by area, always across its longer side."""
    if not parts:
        return []
    (name, area), *rest = parts
    share = area / sum(one for _, one in parts)
    if room.width >= room.height:
        cut = share * room.width
        left = Box(name, room.x, room.y, cut, room.height)
        return [left, *slice_boxes(rest, Box("", room.x + cut, room.y, room.width - cut, room.height))]
    cut = share * room.height
    top = Box(name, room.x, room.y + room.height - cut, room.width, cut)
    return [top, *slice_boxes(rest, Box("", room.x, room.y, room.width, room.height - cut))]


def _fill_die(axes: Axes, strips: Sequence[Strip], core: Sequence[Box], areas: Mapping[str, float]) -> list[Patch]:
    """Draw strips and boxes, a fill and a hatch per block, and return the legend with their areas."""
    handles: dict[str, Patch] = {}
    names = list(dict.fromkeys([*(one.name for one in strips), *(one.name for one in core)]))
    outlines = [(strip.name, list(strip.points)) for strip in strips]
    outlines += [
        (box.name, [(box.x, box.y), (box.x + box.width, box.y), (box.x + box.width, box.y + box.height),
                    (box.x, box.y + box.height)])
        for box in core
    ]  # fmt: skip
    for name, outline in outlines:
        place = names.index(name) % len(FILLS)
        style = {"facecolor": FILLS[place], "hatch": HATCHES[place], "edgecolor": "black", "linewidth": 0.6}
        axes.add_patch(Polygon(outline, closed=True, alpha=0.75, zorder=2, **style))
        text = f"{name.replace('_', ' ')}: {short(areas[name])} mm²"
        handles.setdefault(name, Patch(label=text, alpha=0.75, **style))  # type: ignore[arg-type]
    return list(handles.values())
