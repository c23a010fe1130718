"""How a search scales: two processes and two Dask workers over one, and its time by what a sweep asks for.

    python benchmarks/scaling.py [--designs N] [--rounds N] [--picture FILE] [--no-dask]

A worker is a process of its own behind a real Dask scheduler, on the loopback of this machine. "By the clock" is what
one waits for; "by processor time" is the time of one process over the longest time of any of several, what one would
wait for were nothing else running. Both are medians over rounds that take the cases in turn. What a design takes is
processor time of one process, without what is done once for a search.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from grid import Meter

from dse.parallelism import Parallelism
from dse.render.plots.style import SERIES, drawing, new_figure, save
from dse.replay import NOTED_ROWS
from dse.runs import explore
from dse.search.blocks import SearchContext
from dse.sweep import Spec, load_spec, parse_spec

HOME = Path(__file__).parent.parent
BLOCK = 1 << 16

SPACE: Mapping[str, Any] = {
    "memory_devices": {"low": 2, "high": 24, "step": 1},
    "macs": {"low": 8192, "high": 524288, "log": True},
    "memory": {"values": ["lpddr5x_9600", "hbm2e", "hbm3"]},
    "node": {"values": ["samsung_8", "samsung_5", "samsung_4", "tsmc_5"]},
    "clock_ghz": {"low": 0.6, "high": 1.6, "step": 0.1},
    "sram_mib": {"low": 16, "high": 256, "log": True},
    "weight_format": {"values": ["int4_g128", "int3_g128", "fp8", "bf16"]},
    "kv_bits": {"values": [4, 8, 16]},
    "act_bits": {"values": [8, 16]},
    "vector_lanes": {"low": 256, "high": 8192, "log": True},
    "host_lanes": {"low": 0, "high": 16, "step": 4},
    "cores": {"low": 1, "high": 64, "log": True},
}
"""Parameters, the ones that matter most first."""

METRICS = (
    "chat.tpot_ms", "cost_usd", "tdp_w", "chat.ttft_ms", "die_mm2", "chat.tokens_per_joule", "chat.tokens_per_s",
    "chat.decode_w", "chat.perplexity_ratio", "chat.prefill_w", "chat.energy_per_token_mj", "chat.memory_used_gib",
)  # fmt: skip
"""Metrics that constraints and objectives are of; those that this version does not know are left out."""


def sweep(*, workloads: int = 1, constraints: int = 1, axes: int = 6, objectives: int = 2) -> Spec:
    """Return a sweep of so many of each."""
    chat = {"model": "llama3_8b", "prompt_tokens": 512, "output_tokens": 256}
    known = [metric for metric in METRICS if is_known(metric)]
    bounds = [{"metric": metric, "max": 1e9} for metric in known]
    if constraints > len(bounds):
        bounds += [{"metric": metric, "min": 0} for metric in known]
    names = ["chat", *(f"chat_{number}" for number in range(1, workloads))]
    return parse_spec({
        "name": "scaling",
        "workloads": {name: {**chat, "batch": 8 + number} for number, name in enumerate(names)},
        "space": dict(list(SPACE.items())[:axes]),
        "economics": {"units": 100_000, "margin": 0.4, "nre_share": 0.3},
        "objectives": [{"metric": metric, "direction": "minimize"} for metric in known[:objectives]],
        "constraints": [*bounds[:constraints], *({"metric": f"{name}.tpot_ms", "max": 1e9} for name in names[1:])],
        "search": {"sampler": "random", "n_designs": 1 << 30},
        "results": {"keep_all_up_to": 0},
    })  # fmt: skip


def is_known(metric: str) -> bool:
    from cost_models.quantities.metrics import METRICS as ALL

    return metric.partition(".")[2] in ALL or metric in ALL


def per_design_us(spec: Spec, designs: int) -> tuple[dict[str, float], int]:
    """Return processor time per design by part, and the size of the front that was found."""
    work, rows = SearchContext(spec), min(designs, BLOCK)
    work.evaluator.note(work.space.scattered(NOTED_ROWS))  # as a search does that is to take long
    work.keep_block(0, rows)
    kept = work.keeper()
    parts = dict.fromkeys(("sample", "evaluate", "keep"), 0.0)
    with mock.patch("time.perf_counter", time.process_time):
        for first in range(rows, rows + designs, rows):
            block = work.keep_block(first, first + rows)
            start = time.process_time()
            kept.merge(block.keeper)
            merged = time.process_time() - start
            parts = {name: parts[name] + block.parts[name] + merged * (name == "keep") for name in parts}
    return {name: seconds / designs * 1e6 for name, seconds in parts.items()}, kept.front_size


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """Provide the address of a Dask scheduler with so many workers on loopback."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        common = ("--scheduler-file", str(file), "--no-dashboard")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])}

        def started(program: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", f"distributed.cli.{program}", *common, *arguments]
            return subprocess.Popen(command, env=environment, **quiet)  # type: ignore[call-overload,no-any-return]

        running = [started("dask_scheduler", "--host", "127.0.0.1", "--port", "0")]
        try:
            while not file.exists():
                time.sleep(0.1)
            place = ("--local-directory", folder, "--nworkers", "1", "--nthreads", "1", "--no-nanny")
            running += [started("dask_worker", *place) for _ in range(workers)]
            yield json.loads(file.read_text())["address"]
        finally:
            for process in running:
                process.kill()
                process.wait()


def timed(spec: Spec, spread: Parallelism) -> tuple[float, float]:
    """Return seconds by the clock, and the most processor time of any process that takes part."""
    meter = Meter()
    meter.look()
    before, start = dict(meter.processor_s), time.perf_counter()
    explore(spec, spread=spread, progress=meter)
    seconds = time.perf_counter() - start
    meter.look()
    return seconds, max(spent - before.get(pid, 0.0) for pid, spent in meter.processor_s.items())


def ratios(designs: int, rounds: int, *, dask: bool) -> None:
    """Print how much quicker two are than one."""
    file, overrides = HOME / "sweeps/mach1.yaml", ["search.sampler=random", f"search.n_designs={designs}"]
    spec = load_spec(file, overrides=overrides)
    print(f"{spec.name}, {designs:,} random designs; medians of {rounds} rounds")
    compare("processes", spec, {count: Parallelism(count) for count in (1, 2)}, rounds)
    if dask:
        with cluster(1) as one, cluster(2) as two:
            places = {1: Parallelism(0, "dask", one), 2: Parallelism(0, "dask", two)}
            for place in places.values():
                explore(spec.model_copy(update={"search": spec.search.model_copy(update={"n_designs": BLOCK * 4})}),
                        spread=place)  # fmt: skip
            compare("Dask workers", spec, places, rounds)


def compare(what: str, spec: Spec, places: Mapping[int, Parallelism], rounds: int) -> None:
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in places}
    for _ in range(rounds):
        for count, place in places.items():
            found[count].append(timed(spec, place))
    clock, longest = (
        {count: statistics.median(one[which] for one in runs) for count, runs in found.items()} for which in (0, 1)
    )
    print(
        f"  two {what} over one: {clock[1] / clock[2]:.2f} by the clock ({clock[1]:.1f} s, {clock[2]:.1f} s), "
        f"{longest[1] / longest[2]:.2f} by processor time",
        flush=True,
    )


