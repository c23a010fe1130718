"""Area, power and price of real chips, typed as designs and evaluated by the path of designs.

In sample: with the library's parameters. Left out: with every fitted constant from the other dies alone, and what a die
told the library taken from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from cost_models.library.technology import Technology
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray
from dse.validation.results import ScoreTable, Validation
from dse.validation.silicon.designs import RealChips, machines_of, real_chips, scoped_power_w
from dse.validation.silicon.fit import QUANTITIES, LeftOut, Quantity, left_out, published
from dse.validation.silicon.price import PRICE_NOTE, price_check
from dse.validation.silicon.rows import mean_text, read_checks

TITLES: Mapping[Quantity, tuple[str, str]] = {"area": ("Area of the die, mm2", "mm2"), "power": ("Power, W", "w")}


Check = Callable[[RealChips, LeftOut, Technology], ScoreTable]
"""A further check of the same chips."""


def silicon_validation(further: Sequence[Check] = ()) -> Validation:
    """Return area, power and price checks as tables.

    Args:
        further: checks of the same chips by packages above this one.
    """
    technology = Technology()
    chips = real_chips(technology.library)
    machine, unseen = machines_of(chips, technology), left_out(chips, technology)
    own = {"area": machine.die_mm2, "power": scoped_power_w(chips, machine, technology.library)}
    tables = []
    for quantity in QUANTITIES:
        table = error_table(chips, quantity, own[quantity], unseen)
        tables.append(ScoreTable(quantity, TITLES[quantity][0], table, error_note(table)))
    tables += [check(chips, unseen, technology) for check in further]
    blocks = block_check(chips, machine, technology)
    tables.append(ScoreTable("blocks", "Two GPU dies by block, mm2 (peer: LLMCompass)", blocks, BLOCK_NOTE))
    tables.append(
        ScoreTable("limits", "Limits that a real chip breaks as a design", broken_limits(chips, machine), LIMIT_NOTE)
    )
    tables.append(ScoreTable("price", "Bills of material, USD", price_check(technology), PRICE_NOTE))
    tables.append(ScoreTable("constants", "Fitted constants", constants(unseen, technology), CONSTANT_NOTE))
    tables.append(ScoreTable("not_typed", "Chips left out by name", read_checks("left_out", technology.library), ""))
    return Validation({}, tuple(tables))


def error_table(chips: RealChips, quantity: Quantity, predicted: FloatArray, unseen: LeftOut) -> pd.DataFrame:
    """Return predicted and published numbers of a quantity, and the error with each die left out."""
    unit, real = TITLES[quantity][1], published(chips, quantity)
    table = pd.DataFrame({
        "chip": chips.table["chip"], "class": chips.table["architecture"], "node": chips.table["node"],
        f"predicted_{unit}": predicted, f"real_{unit}": real, "error": predicted / real - 1,
        "error_left_out": unseen.predicted[quantity] / real - 1,
    })  # fmt: skip
    if quantity == "power":
        table["real_is"] = chips.table["power_is"] + ", " + chips.table["power_scope"]
    return table[np.isfinite(real)].reset_index(drop=True)


def error_note(table: pd.DataFrame) -> str:
    """Return the mean errors of a table, overall and by class."""

    def means(rows: pd.DataFrame) -> str:
        return f"{mean_text(rows['error'])} in sample, {mean_text(rows['error_left_out'])} leave-one-out"

    by_class = "; ".join(f"{len(rows)} {name}: {means(rows)}" for name, rows in table.groupby("class"))
    words = f"{len(table)} dies: mean {means(table)} ({by_class})"
    if "real_is" not in table:
        return words
    # A design limit is what a maker allows, a measurement what programs drew: like is compared with like.
    kinds = table.groupby(table["real_is"].str.partition(",")[0])
    return words + "; against " + "; ".join(f"{len(rows)} {kind}: {means(rows)}" for kind, rows in kinds)


BLOCK_NOTE = (
    "the rest is what the photos leave unnamed; predicted, host interface and periphery. A100 is typed with the five "
    "stacks that it sells; its die has interfaces for six, and the photo shows no link controllers"
)

BLOCKS = {
    "memory_phy_and_controller": ("memory_interface",),
    "off_chip_phy_and_controller": ("link_interface",),
    "rest": ("host_interface", "periphery", "blank"),
}
"""Blocks of a design that a block of a die photo stands for; every other is part of the cores, caches and network."""


def _of_photo(block: str, names: Sequence[str]) -> Sequence[str]:
    """Return the blocks of a design that one of a photo stands for."""
    if block == "total":
        return names
    elsewhere = {name for parts in BLOCKS.values() for name in parts}
    return BLOCKS.get(block) or [name for name in names if name not in elsewhere]


def block_check(chips: RealChips, machine: Machine, technology: Technology) -> pd.DataFrame:
    """Return the blocks of GA100 and an Aldebaran die, predicted, as photographed, and after the peer."""
    areas = {name: np.broadcast_to(block, len(chips)) for name, block in machine.blocks["area_mm2"].items()}
    table = read_checks("blocks", technology.library)
    rows = []
    for chip, block, photo, peer in table[["chip", "block", "photo_mm2", "peer_mm2"]].itertuples(index=False):
        row = list(chips.table["chip"]).index(chip)
        predicted = sum(float(areas[name][row]) for name in _of_photo(block, tuple(areas)))
        unnamed = block == "rest"
        rows.append({
            "chip": chip, "block": block, "predicted_mm2": predicted, "photo_mm2": photo, "peer_mm2": peer,
            "error": np.nan if unnamed else predicted / photo - 1, "peers": np.nan if unnamed else peer / photo - 1,
        })  # fmt: skip
    return pd.DataFrame(rows)


LIMIT_NOTE = (
    "every other chip of these tables is feasible as typed. real: what is published where the limit is, n/a where "
    "nothing is. V100's lanes are counted as those of the newer GPUs that the constants come from, and its die comes "
    "out larger than the reticle that it fills; Warboy runs at twice the clock of its node's arrays at nominal supply, "
    "for which the curve wants a supply slightly above the highest"
)


def broken_limits(chips: RealChips, machine: Machine) -> pd.DataFrame:
    """Return the physical limits that the chips break as designs."""
    rows = []
    for limit, (used, allowed) in machine.limits.items():
        pairs = zip(
            chips.table["chip"], np.broadcast_to(used, len(chips)), np.broadcast_to(allowed, len(chips)), strict=True
        )
        for chip, taken, most in pairs:
            if taken > most:
                own = chips.table[chips.table["chip"] == chip].iloc[0]
                real = own["die_mm2"] if limit == "reticle_mm2" else own["supply_v"] if limit == "supply_v" else np.nan
                rows.append({
                    "chip": chip, "limit": limit, "used": taken, "allowed": most, "real": real,
                    "sources": own["sources"],
                })  # fmt: skip
    return pd.DataFrame(rows, columns=["chip", "limit", "used", "allowed", "real", "sources"])


CONSTANT_NOTE = (
    "range: with each die left out in turn. Parameters that a die informed otherwise and that leave-one-out replaces: "
    "informed.csv of the library. Everything else is read from sources or assumed"
)


def constants(unseen: LeftOut, technology: Technology) -> pd.DataFrame:
    """Return the constants that were fitted on the chips of these tables, the library's value beside."""
    rows = []
    for quantity, result in unseen.fits.items():
        for place, name in enumerate(result.names):
            others = result.values[1:, place]
            rows.append({
                "parameter": name, "fitted_on": quantity, "library": float(np.asarray(technology.value(name))),
                "fitted": result.values[0, place], "error_of_log": result.errors[0, place],
                "least_left_out": others.min(), "most_left_out": others.max(),
            })  # fmt: skip
    return pd.DataFrame(rows)
