"""Fields of a workload."""

from __future__ import annotations

from collections.abc import Mapping

from cost_models.quantities.records import Parameter, index

MOST_TOKENS = 1e9
"""Most tokens of a text: a hundred times the longest context of a model of the library or of 2026 (1e7)."""

MOST_CHIPS = 1e6
"""Most chips that serve one model together: several times those of the largest data centre of 2026."""

WORKLOAD_FIELDS: Mapping[str, Parameter] = index(
    Parameter("model", "", "architecture of the model", None, section="models"),
    Parameter("batch", "", "sequences served together; `largest`: the most that the memory holds", 1, integer=True,
              high=1e9),
    Parameter("prompt_tokens", "", "prompt length", 1024, integer=True, high=MOST_TOKENS),
    Parameter("output_tokens", "", "generated tokens per sequence", 1024, integer=True, high=MOST_TOKENS),
    Parameter("n_chips", "", "chips that serve the workload together", 1, integer=True, high=MOST_CHIPS),
    Parameter("parallelism", "",
              "how several chips share the model: all in one way, or numbers of chips such as tp4_pp2, dp8, "
              "layer_split4", "tensor", names=("tensor", "pipeline", "layer_split")),
    Parameter("node_chips", "",
              "chips of a server or rack that reach each other by links of their own; all where not given", None,
              integer=True, high=MOST_CHIPS),
    Parameter("network_gbps", "GB/s",
              "bandwidth of each chip into the network between nodes, one way; deployment.network_gbps where not given",
              None),
    Parameter("batching", "",
              "how requests share the chips: a batch at once, in waves of what an engine's memory takes, or in "
              "flight: a steady number whose prompts join the decode steps of the others; continuous: as requests "
              "arrive, waiting for memory and for prompts before them", "static",
              names=("static", "waves", "in_flight", "continuous")),
    Parameter("arrivals_per_s", "1/s",
              "requests that come per second; where neither they nor concurrency are given, as many as keep the limits",
              None),
    Parameter("arrival_cv", "", "coefficient of variation of gaps between arrivals; 1 where not given", None,
              high=10.0),
    Parameter("concurrency", "", "requests that are there at all times, each followed by the next at once", None),
    Parameter("prompt_p95_tokens", "",
              "95th percentile of the prompt length, lognormal about prompt_tokens; all alike where not given", None,
              high=MOST_TOKENS),
    Parameter("output_p95_tokens", "",
              "95th percentile of the output length, lognormal about output_tokens; all alike where not given", None,
              high=MOST_TOKENS),
    Parameter("prefix_cached", "",
              "what of every prompt is a prefix of all requests whose keys and values are cached: a share up to 1, "
              "tokens above 1; one token is left to compute", None, high=MOST_TOKENS, open_low=False),
    Parameter("draft_tokens", "",
              "tokens that are drafted per decode step and verified together; a field of speculation", None,
              integer=True, high=64.0, open_low=False),
    Parameter("acceptance", "",
              "chance that a drafted token is accepted, whatever came before it; a field of speculation", None,
              high=1.0, open_low=False),
    Parameter("turns", "", "turns of a conversation; a field of sessions", None, integer=True, high=1000.0),
    Parameter("think_s", "s",
              "mean time from an answer to the user's next message, exponential; a field of sessions", None,
              open_low=False),
    Parameter("kept_gib", "GiB",
              "of each chip's memory, what is set aside for histories of users who think; a field of sessions", None,
              open_low=False),
    Parameter("tier", "",
              "memory technology that keeps histories behind a link of each chip, as ddr5 or cxl; a field of sessions",
              None, section="memories"),
    Parameter("tier_gib", "GiB", "capacity of that memory per chip; a field of sessions", None, open_low=False),
    Parameter("tier_gbps", "GB/s",
              "bandwidth of each chip's link to it, each way; deployment.tier_gbps where not given; a field of "
              "sessions", None),
    Parameter("hit_share", "",
              "share of the histories that is found; worked out from capacity and load where not given; a field of "
              "sessions", None, high=1.0, open_low=False),
    Parameter("chunk_rows", "", "most tokens that a prefill takes together; as the stack does it where not given", None,
              integer=True, high=MOST_TOKENS),
    Parameter("expert_spread", "",
              "exponent by which tokens choose experts like independent ones; serving.expert_spread where not given",
              None, high=1.0, open_low=False),
    Parameter("hottest_fifth", "",
              "share of the choices of experts that fall on the fifth of them that is chosen most; 0.2 (all alike) "
              "where not given", None, low=0.2, high=0.95, open_low=False,
              elsewhere="nothing: it is what a text asks of a model"),
)  # fmt: skip
"""Fields of a workload in a sweep; numeric ones may be swept as ``workload.field``."""
