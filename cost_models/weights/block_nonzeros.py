"""How many weights of a few blocks survive pruning: binomial where independent, else sums of beta-binomials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray
from cost_models.tape import asarray


def survival(block: int, density: FloatArray, rho: FloatArray, depth: int) -> NDArray[np.float64]:
    """Return P(X > k) of the nonzeros in `depth` blocks, ``(n, depth * block)`` for k from 0."""
    mass = np.empty((len(density), block * depth + 1))
    plain = rho == 0
    mass[plain] = _binomial(block * depth, density[plain])
    if not plain.all():
        mass[~plain] = _pooled(_beta_binomial(block, density[~plain], rho[~plain]), depth)
    # Summed from the far end, so that the small tails that decide among many lanes keep their relative precision.
    above = np.cumsum(mass[:, :0:-1], axis=1)[:, ::-1]
    return np.clip(above, 0.0, 1.0)


def _log_ways(n: int) -> FloatArray:
    """Return log C(n, k) for k from 0 to n."""
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, n + 1)))])
    return asarray(factorials[-1] - factorials - factorials[::-1])


def _binomial(n: int, p: FloatArray) -> FloatArray:
    k = np.arange(n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # 0 log 0 is 0: a density of 1 leaves no pruned weight to count.
        kept, pruned = k * np.log(p[:, None]), np.where(k == n, 0.0, (n - k) * np.log1p(-p[:, None]))
    mass = np.exp(_log_ways(n) + kept + pruned)
    return asarray(mass / mass.sum(axis=1, keepdims=True))


def _beta_binomial(n: int, p: FloatArray, rho: FloatArray) -> FloatArray:
    from scipy import special

    k = np.arange(n + 1)
    mass = np.empty((len(p), n + 1))
    sure = p == 1
    mass[sure] = k == n
    strength = ((1 - rho) / rho)[~sure, None]
    a, b = p[~sure, None] * strength, (1 - p[~sure, None]) * strength
    mass[~sure] = np.exp(_log_ways(n) + special.betaln(k + a, n - k + b) - special.betaln(a, b))
    return asarray(mass / mass.sum(axis=1, keepdims=True))


def _pooled(mass: FloatArray, depth: int) -> FloatArray:
    """Return the distribution of the sum of `depth` independent draws, by the power of its transform."""
    from scipy import fft

    if depth == 1:
        return mass
    length = depth * (mass.shape[1] - 1) + 1
    size = fft.next_fast_len(length, real=True)
    pooled = fft.irfft(fft.rfft(mass, size, axis=1) ** depth, size, axis=1)[:, :length]
    return asarray(np.maximum(pooled, 0.0))
