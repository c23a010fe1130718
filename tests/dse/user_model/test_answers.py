"""What a model's answers are taken for, how they are kept, how a failing batch is asked again: without a process."""

import hashlib
import json
import math
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.table import INACTIVE
from dse.errors import RecordError, RunError
from dse.packing import packed, read_packed
from dse.user_model import calls, model
from dse.user_model.answers import Answer, Failed, answers_of
from dse.user_model.cache import AnswerCache, _written, key_of

MODEL = SimpleNamespace(
    metrics={"noise_db": None,
    "mass_g": None}, retries=0, batch=None, words="mine:noise", command=None, function="mine:noise",
    timeout_s=2.5, folder=".",
)  # fmt: skip
GOOD = {"noise_db": 1, "mass_g": 2.5}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (GOOD, ""), (GOOD | {"noise_db": 1.7e308}, ""),
        (GOOD | {"error": 3}, "returned error, which model.metrics does not declare"),
        (GOOD | {"error": "too hot"}, "too hot"), (GOOD | {"error": ""}, "says that it failed"),
        ({"error": "half \ud800"}, "half ?"), (None, "returned None, not a mapping with noise_db or mass_g"),
        ([1], "returned a list, not a mapping with noise_db or mass_g"), ({"noise_db": 1}, "returned no mass_g"),
        ({}, "returned no noise_db, mass_g"), ({"noise_db": 1, "mass": 2}, "returned no mass_g (it returned mass)"),
        (GOOD | {"mass_kg": 1}, "returned mass_kg, which model.metrics does not declare; perhaps mass_g"),
        (GOOD | {"mass_g": True}, "returned true for mass_g, not a number"),
        (GOOD | {"mass_g": "3"}, "returned '3' for mass_g, not a number"),
        (GOOD | {"mass_g": math.nan}, "returned nan for mass_g"),
        (GOOD | {"mass_g": -math.inf}, "returned -inf for mass_g"),
        (GOOD | {"mass_g": 10**400}, "returned a number beyond 1e308 for mass_g"),
    ],
)  # fmt: skip
def test_an_answer_is_a_number_for_every_metric_or_a_reason(found, reason):
    (answer,) = answers_of(MODEL, [found], 1)
    assert answer.reason == reason
    assert answer.values == (None if reason else {name: float(found[name]) for name in MODEL.metrics})


@pytest.mark.parametrize(
    ("count", "rows", "says"), [(0, 1, "0 answers for 1 design$"), (3, 2, "3 answers for 2 designs")]
)
def test_as_many_answers_as_designs(count, rows, says):
    with pytest.raises(Failed, match=says):
        answers_of(MODEL, [GOOD] * count, rows)


@pytest.mark.parametrize("retries", [0, 2])
def test_a_failing_batch_is_halved_down_to_the_designs_at_fault(retries, monkeypatch):
    asked = []

    def call(one, rows):
        asked.append([row["id"] for row in rows])
        if {2, 6} & set(asked[-1]):
            raise Failed(f"fell over {asked[-1]}")
        return [{"noise_db": row["id"], "mass_g": 0} for row in rows]

    monkeypatch.setattr(calls, "_call", call)
    one = SimpleNamespace(**vars(MODEL) | {"retries": retries})
    found = calls.answered(one, [{"id": k} for k in range(7)])
    assert [answer.values and answer.values["noise_db"] for answer in found] == [0, 1, None, 3, 4, 5, None]
    assert [found[k].reason for k in (2, 6)] == ["fell over [2]", "fell over [6]"]
    tries = [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2], [0], [1, 2], [1], [2], [3, 4, 5, 6], [3, 4], [5, 6], [5], [6]]
    failing = [one for one in tries if {2, 6} & set(one)]
    assert asked == [one for batch in tries for one in [batch] * (retries + 1 if batch in failing else 1)]


def test_a_call_that_works_the_second_time_is_enough(monkeypatch):
    left = [1, 1]

    def call(one, rows):
        if left:
            left.pop()
            raise Failed("busy")
        return [GOOD]

    monkeypatch.setattr(calls, "_call", call)
    for retries, fine in ((1, False), (0, True)):
        left[:] = [1, 1] if retries == 1 else []
        (answer,) = calls.answered(SimpleNamespace(**vars(MODEL) | {"retries": retries}), [{}])
        assert (answer.values is not None) == fine
    left[:] = [1, 1]
    (answer,) = calls.answered(SimpleNamespace(**vars(MODEL) | {"retries": 2}), [{}])
    assert answer.values == GOOD


