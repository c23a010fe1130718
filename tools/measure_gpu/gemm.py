"""GEMM rate against activation rows for the matrices of real layers, by any kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tools.measure_gpu.bench import FITS, SPARE, Bench, NotMeasured, Point, Points
from tools.measure_gpu.dense import dense_kernels
from tools.measure_gpu.kernels import Kernel, Prepared, random_matrix
from tools.measure_gpu.rows import Cells
from tools.measure_gpu.sparse import sparse_kernels
from tools.measure_gpu.timing import copies_for
from tools.measure_gpu.weight_only import weight_only_kernels


def matrices(bench: Bench, wanted: Sequence[str] = ()) -> dict[tuple[int, int], str]:
    """Return (n, k) of every matrix that is measured, each once, with what it is in which models."""
    result: dict[tuple[int, int], list[str]] = {}
    for layers in bench.sizes.models:
        for name, shape in layers.matrices().items():
            if not wanted or name in wanted:
                result.setdefault(shape, []).append(f"{name} of {layers.key}")
    return {shape: ", ".join(names) for shape, names in result.items()}


def gemm_points(bench: Bench) -> Points:
    """Yield dense GEMMs."""
    return _points(bench, "gemm", dense_kernels(bench.device), bench.sizes.rows, matrices(bench))


def weight_only_points(bench: Bench) -> Points:
    """Yield weight-only GEMMs."""
    kernels = weight_only_kernels(bench.device, bench.sizes.group)
    return _points(bench, "weight_only", kernels, bench.sizes.rows, matrices(bench))


def sparse_points(bench: Bench) -> Points:
    """Yield sparse GEMMs."""
    kernels = sparse_kernels(bench.device, bench.sizes.sparsities)
    return _points(bench, "sparse", kernels, bench.sizes.sparse_rows, matrices(bench, bench.sizes.sparse_matrices))


def _points(
    bench: Bench, section: str, kernels: Iterable[Kernel], rows: Sequence[int], shapes: dict[tuple[int, int], str]
) -> Points:
    # All rows of one matrix follow one another, so that it is prepared once.
    for kernel in kernels:
        for (n, k), what in shapes.items():
            for m in rows:
                key = f"{section}|{kernel.name}|{n}x{k}|m{m}"
                needed = n * k * (kernel.build_bytes + kernel.weight_bits / 8) + 8.0 * m * (n + k)
                yield Point(key, "operators", section, needed, lambda a=(key, kernel, n, k, m, what): _gemm(bench, *a))


def prepared(bench: Bench, kernel: Kernel, n: int, k: int) -> list[Prepared]:
    """Return as many matrices of their own as keep a round out of the cache.

    Raises:
        NotMeasured: the kernel is absent, refuses the shape, or computes something else.
    """
    if reason := kernel.refusal(n, k):
        raise NotMeasured(reason)
    bench.checked_kernel(kernel)
    device, size = bench.device, kernel.operand_bytes(n, k)

    def build() -> list[Prepared]:
        building = n * k * kernel.build_bytes
        count = copies_for(size, device.l2_bytes, SPARE * device.free_bytes() - building)
        seeds = range(bench.arguments.seed, bench.arguments.seed + count)
        return [kernel.prepare(random_matrix(n, k, device.torch, seed)).lean() for seed in seeds]

    result: list[Prepared] = bench.held.get((kernel.name, n, k), build)
    return result


def _gemm(bench: Bench, key: str, kernel: Kernel, n: int, k: int, m: int, what: str) -> Cells:
    several = prepared(bench, kernel, n, k)
    run = max(m, kernel.least_rows)
    x = kernel.cast(random_matrix(run, k, bench.device.torch, bench.arguments.seed + 1))
    timing = bench.time([lambda one=one: one.call(x) for one in several])
    cold = len(several) * kernel.operand_bytes(n, k) > bench.device.l2_bytes
    padded = f"{run} rows run: the kernel takes no fewer" if run != m else ""
    parts = (kernel.method, what, padded, timing.remark)
    return {
        **bench.cells(
            key,
            software=bench.with_graphs(timing, kernel.software),
            note="; ".join(part for part in parts if part),
        ),
        "kind": kernel.kind, "dtype": kernel.dtype, "m": m, "n": n, "k": k, "metric": "latency_us",
        "value": timing.median_s * 1e6, "bound_flag": "ok" if cold else FITS, "weight_bits": kernel.weight_bits,
        "sparsity": kernel.sparsity, "kernel": kernel.name, "checked_error": bench.errors[kernel.name],
        **bench.spread(timing, unit=1e6),
    }  # fmt: skip
