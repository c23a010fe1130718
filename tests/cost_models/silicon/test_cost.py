import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from cost_models.evaluate.serve import designs_machine
from cost_models.library.technology import Technology
from cost_models.silicon.cost import (
    Economics,
    Harvest,
    Joined,
    annuity,
    board_usd,
    die_blocks,
    die_yield,
    good_die_usd,
    good_fraction,
    gross_dies,
    harvested_yield,
    memory_price_factor,
    package_blocks,
    price_usd,
    usd_per_million_tokens,
    yield_murphy,
    yield_negative_binomial,
    yield_poisson,
)
from cost_models.table import Table

TECHNOLOGY = Technology()
WAFER = {"diameter_mm": 300, "edge_mm": 5, "scribe_mm": 0.2}
DEFECTS = st.floats(1e-6, 20)

# area mm2, wafer USD, defects /cm2 -> gross dies, yield, USD per good die: technology page, section 6, alpha 3
WORKED = [
    (400, 9346, 0.09, "130", "0.712", "101"),
    (826, 9346, 0.09, "56.6", "0.515", "321"),
    (814, 16988, 0.10, "57.6", "0.487", "606"),
    (653, 16988, 0.10, "74.6", "0.554", "411"),
    (400, 5500, 0.20, "130", "0.492", "86"),
    (300, 3984, 0.08, "178.4", "0.794", "28"),
]


def printed(value, like):
    """Round a value to as many decimals as a printed one has."""
    return f"{float(value):.{len(like.partition('.')[2])}f}"


@pytest.mark.parametrize(("area", "wafer", "d0", "gross", "good", "usd"), WORKED)
def test_worked_examples(area, wafer, d0, gross, good, usd):
    dies = gross_dies(area, **WAFER)
    share = die_yield(area, d0, model="negative_binomial", alpha=3)
    assert printed(dies, gross) == gross
    assert printed(share, good) == good
    assert printed(good_die_usd(wafer, dies, share, line_yield=1.0), usd) == usd


def test_die_blocks_use_the_library_parameters():
    def blocks(exposed_mm2):
        return die_blocks(
            np.array([400.0]),
            exposed_mm2=np.array([exposed_mm2]),
            wafer_usd=np.array([9346.0]),
            defects_per_cm2=np.array([0.09]),
            yield_model="negative_binomial",
            technology=TECHNOLOGY,
        )

    good = (1 + 4 * 0.09 / 3) ** -3
    assert blocks(400.0)["die"] == pytest.approx(101.016 / 0.98, rel=1e-4)
    assert blocks(400.0)["die_test"] == pytest.approx(5 / good)
    # Blank silicon takes its place on the wafer, and no defect in it kills a die.
    assert blocks(0.0)["die"] == pytest.approx(101.016 / 0.98 * good, rel=1e-4)
    assert blocks(200.0)["die_test"] == pytest.approx(5 * (1 + 2 * 0.09 / 3) ** 3)


def test_gross_dies_by_hand_and_in_the_limit():
    # A' = (20 + 0.2)^2 = 408.04
    by_hand = np.pi * 145**2 / 408.04 - np.pi * 290 / np.sqrt(2 * 408.04)
    assert gross_dies(400, **WAFER) == pytest.approx(by_hand)
    bare = gross_dies(100.0, diameter_mm=300, edge_mm=0, scribe_mm=0)
    assert bare == pytest.approx(np.pi * 150**2 / 100 - np.pi * 300 / np.sqrt(200))
    tiny = gross_dies(1e-4, diameter_mm=300, edge_mm=0, scribe_mm=0) * 1e-4
    assert tiny == pytest.approx(np.pi * 150**2, rel=1e-3), "small dies tile the wafer"
    assert gross_dies(70000.0, **WAFER) == 1


@given(DEFECTS)
def test_yield_laws_are_ordered(defects):
    # For the same expected defects, clustering helps: exp(-x) <= Murphy, and alpha = 3 above alpha = 100.
    poisson, murphy = yield_poisson(defects), yield_murphy(defects)
    clustered, nearly = yield_negative_binomial(defects, 3), yield_negative_binomial(defects, 1e9)
    assert 0 < poisson <= murphy <= 1
    assert poisson <= clustered * (1 + 1e-12)
    assert nearly == pytest.approx(poisson, rel=1e-5)
    assert yield_negative_binomial(defects, 2) >= clustered >= yield_negative_binomial(defects, 10)