def test_how_a_program_ended_is_told():
    assert [calls._ended(code) for code in (0, 3)] == ["ended with exit status 0", "ended with exit status 3"]
    assert (
        calls._ended(-signal.SIGKILL) == "was ended by signal SIGKILL"
        and calls._ended(-250) == "was ended by signal 250"
    )
    assert calls._late(MODEL) == "gave no answer within 2.5 s"


def test_a_model_is_the_bytes_of_the_files_that_it_names(tmp_path):
    (tmp_path / "pack").mkdir()
    files = {"mine.py": b"a", "pack/__init__.py": b"b", "pack/deep.py": b"c", "run.sh": b"d", "data.csv": b"e"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def told(**parts):
        return calls.model_hash(SimpleNamespace(**vars(MODEL) | {"folder": str(tmp_path), "function": None, **parts}))

    def of(*contents):
        return hashlib.sha256(b"\0".join(contents)).hexdigest()

    assert told(function="mine:f") == of(b"a") and told(function="pack:f") == of(b"b")
    assert told(function="pack.deep:f.g") == of(b"c") and told(function="none:f") == of()
    assert told(command=["./run.sh", "data.csv", "--fast"]) == of(b"d", b"e") and told() == of()


def test_what_cannot_be_called_is_told_before(tmp_path, monkeypatch):
    (tmp_path / "here").write_text("")
    (tmp_path / "go").write_text("")
    (tmp_path / "go").chmod(0o755)

    def issue(**parts):
        return calls.issue_of(SimpleNamespace(**vars(MODEL) | {"folder": str(tmp_path), **parts}))

    assert issue(folder="/no/such") == "there is no folder /no/such"
    assert issue(command=["cat"]) == issue(command=["./go", "x"]) == ""
    for name in ("nothing-here", "./here", "go"):
        assert issue(command=[name]) == f"there is no program {name}"


# --- what is kept -----------------------------------------------------------------------------------------------------


def answer(value):
    return Answer({"noise_db": value})


NONE = Answer(None, "too hot")


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ('["k", {"a": 1.5}, ""]', ("k", Answer({"a": 1.5}))), ('["k", null, "why"]', ("k", Answer(None, "why"))),
        ('["k", {"a": 1.5}]', None), ('["k", {"a": 1.5}, "", 4]', None), ('["k", {"a": 1}, ""]', None),
        ('["k", [1.5], ""]', None),
        ('["k", {"a": NaN}, ""]', None), ('["k", {"a": 1e999}, ""]', None), ('[1, null, ""]', None),
        ('["k", null, 1]', None),
        ('{"k": 1}', None), ('["k", {"a": 1.', None), ("", None), ("[" * 9000, None),
        ('["k", {}, ""]', ("k", Answer({}))),
    ],
)  # fmt: skip
def test_a_line_is_an_answer_or_nothing(line, read):
    assert _written(line) == read


def test_answers_are_kept_on_disk_and_read_again(tmp_path):
    file = tmp_path / "answers.jsonl"
    cache = AnswerCache()
    cache.keep_in(file)
    cache.add({"a": answer(1.0), "b": NONE})
    cache.add({"c": answer(2.0)})
    assert [json.loads(line) for line in file.read_text().split("\n")[1:]] == [
        ["a", {"noise_db": 1.0}, ""], ["b", None, "too hot"], ["c", {"noise_db": 2.0}, ""],
    ]  # fmt: skip
    with file.open("a") as more:
        more.write('\n["d", {"noise_db": 3.0')
    again = AnswerCache()
    again.add({"a": answer(9.0)})
    again.keep_in(file)
    assert len(again) == 3 and again["a"].values == {"noise_db": 9.0} and again.answered == 2, "what is known stays"
    assert "b" in again and again["b"] == NONE and "d" not in again
    again.add({"d": answer(4.0)})
    third = AnswerCache()
    third.keep_in(file)
    assert third["d"] == answer(4.0) and third["a"] == answer(1.0) and len(third) == 4
    nowhere = AnswerCache()
    nowhere.keep_in(tmp_path / "no" / "file")
    with pytest.raises(RunError, match="cannot be written"):
        nowhere.add({"a": NONE})
    assert not len(nowhere)


@pytest.mark.parametrize(("length", "read"), [(2**16, True), (2**16 + 1, False)])
def test_a_line_that_is_too_long_is_not_read(length, read, tmp_path):
    frame = len(json.dumps(["k", None, ""]))
    (tmp_path / "a").write_text(json.dumps(["k", None, "x" * (length - frame)]) + '\n["l", null, "why"]\n')
    cache = AnswerCache()
    cache.keep_in(tmp_path / "a")
    assert ("k" in cache) == read and "l" in cache


