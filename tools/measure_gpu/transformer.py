"""Decode steps and prefills of a stack of real-shaped layers, extrapolated per layer to the whole model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tools.measure_gpu.bench import SPARE, Bench, NotMeasured, Point, Points
from tools.measure_gpu.dense import dense_kernels
from tools.measure_gpu.kernels import BASELINE, Kernel, relative_error
from tools.measure_gpu.rows import Cells
from tools.measure_gpu.shapes import Layers
from tools.measure_gpu.stack import Stack, build_stack, rotary_tables
from tools.measure_gpu.timing import Timing
from tools.measure_gpu.weight_only import weight_only_kernels

WEIGHT_FRACTION = 0.6
"""Share of the free memory that weights may take; the rest is left to the KV cache."""

TRIES = 3
COMPRESSED = ("torch_int4", "marlin")
"""Weight-only kernels that whole stacks are run with."""

TOLERANCE = 5e-2
CHECK = Layers("check", 2, 256, 8, 4, 32, 512, 512)
CHECK_CONTEXT = 40


@dataclass(frozen=True)
class Pass:
    """One pass that is timed: batch, context (decode: with the new token) or prompt, launch, kernel of the layers."""

    kind: str
    batch: int
    context: int
    graph: bool = True
    kernel: str = BASELINE

    @property
    def key(self) -> str:
        """Part of row ids."""
        return f"{self.kernel}|{self.kind}|b{self.batch}|c{self.context}|{'graph' if self.graph else 'eager'}"


@dataclass(frozen=True)
class Extrapolated:
    """Time of a whole model from stacks of two depths.

    Attributes:
        whole_s: time with all layers.
        measured: the deeper stack.
        depths: layers of the two stacks; the same twice where all layers were run.
        run: the deeper stack, ready to be run again.
    """

    whole_s: float
    measured: Timing
    depths: tuple[int, int]
    run: Callable[[], object]


def transformer_points(bench: Bench) -> Points:
    """Yield decode steps and prefills of every model."""
    sizes = bench.sizes
    for shape in sizes.models:
        passes = [Pass("decode", b, c) for b in sizes.batches for c in sizes.contexts]
        passes += [Pass("decode", b, c, graph=False) for b, c in sizes.eager]
        passes += [Pass("prefill", b, c) for b, c in sizes.prompts]
        passes += [
            Pass("decode", b, c, kernel=name) for name in COMPRESSED for b in sizes.batches for c in sizes.compressed
        ]
        for one in passes:
            key = f"transformer|{shape.key}|{one.key}"
            needed = least_bytes(bench, shape, one)
            yield Point(key, "requests", "transformer", needed, lambda a=(key, shape, one): _row(bench, *a))


def kernel_of(bench: Bench, name: str) -> Kernel:
    """Return the kernel of a stack's layers by its name."""
    every = (*dense_kernels(bench.device), *weight_only_kernels(bench.device, bench.sizes.group))
    return next(kernel for kernel in every if kernel.name == name)


def least_bytes(bench: Bench, shape: Layers, one: Pass) -> float:
    """Return the memory of the shallowest stack that a pass can be timed on: two layers, embedding and head."""
    kernel = kernel_of(bench, one.kernel)
    layers = 2 * (_layer_bytes(shape, kernel) + shape.cache_bytes(one.batch, one.context))
    return shape.head_bytes() + layers + _scratch(shape, one)


def _layer_bytes(shape: Layers, kernel: Kernel) -> float:
    """Return the bytes of one layer's matrices as the kernel stores them."""
    return shape.layer_bytes() * kernel.weight_bits / 16


def _scratch(shape: Layers, one: Pass) -> float:
    """Return the memory of activations: a few buffers of the widest layer."""
    tokens = one.batch * (one.context if one.kind == "prefill" else 1)
    return 2.0 * tokens * (6 * shape.d_ff + 8 * shape.d_model) + 8.0 * one.batch * shape.vocab


def error_of_stack(device: torch.device, kernel: Kernel) -> float:
    """Return the relative error of a small stack against the same one in 64-bit floats: prefill and decode."""
    stack = build_stack(CHECK, CHECK.layers, device, 3, kernel, lean=False)
    exact = stack.double()
    generator = torch.Generator(device=device).manual_seed(4)
    tokens = torch.randint(CHECK.vocab, (2, CHECK_CONTEXT), device=device, generator=generator)
    result, expected = [], []
    for one, out in ((stack, result), (exact, expected)):
        tables = rotary_tables(CHECK, 0, CHECK_CONTEXT, one.head)
        logits, cache = one.prefill(tokens, CHECK.layers, tables)
        last = rotary_tables(CHECK, CHECK_CONTEXT - 1, 1, one.head)
        out += [logits, one.decode(tokens[:, -1], [(k.clone(), v.clone()) for k, v in cache], last)]
    return max(relative_error(a, b) for a, b in zip(result, expected, strict=True))


def checked_stack(bench: Bench, kernel: Kernel) -> float:
    """Return the relative error of a small stack, worked out once; see `Bench.checked`."""
    return bench.checked(f"stack {kernel.name}", TOLERANCE, lambda: error_of_stack(bench.device.torch, kernel))


