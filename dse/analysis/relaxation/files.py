"""The explanation of an infeasible sweep as files of its run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dse.analysis.relaxation.constraints import RelaxationReport
from dse.errors import RunError
from dse.results.directory import checked, replacing, seal
from dse.results.manifest import again, read_manifest
from dse.results.yaml_text import yaml_text

TABLE = "relaxations.csv"
DESIGNS = "relaxations.yaml"

COLUMNS = ("kind", "what", "set", "now", "then", "by", "feasible", "remaining_misses")


def relaxation_rows(why: RelaxationReport) -> list[dict[str, Any]]:
    """Return one row per constraint that gives way and per axis that helps.

    ``kind`` is constraint, pair (two rows, one after the other) or axis; ``set`` is the ``--set`` argument that makes
    the change, ``by`` the relative change of the bound, ``remaining_misses`` the summed misses left afterwards.
    """
    rows: list[dict[str, Any]] = []
    for relaxation in why.relaxations:
        kind = "constraint" if len(relaxation.gives) == 1 else "pair"
        rows += [
            {
                "kind": kind,
                "what": given.constraint,
                "set": f"{given.key}={given.new_bound!r}",
                "now": given.bound,
                "then": given.new_bound,
                "by": given.by,
                "feasible": True,
                "remaining_misses": 0.0,
            }
            for given in relaxation.gives
        ]
    for extension in why.axis_extensions:
        rows.append(
            {
                "kind": "axis",
                "what": extension.axis,
                "set": "",
                "now": "",
                "then": extension.value,
                "by": "",
                "feasible": extension.feasible,
                "remaining_misses": extension.violation,
            }
        )
    return rows


def read_relaxations(directory: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's ``relaxations.csv`` with None for what is empty; none where the run has no such file.

    Raises:
        RunError: it is damaged, or missing though the run has one.
    """
    import pandas as pd

    manifest = read_manifest(directory)
    if not (directory / TABLE).exists() and TABLE not in (manifest.get("files") or {}):
        return []
    file = checked(directory, TABLE, manifest)
    try:
        table = pd.read_csv(file).astype(object)
    except ValueError as error:
        raise RunError(f"{file}: cannot be read: {error}; {again(directory)}") from None
    if not set(COLUMNS) <= set(table.columns):
        raise RunError(f"{file}: is damaged, it lacks columns; {again(directory)}")
    rows = table.where(table.notna(), None).to_dict("records")
    # A column that holds names and numbers is read as text.
    return [{str(k): _number(v) if k == "then" else v for k, v in row.items()} for row in rows]


def _number(value: Any) -> Any:
    """Return text that is a number as one."""
    try:
        return value if value is None else float(value)
    except ValueError:
        return value


def write_relaxations(why: RelaxationReport, directory: Path) -> None:
    """Write ``relaxations.csv`` and the designs that prove it, ``relaxations.yaml``, into a run directory."""
    import pandas as pd

    table = pd.DataFrame(relaxation_rows(why), columns=list(COLUMNS))
    with replacing(directory / TABLE) as file:
        table.to_csv(file, index=False, float_format="%.9g", lineterminator="\n", encoding="utf-8")
    designs: list[dict[str, Any]] = [
        {
            "name": " and ".join(given.constraint for given in relaxation.gives),
            "set": relaxation.overrides,
            "design": dict(relaxation.design),
        }
        for relaxation in why.relaxations
    ]
    designs += [
        {"name": f"{extension.axis} extended", "feasible": extension.feasible, "design": dict(extension.design)}
        for extension in why.axis_extensions
    ]
    if why.met_by is not None:
        designs.append({"name": "meets everything", "design": dict(why.met_by)})
    with replacing(directory / DESIGNS) as file:
        file.write_text(yaml_text(designs), encoding="utf-8")
    seal(directory, [TABLE, DESIGNS])
