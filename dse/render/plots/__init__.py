"""The plots of a run, as files. The only room that knows matplotlib, which is imported when something is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from dse.errors import Issue, Place, RunError, SpecError
from dse.results.picks import default_pick
from dse.results.store import StoredRun, open_run
from dse.sweep.hints import one_of, quoted, suggest

KINDS = (
    "pareto", "curve", "margins", "pairs", "parallel", "roofline", "breakdown", "floorplan", "latency", "sensitivity",
    "hypervolume", "robust",
)  # fmt: skip
"""What can be drawn: the front over its first objectives; throughput of picks and baselines against speed per user, or
the latency of the knee where one batch is all that fits; how far designs are from each constraint; the front over the
other pairs of objectives; parallel coordinates; of the knee its rooflines, its die, and its latency against batch and
context; power, area and cost by block; which parameters decide; the progress of the search; Monte Carlo samples."""

FIRST_KINDS = ("pareto", "curve", "margins")
"""Those that a run draws unless told otherwise."""

OWN_KINDS = ("pareto", "pairs", "parallel", "hypervolume", "margins")
"""Those that show no built-in equations: what is drawn of a run whose model replaces them."""

FORMATS = ("png", "svg", "pdf")


Failed = Callable[[str, Exception], None]
"""What is told of a kind of picture that could not be drawn."""


def first_kinds(run: StoredRun) -> tuple[str, ...]:
    """Return what is drawn of a run unless told otherwise: of `FIRST_KINDS` those that its model allows."""
    return tuple(kind for kind in FIRST_KINDS if not run.spec.builtin_disabled or kind in OWN_KINDS)


def plot_run(
    run_path: Path | str | StoredRun,
    *,
    kinds: Sequence[str] | None = None,
    formats: Sequence[str] = ("png",),
    failed: Failed | None = None,
) -> list[Path]:
    """Draw the plots of a run into its ``plots`` folder and return the files.

    The same run gives the same bytes. Where nothing is feasible, the least infeasible designs are drawn and the
    parameter says so.

    Args:
        run_path: a run, its directory, a folder of runs or "latest".
        kinds: which of `KINDS`; all where None, "robust" among them where the run has met Monte Carlo samples.
        formats: which of `FORMATS`.
        failed: told of each kind that could not be drawn, so that the others are; errors are raised where None.

    Raises:
        SpecError: a kind or format does not exist.
        RunError: there is no such run, a file of it is damaged, or "robust" is asked for before `dse robust`.
    """
    wanted = tuple(dict.fromkeys(formats))
    _check("--kind", kinds or (), KINDS)
    _check("--image-format", wanted, FORMATS)
    run = open_run(run_path)
    every = OWN_KINDS if run.spec.builtin_disabled else KINDS
    chosen = every if kinds is None else tuple(dict.fromkeys(kinds))
    _check("--kind", chosen, every)
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)

    from dse.render.plots.breakdown import draw_breakdowns
    from dse.render.plots.curve import draw_curves
    from dse.render.plots.floorplan import draw_floorplan
    from dse.render.plots.latency import draw_latency
    from dse.render.plots.margins import draw_margins
    from dse.render.plots.parallel import draw_parallel
    from dse.render.plots.pareto import draw_pairs, draw_pareto
    from dse.render.plots.reading import curves_of, explanations_of, scene_of
    from dse.render.plots.robustness import draw_robustness
    from dse.render.plots.roofline import draw_rooflines
    from dse.render.plots.space import draw_hypervolume, draw_sensitivity
    from dse.render.plots.style import drawing
    from dse.render.terminal.summary import pick_words
    from dse.sweep.library_additions import library_of
    from dse.uncertainty.files import has_draws

    chief = default_pick(str(pick["name"]) for pick in run.picks) or ""
    scene, explained = cache(lambda: scene_of(run)), cache(lambda: explanations_of(run))

    def chosen_pick() -> str:
        return next(text for text in explained()[0] if pick_words(chief, run.spec) in text.split(", "))

    def rooflines() -> list[Path]:
        picks, baselines = explained()
        return draw_rooflines(chosen_pick(), picks[chosen_pick()], baselines, folder, wanted)

    def floorplan() -> list[Path]:
        name = chosen_pick()
        return draw_floorplan(name, explained()[0][name], library_of(run.spec.library), folder, wanted)

    def latency() -> list[Path]:
        design = next(pick["design"] for pick in run.picks if pick["name"] == chief)
        return draw_latency(chief.replace("_", " "), run.evaluator, design, folder, wanted)

    def robust() -> list[Path]:
        if has_draws(run):
            return draw_robustness(run, folder, wanted)
        if kinds is None:
            return []
        raise RunError(f"{run.path}: has met no Monte Carlo samples yet; dse robust makes them")

    drawers: dict[str, Callable[[], list[Path]]] = {
        "pareto": lambda: draw_pareto(scene(), folder, wanted),
        "curve": lambda: draw_curves(curves_of(run), folder, wanted) or latency() if run.picks else [],
        "margins": lambda: draw_margins(run, folder, wanted) if len(run.margins) else [],
        "pairs": lambda: draw_pairs(scene(), folder, wanted),
        "parallel": lambda: draw_parallel(scene(), folder, wanted),
        "roofline": lambda: rooflines() if run.picks else [],
        "floorplan": lambda: floorplan() if run.picks else [],
        "breakdown": lambda: draw_breakdowns(*explained(), folder, wanted) if run.picks else [],
        "latency": lambda: latency() if run.picks else [],
        "sensitivity": lambda: draw_sensitivity(run, folder, wanted),
        "hypervolume": lambda: draw_hypervolume(run, folder, wanted),
        "robust": robust,
    }
    paths: list[Path] = []
    with drawing():
        for kind in (name for name in drawers if name in chosen):
            try:
                paths += drawers[kind]()
            except Exception as error:
                if failed is None:
                    raise
                failed(kind, error)
    return paths


def _check(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    issues = [
        Issue(Place(option), "", quoted(name), one_of(known), suggest(name, known))
        for name in given
        if name not in known
    ]
    if issues:
        raise SpecError(issues)
