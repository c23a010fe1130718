"""A plain twin of an engine's chain and steady state: one engine, one load, one number at a time.

Written from what `queue_chain` and `steady_state` say of each term; waits are lists of cases (share, mean, variance).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

STATES, WIDTH, TINY, IDLE = 16, 1.5, 1e-30, 1e-12


@dataclass(frozen=True)
class Engine:
    """An engine whose decode step is a straight line up to 16 sequences, and another one beyond."""

    prompt_s: float = 0.05
    alone_s: float = 0.06
    step_s: float = 0.01
    slope_s: float = 2e-4
    beyond_s: float = 2e-4
    tokens: float = 99.0
    most: float = 64.0
    room: float = 4.0
    wait_s: float = 0.0

    @property
    def chunks(self):
        return max(math.ceil(1 / self.room), 1)

    @property
    def empty_s(self):
        """Return the step without sequences."""
        return (self.alone_s - self.prompt_s) / self.chunks

    def step(self, number):
        """Return the decode step of so many sequences."""
        if number < 1:
            return self.empty_s + (self.step_s - self.empty_s) * number
        return self.step_s + self.slope_s * (min(number, 16) - 1) + self.beyond_s * max(number - 16, 0)


@dataclass(frozen=True)
class Plain:
    """An engine, its traffic and about how many decode."""

    engine: Engine
    decoding: float
    arrival_cv: float = 1.0
    prompt_cv: float = 0.0
    output_cv: float = 0.0

    @cached_property
    def places(self):
        return max(self.engine.most, 1)

    @cached_property
    def share(self):
        return self.engine.tokens / (self.engine.tokens + self.engine.chunks)

    @cached_property
    def states(self):
        mean = min(max(self.decoding, 1), self.places)
        spread = WIDTH * math.sqrt(mean)
        low, high = (math.asinh((end - mean) / spread) for end in (2, max(self.places, STATES)))
        found = [0.0, 1.0, 2.0]
        for index in range(3, STATES + 1):
            apart = mean + spread * math.sinh(low + (high - low) * (index - 2) / (STATES - 3))
            found.append(min(max(index, apart), max(self.places - STATES, 0) + index))
        return found

    @cached_property
    def widths(self):
        gaps = [after - before for before, after in pairwise(self.states)]
        wide = [(gaps[0] + 1) / 2, *((a + b) / 2 for a, b in pairwise(gaps)), (gaps[-1] + 1) / 2]
        return [width if state < self.places + 0.5 else 0 for state, width in zip(self.states, wide, strict=True)]

    @cached_property
    def others(self):
        return [max(state - 1, 0) * self.share for state in self.states]

    @cached_property
    def at_work(self):
        return [self.engine.step(1 + one) for one in self.others]

    @cached_property
    def beside(self):
        """Return the step of those beside one of so many: with fewer than one, as much less as one step is."""
        work, found = self.at_work, []
        for step, others in zip(work, self.others, strict=True):
            few = min(others, 1)
            alone = self.engine.step(1) - self.engine.step(0)
            found.append(step - (1 - few) * alone - few * (work[2] - work[1]))
        return found

    @cached_property
    def cycles(self):
        one = self.engine
        return [
            max(state, 1) * one.prompt_s + one.chunks * beside + one.tokens * work
            for state, beside, work in zip(self.states, self.beside, self.at_work, strict=True)
        ]

    @cached_property
    def rates(self):
        return [state / cycle for state, cycle in zip(self.states, self.cycles, strict=True)]

    @cached_property
    def last(self):
        return int(min(self.places, STATES))

    @cached_property
    def capacity(self):
        return self.rates[self.last]

    @cached_property
    def log_rates(self):
        logs = [math.log(self.rates[1]), *(math.log(rate) for rate in self.rates[1:])]
        total = [0.0]
        for place in range(STATES):
            gap = self.states[place + 1] - self.states[place]
            mean, rise = (logs[place] + logs[place + 1]) / 2, logs[place + 1] - logs[place]
            total.append(total[-1] + gap * mean + rise / 2)
        return total

    @cached_property
    def work_cv2(self):
        first, rest = self.engine.alone_s, self.engine.tokens * self.engine.step(1)
        return ((first * self.prompt_cv) ** 2 + (rest * self.output_cv) ** 2) / (first + rest) ** 2


def lesser(first, second):
    return first * second / math.sqrt(max(first**2 + second**2, TINY))


@dataclass(frozen=True)
class PlainSteady:
    """The steady state of an engine at a load below its capacity."""

    queue: Plain
    rate: float

    def __post_init__(self):
        queue = self.queue
        x, one, set_ = queue.engine.prompt_s, queue.engine, object.__setattr__
        set_(self, "busy", min(self.rate * x, 1 - 1e-9))
        set_(self, "burst", max(queue.arrival_cv**2 - 1, 0))
        set_(self, "bunched", 1 + self.burst / (1 + queue.work_cv2))
        set_(self, "ratio", (self.rate / queue.capacity) ** (1 / self.bunched))
        narrower = (1 - self.busy * (1 - 1 / queue.places)) / self.bunched
        logs = [
            narrower * (state * math.log(self.rate) - each)
            for state, each in zip(queue.states, queue.log_rates, strict=True)
        ]
        single = [math.exp(each - max(logs)) for each in logs]
        weights = [each * width for each, width in zip(single, queue.widths, strict=True)]
        tail = single[queue.last] * self.ratio / (1 - self.ratio)
        total = sum(weights) + tail
        set_(self, "weights", [each / total for each in weights])
        set_(self, "at_most", single[queue.last] / total)
        set_(self, "tail", tail / total)
        set_(self, "full", self.at_most + self.tail)
        set_(self, "idle", self.weights[0])
        set_(self, "rest", max(1 - self.idle, 1e-300))
        set_(self, "inside", self.mean(queue.states))
        set_(self, "found", max(sum(self.weights) - self.idle - self.at_most, 0))
        met = sum(a * b for a, b in list(zip(self.weights, queue.beside, strict=True))[1:])
        met -= self.at_most * queue.beside[queue.last]
        set_(self, "step", met / self.found if self.found > IDLE else queue.beside[1])
        spread = self.rate / self.rest * x**2 * (1 + queue.prompt_cv**2) / (1 - self.busy**2)
        set_(self, "biased", self.step / (1 - self.busy) + spread)
        set_(self, "apart", 1 - 1 / max(one.room, 1))

    def mean(self, values):
        return sum(a * b for a, b in zip(self.weights, values, strict=True))

    def filled(self, waiting):
        """Return how much of a prompt fills up the step of one's last tokens."""
        one = self.queue.engine
        if one.room >= 2:
            return lesser(max(one.room - 1 - self.rate * self.biased / 2, 0), waiting)
        spare = (1 - self.busy) * (one.chunks * one.room - 1) + self.busy * one.room / 2
        return min(spare, 1) * waiting / (1 + waiting)

    @cached_property
    def ttft(self):
        """Return (least, cases): between two steps, behind prompts, behind full memory."""
        queue, one, x, step, rate = self.queue, self.queue.engine, self.queue.engine.prompt_s, self.step, self.rate
        own = one.chunks * (step - one.step(0))
        shared = self.biased / 2 + x * rate * self.biased
        shared += rate * x**2 * self.burst / (2 * (1 - self.busy)) / self.rest
        taken = step * (one.chunks if one.room < 1 else 1 / one.room) + x
        load = min(rate * taken, 0.98)
        variable = queue.arrival_cv**2 + queue.prompt_cv**2
        in_step = 1 - math.exp(-rate * step / (1 - self.busy)) * (1 - self.busy)
        queued = rate * taken**2 * variable / (2 * (1 - load)) / self.rest
        behind = min((self.apart * in_step + (1 - self.apart) * load) / self.rest, 1)
        filled = x * self.filled(rate * queued)
        single = queued + filled + max(1 - load / self.rest, 0) * step / 2
        mean = self.apart * shared + (1 - self.apart) * single
        after = max(mean - (1 - behind) * step / 2, 0) / behind
        varied = max(after - (1 - self.apart) * filled / behind, 0)
        deviation = 1 - (1 - min(variable - 1, 1)) * (1 - load) * 0.75
        gap = (queue.arrival_cv**2 + queue.work_cv2) / 2
        memory = gap / (queue.capacity * (1 - self.ratio) * self.bunched)
        even = max(1 - queue.work_cv2, 0) * (1 - rate / queue.capacity) / queue.places
        inner = one.chunks * (queue.beside[queue.last] - one.step(0))
        return one.alone_s, [
            (self.found * (1 - behind), max(step / 2 + own, 0), step**2 / 12),
            (self.found * behind, max(after + own, 0), varied**2 * deviation),
            (self.full, max(memory + inner, 0), memory**2 * (1 - even * 0.75)),
        ]

    def waiting(self, came, beside):
        """Return how many prompts wait as the last step of one's own begins."""
        one, x = self.queue.engine, self.queue.engine.prompt_s
        rest = (1 - self.busy) * (1 - (one.chunks - 1) * one.room) + self.busy * one.room / 2
        first = max(came - self.rate * (self.step + x * rest), 0)
        last = rest + self.filled(first) if one.chunks > 1 else 1 + beside
        return max(came - self.rate * (self.step + x * min(last, one.room)), 0)

    def own_step(self, busy):
        """Return the step beside those who came evenly and those who came along: two steps towards a fixed point."""
        queue, one = self.queue, self.queue.engine
        cluster = 1 / (1 - busy) ** 2
        together = (cluster - 1) * one.tokens / (one.tokens + cluster / (3 * max(one.room, 1)))
        together += (self.bunched - 1) * max(1 - self.rate / queue.capacity, 0)

        def beside(step):
            return min(self.rate * one.tokens * step / (1 - busy) + together, queue.places - 1)

        first = min(self.inside * queue.share, queue.places - 1)
        step = one.step(1 + first)
        second = beside(step)
        after = one.step(1 + second)
        third = beside(after)
        apart = 1.0 if second == first else second - first
        ratio = min((third - second) / apart, 0.9)
        number = min(max(second + (third - second) / (1 - ratio), 0), queue.places - 1)
        return after + (after - step) / apart * (number - second)

    @cached_property
    def tpot(self):
        """Return (least, cases, most beyond the least, floor of the last case): beside none, one or more prompts."""
        queue, one, x, rate = self.queue, self.queue.engine, self.queue.engine.prompt_s, self.rate
        tokens, others = max(one.tokens, 1), 1 - 1 / queue.places
        total = self.inside + self.tail * queue.places
        longer = [step - queue.at_work[1] for step in queue.at_work]

        def moment(values):
            return (self.mean(values) + self.tail * values[queue.last]) / total

        first = moment([j * d for j, d in zip(queue.states, longer, strict=True)])
        second = moment([j * d * d for j, d in zip(queue.states, longer, strict=True)])
        seen = moment([j * j for j in queue.states])
        var, busy = max(second - first**2, 0), self.busy * others
        least_s, cases = self.ttft
        came = rate * (least_s + sum(share * mean for share, mean, _ in cases) - self.full * cases[-1][1])
        beside = rate * self.biased
        left = max(came - self.filled(self.waiting(came, beside)), 0) * others
        bent = first + queue.at_work[1] - one.step(1 + max(seen - 1, 0) * queue.share)
        step = max(self.own_step(busy) + bent, queue.at_work[1])
        mean = step - queue.at_work[1]
        died = -math.expm1(tokens * math.log(max(busy, TINY)))
        excess = (x * left - busy * step / (1 - busy)) * died / (1 - busy)
        full_step = one.room * x
        slow = lesser(max(excess, 0) / tokens, full_step) + min(excess, 0) / tokens + step * busy / (1 - busy)
        family = died / (1 - busy)
        mean_family = (1 - busy * family / tokens) / (1 - busy)
        gain = min(mean / max(rate * tokens * (step + slow), 1) * rate * tokens / (1 - busy), 0.9)
        apart = self.apart * (busy * beside) ** 2 + (1 - self.apart) * left**2
        born = rate * others * tokens * step * mean_family**3
        spread = (x / tokens) ** 2 * (born + left * family**3 + apart * family**2) / (1 - gain)
        around = var * 2 / 3 / (1 - busy) ** 2
        none = math.exp(-rate * others * tokens * step)
        none *= self.apart * math.exp(-left) + (1 - self.apart) / (1 + left)
        each = min(x / tokens, full_step)
        single = min(-none * math.log(max(none, TINY)) * math.exp(-busy), slow / max(each, TINY))
        more = max(1 - none - single, TINY)
        many = max(slow - single * each, 0) / more
        varied = max((spread + slow**2 - single * each**2) / more - many**2, 0)
        cases = [
            (none, mean, around),
            (single, mean + each, around),
            (more, mean + many, varied + around + math.sqrt(varied * around) * 0.6),
        ]
        most = mean + 2 * math.sqrt(around) + full_step
        return queue.at_work[1], cases, most, min(2 * each, 0.9 * many)


