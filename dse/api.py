"""The Python side: load or build a sweep, run it, look at it as pandas frames, evaluate designs directly.

    from dse import load
    sweep = load("sweeps/quickstart.yaml")
    found = sweep.run(out="here")
    found.front, found.picks
    sweep.evaluate({"memory_devices": [8, 12, 16], "memory": "gddr6_16"})

Everything here is thin: what it does is documented where it is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.performance.derived import DerivedMetric
from cost_models.quantities.columns import parameter_of
from dse.evaluator import Evaluator
from dse.render.report import markup
from dse.render.terminal.comparison import comparison_table
from dse.render.terminal.summary import asked, constraints_table, found, picks_table
from dse.results.picks import default_pick
from dse.results.store import StoredRun
from dse.results.store import open_run as _open_run
from dse.runs import ProgressSink
from dse.runs import run as _run
from dse.space import Space
from dse.space.given import Values, given_designs
from dse.sweep import Spec, load_spec, parse_spec
from dse.sweep.shipped import sweep_file

if TYPE_CHECKING:
    import pandas as pd

    from dse.analysis.explain.records import Explanation
    from dse.render.explore.server import Explorer


@dataclass(frozen=True)
class Sweep:
    """A checked sweep.

    Attributes:
        spec: the record behind it.
    """

    spec: Spec

    @cached_property
    def space(self) -> Space:
        """The design space: unit cube to designs and back, its grid."""
        return Space(self.spec)

    @cached_property
    def evaluator(self) -> Evaluator:
        """What evaluates designs and baselines."""
        return Evaluator(self.spec)

    def run(
        self, *, out: Path | str | None = None, results: Path | str = "results", progress: ProgressSink | None = None
    ) -> Run:
        """Search the space, write a run directory, and return what was found.

        Args:
            out: the run directory; ``<results>/<name>/<UTC time>-<hash>`` where None.
            results: where run directories are made that have no place of their own.
            progress: told how it goes after every chunk.

        Raises:
            RunError: the run directory exists already or cannot be written.
        """
        return Run(_run(self.spec, out=out, results=results, progress=progress))

    def evaluate(self, designs: Values | pd.DataFrame) -> pd.DataFrame:
        """Return metrics, margins and feasibility of designs, one row each.

        Args:
            designs: a frame, or parameter to a value or to one value per design. What is left out has the value that
                the sweep fixes, or else its default; values outside of the sweep's space are evaluated all the same.

        Raises:
            SpecError: every column that is no parameter, and every value that its parameter cannot have.
        """
        import pandas as pd

        found = self.evaluator.evaluate(given_designs(self.space, self.spec, designs))
        margins = {f"margin {name}": margin for name, margin in found.margins.items()}
        return pd.DataFrame({**found.metrics, **margins, "feasible": found.feasible})

    def sample(self, designs: int, *, seed: int = 0) -> pd.DataFrame:
        """Return designs drawn evenly from the space."""
        unit = np.random.default_rng(seed).random((designs, len(self.space.dimensions)))
        return whole_numbers(self.space.decode(unit).to_frame())

    @property
    def default_design(self) -> dict[str, Any]:
        """The design with every parameter at its default or nearest to it."""
        (row,) = whole_numbers(self.space.default_design().to_frame()).to_dict("records")
        return {str(name): value for name, value in row.items()}

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Metrics of the baselines, one row each; NaN where missing."""
        import pandas as pd

        return pd.DataFrame(self.evaluator.baselines).T

    def __repr__(self) -> str:
        spec = self.spec
        counts = {
            "parameters vary": len(self.space.dimensions), "objectives": len(spec.objectives),
            "constraints": len(spec.constraints), "baselines": len(spec.baselines),
        }  # fmt: skip
        return f"Sweep({spec.name!r}: {', '.join(f'{count} {what}' for what, count in counts.items())})"

    def _repr_html_(self) -> str:
        return markup.heading(f"Sweep {self.spec.name}", 3) + markup.bullets(asked(self.spec))