def test_yield_laws_by_hand():
    assert yield_poisson(0.36) == pytest.approx(np.exp(-0.36))
    assert yield_murphy(0.36) == pytest.approx(((1 - np.exp(-0.36)) / 0.36) ** 2)
    assert yield_negative_binomial(0.36, 3) == pytest.approx((1 + 0.12) ** -3)
    assert yield_murphy(0.0) == 1.0
    for model, expected in (("poisson", np.exp(-0.36)), ("murphy", yield_murphy(0.36))):
        assert die_yield(400, 0.09, model=model, alpha=3) == pytest.approx(expected)
    with pytest.raises(ValueError, match="yield_model: 'seeds'"):
        die_yield(400, 0.09, model="seeds", alpha=3)


def test_samsung_yields_of_the_press():
    # 35 % then 70 % on a 100 mm2 die with alpha 3 means D0 1.26, then 0.38 per cm2 (technology page, section 1).
    assert die_yield(100, 1.26, model="negative_binomial", alpha=3) == pytest.approx(0.35, abs=0.005)
    assert die_yield(100, 0.38, model="negative_binomial", alpha=3) == pytest.approx(0.70, abs=0.005)


def package(die_usd=100.0, memory_usd=400.0, stacks=0.0, on_interposer=0.0, body=40.0, joined=None):
    return package_blocks(
        np.array([400.0]),
        die_usd=np.array([die_usd]),
        memory_usd=np.array([memory_usd]),
        stacks=np.array([stacks]),
        on_interposer=np.array([on_interposer]),
        body_mm=np.array([body]),
        technology=TECHNOLOGY,
        joined=joined,
    )


def test_organic_package_by_hand():
    blocks = package()
    substrate = 40 * 40 * 14 * 0.0008
    assert blocks["package"] == pytest.approx(substrate)
    assert blocks["bond_loss"] == pytest.approx((100 + substrate) * (1 / 0.99 - 1))
    assert blocks["test_and_assembly"] == 21
    assert package(memory_usd=4000)["bond_loss"] == blocks["bond_loss"], "board memory is not lost with the package"


def test_the_largest_body_is_paid_for():
    # 70 x 70 mm, the largest that the limits allow: 55 USD of 14 layers.
    many = package(body=TECHNOLOGY.value("package.body_mm"))["package"]
    assert many == pytest.approx(4900 * 14 * 0.0008)
    assert 50 < many[0] < 100


def test_interposer_by_hand():
    blocks = package(stacks=6.0, on_interposer=1.0)
    interposer = (400 + 6 * 110) * 1.1 * 0.265
    assert blocks["package"] == pytest.approx(interposer)
    assert blocks["bond_loss"] == pytest.approx((100 + 400 + interposer) * (1 / 0.95 - 1))
    assert blocks["test_and_assembly"] == 600


@pytest.mark.parametrize("lost", [0.0, 1.0])
def test_what_joins_dies_is_paid_for_and_at_stake(lost):
    columns = {"on_silicon": 0.0, "bridges_usd": 7.0, "attached_usd": 3.0, "good_fraction": 0.9, "memory": lost}
    blocks = package(joined=Joined(**{name: np.array([column]) for name, column in columns.items()}))
    whole = 40 * 40 * 14 * 0.0008 + 7
    assert blocks["package"] == pytest.approx(whole) and blocks["test_and_assembly"] == 21 + 3
    assert blocks["bond_loss"] == pytest.approx((100 + whole + lost * 400) * (1 / (0.99 * 0.9) - 1))


def test_board_goes_through_both_cards():
    assert board_usd(np.array([150.0, 700.0, 425.0]), TECHNOLOGY) == pytest.approx([190, 600, 395])


def test_price_by_hand():
    terms = Economics.of(TECHNOLOGY.library, units=100_000, margin=0.5, nre_share=0.2)
    assert price_usd(1000.0, mask_set_usd=10e6, design_nre_usd=300e6, economics=terms) == pytest.approx(3400)
    many = Economics.of(TECHNOLOGY.library, units=1e12, margin=0.0, nre_share=1.0)
    assert price_usd(1000.0, mask_set_usd=10e6, design_nre_usd=300e6, economics=many) == pytest.approx(1000)


def test_economics_defaults_are_parameters():
    terms = Economics.of(TECHNOLOGY.library)
    assert (terms.units, terms.margin, terms.nre_share, terms.krw_per_usd) == (150_000, 0.4, 0.3, 1340)
    # 5 million won is the 3 500 to 4 000 dollars of the press.
    assert 3500 < 5e6 / terms.krw_per_usd < 4000


def test_annuity_repays_the_loan():
    payment, owed = annuity(5, 0.08), 1.0
    for _ in range(5):
        owed = owed * 1.08 - payment
    assert owed == pytest.approx(0, abs=1e-12)
    assert annuity(5, 0.0) == pytest.approx(0.2)


