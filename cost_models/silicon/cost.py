"""Dollars: dies per wafer, yield, package, board, price, cost of ownership.

Parameters of areas are mm2 for geometry and cm2 for yield. Equations: Chiplet Actuary (Feng and Ma, DAC 2022) for the
edge-corrected gross dies and bond yields; the yield laws are collected in Cunningham 1990. Parameters stand in
``yield.yaml``, ``packaging.yaml``, ``tco.yaml`` and ``silicon.yaml`` of the library.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import numpy as np

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.table import FloatArray, Number, positive, rows_where
from cost_models.tape import asarray, row_by_row
from cost_models.units import MM2_PER_CM2

HOURS_PER_YEAR = 8766.0
SECONDS_PER_YEAR = 3600 * HOURS_PER_YEAR

QUADRATURE_NODES = 32
"""Points of the Gauss-Legendre rule over the probability of a defect density: 1 % for dies of many defects."""

YieldModel = Literal["negative_binomial", "poisson", "murphy"]


@dataclass(frozen=True, kw_only=True)
class Economics:
    """Business terms of a chip.

    Attributes:
        units: boards sold over the product's life, which carry the NRE.
        margin: gross margin on the selling price, below 1.
        nre_share: share of the node's design NRE that the project pays; masks are paid in full.
        krw_per_usd: exchange rate for prices quoted in won.
        price_year: year of the prices of board memory.
        yield_model: law that turns area and defect density into yield.
    """

    units: float
    margin: float
    nre_share: float
    krw_per_usd: float
    price_year: float = 2025.0
    yield_model: YieldModel = "negative_binomial"

    @classmethod
    def of(cls, library: Library, **given: Any) -> Self:
        """Return the given terms, with the library's parameters under ``economics`` for those that are not given."""
        terms = {one.name: f"economics.{one.name}" for one in fields(cls)}
        return cls(
            **{name: library.parameters[path].typ for name, path in terms.items() if path in library.parameters} | given
        )


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """Spare cores of a die; ``(n,)`` or scalars.

    Attributes:
        core_fraction: share of the die that all cores take, spare ones included.
        cores: cores that must work.
        spare_cores: cores beyond those.
    """

    core_fraction: Number
    cores: Number
    spare_cores: Number


def gross_dies(die_mm2: Number, *, diameter_mm: Number, edge_mm: Number, scribe_mm: Number) -> FloatArray:
    """Return the dies on a wafer, edge exclusion and scribe lines taken off.

    pi (D/2 - e)^2 / A' - pi (D - 2e) / sqrt(2 A') with A' = A + 2 s sqrt(A) + s^2 (Chiplet Actuary). Where the
    formula falls below one die, far beyond any reticle, it is one.
    """
    side = np.sqrt(die_mm2) + scribe_mm
    usable = asarray(diameter_mm) - 2 * asarray(edge_mm)
    return asarray(np.maximum(np.pi * usable * (usable / (4 * side) - np.sqrt(0.5)) / side, 1.0))


def yield_poisson(defects: Number) -> FloatArray:
    """Return the share of good dies for `defects` = A D0 expected defects per die, defects independent: exp(-A D0)."""
    return asarray(np.exp(-asarray(defects)))


def yield_murphy(defects: Number) -> FloatArray:
    """Return Murphy's yield for a triangular spread of defect density: ((1 - exp(-A D0)) / (A D0))^2."""
    defects = asarray(defects, dtype=np.float64)
    safe = positive(defects)
    return np.where(defects > 0, (-np.expm1(-safe) / safe) ** 2, 1.0)


def yield_negative_binomial(defects: Number, alpha: Number) -> FloatArray:
    """Return the yield for clustered defects: (1 + A D0 / alpha)^(-alpha); Poisson as alpha grows without bound."""
    return asarray(np.exp(-asarray(alpha) * np.log1p(asarray(defects) / alpha)))


def die_yield(die_mm2: Number, defects_per_cm2: Number, *, model: YieldModel, alpha: Number) -> FloatArray:
    """Return the share of good dies under the chosen law; `alpha` matters to the negative binomial only."""
    defects = asarray(die_mm2) * (asarray(defects_per_cm2) / MM2_PER_CM2)
    match model:
        case "negative_binomial":
            return yield_negative_binomial(defects, alpha)
        case "poisson":
            return yield_poisson(defects)
        case "murphy":
            return yield_murphy(defects)
    raise ValueError(f"yield_model: {model!r} is not one of negative_binomial, poisson, murphy")


