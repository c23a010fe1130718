"""Plain streaming: copy and read bandwidth against size, and what one launch costs."""

from __future__ import annotations

import torch

from tools.measure_gpu.bench import FITS, Bench, NotMeasured, Point, Points
from tools.measure_gpu.rows import Cells
from tools.measure_gpu.timing import copies_for

LAUNCHES = 512
"""So many that the head start which emptying the cache gives the host is a few percent of them."""


def stream_points(bench: Bench) -> Points:
    """Yield copies and reads of every size."""
    for kind, copies in (("copy", 2), ("read", 1)):
        for size in bench.sizes.stream_bytes:
            key = f"stream|{kind}|{size}"
            yield Point(key, "operators", "stream", copies * size, lambda a=(key, kind, size): _stream(bench, *a))


def _stream(bench: Bench, key: str, kind: str, size: int) -> Cells:
    device = bench.device
    moved = 2 * size if kind == "copy" else size
    count = copies_for(moved, device.l2_bytes, device.free_bytes() / 4)
    sources = [torch.ones(size // 4, dtype=torch.float32, device=device.torch) for _ in range(count)]
    if kind == "copy":
        targets = [torch.empty_like(source) for source in sources]
        calls = [lambda a=a, b=b: b.copy_(a) for a, b in zip(sources, targets, strict=True)]
        right = bool((calls[0]() == sources[0]).all())
    else:
        calls = [lambda a=a: a.sum() for a in sources]
        right = abs(float(calls[0]()) / (size // 4) - 1) < 1e-5
    if not right:
        raise NotMeasured(f"wrong result of {kind}")
    timing = bench.time(calls)
    # A kernel that finds its data in the cache says nothing of the memory; small sizes say what a launch costs.
    flag = FITS if moved <= device.l2_bytes else "ok"
    note = f"{kind} of 32-bit floats, {'bytes read and written' if kind == 'copy' else 'bytes read'}"
    rate = {"low": moved / timing.high_s / 1e9, "high": moved / timing.low_s / 1e9}
    return {
        **bench.cells(key, software=bench.with_graphs(timing, device.software), note=_joined(note, timing.remark)),
        "kind": "memory_bandwidth", "dtype": "fp32", "size_bytes": moved, "metric": "achieved_GBps",
        "value": moved / timing.median_s / 1e9, "bound_flag": flag, "kernel": kind,
        **bench.spread(timing, unit=1.0), **rate,
    }  # fmt: skip


def launch_points(bench: Bench) -> Points:
    """Yield the cost of a launch: kernels that do nothing to speak of, one by one and in a graph."""
    for graph in (False, True):
        key = f"launch|{'graph' if graph else 'eager'}"
        yield Point(key, "operators", "launch", 1e6, lambda a=(key, graph): _launch(bench, *a))


def _launch(bench: Bench, key: str, graph: bool) -> Cells:
    if graph and not bench.clock.graphs:
        raise NotMeasured("no graphs on this device")
    numbers = [torch.zeros(1, device=bench.device.torch) for _ in range(LAUNCHES)]
    timing = bench.time([lambda x=x: x.add_(1.0) for x in numbers], graph=graph)
    note = f"{LAUNCHES} additions to one number each, back to back, per launch"
    return {
        **bench.cells(
            key, software=bench.with_graphs(timing, bench.device.software), note=_joined(note, timing.remark)
        ),
        "kind": "kernel_launch", "dtype": "fp32", "m": 1, "metric": "latency_us", "value": timing.median_s * 1e6,
        "bound_flag": FITS, "kernel": "add", **bench.spread(timing, unit=1e6),
    }  # fmt: skip


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
