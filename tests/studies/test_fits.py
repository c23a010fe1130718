"""Constants that the library says are fitted are what their rows give."""

import pytest

from studies.fits import __main__ as fits


@pytest.mark.parametrize(("name", "least"), [("quality", 80), ("silicon", 7)])
def test_shipped_constants_are_their_fits(name, least):
    lines, count = fits.misses(name)
    assert lines == []
    assert count >= least
    assert name in fits.CHEAP


def test_a_constant_that_is_not_its_fit_is_told(monkeypatch):
    monkeypatch.setattr(fits, "CHECKS", {"some": lambda *, folds: iter([("a", 1.0, 1.001), ("b", 1.0, 1.1)])})
    assert fits.misses("some") == (["b: the library has 1, its rows give 1.1"], 2)
