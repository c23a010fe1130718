"""The run directory: everything that a run leaves behind, written once and read by every command.

    results/<sweep>/<UTC time>-<hash>/
        sweep.yaml resolved.yaml manifest.json designs/*.parquet pareto.csv picks.yaml
        top.csv constraints.csv margins.csv axes.csv baselines.csv progress.jsonl plots/

A directory is written beside its place and moved there when it is whole, so that there is never half a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.errors import ForeignFileError, LibraryError, shown
from cost_models.library.foreign import json_of, read_text
from dse.errors import RunError, SpecError
from dse.packing import Record
from dse.results.directory import MAX_BYTES, RESULTS, check_links, checked
from dse.results.manifest import MANIFEST, read_manifest, written_by

if TYPE_CHECKING:
    import pandas as pd

    from cost_models.performance.derived import DerivedMetric
    from cost_models.quantities.records import Metric
    from cost_models.table import Setting, Table
    from dse.evaluator import Evaluator
    from dse.sweep import Spec

LATEST = "latest"
"""What stands for the newest run."""

CONSTRAINT_COLUMNS = (
    "constraint", "evaluated", "violated", "missing", "violated_fraction", "sole_cause", "sole_cause_fraction",
    "best_margin", "tightest_margin",
)  # fmt: skip

AXIS_COLUMNS = (
    "axis", "value", "low", "high", "evaluated", "feasible", "feasible_low", "feasible_high", "removed_by",
    "nearest_miss",
)  # fmt: skip

_ROUNDED = 1e-9
"""Relative difference up to which a value of a design is one that the sweep gives."""

MARGIN_COLUMNS = ("constraint", "low", "high", "designs")
"""Columns of the tables of a run that are always the same."""


def find_run(where: Path | str, *, results: Path = RESULTS) -> Path:
    """Return the run directory that `where` stands for.

    Args:
        where: a run directory; a folder of runs (``results/<name>``), meaning its newest; or "latest", meaning the
            newest of all.
        results: where "latest" looks.

    Raises:
        RunError: there is no run there.
    """
    path = Path(where)
    if (path / MANIFEST).is_file():
        return path
    root = results if str(where) == LATEST and not path.exists() else path
    if not root.exists():
        meant = f"; perhaps {results / root}" if (results / root).is_dir() else ""
        meant = meant or (" (dse run SPEC makes one)" if root == results else "")
        raise RunError(f"{root}: there is no such run directory{meant}")
    if not root.is_dir():
        hint = f" (dse run {root} makes one)" if root.suffix in (".yaml", ".yml") else ""
        raise RunError(f"{root}: is a file, not a run directory{hint}")
    # One level down in the folder of a sweep, two in the folder of all results.
    result = [manifest.parent for depth in ("*", "*/*") for manifest in root.glob(f"{depth}/{MANIFEST}")]
    runs = [run for run in result if not run.name.startswith(".")]
    if not runs:
        raise RunError(f"{root}: holds no run ({MANIFEST} is missing)")
    return max(runs, key=lambda run: (str(read_manifest(run)["started"]), run.name))


def open_run(
    where: Path | str | StoredRun, *, results: Path = RESULTS, metrics: Sequence[DerivedMetric] = ()
) -> StoredRun:
    """Return the run at `where` (see `find_run`); one that is open already as it is.

    Args:
        where: the run.
        results: where runs are looked for.
        metrics: the derived metrics that its sweep uses.

    Raises:
        RunError: there is no run there, its manifest is damaged, or a part of it is a symbolic link.
    """
    if isinstance(where, StoredRun):
        return where
    path = find_run(where, results=results)
    check_links(path)
    return StoredRun(path, read_manifest(path), tuple(metrics))


@dataclass(frozen=True)
class StoredRun:
    """A finished run on disk; tables are pandas frames, read when asked for.

    Attributes:
        path: its directory.
        manifest: what it is: status, seed, counts, timings, versions, hashes.
        derived: metrics that its sweep uses beside the built-in ones.
    """

    path: Path
    manifest: Mapping[str, Any]
    derived: tuple[DerivedMetric, ...] = ()

    def require_builtin(self, command: str, *, model: bool = True) -> StoredRun:
        """Return the run, as long as the built-in evaluation has something to say of it.

        Args:
            command: what is asked for.
            model: whether a model of the sweep's own beside it is no hindrance.

        Raises:
            RunError: the sweep's own model stands in its place, or beside it where that is a hindrance.
        """
        own = self.spec.model
        if own is not None and (own.replace or not model):
            what = f"{command} is of the built-in evaluation; this run's metrics are those of its model, {own.words}"
            raise RunError(f"{self.path}: {what}")
        return self

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return str(self.manifest["name"])

    @property
    def found_feasible(self) -> bool:
        """Whether any design meets every constraint."""
        counts = self.manifest["counts"]
        # Designs that meet every constraint may all fall to one on their probability to meet them.
        return bool(counts["feasible"] and counts["front"])

    @cached_property
    def spec(self) -> Spec:
        """The sweep as it was run.

        Raises:
            RunError: this version does not read it: that which wrote it had other words, or what it names has gone.
        """
        from dse.sweep import load_spec

        file = self.file("resolved.yaml")
        try:
            return load_spec(file, metrics=self.derived)
        except (SpecError, LibraryError) as error:
            first, *others = str(error).splitlines()
            more = f", for {len(others) + 1} reasons" if others else ""
            raise RunError(
                f"{self.path}: the sweep of this run, {written_by(self.manifest)}, cannot be read here{more}:\n{first}"
            ) from None

    @cached_property
    def evaluator(self) -> Evaluator:
        """Evaluates designs of the sweep, and its baselines once."""
        from dse.evaluator import Evaluator

        return Evaluator(self.spec)

    @cached_property
    def designs(self) -> pd.DataFrame:
        """The kept designs: id, parameters, metrics, feasible, violation, margins, `pareto`, `sampled`; bare names.

        Rows with `sampled` are a uniform sample of everything evaluated.
        """
        return self._designs()

    def _designs(self, filters: list[tuple[str, str, object]] | None = None) -> pd.DataFrame:
        """Return the kept designs that meet conditions, in the order of their ids."""
        import pandas as pd

        files = self.manifest.get("files")
        sealed = files if isinstance(files, Mapping) else {}
        here = {part.relative_to(self.path).as_posix() for part in (self.path / "designs").glob("*.parquet")}
        parts = [self.file(part) for part in sorted({*here, *(name for name in sealed if name.startswith("designs/"))})]
        if not parts:
            if not self.manifest["counts"]["evaluated"]:
                return pd.DataFrame({"id": [], "feasible": [], "pareto": [], "sampled": []})
            raise RunError(f"{self.path / 'designs'}: holds no table of designs")
        try:
            for part in parts:
                _check_columns(part)
            tables = [pd.read_parquet(part, filters=filters) for part in parts]
        except (OSError, ValueError, NotImplementedError) as error:
            raise RunError(f"{self.path / 'designs'}: cannot be read: {error}") from error
        table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
        if table.empty and filters is None:
            raise RunError(f"{self.path / 'designs'}: holds no design of those that were evaluated")
        measured = [objective.metric for objective in self.spec.objectives]
        columns = ("id", "feasible", "violation", "pareto", "sampled", *measured)
        _check_values(table, self.path / "designs", self.spec)
        return holding(table, self.path / "designs", columns).sort_values("id", ignore_index=True)

    @property
    def front(self) -> pd.DataFrame:
        """The feasible non-dominated designs."""
        return self._front.copy()

    @cached_property
    def _front(self) -> pd.DataFrame:
        return self._designs([("pareto", "==", True)])

    @cached_property
    def picks(self) -> list[dict[str, Any]]:
        """The picks: name, reason, id, feasible, design, metrics."""
        from dse.yaml_positions import parse_yaml

        file = self.file("picks.yaml")
        try:
            result = parse_yaml(read_text(file), str(file)).plain()
        except (SpecError, ForeignFileError) as error:
            raise RunError(str(error)) from error
        if not isinstance(result, list):
            raise RunError(f"{file}: is not a list of picks")
        from dse.space import Space
        from dse.space.given import given_designs

        space = Space(self.spec)
        always = [name for name, entries in self.spec.space.items() if len(entries) == 1 and not entries[0].when]
        for pick in (Record(one, str(file)) for one in result):
            pick.text("name"), pick.text("reason"), pick.whole("id"), pick.flag("feasible")
            metrics = pick.part("metrics")
            for name in metrics.data:
                metrics.number(name)
            design = pick.part("design")
            if lacking := [name for name in (*always, *design.data) if name not in design]:
                raise RunError(f"{file}: pick {pick.text('name')!r:.40} has no {lacking[0]}")
            try:
                given_designs(space, self.spec, design.data)
            except SpecError as error:
                raise RunError(f"{file}: pick {pick.text('name')!r:.40}: {error}") from None
        return result

    @cached_property
    def constraints(self) -> pd.DataFrame:
        """What each constraint did."""
        return self._csv("constraints.csv", CONSTRAINT_COLUMNS[1:], text=("constraint",))

    @cached_property
    def top(self) -> pd.DataFrame:
        """By objective and rank the feasible designs with the best values of it; bare column names."""
        return self._csv("top.csv")

    @cached_property
    def margins(self) -> pd.DataFrame:
        """How many designs have a margin in each interval, by constraint."""
        return self._csv("margins.csv", MARGIN_COLUMNS[1:], text=("constraint",))

    @cached_property
    def axes(self) -> pd.DataFrame:
        """Which values of each axis survive."""
        return self._csv("axes.csv", AXIS_COLUMNS[2:8], text=(*AXIS_COLUMNS[:2], *AXIS_COLUMNS[8:]))

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """Metrics of each baseline; bare column names."""
        table = self._csv("baselines.csv", text=("baseline",))
        if sorted(table["baseline"].astype(str)) != sorted(self.spec.baselines):
            raise RunError(f"{self.path / 'baselines.csv'}: its baselines are not those of the sweep")
        return table

    @cached_property
    def baseline_metrics(self) -> dict[str, dict[str, float]]:
        """Metrics of each baseline by its name; NaN where missing."""
        numbers = self.baselines.select_dtypes("number").astype(float)
        metrics: Any = numbers.to_dict("records")
        return dict(zip(self.baselines["baseline"], metrics, strict=True))

    @cached_property
    def progress(self) -> pd.DataFrame:
        """Progress after every batch."""
        import pandas as pd

        file = self.file("progress.jsonl")
        try:
            lines = enumerate(read_text(file, MAX_BYTES).splitlines(), 1)
            records = [Record(json_of(line, file, line=number), str(file)) for number, line in lines]
            for one in records:
                one.whole("evaluated"), one.whole("front")
                if "hypervolume" in one:
                    one.number("hypervolume")
            told = pd.DataFrame([one.data for one in records], columns=None if records else ["evaluated", "front"])
            return told.assign(hypervolume=told.get("hypervolume", math.nan)).astype({"hypervolume": float})
        except ForeignFileError as error:
            raise RunError(str(error)) from None

    def row(self, design: int) -> pd.Series[Any]:
        """Return the kept design with this id.

        Raises:
            RunError: the run did not evaluate it, or did not keep it.
        """
        result = self.designs[self.designs["id"] == design]
        if len(result):
            return result.iloc[0]
        last = int(self.manifest["counts"]["evaluated"]) - 1
        if 0 <= design <= last:
            raise RunError(f"{self.path}: design {design} was evaluated but not kept; raise results.keep_all_up_to")
        raise RunError(f"{self.path}: there is no design {design}, ids end at {last}")

    def settings(self, design: int) -> dict[str, Setting]:
        """Return the kept design with this id as parameter to value.

        Raises:
            RunError: as `row`.
        """
        (settings,) = designs_of(self.spec, self.row(design).to_frame().T).to_settings()
        return settings

    def file(self, name: str) -> Path:
        """Return a file of the run.

        Raises:
            RunError: it is missing or damaged.
        """
        return checked(self.path, name, self.manifest)

    def _csv(self, name: str, numbers: tuple[str, ...] = (), text: tuple[str, ...] = ()) -> pd.DataFrame:
        import pandas as pd

        file = self.file(name)
        try:
            # pandas gives a name that stands twice another, and refuses to be given it twice.
            first = pd.read_csv(file, header=None, nrows=1, dtype=str).to_numpy().ravel()
            names = [bare(str(name)) for name in first]
            table = pd.read_csv(file, header=0, names=names, dtype=dict.fromkeys(text, str), keep_default_na=True)
        except (OSError, ValueError) as error:
            raise RunError(f"{file}: cannot be read: {error}") from error
        return holding(table, file, numbers, text)


def _check_columns(part: Path) -> None:
    """Check that a table of designs has each column once, of numbers or texts.

    Raises:
        RunError: it has not.
    """
    from pyarrow import parquet, types

    kinds = (types.is_boolean, types.is_integer, types.is_floating, types.is_string, types.is_large_string)
    seen = set()
    for field in parquet.read_schema(part):
        if field.name in seen:
            raise RunError(f"{part}: has column {field.name!r:.40} twice")
        seen.add(field.name)
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        if not types.is_null(kind) and not any(is_one(kind) for is_one in kinds):
            raise RunError(f"{part}: column {field.name!r:.40} holds neither numbers nor texts")


def _check_values(table: pd.DataFrame, folder: Path, spec: Spec) -> None:
    """Check that parameters of designs have values that the sweep gives them.

    Raises:
        RunError: one has another.
    """
    from pandas.api.types import is_numeric_dtype

    from dse.sweep import RangeSpec

    for name in (one for one in spec.space if one in table):
        listed: set[float | str] = set()
        for entry in spec.space[name]:
            listed |= {*(entry.bounds if isinstance(entry, RangeSpec) else entry.values)}
        numbers, column = [value for value in listed if not isinstance(value, str)], table[name].dropna()
        if is_numeric_dtype(column):
            low, high = min(numbers, default=math.inf), max(numbers, default=-math.inf)
            # Levels of a range are rounded.
            inside = (column >= low - _ROUNDED * abs(low)) & (column <= high + _ROUNDED * abs(high))
            others = column[~inside].tolist()
        else:
            others = [value for value in column.unique() if value not in listed]
        if others:
            raise RunError(f"{folder}: {name} of a design is {shown(others[0])}, which the sweep does not have")


def holding(table: pd.DataFrame, file: Path, numbers: Sequence[str], text: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table that has the columns which are read of it, those of numbers with nothing else in them.

    Raises:
        RunError: it has not.
    """
    from pandas.api.types import is_numeric_dtype

    for name in (*numbers, *text):
        if name not in table:
            raise RunError(f"{file}: has no column {name}")
    for name in numbers:
        if len(table) and not is_numeric_dtype(table[name]):
            raise RunError(f"{file}: column {name} holds what is not a number")
    return table


