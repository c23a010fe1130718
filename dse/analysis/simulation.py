"""A discrete-event simulation of an engine that batches continuously, one machine at a time.

The twin of `cost_models.performance.serving_queue`: the same engine, the same step times, nothing but arithmetic in
common with the closed form that it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.table import FloatArray
from cost_models.workload.trace import Trace
from dse.analysis.simulated_engine import EngineState, Request, SimulatedEngine, SimulatedSessions

BATCHES = 20
"""Parts of a run whose means give the confidence interval of the whole."""


@dataclass(frozen=True)
class SimulatedRequests:
    """What was measured of the requests after the warm-up, in order of their arrival.

    Attributes:
        ttft_s: time to first token of each.
        tpot_s: mean time per output token after the first; NaN where it has no other.
        output_tokens: tokens of each.
        span_s: time over which they arrived.
        mean_requests: requests in the engine and its queue, mean over that time.
        timeline: (start, decoding sequences, requests that wait or are at their prompt, prompt tokens) of the steps of
            the whole run; equal steps that follow one another are one line.
    """

    ttft_s: FloatArray
    tpot_s: FloatArray
    output_tokens: FloatArray
    span_s: float
    mean_requests: float
    timeline: FloatArray

    @classmethod
    def joined(cls, runs: Sequence[SimulatedRequests]) -> SimulatedRequests:
        """Return the requests of several runs as if they had followed one another; the timeline is the first one's."""
        spans = np.array([run.span_s for run in runs])
        inside = float(np.average([run.mean_requests for run in runs], weights=spans))
        ttft, tpot, output = (
            np.concatenate([getattr(run, name) for run in runs]) for name in ("ttft_s", "tpot_s", "output_tokens")
        )
        return cls(ttft, tpot, output, float(spans.sum()), inside, runs[0].timeline)

    @property
    def doubt(self) -> float:
        """The larger half-width of the 95 % intervals of both mean times, as a share of them."""
        times = [one for one in (self.ttft_s, self.tpot_s[np.isfinite(self.tpot_s)]) if len(one) >= BATCHES]
        return max(self.interval(one, np.mean) / float(one.mean()) for one in times)

    def interval(self, of: FloatArray, statistic: Callable[[FloatArray], float]) -> float:
        """Return the half-width of the 95 % confidence interval of a statistic, by batch means."""
        parts = [statistic(part) for part in np.array_split(of, BATCHES)]
        return float(1.96 * np.std(parts, ddof=1) / np.sqrt(BATCHES))


def lengths(mean: float, cv: float, count: int, rng: np.random.Generator) -> FloatArray:
    """Return lognormal lengths of a mean and a coefficient of variation, whole tokens, 1 at least."""
    if cv == 0:
        return np.full(count, max(round(mean), 1), dtype=np.float64)
    variance = np.log1p(cv**2)
    drawn = rng.lognormal(np.log(mean) - variance / 2, np.sqrt(variance), count)
    return np.maximum(np.round(drawn), 1.0)


