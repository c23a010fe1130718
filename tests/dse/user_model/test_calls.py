"""A command asked once and a process that serves a function: every way in which no answer comes back."""

import io
import json
import os
import sys
import time
from types import SimpleNamespace

import pytest

from dse.errors import Place, SpecError
from dse.user_model import calls
from dse.user_model import model as model_module
from dse.user_model.answers import Failed, Lost

ROWS = [{"n": 1}, {"n": 2}]
PIPES = []


def model(tmp_path, script=None, **parts):
    usual = {"folder": str(tmp_path), "timeout_s": 30.0, "function": "mine:f", "batch": None, "command": None}
    return SimpleNamespace(**usual | ({"command": ("sh", "-c", script)} if script is not None else {}) | parts)


def test_a_command_gets_a_line_and_answers_with_one_for_each_design(tmp_path):
    assert calls._command(model(tmp_path, "cat; echo; pwd | sed 's/.*/\"&\"/'"), ROWS) == [*ROWS, str(tmp_path)]
    for script, told in (
        ("exit 3", "ended with exit status 3"),
        ("echo too hot >&2; exit 1", "ended with exit status 1: too hot"),
        ("kill -9 $$", "was ended by signal SIGKILL"),
        ("echo '{\"a\": 1}'; echo ' oops '", "wrote a line that is not JSON: 'oops'"),
        (f"echo {'x' * 99}", f"wrote a line that is not JSON: '{'x' * 80}'"),
        (f"echo a {'b' * calls.MAX_SAID} >&2; exit 1", f"ended with exit status 1: {'b' * calls.MAX_SAID}"),
    ):
        with pytest.raises(Failed) as failed:
            calls._command(model(tmp_path, script), ROWS)
        assert failed.value.reason == told, script
    with pytest.raises(Failed, match="nowhere cannot be started: No such file or directory"):
        calls._command(model(tmp_path, command=("./nowhere",)), ROWS)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    begun = time.monotonic()
    with pytest.raises(Failed, match=r"gave no answer within 0\.2 s"):
        calls._command(model(tmp_path, "sleep 30 & sleep 30", timeout_s=0.2), ROWS)
    assert calls._command(model(tmp_path, "sleep 30 & echo 1"), ROWS) == [1], "what it leaves behind keeps no pipe open"
    assert time.monotonic() - begun < 20


@pytest.fixture(autouse=True)
def pipes():
    """Close what children of tests have said."""
    yield
    while PIPES:
        PIPES.pop().stdout.close()


class Pipe:
    """A child that has said something already, and says no more."""

    def __init__(self, said, closed=True):
        read, write = os.pipe()
        os.write(write, said)
        self.stdout, self.stdin, self.end = os.fdopen(read, "rb"), io.BytesIO(), write
        PIPES.append(self)
        if closed:
            os.close(write)

    def wait(self):
        return 7


def served(said, timeout_s=30.0, closed=True):
    child = object.__new__(calls.Child)
    child._model, child._child, child._held = SimpleNamespace(timeout_s=timeout_s), Pipe(said, closed), b""
    return child


def test_what_a_process_says_is_read_line_by_line(monkeypatch):
    child = served(b'{"answers": [1]}\n{"failed": "cold"}\n{"answers": 3}\n[1]\nnothing\n{"a": 1}\n{"rest"')
    assert child.ask(ROWS) == [1] and json.loads(child._child.stdin.getvalue()) == ROWS
    with pytest.raises(Failed, match=r"^cold$"):
        child.ask(ROWS)
    for _ in range(4):
        with pytest.raises(Lost, match=r"^wrote something else into the pipe of its answers$"):
            child.ask(ROWS)
    with pytest.raises(Lost, match=r"^ended with exit status 7$"):
        child.ask(ROWS)
    for limit in (0.0, 0.05):
        waiting = served(b"", limit, closed=False)
        with pytest.raises(Lost, match=r"^gave no answer within"):
            waiting.ask(ROWS)
        os.close(waiting._child.end)
    assert served(b'{"answers": []}\n', timeout_s=None).ask(ROWS) == []
    monkeypatch.setattr(calls, "MAX_ANSWER_BYTES", 20)
    assert served(b'{"answers": [1, 2]}\n').ask(ROWS) == [1, 2], "of twenty bytes"
    with pytest.raises(Lost, match=r"^wrote more than 20 bytes$"):
        served(b'{"answers": [1, 23]}\n').ask(ROWS)


