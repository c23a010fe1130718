import io

import numpy as np
import pytest
from rich.console import Console

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.cost import die_yield, harvest_yield, harvested_yield
from dse.render.terminal import print_parts
from dse.render.terminal.validation import validation_parts
from dse.validation.silicon.area import NETWORK, SURROUND, area_check, block_check, needed_surround, refit_parameters
from dse.validation.silicon.checks import constants, silicon_validation
from dse.validation.silicon.power import DELIVERY, chip_watts, fitted_delivery, power_check
from dse.validation.silicon.price import price_check
from dse.validation.silicon.rows import records

TECHNOLOGY = Technology()
LIBRARY_PARAMETERS = shipped_library().parameters


@pytest.fixture(scope="module")
def areas():
    return area_check(TECHNOLOGY).set_index("chip")


def test_area_of_npus_leave_one_out(areas):
    npus = areas[areas["class"] == "npu"]
    assert len(npus) == 6
    assert npus["error"].abs().mean() < 0.13
    assert npus["error_left_out"].abs().mean() <= 0.16
    # What is left out matters: no chip is predicted better by parameters that never saw it.
    assert (npus["error_left_out"].abs() >= npus["error"].abs() - 0.005).all()


def test_area_of_gpus(areas):
    for chip in ("ga100", "aldebaran_gcd", "gh100"):
        assert abs(areas.loc[chip, "error"]) < 0.10
    assert areas.loc["gh100", "role"] == "not fitted"
    assert areas[areas["class"] == "programmable"]["error_left_out"].abs().max() < 0.10


def test_gpu_blocks_within_a_fifth():
    blocks = block_check(TECHNOLOGY)
    named = blocks[~blocks["block"].isin(["rest", "total"])]
    assert len(named) == 8
    assert named["error"].abs().max() <= 0.20
    assert blocks[blocks["block"] == "total"]["error"].abs().max() <= 0.10
    for chip, parts in blocks.groupby("chip"):
        of_parts = parts[parts["block"] != "total"]
        total = parts[parts["block"] == "total"].iloc[0]
        assert of_parts["predicted_mm2"].sum() == pytest.approx(total["predicted_mm2"]), chip
        assert of_parts["photo_mm2"].sum() == pytest.approx(total["photo_mm2"], rel=1e-3), chip


def test_fitted_parameters_are_those_of_the_library(areas):
    chips = records("area", TECHNOLOGY.library)
    npus = [chip for chip in chips if chip["architecture"] == "npu"]
    assert refit_parameters(npus, TECHNOLOGY)[f"{SURROUND}.npu"] == pytest.approx(
        LIBRARY_PARAMETERS[f"{SURROUND}.npu"].typ, rel=0.01
    )
    gpus = [chip for chip in chips if chip["architecture"] == "programmable" and chip["role"] == "fitted"]
    refit = refit_parameters(gpus, TECHNOLOGY)
    assert refit[f"{SURROUND}.programmable"] == pytest.approx(
        LIBRARY_PARAMETERS[f"{SURROUND}.programmable"].typ, rel=0.01
    )
    assert refit[NETWORK] == pytest.approx(LIBRARY_PARAMETERS[NETWORK].typ, rel=0.06)
    (groq,) = [chip for chip in chips if chip["architecture"] == "static"]
    assert needed_surround(groq, TECHNOLOGY) == pytest.approx(LIBRARY_PARAMETERS[f"{SURROUND}.static"].typ, abs=0.01)
    assert len(constants(TECHNOLOGY.library)) == 5


def test_power_of_the_eleven():
    watts = power_check(TECHNOLOGY)
    assert len(watts) == 11
    assert watts["error"].abs().mean() <= 0.25
    assert watts["error_left_out"].abs().mean() <= 0.25
    everyone = records("power", TECHNOLOGY.library)
    assert fitted_delivery(everyone, TECHNOLOGY) == pytest.approx(LIBRARY_PARAMETERS[DELIVERY].typ, rel=0.05)
    for chip in everyone:
        blocks = chip_watts(chip, TECHNOLOGY)
        cooler = chip_watts(chip, TECHNOLOGY.with_overrides({"thermal.junction_c.air": 65.0}))
        assert cooler["leakage"] < blocks["leakage"]


def test_h100_costs_what_the_analysts_say():
    prices = price_check(TECHNOLOGY).set_index(["chip", "item"])
    assert prices.loc[("h100_sxm", "die"), "in_range"] == "yes"
    assert prices.loc[("h100_sxm", "module"), "in_range"] == "yes"
    assert prices["error"].abs().max() < 0.35


def test_tables_print_every_chip():
    out = io.StringIO()
    print_parts(Console(file=out, width=200), validation_parts(silicon_validation()))
    text = out.getvalue()
    for name in (
        "tpu_v1",
        "warboy",
        "groq_tsp",
        "gh100",
        "cloud_ai_100_ultra",
        "mi300x",
        "LLMCompass",
        "leave-one-out",
    ):
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
    defects = np.array([0.05, 0.4, 1.5])
    last = die_yield(defects * 100, 1.0, model=model, alpha=3.0)
    for spares in (1, 2, 8, 200):
        result = harvested_yield(defects, core_fraction=0.7, cores=64, spare_cores=spares, model=model, alpha=3.0)
        assert (result >= last - 1e-12).all()
        last = result
    rest_alone = die_yield(defects * 30, 1.0, model=model, alpha=3.0)
    assert last == pytest.approx(rest_alone, rel=2e-3)
