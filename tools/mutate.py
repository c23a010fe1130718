"""Mutation testing of a package or module: would a test notice if this operator, number or comparison were another?

    python tools/mutate.py reach                                  which test runs which line (minutes, once per state)
    python tools/mutate.py reach tests/cost_models                the same of some tests, beside what is known
    python tools/mutate.py run cost_models --count 300 --seed 0   a seeded sample; exit status 1 above 10 % survival
    python tools/mutate.py run dse/violation.py                   every mutant of one module

A mutant is one change that Cosmic Ray's operators make in one file, of the kinds in ``OPERATORS``; numbers above
``MAX_NUMBER`` stay, as one more or less is no change to them. It is judged by the tests that run its line, the quickest
first, in a copy of the work tree, so that processes which a test starts see it too. A line that runs when its module is
imported, or in a fixture, is judged by the test files that reach the module. Mutants that cannot change what a program
does are listed with their argument in ``tools/equivalent_mutants.yaml`` and counted apart, as are those out of time.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REACH = ROOT / ".mutation"
PACKAGES = ("cost_models", "dse")
MAX_NUMBER = 20.0
NO_TESTS = 5
"""Exit status of pytest that has met none."""

FIRST = 5
"""Quickest tests that are tried before the others, whose files alone take long to import."""

PYTEST = ("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider")
OPERATORS = (
    *(
        f"ReplaceBinaryOperator_{one}"
        for one in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul")
    ),
    *(f"ReplaceBinaryOperator_{one}" for one in ("BitAnd_BitOr", "BitOr_BitAnd")),
    *(
        f"ReplaceComparisonOperator_{one}"
        for one in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_GtE", "LtE_Gt", "Gt_LtE", "GtE_Lt")
    ),
    *(f"ReplaceComparisonOperator_{one}" for one in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *("ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_Invert"),
    *(
        "AddNot",
        "ReplaceTrueWithFalse",
        "ReplaceFalseWithTrue",
        "ReplaceAndWithOr",
        "ReplaceOrWithAnd",
        "NumberReplacer",
    ),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
)


@dataclass(frozen=True)
class Mutant:
    """One change of one file: which operator makes it, at which of its places, on which line."""

    path: str
    operator: str
    occurrence: int
    line: int


def reach(where: list[str], jobs: int) -> None:
    """Run test files under coverage, in a process of its own each, and keep which test function runs which line.

    Where paths are given, only those in or below them, and what is known of others stays.
    """
    if not where:
        shutil.rmtree(REACH, ignore_errors=True)
    REACH.mkdir(exist_ok=True)
    settings = REACH / "settings"
    settings.write_text(f"[run]\nsource = {','.join(PACKAGES)}\n")
    (REACH / "contexts.py").write_text(CONTEXTS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(REACH)])}
    files = _files(where or ["tests"], "test_*.py")

    def run(file: str) -> str:
        name = file.replace("/", ".")
        subprocess.run(
            [
                *(sys.executable, "-m", "coverage", "run", f"--rcfile={settings}"),
                *(f"--data-file={REACH / name}.coverage", f"--context={file}"),
                *(*PYTEST, "-p", "contexts", f"--junitxml={REACH / name}.xml", file),
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
        )
        return file

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done, file in enumerate(pool.map(run, files), 1):
            print(f"{done} of {len(files)}  {file}", flush=True)


def _files(where: list[str], pattern: str) -> list[str]:
    """Return the files that are named, or lie in folders that are named, relative to the root, in their order."""
    found = ([ROOT / one] if one.endswith(".py") else sorted((ROOT / one).rglob(pattern)) for one in where)
    return list(dict.fromkeys(str(path.relative_to(ROOT)) for paths in found for path in paths))


class Reach:
    """Which tests run a line, and how long each takes."""

    def __init__(self) -> None:
        """Read what ``reach`` has kept.

        Raises:
            SystemExit: it has not been run.
        """
        self.seconds: dict[str, float] = defaultdict(float)
        self.files: dict[str, float] = {}
        for path in sorted(REACH.glob("*.xml")):
            file = path.name.removesuffix(".py.xml").replace(".", "/") + ".py"
            failed = set()
            for case in ElementTree.parse(path).iter("testcase"):
                name = f"{file}::{str(case.get('name')).split('[')[0]}"
                self.seconds[name] += float(case.get("time", 0))
                failed |= {name} if any(case.find(tag) is not None for tag in ("failure", "error")) else set()
            for name in failed:
                # What fails without a mutant judges none.
                print(f"left out, as it fails without a mutant: {name}")
                del self.seconds[name]
            self.files[file] = sum(seconds for name, seconds in self.seconds.items() if name.startswith(file + "::"))
        if not self.files:
            raise SystemExit("nothing is known of which test runs which line: run `python tools/mutate.py reach` first")
        self._modules: dict[str, tuple[dict[int, set[str]], set[str]]] = {}

    def _module(self, path: str) -> tuple[dict[int, set[str]], set[str]]:
        """Return (tests of every line, test files that reach the module after its import)."""
        from coverage import CoverageData

        if path not in self._modules:
            lines: dict[int, set[str]] = defaultdict(set)
            reaching: set[str] = set()
            for file in self.files:
                data = CoverageData(str(REACH / f"{file.replace('/', '.')}.coverage"))
                data.read()
                for line, contexts in data.contexts_by_lineno(str(ROOT / path)).items():
                    for context in contexts:
                        _, _, function = context.partition("|")
                        if function:
                            reaching.add(file)
                            lines[line].add(f"{file}::{function.rsplit('.', 1)[-1]}")
            self._modules[path] = lines, reaching
        return self._modules[path]

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests to judge a mutant by, quickest first."""
        lines, reaching = self._module(mutant.path)
        found = [one for one in lines.get(mutant.line, ()) if one in self.seconds]
        if found:
            return sorted(found, key=lambda one: (self.seconds[one], one))
        mirror = str(Path("tests", mutant.path).parent)
        # A module of constants alone is reached by no line of its own.
        return sorted(reaching or self.files, key=lambda one: (not one.startswith(mirror), self.files[one], one))

    def time_s(self, tests: list[str]) -> float:
        """Return how long tests take."""
        return sum(self.seconds[one] if "::" in one else self.files[one] for one in tests)


