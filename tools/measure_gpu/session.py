"""One measurement from its first row to its last: what is there is kept, what cannot be measured is told."""

from __future__ import annotations

import fnmatch
import json
import sys
import time
from dataclasses import dataclass, field
from itertools import chain

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tools.measure_gpu.arguments import Arguments
from tools.measure_gpu.attention import attention_points
from tools.measure_gpu.bench import SPARE, Bench, NotMeasured, Point
from tools.measure_gpu.crossings import break_evens, crossovers, gains, sparse_row, step_parts, weight_only_row
from tools.measure_gpu.device import find_device
from tools.measure_gpu.gemm import gemm_points, sparse_points, weight_only_points
from tools.measure_gpu.kernels import FAULTS
from tools.measure_gpu.power import power_points
from tools.measure_gpu.rows import RowsError, Table
from tools.measure_gpu.shapes import sizes_for
from tools.measure_gpu.stream import launch_points, stream_points
from tools.measure_gpu.timing import make_clock
from tools.measure_gpu.transformer import transformer_points

SECTIONS = {
    "stream": stream_points,
    "launch": launch_points,
    "gemm": gemm_points,
    "weight_only": weight_only_points,
    "sparse": sparse_points,
    "attention": attention_points,
    "transformer": transformer_points,
    "power": power_points,
}
REPORT = "report.json"
ERRORS = "relative_error_against_64_bit_floats"


class DeviceLost(RuntimeError):
    """A kernel left the device in a state in which nothing runs any more."""


@dataclass
class Session:
    """Rows and reasons of one folder.

    Attributes:
        bench: the measuring instrument.
        tables: rows by form.
        reasons: why rows could not be measured, by id; those of earlier runs until they are tried again.
        errors_before: errors of kernels that earlier runs checked.
        left: ids that the time budget left over.
    """

    bench: Bench
    tables: dict[str, Table]
    reasons: dict[str, str]
    errors_before: dict[str, float]
    left: list[str] = field(default_factory=list)

    def points(self) -> list[Point]:
        """Return the rows that are asked for and not there yet."""
        requested = self.bench.arguments
        every = chain.from_iterable(SECTIONS[name](self.bench) for name in requested.sections)
        return [
            point
            for point in every
            if point.key not in self.tables[point.form].rows
            and not any(fnmatch.fnmatch(point.key, pattern) for pattern in requested.skip)
        ]

    def measure(self, point: Point) -> None:
        """Measure one row and write it, or note why it cannot be.

        Raises:
            DeviceLost: nothing can be measured after this row.
        """
        device = self.bench.device
        self.reasons.pop(point.key, None)
        try:
            room = SPARE * device.free_bytes()
            if point.needed_bytes > room:
                self.bench.held.clear()
                room = SPARE * device.free_bytes()
            if point.needed_bytes > room:
                need, has = point.needed_bytes / 2**30, room / 2**30
                raise NotMeasured(f"does not fit: takes {need:.3g} GiB, {has:.3g} GiB may be used")
            self.tables[point.form].add(point.measure())
        except NotMeasured as reason:
            self.reasons[point.key] = str(reason)
        except torch.cuda.OutOfMemoryError:
            self.bench.held.clear()
            self.reasons[point.key] = "does not fit: the device ran out of memory"
        except FAULTS as error:
            if isinstance(error, RowsError):
                raise
            self.reasons[point.key] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
            self._is_alive(point)

    def _is_alive(self, point: Point) -> None:
        """Raise where the device does not answer after an issue."""
        try:
            self.bench.held.clear()
            self.bench.clock.synchronise()
        except RuntimeError as error:
            reported = str(error).splitlines()[0][:200]
            raise DeviceLost(f"{point.key}: {reported}; start again with --skip '{point.key}'") from None

    def conclude(self) -> dict[str, object]:
        """Write tables of gains and the report; return the report."""
        bench = self.bench
        operators = list(self.tables["operators"].rows.values())
        for row, gain in gains(operators):
            only = row["dtype"] == "int4_wo"
            made = (weight_only_row if only else sparse_row)(row, gain, bench.device.gpu)
            self.tables["weight_only" if only else "sparse"].put(made)
        for form in ("weight_only", "sparse"):
            self.tables[form].write()
        steps = list(self.tables["requests"].rows.values())
        report: dict[str, object] = {
            "device": bench.device.name,
            "chip": bench.device.chip,
            "is_a_measurement": bench.device.is_gpu,
            "provenance": bench.device.provenance,
            "power": "read" if bench.device.meter.present else f"not read: {bench.device.meter.why}",
            "rows": {table.path.name: len(table.rows) for table in self.tables.values()},
            ERRORS: self.errors_before | bench.errors,
            "not_measured": self.reasons,
            "left_by_the_time_budget": self.left,
            "weight_only_slower_from": crossovers(operators),
            "sparse_faster_from": break_evens(operators),
            "decode_step_parts_ms": step_parts(operators, steps, bench.sizes.models),
        }
        path = bench.arguments.out / REPORT
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        return report


