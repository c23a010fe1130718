"""What was probably meant: close matches, and the spellings of other tools.

Optuna, W&B, Ray, Ax, OpenMDAO, HyperMapper and pymoo spell the same things differently; a sweep file has
one spelling each, and another tool's spelling is answered with this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cost_models.errors import near_names


def _aliases(words: Mapping[str, str]) -> Mapping[str, str]:
    """Return what is meant by each word, of what is meant to the words for it."""
    return {word: meant for meant, several in words.items() for word in several.split()}


KEY_ALIASES = _aliases({
    "values": "choices options_list categories",
    "low and high": "range bounds",
    "low": "min lower minimum start",
    "high": "max upper maximum stop",
    "step": "q step_size",
    "log: true": "scale scaling distribution log_scale",
    "levels": "num n_levels points",
    "type": "parameter_type dtype",
    "when": "if condition",
    "the bare value": "value",
    "a bare value to fix the parameter": "parameter_default",
})  # fmt: skip
"""Keys of a parameter of the space."""

TOP_LEVEL_ALIASES = _aliases({
    "space": "parameters input_parameters search_space params design_space",
    "workloads": "scenario scenarios workload models",
    "objectives": "objective optimization_objectives metrics",
    "constraints": "targets limits",
    "baselines": "baseline reference",
    "search": "sampler algorithm optimizer",
    "extends": "include base inherit",
    "name": "study_name",
    "technology": "tech",
    "economics": "economy",
    "results": "output",
})  # fmt: skip
"""Keys at the top of a sweep."""

OBJECTIVE_ALIASES = _aliases({
    "direction": "goal mode",
    "metric": "objective name",
    "metric with direction: minimize": "minimize",
    "metric with direction: maximize": "maximize",
})  # fmt: skip

CONSTRAINT_ALIASES = _aliases({
    "metric": "name",
    "max": "upper high bound le",
    "min": "lower low ge",
    "near and within": "equals equal",
    "within": "tolerance",
    "relative_to": "baseline relative",
})  # fmt: skip

SEARCH_ALIASES = _aliases({
    "sampler": "method algo algorithm optimization_method",
    "n_designs": "n_trials num_samples n_samples budget run_cap optimization_iterations n_gen",
    "options: {population: ...}": "population_size population pop_size",
    "batch_size": "chunk_size",
})  # fmt: skip

WORKLOAD_ALIASES = _aliases({
    "batch": "batch_size bs",
    "prompt_tokens": "input_tokens context_tokens seq_len isl input_len prompt_len",
    "output_tokens": "osl generated_tokens output_len max_tokens max_new_tokens",
    "n_chips": "tensor_parallel tp chips",
    "parallelism: dp8": "replicas dp",
    "parallelism: tp4_pp2": "pp",
    "parallelism": "layout",
    "batching: continuous": "continuous_batching",
    "arrivals_per_s": "arrivals arrival_rate request_rate qps rps",
    "arrival_cv": "burstiness",
    "concurrency": "users max_concurrency",
    "limit_percentile": "slo_percentile",
    "required: false": "optional",
    "prefix_cached": "prefix_caching",
    "sessions": "conversation multi_turn",
    "sessions: {turns: N}": "rounds",
    "sessions: {tier: ddr5, tier_gib: GIB}": "kv_offload host_memory_gib cpu_offload swap_space",
    "speculation": "speculative speculative_decoding",
    "speculation: {draft: MODEL}": "draft_model",
})  # fmt: skip

BASELINE_ALIASES = _aliases({
    "chips": "chip device gpu",
    "chips: 2x NAME": "n_chips",
    "weight_format": "format weights",
    "weight_execution": "execution",
    "parallelism": "layout",
    "stored_bits": "file_bits",
    "expert_format": "experts",
})  # fmt: skip

SAMPLER_ALIASES = _aliases({
    "evolve (in arrays) or nsgaii (Optuna's)": "nsga2 nsga-ii",
    "evolve with options: {algorithm: nsga3}, or nsgaiii (Optuna's)": "nsga3",
    "evolve": "ga genetic evolution evolutionary pymoo",
    "tpe or gp": "bayes bayesian bo",
    "tpe": "hyperopt optuna",
    "sobol": "lhs latin_hypercube halton quasi_random",
    "random": "uniform",
    "grid": "exhaustive full_factorial brute",
    "cmaes": "cma-es",
})  # fmt: skip

DIRECTION_ALIASES = _aliases({
    "minimize": "min minimise minimum lower down less smaller",
    "maximize": "max maximise maximum higher up more larger",
})  # fmt: skip

NAME_ALIASES = _aliases({
    "tensor": "tp tensor_parallel",
    "pipeline": "pp pipeline_parallel",
    "layer_split": "layer",
    "a100_80gb_sxm": "a100",
    "h100_sxm": "h100",
    "h200_sxm": "h200",
    "nvfp4": "fp4",
    "int4_g128": "int4",
    "int3_g128": "int3",
    "bf16": "dense",
})  # fmt: skip
"""Names of entries, as they are said."""

METRIC_ALIASES = _aliases({
    "tpot_ms, ttft_ms or request_s": "latency",
    "tpot_ms": "latency_ms token_latency_ms tpot_ms tpot itl_ms",
    "ttft_ms": "ttft",
    "request_s": "latency_s",
    "tokens_per_s, tokens_per_s_end_to_end or requests_per_s": "throughput",
    "tokens_per_s": "tokens_per_second tps",
    "requests_per_s": "qps",
    "embodied_kg or co2e_g_per_million_tokens": "carbon carbon_kg co2 co2e",
    "request_j_per_token or decode_j_per_token": "energy",
    "tokens_per_joule": "efficiency",
    "usd_per_million_tokens": "tco cost_per_token",
    "perplexity_ratio": "accuracy quality perplexity ppl_ratio",
    "die_mm2": "area area_mm2 die_area_mm2",
    "peak_tflops": "flops",
    "decode_w": "power_w",
    "decode_j_per_token": "energy_per_token_j j_per_token",
    "tdp_w": "chip_power_w tdp",
    "tdp_w, decode_w or prefill_w": "power",
    "cost_usd": "cost",
    "price_usd": "price",
    "bandwidth_gbps": "bandwidth",
    "capacity_gib": "capacity",
})  # fmt: skip


def quoted(value: object) -> str:
    """Return a value as a message shows it: short, text in quotes, structures by their kind."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def one_of(names: Iterable[str]) -> str:
    """Return names as a choice in words: ``a, b or c``; ``none`` where there is no choice."""
    *front, last = [*names] or ["none"]
    return f"{', '.join(front)} or {last}" if front else last