def test_a_model_that_fails_for_all_of_the_first_is_told():
    cache = AnswerCache()
    cache.add({str(k): Answer(None, f"why {k}") for k in range(7)})
    assert cache.all_failed(8) == "" and cache.all_failed(7) == "why 6"
    cache.add({"x": answer(1.0)})
    assert cache.all_failed(1) == ""


def test_answers_are_plain_data_and_back():
    cache = AnswerCache()
    cache.add({"a": answer(1.0), "b": NONE, "c": Answer({"noise_db": 2.0})})
    state = read_packed(packed({"it": cache.state()}), "x").part("it")
    again = AnswerCache()
    again.add({"c": answer(7.0)})
    again.restore(state)
    assert [again[key] for key in "abc"] == [answer(1.0), NONE, answer(7.0)] and again.answered == 2
    empty = AnswerCache()
    empty.restore(read_packed(packed({"it": AnswerCache().state()}), "x").part("it"))
    assert len(empty) == 0
    for change in ({"reasons": ["x"]}, {"keys": ["a"]}, {"has_values": np.zeros(2, bool)}):
        broken = read_packed(packed({"it": cache.state() | change}), "x").part("it")
        with pytest.raises(RecordError):
            AnswerCache().restore(broken)


def test_a_design_is_known_by_its_values_whatever_their_order():
    assert key_of({"a": 1, "b": "x"}) == key_of({"b": "x", "a": 1}) != key_of({"a": 2, "b": "x"})
    assert key_of({}) == hashlib.sha256(b"{}").hexdigest()[:32]


@pytest.mark.parametrize(("batch", "sizes"), [(None, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_each_design_is_asked_about_once_in_batches(batch, sizes, tmp_path):
    user = model.UserModel(SimpleNamespace(model=Own(batch)))
    assert user.rows_at_once == 32 * (batch or 1)
    asked = []

    def make(function, tasks):
        for one, rows in tasks:
            asked.append([row["macs"] for row in rows])
            assert one.folder.startswith("/") and all(row["tdp_w"] == 10 * row["macs"] for row in rows)
            yield [answer(row["macs"]) if row["macs"] != 3 else NONE for row in rows]

    user.map = make
    macs = np.array([1.0, 2.0, 3.0, 2.0, 4.0, 5.0])
    found = user({"macs": macs, "node": one_name("tsmc_5")}, {"tdp_w": 10 * macs}, 6)
    assert [len(one) for one in asked] == sizes and sorted(one for batch in asked for one in batch) == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(found.metrics["noise_db"], [1, 2, np.nan, 2, 4, 5])
    assert found.failed.names().tolist() == [None, None, "too hot", None, None, None]
    assert found.failed.codes.tolist() == [INACTIVE, INACTIVE, 0, INACTIVE, INACTIVE, INACTIVE]
    asked.clear()
    again = user({"macs": macs[:1], "node": one_name("tsmc_5")}, {"tdp_w": 10 * macs[:1]}, 1)
    assert not asked and again.metrics["noise_db"].tolist() == [1]


def one_name(name):
    from cost_models.table import Choice

    return Choice.of(name)


class Own:
    metrics, folder, words, function = {"noise_db": None}, ".", "mine:noise", "mine:noise"

    def __init__(self, batch=None):
        self.batch = batch

    def model_copy(self, update):
        return SimpleNamespace(**update)


def test_eight_failures_and_no_answer_end_a_search():
    user = model.UserModel(SimpleNamespace(model=Own(3)))
    user.map = lambda function, tasks: ([NONE] * len(rows) for _, rows in tasks)
    user({"macs": np.arange(7.0)}, {}, 7)
    assert len(user.memory) == 7
    with pytest.raises(
        RunError, match="the model mine:noise failed for each of the first 8 designs, at last because it too hot"
    ):
        user({"macs": np.array([9.0])}, {}, 1)
    other = model.UserModel(SimpleNamespace(model=Own()))
    other.map = lambda function, tasks: ([function_of(rows)] for _, rows in tasks)
    found = other({"macs": np.arange(20.0)}, {}, 20)
    assert np.isfinite(found.metrics["noise_db"]).sum() == 1


def function_of(rows):
    return answer(1.0) if rows[0]["macs"] == 0 else NONE
