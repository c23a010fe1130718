"""A workload under continuous batching: its load, its goodput, and what users see at both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cost_models.performance.goodput import goodput
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from cost_models.performance.step_times import StepTimes, decode_step_s, step_times
from cost_models.performance.waits import Served
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray

if TYPE_CHECKING:
    from cost_models.performance.inference import Inference

REFINEMENTS = 1
"""Times that the decode step is worked out anew at the number of sequences that the last solution came to."""


@dataclass(frozen=True)
class Continuous:
    """Requests of a workload on an engine that batches continuously; ``(n,)`` columns.

    Attributes:
        result: the workload on its machine; its batch has no part in it.
        traffic: how requests come to all replicas together.
        limits: what users are promised.
    """

    result: Inference
    traffic: Traffic
    limits: Slo

    @cached_property
    def replicas(self) -> FloatArray:
        """Engines that share the traffic evenly."""
        return asarray(self.result.serving.replicas, dtype=np.float64)

    @property
    def _traffic(self) -> Traffic:
        """How requests come, as the queue takes them."""
        return self.traffic

    @property
    def has_load(self) -> bool:
        """Whether a load is told, so that users see that and not the goodput."""
        told = (self.traffic.arrivals_per_s, self.traffic.concurrency)
        return not all(np.isnan(asarray(one, dtype=np.float64)).all() for one in told)

    @cached_property
    def _steps(self) -> StepTimes:
        return step_times(self.result, None if self.has_load else self._limits_s)

    def _refined(self, served: Served) -> StepTimes:
        """Return step times that are exact where the engine works."""
        tile = asarray(self._steps.tile_rows)
        sequences = np.maximum(np.round(served.decoding), 1.0)
        sequences = np.where(sequences > tile, tile * np.ceil(sequences / tile), sequences)
        return self._steps.refined(sequences, decode_step_s(self.result, sequences))

    @property
    def _limits_s(self) -> tuple[Number, Number]:
        """Limits on time to first token and time per token; infinite where there is none."""
        return self.limits.ttft_s, self.limits.tpot_s

    @cached_property
    def _goodput(self) -> FloatArray:
        """Goodput of a replica."""
        return goodput(self._steps, self._traffic, self._limits_s)

    @property
    def goodput_per_s(self) -> FloatArray:
        """Most requests per second of all replicas at which the limits hold; 0 where they hold at no load."""
        return asarray(self._goodput * self.replicas)

    @property
    def least_s(self) -> tuple[FloatArray, FloatArray]:
        """Time to first token and time per token that a single request sees, the least at any load."""
        return self._steps.least_s

    @cached_property
    def at_goodput(self) -> Served:
        """What users of a replica see at its goodput."""
        return self._good_queue.open(self._goodput)

    @cached_property
    def _good_queue(self) -> Queue:
        return Queue(self._steps, self._traffic)

    @cached_property
    def queue(self) -> Queue:
        """A replica's queue, exact at the load."""
        return self._loaded[1]

    @cached_property
    def served(self) -> Served:
        """What users of a replica see at the load; at the goodput where no load is told."""
        return self._loaded[0]

    @cached_property
    def _loaded(self) -> tuple[Served, Queue]:
        arrivals = asarray(self.traffic.arrivals_per_s, dtype=np.float64) / self.replicas
        requests = asarray(self.traffic.concurrency, dtype=np.float64) / self.replicas
        if not self.has_load:
            return self.at_goodput, self._good_queue

        def seen(queue: Queue) -> Served:
            return queue.open(arrivals) if np.isnan(requests).all() else queue.closed(requests)

        queue = Queue(self._steps, self._traffic)
        for _ in range(REFINEMENTS):
            queue = Queue(self._refined(seen(queue)), self._traffic)
        return seen(queue), queue

    def at_work(self) -> Inference:
        """Return the workload with as many sequences in flight as decode at the load, for energy and memory."""
        sequences = np.maximum(self.served.decoding, 1.0)
        serving = replace(self.result.serving, batch=sequences)
        return replace(self.result, serving=serving, in_flight=np.ones(1))