def _ignored(text: str) -> set[int]:
    """Return the lines of annotations and of what is there for type checkers."""
    ignored: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = [node.returns, *(one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg))]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation] if node.value is None else []
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            parts = [node]
        for part in parts:
            if part is not None:
                ignored |= set(range(part.lineno, (part.end_lineno or part.lineno) + 1))  # type: ignore[attr-defined]
    return ignored


CONTEXTS = """
import coverage
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    coverage.Coverage.current().switch_context(getattr(item, "originalname", item.name))
    try:
        return (yield)
    finally:
        coverage.Coverage.current().switch_context("")
"""
"""Plugin of pytest by which coverage tells tests apart; Hypothesis calls them from functions of its own."""

ASSERTED = {"zip": "strict", "dataclass": "frozen"}
"""Calls and their keyword that asserts what is so by construction; types are checked for the latter by mypy."""


def _asserted(text: str) -> set[tuple[int, int]]:
    """Return the places of `ASSERTED`."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    named = ((call.func.id, one) for call in calls if isinstance(call.func, ast.Name) for one in call.keywords)
    return {(one.value.lineno, one.value.col_offset) for name, one in named if ASSERTED.get(name) == one.arg}


def mutants(paths: list[str]) -> Iterator[Mutant]:
    """Yield every mutant of files, in a fixed order."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    for path in paths:
        text = (ROOT / path).read_text()
        ignored, asserted, tree = _ignored(text), _asserted(text), get_ast(text)
        for name in OPERATORS:
            operator = get_operator(f"core/{name}")()
            places = ((node, place) for node in ast_nodes(tree) for place in operator.mutation_positions(node))
            for occurrence, (node, ((line, column), _)) in enumerate(places):
                number = name == "NumberReplacer" and abs(ast.literal_eval(node.value))
                if line not in ignored and (line, column) not in asserted and number <= MAX_NUMBER:
                    yield Mutant(path, name, occurrence, line)


