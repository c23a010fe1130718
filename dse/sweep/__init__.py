"""The sweep file: what a user writes, checked as a whole before anything runs.

`load_spec` reads a file, `parse_spec` a mapping made in Python; both return a frozen `Spec` or raise
one `SpecError` that holds every issue with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cost_models.errors import LibraryError
from cost_models.library import Library, shipped_library
from cost_models.performance.derived import DerivedMetric
from dse.errors import RecordError, RunError, SpecError
from dse.packing import Data, Record
from dse.sweep.chips import BaselineSpec
from dse.sweep.files import apply_overrides, read_tree
from dse.sweep.goals import ConstraintSpec
from dse.sweep.library_additions import with_additions
from dse.sweep.parameters import FixedSpec, ParameterSpec, RangeSpec, ValuesSpec
from dse.sweep.reader import read_spec
from dse.sweep.records import LibraryParameterSpec
from dse.sweep.spec import Spec
from dse.sweep.workloads import WorkloadSpec
from dse.yaml_positions import Node, TextError, node_of

__all__ = [
    "BaselineSpec", "ConstraintSpec", "FixedSpec", "LibraryParameterSpec", "ParameterSpec", "RangeSpec", "Spec",
    "ValuesSpec", "WorkloadSpec", "load_spec", "parse_spec", "spec_data", "spec_of",
]  # fmt: skip


def load_spec(
    path: Path | str,
    *,
    overrides: Sequence[str] = (),
    library: Sequence[Path | str] = (),
    metrics: Sequence[DerivedMetric] = (),
) -> Spec:
    """Return the sweep that a file describes.

    Args:
        path: the YAML file; what it ``extends`` is found beside it.
        overrides: ``a.b=c`` arguments that replace keys, the later ones winning.
        library: directories whose entries are added to the library, beside those that the file names.
        metrics: derived metrics that the sweep may use beside the built-in ones.

    Raises:
        SpecError: every issue of the file and the arguments.
        LibraryError: every issue of what is added to the library.
        ValueError: a derived metric cannot be.
    """
    try:
        tree, text = read_tree(Path(path))
    except TextError as error:
        raise _with_issues_of_content(error, overrides, metrics) from None
    return _read(tree, text, overrides, library, metrics)


def _read(
    tree: Node, text: str, overrides: Sequence[str], directories: Sequence[Path | str], metrics: Sequence[DerivedMetric]
) -> Spec:
    """Return the sweep of a tree with what it adds to the library."""
    changed = apply_overrides(tree, overrides, _paths(shipped_library())) if overrides else tree
    changed, library, additions = with_additions(changed, [Path(directory) for directory in directories])
    if additions and overrides:
        # Parameters that were added are keys of one piece, as those of the shipped library are.
        changed, _, _ = with_additions(apply_overrides(tree, overrides, _paths(library)))
    return read_spec(changed, text, library, metrics).model_copy(update={"library": additions})


def _paths(library: Library) -> frozenset[str]:
    """Return the paths that are one key of a sweep each, though they hold dots; evidence is known, to be refused."""
    return frozenset({*library.parameters, *library.evidence})


def _with_issues_of_content(error: TextError, overrides: Sequence[str], metrics: Sequence[DerivedMetric]) -> SpecError:
    """Return the issues of a text together with those of what can be read of it, one per place."""
    if error.tree is None or not isinstance(error.tree.value, dict) or "extends" in error.tree.value:
        return error
    try:
        library = shipped_library()
        read_spec(apply_overrides(error.tree, overrides, _paths(library)), "", library, metrics)
    except SpecError as content:
        places = {issue.place for issue in error.issues}
        return SpecError([*error.issues, *(issue for issue in content.issues if issue.place not in places)])
    return error


def parse_spec(
    mapping: Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    library: Sequence[Path | str] = (),
    metrics: Sequence[DerivedMetric] = (),
) -> Spec:
    """Return the sweep that a mapping of plain values describes, as it would stand in a file.

    Args:
        mapping: the sweep.
        overrides: ``a.b=c`` arguments that replace keys, the later ones winning.
        library: directories whose entries are added to the library.
        metrics: derived metrics that the sweep may use beside the built-in ones.

    Raises:
        SpecError: every issue of the mapping and the arguments.
        LibraryError: every issue of what is added to the library.
        ValueError: a derived metric cannot be.
    """
    return _read(node_of(dict(mapping)), "", overrides, library, metrics)


def spec_data(spec: Spec) -> Data:
    """Return a sweep as plain data (`dse.packing`); of metrics derived in Python the names alone."""
    return {"sweep": spec.written(), "text": spec.source_text, "derived": [one.name for one in spec.derived]}


def spec_of(record: Record, metrics: Sequence[DerivedMetric] = ()) -> Spec:
    """Return the sweep that `spec_data` made plain data of.

    Args:
        record: the data.
        metrics: the derived metrics that the sweep uses; the functions behind them are not on disk.

    Raises:
        RunError: a derived metric is not among `metrics`.
        RecordError: the data is no sweep.
    """
    names = record.texts("derived")
    known = {one.name: one for one in metrics}
    if missing := [name for name in names if name not in known]:
        what = f"uses metrics that were derived in Python ({', '.join(missing)})"
        raise RunError(f"this run {what}: go on with it from Python, with metrics=[...]")
    try:
        spec = parse_spec(record.part("sweep").data, metrics=[known[name] for name in names])
    except (SpecError, LibraryError) as error:
        raise RecordError(f"the sweep of the record: {error}") from None
    return spec.model_copy(update={"source_text": record.text("text")})
