"""The explanation of an infeasible sweep as rows and files, of one that is made up."""

import math

import pytest
import yaml

from dse.analysis.relaxation import files
from dse.analysis.relaxation.constraints import AxisExtension, Relaxation, RelaxationReport, RelaxedBound
from dse.analysis.relaxation.files import COLUMNS, read_relaxations, relaxation_rows, write_relaxations
from dse.errors import RunError

COST = RelaxedBound("cost <= 16", "constraints[0].max", 16.0, 20.0, 0.25)
TIME = RelaxedBound("time <= 8", "constraints[1].max", 8.0, 9.0, 0.125)
WHY = RelaxationReport(
    relaxations=(Relaxation((COST, TIME), {"macs": 1.0}, {}, 3), Relaxation((TIME,), {"macs": 2.0}, {}, 3)),
    stuck=(),
    axis_extensions=(
        AxisExtension("memory", "hbm3", True, 1.0, 0.0, "hbm3", {"memory": "hbm3"}),
        AxisExtension("macs", "1 to 4", False, 1.0, 0.5, 4.0, {"macs": 4.0}),
    ),
    unbuildable=(),
    met_by={"macs": 7.0},
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run directory of which nothing but its list of files is looked at."""
    known = {}
    monkeypatch.setattr(files, "read_manifest", lambda directory: known)
    monkeypatch.setattr(files, "seal", lambda directory, names: known.update(files=dict.fromkeys(names)))
    monkeypatch.setattr(files, "checked", lambda directory, name, manifest: directory / name)
    return tmp_path, known


def test_rows_are_constraints_pairs_and_axes():
    rows = [tuple(row[name] for name in COLUMNS) for row in relaxation_rows(WHY)]
    assert rows == [
        ("pair", "cost <= 16", "constraints[0].max=20.0", 16, 20, 0.25, True, 0),
        ("pair", "time <= 8", "constraints[1].max=9.0", 8, 9, 0.125, True, 0),
        ("constraint", "time <= 8", "constraints[1].max=9.0", 8, 9, 0.125, True, 0),
        ("axis", "memory", "", "", "hbm3", "", True, 0),
        ("axis", "macs", "", "", 4, "", False, 0.5),
    ]


def test_rows_come_back_as_they_were_and_designs_stand_beside(folder):
    directory, known = folder
    assert read_relaxations(directory) == []
    write_relaxations(WHY, directory)
    assert sorted(known["files"]) == ["relaxations.csv", "relaxations.yaml"]
    expected = [{name: None if row[name] == "" else row[name] for name in COLUMNS} for row in relaxation_rows(WHY)]
    assert read_relaxations(directory) == expected
    assert (directory / "relaxations.csv").read_bytes().splitlines()[0] == ",".join(COLUMNS).encode()
    assert b"\r" not in (directory / "relaxations.csv").read_bytes()
    assert yaml.safe_load((directory / "relaxations.yaml").read_text()) == [
        {"name": "cost <= 16 and time <= 8", "set": ["constraints[0].max=20.0", "constraints[1].max=9.0"],
         "design": {"macs": 1.0}},
        {"name": "time <= 8", "set": ["constraints[1].max=9.0"], "design": {"macs": 2.0}},
        {"name": "memory extended", "feasible": True, "design": {"memory": "hbm3"}},
        {"name": "macs extended", "feasible": False, "design": {"macs": 4.0}},
        {"name": "meets everything", "design": {"macs": 7.0}},
    ]  # fmt: skip
    write_relaxations(RelaxationReport((), (), (), ()), directory)
    assert read_relaxations(directory) == []
    assert yaml.safe_load((directory / "relaxations.yaml").read_text()) == []
    # Numbers alone come back as numbers too.
    write_relaxations(RelaxationReport(WHY.relaxations, (), (), ()), directory)
    assert [row["then"] for row in read_relaxations(directory)] == [20, 9, 9]
    assert not any(isinstance(row["now"], str) or math.isnan(row["now"]) for row in read_relaxations(directory))


def test_a_table_of_other_columns_or_none_is_damaged(folder):
    directory, known = folder
    (directory / "relaxations.csv").write_text("kind,what\npair,x\n")
    with pytest.raises(RunError, match="lacks columns"):
        read_relaxations(directory)
    (directory / "relaxations.csv").write_text("")
    with pytest.raises(RunError, match="cannot be read"):
        read_relaxations(directory)
    (directory / "relaxations.csv").unlink()
    known["files"] = None
    assert read_relaxations(directory) == []
    # One that the manifest lists is looked for.
    known["files"] = {"relaxations.csv": None}
    with pytest.raises(OSError, match="No such file"):
        read_relaxations(directory)
