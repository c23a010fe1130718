import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.quantities.parameters import PARAMETERS
from cost_models.silicon.cost import die_yield, harvest_yield, harvested_yield
from dse.uncertainty.calibration import calibration_check, calibration_table
from dse.validation.silicon.checks import block_check, broken_limits, constants, error_table, silicon_validation
from dse.validation.silicon.designs import machines_of, real_chips, scoped_power_w
from dse.validation.silicon.fit import informed, left_out, published, starts
from dse.validation.silicon.price import price_check

TECHNOLOGY = Technology()
LIBRARY = shipped_library()
CHIPS = real_chips(LIBRARY)


@pytest.fixture(scope="module")
def machine():
    return machines_of(CHIPS, TECHNOLOGY)


@pytest.fixture(scope="module")
def unseen():
    return left_out(CHIPS, TECHNOLOGY)


def test_chips_are_typed_as_an_architect_would():
    published_only = {"die_mm2", "power_w", "power_is", "power_scope"}
    reported = {"chip", "die", "sources", "note"}
    assert set(CHIPS.table) - reported - published_only <= set(PARAMETERS)
    assert set(CHIPS.designs) == set(CHIPS.table) - reported - published_only
    assert len(set(CHIPS.dies)) == len(CHIPS) >= 20
    given_v = CHIPS.table["chip"][np.isfinite(CHIPS.numbers("supply_v"))]
    assert list(given_v) == ["mtia_v2"], "the only supply that a maker has published"
    assert set(CHIPS.table["architecture"]) == {"programmable", "npu", "static"}
    assert len(set(CHIPS.table["node"])) >= 8
    for sources in CHIPS.table["sources"]:
        assert set(sources.split()) <= set(LIBRARY.sources)


def test_area_with_each_die_left_out(machine, unseen):
    table = error_table(CHIPS, "area", machine.die_mm2, unseen)
    assert len(table) >= 20
    assert table["error"].abs().mean() <= 0.12
    assert table["error_left_out"].abs().mean() <= 0.15
    assert table.groupby("class")["error_left_out"].apply(lambda rows: rows.abs().mean()).max() <= 0.20


def test_power_with_each_die_left_out(machine, unseen):
    table = error_table(CHIPS, "power", scoped_power_w(CHIPS, machine, LIBRARY), unseen)
    assert len(table) >= 20
    assert table["error_left_out"].abs().mean() <= 0.25
    # What a board is compared with is the metric itself.
    boards = (CHIPS.table["power_scope"] != "package").to_numpy()
    assert np.array_equal(scoped_power_w(CHIPS, machine, LIBRARY)[boards], machine.tdp_w[boards])


def test_the_library_holds_what_the_fit_finds(unseen):
    table = constants(unseen, TECHNOLOGY)
    assert table["library"].to_numpy() == pytest.approx(table["fitted"].to_numpy(), rel=2e-3)
    assert len(table) == len(starts("area", LIBRARY)) + len(starts("power", LIBRARY)) <= 8


def test_a_fit_is_a_minimum(unseen):
    for quantity, result in unseen.fits.items():
        real = published(CHIPS, quantity)
        values = dict(zip(result.names, result.values[0].tolist(), strict=True))

        def misfit(changes, real=real, values=values, quantity=quantity):
            technology = TECHNOLOGY.with_overrides({**values, **changes})
            from dse.validation.silicon.fit import PREDICTED

            return np.nansum(np.log(PREDICTED[quantity](CHIPS, technology) / real) ** 2)

        least = misfit({})
        for name, value in values.items():
            assert misfit({name: value * 1.03}) > least
            assert misfit({name: value * 0.97}) > least


def test_a_die_left_out_is_left_out_of_everything(unseen):
    for die, parameters in informed(LIBRARY).items():
        assert die in CHIPS.dies
        assert parameters.items() <= unseen.unaware[die].items()
        assert all(parameter in LIBRARY.parameters for parameter in parameters)
    # Other published numbers of the chip do not enter: with them changed, its prediction stays.
    table = CHIPS.table.copy()
    table.loc[table["chip"] == "rngd", ["die_mm2", "power_w"]] *= 2
    changed = left_out(type(CHIPS)(table, CHIPS.designs), TECHNOLOGY)
    row = list(CHIPS.table["chip"]).index("rngd")
    for quantity, predicted in changed.predicted.items():
        assert predicted[row] == pytest.approx(unseen.predicted[quantity][row], rel=1e-9)
        assert changed.in_sample[quantity][row] != pytest.approx(unseen.in_sample[quantity][row], rel=1e-3)


