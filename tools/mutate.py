"""Mutation testing of a package or module: would a test notice if this operator, number or comparison were another?

    python tools/mutate.py reach                                  which test runs which line (minutes, once per state)
    python tools/mutate.py reach tests/cost_models                the same of some tests, beside what is known
    python tools/mutate.py run cost_models --count 300 --seed 0   a seeded sample; exit status 1 above 10 % survival
    python tools/mutate.py run dse/violation.py                   every mutant of one module

A mutant is one change that Cosmic Ray's operators make in one file, of the kinds in ``OPERATORS``; numbers above
``MAX_NUMBER`` stay, as one more or less is no change to them. It is judged by the tests that run its line, those of its
module first, then the stored numbers and the quickest, to the first that fails; in a copy of the work tree, so that
processes which a test starts see it too, by a warm process (``mutation_worker.py``) that forks a child per mutant. A
line counts as run by a test also where it ran in a fixture or a kept answer that the test uses; one that runs at the
import is judged by all tests that reach the module. Mutants that cannot change what a program does are listed with
their argument in ``tools/equivalent_mutants.yaml`` and counted apart, as are those out of time.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import contextlib
import functools
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REACH = ROOT / ".mutation"
PACKAGES = ("cost_models", "dse")
STORED = "tests/snapshot/test_numbers.py"
"""Where nearly every line of the models is run, and any number that moves is noticed."""
MAX_NUMBER = 20.0
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
    """One change of one file: which operator makes it, at which of its places, on which line of which statement."""

    path: str
    operator: str
    occurrence: int
    lines: tuple[int, ...]


def reach(where: list[str], jobs: int) -> None:
    """Run test files, in a process of its own each, and keep which test runs which line.

    Where paths are given, only those in or below them, and what is known of others stays.
    """
    if not where:
        shutil.rmtree(REACH, ignore_errors=True)
    REACH.mkdir(exist_ok=True)
    files = _files(where or ["tests"], "test_*.py")
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder), jobs)

        def run(file: str) -> str:
            out = REACH / (file.replace("/", ".") + ".json")
            with copies.one() as copy:
                return f"{copy.ask({'reach': file, 'out': str(out)})}  {file}"

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for done, told in enumerate(pool.map(run, files), 1):
                print(f"{done} of {len(files)}  {told}", flush=True)
        copies.close()


def _files(where: list[str], pattern: str) -> list[str]:
    """Return the files that are named, or lie in folders that are named, relative to the root, in their order."""
    found = ([ROOT / one] if one.endswith(".py") else sorted((ROOT / one).rglob(pattern)) for one in where)
    return list(dict.fromkeys(str(path.relative_to(ROOT)) for paths in found for path in paths))


@dataclass(frozen=True)
class Some:
    """Tests of one file that judge a mutant, quickest first, and the processor's and clock's time without one [s]."""

    file: str
    cpu_s: dict[str, float]
    wall_s: float

    @property
    def whole_s(self) -> float:
        """What they take together."""
        return sum(self.cpu_s.values())

    def asked(self) -> tuple[str, dict[str, float], float]:
        """Return what the worker is asked: the tests, and when all of them are out of time by the clock."""
        return self.file, self.cpu_s, 120 + 20 * self.wall_s


class Reach:
    """Which tests run a line, and how long each takes."""

    def __init__(self) -> None:
        """Read what ``reach`` has kept.

        Raises:
            SystemExit: it has not been run.
        """
        self.files: dict[str, list[tuple[str, float, float]]] = {}
        self.lines: dict[str, dict[str, dict[int, int]]] = defaultdict(dict)
        for path in sorted(REACH.glob("*.json")):
            file, told = path.name.removesuffix(".py.json").replace(".", "/") + ".py", json.loads(path.read_text())
            self.files[file] = [tuple(one) for one in told["tests"]]
            for module, lines in told["lines"].items():
                self.lines[module][file] = {int(line): int(bits, 16) for line, bits in lines.items()}
            # What fails without a mutant judges none.
            for name in told["failed"]:
                print(f"left out, as it fails or is skipped without a mutant: {file}::{name}")
        if not self.files:
            raise SystemExit("nothing is known of which test runs which line: run `python tools/mutate.py reach` first")

    def tests(self, mutant: Mutant) -> list[Some]:
        """Return the tests to judge a mutant by, file by file: those of its module first, stored numbers, the quickest.

        They are the tests that run its line, be it in a fixture or a kept answer that they use. What runs at the import
        is judged by all that reach the module, and a module that nobody reaches after its import by all tests. A line
        that no test runs may run in a process that one starts: it is judged by the tests of its folder.
        """
        mirror = Path("tests", mutant.path)
        chosen = self._running(mutant) or [
            _some(file, tests) for file, tests in self.files.items() if Path(file).parent == mirror.parent
        ]
        return sorted(
            chosen,
            key=lambda one: (
                one.file != str(mirror.with_name(f"test_{mirror.name}")),
                one.file != STORED,
                one.whole_s * (1 if Path(one.file).parent == mirror.parent else 4),
            ),
        )

    def _running(self, mutant: Mutant) -> list[Some]:
        """Return the tests that run a mutant's line."""
        chosen = []
        reached = any(
            any(bits & ~(1 << len(self.files[file])) for bits in lines.values())
            for file, lines in self.lines[mutant.path].items()
        )
        for file, tests in self.files.items():
            lines, imported = self.lines[mutant.path].get(file, {}), 1 << len(tests)
            run = next((lines[line] for line in mutant.lines if line in lines), 0)
            if run & imported:
                module = functools.reduce(int.__or__, lines.values(), 0) & (imported - 1)
                run |= module if reached else imported - 1
            some = [one for place, one in enumerate(tests) if run >> place & 1]
            if some:
                chosen.append(_some(file, some))
        return chosen


