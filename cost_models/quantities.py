"""Every parameter and metric by name: unit, meaning, better direction.

One truth for sweep files, table columns, plot axes and the reference pages.
A workload's metric is written ``workload.metric`` (``chat_70b.tpot_ms``), a design's bare (``die_mm2``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

TECHNOLOGY_PREFIX = "technology."
"""Prefix under which a sweep names a parameter of the library, as in ``technology.tco.pue``."""


@dataclass(frozen=True)
class Parameter:
    """Something a sweep may set or vary.

    Attributes:
        name: the key in a sweep file and the column in a table.
        unit: unit of the number, "" where it has none or is a name.
        meaning: one line for people.
        default: value where the sweep is silent; None means that the library decides per entry.
        section: library section that the name is looked up in, or None for a number.
        names: the allowed names where they are not a library section.
        integer: whether only whole numbers make sense.
        low: least value that means anything (excluded when `open_low`).
        high: largest value that means anything.
        open_low: whether `low` itself is refused.
        elsewhere: what a better value costs that no metric counts, with size and source; "" where metrics count all.
    """

    name: str
    unit: str
    meaning: str
    default: float | str | None
    section: str | None = None
    names: tuple[str, ...] = ()
    integer: bool = False
    low: float = 0.0
    high: float = float("inf")
    open_low: bool = True
    elsewhere: str = ""

    @property
    def is_choice(self) -> bool:
        """Whether values are names rather than numbers."""
        return self.section is not None or bool(self.names)


@dataclass(frozen=True)
class Metric:
    """Something that the models compute.

    Attributes:
        name: the bare name.
        unit: its unit, "" for a ratio.
        meaning: one line for people.
        better: the direction that an architect wants, None where it depends.
        scope: "design" for one number per design, "workload" for one per design and workload, "draws" for one per
            design that needs Monte Carlo samples of the parameters, "model" for one that a user's own model returns.
    """

    name: str
    unit: str
    meaning: str
    better: Literal["min", "max"] | None
    scope: Literal["design", "workload", "draws", "model"]


def _index(*entries: Parameter | Metric) -> Mapping[str, object]:
    return MappingProxyType({entry.name: entry for entry in entries})


PARAMETERS: Mapping[str, Parameter] = _index(  # type: ignore[assignment]
    Parameter("node", "", "logic process node of the die", "tsmc_5", section="nodes"),
    Parameter("memory", "", "memory technology and speed grade", "lpddr5x_9600", section="memory_grades"),
    Parameter("memory_devices", "", "memory packages (LPDDR, GDDR) or stacks (HBM)", 16, integer=True),
    Parameter("memory_device_bits", "bit", "data width of one package or stack", None, integer=True),
    Parameter("memory_device_gib", "GiB", "capacity of one package or stack", 8.0),
    Parameter(
        "second_memory",
        "",
        "memory behind the first, for what that has no room for or reads seldom; none where not given",
        None,
        section="memory_grades",
    ),
    Parameter("second_memory_devices", "", "its packages, modules or stacks", 8, integer=True),
    Parameter(
        "second_memory_device_bits",
        "bit",
        "data width of one of them; its technology's first where not given",
        None,
        integer=True,
        elsewhere="nothing: a narrow one is right where little is read from it",
    ),
    Parameter("second_memory_device_gib", "GiB", "capacity of one of them", 64.0),
    Parameter("macs", "", "multiply-accumulate units of the array", 131072, integer=True),
    Parameter("mac_format", "", "operand pair that one MAC unit multiplies in one cycle", "int4xfp16", "mac_formats"),
    Parameter(
        "array_rows",
        "",
        "inputs of one systolic array, along which products are summed; arrays are as software's tiles where neither "
        "these nor columns are given",
        None,
        integer=True,
        high=4096.0,
    ),
    Parameter(
        "array_columns",
        "",
        "outputs of one systolic array; of the usual side, as rows are, where only the other is given",
        None,
        integer=True,
        high=4096.0,
    ),
    Parameter(
        "dataflow",
        "",
        "what stays in a systolic array whose rows or columns are given: weights, or outputs",
        "weights",
        names=("weights", "outputs"),
    ),
    Parameter("clock_ghz", "GHz", "clock of the MAC array", 1.0, high=10.0),
    Parameter(
        "sustained_clock_ghz",
        "GHz",
        "clock with everything busy, at which the design limit tdp_w stands (base clock); clock_ghz where not given",
        None,
        high=10.0,
    ),
    Parameter("supply_v", "V", "supply of the logic; the least that reaches the clock where not given", None, high=2.0),
    Parameter(
        "supply_rails",
        "",
        "1 where logic and SRAM share a supply, 2 where each has its own",
        1.0,
        integer=True,
        high=2.0,
    ),
    Parameter(
        "vector_lanes",
        "",
        "lanes (FP32 and FP64 units) of the vector units; by MACs and class where not given",
        None,
        integer=True,
    ),
    Parameter("sram_mib", "MiB", "on-chip SRAM", 64.0),
    Parameter(
        "dies",
        "",
        "equal logic dies of a package, to which arrays, SRAM, memory and links, and all operators, are dealt",
        1.0,
        integer=True,
        high=8.0,
    ),
    Parameter(
        "die_link",
        "",
        "what lies between the dies of a package: its substrate, bridges of silicon, or silicon under all of them",
        "organic",
        names=("organic", "bridge", "interposer"),
    ),
    Parameter("die_link_gbps", "GB/s", "bandwidth between a die and the others of its package, one way", 500.0),
    Parameter(
        "cores",
        "",
        "equal cores that arrays and SRAM of a die are divided into, for harvesting",
        16.0,
        integer=True,
    ),
    Parameter(
        "spare_cores",
        "",
        "cores built beyond those, so that dies with as many bad ones can be sold",
        0.0,
        integer=True,
        open_low=False,
    ),
    Parameter(
        "architecture",
        "",
        "class of machine around the MAC array; sets the area around the blocks",
        "npu",
        names=("programmable", "npu", "static"),
    ),
    Parameter("cooling", "", "what carries the heat away", "air", names=("air", "liquid")),
    Parameter(
        "host_lanes",
        "",
        "lanes of the host interface (PCIe), 0 for none",
        16.0,
        integer=True,
        high=32.0,
        open_low=False,
        elsewhere="time to load weights, once per start: a lane of PCIe 5.0 carries 3.94 GB/s (32 GT/s, 128b/130b), so "
        "40 GB take 0.6 s over 16 lanes, 2.5 s over 4 and for ever over none",
    ),
    Parameter("link_gbps", "GB/s", "chip-to-chip bandwidth, one way, all links of a chip", 0.0, open_low=False),
    Parameter("weight_format", "", "how weights are stored", "int4_g128", section="weight_formats"),
    Parameter(
        "expert_format",
        "",
        "how routed experts are stored; as their maker publishes them where that is narrower, if not given",
        None,
        section="weight_formats",
    ),
    Parameter(
        "weight_method",
        "",
        "how weights were quantised; the format's own where not given",
        None,
        names=("none", "rtn", "gptq", "awq", "omniquant", "qat", "vector", "kquant", "kquant_imatrix"),
        elsewhere="calibration, once per model: 1 to 16 hours of an A100 for 7 to 70 billion weights by OmniQuant "
        "(arXiv 2308.13137), minutes to hours by GPTQ (arXiv 2210.17323), training by QAT",
    ),
    Parameter(
        "weight_bits", "bit", "bits of a stored weight; the format's own where not given", None, integer=True, high=16.0
    ),
    Parameter(
        "weight_group",
        "",
        "weights that share a scale, 0 for a whole output channel; the format's own where not given",
        None,
        integer=True,
        open_low=False,
    ),
    Parameter("sparsity", "", "share of weights pruned; the format's own where not given", None, high=0.99),
    Parameter("nm_n", "", "weights kept in every nm_m; the format's own where not given", None, integer=True),
    Parameter("nm_m", "", "weights that nm_n are kept of; the format's own where not given", None, integer=True),
    Parameter(
        "n_in", "bit", "bits that a step of the XOR code stores; the format's own where not given", None, integer=True
    ),
    Parameter(
        "n_out",
        "bit",
        "bits that a step of the XOR code yields; the most that its inputs pay for where not given",
        None,
        integer=True,
    ),
    Parameter(
        "shift_registers",
        "",
        "earlier steps that the XOR code remembers; the format's own where not given",
        None,
        integer=True,
        open_low=False,
    ),
    Parameter(
        "mask_correlation",
        "",
        "correlation rho of pruning within a block; the format's own where not given",
        None,
        high=0.99,
        open_low=False,
    ),
    Parameter(
        "weight_execution",
        "",
        "how the array works through stored weights; the format's own way where not given",
        None,
        names=("dense", "direct", "gated", "skip", "bit_plane", "look_up", "dequantize"),
    ),
    Parameter("lanes", "", "lanes in lockstep where zeros are skipped", 64.0, integer=True),
    Parameter("lane_block", "", "weights of a lane between two synchronisations", 128.0, integer=True, high=65536.0),
    Parameter("lane_depth", "", "blocks that a lane may run ahead of the slowest", 1.0, integer=True, high=64.0),
    Parameter("kv_bits", "bit", "stored bits of one KV-cache element", 8.0, high=32.0),
    Parameter("act_bits", "bit", "bits of an activation in the linear layers and between them", 16.0, high=32.0),
    Parameter(
        "act_method",
        "",
        "how activations of fewer than 16 bits are quantised; floating beside floating-point weights, else scaled, "
        "where not given",
        None,
        names=("scaled", "rotated", "floating"),
        elsewhere="a unit that takes floating-point activations: 1.5 to 2.8 times the area and energy of an integer "
        "one (execution.float_over_integer), which mac_format has paid for where it names one",
    ),
    Parameter("serving_stack", "", "serving software: how close kernels come to peak", "static_compiled", "stacks"),
)
"""Parameters of a design, in the order in which tables show them."""

WORKLOAD_FIELDS: Mapping[str, Parameter] = _index(  # type: ignore[assignment]
    Parameter("model", "", "architecture of the model", None, section="models"),
    Parameter("batch", "", "sequences served together; `largest`: the most that the memory holds", 1, integer=True),
    Parameter("prompt_tokens", "", "prompt length", 1024, integer=True),
    Parameter("output_tokens", "", "generated tokens per sequence", 1024, integer=True),
    Parameter("n_chips", "", "chips that serve the workload together", 1, integer=True),
    Parameter(
        "parallelism",
        "",
        "how several chips share the model: all in one way, or numbers of chips such as tp4_pp2, dp8, layer_split4",
        "tensor",
        names=("tensor", "pipeline", "layer_split"),
    ),
    Parameter(
        "batching",
        "",
        "how requests share the chips: a batch at once, in waves of what an engine's memory takes, or in flight: "
        "a steady number whose prompts join the decode steps of the others; continuous: as requests arrive, waiting "
        "for memory and for prompts before them",
        "static",
        names=("static", "waves", "in_flight", "continuous"),
    ),
    Parameter(
        "arrivals_per_s",
        "1/s",
        "requests that come per second; where neither they nor concurrency are given, as many as keep the limits",
        None,
    ),
    Parameter(
        "arrival_cv",
        "",
        "coefficient of variation of gaps between arrivals; 1 where not given",
        None,
        high=10.0,
    ),
    Parameter("concurrency", "", "requests that are there at all times, each followed by the next at once", None),
    Parameter(
        "prompt_p95_tokens",
        "",
        "95th percentile of the prompt length, lognormal about prompt_tokens; all alike where not given",
        None,
    ),
    Parameter(
        "output_p95_tokens",
        "",
        "95th percentile of the output length, lognormal about output_tokens; all alike where not given",
        None,
    ),
    Parameter(
        "prefix_cached",
        "",
        "what of every prompt is a prefix of all requests whose keys and values are cached: a share up to 1, tokens "
        "above 1; one token is left to compute",
        None,
        open_low=False,
    ),
    Parameter(
        "draft_tokens",
        "",
        "tokens that are drafted per decode step and verified together; a field of speculation",
        None,
        integer=True,
        high=64.0,
        open_low=False,
    ),
    Parameter(
        "acceptance",
        "",
        "chance that a drafted token is accepted, whatever came before it; a field of speculation",
        None,
        high=1.0,
        open_low=False,
    ),
    Parameter(
        "chunk_rows",
        "",
        "most tokens that a prefill takes together; as the stack does it where not given",
        None,
        integer=True,
    ),
    Parameter(
        "expert_spread",
        "",
        "exponent by which tokens choose experts like independent ones; serving.expert_spread where not given",
        None,
        high=1.0,
        open_low=False,
    ),
)
"""Fields of a workload in a sweep; numeric ones may be swept as ``workload.field``."""

METRICS: Mapping[str, Metric] = _index(  # type: ignore[assignment]
    Metric("die_mm2", "mm²", "area of the logic dies", "min", "design"),
    Metric("tdp_w", "W", "board power with everything busy at the sustained clock: the design limit", "min", "design"),
    Metric("cost_usd", "USD", "production cost of one board, without NRE", "min", "design"),
    Metric(
        "price_usd",
        "USD",
        "(cost + NRE share / units) / (1 - margin); a library chip's published price",
        "min",
        "design",
    ),
    Metric(
        "nre_usd",
        "USD",
        "masks and the project's share of design cost per unit sold; part of price_usd",
        "min",
        "design",
    ),
    Metric("margin_usd", "USD", "gross margin in price_usd: price less cost less NRE", None, "design"),
    Metric("price_krw", "KRW", "price_usd at the exchange rate economics.krw_per_usd", "min", "design"),
    Metric(
        "embodied_kg",
        "kg",
        "CO2e of making die and memory of one board; package and circuit board are left out",
        "min",
        "design",
    ),
    Metric("bandwidth_gbps", "GB/s", "peak memory bandwidth of one chip", "max", "design"),
    Metric("capacity_gib", "GiB", "memory of one chip", "max", "design"),
    Metric(
        "peak_tflops",
        "TFLOP/s",
        "peak arithmetic rate of the linear layers in the chosen number format",
        "max",
        "design",
    ),
    Metric("stored_bits", "bit", "stored bits per body weight, metadata included", "min", "design"),
    Metric("edge_fraction", "", "die edge used by memory and link interfaces over the edge there is", "min", "design"),
    Metric(
        "tpot_ms",
        "ms",
        "time of one decode step of the whole batch, mean over the output positions (TPOT); mean over requests where "
        "they are batched continuously",
        "min",
        "workload",
    ),
    Metric(
        "ttft_ms",
        "ms",
        "time to first token: prefill of the whole batch; its mean over requests, waiting included, where they are "
        "batched continuously",
        "min",
        "workload",
    ),
    Metric(
        "request_s",
        "s",
        "whole request: prefill, which yields the first token, and every decode step",
        "min",
        "workload",
    ),
    Metric("tokens_per_s", "token/s", "output tokens per second of the batch, decode only", "max", "workload"),
    Metric(
        "tokens_per_s_end_to_end",
        "token/s",
        "output tokens per second of the batch, prefill included",
        "max",
        "workload",
    ),
    Metric(
        "roofline_tpot_ms", "ms", "decode step at full bandwidth and arithmetic rate, nothing else", None, "workload"
    ),
    Metric("overhead_fraction", "", "share of the decode step above that bound", "min", "workload"),
    Metric("memory_fraction", "", "share of the decode step spent in operators that memory bounds", None, "workload"),
    Metric("decode_w", "W", "board power of all chips during decode", "min", "workload"),
    Metric("prefill_w", "W", "board power of all chips during prefill", "min", "workload"),
    Metric("decode_j_per_token", "J", "board energy per output token in decode", "min", "workload"),
    Metric("prefill_j_per_token", "J", "board energy per prompt token in prefill", "min", "workload"),
    Metric("request_j_per_token", "J", "board energy per output token, prefill included", "min", "workload"),
    Metric("tokens_per_joule", "token/J", "output tokens per joule of board energy in decode", "max", "workload"),
    Metric("tokens_per_joule_tdp", "token/J", "decode tokens per second over the TDP of all chips", "max", "workload"),
    Metric(
        "chips_needed",
        "",
        "least chips whose memory holds weights, KV cache at full length and activations",
        "min",
        "workload",
    ),
    Metric(
        "memory_gib", "GiB", "weights, KV cache at full length and activations, all chips together", "min", "workload"
    ),
    Metric("perplexity_ratio", "", "perplexity over that of the uncompressed model", "min", "workload"),
    Metric("perplexity_ratio_high", "", "upper end of its 90 % interval", "min", "workload"),
    Metric(
        "perplexity_unusable",
        "",
        "1 where the compressed model is expected to have collapsed (twice the perplexity or more), else 0",
        "min",
        "workload",
    ),
    Metric(
        "perplexity_extrapolated",
        "",
        "1 where the quality fit has no data nearby (model, size, bits or method), else 0",
        "min",
        "workload",
    ),
    Metric(
        "usd_per_million_tokens",
        "USD",
        "cost of ownership per million output tokens, prefill included",
        "min",
        "workload",
    ),
    Metric(
        "co2e_g_per_million_tokens",
        "g",
        "CO2e per million output tokens: electricity, and the making of the boards over their life",
        "min",
        "workload",
    ),
    Metric(
        "tokens_per_s_per_usd",
        "token/s/USD",
        "end-to-end output tokens per second over the price of the chips",
        "max",
        "workload",
    ),
    Metric("requests_per_s", "1/s", "requests finished per second, prefill and every decode step", "max", "workload"),
    Metric(
        "max_batch",
        "",
        "largest batch that fits and keeps the workload's limits on time to first token and time per token",
        "max",
        "workload",
    ),
    Metric(
        "tokens_per_s_at_max_batch",
        "token/s",
        "output tokens per second at max_batch, prefill included",
        "max",
        "workload",
    ),
    Metric(
        "chips_for_load",
        "",
        "chips that deliver the workload's load_tokens_per_s, each group of them at max_batch",
        "min",
        "workload",
    ),
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
    Metric(
        "concurrency", "", "mean number of requests being served or waiting (batching: continuous)", None, "workload"
    ),
    Metric(
        "utilisation",
        "",
        "requests per second over the most that the chips can finish (batching: continuous)",
        None,
        "workload",
    ),
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
    Metric(
        "usd_per_million_cached_tokens",
        "USD",
        "cost of ownership per million tokens of cached prefixes: of the time in which prompts meet them (batching: "
        "continuous)",
        "min",
        "workload",
    ),
    Metric(
        "goodput_requests_per_s",
        "1/s",
        "most requests per second at which the limits on both times hold (batching: continuous)",
        "max",
        "workload",
    ),
    Metric(
        "goodput_tokens_per_s",
        "token/s",
        "output tokens per second at that rate (batching: continuous)",
        "max",
        "workload",
    ),
    Metric(
        "prefill_chips",
        "",
        "chips that prefill beside the chips that decode, in part, so that the limit on time to first token is kept",
        "min",
        "workload",
    ),
    Metric("prefill_utilisation", "", "share of the time in which chips that prefill are at work", None, "workload"),
    Metric(
        "transfer_ms",
        "ms",
        "time that keys and values of a prompt take from the chips that prefill to those that decode",
        "min",
        "workload",
    ),
    Metric(
        "deployment_usd", "USD", "price of the chips that decode, those that prefill and their ports", "min", "workload"
    ),
    Metric("deployment_tdp_w", "W", "design limit of all of them", "min", "workload"),
    Metric(
        "p_feasible",
        "",
        "share of Monte Carlo samples of the ranged parameters in which every limit and constraint is met",
        "max",
        "draws",
    ),
)
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


PREFILL_PREFIX = "prefill."
"""What stands before a parameter of the design that prefills where it is another than the one that decodes."""


def parameter_of(column: str) -> Parameter | None:
    """Return the parameter that a column of designs holds; None for one of technology."""
    bare = column.rpartition(".")[2]
    if column.startswith(PREFILL_PREFIX):
        return PARAMETERS.get(bare)
    return PARAMETERS.get(column) or WORKLOAD_FIELDS.get(bare)


def metric_of(name: str, metrics: Mapping[str, Metric]) -> Metric:
    """Return the metric that a column name (bare or ``workload.metric``) stands for.

    Args:
        name: the column.
        metrics: by bare name.

    Raises:
        KeyError: no such metric.
    """
    return metrics[name.rpartition(".")[2]]


def metric_names(workloads: tuple[str, ...], metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    """Return every name that a sweep with these workloads may use for metrics (by bare name)."""
    design = [name for name, metric in metrics.items() if metric.scope == "design"]
    return (
        *design,
        *(f"{workload}.{name}" for workload in workloads for name, m in metrics.items() if m.scope == "workload"),
    )


@dataclass(frozen=True)
class Description:
    """What a column of a table holds.

    Attributes:
        unit: unit of its numbers, "" where they have none or it holds names.
        meaning: one line for people, "" where nothing is known of it.
        better: the direction that an architect wants, None where it depends.
        per_chip: whether it is a metric of one chip, whatever is served.
    """

    unit: str = ""
    meaning: str = ""
    better: Literal["min", "max"] | None = None
    per_chip: bool = False


def describe(column: str, metrics: Mapping[str, Metric]) -> Description:
    """Return what a column holds: a parameter, or a metric or field of a workload, bare or as ``workload.name``.

    Args:
        column: its name.
        metrics: those of the sweep, by bare name.
    """
    if column.startswith(TECHNOLOGY_PREFIX):
        return Description()
    bare = column.rpartition(".")[2]
    entry = PARAMETERS.get(column) or metrics.get(bare) or WORKLOAD_FIELDS.get(bare) or PARAMETERS.get(bare)
    if isinstance(entry, Metric):
        return Description(entry.unit, entry.meaning, entry.better, entry.scope == "design")
    return Description() if entry is None else Description(entry.unit, entry.meaning)
