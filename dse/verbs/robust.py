"""``dse robust``: a run under joint draws of every ranged figure."""

from __future__ import annotations

import json
import math
from typing import Any

from dse.results.store import open_run
from dse.robustness.files import RobustRun, designs_frame, inputs_frame, write_robust
from dse.robustness.intervals import DRAWS
from dse.robustness.stored import MOST_DESIGNS, robust_run
from dse.terminal import console, counted_display, print_lines, print_table
from dse.terminal.robustness import chances_table, drawn_words, inputs_table, intervals_table


def judge_run(
    where: str, *, draws: int | None, seed: int | None, at_most: int | None, pick: str | None, output: str, plots: bool
) -> RobustRun:
    """Re-evaluate a run under joint draws, write tables and figures into its directory, and print them.

    Args:
        where: a run directory, a folder of runs or "latest".
        draws: number of joint draws; the sweep's, or 2000, where None.
        seed: their seed; the sweep's, or 0, where None.
        at_most: designs of the front to take; the sweep's, or 1000, where None.
        pick: the pick whose inputs are analysed; the knee where None.
        output: "table", "json" or "csv" (the designs).
        plots: whether figures are drawn.

    Raises:
        RunError: there is no such run, it kept no design, or has no such pick.
    """
    run = open_run(where).needs_ours("robust", model=False)
    asked = run.spec.robustness
    with counted_display("designs") as progress:
        found = robust_run(
            run,
            draws=draws if draws is not None else asked.draws if asked else DRAWS,
            seed=seed if seed is not None else asked.seed if asked else 0,
            at_most=at_most if at_most is not None else asked.designs if asked else MOST_DESIGNS,
            pick=pick,
            progress=progress,
        )
    files = write_robust(run.path, found)
    if plots:
        from dse.plots import plot_run

        files += plot_run(run.path, kinds=("robust",))
    if output == "json":
        print(json.dumps(_json(found), indent=2, allow_nan=False))
    elif output == "csv":
        print(designs_frame(found).to_csv(index=False, float_format="%.9g"), end="")
    else:
        out = console()
        print_lines(out, drawn_words(found), heading=f"{run.name} under joint draws  ({run.path})")
        if sum(found.on_front) < len(run.front):
            print_lines(out, [f"of the {len(run.front)} designs on the front; --designs takes more"])
        print_table(out, intervals_table(found, run.spec))
        print_table(out, chances_table(found, run.spec))
        print_table(out, inputs_table(found))
        print_lines(out, [str(file) for file in files], heading="Files")
    return found


def _json(found: RobustRun) -> dict[str, Any]:
    return {
        "draws": found.found.draws,
        "seed": found.found.seed,
        "figures": [spread.path for spread in found.found.spreads],
        "designs": _records(designs_frame(found)),
        "inputs_of": {"id": found.subject[0], "pick": found.subject[1]},
        "inputs": _records(inputs_frame(found.swings)),
    }


def _records(table: Any) -> list[dict[str, Any]]:
    return [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in one.items()}
        for one in table.to_dict("records")
    ]
