"""Nothing that lies in a run directory is executed or unpickled, whoever made it."""

import ast
import io
import pickle
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dse.errors import DseError, RecordError
from dse.packing import packed, read_packed
from dse.results.store import open_run
from dse.runs import merge, resume, run
from dse.search.journal import unfinished
from dse.sweep import load_spec, parse_spec, spec_data, spec_of
from tests import sweeps

ROOT = Path(__file__).parents[2]

OWN_PROCESSES = {"dse/parallelism.py"}
"""Where a sweep, or a result, is unpickled that has come from one of our processes to another."""


UNSAFE = ("pickle", "cloudpickle", "dill", "marshal", "shelve")


def test_only_calls_between_our_own_processes_are_unpickled():
    reading = {"loads", "load", "Unpickler"}
    result = set()
    for package in ("dse", "cost_models"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                called = isinstance(node, ast.Attribute) and node.attr in reading and isinstance(node.value, ast.Name)
                if (called and node.value.id in (*UNSAFE, "joblib")) or (
                    isinstance(node, ast.ImportFrom) and node.module in UNSAFE
                ):
                    result.add(file.relative_to(ROOT).as_posix())
                if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                    assert isinstance(node.value, ast.Constant) and node.value.value is False, file
    assert result == OWN_PROCESSES


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def armed(mark):
    """Return files that mark themselves when they are unpickled: bare, behind a digest, in an .npy, in an .npz."""
    import hashlib

    bare = pickle.dumps(Evil(mark))
    array, arrays = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Evil(mark)], dtype=object), allow_pickle=True)
    np.savez(arrays, tree=np.array([Evil(mark)], dtype=object))
    return [bare, hashlib.sha256(bare).digest() + bare, array.getvalue(), arrays.getvalue()]


class Stopped(BaseException):
    """Ends a search as the end of its process would."""


def cut_short(spec, out):
    def stop(progress):
        raise Stopped

    with pytest.raises(Stopped):
        run(spec, out=out, progress=stop)
    return unfinished(out)


def verbs(path, other):
    """Yield everything that reads a run directory or its unfinished state."""
    yield lambda: resume(path)
    yield lambda: resume(path, n_designs=128, out=path.with_name("more"))
    yield lambda: merge([open_run(path), other], out=path.with_name("merged"))
    for table in ("spec", "designs", "picks", "constraints", "top", "margins", "axes", "baselines", "progress"):
        yield lambda table=table: getattr(open_run(path), table)


@pytest.mark.parametrize("sampler", ["sobol+evolve", "nsgaii"])
def test_a_pickle_in_any_file_of_a_run_is_not_executed(tmp_path, sampler):
    spec = parse_spec(sweeps.tiny(search={"sampler": sampler, "n_designs": 64, "seed": 1}))
    whole = run(spec, out=tmp_path / "whole")
    started = cut_short(spec, tmp_path / "begun")
    mark = tmp_path / "executed"
    contents = armed(mark)
    for content in contents[:2]:
        pickle.loads(content[content.index(b"\x80\x04") :])
        assert mark.exists(), "the trap works"
        mark.unlink()
    tried = 0
    for source in (whole.path, started):
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            is_record = file.suffix == "" or file.suffix == ".state"
            for content in contents if is_record else contents[:1]:
                shutil.rmtree(tmp_path / "stranger", ignore_errors=True)
                copy = tmp_path / "stranger" / ("run" if source == whole.path else "run.unfinished")
                shutil.copytree(source, copy)
                (copy / file.relative_to(source)).write_bytes(content)
                for verb in verbs(tmp_path / "stranger" / "run", whole):
                    with suppress(DseError):
                        verb()
                    tried += 1
                assert not mark.exists(), file
    assert tried > 300


def test_a_sweep_comes_back_as_it_was_written():
    for file in sorted((ROOT / "sweeps").glob("*.yaml")):
        spec = load_spec(file)
        again = spec_of(read_packed(packed(spec_data(spec)), "sweep"))
        assert again.hash == spec.hash and again.source_text == spec.source_text
        assert list(again.space) == list(spec.space) and again.space == spec.space
        assert (again.objectives, again.constraints, again.probabilities) == (
            spec.objectives,
            spec.constraints,
            spec.probabilities,
        )


def test_every_cut_and_every_flipped_byte_of_a_record_is_noticed():
    numbers = np.array([0.0, np.nan, np.inf])
    tree = {"a": [1, "x", None, True, 2**100], "n": numbers, "b": b"\0\1", "c": np.array([[True], [False]])}
    content = packed(tree)
    result = read_packed(content, "it")
    assert result.data["a"] == tree["a"] and result.content("b") == b"\0\1"
    np.testing.assert_array_equal(result.array("n", np.float64, 3), numbers)
    for cut in range(len(content)):
        with pytest.raises(RecordError):
            read_packed(content[:cut], "it")
    whitespace = {ord(" "), ord("\t"), ord("\n"), ord("\r")}
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        try:
            same = read_packed(bytes(damaged), "it").data
        except RecordError:
            continue
        # JSON has room for other words of the same meaning: white space.
        assert damaged[place] in whitespace or repr(same) == repr(result.data), place


@pytest.fixture(scope="module")
def evolved(tmp_path_factory):
    spec = parse_spec(sweeps.tiny(search={"sampler": "sobol+evolve", "n_designs": 64, "seed": 1}))
    return run(spec, out=tmp_path_factory.mktemp("evolved") / "run").path


@pytest.mark.parametrize("key", ["place", "keeper", "sampler", "spec", "parts", "seconds"])
@pytest.mark.parametrize("value", [None, -1, 1e300, "x", [], {}, np.zeros(3), 2**200])
def test_a_forged_state_is_refused_in_words(tmp_path, evolved, key, value):
    path = shutil.copytree(evolved, tmp_path / "run")
    state = dict(read_packed((path / "search.state").read_bytes(), "state").data)
    (path / "search.state").write_bytes(packed({**state, key: value}))
    with pytest.raises(DseError):
        resume(path, n_designs=128, out=tmp_path / "more")
    assert not unfinished(tmp_path / "more").exists()
