"""The warm process of ``tools/mutate.py``: it has imported what our code imports, and forks a child per request.

It reads one request per line of its input, as JSON, and answers each with one line. A child imports our code afresh, so
it sees the file that has been changed on disk; the tests of every file run in a process of their own.

* ``{"reach": FILE, "out": PATH}`` runs the tests of a file and keeps which test runs which line of our packages.
* ``{"judge": [[FILE, {TEST: CPU_S, ...}, WALL_S], ...]}`` runs the tests that are named, in that order, to the first
  that fails or is out of time (of the processor, by how long each takes without a mutant; of the clock, for all of a
  file); the answer is ``passed``, or ``failed`` or ``timed out`` and the file.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

OURS = ("cost_models", "dse")
ENTRIES = ("dse.api", "dse.cli")
"""What nearly every test imports: imported once per mutant."""

PYTEST = ("-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
MEMORY_BYTES = 12 * 2**30
"""Address space of a child: a mutant that takes more is stopped by it."""

LEAST_LIMIT_S, TIMES_AS_LONG = 10.0, 3.0
"""Processor time after which a test is out of time: so much, and so many times what it takes without a mutant."""

PASSED, NO_TESTS = 0, 5


def ours(module: str) -> bool:
    """Return whether a module is of our packages or tests."""
    return module.split(".")[0] in (*OURS, "tests")


def fork(work: Callable[[], int], wall_s: float) -> str:
    """Run work in a child with a process group of its own; return passed, failed or timed out."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    until, status = time.monotonic() + wall_s, None
    while status is None and time.monotonic() < until:
        done, code = os.waitpid(child, os.WNOHANG)
        status = code if done else None
        time.sleep(0 if done else 0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
        return "timed out"
    if os.WIFSIGNALED(status):
        return "timed out" if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGKILL) else "failed"
    return "passed" if os.WEXITSTATUS(status) in (PASSED, NO_TESTS) else "failed"


def warm() -> None:
    """Import what our code imports, and nothing of ours: a child finds out what that is."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for package in OURS:
            for module in pkgutil.walk_packages([package], f"{package}."):
                with contextlib.suppress(Exception, SystemExit):
                    importlib.import_module(module.name)
        with os.fdopen(write, "w") as out:
            json.dump([name for name in sys.modules if not ours(name)], out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as found:
        names = json.load(found)
    os.waitpid(child, 0)
    for name in ("hypothesis.extra.numpy", *names):
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)


def enter() -> None:
    """Import our code as it lies on disk; the tests tell what cannot be imported."""
    for name in ENTRIES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def pytest_in(file: str, *arguments: str, plugin: object) -> int:
    """Run pytest on a file, without a word."""
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    return int(pytest.main([*PYTEST, *arguments, file], plugins=[plugin]))


# -- judging ------------------------------------------------------------------------------------------------------


class Chosen:
    """Runs the tests that are named, in their order, to the first that fails."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.places = {name: place for place, name in enumerate(seconds)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the others out."""
        items[:] = sorted(
            (one for one in items if name_of(one) in self.places), key=lambda one: self.places[name_of(one)]
        )


def name_of(item: pytest.Item) -> str:
    """Return the name of a test in its file."""
    return item.nodeid.partition("::")[2]


def judge(files: list[tuple[str, dict[str, float], float]]) -> str:
    """Run the tests of files, and return how it ended."""
    read, write = os.pipe()

    def work() -> int:
        signal.setitimer(signal.ITIMER_PROF, LEAST_LIMIT_S)
        enter()
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        for file, seconds, wall_s in files:
            outcome = fork(functools.partial(pytest_in, file, "-x", plugin=Chosen(seconds)), wall_s)
            if outcome != "passed":
                os.write(write, f"{outcome} {file}".encode())
                return 0
        os.write(write, b"passed")
        return 0

    ended = fork(work, 60 + sum(file[2] for file in files))
    os.close(write)
    with os.fdopen(read) as said:
        return said.read() or f"{ended} import"


# -- reach --------------------------------------------------------------------------------------------------------