def harvest_yield(block_yield: Number, *, blocks: Number, needed: Number) -> FloatArray:
    """Return the probability that at least `needed` of `blocks` independent blocks are good.

    sum over k >= needed of C(n, k) y^k (1 - y)^(n - k) (library ``formulas.harvest``).
    """
    from scipy import special

    count = asarray(blocks).astype(np.int64)
    return asarray(special.bdtrc(asarray(needed, dtype=np.float64) - 1.0, count, block_yield))


def harvested_yield(
    defects: Number, *, core_fraction: Number, cores: Number, spare_cores: Number, model: YieldModel, alpha: Number
) -> FloatArray:
    """Return the yield of a die that works with `cores` of its ``cores + spare_cores`` cores; its rest must be good.

    Defect densities vary from die to die as the yield law says (negative binomial: gamma, Murphy: triangular); given
    the density, defects are independent, and cores fail by `harvest_yield`. What spare cores gain over the plain
    law is integrated over the density, so that without spare cores the result is the law itself; it is at most the
    yield of the rest alone.

    Args:
        defects: expected defects of the whole die, spare cores included.
        core_fraction: share of the die that all its cores take.
        cores: cores that must work.
        spare_cores: cores beyond those.
        model: yield law.
        alpha: clustering of the negative binomial.
    """
    plain, rest_alone = (
        die_yield(MM2_PER_CM2, share * asarray(defects), model=model, alpha=alpha)
        for share in (1.0, 1 - asarray(core_fraction))
    )
    built = asarray(cores) + asarray(spare_cores)
    with_spares, without = np.zeros(1), np.zeros(1)
    for node, weight in zip(*np.polynomial.legendre.leggauss(QUADRATURE_NODES), strict=True):
        probability = (node + 1) / 2
        density = asarray(defects) * _density_quantile(probability, model, alpha)
        rest = weight * np.exp(-density * (1 - asarray(core_fraction)))
        core = np.exp(-density * core_fraction / built)
        with_spares = with_spares + rest * harvest_yield(core, blocks=built, needed=cores)
        without = without + rest * core**built
    # Where dies are so large that the sums miss the few of little density, the rest of the die still bounds the gain.
    return asarray(np.minimum(plain * _gain(with_spares, without), rest_alone))


@row_by_row
def _gain(with_spares: FloatArray, without: FloatArray) -> FloatArray:
    return np.divide(with_spares, without, out=np.ones_like(without), where=without > 0)


def _density_quantile(probability: float, model: YieldModel, alpha: Number) -> FloatArray:
    """Return a quantile of the defect density over its mean."""
    if model == "negative_binomial":
        from scipy import special

        return asarray(special.gammaincinv(alpha, probability) / alpha)
    if model == "murphy":
        return asarray(np.sqrt(2 * probability) if probability < 0.5 else 2 - np.sqrt(2 * (1 - probability)))
    return np.ones(1)


def good_die_usd(wafer_usd: Number, gross: Number, good_fraction: Number, *, line_yield: Number) -> FloatArray:
    """Return the cost of one good die without its test: wafer / (gross Y_line) / Y."""
    return asarray(asarray(wafer_usd) / (asarray(gross) * line_yield) / good_fraction)


def good_fraction(
    exposed_mm2: FloatArray,
    defects_per_cm2: FloatArray,
    *,
    yield_model: YieldModel,
    technology: Technology,
    harvest: Harvest | None = None,
) -> FloatArray:
    """Return the share of dies that can be sold, spare cores used where there are some: of what holds circuits."""
    value = technology.value
    alpha = value("formulas.yield_negative_binomial.alpha")
    critical_mm2 = exposed_mm2 * value("formulas.critical_area_ratio")
    if harvest is None:
        return die_yield(critical_mm2, defects_per_cm2, model=yield_model, alpha=alpha)
    return harvested_yield(
        critical_mm2 * (defects_per_cm2 / MM2_PER_CM2),
        core_fraction=harvest.core_fraction,
        cores=harvest.cores,
        spare_cores=harvest.spare_cores,
        model=yield_model,
        alpha=alpha,
    )


