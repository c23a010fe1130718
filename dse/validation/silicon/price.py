"""Cost of a real module, by the path of designs, against what analysts have estimated."""

from __future__ import annotations

import pandas as pd

from cost_models.library.technology import Technology
from dse.validation.silicon.designs import machines_of, real_chips
from dse.validation.silicon.rows import records

PRICE_NOTE = (
    "by the library's wafer prices; the module is everything but the board. in_range: inside the analysts' range, or "
    "within 10 % of a single estimate"
)

ITEMS = {"die": ("die", "die_test"), "memory": ("memory",), "package": ("package", "bond_loss")}
"""Blocks of the cost that an analyst's item stands for."""


def price_check(technology: Technology) -> pd.DataFrame:
    """Return predicted costs and the analysts' estimates."""
    chips = real_chips(technology.library)
    blocks = machines_of(chips, technology).blocks["cost_usd"]
    rows = []
    for entry in records("price", technology.library):
        row = list(chips.table["chip"]).index(entry["chip"])
        parts = {name: float(block[row if len(block) > 1 else 0]) for name, block in blocks.items()}
        items = {item: sum(parts[name] for name in names) for item, names in ITEMS.items()}
        items["module"] = sum(value for name, value in parts.items() if name != "board")
        predicted, low, high = items[entry["item"]], entry["low_usd"], entry["high_usd"]
        middle = (low + high) / 2
        slack = 0.1 * middle if low == high else 0.0
        rows.append({
            "chip": entry["chip"], "item": entry["item"], "predicted_usd": predicted, "low_usd": low,
            "high_usd": high, "error": predicted / middle - 1,
            "in_range": "yes" if low - slack <= predicted <= high + slack else "no",
        })  # fmt: skip
    return pd.DataFrame(rows)
