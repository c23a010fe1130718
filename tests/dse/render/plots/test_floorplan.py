"""The floorplan of dies of whole millimetres, every corner of it worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.render.plots import floorplan, style
from dse.render.plots.floorplan import Box, Strip, _Cut, edge_of, edge_strips, slice_boxes, split_pieces
from tests.dse.render.plots.read import entries, hexed, plain_axes, title

LIBRARY = SimpleNamespace(
    memory_grade=lambda grade: SimpleNamespace(technology=grade.partition("_")[0]),
    memories={
        "lpddr": SimpleNamespace(package_bits=(64, 32), packaging_class="board"),
        "hbm": SimpleNamespace(package_bits=(1024,), packaging_class="interposer"),
    },
    parameters={
        "memory.lpddr.unit_bits": SimpleNamespace(typ=16.0),
        "memory.hbm.unit_bits": SimpleNamespace(typ=1024.0),
        "floorplan.aspect_ratio": SimpleNamespace(typ=1.25),
    },
)


def wanted(edges, **settings):
    return [float(value[0]) for value in vars(edge_of(settings, edges, LIBRARY)).values()]


def test_what_a_die_wants_along_its_edge():
    edges = {"memory": 24.0, "host": 3.0, "links": 5.0}
    # Units of memory, edge of one, whether they are stacks; host, links; the same of the second memory.
    assert wanted(edges, memory="hbm_3", memory_devices=4) == [4, 6, 1, 3, 5, 0, 0, 0]
    assert wanted(edges, memory="lpddr_5", memory_devices=6, dies=2) == [6 / 2 * 64 / 16, 2, 0, 3, 5, 0, 0, 0]
    assert wanted(edges, memory="lpddr_5", memory_devices=6, memory_device_bits=32) == [12, 2, 0, 3, 5, 0, 0, 0]
    both = {**edges, "second": 8.0, "die_links": 2.0}
    assert wanted(both, memory="hbm_3", memory_devices=4, second_memory="lpddr_5", second_memory_devices=1) == [
        4, 6, 1, 3, 7, 4, 2, 0,
    ]  # fmt: skip
    # No memory, or none of its edge: nothing.
    assert wanted(both, memory=None) == [0, 0, 0, 3, 7, 0, 0, 0]
    assert wanted({**edges, "memory": 0.0}, memory="hbm_3", memory_devices=None) == [0, 0, 0, 3, 5, 0, 0, 0]
    assert wanted(edges, memory=None, second_memory="lpddr_5", second_memory_devices=1)[5:] == [0, 0, 0]
    assert wanted({**edges, "memory": 0.5}, memory="hbm_3", memory_devices=1) == [1, 0.5, 1, 3, 5, 0, 0, 0]


def test_a_stretch_of_the_edge_is_split_at_a_length():
    pieces = [(0, 0.0, 4.0), (1, 1.0, 5.0)]
    for length, first, rest in (
        (6.0, [(0, 0, 4), (1, 1, 3)], [(1, 3, 5)]),
        (4.0, [(0, 0, 4)], [(1, 1, 5)]),
        (0.0, [], pieces),
        (8.0, pieces, []),
        (1.0, [(0, 0, 1)], [(0, 1, 4), (1, 1, 5)]),
    ):
        assert split_pieces(pieces, length) == (first, rest)


def strips_of(areas, width=10.0, height=8.0, **pieces):
    strips, inset = edge_strips(areas, pieces, width, height)
    return [(one.name, one.side, [pytest.approx(point, abs=1e-9) for point in one.points]) for one in strips], inset


def test_a_strip_alone_is_as_deep_as_its_area_takes():
    for side, points in (
        (0, [(3, 8), (7, 8), (7, 7), (3, 7)]),
        (1, [(10, 5), (10, 1), (9, 1), (9, 5)]),
        (2, [(7, 0), (3, 0), (3, 1), (7, 1)]),
        (3, [(0, 3), (0, 7), (1, 7), (1, 3)]),
    ):
        found, inset = strips_of({"host_interface": 4.0}, host=[(side, 3.0, 7.0)])
        # Where half of a side is between its ends, the outline has a point there.
        middle = {0: (5, 7), 1: (9, 4), 2: (5, 1), 3: (1, 4)}[side]
        (name, of_side, outline), = found  # fmt: skip
        assert (name, of_side) == ("host_interface", side)
        assert outline == [*points[:3], middle, points[3]]
        assert inset == [pytest.approx(1.0 if one == side else 0.0) for one in range(4)]
    # Two stretches of one interface are as deep as each other; every interface has a depth of its own.
    found, inset = strips_of(
        {"memory_interface": 12.0, "host_interface": 4.0, "link_interface": 1.0, "die_link_interface": 1.0},
        memory=[(0, 2.0, 4.0), (2, 2.0, 6.0)], host=[(3, 3.0, 5.0)], links=[(1, 3.0, 4.0)], die_links=[(1, 4.0, 5.0)],
    )  # fmt: skip
    assert [(name, side) for name, side, _ in found] == [
        ("memory_interface", 0), ("memory_interface", 2), ("host_interface", 3), ("link_interface", 1),
        ("die_link_interface", 1),
    ]  # fmt: skip
    assert inset == [pytest.approx(depth) for depth in (2, 1, 2, 2)]
    # The deepest of a side counts.
    _, inset = strips_of({"memory_interface": 6.0, "host_interface": 1.0}, memory=[(0, 2.0, 4.0)], host=[(0, 4.0, 8.0)])
    assert inset == [pytest.approx(3), 0, 0, 0]


def test_strips_that_meet_in_a_corner_are_cut_along_its_diagonal():
    # All of the top and all of the right: the corner between them is cut, those at their other ends are not.
    found, inset = strips_of({"memory_interface": 17.0}, memory=[(0, 0.0, 10.0), (1, 0.0, 8.0)])
    # A depth of one: 10 + 8, less half of a square at each of the two ends.
    assert [outline for _, _, outline in found] == [
        [(0, 8), (10, 8), (10, 8), (9, 7), (5, 7), (1, 7), (0, 7)],
        [(10, 8), (10, 0), (9, 0), (9, 1), (9, 4), (9, 7), (10, 8)],
    ]
    assert inset == [pytest.approx(1), pytest.approx(1), 0, 0]
    # The last corner: the end of the left side and the begin of the top.
    found, _ = strips_of({"memory_interface": 17.0}, memory=[(3, 0.0, 8.0), (0, 0.0, 10.0)])
    assert [outline[-1] for _, _, outline in found] == [(1, 0), (0, 8)] and found[0][2][2] == (0, 8)
    # A strip within a fourth of the shorter side of a corner comes near to it, one at a fourth does not.
    for begins, ends, cut in ((1.9, 8.1, True), (2.0, 8.1, False), (1.9, 8.0, False)):
        found, _ = strips_of({"memory_interface": 30.0}, memory=[(0, 2.0, ends), (1, begins, 6.0)])
        assert (found[0][2][2] == (ends, 8 - (10 - ends))) is cut, (begins, ends)


def test_how_far_a_strip_reaches_in():
    cut = _Cut(0, 1.0, 10.0, 10.0, {0, 1})
    assert [cut.inward(along, 3.0) for along in (0, 1, 5, 8, 10)] == [0, 1, 3, 2, 0]
    assert cut.profile(3.0) == [(1, 1), (3, 3), (5, 3), (7, 3), (10, 0)]
    assert cut.area(3.0) == pytest.approx((1 + 3) / 2 * 2 + 4 * 3 + 4.5)
    assert [_Cut(3, 0.0, 8.0, 8.0, {0}).inward(along, 3.0) for along in (0, 4, 7)] == [3, 3, 1]
    assert [_Cut(3, 0.0, 8.0, 8.0, {3}).inward(along, 3.0) for along in (0, 4, 7)] == [0, 3, 3]
    assert _Cut(1, 3.0, 5.0, 8.0, set()).profile(2.0) == [(3, 2), (4, 2), (5, 2)]
    # As deep as corners leave where the area has no room.
    assert floorplan._depth(99.0, [_Cut(0, 0.0, 4.0, 10.0, set()), _Cut(1, 0.0, 1.0, 8.0, set())]) == 10
    assert floorplan._depth(2.0, [_Cut(0, 0.0, 4.0, 10.0, set())]) == pytest.approx(0.5)
    assert floorplan._depth(20.0, [_Cut(0, 0.0, 4.0, 10.0, set()), _Cut(1, 0.0, 1.0, 8.0, set())]) == pytest.approx(4)


def test_slices_are_cut_across_the_longer_side_from_the_left_and_the_top():
    assert slice_boxes([], Box("", 0, 0, 1, 1)) == []
    assert slice_boxes([("a", 1), ("b", 2), ("c", 2), ("d", 2)], Box("", 1, 2, 7, 4)) == [
        Box("a", 1, 2, 1, 4), Box("b", 2, 2, 2, 4), Box("c", 4, 2, 2, 4), Box("d", 6, 2, 2, 4),
    ]  # fmt: skip
    # Of a square the width.
    assert slice_boxes([("a", 1), ("b", 1)], Box("", 0, 0, 2, 2)) == [Box("a", 0, 0, 1, 2), Box("b", 1, 0, 1, 2)]
    assert slice_boxes([("a", 1), ("b", 3)], Box("", 1, 2, 2, 4)) == [Box("a", 1, 5, 2, 1), Box("b", 1, 2, 2, 3)]


def test_blocks_have_a_fill_and_a_hatch_each_and_tell_their_area():
    axes = plain_axes()
    strips = [
        Strip("memory_interface", 0, ((0, 0), (1, 0), (1, 1))),
        Strip("memory_interface", 1, ((1, 0), (2, 0), (2, 1))),
    ]
    core = [Box(f"b{k}", k, 1, 2, 3) for k in range(9)]
    areas = {"memory_interface": 1234.0, **{f"b{k}": k + 0.5 for k in range(9)}}
    legend = floorplan._fill_die(axes, strips, core, areas)
    assert [patch.get_label() for patch in legend] == [
        "memory interface: 1\u2009234 mm²", *(f"b{k}: {k + 0.5} mm²" for k in range(9)),
    ]  # fmt: skip
    first, second, *boxes = axes.patches
    assert all(0 < patch.get_linewidth() < 1 for patch in axes.patches)
    assert first.get_xy().tolist() == [[0, 0], [1, 0], [1, 1], [0, 0]] and second.get_xy()[0].tolist() == [1, 0]
    assert boxes[2].get_xy().tolist() == [[2, 1], [4, 1], [4, 4], [2, 4], [2, 1]]
    fills = [style.FILLS[0], *style.FILLS, style.FILLS[0]]
    assert [hexed(patch.get_facecolor()) for patch in axes.patches] == [one.upper() for one in fills]
    assert [patch.get_hatch() or "" for patch in axes.patches] == ["", *style.HATCHES, ""]
    assert [hexed(patch.get_facecolor()) for patch in legend] == [one.upper() for one in fills[1:]]


def test_a_die_is_drawn_to_scale(monkeypatch, shown, tmp_path):
    asked = []

    def sides(area, edge, technology):
        asked.append((area, edge, technology))
        return {"memory": [(0, 3.0, 7.0)], "second": [(2, 3.0, 7.0)], "host": [(3, 3.0, 5.0)], "links": [(1, 3.0, 5.0)]}

    monkeypatch.setattr(floorplan, "along_the_sides", sides)
    monkeypatch.setattr(floorplan, "Technology", lambda changed, library: (changed, library))
    areas = {"sram": 20.0, "memory_interface": 8.0, "host_interface": 2.0, "link_interface": 1.0,
             "die_link_interface": 1.0, "compute": 48.0, "nothing": 0.0}  # fmt: skip
    edges = {"memory": 8.0, "second": 4.0, "host": 2.0, "links": 1.0, "die_links": 1.0}
    for dies, which in ((None, "die"), (2.0, "one of 2 dies,")):
        times = dies or 1
        design = SimpleNamespace(
            settings={"dies": dies, "memory": "hbm_3", "memory_devices": 2 * times},
            blocks={
                "area_mm2": {name: area * times for name, area in areas.items()},
                "edge_mm": {name: edge * times for name, edge in edges.items()},
            },
            limits={"die_edge_mm": SimpleNamespace(used=14.0, allowed=30.0)},
        )
        assert floorplan.draw_floorplan("knee", design, LIBRARY, tmp_path, ["svg"]) == [tmp_path / "floorplan.svg"]
        (axes,) = shown["floorplan"].axes
        # 80 mm² at 1.25 to 1: 10 mm by 8 mm; strips one deep all around, the two largest blocks within.
        area, edge, (changed, library) = asked.pop()
        assert area == pytest.approx(80) and (changed, library) == ({}, LIBRARY)
        assert [float(one[0]) for one in (edge.units, edge.unit_mm, edge.links_mm)] == [2, 4, 2]
        assert title(axes).replace("\n", " ") == f"knee: {which} of 80 mm², interfaces on 14 of 30 mm edge"
        assert max(map(len, title(axes).split("\n"))) <= floorplan.TITLE_WIDTH
        assert axes.get_xlim() == pytest.approx((-0.3, 10.3)) and axes.get_ylim() == pytest.approx((-0.24, 8.24))
        assert axes.get_aspect() == 1 and not any(line.get_visible() for line in axes.get_xgridlines())
        die, *others = axes.patches
        assert (die.get_xy(), die.get_width(), die.get_height()) == ((0, 0), pytest.approx(10), pytest.approx(8))
        assert len(others) == 5 + 2
        compute, sram = (patch.get_xy()[:4] for patch in others[5:])
        # Within 1 mm on every side: 8 mm by 6 mm, of which the larger takes 48 of 68.
        at = 1 + 8 * 48 / 68
        assert compute == pytest.approx(np.array([(1, 1), (at, 1), (at, 7), (1, 7)]))
        assert sram == pytest.approx(np.array([(at, 1), (9, 1), (9, 7), (at, 7)]))
        assert entries(shown["floorplan"]) == [
            "memory interface: 8 mm²", "host interface: 2 mm²", "link interface: 1 mm²", "die link interface: 1 mm²",
            "compute: 48 mm²", "sram: 20 mm²", "edge without an interface",
        ]  # fmt: skip
        links, die_links = (patch.get_xy()[:2] for patch in others[3:5])
        assert links == pytest.approx(np.array([(10, 5), (10, 4)])) and die_links == pytest.approx(
            np.array([(10, 4), (10, 3)])
        )
