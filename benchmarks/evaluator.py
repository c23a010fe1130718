"""Speed of the evaluator on the Mach-1 sweep, as ratios first: absolute numbers are those of this machine, now.

    python benchmarks/evaluator.py [--stream N] [--sweep FILE]

"Judged" is what a search works out for every design: the metrics of objectives and constraints, and every margin.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import truediv
from pathlib import Path

import numpy as np
from fused import fused_loop

from cost_models.performance.batching import CONTINUOUS
from cost_models.table import Designs, FloatArray
from cost_models.tape import NotNotedError
from dse.evaluator import Evaluator
from dse.parallelism import Parallelism
from dse.replay import MOST_CALLS
from dse.runs import explore
from dse.samplers import sampler_of
from dse.search.allocator import keep_freed_memory
from dse.space import Space
from dse.sweep import load_spec

CHUNK_ROWS = Parallelism().chunk_rows
ROUNDS = 15
AGREEMENT = 1e-9
SINGLE = 60
GENERATION = 632
"""Designs that evolution proposes at a time for Mach-1."""

HOME = Path(__file__).parent.parent

EXTRAS = {
    "two dies": ("space.dies=2",),
    "a second memory": ("space.second_memory=lpddr5x_9600", "space.second_memory_devices=4"),
    "memory that multiplies beside its banks": (
        "space.memory=lpddr5x_pim_9600", "space.memory_device_bits=64", "space.memory_device_gib=8",
    ),
    "arrays of a shape": ("space.array_rows=64", "space.array_columns=64"),
    "four chips in two servers": (
        "workloads.chat_70b.n_chips=4", "workloads.chat_70b.node_chips=2", "space.link_gbps=100",
    ),
    "drafted tokens": ("workloads.chat_70b.speculation={draft: ngram, draft_tokens: 4, acceptance: 0.7}",),
    "lanes that skip zeros, over wide ranges": (
        "space.weight_format=bitmap_int4_s50", "space.weight_method=gptq", "space.weight_execution=skip",
        "space.lanes={low: 1, high: 4096, log: true}", "space.lane_block={low: 32, high: 512, log: true}",
        "space.lane_depth={low: 1, high: 16, step: 1}",
    ),
}  # fmt: skip
"""What `sweeps/mach1.yaml` may ask for beside what it does, by the settings that ask for it."""


def best_s(function: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least CPU time of a call: others on the machine only ever make it longer."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def both_s(one: Callable[[], object], other: Callable[[], object], rounds: int = 2 * ROUNDS) -> tuple[float, float]:
    """Return the least CPU time of a call of each, in turn, so that both see the machine as it is."""
    times = [(best_s(one, 1), best_s(other, 1)) for _ in range(rounds)]
    return min(first for first, _ in times), min(second for _, second in times)


class Case:
    """The sweep, and designs of it."""

    def __init__(self, file: str, seed: int = 0, overrides: Sequence[str] = ()) -> None:
        keep_freed_memory()
        search = ["search.sampler=random", f"search.seed={seed}", "search.n_designs=1_000_000"]
        self.spec = load_spec(file, overrides=[*search, *overrides])
        # Users beside the batches are worked out for what is kept, and have a ratio of their own below.
        batches = {name: one for name, one in self.spec.workloads.items() if one.batching != CONTINUOUS}
        self.spec = self.spec.model_copy(update={"workloads": batches})
        self.space, self.evaluator = Space(self.spec), Evaluator(self.spec)
        self.sampler = sampler_of(self.spec, self.space)

    def designs(self) -> Designs:
        return self.sampler.ask(CHUNK_ROWS)

    def outputs(self, designs: Designs) -> Mapping[str, FloatArray]:
        judged = self.evaluator.judged(designs).items()
        return {name if kind == "metrics" else f"margin {name}": column for (kind, name), column in judged}


def worker_rate(file: str, seed: int, seconds: float) -> tuple[int, float]:
    """Judge designs for some seconds; return how many, and the processor time."""
    case = Case(file, seed)
    designs = case.designs()
    case.evaluator.evaluate(designs, metrics=())
    count, start, own = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        case.evaluator.evaluate(designs, metrics=())
        count += CHUNK_ROWS
    return count, time.process_time() - own


def all_cores_per_s(file: str, cores: int, seconds: float = 4.0) -> float:
    """Return designs per second of so many processes at once, were each given a core of its own throughout.

    By processor time, as everywhere here: it shows whether processes slow each other down (caches, memory), not how
    much of the machine others have taken meanwhile.
    """
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        result = pool.starmap(worker_rate, [(file, seed, seconds) for seed in range(cores)], chunksize=1)
    return sum(count / spent for count, spent in result)


def check_agreement(case: Case, run: Callable[..., None], names: tuple[str, ...]) -> float:
    """Return the largest relative difference between loop and model on designs that neither has seen.

    Raises:
        SystemExit: they differ.
    """
    designs = case.designs()
    out = np.empty((len(names), CHUNK_ROWS))
    run(designs, out)
    worst = 0.0
    for name, got in zip(names, out, strict=True):
        want = case.outputs(designs)[name]
        if not np.array_equal(np.isnan(got), np.isnan(want)):
            raise SystemExit(f"the fused loop and the model differ on where {name} is missing")
        apart = np.abs(got - want) / np.maximum(np.abs(want), 1e-3)
        worst = max(worst, float(np.nanmax(apart, initial=0.0)))
        if worst > AGREEMENT:
            raise SystemExit(f"the fused loop and the model differ on {name}: {worst:.3g}")
    return worst


def stream_peak_gb(file: str, count: int) -> tuple[float, float]:
    """Search a stream of designs and return the peak memory of this process in GB, and the seconds."""
    spec = load_spec(file, overrides=["search.sampler=sobol", f"search.n_designs={count}"])
    start = time.perf_counter()
    outcome = explore(spec)
    assert outcome.evaluated >= count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, time.perf_counter() - start


def help_s() -> float:
    command = [sys.executable, "-c", "from dse.cli import main; main()", "--help"]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def goodput_ratio(case: Case, designs: Designs, static_s: float) -> float:
    """Return the time of the goodput of all workloads, batched continuously, over that of judging static batches."""
    served = {
        name: one.model_copy(update={"batching": CONTINUOUS, "batch": 1, "ttft_limit_ms": 1e5, "tpot_limit_ms": 100.0})
        for name, one in case.spec.workloads.items()
    }
    metrics = [f"{name}.goodput_tokens_per_s" for name in served]
    wanted = [case.spec.objectives[0].model_copy(update={"metric": one, "direction": "maximize"}) for one in metrics]
    changed = {"workloads": served, "objectives": wanted, "constraints": []}
    evaluator = Evaluator(case.spec.model_copy(update=changed))
    return best_s(lambda: evaluator.evaluate(designs, metrics=())) / static_s


def judged_and_fused_per_s(case: Case, designs: Designs) -> tuple[float, float, str]:
    """Return designs per second, judged and by one compiled loop of the same operations, and what is to be said of it.

    The latter is NaN where the model cannot be noted down as one list of operations: where a step is taken on some rows
    only.
    """

    def judge() -> None:
        case.evaluator.evaluate(designs, metrics=())

    try:
        loop, names, operations = fused_loop(case.outputs, designs)
    except (NotNotedError, TypeError) as error:
        told = f"No fused loop to compare with: a step of the model is taken on some rows only ({error})."
        return CHUNK_ROWS / best_s(judge), np.nan, told
    out = np.empty((len(names), CHUNK_ROWS))
    worst = check_agreement(case, loop, names)
    told = f"The fused loop has {operations} operations and agrees on {len(names)} outputs to {worst:.1e}."
    judged_s, fused_s = both_s(judge, lambda: loop(designs, out))
    return CHUNK_ROWS / judged_s, CHUNK_ROWS / fused_s, told


def replayed_ratios(case: Case) -> str:
    """Return the time of the model itself over that of its notes, for tables as evolution and as streams propose."""
    replayed, ratios = case.evaluator.replayed, {}
    for rows in GENERATION, CHUNK_ROWS:
        designs = case.designs().take(slice(0, rows))
        for _ in range(MOST_CALLS):
            replayed(designs)
        ratios[rows] = truediv(*both_s(partial(case.evaluator.judged, designs), partial(replayed, designs), ROUNDS))
    told = ", ".join(f"{ratio:.1f} times for {rows} designs" for rows, ratio in ratios.items())
    kind = replayed.kind
    asked = f"the model itself was asked for {kind.calls} of {kind.calls + kind.replays} tables"
    why = f" ({kind.refusal})" if kind.refusal else ""
    return f"Replayed tables are quicker than the model: {told}; {asked}{why}."


def extra_ratios() -> dict[str, float]:
    """Return the time that the model itself takes with each of `EXTRAS` over that without."""
    plain, ratios = Case(str(HOME / "sweeps/mach1.yaml")), {}
    usual = plain.designs()
    for name, overrides in EXTRAS.items():
        case = Case(str(HOME / "sweeps/mach1.yaml"), overrides=overrides)
        designs = case.designs()
        with_it, without = both_s(partial(case.evaluator.judged, designs), partial(plain.evaluator.judged, usual), 5)
        ratios[name] = with_it / without
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweep", default=str(HOME / "sweeps/mach1.yaml"))
    parser.add_argument("--stream", type=int, default=10_000_000, help="designs of the stream; 0 leaves it out")
    chosen = parser.parse_args()
    case, cores = Case(chosen.sweep), os.cpu_count() or 1
    designs, workloads = case.designs(), len(case.spec.workloads)

    judged, fused, told = judged_and_fused_per_s(case, designs)
    every = CHUNK_ROWS / best_s(lambda: case.evaluator.evaluate(designs))
    n_judged, n_every = (len(case.evaluator.evaluate(designs, metrics=one).metrics) for one in ((), None))
    added = (1 / every - 1 / judged) / (n_every - n_judged)
    singles = [designs.take(slice(row, row + 1)) for row in range(SINGLE)]
    single = SINGLE / best_s(lambda: [case.evaluator.evaluate(one, metrics=()) for one in singles], 3)
    together = all_cores_per_s(chosen.sweep, cores)

    print(f"{case.spec.name}: {workloads} workloads, chunks of {CHUNK_ROWS} designs\n")
    print("Ratios, one core")
    goodput = goodput_ratio(case, designs, CHUNK_ROWS / judged)
    print(f"  goodput over a static evaluation          {goodput:8.1f}  (at most 12 wanted)")
    print(f"  fused loop over columns, judged metrics   {fused / judged:8.2f}  (at most 2 wanted)")
    print(f"  columns over one design at a time         {judged / single:8.0f}")
    print(f"  judged metrics only over all metrics      {judged / every:8.2f}")
    print(f"  a metric added over a judged metric       {added / (1 / judged / n_judged):8.2f}  (at most 1.5 wanted)")
    print(f"  {cores} cores over one                         {together / judged:8.2f}")
    print("\nJudged metrics of Mach-1 with what it does not ask for, over those without")
    for name, ratio in extra_ratios().items():
        print(f"  {name:<41} {ratio:8.2f}")
    print("\nDesigns per second (times workloads: design-workload evaluations per second)")
    for name, rate in (
        ("judged metrics, one core", judged),
        ("all metrics, one core", every),
        (f"judged metrics, {cores} cores", together),
        ("fused loop, one core", fused),
        ("one design at a time", single),
    ):
        print(f"  {name:<28} {rate:12,.0f}  {rate * workloads:12,.0f}")
    print(f"\n{told}")
    print(replayed_ratios(case))
    print(f"dse --help takes {help_s():.2f} s.", flush=True)
    if chosen.stream:
        peak, seconds = stream_peak_gb(chosen.sweep, chosen.stream)
        rate = chosen.stream / seconds
        print(
            f"A search of {chosen.stream:,} designs, one process: {seconds:.0f} s ({rate:,.0f}/s), peak {peak:.2f} GB."
        )


if __name__ == "__main__":
    main()
