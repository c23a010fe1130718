"""The tables of docs/gpu.md are what the model and the published rows say now."""

import re
from pathlib import Path

import pytest

from tools.measure_gpu import published

PAGE = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)( %)?")


@pytest.fixture(scope="module")
def printed():
    return published.tables()


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", ["steps", "published", "weight_only", "sparse"])
def test_a_table_is_what_is_printed(name, printed):
    result = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert result, f"docs/gpu.md has no table {name}"
    shown = result[1].splitlines()
    assert len(shown) == len(printed[name]), "print it again: python -m tools.measure_gpu.published"
    for line, expected in zip(shown, printed[name], strict=True):
        for cell, other in zip(cells(line), cells(expected), strict=True):
            number, now = NUMBER.fullmatch(cell), NUMBER.fullmatch(other)
            if number and now:
                # Constants that are fitted anew move parameters a little: the page follows when it shows.
                assert float(number[1]) == pytest.approx(float(now[1]), rel=0.02, abs=1.0 if number[2] else 0.0), line
            else:
                assert cell == other, "print it again: python -m tools.measure_gpu.published"


def test_the_page_says_that_nothing_was_measured():
    assert "**No GPU has been measured with this yet.**" in PAGE


def test_the_ridge_of_an_a100_is_the_librarys():
    from cost_models.library.technology import Technology

    assert published.ridge_rows("a100_80gb_sxm") == pytest.approx(
        float(Technology().value("kernel_gpus.A100.ridge_rows")), rel=0.01
    )