def between(knots, values, at):
    """Return the value at a place on straight lines between knots."""
    place = next((index for index in range(1, len(knots)) if knots[index] >= at), len(knots) - 1)
    x, y = knots[place - 1 : place + 1], values[place - 1 : place + 1]
    return y[0] + (y[1] - y[0]) * min(max((at - x[0]) / (x[1] - x[0]), 0), 1)


def closed(queue, requests):
    """Return (rate, first cases, token cases, decoding) of an engine with a fixed number of requests."""
    one, x = queue.engine, queue.engine.prompt_s
    total, away = max(requests, 1), [0.0] * (STATES + 1)
    if one.wait_s > 0:
        for place, (state, rate) in enumerate(zip(queue.states, queue.rates, strict=True)):
            step = queue.beside[place] / max(1 - rate * x, 1e-9)
            away[place] = one.wait_s + min(max(state - 1, 0), 1) * max(step - one.wait_s, step / 2)
    there = [state + rate * gone for state, rate, gone in zip(queue.states, queue.rates, away, strict=True)]
    inside = min(between(there, queue.states, total), total, queue.places)
    around, full = between(queue.states, queue.cycles, inside), inside >= queue.places
    gone = one.wait_s if full else between(queue.states, away, inside)
    rate = inside / around if full else total / (around + gone)
    inside = inside if full else rate * around
    decoding = max(inside - 1, 0) * queue.share
    step = one.step(decoding)
    together = min(rate * step / max(1 - rate * x, 1e-9), inside - 1)
    own = one.chunks * step + x * (1 + max(together, 0))
    queued = max((total - inside) / rate - gone, 0) if full else gone - one.wait_s
    tokens, least = max(one.tokens, 1), queue.at_work[1]
    token = max(inside / rate - own, 0) / tokens if one.tokens > 0 else least
    late = max(queued + own - one.alone_s, 0)
    spread = max(inside - 1, 0) * (x / tokens) ** 2 / inside
    return rate, (1, late, (x / 2) ** 2), (1, max(token - least, 0), spread), decoding