def _some(file: str, tests: list[tuple[str, float, float]]) -> Some:
    """Return tests (name, time by the clock, of the processor) of a file, quickest first."""
    seconds = {name: cpu for cpu, name in sorted((cpu, name) for name, _, cpu in tests)}
    return Some(file, seconds, sum(wall for _, wall, _ in tests))


ASSERTED = {"zip": "strict", "dataclass": "frozen"}
"""Calls and their keyword that asserts what is so by construction; types are checked for the latter by mypy."""

DRAWN_IN = "dse/render/"
APPEARANCE = frozenset(
    (
        *("alpha", "bbox_to_anchor", "capsize", "elinewidth", "fontsize", "fraction", "height_ratios", "length"),
        *("linestyle", "linewidth", "linewidths", "markeredgewidth", "markerscale", "markersize", "ncols", "pad"),
        *("s", "xytext", "zorder"),
    )
)
"""Keywords of drawing that say how thick, large, far or dense: a matter of taste, of which no test knows the truth."""


@dataclass(frozen=True)
class Source:
    """What of a file is worth changing: no annotation, message of an error, star of a signature or width of a line."""

    text: str
    drawn: bool

    @functools.cached_property
    def nodes(self) -> list[ast.AST]:
        """Its syntax."""
        return list(ast.walk(ast.parse(self.text)))

    @functools.cached_property
    def ignored(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Places, from and to, of annotations, errors that are raised and what is there for type checkers."""
        parts: list[Any] = []
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                parts += [node.returns, *(one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg))]
            elif isinstance(node, ast.AnnAssign):
                parts.append(node.annotation)
            elif isinstance(node, ast.Raise) or (
                isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            ):
                parts.append(node)
            elif isinstance(node, ast.Call):
                called = node.func
                name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
                parts += [one.value for one in node.keywords if one.arg == ASSERTED.get(name, "")]
                if self.drawn:
                    parts += [one.value for one in node.keywords if one.arg in APPEARANCE]
                    parts += node.args if name == "new_figure" else []
        return [_span(part) for part in parts if part is not None]

    @functools.cached_property
    def operators(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Places, from and to, between the two sides of every operation."""
        sides = ((node.left, node.right) for node in self.nodes if isinstance(node, ast.BinOp))
        return [(_span(left)[1], _span(right)[0]) for left, right in sides]

    @functools.cached_property
    def statements(self) -> dict[int, int]:
        """First line of the innermost statement of every line."""
        spans = (_span(node) for node in self.nodes if isinstance(node, ast.stmt))
        return {line: begin for (begin, _), (end, _) in sorted(spans) for line in range(begin, end + 1)}

    def counts(self, operator: str, place: tuple[int, int]) -> bool:
        """Return whether what an operator changes at a place is worth changing."""
        if operator.startswith("ReplaceBinaryOperator") and not _inside(place, self.operators):
            return False
        return not _inside(place, self.ignored)


def _span(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return where a node begins and ends."""
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _inside(place: tuple[int, int], spans: list[tuple[tuple[int, int], tuple[int, int]]]) -> bool:
    """Return whether a place lies in one of the spans."""
    return any(begin <= place < end for begin, end in spans)


def mutants(paths: list[str]) -> Iterator[Mutant]:
    """Yield every mutant of files, in a fixed order."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    for path in paths:
        source = Source((ROOT / path).read_text(), path.startswith(DRAWN_IN))
        nodes = list(ast_nodes(get_ast(source.text)))
        for name in OPERATORS:
            operator = get_operator(f"core/{name}")()
            places = ((node, place) for node in nodes for place in operator.mutation_positions(node))
            for occurrence, (node, (place, _)) in enumerate(places):
                number = name == "NumberReplacer" and abs(ast.literal_eval(node.value))
                if number <= MAX_NUMBER and source.counts(name, place):
                    lines = tuple(dict.fromkeys((place[0], source.statements.get(place[0], place[0]))))
                    yield Mutant(path, name, occurrence, lines)


class Copy:
    """A copy of the work tree in which a mutant is put, and the warm process that tries it there."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        """Copy files; compiled ones are checked by content: a mutant may have its file's size and time."""
        self.folder = folder
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        command = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", *PACKAGES, "tests"]
        subprocess.run([sys.executable, *command], cwd=folder, check=True)
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.worker = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "mutation_worker.py")],
            cwd=folder,
            env={**os.environ, **threads, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: dict[str, Any]) -> str:
        """Return the answer of the warm process."""
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        print(json.dumps(question), file=self.worker.stdin, flush=True)
        return str(json.loads(self.worker.stdout.readline()))