CASES: Mapping[str, tuple[Sequence[int], Callable[[int], Spec]]] = {
    "workloads": ((1, 2, 4, 8), lambda n: sweep(workloads=n)),
    "constraints": ((0, 2, 4, 8, 16), lambda n: sweep(constraints=n)),
    "axes": ((2, 4, 6, 8, 10), lambda n: sweep(axes=n)),
    "objectives": ((1, 2, 3, 4, 5), lambda n: sweep(objectives=n)),
}


def grown(designs: int, picture: Path | None) -> None:
    """Print, and draw, what a design takes by what the sweep asks for."""
    found = {}
    for what, (numbers, made) in CASES.items():
        found[what] = [(number, *per_design_us(made(number), designs)) for number in numbers]
        print(f"\n{what:>12} {'front':>8} {'sample':>8} {'evaluate':>8} {'keep':>8}   µs per design")
        for number, parts, front in found[what]:
            print(f"{number:>12} {front:>8}" + "".join(f" {seconds:8.3f}" for seconds in parts.values()), flush=True)
    if picture is None:
        return
    with drawing():
        figure = new_figure(9.0, 5.6)
        for axis, (what, rows) in zip(figure.subplots(2, 2).flat, found.items(), strict=True):
            numbers = [row[2] if what == "objectives" else row[0] for row in rows]
            for place, part in enumerate(("sample", "evaluate", "keep")):
                axis.plot(numbers, [row[1][part] for row in rows], marker="o", color=SERIES[place], label=part)
            axis.set(xlabel="designs on the front" if what == "objectives" else what, ylabel="µs per design")
            axis.set_ylim(bottom=0)
            if what == "objectives":
                axis.set_xscale("log")
                for row in rows:
                    axis.annotate(f"{row[0]}", (row[2], row[1]["keep"]), (0, 4), textcoords="offset points")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        save(figure, picture.parent, picture.stem, [picture.suffix[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=1 << 23, help="of the searches that are spread")
    parser.add_argument("--sampled", type=int, default=1 << 19, help="designs by which the time of one is told")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="where a plot is drawn (PNG, SVG or PDF)")
    parser.add_argument("--no-dask", action="store_true")
    chosen = parser.parse_args()
    ratios(chosen.designs, chosen.rounds, dask=not chosen.no_dask)
    grown(chosen.sampled, chosen.picture)


if __name__ == "__main__":
    main()
