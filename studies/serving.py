"""Continuous batching in closed form against its simulation: ``python -m studies.serving --cases 500 --seed 0``.

Random machines of the library, models, lengths and loads below 80 % of the capacity; prints the distribution of the
differences, and how sure the simulation is of its own numbers. ``--rows FILE`` writes every case.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from cost_models.evaluate import ChipSetup, Workload, serve_chip
from cost_models.library.technology import Technology
from cost_models.performance.operating_point import Slo
from cost_models.performance.serving_queue import Traffic
from cost_models.table import FloatArray
from dse.analysis.simulation import engine_of, simulate

CHIPS = {
    "a100_80gb_sxm": "bf16",
    "h100_sxm": "fp8",
    "h200_sxm": "fp8",
    "l40s": "fp8",
    "l4": "int4_g128",
    "rtx_4090": "int4_g128",
}
"""Chips and the formats of their weights."""

MODELS = {"llama3_8b": 1, "mistral_7b": 1, "qwen3_32b": 2, "llama3_70b": 4}
"""Models and the least chips that serve them."""

PROMPTS, OUTPUTS, SHARES = (64.0, 16384.0), (4.0, 1024.0), (0.05, 0.8)
"""Ranges of the lengths, drawn evenly in their logarithm, and of the load as a share of the capacity."""

MOST = 3000
"""Most sequences whose steps the simulation works out one by one."""

COMPARED = ("ttft_mean", "ttft_p95", "tpot_mean", "tpot_p95", "goodput")
"""What is compared."""


def one_case(rng: np.random.Generator, technology: Technology, requests: int) -> dict[str, float | str] | None:
    """Return the relative differences of one drawn case, None where the machine does not hold it."""
    chip, model = str(rng.choice(list(CHIPS))), str(rng.choice(list(MODELS)))
    n_chips = MODELS[model] * int(rng.choice([1, 2]))
    prompt, output = (float(np.round(np.exp(rng.uniform(*np.log(bounds))))) for bounds in (PROMPTS, OUTPUTS))
    share, seed = rng.uniform(*SHARES), int(rng.integers(2**31))
    workload = Workload(
        "case", model, prompt_tokens=prompt, output_tokens=output, n_chips=n_chips, batching="continuous",
        traffic=Traffic(arrivals_per_s=1e-9),
    )  # fmt: skip
    served = serve_chip(ChipSetup(chip, CHIPS[chip]), workload, technology)
    users = served.users
    assert users is not None
    most = float(users.queue.steps.most[0])
    if not 1 <= most <= MOST:
        return None
    load = share * float(users.queue.capacity_per_s[0])
    users = replace(users, traffic=Traffic(arrivals_per_s=load))
    run = simulate(
        engine_of(users.result),
        prompt_tokens=prompt, output_tokens=output, arrivals_per_s=load, requests=requests, seed=seed,
    )  # fmt: skip
    seen = users.served
    # Limits of the times that the simulation has at this load: its goodput is this load.
    limits = Slo(float(run.ttft_s.mean()) * 1e3, float(run.tpot_s.mean()) * 1e3)
    goodput = float(replace(users, traffic=Traffic(), limits=limits).goodput_per_s[0])
    told = (
        float(seen.ttft.mean_s[0]), float(seen.ttft.quantile_s(0.95)[0]),
        float(seen.tpot.mean_s[0]), float(seen.tpot.quantile_s(0.95)[0]), goodput,
    )  # fmt: skip
    found = (
        float(run.ttft_s.mean()), float(np.quantile(run.ttft_s, 0.95)),
        float(run.tpot_s.mean()), float(np.quantile(run.tpot_s, 0.95)), load,
    )  # fmt: skip
    unsure = run.interval(run.ttft_s, np.mean) / found[0]
    settings: dict[str, float | str] = {
        "chip": chip, "model": model, "n_chips": n_chips, "prompt_tokens": prompt, "output_tokens": output,
        "load_share": share, "most": most, "interval": unsure,
    }  # fmt: skip
    return settings | {name: a / b - 1 for name, a, b in zip(COMPARED, told, found, strict=True)}


def compared(cases: int, seed: int, requests: int) -> pd.DataFrame:
    """Return one row per case.

    Args:
        cases: rows that are wanted.
        seed: of the draws.
        requests: requests of each simulation.
    """
    rng, technology, rows = np.random.default_rng(seed), Technology(), []
    while len(rows) < cases:
        row = one_case(rng, technology, requests)
        if row is not None:
            rows.append(row)
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return median difference, median and 95th percentile of its size, in percent, of what is compared."""
    differences: FloatArray = rows[list(COMPARED)].to_numpy(dtype=np.float64) * 100
    sizes = np.abs(differences)
    return pd.DataFrame(
        {
            "median_difference": np.median(differences, axis=0),
            "median_size": np.median(sizes, axis=0),
            "p95_size": np.quantile(sizes, 0.95, axis=0),
        },
        index=list(COMPARED),
    )


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--requests", type=int, default=20_000, help="requests of each simulation")
    parser.add_argument("--rows", help="CSV file that every case is written to")
    asked = parser.parse_args()
    rows = compared(asked.cases, asked.seed, asked.requests)
    print(f"{len(rows)} cases, seed {asked.seed}, {asked.requests} requests each; differences in %")
    print(summary(rows).round(1).to_string())
    print(f"half-width of the simulation's 95 % interval of the mean TTFT: median {rows['interval'].median():.1%}")
    if asked.rows:
        rows.to_csv(asked.rows, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
