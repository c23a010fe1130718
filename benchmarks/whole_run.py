"""Where the time of a whole `dse run` goes, from the command to its last line, by stage.

    python benchmarks/whole_run.py [--sweeps quickstart mach1 mach1_100m] [--jobs 1 2] [--rounds N] [--set KEY=VALUE]
        [--forms table full csv json infeasible]

Every run is the command that users type, in a process of its own, with a clock around the functions of each stage. What
a stage calls of another one counts there; modules that a run imports as it needs them are imported first. Stages are
processor time of the process that was started, so that others on the machine do not count; "workers" is that of the
processes that it started. Medians over the rounds, which take the cases in turn; `mach1_100m`, which takes a minute, is
run once. Of the first sweep, the time from the end of the search to the answer is measured in every form as well, and
where nothing is feasible: to the verdict, and to what would do.
"""

from __future__ import annotations

import argparse
import atexit
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent.parent

STAGES = {
    "read": ("dse.sweep:load_spec", "dse.sweep.notices:warnings_of"),
    "prepare": ("dse.runs:Search.__init__", "dse.runs:_header"),
    "sample": (
        "dse.samplers.base:StreamingSampler.rows", "dse.samplers.chain:Chain.ask", "dse.samplers.chain:Chain.tell",
        "dse.samplers.chain:Chain.skip", "dse.samplers.chain:Seeds.add",
        "dse.samplers.evolve.sampler:EvolveSampler.ask", "dse.samplers.evolve.sampler:EvolveSampler.tell",
        "dse.search.pruning:Tables.split",
        "dse.search.pruning:Tables.__init__",
    ),
    "judge": (
        "dse.search.blocks:SearchContext.judge", "dse.evaluator:Evaluator.note", "dse.search.pruning:Tables.check",
    ),
    "keep": (
        "dse.results.archive:Archive.add", "dse.results.archive:Archive.merge",
        "dse.results.archive:Archive.hypervolume", "dse.results.statistics.counts:Statistics.add_decided",
    ),
    "journal": ("dse.search.journal:Journal.add", "dse.search.journal:Journal.remove"),
    "complete": ("dse.search.engine:Search.outcome", "dse.search.blocks:SearchContext.complete"),
    "draws": ("dse.runs:under_draws",),
    "write": ("dse.runs:_write", "dse.search.engine:Search.state"),
    "print": ("dse.cli.outcome:emit",),
    "report": ("dse.render.report:write_report",),
    "figures": ("dse.render.plots:plot_run",),
}  # fmt: skip
"""The functions of each stage, where they are looked up; some are imported by the command only when it needs them."""

LONG = "mach1_100m"

FORMS = {
    "table": (), "full": ("--full",), "csv": ("--format", "csv"), "json": ("--format", "json"),
    "infeasible": ("--set", "constraints=[{metric: cost_usd, max: 0.001}]"),
}  # fmt: skip
"""Options that ask for an answer of another form, or that leave nothing feasible."""

SEARCHED = ("sample", "judge", "keep", "journal")
LINES = ("start", "imports", *STAGES, "rest", "workers")


class Clock:
    """Processor time by stage, each without what it calls of the others."""

    def __init__(self) -> None:
        self.stages = dict.fromkeys(STAGES, 0.0)
        self.began: dict[str, float] = {}
        self.ended: dict[str, list[float]] = {}
        self._open: list[str] = []
        self._since = 0.0

    def _turn(self) -> None:
        now = time.process_time()
        if self._open:
            self.stages[self._open[-1]] += now - self._since
        self._since = now

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self._turn()
            self.began.setdefault(stage, self._since)
            self._open.append(stage)
            try:
                return function(*arguments, **options)
            finally:
                self._turn()
                self._open.pop()
                self.ended.setdefault(stage, []).append(self._since)

        return timed


def put_clocks(clock: Clock) -> None:
    """Put the clock around every function of every stage; one that is no longer there is an error."""
    for stage, places in STAGES.items():
        for place in places:
            module, _, name = place.partition(":")
            *outer, name = name.split(".")
            owner: Any = functools.reduce(getattr, outer, import_module(module))
            setattr(owner, name, clock.around(stage, getattr(owner, name)))


