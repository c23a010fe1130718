"""Operating points: the largest batch that keeps promises to its users, and what a chip serves at it.

Time to first token and time per token never fall as the batch grows, and memory only fills, so that the largest batch
is found by bisection over whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cost_models.inference import Inference, infer
from cost_models.machine import Machine
from cost_models.roofline import Formats
from cost_models.serving import Serving
from cost_models.software import Software
from cost_models.table import FloatArray, Number

LARGEST_DOUBLINGS = 16
"""Batches of up to 2^16 sequences are considered."""


@dataclass(frozen=True)
class Limits:
    """What a service promises to every user, in ms; None promises nothing.

    Attributes:
        ttft_ms: most time to the first token.
        tpot_ms: most time per output token.
        load_tokens_per_s: output tokens per second that all chips together must deliver.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    load_tokens_per_s: float | None = None


@dataclass(frozen=True)
class Operating:
    """The largest batch within limits; ``(n,)`` columns.

    Attributes:
        batch: largest batch; 0 where even a single sequence breaks a limit or does not fit.
        tokens_per_s: output tokens per second at it, prefill included; 0 where `batch` is.
    """

    batch: FloatArray
    tokens_per_s: FloatArray


def keeps(result: Inference, limits: Limits) -> NDArray[np.bool_]:
    """Return ``(n,)`` whether a served workload fits and keeps its limits."""
    kept = result.fits.astype(bool)
    if limits.ttft_ms is not None:
        kept = kept & (result.prefill_s * 1e3 <= limits.ttft_ms)
    if limits.tpot_ms is not None:
        kept = kept & (result.decode_s * 1e3 <= limits.tpot_ms)
    return np.asarray(kept)


def operating_point(
    serving: Serving, machine: Machine, software: Software, formats: Formats, *, chunk_tokens: Number, limits: Limits
) -> Operating:
    """Return the largest batch that keeps `limits` and fits the memory, and the rate at it.

    Args:
        serving: the workload; its own batch has no part in it.
        machine: one of the chips.
        software: the stack.
        formats: stored bits.
        chunk_tokens: prompt tokens that prefill processes together.
        limits: what is promised.
    """

    def served(batch: FloatArray) -> Inference:
        point = replace(serving, batch=np.maximum(batch, 1.0))
        return infer(point, machine, software, formats, chunk_tokens=chunk_tokens)

    rows = keeps(served(np.ones(1)), limits)
    best = np.where(rows, 1.0, 0.0)
    step = 2.0**LARGEST_DOUBLINGS
    while step >= 1 and best.any():
        tried = np.minimum(best + step, 2.0**LARGEST_DOUBLINGS)
        best = np.where((best > 0) & keeps(served(tried), limits), tried, best)
        step /= 2
    at_best = served(best)
    rate = np.maximum(best, 1.0) * serving.output_tokens / at_best.request_s
    return Operating(best, np.where(best > 0, rate, 0.0))
