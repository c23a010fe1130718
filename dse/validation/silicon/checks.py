"""Area, power and price of real chips, predicted by the silicon models from what is published of their insides.

In sample: with the library's parameters. Left out: with the fitted parameter of the chip's class, or the
operand-delivery factor, fitted on the other chips alone.
"""

from __future__ import annotations

import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from dse.validation.results import Table, Validation
from dse.validation.silicon.area import NETWORK, SURROUND, area_check, area_note, block_check, block_note
from dse.validation.silicon.power import ANCHOR_NOTE, DELIVERY, anchor_check, power_check, power_note
from dse.validation.silicon.price import PRICE_NOTE, price_check


def silicon_validation(technology: Technology | None = None) -> Validation:
    """Return area, power and price checks as tables.

    Args:
        technology: parameters; the library's where None.
    """
    technology = technology or Technology()
    chips, blocks = area_check(technology), block_check(technology)
    tables = [
        Table("area", "Area of the die, mm2", chips, area_note(chips)),
        Table("blocks", "Two GPU dies by block, mm2 (peer: LLMCompass, fitted on both)", blocks, block_note(blocks)),
    ]
    watts = power_check(technology)
    tables.append(Table("power", "Power at peak, W", watts, power_note(watts, technology.library)))
    tables.append(Table("anchor", "LPDDR board: Cloud AI 100 Ultra, W", anchor_check(technology), ANCHOR_NOTE))
    tables.append(Table("price", "Bills of material, USD", price_check(technology), PRICE_NOTE))
    tables.append(
        Table(
            "constants",
            "Fitted constants",
            constants(technology.library),
            "everything else is read from sources or assumed",
        )
    )
    return Validation({}, tuple(tables))


def constants(library: Library) -> pd.DataFrame:
    """Return what was fitted on the chips of these tables."""
    parameters = library.parameters
    fitted = {
        f"{SURROUND}.npu": "totals of six NPUs",
        f"{SURROUND}.static": "total of one chip",
        f"{SURROUND}.programmable": "cores of two die photos",
        NETWORK: "network of two die photos",
        DELIVERY: "power of the eleven chips (chosen with them in view)",
    }
    rows = [{"parameter": path, "value": parameters[path].typ, "fitted_on": on} for path, on in fitted.items()]
    return pd.DataFrame(rows)
