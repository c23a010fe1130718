"""Sections on compression: lanes and sparsity, equal blocks, weight-only kernels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.kernels import break_even_sparsity, crossover_rows, weight_only_gain
from cost_models.performance.metrics import workload_metrics
from cost_models.table import Table
from cost_models.weights.compression import stored_bits
from cost_models.weights.lanes import block_correlation, lane_efficiency, observed_efficiency
from dse.analysis.audit.page import number, table
from dse.render.plots.lines import LineChart
from dse.results.picks import settings_of
from dse.space import Space
from dse.validation.kernels import kernel_names
from studies.record import Context, Section

LANES = (4.0, 64.0, 1024.0, 16384.0)
SPARSITIES = (0.5, 0.7, 0.9)


def pruning(context: Context) -> list[Section]:
    """Lanes that wait for the most-loaded, the example of the article, and GPU kernels."""
    rows = []
    numbers: dict[str, float] = {}
    for sparsity in SPARSITIES:
        for rho in (0.0, 0.05, 0.235):
            result = [float(lane_efficiency(100, 1 - sparsity, lanes, correlation=rho)) for lanes in LANES]
            rows.append((f"{sparsity:.0%}", number(rho), *(number(one, 3) for one in result)))
            numbers.update({f"lanes {n:g} at {sparsity:g}, rho {rho:g}": e for n, e in zip(LANES, result, strict=True)})
    figure = LineChart(
        "lanes", "Lanes in lockstep: share of lane time spent on surviving weights", "lanes", "lane efficiency",
        {f"{s:.0%} pruned": (LANES, [float(lane_efficiency(100, 1 - s, n)) for n in LANES]) for s in SPARSITIES},
        log_y=False,
    )  # fmt: skip
    headings = ("pruned", "correlation", *(f"{n:g} lanes" for n in LANES))
    nonzeros = np.array([25.0, 35.0, 67.0, 12.0])
    rho = block_correlation(nonzeros, 100)
    efficiency = observed_efficiency(nonzeros)
    most_loaded = 10 / float(lane_efficiency(100, 0.1, 1024, correlation=rho))
    numbers |= {"example efficiency": efficiency, "example correlation": rho, "most-loaded of 1024": most_loaded}
    example = (
        f"25, 35, 67 and 12 nonzeros of 100: the lanes work {number(100 * efficiency, 3)} % of the time, and the "
        f"blocks vary as with a correlation of {number(rho, 3)}. At 90 % pruning and that correlation the most-loaded "
        f"of "
        f"1024 lanes holds {number(most_loaded, 3)} of 100 weights."
    )
    return [
        Section("Lanes and sparsity", "Blocks of 100 weights.\n\n" + table(headings, rows), numbers, figures=(figure,)),
        Section("The example of the article", example),
        _gpu_kernels(),
    ]


def _fitted_kernels(section: str) -> list[str]:
    """Return the kernels of a section of the library whose profiles were fitted to measured gains."""
    library = shipped_library()
    named = {path.split(".")[1] for path in library.parameters if path.startswith(f"{section}.")}
    return sorted(named & {known.profile for known in kernel_names(library) if known.constants == "fitted"})


def _gpu_kernels() -> Section:
    """Sparse kernels of GPUs against dense ones, as published."""
    library, technology = shipped_library(), Technology()
    measured = pd.read_csv(library.data_file("spmm_gpu.csv"))
    kernels = _fitted_kernels("sparse_kernels")
    rows = [(kernel, f"{100 * float(break_even_sparsity(kernel, technology)):.3g} %") for kernel in kernels]
    numbers = {f"break even {kernel}": float(break_even_sparsity(kernel, technology)) for kernel in kernels}
    near = measured[measured["sparsity"].between(0.89, 0.96) & (measured["pattern"] == "unstructured")]
    shown, words_of = [], []
    for kernel, part in near.groupby("kernel"):
        gains = part["speedup_vs_cublas"]
        slower = float((gains < 1).mean())
        shown.append((str(kernel), number(float(gains.median()), 3), f"{slower:.0%}", str(len(gains))))
        words_of.append(f"{slower:.0%} of the rows of {kernel}")
        numbers[f"slower {kernel}"] = slower
    words = f'"90 % (95 % on new GPUs) sparse is still slower than dense" holds for {", ".join(words_of)}.'
    text = "\n\n".join(
        [
            table(("kernel", "break-even sparsity, fitted"), rows),
            table(("kernel", "median gain at 89 to 96 % sparse", "slower than dense", "rows"), shown),
            words,
        ]
    )
    return Section("Sparse kernels of GPUs", text, numbers)


def equal_blocks(context: Context) -> list[Section]:
    """Speed against compression when only stored bits change."""
    library = shipped_library()
    base = {name: entries[0].value for name, entries in context.spec.space.items() if hasattr(entries[0], "value")}
    forms = ("bf16", "int8_channel", "int4_g128", "xor_int4_s50", "xor_int3_s50", "vector_2bit")
    rows, numbers, series = [], {}, {}
    metrics = {}
    for form in forms:
        designs = Table.from_settings({**base, "weight_format": form, "kv_bits": 8})
        metrics[form] = context.evaluator.evaluate(designs).metrics
    ratios = []
    for form in forms:
        bits = float(stored_bits(library.weight_format(form)))
        gain = [
            float(metrics["bf16"][f"{w}.tpot_ms"][0] / metrics[form][f"{w}.tpot_ms"][0]) for w in ("single", "chat")
        ]
        ratios.append((16 / bits, *gain))
        rows.append((form, number(bits), number(16 / bits, 3), *(f"{number(one, 3)}x" for one in gain)))
        numbers[f"{form} batch 1"], numbers[f"{form} batch 32"] = gain
    compression = [one[0] for one in ratios]
    series = {
        "batch 1": (compression, [one[1] for one in ratios]),
        "batch 32": (compression, [one[2] for one in ratios]),
        "speed = compression": (compression, compression),
    }
    figure = LineChart(
        "speed", "Speed follows compression", "16 bits over stored bits", "gain in speed over bf16", series
    )
    follows = [f for f, one in zip(forms, ratios, strict=True) if one[1] > 0.9 * one[0]]
    words = f"At batch 1 speed follows compression within 10 % for {', '.join(follows)}."
    headings = ("weights", "stored bits", "compression", "gain, batch 1", "gain, batch 32")
    return [Section("Speed against compression", table(headings, rows) + "\n\n" + words, numbers, figures=(figure,))]


def weight_only(context: Context) -> list[Section]:
    """Where weight-only kernels fall behind FP16, and a chip that multiplies codes directly beside them."""
    technology = Technology()
    kernels = _fitted_kernels("weight_only_kernels")
    ridge = float(np.asarray(technology.value("kernel_gpus.A10.ridge_rows")))
    batches = np.array([2.0**step for step in range(9)])
    series = {k: (list(batches), list(weight_only_gain(batches, k, ridge, technology))) for k in kernels}
    designs = Space(context.spec).default_design()
    gain = []
    for batch in batches:
        pair = [
            context.evaluator.evaluate(
                Table.from_settings({**settings_of(designs, 0), "weight_format": form, "batch_1.batch": float(batch)})
            ).metrics["batch_1.tpot_ms"][0]
            for form in ("bf16", "int4_g128")
        ]
        gain.append(float(pair[0] / pair[1]))
    series["chip, direct"] = (list(batches), gain)
    crossing = {kernel: crossover_rows(kernel, ridge, technology) for kernel in kernels}
    rows = [(kernel, "none" if np.isinf(rows_) else number(rows_)) for kernel, rows_ in crossing.items()]
    rows.append(
        ("chip, direct", "none up to 256" if min(gain) >= 1 else number(float(batches[np.argmax(np.array(gain) < 1)])))
    )
    numbers = {f"gain direct at {batch:g}": one for batch, one in zip(batches, gain, strict=True)}
    numbers |= {f"crossover {k}": v for k, v in crossing.items() if np.isfinite(v)}
    figure = LineChart(
        "weight_only", "4-bit over 16-bit weights by batch; kernels on an A10", "batch",
        "gain in speed", series, level=1.0,
    )  # fmt: skip
    served = _gpu_crossing(context)
    return [
        Section(
            "First batch at which 4-bit weights are slower",
            table(("kernel", "batch"), rows),
            numbers,
            figures=(figure,),
        ),
        served,
    ]


def _gpu_crossing(context: Context) -> Section:
    """The same on a whole model, by the stacks of the library."""
    rows, numbers = [], {}
    for name, entry in context.spec.baselines.items():
        cells = [name]
        for workload in context.spec.workloads:
            served = context.evaluator.serve_baseline(entry, workload)
            rate = float(workload_metrics(served, context.evaluator.technology)["tokens_per_s"][0])
            cells.append(number(rate))
            numbers[f"{name} {workload}"] = rate
        rows.append(tuple(cells))
    headings = ("machine", *(f"{workload}, token/s" for workload in context.spec.workloads))
    return Section("Whole models", table(headings, rows), numbers)
