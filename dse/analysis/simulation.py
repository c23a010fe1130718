"""A discrete-event simulation of an engine that batches continuously, one machine at a time.

The twin of `cost_models.performance.serving_queue`: the same engine, the same step times, nothing but arithmetic in
common with the closed form that it judges.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cost_models.performance.inference import Inference
from cost_models.performance.step_times import decode_step_s, step_times
from cost_models.table import FloatArray
from cost_models.workload.trace import Trace

BATCHES = 20
"""Parts of a run whose means give the confidence interval of the whole."""


@dataclass(frozen=True)
class SimulatedEngine:
    """One replica of an engine (`cost_models.performance.step_times`).

    Attributes:
        decode_s: step time by number of decoding sequences, index 0 unused.
        prompt_token_s: what a prompt token adds to a step with decoding sequences.
        alone_token_s: what it costs in a step without.
        chunk_tokens: most prompt tokens of a step.
        most: requests that the memory holds, of mean length.
        draft_tokens: tokens that are drafted per step.
        acceptance: chance that a drafted token is accepted.
        wait_s: fixed time before a request reaches the engine.
    """

    decode_s: FloatArray
    prompt_token_s: float
    alone_token_s: float
    chunk_tokens: float
    most: int
    draft_tokens: int = 0
    acceptance: float = 0.0
    wait_s: float = 0.0

    def step_s(self, sequences: int) -> float:
        """Return the step of a number of sequences; of more than fit at mean length, along the line to those."""
        beyond, known = max(sequences - self.most, 0), min(sequences, self.most)
        slope = (self.decode_s[self.most] - self.decode_s[1]) / max(self.most - 1, 1)
        return float(self.decode_s[known] + beyond * slope)

    def steps_for(self, tokens: int, rng: np.random.Generator) -> int:
        """Return the steps that a sequence takes to its next so many tokens: some accepted drafts and one more each."""
        if self.draft_tokens == 0 or tokens < 1:
            return tokens
        refused = rng.random((tokens, self.draft_tokens)) >= self.acceptance
        gained = np.where(refused.any(axis=1), refused.argmax(axis=1), self.draft_tokens) + 1
        return int(np.searchsorted(np.cumsum(gained), tokens)) + 1


def engine_of(result: Inference, *, most: int | None = None) -> SimulatedEngine:
    """Return the engine of one replica of a workload on one machine, its step worked out at every number of sequences.

    Args:
        result: one row; its stack's ``chunk_rows`` are the tokens of a step.
        most: bound on the sequences; what the memory holds where None.
    """
    times = step_times(result)
    fitting = max(int(times.most[0]), 1)
    places = fitting if most is None else min(fitting, most)
    prompt = float(np.ravel(result.serving.computed_tokens)[0])
    decode = np.broadcast_to(decode_step_s(result, np.arange(1.0, places + 1)), (places,))
    return SimulatedEngine(
        np.concatenate([np.zeros(1), decode]),
        float(times.prompt_s[0]) / prompt,
        float(times.alone_s[0]) / prompt,
        float(times.prompts_per_step[0]) * prompt,
        places,
        *_drafts(result),
        float(np.ravel(times.wait_s)[0]),
    )


def _drafts(result: Inference) -> tuple[int, float]:
    """Return the tokens that are drafted per step, and their acceptance."""
    drafts = result.serving.speculation
    if drafts is None:
        return 0, 0.0
    return int(np.ravel(drafts.draft_tokens)[0]), float(np.ravel(drafts.acceptance)[0])


@dataclass
class _Request:
    """A request on its way; a token of its prompt takes `weight` times as long as the engine says."""

    arrival_s: float
    prompt: float
    output: int
    context: float = 0.0
    weight: float = 1.0
    session: int = -1
    turn: int = 1
    first_s: float = np.nan
    last_s: float = np.nan
    prefilled: float = 0.0


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


@dataclass
class SimulatedSessions:
    """Conversations, and what one replica still has of them; the history used the longest ago goes first.

    Attributes:
        turns: of a session.
        think_s: mean time from an answer to the next message, exponential.
        prompt_tokens: what a turn adds to the prompt.
        chip_tokens: histories that the chips' memory holds.
        tier_tokens: histories that a tier behind it holds.
        token_s: time that the links to the tier take per token.
        latency_s: time that a read takes beside.
        exposed_s: what of a read of so many seconds delays the request.
        most_line_s: longest line for the links with which a history is read and not computed anew.
        found_weight: time of a prompt token whose history is found over that of one of a whole prompt.
    """

    turns: int
    think_s: float
    prompt_tokens: float
    chip_tokens: float
    tier_tokens: float
    token_s: float
    latency_s: float
    exposed_s: Callable[[float], float]
    most_line_s: float
    found_weight: float
    near: OrderedDict[int, float] = field(default_factory=OrderedDict)
    far: OrderedDict[int, float] = field(default_factory=OrderedDict)
    busy_until_s: float = 0.0
    asked: int = 0
    found: int = 0

    def find(self, one: _Request, now: float) -> float:
        """Look for the history of a turn; return by how much reading it delays the turn."""
        history = one.context = self._history(one)
        if not history:
            one.weight = self.found_weight
            return 0.0
        self.asked += 1
        delay, near, far = 0.0, self.near.pop(one.session, None), self.far.pop(one.session, None)
        if near is None and far is not None:
            line = max(self.busy_until_s - now, 0.0)
            if line < self.most_line_s:
                read = self.latency_s + history * self.token_s
                self.busy_until_s = now + line + read
                delay = line + self.exposed_s(read)
            else:
                far = None
        if near is None and far is None:
            one.prompt, one.context = one.prompt + history, 0.0
            return 0.0
        self.found += 1
        one.weight = self.found_weight
        return delay

    def _history(self, one: _Request) -> float:
        return (one.turn - 1) * (self.prompt_tokens + one.output)

    def keep(self, one: _Request) -> None:
        """Keep the history of a turn that is done."""
        self.near[one.session] = self._history(one) + self.prompt_tokens + one.output
        for held, room, then in ((self.near, self.chip_tokens, self.far), (self.far, self.tier_tokens, None)):
            while held and sum(held.values()) > room:
                session, tokens = held.popitem(last=False)
                if then is not None:
                    then[session] = tokens


@dataclass
class _Engine:
    """The state of the engine between steps."""

    engine: SimulatedEngine
    waiting: deque[_Request] = field(default_factory=deque)
    prefilling: deque[_Request] = field(default_factory=deque)
    decoding: list[tuple[int, int, _Request]] = field(default_factory=list)
    step: int = 0
    serial: int = 0
    held: float = 0.0
    mean_tokens: float = 1.0
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    def admit(self) -> None:
        """Admit requests in order while their whole length fits the memory."""
        while self.waiting:
            one = self.waiting[0]
            share = (one.context + one.prompt + one.output) / self.mean_tokens
            if self.held + share > self.engine.most + 1e-9 and (self.prefilling or self.decoding):
                return
            self.held += share
            self.prefilling.append(self.waiting.popleft())

    def take_chunk(self) -> tuple[float, float, list[_Request]]:
        """Take prompt tokens for one step; return how many, also by weight, and whose prompts are through."""
        room, taken, weighed, through = self.engine.chunk_tokens, 0.0, 0.0, []
        while self.prefilling and room > 1e-9:
            one = self.prefilling[0]
            part = min(room, one.prompt - one.prefilled)
            one.prefilled += part
            room, taken, weighed = room - part, taken + part, weighed + part * one.weight
            if one.prefilled < one.prompt - 1e-9:
                break
            through.append(self.prefilling.popleft())
        return taken, weighed, through

    def end_of_step(self, now: float, through: list[_Request]) -> list[_Request]:
        """Give first tokens to prompts that are through, and return the requests that are done."""
        done = []
        for one in through:
            one.first_s = now
            if one.output <= 1:
                done.append(one)
            else:
                self.serial += 1
                steps = self.engine.steps_for(one.output - 1, self.rng)
                heapq.heappush(self.decoding, (self.step + steps, self.serial, one))
        while self.decoding and self.decoding[0][0] <= self.step:
            done.append(heapq.heappop(self.decoding)[2])
        for one in done:
            one.last_s = now
            self.held -= (one.context + one.prompt + one.output) / self.mean_tokens
        return done


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
    env, state = simpy.Environment(), _Engine(engine, mean_tokens=prompt_tokens + output_tokens, rng=rng)
    everyone: list[_Request] = []
    reached: list[_Request] = []
    wake = [env.event()]
    timeline: list[tuple[float, int, int, float]] = []

    def arrive(turn: int = 1, session: int = -1) -> None:
        place = len(everyone)
        one = _Request(env.now, float(prompts[place]), int(outputs[place]), session=session, turn=turn)
        everyone.append(one)
        delay = engine.wait_s
        if sessions is not None:
            one.session = place if session < 0 else session
            delay += sessions.find(one, env.now)
        if delay > 0:
            env.timeout(delay).callbacks.append(lambda _: reach(one))
        else:
            reach(one)

    def think(one: _Request) -> None:
        """Keep the history of a turn that is done, and come back with the next one."""
        assert sessions is not None
        sessions.keep(one)
        if one.turn < sessions.turns:
            pause = env.timeout(float(rng.exponential(sessions.think_s)))
            pause.callbacks.append(lambda _: follow(one.turn + 1, one.session))

    def follow(turn: int, session: int) -> None:
        if len(everyone) < requests:
            arrive(turn, session)

    def reach(one: _Request) -> None:
        reached.append(one)
        state.waiting.append(one)
        if not wake[0].triggered:
            wake[0].succeed()

    def source() -> Generator[Any, Any, None]:
        for gap in gaps:
            yield env.timeout(float(gap) * (1 if sessions is None else sessions.turns))
            if len(everyone) == requests:
                return
            arrive()

    def server() -> Generator[Any, Any, None]:
        while len(reached) < requests or state.waiting or state.prefilling or state.decoding:
            state.admit()
            running, queued = len(state.decoding), len(state.waiting) + len(state.prefilling)
            if not running and not state.prefilling:
                timeline.append((env.now, 0, queued, 0.0))
                wake[0] = env.event()
                yield wake[0]
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
                    wake[0] = env.event()
                    yield whole | wake[0]
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


def _measured(everyone: list[_Request], timeline: FloatArray, *, skipped: int, closed: bool) -> SimulatedRequests:
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
