"""Monte Carlo samples of the library's ranged parameters.

A parameter is as often below its typical value as above it, and spreads on either side like a triangle that ends at
low and at high, or so in its logarithm where the range spans ratios: the typical value is the median.
Parameters that share a cause (library ``shared_causes``) are tied by a Gaussian copula with one factor: z = sqrt(r)
z_cause + sqrt(1 - r) z_own, and the parameter is the quantile of its spread at the probability of z.
A parameter's draws depend on the seed, its path and its cause alone, not on which others are drawn with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from cost_models.library import Library, LibraryParameter
from cost_models.table import FloatArray
from dse.sweep import LibraryParameterSpec


@dataclass(frozen=True)
class Distribution:
    """How one parameter is drawn.

    Attributes:
        path: the parameter.
        low: least value.
        typ: median.
        high: largest value.
        log: whether it spreads evenly in ratios.
        factor: the shared factor that moves it, None where it varies alone.
        correlation: of its normal score with that of another parameter of the factor, as far as its own strength goes.
        confidence: of the parameter.
        unit: of the parameter.
    """

    path: str
    low: float
    typ: float
    high: float
    log: bool
    factor: str | None
    correlation: float
    confidence: str
    unit: str

    def quantile(self, probability: FloatArray | float) -> FloatArray:
        """Return the value below which the parameter lies with a probability."""
        if not self.log:
            return halved_quantile(probability, self.low, self.typ, self.high)
        logs = halved_quantile(probability, np.log(self.low), np.log(self.typ), np.log(self.high))
        # exp(log(x)) may miss the ends of the range by a rounding.
        return np.clip(np.exp(logs), self.low, self.high)


def halved_quantile(probability: FloatArray | float, low: float, median: float, high: float) -> FloatArray:
    """Return the quantile of a distribution of two right triangles of equal weight that meet at the median.

    low + (median - low) sqrt(2 p) below it, high - (high - median) sqrt(2 (1 - p)) above.
    """
    p = np.asarray(probability, dtype=np.float64)
    rising = low + (median - low) * np.sqrt(2 * p)
    falling = high - (high - median) * np.sqrt(2 * (1 - p))
    return np.where(p <= 0.5, rising, falling)


def spreads_of(
    paths: Iterable[str], replaced: Mapping[str, LibraryParameterSpec], library: Library
) -> list[Distribution]:
    """Return how each parameter with a range is drawn, in the order of their paths.

    Parameters without a range are left out.

    Args:
        paths: parameters.
        replaced: parameters that the sweep replaces: with their range there, or fixed where they have none.
        library: where the parameters stand.
    """
    spreads = []
    for path in sorted(set(paths)):
        own = replaced.get(path)
        parameter: LibraryParameter | LibraryParameterSpec = library.parameters[path] if own is None else own
        low, high = (parameter.typ if end is None else float(end) for end in (parameter.low, parameter.high))
        if low < high:
            spreads.append(_spread(path, low, float(parameter.typ), high, library, replaced))
    return spreads


def _spread(
    path: str, low: float, typ: float, high: float, library: Library, replaced: Mapping[str, LibraryParameterSpec]
) -> Distribution:
    def value(name: str) -> float:
        return float(replaced[name].typ if name in replaced else library.parameters[name].typ)

    factor, correlation = None, 0.0
    for key, cause in library.causes.items():
        if result := cause.factor_of(path):
            factor, correlation = result, value(f"shared_causes.{key}.correlation")
            break
    parameter = library.parameters[path]
    log = low > 0 and high >= value("spread.log_above_ratio") * low
    return Distribution(path, low, typ, high, log, factor, correlation, parameter.confidence, parameter.unit)


def monte_carlo_samples(spreads: Iterable[Distribution], *, draws: int, seed: int) -> dict[str, FloatArray]:
    """Return ``(draws,)`` values of each parameter; the same for the same seed, whatever else is drawn."""
    factors: dict[str, FloatArray] = {}
    sampled = {}
    for spread in spreads:
        score = _scores(f"parameter {spread.path}", draws, seed)
        if spread.factor is not None:
            if spread.factor not in factors:
                factors[spread.factor] = _scores(f"factor {spread.factor}", draws, seed)
            shared = np.sqrt(spread.correlation) * factors[spread.factor]
            score = shared + np.sqrt(1 - spread.correlation) * score
        sampled[spread.path] = spread.quantile(ndtr(score))
    return sampled


def _scores(name: str, draws: int, seed: int) -> FloatArray:
    """Return standard normal scores, one in each of `draws` equally likely strata, in random order."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    rng = np.random.default_rng([seed, key])
    return np.asarray(ndtri((rng.permutation(draws) + rng.random(draws)) / draws), dtype=np.float64)
