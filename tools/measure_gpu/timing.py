"""Clocks: device events or the CPU's timer, warm-up, rounds, medians and spread, graphs where they can be had."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

Call = Callable[[], object]
CACHE_TURNS = 4
MAX_CALLS = 64
MIN_CALLS = 4
MIN_ROUNDS = 7
MIN_LONG_ROUNDS = 3
MAX_ROUNDS = 2000
WARM_FRACTION = 0.25


@dataclass(frozen=True)
class Timing:
    """Seconds of one call.

    Attributes:
        median_s: median over rounds.
        low_s: a tenth of the rounds were shorter.
        high_s: a tenth of the rounds were longer.
        rounds: rounds that were timed.
        calls: calls in each round, back to back.
        graphed: whether a round was one launch of a graph.
        remark: why it was not, where it was asked for.
    """

    median_s: float
    low_s: float
    high_s: float
    rounds: int
    calls: int
    graphed: bool
    remark: str = ""

    def scaled(self, factor: float) -> Timing:
        """Return the timing of `factor` such calls."""
        return Timing(
            self.median_s * factor, self.low_s * factor, self.high_s * factor, self.rounds, self.calls, self.graphed,
            self.remark,
        )  # fmt: skip


class Clock(Protocol):
    """Measures one round; the same path for GPU and CPU."""

    name: str
    graphs: bool

    def flush(self) -> None:
        """Empty the last-level cache."""

    def elapsed_s(self, run: Call) -> float:
        """Return the seconds of one round."""

    def capture(self, calls: Sequence[Call]) -> Call:
        """Return a launch of all calls as one graph."""

    def synchronise(self) -> None:
        """Wait for the device."""


class CpuClock:
    """The CPU's own timer, for checking the script."""

    name, graphs = "CPU timer", False

    def __init__(self, flush_bytes: int) -> None:
        self._waste = torch.empty(flush_bytes, dtype=torch.int8)

    def flush(self) -> None:
        """Empty the last-level cache as far as the buffer reaches."""
        self._waste.zero_()

    def elapsed_s(self, run: Call) -> float:
        """Return the seconds of one round."""
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    def capture(self, calls: Sequence[Call]) -> Call:
        """Refuse: a CPU has no graphs."""
        raise RuntimeError("a CPU has no graphs")

    def synchronise(self) -> None:
        """Nothing to wait for."""


class CudaClock:
    """Events on the device's own stream."""

    name, graphs = "CUDA events", True

    def __init__(self, device: torch.device, flush_bytes: int) -> None:
        self._waste = torch.empty(flush_bytes, dtype=torch.int8, device=device)
        self._start = torch.cuda.Event(enable_timing=True)
        self._end = torch.cuda.Event(enable_timing=True)

    def flush(self) -> None:
        """Write over the last-level cache; the host runs ahead meanwhile, so launches cost the round nothing."""
        self._waste.zero_()

    def elapsed_s(self, run: Call) -> float:
        """Return the seconds of one round between two events."""
        self._start.record()
        run()
        self._end.record()
        self._end.synchronize()
        return float(self._start.elapsed_time(self._end)) / 1e3

    def capture(self, calls: Sequence[Call]) -> Call:
        """Return a launch of all calls as one graph, warmed up on a stream of its own as PyTorch asks for."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                for call in calls:
                    call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for call in calls:
                call()
        return graph.replay

    def synchronise(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()


def make_clock(device: torch.device, l2_bytes: int) -> Clock:
    """Return the clock of a device; twice the cache is written over to empty it."""
    return CudaClock(device, max(2 * l2_bytes, 64 * 2**20)) if device.type == "cuda" else CpuClock(2 * l2_bytes)


def copies_for(call_bytes: float, l2_bytes: int, spare_bytes: float) -> int:
    """Return how many operands of their own calls need so that none finds its data in the cache.

    Operands that exceed the cache several times push themselves out; one copy does.

    Args:
        call_bytes: bytes that one call reads.
        l2_bytes: last-level cache.
        spare_bytes: memory that copies may take.
    """
    wanted = int(np.ceil(CACHE_TURNS * l2_bytes / max(call_bytes, 1.0)))
    return max(min(wanted, MAX_CALLS, int(spare_bytes // max(call_bytes, 1.0))), 1)


def time_calls(clock: Clock, calls: Sequence[Call], *, seconds: float, graph: bool = True) -> Timing:
    """Return the time of one of several equal calls, run back to back in rounds after the cache was emptied.

    Args:
        clock: device events or CPU timer.
        calls: equal calls on operands of their own; repeated where there are few.
        seconds: time to repeat for; at least `MIN_ROUNDS` rounds, `MIN_LONG_ROUNDS` of long calls.
        graph: whether a round is launched as one graph, where the device has graphs.
    """
    calls[0]()
    # A call that fills the time by itself is measured by itself, a few times.
    long = clock.elapsed_s(calls[0]) * MIN_CALLS > seconds
    several = [calls[i % len(calls)] for i in range(1 if long else max(len(calls), MIN_CALLS))]
    least = MIN_LONG_ROUNDS if long else MIN_ROUNDS

    def in_turn() -> None:
        for call in several:
            call()

    in_turn()
    clock.synchronise()
    run, graphed, remark = in_turn, False, ""
    if graph and clock.graphs:
        try:
            run, graphed = clock.capture(several), True
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            remark = f"not captured in a graph: {str(error).splitlines()[0][:120]}"
    elif graph:
        remark = "no graphs on this device"
    _repeat(clock, run, seconds * WARM_FRACTION, 1 if long else 2)
    times = np.array(_repeat(clock, run, seconds, least)) / len(several)
    low, median, high = np.quantile(times, [0.1, 0.5, 0.9])
    return Timing(float(median), float(low), float(high), len(times), len(several), graphed, remark)


def _repeat(clock: Clock, run: Call, seconds: float, least: int) -> list[float]:
    """Return the times of rounds over at least `least` rounds and `seconds`."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < MAX_ROUNDS):
        clock.flush()
        times.append(clock.elapsed_s(run))
    return times
