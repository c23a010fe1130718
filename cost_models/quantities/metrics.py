"""Metrics of designs and of workloads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Metric, index
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS

METRICS: Mapping[str, Metric] = index(
    Metric("die_mm2", "mm²", "area of the logic dies", "min", "design"),
    Metric("tdp_w", "W", "board power with everything busy at the sustained clock: the design limit", "min", "design"),
    Metric("cost_usd", "USD", "production cost of one board, without NRE", "min", "design"),
    Metric("price_usd", "USD", "(cost + NRE share / units) / (1 - margin); a library chip's published price", "min",
           "design"),
    Metric("nre_usd", "USD", "masks and the project's share of design cost per unit sold; part of price_usd", "min",
           "design"),
    Metric("margin_usd", "USD", "gross margin in price_usd: price less cost less NRE", None, "design", low=-math.inf),
    Metric("price_krw", "KRW", "price_usd at the exchange rate economics.krw_per_usd", "min", "design"),
    Metric("embodied_kg", "kg", "CO2e of making die and memory of one board; package and circuit board are left out",
           "min", "design"),
    Metric("bandwidth_gbps", "GB/s", "peak memory bandwidth of one chip", "max", "design"),
    Metric("capacity_gib", "GiB", "memory of one chip", "max", "design"),
    Metric("peak_tflops", "TFLOP/s", "peak arithmetic rate of the linear layers in the chosen number format", "max",
           "design"),
    Metric("stored_bits", "bit", "stored bits per body weight, metadata included", "min", "design"),
    Metric("edge_fraction", "", "die edge used by memory and link interfaces over the edge there is", "min", "design"),
    Metric("tpot_ms", "ms",
           "time of one decode step of the whole batch, mean over the output positions (TPOT); mean over requests "
           "where they are batched continuously", "min", "workload"),
    Metric("ttft_ms", "ms",
           "time to first token: prefill of the whole batch; its mean over requests, waiting included, where they are "
           "batched continuously", "min", "workload"),
    Metric("request_s", "s", "whole request: prefill, which yields the first token, and every decode step", "min",
           "workload"),
    Metric("tokens_per_s", "token/s", "output tokens per second of the batch, decode only", "max", "workload"),
    Metric("tokens_per_s_end_to_end", "token/s", "output tokens per second of the batch, prefill included", "max",
           "workload"),
    Metric("roofline_tpot_ms", "ms", "decode step at full bandwidth and arithmetic rate, nothing else", None,
           "workload"),
    Metric("overhead_fraction", "", "share of the decode step above that bound", "min", "workload"),
    Metric("memory_fraction", "", "share of the decode step spent in operators that memory bounds", None, "workload"),
    Metric("decode_w", "W", "board power of all chips during decode", "min", "workload"),
    Metric("prefill_w", "W", "board power of all chips during prefill", "min", "workload"),
    Metric("decode_cap_stretch", "",
           "decode step at the clock that the design limit allows, over that at the highest clock; of a library chip "
           "what its predicted power asks for, beside a time that was measured", None, "workload"),
    Metric("prefill_cap_stretch", "", "the same of the prefill", None, "workload"),
    Metric("decode_j_per_token", "J", "board energy per output token in decode", "min", "workload"),
    Metric("prefill_j_per_token", "J", "board energy per prompt token in prefill", "min", "workload"),
    Metric("request_j_per_token", "J", "board energy per output token, prefill included", "min", "workload"),
    Metric("tokens_per_joule", "token/J", "output tokens per joule of board energy in decode", "max", "workload"),
    Metric("tokens_per_joule_tdp", "token/J", "decode tokens per second over the TDP of all chips", "max", "workload"),
    Metric("chips_needed", "", "least chips whose memory holds weights, KV cache at full length and activations", "min",
           "workload"),
    Metric("memory_gib", "GiB", "weights, KV cache at full length and activations, all chips together", "min",
           "workload"),
    Metric("load_s", "s", "time to load the weights over the host interfaces, once per start", "min", "workload"),
    Metric("perplexity_ratio", "", "perplexity over that of the uncompressed model", "min", "workload", low=1.0),
    Metric("perplexity_ratio_high", "", "upper end of its 90 % interval", "min", "workload", low=1.0),
    Metric("perplexity_unusable", "",
           "1 where the compressed model is expected to have collapsed (twice the perplexity or more), else 0", "min",
           "workload"),
    Metric("perplexity_extrapolated", "",
           "1 where the quality fit has no data nearby (model, size, bits or method), else 0", "min", "workload"),
    Metric("usd_per_million_tokens", "USD", "cost of ownership per million output tokens, prefill included", "min",
           "workload"),
    Metric("co2e_g_per_million_tokens", "g",
           "CO2e per million output tokens: electricity, and the making of the boards over their life", "min",
           "workload"),
    Metric("tokens_per_s_per_usd", "token/s/USD", "end-to-end output tokens per second over the price of the chips",
           "max", "workload"),
    Metric("requests_per_s", "1/s", "requests finished per second, prefill and every decode step", "max", "workload"),
    Metric("max_batch", "",
           "largest batch that fits and keeps the workload's limits on time to first token and time per token", "max",
           "workload"),
    Metric("tokens_per_s_at_max_batch", "token/s", "output tokens per second at max_batch, prefill included", "max",
           "workload"),
    Metric("chips_for_load", "", "chips that deliver the workload's load_tokens_per_s, each group of them at max_batch",
           "min", "workload"),
    *(
        Metric(
            f"{time}_p{percent}_ms",
            "ms",
            f"{meaning} that {percent} % of the requests do not exceed (batching: continuous)",
            "min",
            "workload",
        )
        for time, meaning in (("ttft", "time to first token"), ("tpot", "time per output token"))
        for percent in (50, 95, 99)
    ),
    Metric("concurrency", "", "mean number of requests being served or waiting (batching: continuous)", None,
           "workload"),
    Metric("utilisation", "", "requests per second over the most that the chips can finish (batching: continuous)",
           None, "workload"),
    *(
        Metric(
            f"usd_per_million_{kind}_tokens",
            "USD",
            f"cost of ownership per million {kind} tokens, shared by the time that prompts and decode steps take of "
            "the engine (batching: continuous)",
            "min",
            "workload",
        )
        for kind in ("input", "output")
    ),
    Metric("usd_per_million_cached_tokens", "USD",
           "cost of ownership per million tokens of cached prefixes: of the time in which prompts meet them "
           "(batching: continuous)", "min", "workload"),
    Metric("input_j_per_token", "J",
           "energy per prompt token that is computed: what its prefill adds to the engine's steps (batching: "
           "continuous)", "min", "workload"),
    Metric("cached_j_per_token", "J",
           "energy per cached token: of what new tokens spend on meeting it, and of the tier that keeps it (batching: "
           "continuous)", "min", "workload"),
    Metric("output_j_per_token", "J", "energy per output token of decode steps by themselves (batching: continuous)",
           "min", "workload"),
    Metric("found_share", "", "share of users' histories that a cache still has when they return", "max", "workload"),
    Metric("asked_kv_gib", "GiB",
           "keys, values and states of users who think and will return, by Little's law: what finding all takes", "min",
           "workload"),
    Metric("history_delay_ms", "ms",
           "what reading a history from its tier adds to the time to first token, wait for the link included", "min",
           "workload"),
    Metric("goodput_requests_per_s", "1/s",
           "most requests per second at which the limits on both times hold (batching: continuous)", "max", "workload"),
    Metric("goodput_tokens_per_s", "token/s", "output tokens per second at that rate (batching: continuous)", "max",
           "workload"),
    Metric("prefill_chips", "",
           "chips that prefill beside the chips that decode, in part, so that the limit on time to first token is kept",
           "min", "workload"),
    Metric("prefill_utilisation", "", "share of the time in which chips that prefill are at work", None, "workload"),
    Metric("transfer_ms", "ms",
           "time that keys and values of a prompt take from the chips that prefill to those that decode", "min",
           "workload"),
    Metric("deployment_usd", "USD", "price of the chips that decode, those that prefill and their ports", "min",
           "workload"),
    Metric("deployment_tdp_w", "W", "design limit of all of them", "min", "workload"),
    Metric("p_feasible", "",
           "share of Monte Carlo samples of the ranged parameters in which every limit and constraint is met", "max",
           "draws"),
)  # fmt: skip
"""Metrics, in the order in which tables show them."""


P_FEASIBLE = "p_feasible"
"""The metric that `Metric.scope` "draws" stands for."""


AS_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        name: Metric(name, parameter.unit, parameter.meaning, None, "design")
        for name, parameter in PARAMETERS.items()
        if not parameter.is_choice
    }
)
"""Numeric parameters as metrics, so that objectives and constraints may name them."""


FIELDS_AS_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        name: Metric(name, field.unit, field.meaning, None, "workload")
        for name, field in WORKLOAD_FIELDS.items()
        if not field.is_choice
    }
)
"""Numbers of a workload as metrics, so that objectives and constraints may name those that a sweep varies."""