def _stack(bench: Bench, shape: Layers, kernel: Kernel) -> Stack:
    """Return the model's stack, as deep as its share of the memory allows.

    Raises:
        NotMeasured: the kernel is absent or refuses a shape, or not even two layers fit.
    """
    for name, (n, k) in shape.matrices().items():
        if name != "lm_head" and (reason := kernel.refusal(n, k)):
            raise NotMeasured(reason)
    checked_stack(bench, kernel)

    def build() -> Stack:
        widest = max(n * k for name, (n, k) in shape.matrices().items() if name != "lm_head")
        room = WEIGHT_FRACTION * bench.device.free_bytes() - shape.head_bytes() - widest * kernel.build_bytes
        depth = min(shape.layers, int(room // _layer_bytes(shape, kernel)), bench.sizes.depth or shape.layers)
        if depth < min(2, shape.layers):
            raise NotMeasured("does not fit: not even two layers")
        return build_stack(shape, depth, bench.device.torch, bench.arguments.seed, kernel)

    result: Stack = bench.held.get(("stack", shape.key, kernel.name), build)
    return result


def timed_pass(bench: Bench, shape: Layers, one: Pass) -> Extrapolated:
    """Return the time of a pass through the whole model: a straight line in the layers through two depths.

    Raises:
        NotMeasured: the stack is wrong, or fewer than two layers fit with their KV cache.
    """
    stack = _stack(bench, shape, kernel_of(bench, one.kernel))
    cache_bytes = shape.cache_bytes(one.batch, one.context)
    room = SPARE * bench.device.free_bytes() - _scratch(shape, one)
    depth = min(len(stack.layers), int(room // cache_bytes))
    if depth < 2:
        raise NotMeasured(f"does not fit: the KV cache of a layer takes {cache_bytes / 2**30:.1f} GiB")
    whole = depth == shape.layers
    depths = (depth, depth) if whole else (depth // 2, depth)
    runners = _runners(bench, stack, one, tuple(dict.fromkeys(depths)))
    for _ in range(TRIES):
        timings = [bench.time([run], graph=one.graph) for run in runners]
        deep = timings[-1]
        slope = 0.0 if whole else (deep.median_s - timings[0].median_s) / (depths[1] - depths[0])
        if slope >= 0:
            return Extrapolated(deep.median_s + slope * (shape.layers - depth), deep, depths, runners[-1])
    raise NotMeasured(f"more layers took less time, {TRIES} times: the clock or the load changes on the way")


def _runners(bench: Bench, stack: Stack, one: Pass, depths: tuple[int, ...]) -> list[Callable[[], object]]:
    """Return one pass through the first layers for every depth, on the same inputs."""
    device, shape = bench.device.torch, stack.shape
    generator = torch.Generator(device=device).manual_seed(bench.arguments.seed + 2)
    if one.kind == "prefill":
        tokens = torch.randint(shape.vocab, (one.batch, one.context), device=device, generator=generator)
        tables = rotary_tables(shape, 0, one.context, stack.head)
        return [lambda depth=depth: stack.prefill(tokens, depth, tables)[0].argmax(1) for depth in depths]
    tokens = torch.randint(shape.vocab, (one.batch,), device=device, generator=generator)
    cache = stack.cache(max(depths), one.batch, one.context, bench.arguments.seed + 3)
    tables = rotary_tables(shape, one.context - 1, 1, stack.head)
    return [lambda depth=depth: stack.decode(tokens, cache[:depth], tables).argmax(1) for depth in depths]


def _row(bench: Bench, key: str, shape: Layers, one: Pass) -> Cells:
    made = timed_pass(bench, shape, one)
    layers, timing = made.depths[1], made.measured
    whole = layers == shape.layers
    factor = made.whole_s / timing.median_s
    reported = (
        "all layers run" if whole else f"extrapolated per layer from {made.depths[0]} and {layers} of {shape.layers}"
    )
    decode = one.kind == "decode"
    metric = "ms_per_token" if decode else "prefill_ms"
    prompt, output = (one.context - 1, 1) if decode else (one.context, 1)
    kernel = kernel_of(bench, one.kernel)
    software = bench.with_graphs(timing, kernel.software)
    config = (
        bench.device.chip,
        1,
        "tp1",
        shape.key,
        kernel.weight_bits,
        16,
        one.batch,
        prompt,
        output,
        metric,
        software,
    )
    note = f"{kernel.method} in the layers, 16-bit head; random weights; {reported}; next token by the largest logit"
    return {
        **bench.cells(
            key, software=software, note="; ".join(p for p in (note, timing.remark) if p), grade="A" if whole else "B"
        ),
        "location": key, "parallelism": "tp1", "model": shape.key, "weight_bits": kernel.weight_bits, "act_bits": 16,
        "kv_bits": 16,
        "batch": one.batch, "batch_mode": "static", "input_len": prompt, "output_len": output, "metric": metric,
        "scope": "decode_only" if decode else "prefill", "value": made.whole_s * 1e3,
        "raw_value": timing.median_s * 1e3, "raw_unit": f"ms of {layers} layers, embedding and head",
        "config_key": "|".join(map(str, config)), "kernel": f"stack {kernel.name}",
        "checked_error": bench.errors[f"stack {kernel.name}"],
        "extrapolated_from_layers": "" if whole else f"{made.depths[0]} and {layers}",
        **bench.spread(timing.scaled(factor), unit=1e3),
    }  # fmt: skip
