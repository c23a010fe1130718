"""The small runs whose words and pictures are held: a rich one, one without an answer, one of a single design."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dse.results.store import StoredRun
from dse.runs import run
from dse.sweep import parse_spec
from tests.sweeps import DRAWN, minimized

RICH: dict[str, Any] = {
    "name": "rich",
    "workloads": {
        "chat": {"model": "llama3_8b", "batch": 16, "prompt_tokens": 512, "output_tokens": 256},
        "live": {
            "model": "llama3_8b", "prompt_tokens": 512, "output_tokens": 256, "batching": "continuous",
            "ttft_limit_ms": 2000, "tpot_limit_ms": 30, "load_tokens_per_s": 2000, "required": False,
        },
        "experts": {"model": "mixtral_8x7b", "batch": 4, "n_chips": 2, "parallelism": "pipeline", "required": False},
    },
    "space": {
        "node": {"values": ["tsmc_5", "samsung_5"]},
        "memory": {"values": ["lpddr5x_9600", "hbm3"]},
        "memory_devices": {"low": 2, "high": 10, "step": 4},
        "memory_device_gib": [
            {"values": [8], "when": {"memory": ["lpddr5x_9600"]}},
            {"values": [16], "when": {"memory": ["hbm3"]}},
        ],
        "second_memory": {"values": ["none", "lpddr5x_9600"]},
        "second_memory_devices": {"values": [4], "when": {"second_memory": ["lpddr5x_9600"]}},
        "second_memory_device_gib": {"values": [8], "when": {"second_memory": ["lpddr5x_9600"]}},
        "macs": {"low": 16384, "high": 65536, "log": True, "levels": 2},
        "weight_format": {"values": ["int4_g128", "fp8", "xor_int4_s50"]},
        "link_gbps": 64,
    },
    "economics": {"units": 150_000, "margin": 0.4, "nre_share": 0.3, "krw_per_usd": 1340},
    "objectives": [
        *minimized("chat.tpot_ms", "cost_usd"),
        {"metric": "live.goodput_tokens_per_s", "direction": "maximize"},
    ],
    "constraints": [
        {"metric": "chat.tpot_ms", "max": "15 ms"},
        {"metric": "tdp_w", "max": "150 W"},
        {"metric": "chat.perplexity_ratio", "max": 1.2},
        {"metric": "chat.tokens_per_joule", "min": 1.5, "relative_to": "a100"},
    ],
    "baselines": {
        "a100": {"chips": "1x a100_80gb_sxm", "weight_format": "bf16"},
        "tpus": {"chips": "2x tpu_v4", "weight_format": "bf16", "kv_bits": 16},
    },
    "search": {"sampler": "grid"},
}  # fmt: skip
"""Served and static workloads, experts, a second memory, prices in two currencies, targets beside a machine."""

SERVED = {**RICH, "name": "served", "workloads": {name: RICH["workloads"][name] for name in ("chat", "live")}}
"""The same without experts."""

NONE = {**DRAWN, "name": "none", "constraints": [{"metric": "tdp_w", "max": 5}, {"metric": "chat.tpot_ms", "max": 1}]}
"""Nothing that meets every target."""

ALONE = {
    **DRAWN,
    "name": "alone",
    "space": {"memory": "hbm3", "memory_devices": 4, "memory_device_gib": 16, "macs": 65536, "weight_format": "fp8"},
    "objectives": minimized("chat.tpot_ms"),
}
"""A single design."""

OTHER = {**NONE, "constraints": [*NONE["constraints"][:1], {"metric": "chat.tpot_ms", "max": 2}]}
"""The same with another target."""

GROWN = {
    **DRAWN,
    "name": "grown",
    "objectives": minimized("chat.tpot_ms", "cost_usd"),
    "search": {"sampler": "nsgaii", "n_designs": 60, "options": {"population_size": 12}},
}
"""A front that grows step by step."""

GROWN_AGAIN = {**GROWN, "search": {**GROWN["search"], "seed": 1}}
"""The same from another start."""

HOLES = {
    **ALONE,
    "name": "holes",
    "space": {
        "memory": {"values": ["lpddr5x_9600", "hbm3"]}, "memory_devices": 4, "memory_device_gib": 16,
        "macs": {"low": 16384, "high": 65536, "levels": 3}, "sram_mib": {"values": [32, 64]},
    },
}  # fmt: skip
"""Axes that are moved alone."""

NEARLY = {
    **DRAWN,
    "name": "nearly",
    "space": {**DRAWN["space"], "memory_device_gib": {"low": 8, "high": 16, "step": 8}, "macs": 16384},
    "constraints": [
        {"metric": "chat.tpot_ms", "max": 3}, {"metric": "tdp_w", "max": 200}, {"metric": "price_usd", "max": 4000},
    ],
}  # fmt: skip
"""What a little more of one thing or another would make feasible."""

USERS = {
    **ALONE,
    "name": "users",
    "workloads": {
        **DRAWN["workloads"],
        **{
            name: {"model": "llama3_8b", "prompt_tokens": 256, "output_tokens": 64, "batching": "continuous",
                   "required": False, **how}
            for name, how in {
                "steady": {"arrivals_per_s": 2, "arrival_cv": 1.5},
                "closed": {"concurrency": 6, "prefix_cached": 0.5},
                "talks": {"arrivals_per_s": 0.5, "sessions": {"turns": 4, "think_s": 20, "kept_gib": 4}},
                "drafted": {"arrivals_per_s": 1,
                            "speculation": {"draft_tokens": 3, "acceptance": 0.7, "draft": "llama32_1b"}},
                "hurried": {"ttft_limit_ms": 5, "tpot_limit_ms": 1, "load_tokens_per_s": 500},
                "sought": {"ttft_limit_ms": 500, "tpot_limit_ms": 20, "load_tokens_per_s": 5000},
                "crowd": {"arrivals_per_s": 400},
            }.items()
        },
        "nodes": {"model": "llama3_8b", "batch": 4, "prompt_tokens": 256, "output_tokens": 64, "n_chips": 4,
                  "node_chips": 2, "network_gbps": 25, "parallelism": "tp2_pp2", "required": False},
        "giant": {"model": "llama3_405b", "batch": 1, "required": False},
    },
    "space": {**ALONE["space"], "link_gbps": 100, "clock_ghz": {"low": 0.8, "high": 1.2},
              "steady.arrivals_per_s": {"low": 1, "high": 4, "log": True}},
    "constraints": [{"metric": "chat.tpot_ms", "max": 100}, {"metric": "p_feasible", "min": 0.99}],
    "baselines": {},
    "search": {"sampler": "random", "n_designs": 2},
    "robustness": {"draws": 8},
}  # fmt: skip
"""Everybody who comes when they like, on a design that is not sure enough."""

POOLS = {
    **ALONE,
    "name": "pools",
    "workloads": {"chat": {"model": "llama3_8b", "prompt_tokens": 2048, "output_tokens": 256, "batching": "continuous",
                           "ttft_limit_ms": 2000, "tpot_limit_ms": 40, "load_tokens_per_s": 20000}},
    "deployment": {"prefill": "design", "decode": "design", "network_gbps": 12.5},
    "space": {**ALONE["space"], "link_gbps": 100, "macs": {"values": [32768, 65536]}, "prefill.macs": 131072},
    "objectives": minimized("chat.usd_per_million_tokens"),
    "constraints": [],
    "baselines": {"apart": {"chips": "2x h100_sxm", "weight_format": "fp8", "kv_bits": 8, "prefill": "1x h100_sxm"}},
}  # fmt: skip
"""A design that reads prompts beside one that writes."""

CHEAP = {**HOLES, "name": "cheap", "technology": {"board.liquid_cooling_usd_per_w": 0},
         "space": {"memory": "hbm3", "memory_devices": {"values": [2, 4]}, "memory_device_gib": 16, "macs": 65536,
                   "cooling": {"values": ["air", "liquid"]}}}  # fmt: skip
"""Cooling that costs nothing."""

MACHINES = {
    "name": "machines",
    "workloads": {
        name: {"model": model, "batch": 32, "prompt_tokens": 1024, "output_tokens": 1024}
        for name, model in (("gqa", "llama2_70b"), ("mha", "llama1_65b"))
    },
    "subjects": {
        "pair": {"chips": "2x a100_80gb_sxm"},
        "rates": {"rates": {"weight_bits": {"low": 2, "high": 4.5, "levels": 6},
                            "kv_bits": {"low": 3, "high": 16, "levels": 14},
                            "tflops": {"low": 100, "high": 2000, "levels": 3}}},
        "secret": {
            "space": {
                "memory": "lpddr5x_9600", "memory_devices": {"values": [12, 16]}, "memory_device_bits": 64,
                "memory_device_gib": {"values": [8, 16]}, "macs": {"values": [131072, 196608]}, "sram_mib": 128,
                "weight_format": {"values": ["exact_2bit", "exact_3bit"]}, "kv_bits": {"values": [4, 6, 8]},
            },
            "search": {"sampler": "grid"},
        },
        "none": {"space": {"memory": "hbm3", "memory_devices": 4, "memory_device_gib": 16, "macs": {"values": [16384]}},
                 "search": {"sampler": "grid"}},
    },
    "claims": [
        {"source": "a slide", "grade": "low", **claim}
        for claim in (
            {"key": "fast", "of": "pair", "workload": "gqa", "metric": "tpot_ms", "at": "most", "value": "20 ms"},
            {"key": "gqa", "of": "rates", "workload": "gqa", "metric": "tokens_per_s", "value": 857, "within": "2 %"},
            {"key": "mha", "of": "rates", "workload": "mha", "metric": "tokens_per_s", "value": 376, "within": "2 %"},
            {"key": "one", "of": "rates", "workload": "gqa", "metric": "chips_needed", "at": "most", "value": 1},
            {"key": "watts", "of": "rates", "metric": "tdp_w", "value": 100, "within": "10 %"},
            {"key": "a", "of": "secret", "workload": "gqa", "metric": "tokens_per_s", "value": 857, "within": "10 %"},
            {"key": "b", "of": "secret", "workload": "mha", "metric": "tokens_per_s", "value": 376, "within": "10 %"},
            {"key": "c", "of": "none", "workload": "gqa", "metric": "tpot_ms", "at": "most", "value": "1 ms"},
        )
    ],
}  # fmt: skip
"""Claims about a known machine, one of which only rates are said, and two of which spaces are."""

SWEEPS = {str(sweep["name"]): sweep for sweep in (RICH, SERVED, NONE, ALONE, GROWN, HOLES, NEARLY, USERS, POOLS, CHEAP)}
SWEEPS |= {"other": OTHER, "grown_again": GROWN_AGAIN}


DESIGN = {
    "name": "mine",
    "workloads": {name: one for name, one in USERS["workloads"].items() if name != "hurried"},
    "design": {"node": "tsmc_5", "memory": "lpddr5x_9600", "memory_devices": 6, "memory_device_gib": 8, "macs": 32768,
               "link_gbps": 50, "weight_format": "int4_g128", "cooling": "liquid"},
}  # fmt: skip
"""One design with what it is to serve."""


def write(folder: Path, name: str) -> None:
    """Write a sweep as a file into a folder."""
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(SWEEPS[name], sort_keys=False), encoding="utf-8")


def make(folder: Path, *names: str) -> dict[str, StoredRun]:
    """Write the sweeps of these names as files into a folder, and their runs beside them."""
    for name in names:
        write(folder, name)
    return {name: run(parse_spec(SWEEPS[name]), out=folder / "runs" / name) for name in names}
