"""Continuous batching in closed form against its simulation: ``python -m studies.serving --cases 500 --seed 0``.

Random machines of the library, models, lengths and loads below 80 % of the capacity; prints the distribution of the
differences, and how sure the simulation is of its own numbers: runs are added until the 95 % intervals of both mean
times are within 2 % of them. ``--rows FILE`` writes every case.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Workload
from cost_models.library.technology import Technology
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.table import FloatArray
from dse.analysis.simulated_engine import engine_of
from dse.analysis.simulation import simulate_surely

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


SURE = 0.02
"""Half-width of the 95 % intervals of the simulated means that is wanted."""

MOST_RUNS = 64
"""Runs of a case after which it is left as unsure as it is."""


def one_case(place: int, seed: int, requests: int) -> dict[str, float | str] | None:
    """Return the relative differences of one drawn case, None where the machine does not hold it."""
    rng, technology = np.random.default_rng([seed, place]), Technology()
    chip, model = str(rng.choice(list(CHIPS))), str(rng.choice(list(MODELS)))
    n_chips = MODELS[model] * int(rng.choice([1, 2]))
    prompt, output = (float(np.round(np.exp(rng.uniform(*np.log(bounds))))) for bounds in (PROMPTS, OUTPUTS))
    share = rng.uniform(*SHARES)
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
    run = simulate_surely(
        engine_of(users.result), within=SURE, requests=requests, most_runs=MOST_RUNS, seed=int(rng.integers(2**31)),
        prompt_tokens=prompt, output_tokens=output, arrivals_per_s=load,
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
    settings: dict[str, float | str] = {
        "chip": chip, "model": model, "n_chips": n_chips, "prompt_tokens": prompt, "output_tokens": output,
        "load_share": share, "most": most, "interval": run.doubt,
        "requests": len(run.ttft_s),
    }  # fmt: skip
    return settings | {name: a / b - 1 for name, a, b in zip(COMPARED, told, found, strict=True)}


def compared(cases: int, seed: int, requests: int, jobs: int = -1) -> pd.DataFrame:
    """Return one row per case.

    Args:
        cases: rows that are wanted.
        seed: of the draws.
        requests: requests of each run of the simulation.
        jobs: processes; as many as there are cores where -1.
    """
    import joblib

    rows: list[dict[str, float | str]] = []
    place = 0
    while len(rows) < cases:
        draws = range(place, place + cases - len(rows))
        found = joblib.Parallel(n_jobs=jobs)(joblib.delayed(one_case)(draw, seed, requests) for draw in draws)
        rows += [row for row in found if row is not None]
        place = draws.stop
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
    parser.add_argument("--requests", type=int, default=10_000, help="requests of each run of the simulation")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; as many as there are cores where -1")
    parser.add_argument("--rows", help="CSV file that every case is written to")
    asked = parser.parse_args()
    rows = compared(asked.cases, asked.seed, asked.requests, asked.jobs)
    print(f"{len(rows)} cases, seed {asked.seed}, runs of {asked.requests} requests; differences in %")
    print(summary(rows).round(1).to_string())
    sure = rows["interval"] <= SURE
    print(f"the simulation's 95 % intervals of both means within {SURE:.0%} in {sure.mean():.1%} of the cases,")
    print(f"in the others after {MOST_RUNS} runs up to {rows['interval'].max():.1%}")
    if asked.rows:
        rows.to_csv(asked.rows, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
