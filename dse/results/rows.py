"""Rows: evaluated designs with everything known of them, and the table that people see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cost_models.table import Choice, Column, FloatArray, Table, stacked
from dse.errors import RecordError
from dse.evaluator import Evaluation
from dse.packing import Data, Record
from dse.violation import violation

if TYPE_CHECKING:
    import pandas as pd

Ids = NDArray[np.int64]

RowIndex: TypeAlias = "NDArray[np.bool_] | NDArray[np.intp]"
"""Which rows: a mask, or their places."""

MARGIN_PREFIX = "margin "
"""Start of the columns that hold margins: ``margin tdp_w <= 150``."""


@dataclass(frozen=True)
class Rows:
    """Designs with their ids and their evaluation; every column has one entry per id."""

    ids: Ids
    designs: Table
    evaluation: Evaluation

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: RowIndex) -> Rows:
        """Return a copy of the rows that `index` (mask or integer array) selects."""
        result = self.evaluation
        return Rows(
            ids=self.ids[index],
            designs=self.designs.take(index),
            evaluation=Evaluation(
                metrics={name: value[index] for name, value in result.metrics.items()},
                margins={name: value[index] for name, value in result.margins.items()},
                objectives=result.objectives[index],
                feasible=result.feasible[index],
                missing=None if result.missing is None else result.missing[index],
                failed=None if result.failed is None else result.failed[index],
            ),
        )

    @cached_property
    def violation(self) -> FloatArray:
        """How far each row is from feasible (`dse.violation`)."""
        return violation(self.evaluation)

    def numbered(self, offset: int) -> Rows:
        """Return the same rows with `offset` added to their ids."""
        return Rows(self.ids + offset, self.designs, self.evaluation)

    def frame(self, further: Mapping[str, object] = MappingProxyType({})) -> pd.DataFrame:
        """Return the rows as a table: id, parameters, metrics, feasible, violation, margins, `further`; bare names."""
        import pandas as pd

        result = self.evaluation
        # A parameter that objectives or constraints name stands among the parameters already.
        metrics = {name: value for name, value in result.metrics.items() if name not in self.designs}
        columns: dict[str, object] = {**metrics, "feasible": result.feasible, "violation": self.violation}
        if result.failed is not None:
            columns["failed"] = result.failed.names()
        columns |= {**{MARGIN_PREFIX + name: margin for name, margin in result.margins.items()}, **further}
        # Columns as they are: stacking them takes as long as writing them.
        parts = [pd.DataFrame({"id": self.ids}), self.designs.to_frame(coded=True), pd.DataFrame(columns, copy=False)]
        return pd.concat(parts, axis=1)


def rows_data(rows: Rows | None) -> Data:
    """Return rows as plain data (`dse.packing`), None where there are none."""
    if rows is None:
        return None
    result = rows.evaluation
    return {
        "ids": rows.ids,
        "designs": _columns_data(rows.designs),
        "metrics": _columns_data(result.metrics),
        "margins": _columns_data(result.margins),
        "objectives": result.objectives,
        "feasible": result.feasible,
        "missing": result.missing,
        "failed": None if result.failed is None else _column_data(result.failed),
    }


def _columns_data(columns: Mapping[str, Column] | Mapping[str, FloatArray]) -> Data:
    # A list keeps the order of the columns, and a name may be anything.
    return [{"name": name, **_column_data(column)} for name, column in columns.items()]


def _column_data(column: Column) -> Data:
    if not isinstance(column, Choice):
        return {"numbers": np.asarray(column, dtype=np.float64)}
    narrow = np.int16 if len(column.values) < np.iinfo(np.int16).max else np.int64
    return {"values": list(column.values), "codes": column.codes.astype(narrow)}


def rows_of(record: Record) -> Rows:
    """Return the rows that `rows_data` made plain data of.

    Raises:
        RecordError: they are something else.
    """
    ids = record.array("ids", np.int64, None)
    n = len(ids)
    objectives = record.array("objectives", np.float64, n, None)
    return Rows(
        ids=ids,
        designs=Table({one.text("name"): _column_of(one, n) for one in record.parts("designs")}),
        evaluation=Evaluation(
            metrics=_numbers_of(record, "metrics", n),
            margins=_numbers_of(record, "margins", n),
            objectives=objectives,
            feasible=record.array("feasible", np.bool_, n),
            missing=record.array("missing", np.intp, n) if "missing" in record else None,
            failed=_choice_of(record.part("failed"), n) if "failed" in record else None,
        ),
    )


def _numbers_of(record: Record, key: str, n: int) -> dict[str, FloatArray]:
    return {one.text("name"): one.array("numbers", np.float64, n) for one in record.parts(key)}


def _column_of(record: Record, n: int) -> Column:
    return record.array("numbers", np.float64, n) if "numbers" in record else _choice_of(record, n)


def _choice_of(record: Record, n: int) -> Choice:
    values, codes = record.texts("values"), record.array("codes", np.intp, n)
    if n and not -1 <= codes.min() <= codes.max() < len(values):
        raise record.wrong("codes", f"codes of {len(values)} values")
    return Choice(values, codes)


def joined(parts: Sequence[Rows]) -> Rows:
    """Return all rows of `parts` (at least one, of the same columns) in their order.

    Raises:
        RecordError: columns are missing.
    """
    if len(parts) == 1:
        return parts[0]
    evaluations = [part.evaluation for part in parts]
    first, *others = [{*one.designs, *one.evaluation.metrics, *one.evaluation.margins} for one in parts]
    if not all(first <= names for names in others):
        # A record that somebody has changed.
        raise RecordError("what is kept of designs has not the columns of its sweep")
    return Rows(
        ids=np.concatenate([part.ids for part in parts]),
        designs=Table.concat([part.designs for part in parts]),
        evaluation=Evaluation(
            metrics=_joined([result.metrics for result in evaluations]),
            margins=_joined([result.margins for result in evaluations]),
            objectives=np.concatenate([result.objectives for result in evaluations]),
            feasible=np.concatenate([result.feasible for result in evaluations]),
            missing=_joined_missing(evaluations),
            failed=_joined_reasons([result.failed for result in evaluations]),
        ),
    )


def _joined_missing(evaluations: Sequence[Evaluation]) -> NDArray[np.intp] | None:
    if all(result.missing is None for result in evaluations):
        return None
    none = [np.zeros(len(result.feasible), dtype=np.intp) for result in evaluations]
    return np.concatenate([
        zeros if result.missing is None else result.missing for result, zeros in zip(evaluations, none, strict=True)
    ])  # fmt: skip


def _joined(tables: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _joined_reasons(reasons: Sequence[Choice | None]) -> Choice | None:
    reported = [one for one in reasons if one is not None]
    together = stacked(reported) if len(reported) == len(reasons) else None
    return together if isinstance(together, Choice) else None


def distinct(rows: Rows, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places of the different designs in a given order; of the same ones the first."""
    keys = np.column_stack([_numbers(column) for column in rows.designs.values()])[order]
    _, first = np.unique(keys, axis=0, return_index=True)
    return np.asarray(order[np.sort(first)])