def designs_of(spec: Spec, rows: pd.DataFrame) -> Table:
    """Return rows of a run's designs as a table; what every design shares has no column of its own.

    Raises:
        RunError: a column is missing.
    """
    from cost_models.table import Table
    from dse.sweep import FixedSpec

    own = Table.from_frame(rows[[name for name in spec.space if name in rows]])
    missing = {name: entries[0] for name, entries in spec.space.items() if name not in own}
    shared = {name: entry.value for name, entry in missing.items() if isinstance(entry, FixedSpec)}
    whole = Table.from_settings(shared).repeated(len(rows)) | own
    if lacking := [name for name in spec.space if name not in whole]:
        raise RunError(f"the designs of this run have no column {lacking[0]}")
    return Table({name: whole[name] for name in spec.space})


def headed(name: str, metrics: Mapping[str, Metric]) -> str:
    """Return a column's heading in a CSV file: the name, with its unit where the name does not carry it."""
    from cost_models.quantities.columns import describe

    unit = describe(name, metrics).unit
    return f"{name} [{unit}]" if unit and not _carries(name, unit) else name


def bare(heading: str) -> str:
    """Return the column that a heading of a CSV file stands for."""
    return heading.partition(" [")[0]


def _carries(name: str, unit: str) -> bool:
    """Tell whether a name's words say its unit: ``tokens_per_s`` token/s, ``link_gbps`` GB/s."""
    plain = unit.lower().replace("²", "2")
    words = f"_{name.lower().replace('.', '_').replace('tokens', 'token').replace('joule', 'j')}_"
    spelled = {plain.replace("/", sign) for sign in ("_per_", "p", "")}
    return any(f"_{word}_" in words or f"_{word}s_" in words for word in spelled)
