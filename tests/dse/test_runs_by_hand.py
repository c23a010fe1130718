"""Where a run, a resumption and a merger are refused or take another way, case by case."""

import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from cost_models.errors import LibraryError
from dse import runs
from dse.errors import RecordError, RunError
from dse.parallelism import Parallelism
from dse.search.journal import unfinished
from dse.sweep import parse_spec
from tests import sweeps


def spec(**search):
    return parse_spec(sweeps.tiny(search={"sampler": "sobol", "n_designs": 16, "seed": 3, **search}))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run, and one of another name and seed."""
    where = tmp_path_factory.mktemp("runs")
    other = parse_spec({**sweeps.tiny(search={"sampler": "sobol", "n_designs": 16, "seed": 4}), "name": "other"})
    return runs.run(spec(), out=where / "one"), runs.run(other, out=where / "other")


class Ended(BaseException):
    """Ends a search as the end of its process would."""


@pytest.fixture
def begun(tmp_path):
    """The place of a run whose process ended."""

    def end(progress):
        raise Ended

    with pytest.raises(Ended):
        runs.run(spec(), out=tmp_path / "begun", progress=end)
    return tmp_path / "begun"


def files(where):
    return {path: path.stat().st_mtime_ns for path in where.rglob("*") if path.is_file()}


def test_an_unfinished_run_is_finished_before_it_is_continued(begun):
    for where in (begun, unfinished(begun)):
        with pytest.raises(RunError) as refused:
            runs.resume(where, n_designs=32)
        told = "is unfinished; resume it first, then continue it to more designs"
        assert str(refused.value) == f"{unfinished(begun)}: {told}"
    finished = runs.resume(unfinished(begun))
    assert finished.path == begun and finished.manifest["counts"]["evaluated"] == 16
    assert "continues" not in finished.manifest and not unfinished(begun).exists()


def test_what_is_done_is_continued_only_to_more(done):
    with pytest.raises(RunError) as refused:
        runs.resume(done[0].path)
    assert str(refused.value) == f"{done[0].path}: is complete; to search on, say how far with --n-designs"


def test_where_no_work_can_be_done_nothing_is_written(done, begun, tmp_path, monkeypatch):
    def none(self):
        raise RunError("no workers")

    monkeypatch.setattr(Parallelism, "check", none)
    before = files(tmp_path)
    for call in (
        lambda **more: runs.run(spec(), out=tmp_path / "new", **more),
        lambda **more: runs.resume(begun, **more),
        lambda **more: runs.resume(done[0].path, n_designs=32, out=tmp_path / "new", **more),
    ):
        with pytest.raises(RunError, match="no workers"):
            call(spread=Parallelism())
        assert files(tmp_path) == before and not (tmp_path / "new").exists()
    assert runs.resume(begun).manifest["status"] == "complete", "in this process nobody is asked"


def test_runs_go_under_the_results_that_they_are_given(done, tmp_path):
    for made, first in (
        (runs.run(spec(), results=tmp_path), "tiny"),
        (runs.resume(done[0].path, n_designs=32, results=tmp_path), "tiny"),
        (runs.merge(done, results=tmp_path), "tiny"),
    ):
        assert made.path.parent == tmp_path / first
    assert made.manifest["merges"] == ["one", "other"], "what a sweep is called is no question that it asks"
    assert made.manifest["counts"]["evaluated"] == 32
    assert len(list((tmp_path / "tiny").iterdir())) == 3


def test_a_merger_tells_what_else_is_asked_and_what_counts_twice(done, tmp_path):
    one, _ = done
    asks = runs.run(
        parse_spec(sweeps.tiny(search={"sampler": "sobol", "n_designs": 16}), overrides=["constraints=[]"]),
        out=tmp_path / "asks",
    )
    with pytest.raises(RunError) as refused:
        runs.merge([one, asks], out=tmp_path / "no")
    see = f"see: dse diff {one.path} {asks.path}"
    assert str(refused.value) == f"{asks.path}: asks something else than {one.path}; {see}"
    with pytest.raises(RunError, match=r"^.*other: holds designs of .*other once more, which would count twice"):
        runs.merge([one, done[1], done[1]], out=tmp_path / "no")
    assert not (tmp_path / "no").exists()


SOBOL, GRID = {"sampler": "sobol", "seed": 1}, {"sampler": "grid", "seed": 1}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (SOBOL, SOBOL, True),
        (SOBOL, {**SOBOL, "seed": 2}, False),
        (SOBOL, {**SOBOL, "sampler": "random"}, False),
        (GRID, {**GRID, "seed": 2}, True),
        (GRID, SOBOL, False),
        (SOBOL, GRID, False),
        (None, GRID, False),
        (GRID, None, False),
        (None, None, False),
    ],
)
def test_two_searches_draw_the_same_designs_from_one_seed_or_the_whole_grid(first, second, same):
    assert runs._of_same_designs(first, second) is same


@pytest.mark.parametrize("error", [RecordError("is short"), LibraryError("is short")])
def test_a_record_at_fault_is_told_with_its_run_once(error):
    with pytest.raises(RunError, match=r"^here/run: is short; again$"), runs._records_of(Path("here/run"), "; again"):
        raise error
    with pytest.raises(RunError) as told, runs._records_of(Path("here/run")):
        raise RecordError("here/run/search.state: is short")
    assert str(told.value) == "here/run/search.state: is short"
    with pytest.raises(KeyError), runs._records_of(Path("here/run")):
        raise KeyError


HEADER = {"spec_sha256": "sweep", "library_sha256": "library", "model_sha256": "model"}


@pytest.mark.parametrize(
    ("model", "changed", "told"),
    [
        (None, None, None),
        ("own", None, None),
        (None, "model_sha256", None),
        ("own", "model_sha256", "the files of its model have been changed since it was started; run the sweep again"),
        (None, "library_sha256", "the technology library has been changed since it was started; run the sweep again"),
        ("own", "spec_sha256", "its sweep has been changed since it was started, or means something else to this "
         "version; run it again"),
    ],
)  # fmt: skip
def test_what_was_computed_with_other_inputs_is_not_gone_on_with(monkeypatch, model, changed, told):
    monkeypatch.setattr(runs, "model_hash", lambda model: "model")
    monkeypatch.setattr(runs, "library_of", lambda library: library)
    monkeypatch.setattr(runs, "library_hash", lambda library: library)
    today = SimpleNamespace(hash="sweep", library="library", model=model)
    header = {**HEADER, **({changed: "other"} if changed else {})}
    made = runs._header(today)
    assert {key: made[key] for key in made if key != "started"} == {k: HEADER[k] for k in made if k != "started"}
    assert ("model_sha256" in made) == (model is not None)
    if told is None:
        assert runs._check_same(Path("run"), header, today) is None
        return
    with pytest.raises(RunError) as refused:
        runs._check_same(Path("run"), header, today)
    assert str(refused.value) == f"run: {told}"


@pytest.mark.parametrize("call_model", [False, True])
@pytest.mark.parametrize("open_storage", [False, True])
def test_a_program_is_started_and_a_storage_opened_only_with_consent(tmp_path, call_model, open_storage):
    model, alone = SimpleNamespace(words="python x.py", folder=tmp_path), SimpleNamespace(storage=None)
    kept = SimpleNamespace(storage="journal:study")
    calls = f"calls python x.py in {tmp_path.resolve()}; if you trust both, say so with --call-model"
    keeps = "keeps its study in journal:study; if you trust that, say so with --open-storage"
    for own, search in ((None, alone), (model, alone), (None, kept), (model, kept)):
        wanted = [calls] if own and not call_model else []
        wanted += [keeps] if search is kept and not open_storage else []
        told = ""
        try:
            runs._check_consent(Path("run"), SimpleNamespace(model=own, search=search), call_model, open_storage)
        except RunError as refused:
            told = str(refused)
        assert told == (f"run: its sweep {', and '.join(wanted)}" if wanted else "")


def test_the_first_interrupt_is_asked_for_and_the_second_is_raised():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), runs._interruptible() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGINT)
        assert stopped()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_beside_the_main_thread_leaves_signals_alone():
    told = []

    def beside():
        with runs._interruptible() as stopped:
            told.extend((stopped(), signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=beside)
    thread.start()
    thread.join(10)
    assert told == [False, before]


@pytest.mark.parametrize(("stop", "status"), [(lambda: False, "complete"), (lambda: True, "interrupted")])
def test_a_search_that_writes_nothing_ends_where_it_is_told_to(stop, status):
    seen = []
    found = runs.explore(spec(), progress=seen.append, stopped=stop)
    assert found.status == status and seen[-1].evaluated == found.evaluated == 16
