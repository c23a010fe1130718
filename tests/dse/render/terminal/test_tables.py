"""Cells, ranges and headings, worked out by hand."""

import math

import numpy as np

from dse.render.terminal.tables import TextTable, cell_text, narrow, ranges_text


def test_cells_are_read_as_people_write_them():
    for value, text in (
        (None, ""), (True, "yes"), (False, "no"), (0, "0"), (-0.0, "0"), (1234567, "1 234 567"), (0.5, "0.5"),
        (math.nan, "n/a"), (-math.inf, "-inf"), ("hbm3", "hbm3"), (np.float64(2.5), "2.5"), ((1, 2), "(1, 2)"),
    ):  # fmt: skip
        assert cell_text(value) == text, value


def test_columns_of_numbers_are_those_behind_the_names_whose_every_cell_is_one():
    cells = [
        "1 000",
        "-0.5",
        "+3",
        "1e-05",
        "n/a",
        "-",
        "",
        "any",
        "inf",
        "-inf",
        "4.27x",
        "< 0.1",
        "> 99.9",
        "12 345x",
    ]
    table = TextTable("", ("name", "numbers", "texts"), [(1, cell, cell) for cell in cells] + [(2, "3", "3 W")])
    assert [table.is_numeric(place) for place in range(3)] == [False, True, False]
    assert not TextTable("", ("a", "b"), [("1", "2")], names=2).is_numeric(1)
    assert TextTable("", ("a", "b"), [("1", "2")]).cells == (("1", "2"),)


def test_neighbours_are_joined():
    levels = [1.0, 2.0, 4.0, 8.0, 16.0]
    for chosen, text in (
        ([], ""), ([0], "1"), ([4], "16"), ([1, 0], "1 to 2"), ([0, 2, 4], "1, 4, 16"), ([4, 2, 3, 0], "1, 4 to 16"),
        (range(5), "1 to 16"),
    ):  # fmt: skip
        assert ranges_text(levels, levels, chosen) == text
    # Of intervals the low end of the first and the high end of the last.
    assert ranges_text([0.0, 10.0, 20.0], [9.0, 19.0, 29.0], [0, 1]) == "0 to 19"
    assert ranges_text([0.0, 10.0, 20.0], [9.0, 19.0, 29.0], [0, 2]) == "0 to 9, 20 to 29"


def test_headings_are_broken_behind_commas_and_where_they_are_long():
    for name, width, text in (
        ("tdp_w, W", 11, "tdp_w\nW"),
        ("elevenchars", 11, "elevenchars"),
        ("eleven_chars", 11, "eleven_\nchars"),
        ("abc_defghijk", 11, "abc_\ndefghijk"),
        ("twelvechars_", 12, "twelvechars_"),
        ("twelvechars_m", 12, "twelvechars_\nm"),
        ("twelvecharsm_n", 12, "twelvecharsm_n"),
        ("nearest to targets", 11, "nearest to\ntargets"),
        ("a.b_c d efghijklmnop", 8, "a.b_c d\nefghijklmnop"),
        ("noplacetobreakit, ", 4, "noplacetobreakit"),
        ("_abcdefghijklmn", 11, "_\nabcdefghijklmn"),
    ):
        assert narrow(name, width) == text
    assert (narrow("elevenchars"), narrow("eleven_chars")) == ("elevenchars", "eleven_\nchars")
