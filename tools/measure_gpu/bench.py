"""What every section measures with: the device, its clock, the sizes, checked kernels, and the columns of a row."""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from tools.measure_gpu.arguments import Arguments
from tools.measure_gpu.device import Device
from tools.measure_gpu.kernels import FAULTS, Kernel, check
from tools.measure_gpu.rows import PROVENANCE, Cells
from tools.measure_gpu.shapes import Sizes
from tools.measure_gpu.timing import Clock, Timing, time_calls

TITLE = "Decode and its kernels measured by this project's own script"
FITS = "fits_on_chip_memory"
SPARE = 0.9
"""Share of the free memory that a row may take."""


class NotMeasured(Exception):
    """A row cannot be measured here; the message says why."""


class Held:
    """Operands of the last rows, kept while the next rows use them."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._value: Any = None

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """Return what is held under the key; otherwise let go of what is held, and build."""
        if key != self._key:
            self.clear()
            self._value = build()
            self._key = key
        return self._value

    def clear(self) -> None:
        """Let go of what is held and give its memory back."""
        self._key, self._value = None, None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class Point:
    """A row to be measured.

    Attributes:
        key: id of the row.
        form: table that it belongs to.
        section: part of the benchmark.
        needed_bytes: memory that it takes at least.
        measure: returns its cells, or raises `NotMeasured`.
    """

    key: str
    form: str
    section: str
    needed_bytes: float
    measure: Callable[[], Cells]


Points = Iterator[Point]


@dataclass
class Bench:
    """The measuring instrument.

    Attributes:
        device: what is measured.
        clock: its clock.
        sizes: what is swept.
        arguments: what was asked for.
        held: operands of the last rows.
        errors: relative error of each checked kernel.
        issues: what each kernel raised that could not be checked.
    """

    device: Device
    clock: Clock
    sizes: Sizes
    arguments: Arguments
    held: Held = field(default_factory=Held)
    errors: dict[str, float] = field(default_factory=dict)
    issues: dict[str, str] = field(default_factory=dict)

    def time(self, calls: list[Callable[[], object]], *, graph: bool = True, seconds: float | None = None) -> Timing:
        """Return the time of one of several equal calls."""
        return time_calls(self.clock, calls, seconds=seconds or self.arguments.point_s, graph=graph)

    def checked(self, name: str, tolerance: float, error: Callable[[], float]) -> float:
        """Return the relative error of a kernel on a small shape, worked out once.

        Raises:
            NotMeasured: it is beyond the tolerance: a wrong kernel is not timed.
        """
        if name in self.issues:
            raise NotMeasured(self.issues[name])
        if name not in self.errors:
            try:
                self.errors[name] = error()
            except FAULTS as issue:
                self.issues[name] = f"{type(issue).__name__}: {(str(issue).splitlines() or [''])[0][:200]}"
                raise
        result = self.errors[name]
        if not result <= tolerance:
            raise NotMeasured(f"wrong result: relative error {result:.2g} against 64-bit floats, allowed {tolerance:g}")
        return result

    def checked_kernel(self, kernel: Kernel) -> float:
        """Return the relative error of a GEMM kernel; see `checked`."""
        return self.checked(kernel.name, kernel.tolerance, lambda: check(kernel, self.device.torch))

    def cells(self, key: str, *, software: str, note: str = "", grade: str = "A") -> dict[str, object]:
        """Return the columns that every row has."""
        sm, memory = self.device.meter.clocks()
        reported = self.device.provenance | {
            "seed": str(self.arguments.seed), "clock_sm_mhz": sm, "clock_memory_mhz": memory,
        }  # fmt: skip
        check_only = "" if self.device.is_gpu else "CPU timer: a check of the script, no measurement of a GPU"
        return {
            "id": key, "split": "open", "source_id": self.source, "source_title": TITLE,
            "source_url_or_repo_path": f"tools/measure_gpu @{reported['commit']}",
            "chip": self.device.chip, "n_chips": 1,
            "software": software, "date": reported["date"], "grade": grade if self.device.is_gpu else "C",
            "note": "; ".join(part for part in (note, check_only) if part),
            **{name: reported.get(name, "") for name in PROVENANCE},
        }  # fmt: skip

    @property
    def source(self) -> str:
        """The source that rows vote for: one per kind of device."""
        return f"own_{self.device.chip}" if self.device.is_gpu else "cpu_check"

    def spread(self, timing: Timing, *, unit: float) -> dict[str, object]:
        """Return the columns on how a time was taken; low and high in the row's unit (seconds times `unit`)."""
        graph = "one graph a round" if timing.graphed else "launched one by one"
        return {
            "low": timing.low_s * unit, "high": timing.high_s * unit, "rounds": timing.rounds, "calls": timing.calls,
            "timing": f"{self.clock.name}, {graph}, cache emptied before each round",
        }  # fmt: skip

    def with_graphs(self, timing: Timing, name: str) -> str:
        """Return the name of the software with the way in which it was launched."""
        return f"{name} with CUDA graphs" if timing.graphed else f"{name} without graphs"