def die_blocks(
    die_mm2: FloatArray,
    *,
    exposed_mm2: FloatArray,
    wafer_usd: FloatArray,
    defects_per_cm2: FloatArray,
    yield_model: YieldModel,
    technology: Technology,
    harvest: Harvest | None = None,
) -> dict[str, FloatArray]:
    """Return the cost of one good die, and of testing all dies for it.

    Args:
        die_mm2: die, spare cores included.
        exposed_mm2: what of it holds circuits, which a defect can kill.
        wafer_usd: processed wafer.
        defects_per_cm2: defect density.
        yield_model: law that turns both into yield.
        technology: parameters of ``yield.yaml``.
        harvest: spare cores; none where None.
    """
    value = technology.value
    good = good_fraction(exposed_mm2, defects_per_cm2, yield_model=yield_model, technology=technology, harvest=harvest)
    gross = gross_dies(
        die_mm2,
        diameter_mm=value("wafer.diameter_mm"),
        edge_mm=value("formulas.gross_dies_edge.edge_mm"),
        scribe_mm=value("formulas.gross_dies_edge.scribe_mm"),
    )
    line = value("formulas.good_die_cost.wafer_line_yield")
    return {
        "die": good_die_usd(wafer_usd, gross, good, line_yield=line),
        "die_test": asarray(value("assembly.die_test_usd") / good),
    }


@dataclass(frozen=True)
class Joined:
    """What several dies in one package, or memory on top of them, take; ``(n,)``, neutral in rows of one bare die.

    Attributes:
        on_silicon: 1 where silicon lies under all dies, also without stacks beside them.
        bridges_usd: pieces of silicon under facing sides.
        attached_usd: placing the dies beyond the first, bonding the memory.
        good_fraction: packages that those leave good.
        memory: 1 where memory is lost with the package although it does not stand on an interposer.
    """

    on_silicon: FloatArray
    bridges_usd: FloatArray
    attached_usd: FloatArray
    good_fraction: FloatArray
    memory: FloatArray


def package_blocks(
    die_mm2: FloatArray,
    *,
    die_usd: FloatArray,
    memory_usd: FloatArray,
    stacks: FloatArray,
    on_interposer: FloatArray,
    body_mm: FloatArray,
    technology: Technology,
    joined: Joined | None = None,
) -> dict[str, FloatArray]:
    """Return substrate or interposer, losses of bonding, test and assembly of one package.

    Organic flip chip: substrate = body^2, as the limits of the package count it, at a price per layer; one die lost per
    failed bond. Interposer (`on_interposer` true):
    area = (die + stacks) x 1.1 at the price of the finished service, and a failed assembly loses die, memory and
    interposer together; one bond yield counts for the whole assembly.

    Args:
        die_mm2: logic die, or all of them.
        die_usd: good and tested die, or all of them.
        memory_usd: memory of the board.
        stacks: memory stacks beside the die on an interposer.
        on_interposer: whether memory sits on an interposer.
        body_mm: side of the package (`area.package_body_mm`).
        technology: parameters.
        joined: what several dies take; None where every package has one.
    """
    value, interposer = technology.value, on_interposer > 0
    if joined is not None:
        interposer = interposer | (joined.on_silicon > 0)
    layers = asarray(value("packaging.substrate_layers"))
    organic = body_mm * body_mm * (layers * value("packaging.substrate_usd_per_mm2_layer"))
    silicon = (die_mm2 + stacks * value("assembly.stack_footprint_mm2")) * (
        asarray(value("packaging.silicon_interposer.area_over_sum_of_dies"))
        * value("packaging.silicon_interposer.cowos_usd_per_mm2_interposer")
    )
    package = rows_where(interposer, silicon, organic)
    bond = rows_where(interposer, value("packaging.interposer_bond_yield"), value("packaging.flip_chip_bond_yield"))
    at_stake = die_usd + package + rows_where(on_interposer > 0, memory_usd, 0.0)
    test = rows_where(
        interposer,
        value("assembly.interposer_test_and_assembly_usd"),
        value("packaging.test_and_assembly_usd_per_package_simple"),
    )
    if joined is not None:
        at_stake = at_stake + joined.bridges_usd + joined.memory * memory_usd
        package = package + joined.bridges_usd
        bond, test = bond * joined.good_fraction, test + joined.attached_usd
    return {"package": package, "bond_loss": at_stake * (1 / bond - 1), "test_and_assembly": test}


