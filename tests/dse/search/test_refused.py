"""What cannot be done is refused before anything is written: sizes, places, and addresses with passwords."""

import pytest

from dse.errors import RunError, SpecError
from dse.parallelism import Parallelism
from dse.plain import redacted
from dse.results.yaml_text import yaml_text
from dse.runs import run
from dse.samplers.grid import MAX_GRID
from dse.sweep import parse_spec
from tests import sweeps
from tests.cli import call


def test_a_grid_that_no_machine_finishes_is_refused_with_its_size(tmp_path):
    ends = {"clock_ghz": (0.5, 1.5), "sram_mib": (8, 64), "hbm_trim": None}
    ranges = {name: {"low": end[0], "high": end[1], "levels": 1_000_000} for name, end in ends.items() if end}
    spec = parse_spec(sweeps.tiny(space={**sweeps.tiny()["space"], **ranges}, search={"sampler": "grid"}))
    with pytest.raises(SpecError, match=r"the grid has [0-9,]{12,} designs, more than .* that are begun") as error:
        run(spec, out=tmp_path / "run")
    assert "sobol" in str(error.value)
    assert not list(tmp_path.iterdir())
    assert MAX_GRID < 64e9


def test_a_budget_that_no_machine_evaluates_is_refused(tmp_path):
    spec = parse_spec(sweeps.tiny(search={"sampler": "sobol", "n_designs": 10**15}))
    with pytest.raises(SpecError, match=r"1,000,000,000,000,000 designs are more than the .* that are begun"):
        run(spec, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_more_draws_than_fit_are_refused(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml_text(sweeps.tiny()))
    done = call("run", file, "--set", "robustness.draws=1e12", "--out", tmp_path / "run")
    assert done.status == 2 and "robustness.draws" in done.err and "100" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.yaml"]


@pytest.mark.parametrize(
    "arguments", [("robust", "nowhere", "--draws", "1000000000"), ("compress", "--shape", "1000000x1000000")]
)
def test_more_draws_and_weights_than_a_machine_holds_are_refused_by_their_commands(arguments):
    done = call(*arguments)
    assert done.status == 2 and "at most" in done.err and len(done.err) < 100


def test_more_processes_than_a_machine_holds_are_refused(tmp_path):
    with pytest.raises(RunError, match=r"--jobs 100000: at most \d+ processes"):
        run(parse_spec(sweeps.tiny()), out=tmp_path / "run", spread=Parallelism(jobs=100_000))
    assert not list(tmp_path.iterdir())


def test_a_wrong_scheduler_leaves_nothing_behind(tmp_path):
    pytest.importorskip("distributed")
    spread = Parallelism(backend="dask", scheduler="tcp://127.0.0.1:1", scheduler_answers_s=0.2)
    with pytest.raises(RunError, match="no Dask scheduler answers"):
        run(parse_spec(sweeps.tiny()), out=tmp_path / "run", spread=spread)
    assert not list(tmp_path.iterdir())


WITH_PASSWORD = [
    "postgresql+psycopg://u:Sesame1@h/db", "postgresql+psycopg://u:Ses@ame1@h/db",
    "postgresql+psycopg://u@h/x?password=Sesame1", "postgresql+psycopg://u@h/x?sslmode=on&Passwd=Sesame1",
    "sqlite:///pw.db?password=Sesame1", "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Du%3BPWD%3DSesame1%3B",
    "postgres://u:Sesame1@h/db", "nonsense://u:Sesame1@h/db",
]  # fmt: skip


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_password_in_an_address_is_refused_and_never_said(tmp_path, url):
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml_text(sweeps.tiny(search={"sampler": "tpe", "n_designs": 8})))
    assert "ame1" not in redacted(url)
    done = call("run", file, "--storage", url, "--out", tmp_path / "run")
    assert done.status == 2 and "ame1" not in done.err + done.out
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.yaml"]


@pytest.mark.parametrize("url", ["sqlite:///a.db", "journal:study.log", "postgresql+psycopg://user@host/db?sslmode=on"])
def test_an_address_without_one_stays_as_it_is(url):
    assert redacted(url) == url
