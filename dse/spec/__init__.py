"""The sweep file: what a user writes, checked as a whole before anything runs.

`load_spec` reads a file, `parse_spec` a mapping made in Python; both return a frozen `Spec` or raise
one `SpecError` that holds every fault with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cost_models.library import load_library
from dse.spec.files import apply_overrides, read_tree
from dse.spec.parameters import FixedSpec, ParameterSpec, RangeSpec, ValuesSpec
from dse.spec.reader import read_spec
from dse.spec.records import (
    BaselineSpec,
    ConstraintSpec,
    FigureSpec,
    ObjectiveSpec,
    ResultsSpec,
    Spec,
    WorkloadSpec,
)
from dse.spec.search import SearchSpec
from dse.yaml_positions import node_of

__all__ = [
    "BaselineSpec",
    "ConstraintSpec",
    "FigureSpec",
    "FixedSpec",
    "ObjectiveSpec",
    "ParameterSpec",
    "RangeSpec",
    "ResultsSpec",
    "SearchSpec",
    "Spec",
    "ValuesSpec",
    "WorkloadSpec",
    "load_spec",
    "parse_spec",
]


def load_spec(path: Path | str, *, overrides: Sequence[str] = ()) -> Spec:
    """Return the sweep that a file describes.

    Args:
        path: the YAML file; what it ``extends`` is found beside it.
        overrides: ``a.b=c`` arguments that replace keys, the later ones winning.

    Raises:
        SpecError: every fault of the file and the arguments.
    """
    library = load_library()
    tree, text = read_tree(Path(path))
    return read_spec(apply_overrides(tree, overrides, library.figures), text, library)


def parse_spec(mapping: Mapping[str, Any], *, overrides: Sequence[str] = ()) -> Spec:
    """Return the sweep that a mapping of plain values describes, as it would stand in a file.

    Raises:
        SpecError: every fault of the mapping and the arguments.
    """
    library = load_library()
    return read_spec(apply_overrides(node_of(dict(mapping)), overrides, library.figures), "", library)
