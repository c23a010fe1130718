"""Board power in steady state: of decode steps, per token; of single GEMMs, per call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tools.measure_gpu.bench import Bench, Point, Points
from tools.measure_gpu.dense import dense_kernels
from tools.measure_gpu.gemm import prepared
from tools.measure_gpu.kernels import BASELINE, Kernel, random_matrix
from tools.measure_gpu.meter import Drawn
from tools.measure_gpu.rows import Cells
from tools.measure_gpu.shapes import Layers
from tools.measure_gpu.transformer import COMPRESSED, Pass, kernel_of, least_bytes, timed_pass
from tools.measure_gpu.weight_only import weight_only_kernels

BURST = 16
MATRIX = "ffn_down"


def power_points(bench: Bench) -> Points:
    """Yield the energy of decode steps per token, and of GEMMs per call."""
    sizes = bench.sizes
    for shape in sizes.models:
        # A stack is built once for all its batches and contexts.
        for name in (BASELINE, *COMPRESSED):
            for batch, context in sizes.steady:
                one = Pass("decode", batch, context, kernel=name)
                key = f"power|{shape.key}|{one.key}"
                needed = least_bytes(bench, shape, one)
                yield Point(key, "energy", "power", needed, lambda a=(key, shape, one): _step(bench, *a))
    n, k = sizes.models[-1].matrices()[MATRIX]
    for kernel in (*dense_kernels(bench.device), *weight_only_kernels(bench.device, sizes.group)):
        for m in sizes.steady_rows:
            key = f"power|gemm|{kernel.name}|{n}x{k}|m{m}"
            needed = n * k * kernel.build_bytes + 8.0 * m * (n + k)
            yield Point(key, "energy", "power", needed, lambda a=(key, kernel, n, k, m): _gemm(bench, *a))


def steady(bench: Bench, calls: Sequence[Callable[[], object]], *, graph: bool) -> tuple[Drawn | None, float]:
    """Return what the board drew while calls followed one another, and the seconds of one; None without a meter."""
    clock, count = bench.clock, 0

    def in_turn() -> None:
        for call in calls:
            call()

    in_turn()
    clock.synchronise()
    run = clock.capture(calls) if graph and clock.graphs else in_turn

    def for_a_while(seconds: float) -> Callable[[], None]:
        def loop() -> None:
            nonlocal count
            end, count = time.perf_counter() + seconds, 0
            while count == 0 or time.perf_counter() < end:
                for _ in range(BURST):
                    run()
                clock.synchronise()
                count += BURST

        return loop

    lasting = bench.arguments.power_s
    if not bench.device.meter.present:
        start = time.perf_counter()
        for_a_while(bench.arguments.point_s)()
        return None, (time.perf_counter() - start) / count / len(calls)
    # The board settles first: clocks and temperature follow the load.
    for_a_while(lasting / 2)()
    sampled = bench.device.meter.watch(for_a_while(lasting))
    return sampled, sampled.seconds / count / len(calls)


def _columns(bench: Bench, drawn: Drawn | None) -> dict[str, object]:
    """Return power columns, empty where there is no meter."""
    if drawn is None:
        return {"power_W_total": "", "power_basis": f"not read: {bench.device.meter.why}"}
    return {
        "power_W_total": drawn.watts, "power_basis": drawn.basis, "clock_sm_mhz": f"{drawn.clock_sm_mhz:g}",
        "clock_memory_mhz": f"{drawn.clock_memory_mhz:g}",
    }  # fmt: skip


def _step(bench: Bench, key: str, shape: Layers, one: Pass) -> Cells:
    kernel = kernel_of(bench, one.kernel)
    made = timed_pass(bench, shape, one)
    sampled, step_s = steady(bench, [made.run], graph=True)
    layers = made.depths[1]
    # The whole model draws what the stack draws, for as much longer as its steps take.
    whole_s = step_s * made.whole_s / made.measured.median_s
    joules = "" if sampled is None else sampled.watts * whole_s / one.batch
    reported = (
        "all layers run" if layers == shape.layers else f"power of {layers} layers, time extrapolated to {shape.layers}"
    )
    return {
        **bench.cells(
            key, software=bench.with_graphs(made.measured, kernel.software), note=reported,
            grade="A" if layers == shape.layers else "B",
        ),
        "model": shape.key, "weight_bits": kernel.weight_bits, "batch": one.batch, "batch_mode": "static",
        "input_len": one.context - 1, "output_len": 1, "phase": "decode", "energy_J_per_output_token": joules,
        "median_itl_ms": whole_s * 1e3, "output_tokens_per_s": one.batch / whole_s, "kernel": f"stack {one.kernel}",
        "checked_error": bench.errors[f"stack {one.kernel}"],
        "extrapolated_from_layers": "" if layers == shape.layers else layers,
        **bench.spread(made.measured, unit=1e3), **_columns(bench, sampled),
        "low": "", "high": "",
    }  # fmt: skip


def _gemm(bench: Bench, key: str, kernel: Kernel, n: int, k: int, m: int) -> Cells:
    several = prepared(bench, kernel, n, k)
    x = kernel.cast(random_matrix(max(m, kernel.least_rows), k, bench.device.torch, bench.arguments.seed + 1))
    sampled, call_s = steady(bench, [lambda one=one: one.call(x) for one in several], graph=True)
    microjoules = "" if sampled is None else sampled.watts * call_s * 1e6
    return {
        **bench.cells(key, software=kernel.software, note=f"{kernel.method}, {MATRIX}, in steady state"),
        "phase": "operator loop", "kind": kernel.kind, "dtype": kernel.dtype, "m": m, "n": n, "k": k,
        "latency_us": call_s * 1e6, "energy_uJ_per_call": microjoules, "kernel": kernel.name,
        "checked_error": bench.errors[kernel.name], **_columns(bench, sampled),
    }  # fmt: skip