def start(arguments: Arguments) -> Session:
    """Return a session on the folder that was asked for.

    Raises:
        RuntimeError: there is no such device, or the folder holds rows of another one.
        ValueError: a model cannot be measured.
    """
    sizes = sizes_for(arguments.models, tiny=arguments.tiny)
    device = find_device(arguments.device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tables = {form: Table(arguments.out, form) for form in ("operators", "requests", "energy", "weight_only", "sparse")}
    provenance = device.provenance | {"seed": str(arguments.seed)}
    for table in tables.values():
        table.agree(provenance)
    bench = Bench(device, make_clock(device.torch, device.l2_bytes), sizes, arguments)
    return Session(bench, tables, *_told_before(arguments))


def _told_before(arguments: Arguments) -> tuple[dict[str, str], dict[str, float]]:
    """Return (why rows could not be measured, errors of checked kernels) of earlier runs on the folder."""
    path = arguments.out / REPORT
    if not path.exists():
        return {}, {}
    result = json.loads(path.read_text(encoding="utf-8"))
    return result["not_measured"], result[ERRORS]


def run(arguments: Arguments) -> int:
    """Measure what is asked for; return the exit status."""
    try:
        session = start(arguments)
    except (RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    points = session.points()
    there = sum(len(table.rows) for form, table in session.tables.items() if form not in ("weight_only", "sparse"))
    device = session.bench.device
    print(f"{device.name} ({device.software}): {len(points)} rows to measure, {there} there already")
    print("board power: " + ("NVML" if device.meter.present else f"not read: {device.meter.why}"))
    if arguments.planned:
        print("\n".join(point.key for point in points))
        return 0
    status = _through(session, points)
    _tell(session, session.conclude())
    return status


def _through(session: Session, points: list[Point]) -> int:
    """Measure the points in turn, as far as the time budget reaches; return the exit status."""
    end = time.perf_counter() + 60 * session.bench.arguments.minutes
    columns = (TextColumn("{task.description:14}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with torch.inference_mode(), Progress(*columns) as progress:
        task = progress.add_task("", total=len(points))
        for place, point in enumerate(points):
            if time.perf_counter() > end:
                session.left = [left.key for left in points[place:]]
                return 0
            progress.update(task, description=point.section)
            try:
                session.measure(point)
            except DeviceLost as error:
                print(error, file=sys.stderr)
                return 1
            except KeyboardInterrupt:
                session.left = [left.key for left in points[place:]]
                return 130
            progress.advance(task)
    return 0


def _tell(session: Session, report: dict[str, object]) -> None:
    """Print where the rows are, and every reason once with the number of rows it holds for."""
    for table in session.tables.values():
        if table.rows:
            print(f"{len(table.rows):6d} rows in {table.path}")
    reasons: dict[tuple[str, str], int] = {}
    for key, reason in session.reasons.items():
        part = "|".join(key.split("|")[:2])
        reasons[part, reason] = reasons.get((part, reason), 0) + 1
    for (part, reason), count in reasons.items():
        print(f"{count:6d} rows of {part} not measured: {reason}")
    if session.left:
        print(f"{len(session.left):6d} rows left: start again with the same folder")
    if not session.bench.device.is_gpu:
        print("These rows check the script on a CPU. They measure no GPU and do not belong in the library.")
    print(f"crossovers, break-even points and the parts of a decode step: {session.bench.arguments.out / REPORT}")