def test_cost_of_ownership_by_hand():
    yearly = (
        (30_000 + 2 * 2000) * annuity(5, 0.08)
        + 1000 * 10 * annuity(12, 0.08)
        + (0.6 * 1000 + 0.4 * 200) / 1000 * 8766 * 1.35 / 0.95 * 0.081
    )
    tokens = 500 * 0.6 * 8766 * 3600
    usd = usd_per_million_tokens(30_000, 1000, 500, technology=TECHNOLOGY, chips=2, idle_w=200)
    assert usd == pytest.approx(yearly / tokens * 1e6)


@given(st.floats(1e2, 1e5), st.floats(10, 1e4), st.floats(1, 1e5))
def test_cost_of_ownership_rises_with_price_and_power_and_falls_with_speed(price, watts, rate):
    base = usd_per_million_tokens(price, watts, rate, technology=TECHNOLOGY)
    assert usd_per_million_tokens(price * 1.1, watts, rate, technology=TECHNOLOGY) > base
    assert usd_per_million_tokens(price, watts * 1.1, rate, technology=TECHNOLOGY) > base
    assert usd_per_million_tokens(price, watts, rate * 2, technology=TECHNOLOGY) == pytest.approx(base / 2)
    assert usd_per_million_tokens(price, watts, rate, technology=TECHNOLOGY, idle_w=0.0) < base
    assert np.isnan(usd_per_million_tokens(np.nan, watts, rate, technology=TECHNOLOGY))


def test_board_memory_costs_what_it_cost_in_a_year():
    factors = [memory_price_factor(year, TECHNOLOGY)[()] for year in (2020, 2023, 2024, 2024.5, 2025, 2026, 2030)]
    assert factors == pytest.approx([0.3, 0.3, 0.33, np.sqrt(0.33), 1.0, 1.5, 1.5])
    designs = Table.from_settings({"memory": "lpddr5x_9600"}, {"memory": "hbm3", "memory_device_gib": 16.0})
    now, then = (
        designs_machine(designs, TECHNOLOGY, Economics.of(TECHNOLOGY.library, price_year=year)).blocks["cost_usd"]
        for year in (2025, 2023)
    )
    assert then["memory"] / now["memory"] == pytest.approx([0.3, 1.0])
    assert then["die"] == pytest.approx(now["die"])


def plain_harvest(defects, fraction, cores, spares, law):
    """Return the yield of a die with spare cores: its density of defects integrated over by SciPy."""
    built = cores + spares

    def sold(density):
        core = np.exp(-defects * density * fraction / built)
        return np.exp(-defects * density * (1 - fraction)) * stats.binom(built, core).sf(cores - 1)

    if law == "poisson":
        return sold(1.0)
    # Murphy's densities are triangular from none to twice the mean, clustered ones a gamma of shape 2.
    density = (lambda x: min(x, 2 - x)) if law == "murphy" else stats.gamma(2.0, scale=0.5).pdf
    ends = (0, 1, 2) if law == "murphy" else (0, 1, 4, 30)
    parts = itertools.pairwise(ends)
    return sum(integrate.quad(lambda x: density(x) * sold(x), low, high, epsabs=1e-10)[0] for low, high in parts)


@pytest.mark.parametrize("law", ["poisson", "murphy", "negative_binomial"])
def test_spare_cores_gain_what_the_integral_over_defects_says(law):
    for defects, fraction, cores, spares in ((0.3, 0.6, 8, 1), (1.5, 0.9, 4, 2), (3.0, 0.5, 16, 0), (0.05, 1.0, 1, 3)):
        found = harvested_yield(
            np.full(1, defects), core_fraction=fraction, cores=cores, spare_cores=spares, model=law, alpha=2.0
        )
        assert found == pytest.approx([plain_harvest(defects, fraction, cores, spares, law)], rel=2e-3)
    # Where no die is good however many spares there are, the law itself is left.
    none = harvested_yield(np.full(1, 1e5), core_fraction=0.5, cores=4, spare_cores=1, model=law, alpha=2.0)
    assert none == die_yield(100.0, np.full(1, 1e5), model=law, alpha=2.0)


def test_spare_cores_that_are_none_leave_the_share_of_good_dies_and_the_rest_bounds_the_others():
    plain = {"yield_model": "murphy", "technology": TECHNOLOGY}
    area, density = np.array([400.0, 800.0]), np.array([0.1, 0.4])
    without = good_fraction(area, density, **plain)
    kept = Harvest(core_fraction=0.5, cores=8.0, spare_cores=0.0)
    assert good_fraction(area, density, harvest=kept, **plain) == pytest.approx(without)
    more = good_fraction(area, density, harvest=replace(kept, spare_cores=2.0), **plain)
    assert (more > without).all() and (more <= good_fraction(area / 2, density, **plain)).all()
    with pytest.raises(TypeError):
        Economics(1e6, 0.5, 0.3, 1300.0)