@dataclass(frozen=True)
class Run:
    """What a run found; tables are pandas frames.

    Attributes:
        stored: the run directory behind it.
    """

    stored: StoredRun

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.stored.path

    @property
    def sweep(self) -> Sweep:
        """The sweep as it was run."""
        return Sweep(self.stored.spec)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Counts, timings, versions, hashes."""
        return self.stored.manifest

    @property
    def designs(self) -> pd.DataFrame:
        """The kept designs: parameters, metrics, margins, feasible, pareto."""
        return whole_numbers(self.stored.designs)

    @property
    def front(self) -> pd.DataFrame:
        """The feasible designs that no other beats."""
        return whole_numbers(self.stored.front)

    @cached_property
    def picks(self) -> pd.DataFrame:
        """The designs to look at first, one row each, by name."""
        import pandas as pd

        rows = {pick["name"]: {"id": pick["id"], **pick["design"], **pick["metrics"]} for pick in self.stored.picks}
        return whole_numbers(pd.DataFrame.from_dict(rows, orient="index"))

    @property
    def constraints(self) -> pd.DataFrame:
        """What each constraint did."""
        return self.stored.constraints

    @property
    def axes(self) -> pd.DataFrame:
        """Which values of each axis survive."""
        return self.stored.axes

    @property
    def baselines(self) -> pd.DataFrame:
        """Metrics of the baselines."""
        return self.stored.baselines

    def explain(self, design: int | str | None = None) -> Explanation:
        """Return why a design (id, pick or baseline; the knee where None) is as it is."""
        from dse.analysis.explain.inputs import explain_run_row

        return explain_run_row(self.stored, design)

    def compare(self) -> pd.DataFrame:
        """Return picks and baselines side by side, one row per workload and side."""
        import pandas as pd

        from dse.analysis.compare import compare

        designs = {str(pick["name"]): pick["design"] for pick in self.stored.picks}
        rows = [
            {"workload": one.workload, "name": entry.name, "kind": entry.kind, **entry.values}
            for one in compare(Evaluator(self.stored.spec), designs)
            for entry in one.entries
        ]
        return pd.DataFrame(rows)

    def plot(self, *kinds: str, formats: Sequence[str] = ("png",)) -> list[Path]:
        """Draw plots into the run's ``plots`` folder and return the files; every kind where none is named."""
        from dse.render.plots import plot_run

        return plot_run(self.stored, kinds=kinds or None, formats=formats)

    def report(self, out: Path | None = None) -> Path:
        """Write the offline HTML report and return the file."""
        from dse.render.report import write_report

        return write_report(self.stored, out=out)

    def explore(self, *, port: int = 0) -> Explorer:
        """Serve the page of `dse explore`; a notebook shows it where this is the last line of a cell.

        Args:
            port: of 127.0.0.1; 0 for any that is free.

        Raises:
            RunError: the run evaluated nothing, or the port is taken.
        """
        from dse.render.explore import explore

        return explore(self.stored, port=port)

    def __repr__(self) -> str:
        counts = self.stored.manifest["counts"]
        words = f"{counts['feasible']} of {counts['evaluated']} designs feasible, front {counts['front']}"
        return f"Run({self.stored.name!r}, {str(self.path)!r}: {words})"

    def _repr_html_(self) -> str:
        parts = [markup.heading(f"Run {self.stored.name}", 3), markup.bullets(found(self.stored))]
        if self.stored.picks:
            parts += [markup.table(picks_table(self.stored)), markup.table(constraints_table(self.stored))]
            parts += [markup.table(comparison_table(one, with_ratios=True)) for one in self._knee()]
        return "".join(parts)

    def _knee(self) -> list[Any]:
        from dse.analysis.compare import compare

        picks = {str(pick["name"]): pick["design"] for pick in self.stored.picks}
        knee = default_pick(picks)
        return [] if knee is None else compare(Evaluator(self.stored.spec), {knee: picks[knee]})[:1]


def load(
    source: Path | str | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    library: Sequence[Path | str] = (),
    metrics: Sequence[DerivedMetric] = (),
) -> Sweep:
    """Return a sweep.

    Args:
        source: a sweep file, the name of a shipped one, or the same as a mapping of plain values. Under ``library``
            it may hold entries that are added to the library: ``{"models": {"mine": {...}}, "chips": {...}}``.
        overrides: ``a.b=c`` texts that replace keys.
        library: directories of entries that are added to the library.
        metrics: derived metrics that the sweep may use beside the built-in ones.

    Raises:
        SpecError: every issue, each with its place.
        LibraryError: every issue of what is added to the library.
        ValueError: a derived metric cannot be.
    """
    if isinstance(source, Mapping):
        return Sweep(parse_spec(source, overrides=overrides, library=library, metrics=metrics))
    return Sweep(load_spec(sweep_file(Path(source)), overrides=overrides, library=library, metrics=metrics))


def run(source: Path | str | Mapping[str, Any] | Sweep, *, out: Path | str | None = None) -> Run:
    """Search the space of a sweep (see `load`), write a run directory, and return what was found.

    Raises:
        SpecError: every issue, each with its place.
        RunError: the run directory exists already or cannot be written.
    """
    sweep = source if isinstance(source, Sweep) else load(source)
    return sweep.run(out=out)


def open_run(where: Path | str = "latest", *, metrics: Sequence[DerivedMetric] = ()) -> Run:
    """Return a finished run.

    Args:
        where: a run directory, a folder of runs (its newest) or "latest".
        metrics: the derived metrics that its sweep uses.

    Raises:
        RunError: there is no run there.
    """
    return Run(_open_run(where, metrics=metrics))


def whole_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose columns of whole parameters hold integers, missing ones where a parameter does not apply."""
    changed = {}
    for column in frame.columns:
        parameter = parameter_of(str(column))
        if parameter is None or not parameter.integer or frame[column].dtype.kind != "f":
            continue
        numbers = frame[column].dropna()
        if (numbers == numbers.round()).all():
            changed[column] = frame[column].astype("int64" if len(numbers) == len(frame) else "Int64")
    return frame.assign(**changed)
