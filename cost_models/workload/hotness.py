"""How unevenly a step reads the experts of a layer, where some are chosen more often than others."""

from __future__ import annotations

import numpy as np

from cost_models.library import Model
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray

EXPERT_PARTS = 64
"""Parts, from the hottest to the coldest, that more experts than that are divided into."""

ALIKE = 0.2
"""Share of the choices that fall on a fifth of the experts where all are alike."""

NEARLY_ONE = 1e-9
"""How far from one a number is that is as good as one."""

HALVINGS, MOST_TOKENS = 60, 30.0
"""Steps in which a root is found, and the logarithm of tokens beyond any batch, or of as small a part of one."""


def hotness(model: Model, hottest_fifth: Number, read: FloatArray) -> FloatArray:
    """Return ``(parts, n)`` the share of each part's experts in what a step reads of all, the hottest part first.

    Shares of the choices fall geometrically from one fifth of the experts to the next, so that the hottest x of them
    are chosen with a share (1 - y^(5 x)) / (1 - y^5) (`hottest`). A token chooses an expert of part j with a chance
    q_j; a step of t independent tokens reads it with 1 - (1 - q_j)^t. How many experts a step reads in all is known,
    and t is what makes the parts sum to that. One part, the whole, where all are alike.

    Args:
        model: the architecture.
        hottest_fifth: share of the choices that fall on the fifth that is chosen most; NaN where all are alike.
        read: ``(n,)`` share of the experts that a step reads.
    """
    moe, told = model.moe, asarray(hottest_fifth, dtype=np.float64)
    if moe is None or np.isnan(told).all():
        return np.ones((1, 1))
    parts = min(moe.experts, EXPERT_PARTS)
    chosen = np.diff(hottest(np.where(np.isnan(told), ALIKE, told), np.arange(parts + 1)[:, None] / parts), axis=0)
    # A token chooses an expert once at the most.
    missed = np.log1p(-np.clip(chosen * (moe.active_experts * parts / moe.experts), 0.0, 1 - NEARLY_ONE))
    wanted = np.clip(read, 0.0, 1 - NEARLY_ONE)
    low = np.full(np.broadcast_shapes(wanted.shape, missed.shape[1:]), -MOST_TOKENS)
    high = -low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = -np.expm1(np.exp(middle) * missed).mean(axis=0) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    met = -np.expm1(np.exp(high) * missed)
    return asarray(met / met.sum(axis=0))


def hottest(share: FloatArray, part: FloatArray) -> FloatArray:
    """Return the share of the choices that fall on the hottest part of the experts.

    Args:
        share: of the hottest fifth, 0.2 where all are alike.
        part: of the experts.
    """
    low, high = np.zeros_like(share), np.ones_like(share)
    # Each fifth is chosen y times as often as the one before: 1 + y + y^2 + y^3 + y^4 = 1 / share.
    for _ in range(HALVINGS):
        y = (low + high) / 2
        above = (1 + y * (1 + y * (1 + y * (1 + y)))) * share > 1
        low, high = np.where(above, low, y), np.where(above, y, high)
    y = (low + high) / 2
    even = y > 1 - NEARLY_ONE
    return np.where(even, part, (1 - y ** (5 * part)) / np.where(even, 1.0, 1 - y**5))
