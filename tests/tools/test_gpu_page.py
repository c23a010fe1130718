"""The tables of docs/gpu.md are what the model and the published rows say now."""

import pytest

from studies.pages import DOCS, blocks_of, rewritten
from tests.pages import assert_made
from tools.measure_gpu import published

PAGE = (DOCS / "gpu.md").read_text(encoding="utf-8")


def test_every_table_is_what_is_made():
    assert_made("gpu.md", published.tables(), "python -m tools.measure_gpu.published --write")


def test_a_page_keeps_all_but_its_blocks():
    made = blocks_of(PAGE)
    assert rewritten(PAGE, made) == PAGE
    changed = rewritten(PAGE, made | {"steps": ["| none |"]})
    assert blocks_of(changed) == made | {"steps": ["| none |"]}
    assert changed.split("<!-- steps -->")[0] == PAGE.split("<!-- steps -->")[0]
    with pytest.raises(ValueError, match="the page has"):
        rewritten(PAGE, made | {"other": []})


def test_the_page_says_that_nothing_was_measured():
    assert "**No GPU has been measured with this yet.**" in PAGE


def test_the_ridge_of_an_a100_is_the_librarys():
    from cost_models.library.technology import Technology

    assert published.ridge_rows("a100_80gb_sxm") == pytest.approx(
        float(Technology().value("kernel_gpus.A100.ridge_rows")), rel=0.01
    )
