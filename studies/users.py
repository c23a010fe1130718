"""Sections on how users are served: drafted tokens, and prefill and decode on different chips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from cost_models.evaluate.serve import serve_chip, serve_designs
from cost_models.evaluate.workload import Drafting, Workload
from cost_models.performance.inference import Inference
from cost_models.table import Table
from dse.analysis.audit.page import number, table
from dse.analysis.explain.curve import all_curves
from dse.evaluator import Evaluator
from dse.render.plots.curve import draw_curves
from dse.render.plots.lines import LineChart
from dse.results.picks import KNEE
from dse.runs import explore
from dse.sweep import Spec
from dse.sweep.chips import DeploymentSpec
from dse.sweep.served_workload import workload_of
from studies.record import Context, Section

BATCHES = np.array([1.0, 2, 4, 8, 16, 32, 64, 128])
DRAFT_TOKENS = np.arange(1.0, 9)
DRAFTS = ("mtp", "llama32_1b")
ACCEPTANCE = 0.7
ACCEPTANCES = np.linspace(0.02, 0.98, 49)

Served = Callable[[Workload], Inference]
Found = dict[str, Any]


def speculation(context: Context) -> list[Section]:
    """How much faster drafting is by machine, draft and batch, and the acceptance from which it is."""
    evaluator, spec = context.evaluator, context.spec
    plain = replace(workload_of("chat", spec.workloads["chat"]), drafting=None)
    machines = _machines(evaluator)
    frame = pd.concat([_gains(name, serve, plain) for name, serve in machines.items()], ignore_index=True)
    best = frame.loc[frame.groupby(["machine", "draft", "batch"])["gain"].idxmax()]
    least = pd.DataFrame(
        {"machine": name, "batch": batch, "acceptance": _break_even(serve, plain, batch)}
        for name, serve in machines.items()
        for batch in BATCHES
    )
    layer = best[best["draft"] == "mtp"].set_index(["machine", "batch"])
    rows = [(number(batch), *(_gain_words(layer.loc[(name, batch)]) for name in machines)) for batch in BATCHES]
    words = (
        f"Time per token without over with drafting, energy per token the same, and in brackets the tokens that are "
        f"drafted, each at the best number of them. An `mtp` layer drafts, {ACCEPTANCE:g} of its tokens are accepted:"
    )
    text = table(("batch", *machines), rows)
    sure = least.pivot(index="batch", columns="machine", values="acceptance")
    needed = [(number(batch), *(number(sure.loc[batch, name], 2) for name in machines)) for batch in BATCHES]
    most = {name: layer.loc[name][layer.loc[name]["gain"] > 1].index.max() for name in machines}
    ends = "; ".join(f"{name} up to batch {number(batch)}" for name, batch in most.items())
    further = (
        f"It saves time for {ends}. The acceptance from which four drafted tokens do (-: none):\n\n"
        f"{table(('batch', *machines), needed)}\n\n"
        "Rows of a draft that is refused cost what their multiplications take, so that drafting pays as long as "
        "multipliers wait for memory: the more of them a chip has per byte per second, the larger the batch."
    )
    numbers = {
        f"{row['machine']} {row['draft']} batch {row['batch']:g} gain": row["gain"] for _, row in best.iterrows()
    }
    numbers |= {
        f"{row['machine']} batch {row['batch']:g} break-even": row["acceptance"] for _, row in least.dropna().iterrows()
    }
    series = {
        f"{name}, {draft}": (part["batch"].to_list(), part["gain"].to_list())
        for (name, draft), part in best.groupby(["machine", "draft"], sort=False)
    }
    title = "Tokens per second with drafting over without it"
    chart = LineChart("gain", title, "batch", "gain at the best number of tokens", series, log_y=False, level=1.0)
    return [Section("When drafting pays", f"{words}\n\n{text}\n\n{further}", numbers, {"gains": frame}, [chart])]


def _gain_words(row: pd.Series) -> str:
    return f"{row['gain']:.2f}x, {row['energy']:.2f}x ({row['draft_tokens']:.0f})"


def _machines(evaluator: Evaluator) -> dict[str, Served]:
    """Return designs of the sweep with few and with many multipliers, and its GPUs, by name."""
    base = {"node": "tsmc_5", "memory": "lpddr5x_10667", "memory_devices": 16.0, "memory_device_bits": 64.0,
            "memory_device_gib": 8.0, "sram_mib": 64.0, "weight_format": "int4_g128", "kv_bits": 8.0}  # fmt: skip

    def design(macs: float) -> Served:
        settings = Table.from_settings({**base, "macs": macs})
        return lambda work: serve_designs(settings, work, evaluator.technology, evaluator.economics).inference

    entry = evaluator.spec.baselines["h100_two"]

    def gpus(work: Workload) -> Inference:
        return serve_chip(entry.setup, replace(work, n_chips=float(entry.count)), evaluator.technology).inference

    return {"LPDDR with 32 k MACs": design(32768.0), "LPDDR with 131 k MACs": design(131072.0), "2x H100": gpus}


def _gains(name: str, serve: Served, plain: Workload) -> pd.DataFrame:
    """Return time and energy per token without drafting over those with it, by draft, batch and drafted tokens."""
    batch, tokens = (grid.ravel() for grid in np.meshgrid(BATCHES, DRAFT_TOKENS, indexing="ij"))
    alone = serve(replace(plain, batch=batch))
    frames = []
    for draft in DRAFTS:
        drafted = serve(replace(plain, batch=batch, drafting=Drafting(tokens, ACCEPTANCE, draft)))
        fits = np.broadcast_to(drafted.fits, batch.shape)
        gain = np.where(fits, alone.decode_s / drafted.decode_s, np.nan)
        energy = np.where(fits, alone.decode_energy.board_j / drafted.decode_energy.board_j, np.nan)
        frames.append(pd.DataFrame({
            "machine": name, "draft": draft, "batch": batch, "draft_tokens": tokens, "gain": gain, "energy": energy,
        }))  # fmt: skip
    return pd.concat(frames).dropna(subset=["gain"])


def _break_even(serve: Served, plain: Workload, batch: float) -> float:
    """Return the least acceptance at which four tokens of an `mtp` layer save time; NaN where none does."""
    alone = serve(replace(plain, batch=batch))
    drafted = serve(replace(plain, batch=batch, drafting=Drafting(4.0, ACCEPTANCES, "mtp")))
    pays = np.broadcast_to(drafted.decode_s < alone.decode_s, ACCEPTANCES.shape)
    return float(ACCEPTANCES[np.argmax(pays)]) if pays.any() and drafted.fits.all() else np.nan


SLOS = tuple((ttft, tpot) for tpot in (25.0, 40.0, 60.0, 100.0) for ttft in (1000.0, 2000.0, 5000.0))
"""Limits on the time to first token and the time per token, ms."""

GROUPS = (1, 2, 4, 8)
"""GPUs that share the model."""

GPU_FORMATS = ({"weight_format": "fp8", "act_bits": 8.0}, {"weight_format": "int4_g128", "act_bits": 16.0})
"""Formats on GPUs that decode."""

READERS = (1, 2)
"""GPUs that share the model where they only prefill."""

PORTS_GBPS = (3.125, 12.5)
"""Ports between pools of GPUs, GB/s one way: 25 and 100 Gb/s."""

QUALITIES = (1.05, 1.12, 1.3)
"""Most perplexity over that of the uncompressed model."""

PREFILLERS = {"LPDDR beside H100": "h100_sxm", "LPDDR beside GDDR7": "rtx_pro_6000_server"}
"""Ways to serve by designs beside chips that prefill."""


def two_chips(context: Context) -> list[Section]:
    """What GPUs alone, designs alone and both together cost at each promise, and in which ratio they stand."""
    rows, records = [], []
    for ttft, tpot in SLOS:
        spec = _promising(context.spec, ttft, tpot)
        found = {**_gpus(spec), **_designs(spec)}
        costs = {name: one["usd"] for name, one in found.items()}
        records += [{"ttft_limit_ms": ttft, "tpot_limit_ms": tpot, "way": name, **one} for name, one in found.items()]
        ratios = [number(found[name]["ratio"], 2) for name in PREFILLERS]
        cheapest = min(costs, key=lambda name: np.nan_to_num(costs[name], nan=np.inf))
        rows.append((number(tpot), number(ttft), *(number(cost, 3) for cost in costs.values()), *ratios,
                     cheapest if np.isfinite(costs[cheapest]) else "-"))  # fmt: skip
    frame = pd.DataFrame(records)
    ways = tuple(dict.fromkeys(frame["way"]))
    headings = ("ms per token", "ms to first token", *(f"{name}, USD" for name in ways), "LPDDR per H100",
                "LPDDR per GDDR7", "cheapest")  # fmt: skip
    percentile = context.spec.workloads["chat"].limit_percentile
    words = (
        f"USD of ownership per million output tokens at the goodput under both limits, kept for {percentile:g} % of "
        "the requests: of the cheapest group of 1 to 8 GPUs (8 or 4 bit weights, together or with groups that "
        "prefill), and of the cheapest design of the sweep that meets its constraints, alone or beside a GPU that "
        "prefills, through ports of 25 Gb/s or more; and how many of those designs stand beside "
        "one GPU (-: the promise is kept at no load)."
    )
    numbers = {
        f"{one['way']} at {one['tpot_limit_ms']:g} and {one['ttft_limit_ms']:g} ms, {what}": one[what]
        for one in records
        for what in ("usd", "ratio")
        if np.isfinite(one[what])
    }
    text = f"{words}\n\n{table(headings, rows)}\n\n{_conclusion(frame)}"
    chart = frame[frame["ttft_limit_ms"] == 2000.0].dropna(subset=["usd"])
    series = {
        name: (part["tpot_limit_ms"].to_list(), part["usd"].to_list())
        for name, part in chart.groupby("way", sort=False)
    }
    title = "Cost at goodput, first token within 2 s"
    lines = LineChart("cost", title, "limit on the time per token [ms]", "USD per million output tokens", series)
    if context.folder is not None and context.run is not None:
        knee = next(pick["design"] for pick in context.run.picks if pick["name"] == KNEE)
        draw_curves(all_curves(context.evaluator, {"knee beside an H100": knee}), context.folder)
    first = Section("At which promise, in which ratio, at what cost", text, numbers, {"promises": frame}, [lines])
    return [first, _compressed_further(context)]


def _conclusion(frame: pd.DataFrame) -> str:
    """Return in words where designs beside GPUs are cheaper than GPUs alone, and where neither is the cheapest."""
    wide = frame.pivot(index=["tpot_limit_ms", "ttft_limit_ms"], columns="way", values="usd")
    beside, gpus = wide[list(PREFILLERS)].min(axis=1), wide[["H100 together", "H100 apart"]].min(axis=1)
    kept = beside.notna() & gpus.notna()
    ratio = (beside / gpus)[kept]
    single = wide["LPDDR alone"] < np.minimum(beside, gpus)
    return (
        f"Of {len(wide)} promises, {int(kept.sum())} can be kept by designs beside a GPU. There they cost "
        f"{ratio.min():.2f} to {ratio.max():.2f} times what GPUs cost: less at {_promises(ratio[ratio < 1])}. Designs "
        f"that prefill for themselves are the cheapest of all at {_promises(wide[single])}."
    )


def _promises(kept: pd.DataFrame | pd.Series) -> str:
    words = [f"{tpot:g} ms per token and {ttft / 1000:g} s to the first" for tpot, ttft in kept.index]
    return "; ".join(words) or "none of them"


def _promising(spec: Spec, ttft_ms: float, tpot_ms: float) -> Spec:
    """Return the sweep with other limits."""
    chat = spec.workloads["chat"].model_copy(update={"ttft_limit_ms": ttft_ms, "tpot_limit_ms": tpot_ms})
    return spec.model_copy(update={"workloads": {"chat": chat}})


def _gpus(spec: Spec) -> dict[str, Found]:
    """Return the cheapest way to serve by H100s that do both, and by some that prefill and others that decode."""
    evaluator, apart = Evaluator(spec), spec.baselines["apart"]
    assert apart.prefill is not None
    pools = [apart.prefill.model_copy(update={"chips": f"{n}x h100_sxm"}) for n in READERS]
    found = {}
    for name, ways in (("H100 together", [None]), ("H100 apart", pools)):
        entries = [
            apart.model_copy(update={"chips": f"{n}x h100_sxm", "prefill": pool, "network_gbps": gbps, **form})
            for n, form, pool in product(GROUPS, GPU_FORMATS, ways)
            for gbps in (PORTS_GBPS if pool is not None else (None,))
        ]
        found[name] = min((_of(evaluator.baseline(one), one.count) for one in entries), key=_rank)
    return found


def _compressed_further(context: Context) -> Section:
    """Return what designs beside an H100 cost where weights may be compressed further."""
    rows, numbers = [], {}
    for tpot in dict.fromkeys(tpot for _, tpot in SLOS):
        spec, cells = _promising(context.spec, 2000.0, tpot), []
        for quality in QUALITIES:
            one = _cheapest(_within(spec, quality), spec.deployment)
            cells += [number(one["usd"], 3), number(one["ratio"], 2), str(one["format"])]
            if np.isfinite(one["usd"]):
                numbers[f"perplexity {quality:g} at {tpot:g} ms, usd"] = one["usd"]
                numbers[f"perplexity {quality:g} at {tpot:g} ms, ratio"] = one["ratio"]
        rows.append((number(tpot), *cells))
    headings = ["ms per token"]
    for quality in QUALITIES:
        headings += [f"perplexity <= {quality:g}: USD", "LPDDR per H100", "weights"]
    words = (
        "First token within 2 s, decode designs beside H100s that prefill, the sweep's bound on the perplexity "
        "widened; a reader of the texts decides whether that is still the same model."
    )
    return Section("With weights compressed further", f"{words}\n\n{table(tuple(headings), rows)}", numbers)


def _within(spec: Spec, quality: float) -> Spec:
    """Return the sweep with another bound on the perplexity."""
    kept = tuple(
        one.model_copy(update={"max": quality}) if one.metric == "chat.perplexity_ratio" else one
        for one in spec.constraints
    )
    return spec.model_copy(update={"constraints": kept})


def _cheapest(spec: Spec, deployment: DeploymentSpec | None) -> Found:
    """Return the cheapest design that meets the sweep's constraints, in a deployment."""
    outcome = explore(spec.model_copy(update={"deployment": deployment, "baselines": {}}))
    served = [
        {**_of(pick.metrics, 1), "format": str(pick.design["weight_format"])}
        for pick in outcome.picks
        if outcome.feasible
    ]
    return min(served, key=_rank, default={**_of({}, 1), "format": "-"})


def _designs(spec: Spec) -> dict[str, Found]:
    """Return the cheapest design by itself, and beside each kind of chip that prefills."""
    pools = spec.deployment
    assert pools is not None and pools.prefill is not None
    ways: dict[str, DeploymentSpec | None] = {"LPDDR alone": None}
    for name, chip in PREFILLERS.items():
        ways[name] = pools.model_copy(update={"prefill": pools.prefill.model_copy(update={"chips": f"1x {chip}"})})
    return {name: _cheapest(spec, deployment) for name, deployment in ways.items()}


def _of(metrics: Mapping[str, float], chips: int) -> Found:
    """Return cost, goodput and decode chips per prefill chip."""
    goodput = float(metrics.get("chat.goodput_tokens_per_s", np.nan))
    served = goodput > 0
    return {
        "usd": float(metrics["chat.usd_per_million_tokens"]) if served else np.nan,
        "goodput": goodput / chips,
        "ratio": chips / float(metrics["chat.prefill_chips"]) if served and "chat.prefill_chips" in metrics else np.nan,
    }


def _rank(one: Found) -> float:
    return float(np.nan_to_num(one["usd"], nan=np.inf))
