"""What every rule of a sweep says on both sides of its edge: small changes of sweeps, and the words that answer them.

The words were read when they were stored; `pytest --force-regen` writes them anew after a change that is meant.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from dse.errors import SpecError
from dse.sweep import parse_spec
from dse.sweep.notices import warnings_of
from dse.sweep.search import EvolveOptions
from tests.sweeps import TEXT, minimized, small

SHOWN = 200
"""Characters of an issue that are kept: what comes after are mostly lists of what the library has."""


def changed(sweep: Any, changes: Any) -> Any:
    """Return a sweep with keys replaced, those of mappings one by one; an empty key goes."""
    if not isinstance(sweep, dict) or not isinstance(changes, dict):
        return changes
    kept = {key: changed(sweep.get(key), one) for key, one in changes.items()}
    return {key: one for key, one in {**sweep, **kept}.items() if one is not None}


def verdict(sweep: dict[str, Any]) -> list[str] | str:
    """Return the issues of a sweep, or what is to be said of it all the same."""
    try:
        spec = parse_spec(sweep)
    except SpecError as error:
        return [str(issue)[:SHOWN] for issue in error.issues]
    return warnings_of(spec) or "accepted"


TRAFFIC = {
    "name": "traffic",
    "workloads": {
        "chat": {"model": "llama3_8b", "batching": "continuous", "prompt_tokens": 512, "output_tokens": 128, "concurrency": 8}
    },
    "space": {"memory_devices": {"values": [8, 16]}},
    "objectives": [{"metric": "chat.goodput_tokens_per_s", "direction": "maximize"}],
    "search": {"sampler": "grid"},
}  # fmt: skip

FORMATS = small(space={"weight_format": "group_int"}, objectives=minimized("cost_usd"))

OWN = small(model={"function": "mine:noise", "metrics": {"noise_db": "dB"}}, objectives=minimized("noise_db"))

CASES = {
    "goals": (
        small(),
        """
        - {objectives: [{metric: cost_usd, direction: minimize}, {metric: tdp_w, direction: minimize}, {metric: cost_usd, direction: maximize}]}
        - {constraints: [{metric: tdp_w, max: 3}, {metric: cost_usd, max: 3}, {metric: tdp_w, max: 3.0}]}
        - {constraints: [{metric: tdp_w, max: 3}, {metric: tdp_w, min: 3}]}
        - {constraints: [{metric: p_feasible, min: 0.8}]}
        - {objectives: [{metric: p_feasible, direction: maximize}], robustness: {draws: 2}}
        - {constraints: [{metric: p_feasible, min: 0.8}], robustness: {draws: 2}}
        - {constraints: [{metric: p_feasible, min: 0.8}, {metric: tdp_w, max: 3}], robustness: {draws: 2}}
        - {constraints: [{metric: tdp_w, max: 3}, {metric: p_feasible, min: 0.8}, {metric: p_feasible, max: 0.9}], robustness: {draws: 2}}
        - {constraints: [{metric: p_feasible, min: 0.8, relative_to: a}], robustness: {draws: 2}, baselines: {a: {chips: tpu_v4}}}
        - {constraints: [{metric: tdp_w}]}
        - {constraints: [{metric: tdp_w, near: 3}]}
        - {constraints: [{metric: tdp_w, within: 3 %, max: 4}]}
        - {constraints: [{metric: tdp_w, near: 3, within: 0.1}]}
        - {constraints: [{metric: tdp_w, near: 3, within: 0.1, max: 4}]}
        - {constraints: [{metric: tdp_w, near: 3, within: 0.1, min: 4}]}
        - {constraints: [{metric: tdp_w, near: 0, within: 0.1}]}
        - {constraints: [{metric: tdp_w, near: -3, within: 3 W}]}
        - {constraints: [{metric: tdp_w, near: 3, within: 0}]}
        - {constraints: [{metric: tdp_w, near: 3, within: -1 W}]}
        - {constraints: [{metric: tdp_w, near: 3, within: 3 m}]}
        - {constraints: [{metric: tdp, near: 3, within: 3 W}]}
        - {constraints: [{metric: tdp_w, min: 3, max: 3}]}
        - {constraints: [{metric: tdp_w, min: 3.1, max: 3}]}
        - {constraints: [{metric: tdp_w, max: 0, relative_to: a}], baselines: {a: {chips: tpu_v4}}}
        - {constraints: [{metric: tdp_w, min: 0, relative_to: a}], baselines: {a: {chips: tpu_v4}}}
        - {constraints: [{metric: tdp_w, near: -1, within: 3 %, relative_to: a}], baselines: {a: {chips: tpu_v4}}}
        - {constraints: [{metric: tdp_w, near: 1, within: 3 W, relative_to: a}], baselines: {a: {chips: tpu_v4}}}
        - {constraints: [{metric: tdp_w, min: 0.5, max: 1, relative_to: a}], baselines: {a: {chips: tpu_v4}}}
        - {constraints: [{metric: tdp_w, max: 1, relative_to: b}]}
        - {constraints: [{metric: 3, max: 1}]}
        - {constraints: [{metric: latency, max: 3 ms}, {metric: chat.latency, max: 3}, {metric: power, max: 3}, {metric: chat.watts, max: 3}]}
        - {objectives: [{metric: chat.tpot, direction: smaller}, {metric: chatt.tpot_ms, direction: MAXIMISE}, {metric: cost, direction: 1}]}
        - {objectives: []}
        - {objectives: {metric: cost_usd, direction: minimize}}
        """,
    ),
    "names and numbers": (
        small(),
        """
        - {name: 3}
        - {name: true}
        - {name: ' a  b! '}
        - {name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhh}
        - {name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhi}
        - {name: '7'}
        - {workloads: {chat: {required: 'yes'}}}
        - {workloads: {chat: {required: 0}}}
        - {workloads: {chat: {required: 1.0}}}
        - {workloads: {chat: {required: nay}}}
        - {workloads: {chat: {batch: 32.5}}}
        - {workloads: {chat: {batch: largest}}}
        - {workloads: {chat: {batch: greatest}}}
        - {workloads: {chat: {batch: '1_000'}}}
        - {workloads: {chat: {batch: '3 ms'}}}
        - {workloads: {chat: {n_chips: 1.5}}}
        - {workloads: {chat: {n_chips: 0}}}
        - {workloads: {chat: {limit_percentile: 50}}}
        - {workloads: {chat: {limit_percentile: 49.9}}}
        - {workloads: {chat: {limit_percentile: 99.95}}}
        - {workloads: {chat: {prompt_tokens: 0, output_tokens: 0}}}
        - {workloads: {chat: {prompt_tokens: -1, output_tokens: 0.5}}}
        - {workloads: {chat: {ttft_limit_ms: 0}}}
        - {workloads: {chat: {ttft_limit_ms: 2 s, tpot_limit_ms: 0.1 us, load_tokens_per_s: -1}}}
        - {search: {n_designs: 9007199254740992}}
        - {search: {n_designs: 9007199254740994}}
        - {search: {n_designs: 0}}
        - {search: {seed: 4294967295}}
        - {search: {seed: 4294967296}}
        - {baselines: {a: {chips: 2 X tpu_v4}, b: {chips: 3×tpu_v4}, c: {chips: tpu_v4}}}
        - {baselines: {a: {chips: 00x tpu_v4}, b: {chips: 2x}, c: {chips: [tpu_v4]}, d: {chips: 2x tpu4}}}
        - {baselines: {a: {chips: tpu_v4, stored_bits: 32}, b: {chips: tpu_v4, stored_bits: 33}, c: {chips: tpu_v4, stored_bits: 0}}}
        - {economics: {margin: 0.99, nre_share: 1, units: 1, price_year: 2020}}
        - {economics: {margin: 1, nre_share: 1.1, units: 0, price_year: 1990}}
        - {economics: {margin: -0.1, nre_share: -0.1, krw_per_usd: 0, price_year: 2090, yield_model: poison}}
        - {economics: {margin: 0, nre_share: 0, yield_model: poisson}}
        - {technology: {tco.pue: {typ: 1.2, low: 1.2, high: 1.2}}}
        - {technology: {tco.pue: {typ: 1.2, low: 1.3}}}
        - {technology: {tco.pue: {typ: 1.2, high: 1.1}}}
        - {technology: {tco.pue: {low: 1.1}}}
        - {technology: {tco.peu: 1.2, economics.units: 10}}
        - {technology: [tco.pue]}
        - {results: {keep_all_up_to: 0}}
        - {results: {keep_all_up_to: -1}}
        - {robustness: {draws: 1}}
        - {robustness: {draws: 100000}}
        - {robustness: {draws: 100001, designs: 0, seed: -1}}
        - {robustness: {}}
        - {workloads: {}}
        - {workloads: {2chat: {model: llama3_8b}}}
        - {mix: {chat: 1}}
        - {mix: {chat: 0.9999995}}
        - {mix: {chat: 0.99}}
        - {mix: {chat: {share: 0}}}
        - {mix: {chit: 1}}
        - {surch: {}, objective: [], spaces: {}}
        - {design: {memory: hbm3}, space: }
        - {space: }
        - {space: , baselines: {a: {chips: tpu_v4}}}
        """,
    ),
    "parameters": (
        small(),
        """
        - {space: {node: [tsmc_7]}}
        - {space: {node: []}}
        - {space: {node: {values: []}}}
        - {space: {node: {values: tsmc_7}}}
        - {space: {node: {values: [tsmc_7, tsmc_5, tsmc_7]}}}
        - {space: {node: {values: [7]}}}
        - {space: {node: {values: [tsmc7, 5 nm]}}}
        - {space: {node: {low: 1, high: 3}}}
        - {space: {node: {}}}
        - {space: {node: {choices: [tsmc_7]}}}
        - {space: {macs: {low: 1024, high: , levels: 7}}}
        - {space: {macs: {values: [1024], log: , levels: }}}
        - {space: {macs: {levels: 1}}}
        - {space: {macs: {levels: 2}}}
        - {space: {macs: {levels: 1000000}}}
        - {space: {macs: {levels: 1000001}}}
        - {space: {macs: {levels: 2.5}}}
        - {space: {macs: {levels: 7 ms}}}
        - {space: {macs: {low: 65536}}}
        - {space: {macs: {low: 65537}}}
        - {space: {macs: {low: 1024.5}}}
        - {space: {macs: {type: float}}}
        - {space: {macs: {type: whole}}}
        - {space: {macs: {step: 1024}}}
        - {space: {macs: {step: 1024, levels: }}}
        - {space: {macs: {step: 1024, levels: , log: false}}}
        - {space: {macs: {step: 64512, levels: , log: false}}}
        - {space: {macs: {step: 64513, levels: , log: false}}}
        - {space: {macs: {step: 0.5, levels: , log: false}}}
        - {space: {clock_ghz: {low: 0.5, high: 1.5, step: 0.000001, levels: }}}
        - {space: {clock_ghz: {low: 0.5, high: 1.5, step: 0.00000099, levels: }}}
        - {space: {clock_ghz: {low: 0.6, high: 0.7, step: 0.1, levels: }}}
        - {space: {clock_ghz: {low: 0.6, high: 0.7, step: 0.10001, levels: }}}
        - {space: {clock_ghz: {low: 0.5, high: 1.5, step: 0, levels: }}}
        - {space: {clock_ghz: {low: 0.5, high: 1.5, step: -1, levels: }}}
        - {space: {clock_ghz: {low: 500 MHz, high: 1.5 GHz}}}
        - {space: {clock_ghz: {low: 500 MB, high: 1.5 GHz}}}
        - {space: {clock_ghz: {low: 0, high: 1, log: true, levels: }}}
        - {space: {clock_ghz: {low: 1, high: 2, type: int, step: 0.5, levels: }}}
        - {space: {clock_ghz: {low: 1, high: 2.5, type: int, levels: }}}
        - {space: {clock_ghz: [{values: [1]}, 3]}}
        - {space: {clock_ghz: {values: [1], high: 3, low: , levels: }}}
        - {space: {technology.tco.pue: {low: 1.1, high: 1.5}}}
        - {space: {technology.tco.pue: 0.5}}
        - {space: {technology.tco.pue: {values: [1.1], when: {node: tsmc_5}}}}
        - {space: {technology.economics.units: 3}}
        - {space: {chat.batch: {low: 1, high: 64}}}
        - {space: {chat.model: llama3_8b}}
        - {space: {chat.required: true}}
        - {space: {chat.bach: 3}}
        - {space: {chit.batch: 3}}
        - {space: {prefill.macs: 3}}
        - {space: {macs_: 3}}
        """,
    ),
    "conditions": (
        small(space={"memory_devices": {"values": [2, 3, 4, 5, 6, 7, 8, 9]}, "memory": {"values": ["hbm3", "lpddr5x_9600"]}}),
        """
        - {space: {macs: {values: [1024], when: {}}}}
        - {space: {macs: {values: [1024], when: hbm3}}}
        - {space: {macs: {values: [1024], when: {memory: []}}}}
        - {space: {macs: {values: [1024], when: {memory: [true]}}}}
        - {space: {macs: {values: [1024], when: {memory: {a: b}}}}}
        - {space: {macs: {values: [1024], when: {memory: hbm3}}}}
        - {space: {macs: {values: [1024], when: {memory: hbm4}}}}
        - {space: {macs: {values: [1024], when: {memory_devices: 10}}}}
        - {space: {macs: {values: [1024], when: {memory_devices: 10}}, memory_devices: {values: [2, 3, 4, 5, 6, 7, 8, 9, 11]}}}
        - {space: {macs: {values: [1024], when: {memori: hbm3}}}}
        - {space: {macs: {values: [1024], when: {node: tsmc_7}}}}
        - {space: {macs: {values: [1024], when: {clock_ghz: 1}}, clock_ghz: {low: 1, high: 2}}}
        - {space: {macs: {values: [1024], when: {clock_ghz: 1}}, clock_ghz: [{values: [1]}, {low: 1, high: 2}]}}
        - {space: {macs: {values: [1024], when: {macs: 1024}}}}
        - {space: {memory: {when: {memory_devices: 2}}, memory_devices: {when: {memory: hbm3}}}}
        - {space: {memory: {when: {memory_devices: 2}}, memory_devices: {when: {macs: 1}}, macs: {values: [1, 2], when: {memory: hbm3}}}}
        - {space: {memory: {when: {memory_devices: 2}}, memory_devices: {when: {macs: 1}}, macs: {values: [1, 2], when: {clock_ghz: 1}}, clock_ghz: {values: [1, 2], when: {macs: 1}}}}
        - {space: {memory: {when: {memory_devices: 2}}, memory_devices: {when: {macs: 1}}, macs: {values: [1, 2]}}}
        - {space: {macs: [{values: [1], when: {memory: hbm3}}, {values: [2], when: {memory: lpddr5x_9600}}]}}
        - {space: {macs: [{values: [1], when: {memory: hbm3}}, {values: [2], when: {memory: [hbm3, lpddr5x_9600]}}]}}
        - {space: {macs: [{values: [1], when: {memory: hbm3}}, {values: [2]}]}}
        - {space: {macs: [{values: [1], when: {memory: hbm3}}, {values: [2], when: {memory_devices: 2}}]}}
        - {space: {macs: [{values: [1], when: {memory: hbm3, memory_devices: 2}}, {values: [2], when: {memory: hbm3, memory_devices: 3}}]}}
        - {space: {macs: [{values: [1], when: {memory: hbm3}}, {values: [2], when: {memory: lpddr5x_9600}}, {values: [3], when: {memory: lpddr5x_9600}}]}}
        - {space: {memory_device_bits: {values: [32], when: {memory: gddr6_16}}}}
        """,
    ),
    "search": (
        small(),
        """
        - {search: {sampler: grid}}
        - {search: {sampler: grid, n_designs: }}
        - {search: {sampler: grid, n_designs: }, space: {clock_ghz: {levels: }}}
        - {search: {sampler: grid, n_designs: }, space: {clock_ghz: [{values: [1], when: {memory: hbm3}}, {low: 1, high: 2, when: {memory: gddr6_16}}]}}
        - {search: {sampler: sobol, n_designs: }}
        - {search: {sampler: 3}}
        - {search: {sampler: sobl}}
        - {search: {sampler: bayes}}
        - {search: {sampler: sobol+evolve}}
        - {search: {sampler: ' sobol +  evolve '}}
        - {search: {sampler: sobol+sobol}}
        - {search: {sampler: evolve+evolve}}
        - {search: {sampler: sobol+tpe+evolve}}
        - {search: {sampler: sobol+random}}
        - {search: {sampler: sobol+optuna:TPESampler}}
        - {search: {sampler: optuna:TPESampler}}
        - {search: {sampler: optuna:GridSampler}}
        - {search: {sampler: optuna:TpeSampler}}
        - {search: {options: {prune: true}}}
        - {search: {options: [prune]}}
        - {search: {sampler: grid, options: {prune: true}}}
        - {search: {sampler: grid, options: {prune: 1}}}
        - {search: {sampler: random, options: {prune: true}}}
        - {search: {sampler: tpe, options: {batch: 3, anything: 4}}}
        - {search: {sampler: tpe, options: {batch: 0}}}
        - {search: {sampler: evolve, options: {population: 4, crossover_probability: 0, crossover_eta: 0.1, mutation_eta: 0.1, mutation_probability: 1}}}
        - {search: {sampler: evolve, options: {population: 3, crossover_probability: -0.1, crossover_eta: 0, mutation_eta: 0, mutation_probability: 1.1}}}
        - {search: {sampler: evolve, options: {population: 100000, crossover_probability: 1, mutation_probability: 0}}}
        - {search: {sampler: evolve, options: {population: 100001, crossover_probability: 1.1, algorithm: nsga-ii}}}
        - {search: {sampler: evolve, options: {population: 4.5, algorithm: nsga3}}}
        - {search: {sampler: sobol+evolve, options: {shares: [0.5, 0.5], evolve: {population: 8}, sobol: {}}}}
        - {search: {sampler: sobol+evolve, options: {shares: [0.5, 0.5000009]}}}
        - {search: {sampler: sobol+evolve, options: {shares: [0.5, 0.500002]}}}
        - {search: {sampler: sobol+evolve, options: {shares: [1, 0]}}}
        - {search: {sampler: sobol+evolve, options: {shares: [1.0]}}}
        - {search: {sampler: sobol+evolve, options: {shares: [0.5, true]}}}
        - {search: {sampler: sobol+evolve, options: {shares: half}}}
        - {search: {sampler: sobol+evolve, options: {evolve: {population: 3}, sobol: {a: 1}, tpe: {}}}}
        - {search: {options: {shares: [1.0]}}}
        - {search: {join: true}}
        - {search: {study: one}}
        - {search: {storage: 'sqlite:///a.db'}}
        - {search: {sampler: tpe, storage: 'sqlite:///a.db', study: one, join: true}}
        - {search: {sampler: optuna:TPESampler, storage: a.log}}
        - {search: {sampler: sobol+tpe, storage: a.log}}
        - {search: {sampler: tpe, storage: 3}}
        - {search: {sampler: tpe, storage: a.db}}
        - {search: {sampler: tpe, storage: a.txt}}
        - {search: {sampler: tpe, storage: a}}
        - {search: {sampler: tpe, storage: 'sqlite:a.db'}}
        - {search: {sampler: tpe, storage: 'postgres://u@h/d'}}
        - {search: {sampler: tpe, storage: 'http://h/d'}}
        - {search: {sampler: tpe, storage: 'postgresql://u:secret@h/d'}}
        - {search: {sampler: tpe, storage: 'env:9A'}}
        """,
    ),
    "layouts": (
        small(),
        """
        - {workloads: {chat: {parallelism: tp4_pp2}}}
        - {workloads: {chat: {parallelism: tp4_pp2, n_chips: 8}}}
        - {workloads: {chat: {parallelism: tp4_pp2, n_chips: 4}}}
        - {workloads: {chat: {parallelism: tensr}}}
        - {workloads: {chat: {parallelism: 4}}}
        - {workloads: {chat: {parallelism: tp4_pp2}}, space: {chat.n_chips: {values: [8]}}}
        - {workloads: {chat: {parallelism: pipeline}}, space: {chat.n_chips: {values: [8]}}}
        - {workloads: {chat: {parallelism: tp4}}, baselines: {a: {chips: 4x tpu_v4}, b: {chips: 2x tpu_v4}}}
        - {workloads: {chat: {parallelism: tp4}}, baselines: {a: {chips: 2x tpu_v4, parallelism: tensor}, b: {chips: 2x tpu_v4, parallelism: tp8}}}
        - {workloads: {chat: {parallelism: tp4}, talk: {model: llama3_8b, parallelism: tp8}}, baselines: {a: {chips: 2x tpu_v4}}}
        - {baselines: {a: {chips: 2x tpu_v4, network_gbps: 3}}}
        - {baselines: {a: {chips: 8x mi300x, network_gbps: 3}}}
        - {baselines: {a: {chips: 9x mi300x, network_gbps: 3}}}
        - {baselines: {a: {chips: 8x mi300x, network_gbps: 3, node_chips: 4}}}
        - {baselines: {a: {chips: tpu_v4, weight_format: int4_g128, weight_execution: skip}}}
        - {baselines: {a: {chips: tpu_v4, weight_format: int4_g128, weight_execution: dequantize}}}
        - {baselines: {a: {chips: tpu_v4, weight_format: int8, weight_execution: direct, act_bits: 8}}}
        - {baselines: {a: {chips: tpu_v4, weight_format: int8, weight_execution: direct}}}
        """,
    ),
    "traffic": (
        TRAFFIC,
        """
        - {}
        - {workloads: {chat: {concurrency: }}}
        - {workloads: {chat: {concurrency: , arrivals_per_s: 2}}}
        - {workloads: {chat: {arrivals_per_s: 2}}}
        - {workloads: {chat: {concurrency: , ttft_limit_ms: 200}}}
        - {workloads: {chat: {concurrency: , tpot_limit_ms: 200}}}
        - {workloads: {chat: {concurrency: }}, constraints: [{metric: chat.ttft_ms, max: 200}]}
        - {workloads: {chat: {concurrency: }}, constraints: [{metric: chat.tpot_ms, max: 200}]}
        - {workloads: {chat: {concurrency: }}, constraints: [{metric: chat.decode_w, max: 200}]}
        - {workloads: {chat: {concurrency: }}, objectives: [{metric: chat.ttft_ms, direction: minimize}]}
        - {workloads: {chat: {concurrency: }}, space: {chat.concurrency: {values: [1, 2]}}}
        - {space: {chat.arrivals_per_s: {values: [1, 2]}}}
        - {workloads: {chat: {batching: static}}}
        - {workloads: {chat: {batching: static, concurrency: }}, space: {chat.arrival_cv: {values: [1, 2]}}}
        - {workloads: {chat: {batching: static, concurrency: }}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {workloads: {chat: {batching: static, concurrency: , arrival_cv: 1, limit_percentile: 90}}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {workloads: {chat: {batching: in_flight, concurrency: }}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {workloads: {chat: {batch: 1}}}
        - {workloads: {chat: {batch: 2}}}
        - {space: {chat.batch: {values: [1, 2]}}}
        - {workloads: {chat: {model: vit_22b}}}
        - {workloads: {chat: {prompt_p95_tokens: 512}}}
        - {workloads: {chat: {prompt_p95_tokens: 513}}}
        - {workloads: {chat: {output_p95_tokens: 128}}}
        - {workloads: {chat: {output_p95_tokens: 495}}}
        - {workloads: {chat: {output_p95_tokens: 496}}}
        - {workloads: {chat: {prefix_cached: 0.5}}}
        - {workloads: {chat: {prefix_cached: 512}}}
        - {workloads: {chat: {prefix_cached: 513}}}
        - {workloads: {chat: {prefix_cached: 513}}, space: {chat.prompt_tokens: {values: [512, 1024]}}}
        - {workloads: {chat: {prefix_cached: 1, prompt_tokens: 0.5}}}
        - {workloads: {chat: {prefix_cached: -0.1}}}
        - {workloads: {chat: {model: vit_22b, batching: static, concurrency: , prefix_cached: 0.5}}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {workloads: {chat: {sessions: {turns: 4, think_s: 10}}}}
        - {workloads: {chat: {sessions: {turns: 204, think_s: 10}}}}
        - {workloads: {chat: {sessions: {turns: 205, think_s: 10}}}}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10}, prompt_tokens: 65408}}}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10}, prefix_cached: 0.5}}}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10}, batching: static, concurrency: }}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10, tier_gib: 3}}}}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10, tier_gbps: 3}}}}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10, tier: ddr5}}}}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10, tier: ddr5_5600, tier_gib: 3}}}}
        - {workloads: {chat: {sessions: {turns: 2}}}}
        - {workloads: {chat: {sessions: {turns: 0, think_s: -1, hit_share: 1.1}}}}
        - {space: {chat.turns: {values: [1, 2]}}}
        - {space: {chat.draft_tokens: {values: [1, 2]}}}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10}}}, space: {chat.turns: {values: [1, 2]}}}
        - {workloads: {chat: {speculation: {draft_tokens: 3, acceptance: 0.7, draft: mtp}}}}
        - {workloads: {chat: {speculation: {draft_tokens: 3, acceptance: 0.7, draft: ngram}}}, space: {chat.draft_tokens: {values: [1, 2]}}}
        - {workloads: {chat: {speculation: {draft_tokens: 3, acceptance: 0.7, draft: vit_22b}}}}
        - {workloads: {chat: {speculation: {draft_tokens: 3, acceptance: 0.7, draft: n-gram}}}}
        - {workloads: {chat: {speculation: {draft_tokens: 3, acceptance: 0.7, draft: llama4}}}}
        - {workloads: {chat: {speculation: {draft_tokens: 0, acceptance: 1, draft: llama3_8b}}}}
        - {workloads: {chat: {speculation: {draft_tokens: 1, acceptance: 1.1, draft: llama3_8b}}}}
        - {workloads: {chat: {model: vit_22b, batching: static, concurrency: , speculation: {draft_tokens: 3, acceptance: 0.7, draft: mtp}}}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {workloads: {chat: {prompt_tokens: 130944}}}
        - {workloads: {chat: {prompt_tokens: 130945}}}
        - {workloads: {img: {model: vit_22b}, chat: {prompt_tokens: 130945}}}
        - {space: {chat.prompt_tokens: {values: [512, 130945]}}}
        - {space: {chat.output_tokens: {low: 12, high: 130561}}}
        - {space: {chat.prompt_tokens: 130945}}
        - {space: {memory2_devices: 3}}
        """,
    ),
    "pools": (
        changed(TRAFFIC, {"workloads": {"chat": {"ttft_limit_ms": 200}}, "deployment": {"prefill": "2x h100_sxm", "decode": "design"}}),
        """
        - {}
        - {deployment: {prefill: design}}
        - {deployment: {decode: 2x h100_sxm}}
        - {deployment: {prefill: h100}}
        - {deployment: {prefill: 3}}
        - {deployment: {network_gbps: 0}}
        - {deployment: {prefill: design}, space: {prefill.macs: {values: [1024, 2048]}}}
        - {deployment: {prefill: design}, space: {prefill.mac: {values: [1024, 2048]}}}
        - {space: {prefill.macs: {values: [1024, 2048]}}}
        - {deployment: {prefill: design, decode: h100_sxm}, space: {prefill.macs: {values: [1024, 2048]}}}
        - {workloads: {prefill: {model: llama3_8b, batching: continuous, ttft_limit_ms: 3, concurrency: 1}}}
        - {workloads: {chat: {parallelism: tp4}}}
        - {workloads: {chat: {parallelism: tp2}}}
        - {deployment: {prefill: {chips: 2x h100_sxm, parallelism: tp4}}}
        - {workloads: {chat: {ttft_limit_ms: }}}
        - {workloads: {chat: {ttft_limit_ms: }}, constraints: [{metric: chat.ttft_ms, max: 200}]}
        - {workloads: {chat: {batching: static, concurrency: }}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {workloads: {chat: {sessions: {turns: 2, think_s: 10}}}}
        - {deployment: , baselines: {a: {chips: tpu_v4, prefill: h100_sxm, network_gbps: 3}}}
        - {deployment: , baselines: {a: {chips: tpu_v4, prefill: design}}}
        - {deployment: , workloads: {chat: {ttft_limit_ms: }}, baselines: {a: {chips: tpu_v4, prefill: h100_sxm}}}
        - {deployment: , objectives: [{metric: chat.prefill_chips, direction: minimize}]}
        - {objectives: [{metric: chat.prefill_chips, direction: minimize}]}
        """,
    ),
    "formats": (
        FORMATS,
        """
        - {}
        - {space: {sparsity: 0.5}}
        - {space: {weight_bits: 4, weight_format: {values: [group_int, bf16]}}}
        - {space: {weight_bits: {values: [3, 4], when: {weight_format: group_int}}, weight_format: {values: [group_int, bf16]}}}
        - {space: {weight_format: }}
        - {space: {weight_format: , weight_bits: 4}}
        - {space: {weight_method: none}}
        - {space: {weight_method: {values: [rtn, kquant]}}}
        - {space: {weight_method: {values: [rtn, kquant]}, weight_format: {values: [group_int, gguf_q6_k]}}}
        - {space: {weight_method: {values: [rtn], when: {weight_format: group_int}}, weight_format: {values: [group_int, gguf_q6_k]}}}
        - {space: {weight_execution: {values: [dequantize, skip]}}}
        - {space: {weight_execution: {values: [skip]}, weight_format: {values: [bitmap, nf4_dq, int8]}}}
        - {space: {weight_execution: {values: [skip], when: {kv_bits: 8}}, kv_bits: {values: [8], when: {weight_format: bitmap}}, weight_format: {values: [bitmap, nf4_dq]}}}
        - {space: {weight_execution: {values: [skip], when: {kv_bits: 8}}, kv_bits: {values: [8, 16]}, weight_format: {values: [bitmap, nf4_dq]}}}
        - {space: {weight_execution: bit_plane}}
        - {space: {weight_execution: bit_plane, mac_format: int8xint8}}
        - {space: {weight_execution: bit_plane, mac_format: {values: [int8xint8, fp8xfp8, bf16xbf16]}}}
        - {space: {weight_execution: {values: [bit_plane], when: {mac_format: int8xint8}}, mac_format: {values: [int8xint8, fp8xfp8]}}}
        - {space: {weight_execution: {values: [bit_plane], when: {mac_format: fp8xfp8}}, mac_format: {values: [int8xint8, fp8xfp8]}}}
        - {space: {weight_format: nm, nm_n: 3}}
        - {space: {weight_format: nm, nm_n: 4}}
        - {space: {weight_format: nm, nm_n: {low: 1, high: 4}}}
        - {space: {weight_format: nm, nm_m: 2}}
        - {space: {weight_format: nm, nm_m: 3}}
        - {space: {weight_format: nm, nm_m: {low: 2, high: 8}}}
        - {space: {weight_format: nm, nm_n: {values: [2, 4]}, nm_m: {values: [4, 8]}}}
        - {space: {weight_format: nm, nm_n: {values: [2, 4]}, nm_m: {values: [5, 8]}}}
        - {space: {weight_format: nm, nm_n: [{values: [2], when: {nm_m: 4}}, {values: [2, 4], when: {nm_m: 8}}], nm_m: {values: [4, 8]}}}
        - {space: {weight_format: nm, nm_n: [{values: [2, 4], when: {nm_m: [4]}}, {values: [4], when: {nm_m: 8}}], nm_m: {values: [4, 8]}}}
        - {space: {weight_format: xor}}
        - {space: {weight_format: xor, sparsity: 0.3}}
        - {space: {weight_format: xor, sparsity: 0.29}}
        - {space: {weight_format: xor, sparsity: 0.95}}
        - {space: {weight_format: xor, sparsity: {low: 0.5, high: 0.96}}}
        - {space: {weight_format: xor, mask_correlation: 0.24}}
        - {space: {weight_format: xor, mask_correlation: 0.25}}
        - {space: {weight_format: xor, n_in: 5, shift_registers: 2, mask_correlation: 0.01}}
        - {space: {weight_format: xor, n_in: 5, shift_registers: 2}}
        - {space: {weight_format: xor, n_in: 5, shift_registers: 3}}
        - {space: {weight_format: xor, n_in: {low: 4, high: 8, step: 2}}}
        - {space: {weight_format: xor, n_in: {values: [4, 6, 8]}, shift_registers: {low: 0, high: 2}}}
        - {space: {weight_format: xor, n_in: 10}}
        - {space: {weight_format: xor, n_in: 10, shift_registers: 1}}
        - {space: {weight_format: {values: [xor, bitmap]}, sparsity: {values: [0.2, 0.5]}}}
        - {space: {weight_format: {values: [xor, bitmap]}, sparsity: [{values: [0.2], when: {weight_format: bitmap}}, {values: [0.5], when: {weight_format: xor}}]}}
        - {space: {weight_format: bitmap, sparsity: 0.2}}
        - {space: {weight_format: xor, n_out: 16}}
        - {space: {weight_format: xor, n_out: 17}}
        - {space: {weight_format: xor, n_out: 13}}
        - {space: {weight_format: xor, n_out: 12}}
        - {space: {weight_format: xor, n_out: 7}}
        - {space: {weight_format: xor, n_out: {low: 13, high: 16}}}
        - {space: {weight_format: xor, n_out: {low: 13, high: 17}}}
        - {space: {weight_format: xor, n_out: 20, sparsity: 0.6}}
        - {space: {weight_format: xor, n_out: 16, sparsity: {values: [0.5, 0.6]}}}
        - {space: {weight_format: xor, n_out: [{values: [16], when: {sparsity: 0.5}}, {values: [20], when: {sparsity: 0.6}}], sparsity: {values: [0.5, 0.6]}}}
        - {space: {weight_format: xor, n_out: [{values: [16], when: {n_in: 8}}, {values: [12], when: {n_in: 6}}], n_in: {values: [6, 8]}}}
        - {space: {weight_format: xor, n_out: [{values: [16], when: {n_in: 8}}, {values: [13], when: {n_in: 6}}], n_in: {values: [6, 8]}}}
        - {space: {weight_format: xor, n_out: 16, n_in: {values: [6, 8]}}}
        """,
    ),
    "own model": (
        OWN,
        """
        - {}
        - {model: mine:noise}
        - {model: mine.noise}
        - {model: {function: , command: [python3, a.py]}}
        - {model: {function: }}
        - {model: {command: [python3, a.py]}}
        - {model: {function: , command: python3 a.py}}
        - {model: {function: , command: [python3, '']}}
        - {model: {metrics: }}
        - {model: {metrics: }, objectives: [{metric: cost_usd, direction: minimize}]}
        - {model: {metrics: [noise_db]}}
        - {model: {metrics: {noise_db: {unit: dB, better: min, meaning: how loud}}}}
        - {model: {metrics: {noise_db: {better: less}}}}
        - {model: {metrics: {noise_db: dB, tdp_w: W}}}
        - {model: {metrics: {noise_db: dB, tdp_w: kW}}}
        - {model: {metrics: {noise_db: dB, tpot_ms: ms}}}
        - {model: {metrics: {noise_db: dB, chat.tpot_ms: ms}}}
        - {model: {metrics: {noise_db: dB, macs: ''}}}
        - {model: {metrics: {noise_db: dB, feasible: ''}}}
        - {model: {metrics: {noise_db: dB, a-b: ''}}}
        - {model: {inputs: [tdp_w, noise_db]}}
        - {model: {inputs: [tdp_w]}}
        - {model: {inputs: [tdp_w], replace: true}}
        - {model: {replace: true}}
        - {model: {replace: true}, objectives: [{metric: cost_usd, direction: minimize}]}
        - {model: {replace: true}, baselines: {a: {chips: tpu_v4}}, economics: {units: 3}, technology: {tco.pue: 1.2}, mix: {chat: 1}}
        - {baselines: {a: {chips: tpu_v4}}}
        - {robustness: {draws: 20}}
        - {search: {sampler: grid, n_designs: , options: {prune: true}}}
        - {search: {sampler: sobol+evolve, options: {evolve: {population: 8}}}}
        - {model: {batch: 0}}
        - {model: {timeout_s: 0, retries: 101}}
        - {model: {timeout_s: 0.1, retries: 100}}
        - {model: {retries: -1}}
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_rule_answers_as_it_did(name: str, data_regression: Any) -> None:
    sweep, cases = CASES[name]
    answers = {}
    for line in cases.strip().splitlines():
        (case,) = yaml.safe_load(line.strip())
        answers[line.strip().removeprefix("- ")] = verdict(changed(copy.deepcopy(sweep), case))
    data_regression.check(answers, basename=name.replace(" ", "_"))


def test_defaults_are_those_that_users_know(data_regression: Any) -> None:
    """Results change in silence where a default does."""
    spec = parse_spec(changed(yaml.safe_load(TEXT), {"robustness": {}}))
    resolved = spec.resolved()
    rest = {key: one for key, one in resolved.items() if key not in ("space", "economics", "technology")}
    data_regression.check({**rest, "evolve": EvolveOptions().model_dump()})
