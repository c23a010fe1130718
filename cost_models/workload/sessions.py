"""Conversations of several turns: each turn's prompt repeats all that was said, and a cache may still have it.

Between an answer and the next message a user thinks, for an exponential time of mean z. A cache of capacity C that
drops what was used the longest ago keeps everything for about the same time t (the characteristic time of Che, Tung and
Wang, IEEE J. Sel. Areas Commun. 20, 2002), so that h = 1 - exp(-t / z) of the users find their history. What is held
follows from Little's law: of a session of T turns that each add g tokens, histories that are asked for again are held
for min(think, t), z h in the mean, and that of the last turn, which nobody asks for, for all of t. At l turns a second,

    C = l g (z h (T - 1) / 2 + t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.table import FloatArray, Number
from cost_models.tape import asarray


@dataclass(frozen=True)
class Tier:
    """A memory of the host, or behind a link of its own, that histories are kept in; of one chip.

    Attributes:
        capacity_bytes: capacity.
        bytes_per_s: bandwidth of the chip's link to it, each way.
        latency_s: time of a read beside its bytes.
        j_per_byte: energy of memory and link per byte read or written.
        price_usd: price of the capacity.
        idle_w: power that it draws whatever it does.
        embodied_kg: carbon of making it.
        most_utilisation: share of the time in which the link is taken at most; beyond it, histories are computed anew.
    """

    capacity_bytes: Number
    bytes_per_s: Number
    latency_s: Number
    j_per_byte: Number
    price_usd: Number
    idle_w: Number
    embodied_kg: Number
    most_utilisation: Number = 1.0


@dataclass(frozen=True)
class Sessions:
    """Conversations; numbers are scalars or ``(n,)`` columns.

    Attributes:
        turns: turns of a session (T), one at least.
        think_s: mean time from an answer to the next message, exponential (z).
        growth_tokens: tokens that a turn adds to the context, prompt and answer (g).
        kept_bytes: of each chip's memory, what is set aside for histories.
        tier: memory behind that; None for none.
        hit_share: share of the histories that is found, in the tier where there is one; worked out where NaN.
    """

    turns: Number
    think_s: Number
    growth_tokens: Number
    kept_bytes: Number = 0.0
    tier: Tier | None = None
    hit_share: Number = np.nan

    @property
    def returning(self) -> FloatArray:
        """Share of the turns that have a history."""
        return asarray(1 - 1 / asarray(self.turns, dtype=np.float64))

    @property
    def history_tokens(self) -> FloatArray:
        """Mean history of a turn, over all turns, g (T - 1) / 2."""
        return asarray((asarray(self.turns) - 1) / 2 * self.growth_tokens)

    @property
    def spread(self) -> FloatArray:
        """Mean square of the histories that there are over the square of their mean, (4 T - 2) / (3 T); 1 for two."""
        turns = np.maximum(self.turns, 2.0)
        return asarray((4 * turns - 2) / (3 * turns))

    def asked_tokens(self, turns_per_s: Number) -> FloatArray:
        """Return the tokens of histories that will be asked for again, by Little's law: l z g (T - 1) / 2."""
        return asarray(turns_per_s * asarray(self.think_s) * self.history_tokens)

    def found_share(self, tokens: Number, turns_per_s: Number) -> FloatArray:
        """Return the share of the histories that a cache still has: h above, solved by Wright's omega function.

        Args:
            tokens: that the cache holds.
            turns_per_s: turns that come (l); where none do, everything is found that has room.
        """
        from scipy.special import wrightomega

        half = (asarray(self.turns, dtype=np.float64) - 1) / 2
        flow = asarray(turns_per_s * asarray(self.think_s) * self.growth_tokens, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            room = tokens / flow
            # r (1 - exp(-x)) + x = c for x = t / z, with y = x - c + r: y exp(y) = r exp(r - c).
            kept = room - half + wrightomega(np.log(half) + half - room)
        # Where no room is there for no turns, nothing is found.
        return np.where(np.isinf(room), 1.0, -np.expm1(-np.maximum(np.nan_to_num(kept), 0.0)))
