"""Small sweeps that many tests start from, each as a mapping that is free to be changed."""

from __future__ import annotations

from typing import Any


def minimized(*metrics: str) -> list[dict[str, str]]:
    """Return objectives, all to be minimised."""
    return [{"metric": metric, "direction": "minimize"} for metric in metrics]


def small(**changes: Any) -> dict[str, Any]:
    """Return a 70 B model on a space with conditions, ranges and levels; `changes` replace its keys."""
    return {
        "name": "small",
        "workloads": {"chat": {"model": "llama2_70b", "batch": 32}},
        "space": {
            "node": {"values": ["tsmc_7", "tsmc_5", "samsung_5"]},
            "memory": {"values": ["lpddr5x_9600", "gddr6_16", "hbm3"]},
            "memory_devices": {"low": 2, "high": 24, "step": 2},
            "memory_device_bits": {"values": [32, 64], "when": {"memory": "lpddr5x_9600"}},
            "memory_device_gib": [
                {"values": [8, 16, 32], "when": {"memory": ["lpddr5x_9600"]}},
                {"values": [2], "when": {"memory": ["gddr6_16"]}},
                {"values": [16, 24], "when": {"memory": ["hbm3"]}},
            ],
            "macs": {"low": 1024, "high": 65536, "log": True, "levels": 7},
            "clock_ghz": {"low": 0.5, "high": 1.5, "levels": 5},
            "kv_bits": 8,
        },
        "objectives": minimized("chat.tpot_ms", "cost_usd"),
        "search": {"sampler": "sobol", "n_designs": 256},
        **changes,
    }


SHORT_CHAT = {"chat": {"model": "llama3_8b", "batch": 16, "prompt_tokens": 512, "output_tokens": 256}}
"""A workload that one chip holds."""


def tiny(**changes: Any) -> dict[str, Any]:
    """Return an 8 B model on a grid of 320 designs, some feasible and some not; `changes` replace its keys."""
    return {
        "name": "tiny",
        "workloads": {name: dict(workload) for name, workload in SHORT_CHAT.items()},
        "space": {
            "memory": {"values": ["lpddr5x_9600", "gddr6_16", "hbm3"]},
            "memory_devices": {"low": 2, "high": 16, "step": 2},
            "memory_device_gib": [
                {"values": [8], "when": {"memory": ["lpddr5x_9600"]}},
                {"values": [2], "when": {"memory": ["gddr6_16"]}},
                {"values": [16, 24], "when": {"memory": ["hbm3"]}},
            ],
            "macs": {"low": 8192, "high": 131072, "log": True, "levels": 5},
            "weight_format": {"values": ["int4_g128", "bf16"]},
        },
        "objectives": [
            {"metric": "chat.tpot_ms", "direction": "minimize"},
            {"metric": "chat.tokens_per_joule", "direction": "maximize"},
        ],
        "constraints": [{"metric": "chat.tpot_ms", "max": 20}, {"metric": "tdp_w", "max": 200}],
        "search": {"sampler": "grid"},
        **changes,
    }


DRAWN: dict[str, Any] = {
    "name": "small",
    "workloads": {"chat": {"model": "llama3_8b", "batch": 8, "prompt_tokens": 256, "output_tokens": 128}},
    "space": {
        "memory": {"values": ["lpddr5x_9600", "hbm3"]},
        "memory_devices": {"values": [4, 8, 12]},
        "memory_device_bits": {"values": [32, 64], "when": {"memory": ["lpddr5x_9600"]}},
        "memory_device_gib": 16,
        "macs": {"values": [16384, 65536]},
        "weight_format": {"values": ["int4_g128", "fp8"]},
    },
    "objectives": [
        {"metric": "chat.tpot_ms", "direction": "minimize"},
        {"metric": "chat.tokens_per_joule", "direction": "maximize"},
        {"metric": "cost_usd", "direction": "minimize"},
    ],
    "constraints": [{"metric": "tdp_w", "max": 400}, {"metric": "chat.tpot_ms", "max": 100}],
    "baselines": {"a100": {"chips": "1x a100_80gb_sxm"}},
    "search": {"sampler": "grid"},
}
"""A sweep of which every kind of figure can be drawn, and a report."""


TEXT = """\
name: small
workloads:
  chat: {model: llama2_70b, batch: 32}
space:
  node: {values: [tsmc_7, tsmc_5]}
  macs: {low: 1024, high: 65536, log: true, levels: 7}
  memory: hbm3
objectives:
  - {metric: chat.tpot_ms, direction: minimize}
constraints:
  - {metric: tdp_w, max: 150 W}
baselines:
  pair: {chips: 2x a100_80gb_sxm, weight_format: bf16}
search: {sampler: sobol, n_designs: 1_000, seed: 7}
"""
"""A small sweep as a file."""
