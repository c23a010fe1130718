"""Cost of real modules against bills of material that analysts have estimated."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cost_models.library.technology import Technology
from cost_models.silicon import cost
from cost_models.table import FloatArray
from dse.validation.silicon.rows import Row, one, parameter, records

PRICE_NOTE = (
    "in_range: inside the analysts' range, or within 10 % of a single estimate. Harvested yields: H100 132 of 144, "
    "B200 74 of 80 per die, MI300X 38 of 40. Package: interposer, its bonding losses and no test; module: everything"
)


def module_cost(chip: Row, technology: Technology) -> dict[str, float]:
    """Return die, memory, package, and module of a chip of ``price.csv`` in USD."""
    node, die = f"nodes.{chip['node']}", one(chip["die_mm2"])
    wafer = chip["wafer_usd"] if np.isfinite(chip["wafer_usd"]) else parameter(technology, f"{node}.wafer_price_usd")
    harvest = cost.Harvest(core_fraction=chip["core_fraction"], cores=chip["cores"], spare_cores=chip["spare_cores"])
    good = _good_die(die, wafer, parameter(technology, f"{node}.defect_density_per_cm2"), technology, harvest)
    dies = chip["dies"] * good
    if chip["base_mm2"]:
        base = f"nodes.{chip['base_node']}"
        defects, price = (
            parameter(technology, f"{base}.{name}") for name in ("defect_density_per_cm2", "wafer_price_usd")
        )
        base_die = one(chip["base_die_mm2"])
        dies += chip["base_mm2"] / chip["base_die_mm2"] * _good_die(base_die, price, defects, technology, None)
    memory = chip["memory_gib"] * parameter(technology, f"memory.{chip['memory']}.price_usd_per_gb")
    # Dies that stand on base dies cover no interposer of their own.
    footprint = chip["base_mm2"] if chip["base_mm2"] else chip["dies"] * chip["die_mm2"]
    package = cost.package_blocks(
        one(footprint),
        die_usd=one(dies),
        memory_usd=one(memory),
        stacks=one(chip["stacks"]),
        on_interposer=one(1.0),
        technology=technology,
    )
    parts = {name: float(block[0]) for name, block in package.items()}
    carrier = parts["package"] + parts["bond_loss"]
    module = dies + memory + carrier + parts["test_and_assembly"]
    return {"die": dies, "memory": memory, "package": carrier, "module": module}


def _good_die(
    die: FloatArray, wafer_usd: float, defects: float, technology: Technology, harvest: cost.Harvest | None
) -> float:
    blocks = cost.die_blocks(
        die, wafer_usd=one(wafer_usd), defects_per_cm2=one(defects), yield_model="negative_binomial",
        technology=technology, harvest=harvest,
    )  # fmt: skip
    return float(blocks["die"][0] + blocks["die_test"][0])


def price_check(technology: Technology) -> pd.DataFrame:
    """Return predicted costs and the analysts' estimates."""
    rows = []
    for chip in records("price", technology.library):
        predicted = module_cost(chip, technology)[chip["item"]]
        low, high = chip["low_usd"], chip["high_usd"]
        middle = (low + high) / 2
        slack = 0.1 * middle if low == high else 0.0
        rows.append({
            "chip": chip["chip"], "item": chip["item"], "predicted_usd": predicted, "low_usd": low, "high_usd": high,
            "error": predicted / middle - 1, "in_range": "yes" if low - slack <= predicted <= high + slack else "no",
        })  # fmt: skip
    return pd.DataFrame(rows)