def measured(arguments: list[str], answer: Path) -> None:
    """Run the command with clocks, and write what they say."""
    from dse.cli import main as command

    started = time.process_time()
    clock = Clock()
    put_clocks(clock)
    ready = time.process_time()
    began = time.perf_counter()

    def note() -> None:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = {
            "start": started,
            "imports": ready - started,
            **clock.stages,
            "rest": time.process_time() - ready - sum(clock.stages.values()),
            "workers": children.ru_utime + children.ru_stime,
            "answer": clock.ended["print"][0] - clock.began["complete"],
            "last answer": clock.ended["print"][-1] - clock.began["complete"],
            "wall": time.perf_counter() - began + ready,
        }
        answer.write_text(json.dumps(told))

    atexit.register(note)
    sys.argv = ["dse", *arguments]
    command()


def one_run(sweep: str, jobs: int, overrides: list[str], form: Sequence[str] = ()) -> dict[str, float]:
    """Return the seconds of a run by stage; `form` holds options that say how it is printed."""
    with tempfile.TemporaryDirectory() as folder:
        answer, out = Path(folder) / "answer.json", Path(folder) / "run"
        options = [part for override in overrides for part in ("--set", override)]
        command = [sys.executable, __file__, "--answer", str(answer), "--", "run", sweep, "--out", str(out)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run(
            [*command, "--jobs", str(jobs), *options, *form], stdout=subprocess.DEVNULL, env=environment, check=False
        )
        if done.returncode not in (0, 3):
            raise SystemExit(f"dse run {sweep} ended with {done.returncode}")
        told: dict[str, float] = json.loads(answer.read_text())
        return told


def table(sweep: str, cases: dict[int, list[dict[str, float]]]) -> None:
    """Print the stages of one sweep, a column per number of processes."""
    middle = {
        jobs: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for jobs, runs in cases.items()
    }
    totals = {jobs: sum(one[line] for line in LINES) for jobs, one in middle.items()}
    print(f"\n{sweep}" + "".join(f"{f'{jobs} process(es)':>22}" for jobs in middle))
    for line in LINES:
        cells = [f"{one[line]:14.2f} s {one[line] / totals[jobs]:5.0%}" for jobs, one in middle.items()]
        print(f"  {line:<10}" + "".join(cells))
    print(f"  {'processor':<10}" + "".join(f"{total:14.2f} s {'':5}" for total in totals.values()))
    print(f"  {'wall':<10}" + "".join(f"{one['wall']:14.2f} s {'':5}" for one in middle.values()))
    searches = {jobs: sum(one[stage] for stage in SEARCHED) for jobs, one in middle.items()}
    alone, first, last = middle[min(middle)], min(middle), max(middle)
    if alone["judge"]:
        beside = searches[first] / alone["judge"] - 1
        print(f"  sampling, keeping and journal over judging {beside:.2f} (at most 1 wanted)")
    if last > first:
        quicker = searches[first] / searches[last]
        print(f"  processor time of the search, over that of the first of {last} processes {quicker:.2f} (1.7 wanted)")
    print(f"  from the end of the search to the answer {alone['answer']:.2f} s of processor time (1 wanted)")


def answers(sweep: str, overrides: list[str], rounds: int, forms: Iterable[str]) -> None:
    """Print how long the answer takes in some forms of `FORMS`."""
    print(f"\n{sweep}: from the end of the search to the answer, in processor time")
    for form in forms:
        options = (*FORMS[form], "--draw", "none", "--no-report")
        runs = [one_run(sweep, 1, overrides, options) for _ in range(rounds)]
        first, last = (statistics.median(run[key] for run in runs) for key in ("answer", "last answer"))
        print(f"  {form:<10}{first:6.2f} s" + (f", what would do after {last:.2f} s" if last > first else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", nargs="*", default=["quickstart", "mach1", LONG])
    parser.add_argument("--jobs", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--forms", nargs="*", choices=FORMS, default=[*FORMS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.answer:
        measured(chosen.command, chosen.answer)
        return
    for sweep in chosen.sweeps:
        cases: dict[int, list[dict[str, float]]] = {jobs: [] for jobs in chosen.jobs}
        for _ in range(1 if sweep == LONG else chosen.rounds):
            for jobs, runs in cases.items():
                runs.append(one_run(sweep, jobs, chosen.set))
        table(sweep, cases)
    answers(chosen.sweeps[0], chosen.set, chosen.rounds, chosen.forms)


if __name__ == "__main__":
    main()
