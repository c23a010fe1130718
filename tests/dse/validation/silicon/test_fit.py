"""Constants of real chips as least squares of made powers."""

import numpy as np
import pytest

from dse.validation.silicon import fit
from tests.dse.validation.told import Told


class Chips:
    """Chips whose published area is a product of powers of two constants, with a known rest."""

    def __init__(self, slopes, real, dies, times=1):
        self.slopes, self.real, self.own, self.times = slopes, real, list(dies), times

    def __len__(self):
        return len(self.real) * self.times

    @property
    def dies(self):
        return self.own * self.times

    def repeated(self, times):
        return Chips(self.slopes, self.real, self.own, times)


def of_powers(chips, told):
    logs = np.stack([np.broadcast_to(np.log(told[name]), len(chips)) for name in ("a", "b")], axis=1)
    return np.exp((np.tile(chips.slopes, (chips.times, 1)) * logs).sum(axis=1))


@pytest.fixture
def powers(monkeypatch):
    monkeypatch.setattr(fit, "starts", lambda quantity, library: {"a": 1.5, "b": 0.8})
    monkeypatch.setattr(fit, "QUANTITIES", ("area",))
    monkeypatch.setattr(fit, "PREDICTED", {"area": of_powers})
    monkeypatch.setattr(fit, "published", lambda chips, quantity: np.tile(chips.real, chips.times))
    monkeypatch.setattr(fit, "informed", lambda library: {})
    rng = np.random.default_rng(1)
    slopes = rng.uniform(0.5, 2, (8, 2)) * [1, -1]
    real = np.exp(slopes @ [0.7, 0.3] + 0.1 * rng.normal(size=8))
    real[6] = np.nan
    return Chips(slopes, real, "aabcdefg")


def test_constants_of_area_are_those_of_least_squares_of_logarithms(powers):
    used = np.ones((2, 8), bool)
    used[1, :2] = False
    found = fit.fit(powers.repeated(2), "area", used, Told())
    for fold, mask in enumerate(used):
        kept = mask & np.isfinite(powers.real)
        matrix, wanted = powers.slopes[kept], np.log(powers.real[kept])
        logs = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
        rest = wanted - matrix @ logs
        variance = (rest**2).sum() / (kept.sum() - 2)
        assert np.log(found.values[fold]) == pytest.approx(logs, abs=1e-6)
        expected = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)) * variance)
        assert found.errors[fold] == pytest.approx(expected, rel=1e-3)
    assert found.names == ("a", "b")


def test_every_die_is_predicted_without_itself(powers):
    found = fit.left_out(powers, Told())
    for row, die in enumerate(powers.own):
        kept = np.array([one != die for one in powers.own]) & np.isfinite(powers.real)
        logs = np.linalg.lstsq(powers.slopes[kept], np.log(powers.real[kept]), rcond=None)[0]
        assert np.log(found.predicted["area"][row]) == pytest.approx(powers.slopes[row] @ logs, abs=1e-6)
        assert list(found.unaware[die].values()) == pytest.approx(np.exp(logs), rel=1e-6)
    kept = np.isfinite(powers.real)
    logs = np.linalg.lstsq(powers.slopes[kept], np.log(powers.real[kept]), rcond=None)[0]
    assert np.log(found.in_sample["area"]) == pytest.approx(powers.slopes @ logs, abs=1e-6)
    assert found.fits["area"].values.shape == (8, 2)


def test_what_a_die_told_the_library_is_what_it_would_be_without(powers, monkeypatch):
    monkeypatch.setattr(fit, "informed", lambda library: {"b": {"c": 4.0}})
    scaled = {"area": lambda chips, told: of_powers(chips, told) * told["c"]}
    monkeypatch.setattr(fit, "PREDICTED", scaled)
    plain = fit.left_out(powers, Told(c=1.0))
    other = fit.left_out(powers, Told(c=1.0))
    assert plain.unaware["b"]["c"] == 4.0 and "c" not in plain.unaware["a"]
    kept = np.array([one != "b" for one in powers.own]) & np.isfinite(powers.real)
    logs = np.linalg.lstsq(powers.slopes[kept], np.log(powers.real[kept] / 4), rcond=None)[0]
    assert np.log(plain.predicted["area"][2]) == pytest.approx(powers.slopes[2] @ logs + np.log(4), abs=1e-6)
    assert plain.predicted["area"] == pytest.approx(other.predicted["area"])
