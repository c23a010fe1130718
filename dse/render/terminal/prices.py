"""Why a price is what it is, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cost_models.silicon.cost import Economics
from dse.number_texts import number_text, share_text


def price_words(metrics: Mapping[str, float], economics: Economics) -> str:
    """Return what a board costs and why its price is what it is: cost, share of the NRE, volume and margin."""
    cost, price = metrics.get("cost_usd", math.nan), metrics.get("price_usd", math.nan)
    if math.isnan(cost):
        return f"Price {number_text(price)} USD" if not math.isnan(price) else "Price not published"
    nre = price * (1 - economics.margin) - cost
    return (
        f"Costs {number_text(cost)} USD, price {number_text(price)} USD: {number_text(nre)} USD of NRE (masks and "
        f"{share_text(economics.nre_share)} of the design's, {number_text(economics.units)} boards), margin "
        f"{share_text(economics.margin)}"
    )
