"""A discrete-event simulation of conversations: the twin of `Conversations`, with a cache that drops what is oldest."""

from __future__ import annotations

from cost_models.performance.conversations import Conversations
from cost_models.table import first_number
from dse.analysis.simulated_engine import SimulatedSessions, engine_of
from dse.analysis.simulation import SimulatedRequests, simulate


def simulated_sessions(users: Conversations) -> SimulatedSessions:
    """Return the conversations of one replica and an empty cache of theirs."""
    sessions, serving = users.sessions, users.result.serving
    prompt = first_number(serving.prompt_tokens) - first_number(sessions.history_tokens)
    each = first_number(users.bytes_per_token) * first_number(users.replicas) / first_number(serving.chips)
    layers, found_s = serving.model.layers, first_number(users.found_s)
    tier, kept = sessions.tier, first_number(sessions.kept_bytes) / each
    token_s, latency_s = 0.0, 0.0
    if tier is not None:
        token_s, latency_s = each / first_number(tier.bytes_per_s), first_number(tier.latency_s)
    whole = first_number(users.computed_s) / first_number(serving.prompt_tokens)
    return SimulatedSessions(
        turns=round(first_number(sessions.turns)),
        think_s=first_number(sessions.think_s),
        prompt_tokens=prompt,
        chip_tokens=kept,
        tier_tokens=0.0 if tier is None else first_number(tier.capacity_bytes) / each,
        token_s=token_s,
        latency_s=latency_s,
        exposed_s=lambda read_s: max(read_s / layers, read_s - found_s * (1 - 1 / layers)),
        most_line_s=first_number(users.most_line_s),
        found_weight=found_s / prompt / whole,
    )


def simulate_sessions(
    users: Conversations, *, requests: int = 4000, seed: int = 0
) -> tuple[SimulatedRequests, SimulatedSessions]:
    """Return what users of one replica see, of one row, and the cache at the end.

    Args:
        users: the conversations and their load.
        requests: turns, of which the first fifth warms up.
        seed: of arrivals and thoughts.
    """
    sessions, serving = simulated_sessions(users), users.result.serving
    run = simulate(
        engine_of(users.result),
        prompt_tokens=first_number(serving.prompt_tokens),
        output_tokens=first_number(serving.output_tokens),
        arrivals_per_s=first_number(users.served.requests_per_s),
        requests=requests,
        seed=seed,
        sessions=sessions,
    )
    return run, sessions