class Contexts:
    """What runs which lines: a test, a fixture that tests share, or a function whose answer is kept.

    The lines of a test are its own and those of every fixture and kept answer that it uses, whoever was first to ask.
    """

    def __init__(self) -> None:
        from coverage import Coverage

        self.coverage = Coverage(data_file=None, source=list(OURS), config_file=False)
        self.lines: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self.uses: dict[str, set[str]] = defaultdict(set)
        self.stack = [""]
        self.tests: dict[str, dict[str, float]] = {}
        self.failed: set[str] = set()

    def start(self) -> None:
        """Count lines from here on, and know of every answer that is kept."""
        kept_function, kept_property, contexts = functools.lru_cache, functools.cached_property, self

        def lru_cache(maxsize: Any = 128, typed: bool = False) -> Any:
            def decorated(function: Callable[..., Any]) -> Any:
                if not ours(function.__module__):
                    return kept_function(maxsize, typed)(function)
                context = f"kept {function.__module__}.{function.__qualname__}"

                @functools.wraps(function)
                def counted(*positional: Any, **named: Any) -> Any:
                    with contexts.within(context):
                        return function(*positional, **named)

                kept = kept_function(maxsize, typed)(counted)

                @functools.wraps(function)
                def called(*positional: Any, **named: Any) -> Any:
                    contexts.uses[contexts.stack[-1]].add(context)
                    return kept(*positional, **named)

                for name in ("cache_clear", "cache_info", "cache_parameters"):
                    setattr(called, name, getattr(kept, name))
                return called

            if callable(maxsize):
                function, maxsize = maxsize, 128
                return decorated(function)
            return decorated

        class CachedProperty(kept_property):  # type: ignore[type-arg]
            """Is asked each time, as it can be set, and tells who has asked."""

            def __get__(self, instance: Any, owner: Any = None) -> Any:
                if instance is None or not ours(self.func.__module__):
                    return super().__get__(instance, owner)
                context = f"kept {self.func.__module__}.{self.func.__qualname__}"
                contexts.uses[contexts.stack[-1]].add(context)
                if self.attrname in instance.__dict__:
                    return instance.__dict__[self.attrname]
                with contexts.within(context):
                    return super().__get__(instance, owner)

            def __set__(self, instance: Any, value: Any) -> None:
                instance.__dict__[self.attrname] = value

        functools.lru_cache = lru_cache  # type: ignore[assignment]
        functools.cache = lru_cache(None)  # type: ignore[assignment]
        functools.cached_property = CachedProperty  # type: ignore[misc]
        self.coverage.start()

    def flush(self) -> None:
        """Give the lines that have run to what runs."""
        collector = self.coverage._collector
        assert collector is not None
        for file, found in list(collector.data.items()):
            if found:
                self.lines[self.stack[-1]][file] |= set(found)
                found.clear()

    @contextlib.contextmanager
    def within(self, context: str) -> Iterator[None]:
        """Give what runs inside to a context, and the context to what runs outside."""
        self.flush()
        self.uses[self.stack[-1]].add(context)
        self.stack.append(context)
        try:
            yield
        finally:
            self.flush()
            self.stack.pop()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        """Count what a fixture runs to all tests that have it."""
        with self.within(f"fixture {fixturedef.argname}"):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Count what a test runs, and its time."""
        name, wall, cpu = name_of(item), time.perf_counter(), time.process_time()
        with self.within(name):
            try:
                return (yield)
            finally:
                self.uses[name] |= {f"fixture {one}" for one in getattr(item, "fixturenames", ())}
                self.tests[name] = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what fails, or does not run, without a mutant."""
        if report.failed or report.skipped:
            self.failed.add(report.nodeid.partition("::")[2])

    def _used(self, context: str) -> set[str]:
        """Return a context and all that it uses."""
        found, rest = {context}, [context]
        while rest:
            new = self.uses.get(rest.pop(), set()) - found
            found |= new
            rest += new
        return found

    def told(self) -> dict[str, Any]:
        """Return the tests, and per file and line the tests that run it, as bits; the last bit is the import."""
        self.flush()
        names = [name for name in self.tests if name not in self.failed]
        found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for place, name in enumerate(names):
            for context in self._used(name):
                for file, lines in self.lines.get(context, {}).items():
                    for line in lines:
                        found[file][line] |= 1 << place
        for context in self._used(""):
            for file, lines in self.lines.get(context, {}).items():
                for line in lines:
                    found[file][line] |= 1 << len(names)
        root = Path.cwd()
        return {
            "tests": [[name, *self.tests[name].values()] for name in names],
            "failed": sorted(self.failed),
            "lines": {
                str(Path(file).relative_to(root)): {line: f"{bits:x}" for line, bits in lines.items()}
                for file, lines in found.items()
            },
        }


def reach(file: str, out: Path) -> int:
    """Run the tests of a file, and write which runs which line."""
    contexts = Contexts()
    contexts.start()
    enter()
    pytest_in(file, plugin=contexts)
    out.write_text(json.dumps(contexts.told()))
    return 0


def main() -> None:
    """Answer requests until there are none."""
    sys.path.insert(0, str(Path.cwd()))
    warm()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        if "reach" in asked:
            answer = fork(functools.partial(reach, asked["reach"], Path(asked["out"])), 3600)
        else:
            answer = judge([tuple(one) for one in asked["judge"]])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
