"""Asks a user's model: one call, with its time limit, and again where it fails."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from dse.sweep.user_model import ModelSpec
from dse.user_model import server
from dse.user_model.answers import Answer, Failed, Lost, answers_of, failure

Row: TypeAlias = Mapping[str, float | int | str]

MAX_SAID = 300
"""Characters of a program's error output that a reason quotes."""


MAX_ANSWER_BYTES = 1 << 28
"""Bytes of one answer that are read at most."""

_GARBLED = "wrote something else into the pipe of its answers"


def answered(model: ModelSpec, rows: Sequence[Row]) -> list[Answer]:
    """Return what a model says of designs: its metrics, or why there are none.

    A call that fails is made again as often as the sweep says. A batch that still fails is halved, so that only the
    designs at fault have no answer.
    """
    reason = ""
    for _ in range(model.retries + 1):
        try:
            return answers_of(model, _call(model, rows), len(rows))
        except Failed as failed:
            reason = failed.reason
    if len(rows) == 1:
        return [failure(reason)]
    middle = len(rows) // 2
    return [*answered(model, rows[:middle]), *answered(model, rows[middle:])]


def _call(model: ModelSpec, rows: Sequence[Row]) -> Sequence[Any]:
    return _command(model, rows) if model.command is not None else _function(model, rows)


# -- a command ------------------------------------------------------------------------------------------------------


def _command(model: ModelSpec, rows: Sequence[Row]) -> Sequence[Any]:
    """Start the command, hand it the designs as JSON lines, and return its lines."""
    assert model.command is not None
    try:
        child = subprocess.Popen(
            model.command,
            cwd=model.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"{model.command[0]} cannot be started: {error.strerror}") from None
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    # What it has started may keep its pipes open: that ends with it, so that the pipes do.
    threading.Thread(target=_end_group_after, args=(child.pid,), daemon=True).start()
    try:
        out, said = child.communicate(lines.encode(), timeout=model.timeout_s)
    except subprocess.TimeoutExpired:
        raise Failed(_late(model)) from None
    finally:
        _end(child)
    if child.returncode:
        words = " ".join(said.decode(errors="replace").split())[-MAX_SAID:]
        raise Failed(f"{_ended(child.returncode)}{f': {words}' if words else ''}")
    result = []
    for line in out.decode(errors="replace").splitlines():
        if line.strip():
            try:
                result.append(json.loads(line))
            except (ValueError, RecursionError):
                raise Failed(f"wrote a line that is not JSON: {line.strip()[:80]!r}") from None
    return result


def _late(model: ModelSpec) -> str:
    return f"gave no answer within {model.timeout_s:g} s"


def _ended(code: int) -> str:
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"was ended by signal {names.get(-code, -code)}"
    return f"ended with exit status {code}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started, and let go of its pipes."""
    # The group outlives its first process as long as any other is in it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _end_group_after(leader: int) -> None:
    """Wait for the end of the first process of a group, and end the others."""
    with contextlib.suppress(ChildProcessError, ProcessLookupError, PermissionError):
        os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT)
        os.killpg(leader, signal.SIGKILL)


# -- a function -----------------------------------------------------------------------------------------------------


class Child:
    """A process that serves one function (see `server`).

    Args:
        model: names the function.
    """

    def __init__(self, model: ModelSpec) -> None:
        assert model.function is not None
        how = "one" if model.batch is None else "many"
        command = [sys.executable, "-u", server.__file__, model.folder, model.function, how]
        pipe = subprocess.PIPE
        self._model = model
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        self._held = b""
        try:
            self.issue = str(self._read().get("issue", ""))
        except Lost:
            self.end()
            raise

    def ask(self, rows: Sequence[Row]) -> Sequence[Any]:
        """Return what the function returns for designs."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(list(rows)).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise Lost(_ended(self._child.wait())) from None
        record = self._read()
        if "failed" in record:
            raise Failed(str(record["failed"]))
        if not isinstance(record.get("answers"), list):
            raise Lost(_GARBLED)
        result: Sequence[Any] = record["answers"]
        return result

    def _read(self) -> dict[str, Any]:
        """Return the next line, within the time limit."""
        assert self._child.stdout is not None
        limit = self._model.timeout_s
        until = None if limit is None else time.monotonic() + limit
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._child.stdout, selectors.EVENT_READ)
            while b"\n" not in self._held:
                left = None if until is None else until - time.monotonic()
                if left is not None and (left <= 0 or not waiting.select(left)):
                    raise Lost(_late(self._model))
                got = os.read(self._child.stdout.fileno(), 1 << 16)
                if not got:
                    raise Lost(_ended(self._child.wait()))
                self._held += got
                if len(self._held) > MAX_ANSWER_BYTES:
                    raise Lost(f"wrote more than {MAX_ANSWER_BYTES} bytes")
        line, _, self._held = self._held.partition(b"\n")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise Lost(_GARBLED)
        return record

    def end(self) -> None:
        """End the process."""
        _end(self._child)


@lru_cache(maxsize=1)
def _children() -> dict[str, Child]:
    """The children of this process, ended with it."""
    children: dict[str, Child] = {}

    def end_all() -> None:
        for child in children.values():
            child.end()

    atexit.register(end_all)
    return children


def _function(model: ModelSpec, rows: Sequence[Row]) -> Sequence[Any]:
    key, children = model.model_dump_json(), _children()
    try:
        if key not in children:
            children[key] = Child(model)
        if children[key].issue:
            raise Failed(children[key].issue)
        return children[key].ask(rows)
    except Lost:
        # It has no answer left to give, or would give it too late.
        if key in children:
            children.pop(key).end()
        raise


def end_children() -> None:
    """End the processes that serve functions."""
    children = _children()
    while children:
        children.popitem()[1].end()


def model_hash(model: ModelSpec) -> str:
    """Return the SHA-256 of the files that a model names: its module, or those among the words of its command."""
    folder = Path(model.folder)
    if model.function is not None:
        stem = folder.joinpath(*model.function.partition(":")[0].split("."))
        files = [stem.with_suffix(".py"), stem / "__init__.py"]
    else:
        files = [folder / word for word in model.command or ()]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files if file.is_file())).hexdigest()


def issue_of(model: ModelSpec) -> str:
    """Return why a model cannot be called at all, "" where it can."""
    if not Path(model.folder).is_dir():
        return f"there is no folder {model.folder}"
    if model.command is not None:
        from shutil import which

        here = Path(model.folder) / model.command[0]
        result = which(model.command[0]) or (os.sep in model.command[0] and os.access(here, os.X_OK))
        return "" if result else f"there is no program {model.command[0]}"
    try:
        child = Child(model)
    except Failed as failed:
        return f"the module of {model.function} cannot be loaded: {failed.reason}"
    child.end()
    return child.issue
