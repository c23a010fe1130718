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

SWEEPS = {
    "rich": RICH,
    "served": SERVED,
    "none": NONE,
    "other": OTHER,
    "alone": ALONE,
    "grown": GROWN,
    "grown_again": GROWN_AGAIN,
}


def make(folder: Path, *names: str) -> dict[str, StoredRun]:
    """Write the sweeps of these names as files into a folder, and their runs beside them."""
    made = {}
    for name in names:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(SWEEPS[name], sort_keys=False), encoding="utf-8")
        made[name] = run(parse_spec(SWEEPS[name]), out=folder / "runs" / name)
    return made
