"""The figures of a run, as files. The only room that knows matplotlib, which is imported when something is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dse.errors import Fault, Place, RunError, SpecError
from dse.results.picks import default_pick
from dse.results.store import StoredRun, open_run
from dse.spec.words import one_of, quoted, suggest

KINDS = (
    "pareto", "pareto3d", "parallel", "roofline", "breakdown", "floorplan", "latency", "sensitivity", "hypervolume",
    "margins", "robust",
)  # fmt: skip
"""What can be drawn: the front; parallel coordinates; of the knee its rooflines, its die, and its latency against batch
and context; power, area and cost by block; which parameters decide; the progress of the search; how far designs are
from each constraint; joint draws."""

OWN_KINDS = ("pareto", "pareto3d", "parallel", "hypervolume", "margins")
"""Those that show no built-in equations: what is drawn of a run whose model replaces them."""

FORMATS = ("png", "svg", "pdf")


def plot_run(
    run_path: Path | str | StoredRun, *, kinds: Sequence[str] | None = None, formats: Sequence[str] = ("png",)
) -> list[Path]:
    """Draw the figures of a run into its ``plots`` folder and return the files.

    The same run gives the same bytes. Where nothing is feasible, the nearest misses are drawn and the figure says so.

    Args:
        run_path: a run, its directory, a folder of runs or "latest".
        kinds: which of `KINDS`; all where None, "robust" among them where the run has met joint draws.
        formats: which of `FORMATS`.

    Raises:
        SpecError: a kind or format does not exist.
        RunError: there is no such run, a file of it is damaged, or "robust" is asked for before `dse robust`.
    """
    wanted = tuple(dict.fromkeys(formats))
    _check("--kind", kinds or (), KINDS)
    _check("--image-format", wanted, FORMATS)
    run = open_run(run_path)
    every = OWN_KINDS if run.spec.is_replaced else KINDS
    chosen = every if kinds is None else tuple(dict.fromkeys(kinds))
    _check("--kind", chosen, every)
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)

    from dse.evaluate import Evaluator
    from dse.plots.breakdown import draw_breakdowns
    from dse.plots.design import draw_floorplan, draw_latency
    from dse.plots.margins import draw_margins
    from dse.plots.parallel import draw_parallel
    from dse.plots.pareto import draw_pareto
    from dse.plots.reading import explanations_of, scene_of
    from dse.plots.robustness import draw_robustness, has_draws
    from dse.plots.roofline import draw_rooflines
    from dse.plots.scene import ShownPick
    from dse.plots.space import draw_hypervolume, draw_pareto_3d, draw_sensitivity
    from dse.plots.style import drawing
    from dse.spec.additions import library_of

    paths: list[Path] = []
    chief = default_pick(str(pick["name"]) for pick in run.picks) or ""
    with drawing():
        if {"pareto", "pareto3d", "parallel"} & set(chosen):
            scene = scene_of(run)
            paths += draw_pareto(scene, folder, wanted) if "pareto" in chosen else []
            paths += draw_pareto_3d(scene, folder, wanted) if "pareto3d" in chosen else []
            paths += draw_parallel(scene, folder, wanted) if "parallel" in chosen else []
        if {"roofline", "breakdown", "floorplan"} & set(chosen) and run.picks:
            picks, baselines = explanations_of(run)
            name = next(text for text in picks if ShownPick((chief,), {}).text in text.split(", "))
            paths += draw_rooflines(name, picks[name], baselines, folder, wanted) if "roofline" in chosen else []
            paths += (
                draw_floorplan(name, picks[name], library_of(run.spec.library), folder, wanted)
                if "floorplan" in chosen
                else []
            )
            paths += draw_breakdowns(picks, baselines, folder, wanted) if "breakdown" in chosen else []
        if "latency" in chosen and run.picks:
            design = next(pick["design"] for pick in run.picks if pick["name"] == chief)
            paths += draw_latency(chief.replace("_", " "), Evaluator(run.spec), design, folder, wanted)
        paths += draw_sensitivity(run, folder, wanted) if "sensitivity" in chosen else []
        paths += draw_hypervolume(run, folder, wanted) if "hypervolume" in chosen and len(run.progress) else []
        paths += draw_margins(run, folder, wanted) if "margins" in chosen and len(run.margins) else []
        if "robust" in chosen and has_draws(run):
            paths += draw_robustness(run, folder, wanted)
        elif kinds is not None and "robust" in chosen:
            raise RunError(f"{run.path}: has met no joint draws yet; dse robust makes them")
    return paths


def _check(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    faults = [
        Fault(Place(option), "", quoted(name), one_of(known), suggest(name, known))
        for name in given
        if name not in known
    ]
    if faults:
        raise SpecError(faults)