def board_usd(tdp_w: FloatArray, technology: Technology) -> FloatArray:
    """Return circuit board, voltage regulators and cooling of a card: a line in TDP through the library's two cards.

    The cards draw 150 W (air) and 700 W (``board_load``); the line goes on beyond both.
    """
    value = technology.value
    small_w, large_w = asarray(value("board_load.small_card_w")), asarray(value("board_load.large_card_w"))
    small = asarray(value("board.pcb_vrm_cooling_usd_per_card_air_150w"))
    large = asarray(value("board.pcb_vrm_cooling_usd_per_card_700w"))
    return asarray(small + (tdp_w - small_w) * ((large - small) / (large_w - small_w)))


PRICE_YEARS = (2023, 2024, 2025, 2026)
"""Years that ``memory_market.of_year`` has prices of board memory for."""


def memory_price_factor(year: float, technology: Technology) -> FloatArray:
    """Return the price of board memory in a year over that of late 2025.

    In equal ratios between two years, at the nearest year beyond all.
    """
    at = float(np.clip(year, PRICE_YEARS[0], PRICE_YEARS[-1]))
    before, after = int(np.floor(at)), int(np.ceil(at))
    first, last = (np.log(asarray(technology.value(f"memory_market.of_year.{one}"))) for one in (before, after))
    return asarray(np.exp(first + (at - before) * (last - first)))


def nre_usd(*, mask_set_usd: Number, design_nre_usd: Number, economics: Economics) -> FloatArray:
    """Return what one unit carries of masks and design: (masks + NRE share x design) / units."""
    return (asarray(mask_set_usd) + economics.nre_share * asarray(design_nre_usd)) / economics.units


def price_usd(cost_usd: Number, *, mask_set_usd: Number, design_nre_usd: Number, economics: Economics) -> FloatArray:
    """Return the selling price: (cost + (masks + NRE share x design) / units) / (1 - margin)."""
    nre = nre_usd(mask_set_usd=mask_set_usd, design_nre_usd=design_nre_usd, economics=economics)
    return asarray((cost_usd + nre) / (1 - economics.margin))


def annuity(years: Number, rate: Number) -> FloatArray:
    """Return the yearly payment per dollar borrowed at `rate` and paid back over `years`: r / (1 - (1 + r)^-y)."""
    rate = asarray(rate, dtype=np.float64)
    safe = positive(rate)
    return np.where(rate > 0, safe / -np.expm1(-asarray(years) * np.log1p(safe)), 1 / asarray(years))


def usd_per_million_tokens(
    price_usd: Number,
    watts: Number,
    tokens_per_s: Number,
    *,
    technology: Technology,
    chips: Number = 1.0,
    idle_w: Number | None = None,
    provisioned_w: Number | None = None,
) -> FloatArray:
    """Return the cost of ownership per million tokens served.

    Yearly: boards with their share of a host server, paid back over ``tco.amortisation_years`` at
    ``tco.cost_of_capital``; data-centre building per provisioned watt over ``ownership.datacenter_years``; electricity
    through power supply and PUE at ``tco.utilisation`` of the time, idle power in the rest. Divided by
    utilisation x tokens_per_s x a year. Operating staff and network are left out.

    Args:
        price_usd: of all boards together; NaN gives NaN.
        watts: power of all boards while serving.
        tokens_per_s: rate while serving.
        technology: parameters.
        chips: boards, each with its share of a host.
        idle_w: power of all boards while waiting; as while serving where None.
        provisioned_w: power that the data centre sets aside; `watts` where None.
    """
    value = technology.value
    used = asarray(value("tco.utilisation"))
    rate = value("tco.cost_of_capital")
    hosts = asarray(chips) * value("board.host_server_usd_per_accelerator")
    servers = (asarray(price_usd) + hosts) * annuity(value("tco.amortisation_years"), rate)
    set_aside = watts if provisioned_w is None else provisioned_w
    building = asarray(set_aside) * value("tco.datacenter_capex_usd_per_w")
    building = building * annuity(value("ownership.datacenter_years"), rate)
    mean_w = used * watts + (1 - used) * asarray(watts if idle_w is None else idle_w)
    kwh = mean_w / 1000 * HOURS_PER_YEAR * value("tco.pue") / value("board.psu_efficiency")
    yearly = servers + building + kwh * value("tco.electricity_usd_per_kwh")
    return asarray(yearly / (used * tokens_per_s * SECONDS_PER_YEAR) * 1e6)