def suggest(word: str, known: Iterable[str], foreign: Mapping[str, str] | None = None) -> str:
    """Return what `word` was probably meant to be among `known`, or ""."""
    key = _folded(word)
    by_key = {_folded(name): name for name in known}
    if key in by_key:
        return by_key[key]
    if foreign and (meant := {_folded(k): v for k, v in foreign.items()}.get(key)):
        return meant
    begun = near_names(key, by_key, 1)
    if not begun and len(key) >= 3:
        begun = sorted((name for name in by_key if name.startswith(key)), key=lambda name: (len(name), name))
    if not begun and "/" in word:
        begun = _of_hub(word, by_key)
    close = begun[:3] or near_names(key, by_key)
    if not close and len(key) >= 4:
        close = [name for name in by_key if key in name or (len(name) >= 4 and name in key)][:3]
    return one_of([by_key[name] for name in close]) if close else ""


def suggest_metric(word: str, known: Iterable[str]) -> str:
    """Return the metric names that `word` was probably meant to be; a bare name matches every workload's."""
    known = tuple(known)
    prefix, _, bare = word.rpartition(".")
    bare_names = tuple(dict.fromkeys(name.rpartition(".")[2] for name in known))
    meant = suggest(bare, bare_names, METRIC_ALIASES)
    prefixes = tuple(dict.fromkeys(name.rpartition(".")[0] for name in known if "." in name))
    workload = prefix if prefix in prefixes else suggest(prefix, prefixes) if prefix else ""
    meant_names = meant.replace(" or ", ", ").split(", ")
    full = [name for meaning in meant_names for name in known if name.rpartition(".")[2] == meaning]
    if workload:
        full = [name for name in full if name.startswith(f"{workload}.")] or full
    return one_of(full[:3]) if full else suggest(word, known)


_DRESSING = re.compile(r"[-_](instruct|chat|base|hf|it|fp8|awq|gptq|gguf|[0-9]{4}|v[0-9.]+)(?=[-_]|$)")
"""What the name of a model on a hub carries beside its family and size."""


def _of_hub(word: str, by_key: Iterable[str]) -> list[str]:
    """Return the names of models that a name on a hub, ``owner/Name-8B-Instruct``, is nearest to."""
    bare = word.casefold().rpartition("/")[2]
    while (less := _DRESSING.sub("", bare)) != bare:
        bare = less
    plain = {re.sub(r"[^a-z0-9]", "", name): name for name in by_key}
    key = re.sub(r"[^a-z0-9]", "", bare.removeprefix("meta_").removeprefix("meta-"))
    return [plain[name] for name in near_names(key, plain, 2)]


def _folded(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")