def test_real_chips_are_feasible(machine):
    broken = broken_limits(CHIPS, machine)
    wanted = {"h100", "a100", "rtx_4090", "tpu_v4", "mtia_v2", "rngd", "groq"}
    assert wanted <= set(CHIPS.table["chip"])
    assert not wanted & set(broken["chip"])
    assert len(broken) <= 2


def test_intervals_hold_what_they_say(unseen):
    table = calibration_check(CHIPS, unseen, TECHNOLOGY)
    whole = table[table["class"] == "all"].set_index("quantity")
    for quantity, widest in (("area", 1.5), ("power", 2.0)):
        assert 0.7 <= whole.loc[quantity, "inside_left_out"] <= 0.9
        assert whole.loc[quantity, "inside_open"] >= 0.7
        assert whole.loc[quantity, "median_p90_over_p10_left_out"] <= widest
    # Without the models' own error they hold less: the spread of parameters alone is not what is missed.
    certain = {f"model_error.{q}.{c}": 1.0 for q in ("area", "power") for c in ("programmable", "compiled")}
    bare = calibration_check(CHIPS, unseen, TECHNOLOGY.with_overrides(certain))
    assert (bare["inside_left_out"] <= table["inside_left_out"] + 1e-9).mean() >= 0.5


def test_gpu_blocks(machine):
    blocks = block_check(CHIPS, machine, TECHNOLOGY).set_index(["chip", "block"])
    for chip in ("a100", "mi250x_die"):
        parts = blocks.loc[chip].drop("total")
        assert parts["predicted_mm2"].sum() == pytest.approx(blocks.loc[chip, "total"]["predicted_mm2"])
        assert abs(blocks.loc[chip, "cores_caches_and_network"]["error"]) <= 0.2
    assert abs(blocks.loc["a100", "memory_phy_and_controller"]["error"]) <= 0.12


def test_an_h100_costs_what_the_analysts_say():
    prices = price_check(TECHNOLOGY).set_index("item")
    assert prices.loc["module", "in_range"] == "yes"
    assert prices.loc["module", "predicted_usd"] > prices.loc["die", "predicted_usd"]


def test_tables_print_every_chip():
    shown = silicon_validation(further=[calibration_table])
    text = "\n".join(f"{table.title} {table.frame.to_string()} {table.note}" for table in shown.tables)
    for name in (*CHIPS.table["chip"], "b200", "mi300x", "inside_left_out", "LLMCompass", "leave-one-out"):
        assert name in text


def test_harvest_by_hand():
    assert harvest_yield(0.9, blocks=2, needed=1) == pytest.approx(0.99)
    assert harvest_yield(0.9, blocks=3, needed=3) == pytest.approx(0.729)
    terms = {"cores": 8, "spare_cores": 0, "alpha": 3.0, "model": "negative_binomial"}
    assert harvested_yield(0.8, core_fraction=0.6, **terms) == pytest.approx((1 + 0.8 / 3) ** -3)
    # Poisson: cores fail independently, and the closed form is the binomial sum times the rest.
    poisson = harvested_yield(0.8, core_fraction=0.5, cores=3, spare_cores=1, model="poisson", alpha=3.0)
    assert poisson == pytest.approx(np.exp(-0.4) * harvest_yield(np.exp(-0.1), blocks=4, needed=3))


@pytest.mark.parametrize("model", ["negative_binomial", "poisson", "murphy"])
def test_spare_cores_only_help_and_never_beyond_the_rest(model):
    defects = np.array([0.05, 0.4, 1.5, 30.0, 1e3, 1e6])
    rest_alone = die_yield(defects * 30, 1.0, model=model, alpha=3.0)
    last = die_yield(defects * 100, 1.0, model=model, alpha=3.0)
    for spares in (1, 2, 8, 200):
        result = harvested_yield(defects, core_fraction=0.7, cores=64, spare_cores=spares, model=model, alpha=3.0)
        assert (result >= last * (1 - 1e-12)).all() and (result <= rest_alone * (1 + 1e-12)).all()
        last = result
    assert last[:3] == pytest.approx(rest_alone[:3], rel=2e-3)
