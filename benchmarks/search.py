"""How near every sampler comes to the exact front of a space that can be enumerated, and how soon.

    python benchmarks/search.py [--sweep FILE] [--seeds N] [--picture FILE]

The grid is enumerated once; its front is the ruler. The volume that a sampler's front dominates is stated as a share of
what the exact front dominates, every objective scaled to the range of the exact front, below a point a tenth of that
range beyond its worst corner. Seconds are processor time of one process, so that others on the machine do not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.table import FloatArray
from dse.front import Front, hypervolume, normalised
from dse.render.plots.style import DASHES, SERIES, drawing, new_figure, save
from dse.runs import explore
from dse.samplers.base import Feedback
from dse.search.blocks import SearchContext
from dse.sweep import Spec, load_spec

HOME = Path(__file__).parent.parent
BEYOND = 0.1
"""The reference point lies so far beyond the worst corner of the exact front, as a share of its range."""

WANTED = 0.99
LOOKS = 60
"""Times that the volume is taken over a search, closer together at its beginning."""

SLOW_SEEDS = 3
"""Seeds of samplers that take minutes."""


@dataclass(frozen=True)
class Contender:
    """A sampler with its options, the most designs it is given (those of the budget where None), whether it is slow."""

    name: str
    sampler: str
    options: Mapping[str, Any]
    most: int | None = None
    is_slow: bool = False


CONTENDERS = (
    Contender("random", "random", {}),
    Contender("sobol", "sobol", {}),
    Contender("evolve", "evolve", {}),
    Contender("sobol+evolve", "sobol+evolve", {}),
    Contender("evolve, 5 000 designs", "evolve", {}, 5_000),
    Contender("Optuna's NSGA-II", "nsgaii", {}, 5_000, is_slow=True),
    Contender("Optuna's TPE", "tpe", {}, 500, is_slow=True),
)


@dataclass(frozen=True)
class Curve:
    """Designs evaluated, processor seconds and the share of the exact volume, from look to look."""

    designs: FloatArray
    seconds: FloatArray
    share: FloatArray

    def reached(self, share: float) -> tuple[float, float]:
        """Return designs and seconds until a share was reached, infinite where it never was."""
        at = np.flatnonzero(self.share >= share)
        return (float(self.designs[at[0]]), float(self.seconds[at[0]])) if len(at) else (np.inf, np.inf)

    def at(self, designs: float) -> float:
        """Return the share after so many designs, NaN where the search was shorter."""
        if designs > self.designs[-1]:
            return float("nan")
        return float(self.share[np.searchsorted(self.designs, designs, side="right") - 1])


class Ruler:
    """Measures fronts against the exact one."""

    def __init__(self, exact: FloatArray) -> None:
        self.ideal, self.nadir = exact.min(axis=0), exact.max(axis=0)
        self._reference = np.full(exact.shape[1], 1 + BEYOND)
        self._whole = hypervolume(normalised(exact, self.ideal, self.nadir), self._reference)

    def share(self, objectives: FloatArray) -> float:
        return hypervolume(normalised(objectives, self.ideal, self.nadir), self._reference) / self._whole


def searched(spec: Spec, ruler: Ruler, budget: int) -> Curve:
    """Search with at most `budget` designs and return how it went."""
    work, front = SearchContext(spec), Front(len(spec.objectives))
    looks = iter(np.unique(np.geomspace(min(64, budget), budget, LOOKS).astype(int)).tolist())
    result, place, look, spent = [], 0, next(looks), 0.0
    while place < budget:
        start = time.process_time()
        designs = work.sampler.ask(min(look, budget) - place)
        if not designs:
            break
        judged = work.judge(designs)
        ids = np.arange(place, place + designs.rows, dtype=np.int64)
        work.sampler.tell(Feedback.of(ids, judged))
        front.update(judged.objectives, ids, judged.feasible)
        place += len(ids)
        spent += time.process_time() - start
        if place >= look or place >= budget:
            result.append((place, spent, ruler.share(front.objectives)))
            look = next(looks, budget)
    return Curve(*np.array(result).T)


def spec_for(sweep: str, contender: Contender, seed: int, budget: int) -> Spec:
    """Return the sweep with a sampler that proposes no more than the budget, if it can be told so."""
    spec = load_spec(sweep, overrides=["search.sampler=grid"])
    designs = budget
    while True:
        search = spec.search.model_copy(
            update={"sampler": contender.sampler, "options": contender.options, "n_designs": designs, "seed": seed}
        )
        made = spec.model_copy(update={"search": search})
        total = SearchContext(made).sampler.total
        # Sobol points come in powers of two; alone they are cut off, but what follows a screen must come to its turn.
        if "+" not in contender.sampler or (total or 0) <= budget:
            return made
        designs = int(designs * 0.95)


def median(values: Sequence[float]) -> float:
    return float(np.median(values))


def spread(values: Sequence[float]) -> str:
    if np.isnan(values).all():
        return "-"
    return f"{median(values):6.1%} [{min(values):.1%}, {max(values):.1%}]"


def line(name: str, curves: Sequence[Curve], size: int) -> str:
    """Return one row of the table."""
    designs, seconds = zip(*(curve.reached(WANTED) for curve in curves), strict=True)
    reached = f"{median(designs):10,.0f} {median(designs) / size:8.3%} {median(seconds):8.2f}"
    if not np.isfinite(median(designs)):
        reached = f"{'never':>10} {'':>8} {'':>8}"
    rate = median([curve.designs[-1] / curve.seconds[-1] for curve in curves])
    shares = [spread([curve.at(share * size) for curve in curves]) for share in (1e-4, 1e-3)]
    last = spread([curve.share[-1] for curve in curves])
    ends = f"{len(curves):3} {curves[0].designs[-1]:9,.0f} {rate:10,.0f}"
    return f"{name:24} {ends} {shares[0]:>24} {shares[1]:>24} {last:>24} {reached}"


HEADER = (
    f"{'':24} {'n':>3} {'designs':>9} {'designs/s':>10} {'at 0.01 %':>24} {'at 0.1 %':>24} "
    f"{'at its end':>24} {'to 99 %':>10} {'of grid':>8} {'seconds':>8}"
)


def draw(curves: Mapping[str, Sequence[Curve]], size: int, file: Path) -> None:
    """Draw what is missing of the exact volume over designs and over seconds: medians, and ranges over the seeds."""
    with drawing():
        figure = new_figure(9.0, 4.0)
        axes = figure.subplots(1, 2, sharey=True)
        for place, (name, result) in enumerate(curves.items()):
            colour, dash = SERIES[place % len(SERIES)], DASHES[place % len(DASHES)]
            missing = np.array([np.maximum(1 - curve.share, 1e-4) for curve in result])
            for axis, ways in zip(axes, ([c.designs for c in result], [c.seconds for c in result]), strict=True):
                way = np.median(ways, axis=0)
                axis.plot(way, np.median(missing, axis=0), color=colour, linestyle=dash, label=name)
                axis.fill_between(way, missing.min(axis=0), missing.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        for axis, label in zip(axes, ("designs evaluated", "processor seconds, one core"), strict=True):
            axis.set(xscale="log", yscale="log", xlabel=label, ylim=(1e-4, 1.2))
            axis.margins(x=0.06)
            axis.axhline(1 - WANTED, color="black", linewidth=0.8)
        axes[0].axvline(0.01 * size, color="black", linewidth=0.8, linestyle=":")
        axes[0].set(ylabel="missing share of the exact hypervolume")
        axes[0].set_title(f"A grid of {size / 1e6:.1f} million designs")
        axes[0].annotate("99 % of it", (axes[0].get_xlim()[0], 1 - WANTED), (4, 3), textcoords="offset points")
        axes[0].annotate("1 % of\nthe grid", (0.01 * size, 2e-4), (4, 0), textcoords="offset points")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        file.parent.mkdir(parents=True, exist_ok=True)
        save(figure, file.parent, file.stem, [file.suffix[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", default=str(HOME / "sweeps/mach1_grid.yaml"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.01, help="budget of the fast samplers, as a share of the grid")
    parser.add_argument("--only", nargs="*", help="contenders whose names hold one of these")
    parser.add_argument("--picture", type=Path, help="where a plot is drawn (PNG, SVG or PDF)")
    chosen = parser.parse_args()
    spec = load_spec(chosen.sweep, overrides=["search.options.prune=true"])
    start = time.process_time()
    outcome = explore(spec)
    exact = outcome.front
    if exact is None:
        raise SystemExit(f"{chosen.sweep} has no feasible design: there is nothing to measure against")
    size, ruler = outcome.evaluated, Ruler(exact.evaluation.objectives)
    print(f"{spec.name}: {size:,} designs, {outcome.feasible:,} feasible, {len(exact)} on the exact front;")
    seconds = time.process_time() - start
    print(f"the ruler, grid with prune: {seconds:.1f} s of processor time, {outcome.decided:,} of them decided without")
    print(f"evaluation. Medians over n seeds [least, most].\n\n{HEADER}", flush=True)
    curves: dict[str, list[Curve]] = {}
    for contender in CONTENDERS:
        if chosen.only and not any(part in contender.name for part in chosen.only):
            continue
        budget = min(int(chosen.share * size), contender.most or size)
        seeds = min(chosen.seeds, SLOW_SEEDS) if contender.is_slow else chosen.seeds
        curves[contender.name] = [
            searched(spec_for(chosen.sweep, contender, seed, budget), ruler, budget) for seed in range(seeds)
        ]
        print(line(contender.name, curves[contender.name], size), flush=True)
    if chosen.picture:
        draw(curves, size, chosen.picture)


if __name__ == "__main__":
    main()
