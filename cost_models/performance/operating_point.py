"""Operating points: the largest batch that keeps promises to its users, and what a chip serves at it.

Time to first token and time per token never fall as the batch grows, and memory only fills, so that
`cost_models.performance.batching.largest_batch` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.batching import largest_batch
from cost_models.performance.inference import Inference
from cost_models.table import FloatArray
from cost_models.tape import asarray


@dataclass(frozen=True)
class Slo:
    """What a service promises to every user, in ms; None promises nothing.

    Attributes:
        ttft_ms: most time to the first token.
        tpot_ms: most time per output token.
        load_tokens_per_s: output tokens per second that all chips together must deliver.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    load_tokens_per_s: float | None = None

    @property
    def ttft_s(self) -> float:
        """Most time to the first token, in seconds; infinite where nothing is promised."""
        return np.inf if self.ttft_ms is None else self.ttft_ms / 1e3

    @property
    def tpot_s(self) -> float:
        """Most time per output token, in seconds; infinite where nothing is promised."""
        return np.inf if self.tpot_ms is None else self.tpot_ms / 1e3


@dataclass(frozen=True)
class OperatingPoint:
    """The largest batch within limits; ``(n,)`` columns.

    Attributes:
        batch: largest batch; 0 where even a single sequence breaks a limit or does not fit.
        tokens_per_s: output tokens per second at it, prefill included; 0 where `batch` is.
    """

    batch: FloatArray
    tokens_per_s: FloatArray


def meets(result: Inference, limits: Slo) -> NDArray[np.bool_]:
    """Return ``(n,)`` whether a served workload fits and keeps its limits."""
    kept = result.fits.astype(bool)
    if limits.ttft_ms is not None:
        kept = kept & (result.prefill_s * 1e3 <= limits.ttft_ms)
    if limits.tpot_ms is not None:
        kept = kept & (result.decode_s * 1e3 <= limits.tpot_ms)
    return asarray(kept)


def operating_point(result: Inference, limits: Slo) -> OperatingPoint:
    """Return the largest batch that keeps `limits` and fits the memory, and the rate at it.

    Args:
        result: the workload on its machine; its own batch has no part in it.
        limits: what is promised.
    """

    def served(batch: FloatArray) -> Inference:
        return replace(result, serving=replace(result.serving, batch=np.maximum(batch, 1.0)), waves=1.0)

    best = largest_batch(lambda batch: meets(served(batch), limits))
    rate = served(best).tokens_per_s_end_to_end
    return OperatingPoint(best * result.serving.replicas, np.where(best > 0, rate, 0.0))