def _numbers(column: Column) -> FloatArray:
    """Return a column as numbers that compare: what is inactive is -1."""
    return np.nan_to_num(column.codes.astype(np.float64) if isinstance(column, Choice) else column, nan=-1.0)


def stride_for(total: int, at_most: int) -> int:
    """Return the least power of two k such that every k-th of `total` ids are no more than `at_most`; 0 for none."""
    if not at_most:
        return 0
    stride = 1
    while -(-total // stride) > at_most:
        stride *= 2
    return stride


def _every(stride: int, ids: Ids) -> NDArray[np.intp]:
    """Return the places of the ids that are multiples of a power of two."""
    return np.flatnonzero(ids & (stride - 1) == 0)


class UniformSample:
    """A uniform sample of a stream of rows: all of them, or every k-th id.

    k doubles whenever the sample would hold more than `at_most` rows, so that the sample depends
    on the stream alone, not on how it was cut.

    Args:
        at_most: rows to keep; 0 keeps none, with a stride of 0.
        total: length of the stream where it is known, which saves keeping what will be dropped.
    """

    def __init__(self, at_most: int, *, total: int = 0) -> None:
        self.at_most = at_most
        self.stride = stride_for(total, at_most)
        self._parts: list[Rows] = []
        self._held = 0

    def add(self, rows: Rows) -> None:
        """Take the next rows of the stream, in the order of their ids; only those of every k-th id must be there."""
        if not self.stride or not len(rows):
            return
        self._keep(rows.take(_every(self.stride, rows.ids)))
        self._fit()

    def merge(self, later: UniformSample) -> None:
        """Take over a sample of the rows that follow."""
        if later.stride > self.stride:
            self._coarsen(later.stride)
        for part in later._parts:
            self._keep(part.take(_every(self.stride, part.ids)))
        self._fit()

    def renumber(self, offset: int) -> None:
        """Add `offset`, a multiple of the stride, to every id.

        Raises:
            ValueError: it is none: the sample would not be every k-th id.
        """
        if self.stride and offset % self.stride:
            raise ValueError(f"{offset} is not a multiple of the stride {self.stride}")
        self._parts = [part.numbered(offset) for part in self._parts]

    def _fit(self) -> None:
        while self._held > self.at_most:
            self._coarsen(2 * self.stride)

    def _coarsen(self, stride: int) -> None:
        self.stride = stride
        parts, self._parts, self._held = self._parts, [], 0
        for part in parts:
            self._keep(part.take(_every(stride, part.ids)))

    def _keep(self, rows: Rows) -> None:
        if len(rows):
            self._parts.append(rows)
            self._held += len(rows)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the sample."""
        return np.concatenate([np.zeros(0, np.int64), *(part.ids for part in self._parts)])

    def rows(self) -> Rows | None:
        """Return the sample, None where nothing was added."""
        return joined(self._parts) if self._parts else None

    def state(self) -> Data:
        """Return what is kept as plain data."""
        return {"stride": self.stride, "rows": rows_data(self.rows())}

    def restore(self, record: Record) -> None:
        """Become what a state says."""
        self.stride = record.whole("stride")
        if self.stride & (self.stride - 1):
            raise record.wrong("stride", "a power of two, or 0")
        self._parts = [rows_of(record.part("rows"))] if "rows" in record else []
        self._held = sum(map(len, self._parts))