def test_a_process_that_has_gone_is_told(monkeypatch):
    child = served(b"")

    def broken(data):
        raise BrokenPipeError

    child._child.stdin = SimpleNamespace(write=broken)
    with pytest.raises(Lost, match=r"^ended with exit status 7$"):
        child.ask(ROWS)


@pytest.mark.parametrize(("batch", "how"), [(None, "one"), (1, "many"), (4, "many")])
def test_a_process_is_started_for_one_design_or_for_many(batch, how, tmp_path, monkeypatch):
    started, ended = [], []
    monkeypatch.setattr(
        calls.subprocess, "Popen", lambda command, **named: started.append((command, named)) or Pipe(b"")
    )
    monkeypatch.setattr(calls, "_end", ended.append)
    with pytest.raises(Lost):
        calls.Child(model(tmp_path, batch=batch))
    ((command, named),) = started
    assert command == [sys.executable, "-u", calls.server.__file__, str(tmp_path), "mine:f", how]
    assert named["start_new_session"] is True and len(ended) == 1, "one that ends at once is let go of"
    ready = lambda command, **named: Pipe(b'{"ready": true}\n')  # noqa: E731
    monkeypatch.setattr(calls.subprocess, "Popen", ready)
    assert calls.Child(model(tmp_path)).issue == "" and len(ended) == 1
    monkeypatch.setattr(calls.subprocess, "Popen", lambda command, **named: Pipe(b'{"issue": "no f"}\n'))
    assert calls.Child(model(tmp_path)).issue == "no f"


def test_a_process_serves_until_it_is_lost(monkeypatch):
    children, log = {}, []

    class Child:
        issue = ""

        def __init__(self, model):
            log.append(f"start {model.name}")
            if model.name == "gone":
                raise Lost("gone")
            self.issue = "no f" if model.name == "odd" else ""

        def ask(self, rows):
            if rows == "lose":
                raise Lost("late")
            if rows == "fail":
                raise Failed("cold")
            return rows

        def end(self):
            log.append("end")

    monkeypatch.setattr(calls, "Child", Child)
    monkeypatch.setattr(calls, "_children", lambda: children)
    named = {name: SimpleNamespace(name=name, model_dump_json=lambda name=name: name) for name in ("a", "odd", "gone")}
    assert calls._function(named["a"], [1]) == [1] == calls._function(named["a"], [1]) and log == ["start a"]
    for name, rows, error in (("a", "fail", Failed), ("odd", [1], Failed), ("a", "lose", Lost), ("gone", [1], Lost)):
        with pytest.raises(error):
            calls._function(named[name], rows)
    assert log == ["start a", "start odd", "end", "start gone"] and list(children) == ["odd"]
    calls.end_children()
    assert children == {} and log[-1] == "end"
    asked = []
    monkeypatch.setattr(calls, "_command", lambda model, rows: asked.append("command"))
    monkeypatch.setattr(calls, "_function", lambda model, rows: asked.append("function"))
    calls._call(SimpleNamespace(command=("a",)), [])
    calls._call(SimpleNamespace(command=None), [])
    assert asked == ["command", "function"]


def test_a_model_that_cannot_be_called_is_told_at_its_place(monkeypatch):
    for function, path in (("mine:f", "model.function"), (None, "model.command")):
        spec = SimpleNamespace(model=SimpleNamespace(function=function), place_of=lambda path: Place("f", 3))
        monkeypatch.setattr(model_module, "issue_of", lambda model: "there is none")
        with pytest.raises(SpecError) as caught:
            model_module.UserModel(spec).check()
        assert str(caught.value) == f"f:3  {path}: there is none"
        monkeypatch.setattr(model_module, "issue_of", lambda model: "")
        model_module.UserModel(spec).check()