class Copies:
    """Copies of the work tree, one per process, in which a mutant is put and tried."""

    def __init__(self, folder: Path, count: int) -> None:
        """Make the copies; compiled files are checked by content: a mutant may have its file's size and time."""
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        self.free = [folder / str(index) for index in range(count)]
        for copy in self.free:
            for name in listed:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
            subprocess.run(
                [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", *PACKAGES, "tests"],
                cwd=copy,
                check=True,
            )

    def judge(self, mutant: Mutant, tests: list[str], limit_s: float) -> tuple[str, str]:
        """Return (killed, survived, timed out or no mutant, the changed line)."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        text = (ROOT / mutant.path).read_text()
        code = mutate_code(text, get_operator(f"core/{mutant.operator}")(), mutant.occurrence)
        if code is None or code == text:
            return "no mutant", ""
        before, after = text.splitlines(), code.splitlines()
        changed = next((new.strip() for old, new in zip(before, after, strict=False) if old != new), "")
        if not tests:
            return "survived", changed
        copy = self.free.pop()
        try:
            (copy / mutant.path).write_text(code)
            environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
            until = time.monotonic() + limit_s
            for some in (tests[:FIRST], tests[FIRST:]):
                process = subprocess.Popen(
                    [sys.executable, *PYTEST, "-x", "-W", "ignore", *some],
                    cwd=copy,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                try:
                    status = process.wait(timeout=until - time.monotonic())
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return "timed out", changed
                if status not in (0, NO_TESTS):
                    return "killed", changed
                if len(tests) <= FIRST:
                    break
            return "survived", changed
        finally:
            shutil.copy2(ROOT / mutant.path, copy / mutant.path)
            self.free.append(copy)


def _equivalent() -> set[tuple[str, str]]:
    """Return (file, changed line) of the mutants that are listed as equivalent."""
    import yaml

    listed = yaml.safe_load((ROOT / "tools" / "equivalent_mutants.yaml").read_text()) or {}
    return {(file, line) for file, lines in listed.items() for line in lines}


def run(where: list[str], count: int | None, seed: int, jobs: int, limit_s: float, out: Path | None) -> int:
    """Try a sample of mutants and print what survived; return the exit status."""
    paths = sorted(_files(where, "*.py"))
    known, every = Reach(), list(mutants(paths))
    sample = every if count is None else random.Random(seed).sample(every, min(count, len(every)))
    print(f"{len(sample)} of {len(every)} mutants of {len(paths)} files, seed {seed}", flush=True)
    equivalent, results = _equivalent(), []
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder), jobs)

        def judged(mutant: Mutant) -> dict[str, str | int]:
            tests = known.tests(mutant)
            outcome, changed = copies.judge(mutant, tests, max(60.0, min(limit_s, 20 * known.time_s(tests))))
            if outcome == "survived" and (mutant.path, changed) in equivalent:
                outcome = "equivalent"
            return {
                "outcome": outcome,
                "file": mutant.path,
                "line": mutant.line,
                "operator": mutant.operator,
                "changed": changed,
                "tests": len(tests),
            }

        started = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for done, result in enumerate(pool.map(judged, sample), 1):
                results.append(result)
                if out is not None:
                    out.write_text(json.dumps(results, indent=1) + "\n")
                spent = time.perf_counter() - started
                place = f"{result['file']}:{result['line']}"
                print(f"{done:4d} {spent:6.0f} s  {result['outcome']:10s} {place}  {result['changed']}", flush=True)
    return _told(results)


def _told(results: list[dict[str, str | int]]) -> int:
    """Print the counts and the survivors; return 1 where more than a tenth of what could be killed survives."""
    outcomes = Counter(str(one["outcome"]) for one in results)
    decided = outcomes["killed"] + outcomes["survived"]
    share = outcomes["survived"] / decided if decided else 0.0
    print("\n" + ", ".join(f"{name} {number}" for name, number in sorted(outcomes.items())))
    for one in sorted(results, key=lambda one: (str(one["file"]), int(one["line"]))):
        if one["outcome"] == "survived":
            print(f"survived  {one['file']}:{one['line']}  {one['operator']}  {one['changed']}")
    print(f"survival {share:.1%} of {decided} mutants that were killed or survived")
    return int(share > 0.1)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    first = verbs.add_parser("reach", help="find out which test runs which line")
    second = verbs.add_parser("run", help="try mutants")
    first.add_argument("where", nargs="*", help="test files or folders, as paths; all where not given")
    second.add_argument("where", nargs="+", help="packages or modules, as paths")
    second.add_argument("--count", type=int, help="size of the sample; every mutant where not given")
    second.add_argument("--seed", type=int, default=0)
    second.add_argument("--limit-s", type=float, default=600.0, help="most time for one mutant [s]")
    second.add_argument("--out", type=Path, help="results as JSON, written after each")
    for one in (first, second):
        one.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.verb == "reach":
        reach(given.where, given.jobs)
        return 0
    return run(given.where, given.count, given.seed, given.jobs, given.limit_s, given.out)


if __name__ == "__main__":
    sys.exit(main())
