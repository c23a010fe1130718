"""A fleet: how many boards a load or a budget means, and what they cost, draw and emit in a year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.library.technology import Technology
from cost_models.silicon.cost import SECONDS_PER_YEAR
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray


@dataclass(frozen=True)
class Fleet:
    """Equal groups of boards that each serve a workload; ``(n,)``.

    Attributes:
        groups: groups; a whole number.
        boards: boards of all groups.
        tokens_per_s: rate while all of them serve.
        price_usd: of all boards, without hosts.
        wall_w: power at the wall while serving, PUE in.
        tokens_per_year: at ``tco.utilisation``.
        usd_per_year: cost of ownership.
        co2e_t_per_year: electricity and making, in tonnes.
    """

    groups: FloatArray
    boards: FloatArray
    tokens_per_s: FloatArray
    price_usd: FloatArray
    wall_w: FloatArray
    tokens_per_year: FloatArray
    usd_per_year: FloatArray
    co2e_t_per_year: FloatArray


def groups_for_load(tokens_per_s: Number, group_tokens_per_s: Number) -> FloatArray:
    """Return the groups that reach a rate: the next whole number."""
    return asarray(np.ceil(asarray(tokens_per_s) / group_tokens_per_s))


def groups_for_budget(budget_usd: Number, group_price_usd: Number) -> FloatArray:
    """Return the groups that a budget for boards buys: whole ones only."""
    return asarray(np.floor(asarray(budget_usd) / group_price_usd))


def fleet(
    groups: Number,
    *,
    chips: Number,
    group_price_usd: Number,
    group_w: Number,
    group_tokens_per_s: Number,
    usd_per_million_tokens: Number,
    g_per_million_tokens: Number,
    technology: Technology,
) -> Fleet:
    """Return what a number of groups amounts to.

    Args:
        groups: groups of boards.
        chips: boards of a group.
        group_price_usd: price of a group's boards.
        group_w: their power while serving.
        group_tokens_per_s: their end-to-end rate.
        usd_per_million_tokens: cost of ownership per million tokens of a group.
        g_per_million_tokens: carbon per million tokens of a group.
        technology: parameters.
    """
    value, groups = technology.value, asarray(groups, dtype=np.float64)
    rate = groups * group_tokens_per_s
    yearly = rate * asarray(value("tco.utilisation")) * SECONDS_PER_YEAR
    return Fleet(
        groups=groups,
        boards=groups * chips,
        tokens_per_s=rate,
        price_usd=groups * group_price_usd,
        wall_w=groups * group_w * value("tco.pue") / value("board.psu_efficiency"),
        tokens_per_year=yearly,
        usd_per_year=yearly / 1e6 * usd_per_million_tokens,
        co2e_t_per_year=yearly / 1e6 * asarray(g_per_million_tokens) / 1e6,
    )
