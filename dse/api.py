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
from cost_models.quantities import PARAMETERS, TECHNOLOGY_PREFIX, WORKLOAD_FIELDS
from cost_models.table import Column, Table, column_of
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
from dse.sweep import Spec, load_spec, parse_spec
from dse.sweep.shipped import sweep_file

if TYPE_CHECKING:
    import pandas as pd

    from dse.analysis.explain import Explanation

Values = Mapping[str, Any]
"""Designs as people write them: parameter to a value, or to one value per design."""


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
            ValueError: columns of different lengths, or a name that no parameter has.
            UnknownEntryError: a name that the library does not hold.
        """
        import pandas as pd

        columns = self._columns(designs)
        found = self.evaluator.evaluate(columns)
        margins = {f"margin {name}": margin for name, margin in found.margins.items()}
        return pd.DataFrame({**found.metrics, **margins, "feasible": found.feasible})

    def sample(self, designs: int, *, seed: int = 0) -> pd.DataFrame:
        """Return designs drawn evenly from the space."""
        unit = np.random.default_rng(seed).random((designs, len(self.space.dimensions)))
        return self.space.decode(unit).to_frame()

    @property
    def default_design(self) -> dict[str, Any]:
        """The design with every parameter at its default or nearest to it."""
        return dict(self.space.default_design().to_frame().iloc[0])

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Metrics of the baselines, one row each; NaN where missing."""
        import pandas as pd

        return pd.DataFrame(self.evaluator.baselines).T

    def _columns(self, designs: Values | pd.DataFrame) -> Table:
        given = {str(name): _column(str(name), values) for name, values in designs.items()}
        fields = {f"{workload}.{field}" for workload in self.spec.workloads for field in WORKLOAD_FIELDS}
        known = {*self.space.parameters, *PARAMETERS, *fields}
        unknown = [name for name in given if name not in known and not name.startswith(TECHNOLOGY_PREFIX)]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no parameter of that name")
        columns = {**Table.from_settings(self.space.fixed), **given}
        rows = max(map(len, columns.values()), default=1)
        wrong = {name: len(column) for name, column in columns.items() if len(column) not in (1, rows)}
        if wrong:
            raise ValueError(f"columns must have 1 or {rows} rows, got {wrong}")
        return Table.broadcast(columns, rows)

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
        return self.stored.designs

    @property
    def front(self) -> pd.DataFrame:
        """The feasible designs that no other beats."""
        return self.stored.front

    @cached_property
    def picks(self) -> pd.DataFrame:
        """The designs to look at first, one row each, by name."""
        import pandas as pd

        rows = {pick["name"]: {"id": pick["id"], **pick["design"], **pick["metrics"]} for pick in self.stored.picks}
        return pd.DataFrame.from_dict(rows, orient="index")

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
        from dse.analysis.explain import explain_run_row

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


def _column(name: str, values: Any) -> Column:
    """Return values of a parameter as a column."""
    listed = np.atleast_1d(np.asarray(values, dtype=object))
    try:
        return column_of(listed)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {values!r} must be a number, a name, or one of them per design") from None