def simulate(
    engine: SimulatedEngine,
    *,
    prompt_tokens: float,
    output_tokens: float,
    arrivals_per_s: float | None = None,
    concurrency: int | None = None,
    arrival_cv: float = 1.0,
    prompt_cv: float = 0.0,
    output_cv: float = 0.0,
    requests: int = 4000,
    seed: int = 0,
    trace: Trace | None = None,
    sessions: SimulatedSessions | None = None,
) -> SimulatedRequests:
    """Return what users of an engine see.

    Args:
        engine: the engine.
        prompt_tokens: mean prompt.
        output_tokens: mean output.
        arrivals_per_s: requests per second; gaps follow a gamma distribution of `arrival_cv`.
        concurrency: requests that are there at all times, in place of arrivals.
        arrival_cv: coefficient of variation of the gaps, 1 for Poisson.
        prompt_cv: coefficient of variation of prompts, lognormal.
        output_cv: the same of outputs.
        requests: how many, of which the first fifth warms up.
        seed: of arrivals and lengths.
        trace: requests to replay, all of them; lengths, seed and variation have no part, and the rate stretches time.
        sessions: conversations, of which the prompts are what each turn adds; they begin so often that `arrivals_per_s`
            turns come per second.

    Raises:
        ValueError: neither or both of arrivals and concurrency are given.
    """
    import simpy

    if (arrivals_per_s is None) == (concurrency is None):
        raise ValueError("one of arrivals_per_s and concurrency")
    rng = np.random.default_rng(seed)
    gaps = np.zeros(requests)
    if trace is not None and arrivals_per_s is not None:
        prompts, outputs, requests = trace.prompt_tokens, np.ceil(trace.output_tokens), len(trace.arrival_s)
        gaps = np.diff(trace.arrival_s, prepend=trace.arrival_s[0]) * (trace.arrivals_per_s / arrivals_per_s)
    else:
        prompts = lengths(prompt_tokens, prompt_cv, requests, rng)
        outputs = lengths(output_tokens, output_cv, requests, rng)
    if trace is None and arrivals_per_s is not None:
        shape = 1 / max(arrival_cv, 1e-6) ** 2
        gaps = rng.gamma(shape, 1 / (shape * arrivals_per_s), requests)
    if concurrency is not None:
        # Requests that are there at the start are somewhere on their way, so that they do not end together.
        outputs[:concurrency] = np.ceil(outputs[:concurrency] * rng.random(min(concurrency, requests)))
    if sessions is not None:
        prompts, outputs = np.full(requests, sessions.prompt_tokens), np.full(requests, float(round(output_tokens)))
    env, state = simpy.Environment(), EngineState(engine, mean_tokens=prompt_tokens + output_tokens, rng=rng)
    everyone: list[Request] = []
    reached: list[Request] = []
    wake = env.event()
    timeline: list[tuple[float, int, int, float]] = []

    def arrive(turn: int = 1, session: int | None = None) -> None:
        place = len(everyone)
        one = Request(env.now, float(prompts[place]), int(outputs[place]), place if session is None else session, turn)
        everyone.append(one)
        delay = engine.wait_s
        if sessions is not None:
            delay += sessions.find(one, env.now)
        if delay > 0:
            env.timeout(delay).callbacks.append(lambda _: reach(one))
        else:
            reach(one)

    def think(one: Request) -> None:
        """Keep the history of a turn that is done, and come back with the next one."""
        assert sessions is not None
        sessions.keep(one)
        if one.turn < sessions.turns:
            pause = env.timeout(float(rng.exponential(sessions.think_s)))
            pause.callbacks.append(lambda _: follow(one.turn + 1, one.session))

    def follow(turn: int, session: int) -> None:
        if len(everyone) < requests:
            arrive(turn, session)

    def reach(one: Request) -> None:
        reached.append(one)
        state.waiting.append(one)
        if not wake.triggered:
            wake.succeed()

    def source() -> Generator[Any, Any, None]:
        for gap in gaps:
            yield env.timeout(float(gap) * (1 if sessions is None else sessions.turns))
            if len(everyone) == requests:
                return
            arrive()

    def server() -> Generator[Any, Any, None]:
        nonlocal wake
        while len(reached) < requests or state.waiting or state.prefilling or state.decoding:
            state.admit()
            running, queued = len(state.decoding), len(state.waiting) + len(state.prefilling)
            if not running and not state.prefilling:
                timeline.append((env.now, 0, queued, 0.0))
                wake = env.event()
                yield wake
                continue
            step_s = engine.step_s(running) if running else 0.0
            if state.prefilling:
                taken, weighed, through = state.take_chunk()
                timeline.append((env.now, running, queued, taken))
                yield env.timeout(step_s + weighed * (engine.prompt_token_s if running else engine.alone_token_s))
                state.step += 1
            else:
                # Nothing changes before a request ends or another one can be admitted.
                timeline.append((env.now, running, queued, 0.0))
                steps, start, through = state.decoding[0][0] - state.step, env.now, []
                whole = env.timeout(steps * step_s)
                if state.waiting:
                    yield whole
                else:
                    wake = env.event()
                    yield whole | wake
                    if not whole.processed:
                        steps = min(max(int(np.ceil((env.now - start) / step_s - 1e-9)), 1), steps)
                        yield env.timeout(max(start + steps * step_s - env.now, 0.0))
                state.step += steps
            for one in state.end_of_step(env.now, through):
                if sessions is not None:
                    think(one)
                if concurrency is not None and len(everyone) < requests:
                    arrive()

    if concurrency is None:
        env.process(source())
    else:
        for _ in range(min(concurrency, requests)):
            arrive()
    env.process(server())
    env.run()
    skipped = requests // 5 if trace is None else 0
    return _measured(everyone, np.array(timeline), skipped=skipped, closed=concurrency is not None)


def simulate_surely(
    engine: SimulatedEngine, *, within: float = 0.02, requests: int, most_runs: int = 10, seed: int = 0, **traffic: Any
) -> SimulatedRequests:
    """Return what users of an engine see, of as many runs as it takes to be sure of both mean times.

    Args:
        engine: the engine.
        within: half-width of the 95 % intervals that is wanted, as a share of the means.
        requests: of each run.
        most_runs: runs after which it ends, however sure it is.
        seed: of the first run; each further one takes the next.
        traffic: as of `simulate`.
    """
    runs = [simulate(engine, requests=requests, seed=seed, **traffic)]
    while len(runs) < most_runs and SimulatedRequests.joined(runs).doubt > within:
        runs.append(simulate(engine, requests=requests, seed=seed + len(runs), **traffic))
    return SimulatedRequests.joined(runs)


def _measured(everyone: list[Request], timeline: FloatArray, *, skipped: int, closed: bool) -> SimulatedRequests:
    arrival, first, last, output = (
        np.array([getattr(one, name) for one in everyone]) for name in ("arrival_s", "first_s", "last_s", "output")
    )
    # In a closed loop nobody follows the last ones, so that they run in a thinner engine.
    kept = slice(skipped, len(everyone) - (skipped if closed else 0))
    begin, end = arrival[kept][0], arrival[kept][-1]
    inside = np.clip(np.minimum(last, end) - np.maximum(arrival, begin), 0.0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        tpot = np.where(output > 1, (last - first) / (output - 1), np.nan)
    return SimulatedRequests(
        (first - arrival)[kept],
        tpot[kept],
        output[kept].astype(np.float64),
        float(end - begin),
        float(inside.sum() / max(end - begin, 1e-300)),
        timeline,
    )