class Copies:
    """As many copies as processes."""

    def __init__(self, folder: Path, count: int) -> None:
        """Make them."""
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        names = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
        self.free = [Copy(folder / str(index), names) for index in range(count)]

    @contextlib.contextmanager
    def one(self) -> Iterator[Copy]:
        """Lend a copy."""
        copy = self.free.pop()
        try:
            yield copy
        finally:
            self.free.append(copy)

    def close(self) -> None:
        """End their processes."""
        for copy in self.free:
            copy.worker.communicate()

    def judge(self, mutant: Mutant, tests: list[Some]) -> tuple[str, str, str]:
        """Return (killed, survived, timed out or no mutant; the changed line; by which test file)."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        text = (ROOT / mutant.path).read_text()
        code = mutate_code(text, get_operator(f"core/{mutant.operator}")(), mutant.occurrence)
        if code is None or code == text:
            return "no mutant", "", ""
        before, after = text.splitlines(), code.splitlines()
        changed = next((new.strip() for old, new in zip(before, after, strict=False) if old != new), "")
        with self.one() as copy:
            try:
                (copy.folder / mutant.path).write_text(code)
                outcome, _, by = copy.ask({"judge": [one.asked() for one in tests]}).rpartition(" ")
            finally:
                shutil.copy2(ROOT / mutant.path, copy.folder / mutant.path)
        return {"failed": "killed", "timed out": "timed out"}.get(outcome or by, "survived"), changed, by


def _equivalent() -> set[tuple[str, str]]:
    """Return (file, changed line) of the mutants that are listed as equivalent."""
    import yaml

    listed = yaml.safe_load((ROOT / "tools" / "equivalent_mutants.yaml").read_text()) or {}
    return {(file, line) for file, lines in listed.items() for line in lines}


def _within(tests: list[Some], limit_s: float) -> tuple[list[Some], int]:
    """Return the tests that take no longer than a limit, the quickest of each file, and how many are left out."""
    some, left_out, left_s = [], 0, limit_s
    for one in tests:
        until = itertools.accumulate(one.cpu_s.values())
        taken = [name for name, spent in zip(one.cpu_s, until, strict=True) if spent <= left_s]
        left_out += len(one.cpu_s) - len(taken)
        if taken:
            cut = replace(one, cpu_s={name: one.cpu_s[name] for name in taken})
            some, left_s = [*some, cut], left_s - cut.whole_s
    return some, left_out


def run(where: list[str], count: int | None, seed: int, jobs: int, limit_s: float, out: Path | None) -> int:
    """Try a sample of mutants and print what survived; return the exit status."""
    paths = sorted(_files(where, "*.py"))
    known, every = Reach(), list(mutants(paths))
    sample = every if count is None else random.Random(seed).sample(every, min(count, len(every)))
    print(f"{len(sample)} of {len(every)} mutants of {len(paths)} files, seed {seed}", flush=True)
    equivalent, results = _equivalent(), []
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder), jobs)

        def judged(mutant: Mutant) -> dict[str, Any]:
            tests = known.tests(mutant)
            some, left_out = _within(tests, limit_s)
            outcome, changed, by = copies.judge(mutant, some)
            if outcome == "survived" and (mutant.path, changed) in equivalent:
                outcome = "equivalent"
            return {
                "outcome": outcome,
                "file": mutant.path,
                "line": mutant.lines[0],
                "operator": mutant.operator,
                "changed": changed,
                "by": by,
                "tests": sum(len(one.cpu_s) for one in some),
                "left out": left_out,
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
        copies.close()
    return _told(results)


def _told(results: list[dict[str, Any]]) -> int:
    """Print the counts and the survivors; return 1 where more than a tenth of what could be killed survives."""
    outcomes = Counter(str(one["outcome"]) for one in results)
    decided = outcomes["killed"] + outcomes["survived"]
    share = outcomes["survived"] / decided if decided else 0.0
    print("\n" + ", ".join(f"{name} {number}" for name, number in sorted(outcomes.items())))
    for one in sorted(results, key=lambda one: (str(one["file"]), int(one["line"]))):
        if one["outcome"] == "survived":
            part = f"  ({one['tests']} tests, {one['left out']} left out)" if one["left out"] else ""
            print(f"survived  {one['file']}:{one['line']}  {one['operator']}  {one['changed']}{part}")
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
    second.add_argument(
        "--limit-s", type=float, default=600.0, help="processor time; tests beyond it are left out, and told [s]"
    )
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
