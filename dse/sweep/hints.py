"""What was probably meant: close matches, and the spellings of other tools.

Optuna, W&B, Ray, Ax, OpenMDAO, HyperMapper and pymoo spell the same things differently; a sweep file has
one spelling each, and another tool's spelling is answered with this one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

KEY_ALIASES: Mapping[str, str] = {
    "choices": "values",
    "options_list": "values",
    "categories": "values",
    "range": "low and high",
    "bounds": "low and high",
    "min": "low",
    "max": "high",
    "lower": "low",
    "upper": "high",
    "minimum": "low",
    "maximum": "high",
    "start": "low",
    "stop": "high",
    "q": "step",
    "step_size": "step",
    "scale": "log: true",
    "scaling": "log: true",
    "distribution": "log: true",
    "log_scale": "log: true",
    "num": "levels",
    "n_levels": "levels",
    "points": "levels",
    "parameter_type": "type",
    "dtype": "type",
    "if": "when",
    "condition": "when",
    "value": "the bare value",
    "parameter_default": "a bare value to fix the parameter",
}
"""Keys of a parameter of the space."""

TOP_LEVEL_ALIASES: Mapping[str, str] = {
    "parameters": "space",
    "input_parameters": "space",
    "search_space": "space",
    "params": "space",
    "design_space": "space",
    "scenario": "workloads",
    "scenarios": "workloads",
    "workload": "workloads",
    "models": "workloads",
    "objective": "objectives",
    "optimization_objectives": "objectives",
    "metrics": "objectives",
    "targets": "constraints",
    "limits": "constraints",
    "baseline": "baselines",
    "reference": "baselines",
    "sampler": "search",
    "algorithm": "search",
    "optimizer": "search",
    "include": "extends",
    "base": "extends",
    "inherit": "extends",
    "study_name": "name",
    "tech": "technology",
    "economy": "economics",
    "output": "results",
}
"""Keys at the top of a sweep."""

OBJECTIVE_ALIASES: Mapping[str, str] = {
    "goal": "direction",
    "mode": "direction",
    "objective": "metric",
    "name": "metric",
    "minimize": "metric with direction: minimize",
    "maximize": "metric with direction: maximize",
}

CONSTRAINT_ALIASES: Mapping[str, str] = {
    "name": "metric",
    "upper": "max",
    "high": "max",
    "bound": "max",
    "le": "max",
    "lower": "min",
    "low": "min",
    "ge": "min",
    "equals": "near and within",
    "equal": "near and within",
    "tolerance": "within",
    "baseline": "relative_to",
    "relative": "relative_to",
}

SEARCH_ALIASES: Mapping[str, str] = {
    "method": "sampler",
    "algo": "sampler",
    "algorithm": "sampler",
    "optimization_method": "sampler",
    "n_trials": "n_designs",
    "num_samples": "n_designs",
    "n_samples": "n_designs",
    "budget": "n_designs",
    "run_cap": "n_designs",
    "optimization_iterations": "n_designs",
    "n_gen": "n_designs",
    "population_size": "options: {population: ...}",
    "population": "options: {population: ...}",
    "pop_size": "options: {population: ...}",
    "chunk_size": "batch_size",
}

WORKLOAD_ALIASES: Mapping[str, str] = {
    "batch_size": "batch",
    "input_tokens": "prompt_tokens",
    "context_tokens": "prompt_tokens",
    "seq_len": "prompt_tokens",
    "isl": "prompt_tokens",
    "osl": "output_tokens",
    "generated_tokens": "output_tokens",
    "tensor_parallel": "n_chips",
    "tp": "n_chips",
    "chips": "n_chips",
    "replicas": "parallelism: dp8",
    "dp": "parallelism: dp8",
    "pp": "parallelism: tp4_pp2",
    "layout": "parallelism",
    "continuous_batching": "batching: continuous",
    "arrivals": "arrivals_per_s",
    "arrival_rate": "arrivals_per_s",
    "request_rate": "arrivals_per_s",
    "qps": "arrivals_per_s",
    "rps": "arrivals_per_s",
    "burstiness": "arrival_cv",
    "users": "concurrency",
    "max_concurrency": "concurrency",
    "slo_percentile": "limit_percentile",
    "optional": "required: false",
    "prefix_caching": "prefix_cached",
    "speculative": "speculation",
    "speculative_decoding": "speculation",
    "draft_model": "speculation: {draft: MODEL}",
}

BASELINE_ALIASES: Mapping[str, str] = {
    "chip": "chips",
    "device": "chips",
    "gpu": "chips",
    "n_chips": "chips: 2x NAME",
    "format": "weight_format",
    "weights": "weight_format",
    "execution": "weight_execution",
    "layout": "parallelism",
    "file_bits": "stored_bits",
    "experts": "expert_format",
}

SAMPLER_ALIASES: Mapping[str, str] = {
    "nsga2": "evolve (in arrays) or nsgaii (Optuna's)",
    "nsga-ii": "evolve (in arrays) or nsgaii (Optuna's)",
    "nsga3": "evolve with options: {algorithm: nsga3}, or nsgaiii (Optuna's)",
    "ga": "evolve",
    "genetic": "evolve",
    "evolution": "evolve",
    "evolutionary": "evolve",
    "bayes": "tpe or gp",
    "bayesian": "tpe or gp",
    "bo": "tpe or gp",
    "hyperopt": "tpe",
    "lhs": "sobol",
    "latin_hypercube": "sobol",
    "halton": "sobol",
    "quasi_random": "sobol",
    "uniform": "random",
    "exhaustive": "grid",
    "full_factorial": "grid",
    "brute": "grid",
    "cma-es": "cmaes",
    "optuna": "tpe",
    "pymoo": "evolve",
}

DIRECTION_ALIASES: Mapping[str, str] = {
    **dict.fromkeys(("min", "minimise", "minimum", "lower", "down", "less", "smaller"), "minimize"),
    **dict.fromkeys(("max", "maximise", "maximum", "higher", "up", "more", "larger"), "maximize"),
}

NAME_ALIASES: Mapping[str, str] = {
    "tp": "tensor",
    "tensor_parallel": "tensor",
    "pp": "pipeline",
    "pipeline_parallel": "pipeline",
    "layer": "layer_split",
    "a100": "a100_80gb_sxm",
    "h100": "h100_sxm",
    "h200": "h200_sxm",
    "fp4": "nvfp4",
    "int4": "int4_g128",
    "int3": "int3_g128",
    "dense": "bf16",
}
"""Names of entries, as they are said."""

METRIC_ALIASES: Mapping[str, str] = {
    "latency": "tpot_ms, ttft_ms or request_s",
    "latency_ms": "tpot_ms",
    "token_latency_ms": "tpot_ms",
    "tpot_ms": "tpot_ms",
    "tpot": "tpot_ms",
    "itl_ms": "tpot_ms",
    "ttft": "ttft_ms",
    "latency_s": "request_s",
    "throughput": "tokens_per_s, tokens_per_s_end_to_end or requests_per_s",
    "tokens_per_second": "tokens_per_s",
    "qps": "requests_per_s",
    "carbon": "embodied_kg or co2e_g_per_million_tokens",
    "carbon_kg": "embodied_kg or co2e_g_per_million_tokens",
    "co2": "embodied_kg or co2e_g_per_million_tokens",
    "co2e": "embodied_kg or co2e_g_per_million_tokens",
    "energy": "request_j_per_token or decode_j_per_token",
    "efficiency": "tokens_per_joule",
    "tco": "usd_per_million_tokens",
    "cost_per_token": "usd_per_million_tokens",
    "accuracy": "perplexity_ratio",
    "quality": "perplexity_ratio",
    "area": "die_mm2",
    "flops": "peak_tflops",
    "tps": "tokens_per_s",
    "power_w": "decode_w",
    "energy_per_token_j": "decode_j_per_token",
    "j_per_token": "decode_j_per_token",
    "perplexity": "perplexity_ratio",
    "ppl_ratio": "perplexity_ratio",
    "area_mm2": "die_mm2",
    "die_area_mm2": "die_mm2",
    "chip_power_w": "tdp_w",
    "power": "tdp_w, decode_w or prefill_w",
    "tdp": "tdp_w",
    "cost": "cost_usd",
    "price": "price_usd",
    "bandwidth": "bandwidth_gbps",
    "capacity": "capacity_gib",
}


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
    """Return names as a choice in words: ``a, b or c``."""
    *front, last = names
    return f"{', '.join(front)} or {last}" if front else last


def suggest(word: str, known: Iterable[str], foreign: Mapping[str, str] | None = None) -> str:
    """Return what `word` was probably meant to be among `known`, or ""."""
    key = _folded(word)
    by_key = {_folded(name): name for name in known}
    if key in by_key:
        return by_key[key]
    if foreign and (meant := {_folded(k): v for k, v in foreign.items()}.get(key)):
        return meant
    begun = difflib.get_close_matches(key, by_key, n=1, cutoff=0.9)
    if not begun and len(key) >= 3:
        begun = sorted((name for name in by_key if name.startswith(key)), key=lambda name: (len(name), name))
    if not begun and "/" in word:
        begun = _of_hub(word, by_key)
    close = begun[:3] or difflib.get_close_matches(key, by_key, n=3, cutoff=0.7)
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
    return [plain[name] for name in difflib.get_close_matches(key, plain, n=2, cutoff=0.75)]


def _folded(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")
