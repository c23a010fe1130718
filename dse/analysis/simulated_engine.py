"""One replica of a simulated engine: its step times, the requests on their way, its state between steps, its cache."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cost_models.performance.inference import Inference
from cost_models.performance.step_times import decode_step_s, step_times
from cost_models.table import FloatArray, first_number


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
    fitting = max(int(first_number(times.most)), 1)
    places = fitting if most is None else min(fitting, most)
    prompt = first_number(result.serving.computed_tokens)
    decode = np.broadcast_to(decode_step_s(result, np.arange(1.0, places + 1)), (places,))
    return SimulatedEngine(
        np.concatenate([np.zeros(1), decode]),
        first_number(times.prompt_s) / prompt,
        first_number(times.alone_s) / prompt,
        first_number(times.prompts_per_step) * prompt,
        places,
        *_drafts(result),
        first_number(times.wait_s),
    )


def _drafts(result: Inference) -> tuple[int, float]:
    """Return the tokens that are drafted per step, and their acceptance."""
    drafts = result.serving.speculation
    if drafts is None:
        return 0, 0.0
    return int(first_number(drafts.draft_tokens)), first_number(drafts.acceptance)


@dataclass
class Request:
    """A request on its way; a token of its prompt takes `weight` times as long as the engine says."""

    arrival_s: float
    prompt: float
    output: int
    session: int = 0
    turn: int = 1
    context: float = 0.0
    weight: float = 1.0
    first_s: float = np.nan
    last_s: float = np.nan
    prefilled: float = 0.0


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

    def find(self, one: Request, now: float) -> float:
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

    def _history(self, one: Request) -> float:
        return (one.turn - 1) * (self.prompt_tokens + one.output)

    def keep(self, one: Request) -> None:
        """Keep the history of a turn that is done."""
        self.near[one.session] = self._history(one) + self.prompt_tokens + one.output
        for held, room, then in ((self.near, self.chip_tokens, self.far), (self.far, self.tier_tokens, None)):
            while held and sum(held.values()) > room:
                session, tokens = held.popitem(last=False)
                if then is not None:
                    then[session] = tokens


@dataclass
class EngineState:
    """The state of the engine between steps."""

    engine: SimulatedEngine
    mean_tokens: float
    waiting: deque[Request] = field(default_factory=deque)
    prefilling: deque[Request] = field(default_factory=deque)
    decoding: list[tuple[int, int, Request]] = field(default_factory=list)
    step: int = 0
    serial: int = 0
    held: float = 0.0
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

    def take_chunk(self) -> tuple[float, float, list[Request]]:
        """Take prompt tokens for one step; return how many, also by weight, and whose prompts are through."""
        room, taken, weighed, through = self.engine.chunk_tokens, 0.0, 0.0, []
        while self.prefilling and room > 1e-9:
            one = self.prefilling[0]
            part = min(room, one.prompt - one.prefilled)
            one.prefilled += part
            room, taken, weighed = room - part, taken + part, weighed + part * one.weight
            if one.prefilled >= one.prompt - 1e-9:
                through.append(self.prefilling.popleft())
        return taken, weighed, through

    def end_of_step(self, now: float, through: list[Request]) -> list[Request]:
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
