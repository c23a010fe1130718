"""Compares blocks of a page with what a command makes of them."""

import re

import pytest

from studies.pages import DOCS, blocks_of

NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w])")


def assert_made(page, made, command):
    """Every block is on the page, and says the same in other numbers at most.

    Constants that are fitted anew move scores a little: the page follows when it shows, at 2 % or one of a hundred.
    """
    shown = blocks_of((DOCS / page).read_text(encoding="utf-8"))
    again = f"make docs/{page} anew: {command}"
    assert set(shown) == set(made), again
    for name, lines in made.items():
        assert [NUMBER.sub("#", line) for line in shown[name]] == [NUMBER.sub("#", line) for line in lines], again
        for line, now in zip(shown[name], lines, strict=True):
            for old, new in zip(NUMBER.finditer(line), NUMBER.finditer(now), strict=True):
                share = line[old.end() :].lstrip().startswith("%")
                told, found = (float(one[0].replace(",", "")) for one in (old, new))
                assert told == pytest.approx(found, rel=0.02, abs=1.0 if share else 0.01), f"{name}: {line}; {again}"
