"""Sections on the chip and its rivals: rates, proof of concept, efficiency, splitting, price, both targets at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.library import Chip, shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.operating_point import Slo
from cost_models.table import Table
from dse.analysis.audit import Audit
from dse.analysis.audit.page import joint_words, number, question_words, rates_words, table, verdict_table
from dse.analysis.audit.rates import find_consistent_rates
from dse.analysis.audit.records import DesignSubject, RatesSubject, SpaceSubject
from dse.analysis.audit.spaces import joint_set
from dse.analysis.require.requirements import requirements
from dse.evaluator import Evaluator
from dse.render.plots.audit import draw_audit
from dse.render.plots.lines import LineChart
from dse.render.terminal.requirements import needs_table, options_table, summary_lines
from dse.sweep.served_workload import workload_of
from studies.record import Context, Section, markdown


def verdict_section(context: Context, title: str, *keys: str) -> Section:
    """Return the verdicts on some of the Mach-1 claims."""
    verdicts = context.verdicts(*keys)
    numbers = {f"{one.claim.key} {one.claim.of}": one.predicted for one in verdicts if np.isfinite(one.predicted)}
    return Section(title, "\n\n".join([verdict_table(verdicts), *question_words(verdicts)]), numbers)


def founding_pair(context: Context) -> list[Section]:
    """The two rates under both readings, the designs that give them, and the presets."""
    sections, kept_rates = [], []
    for subject in context.case.subjects.values():
        if isinstance(subject, RatesSubject):
            result = find_consistent_rates(subject, context.case.of(subject.name))
            kept_rates.append(result)
            bound = result.table[result.table["memory_bound"]]
            numbers = {
                f"{subject.name} combinations": float(len(result.table)),
                f"{subject.name} least GB/s": float(result.table["gbps_low"].min()),
                f"{subject.name} median KV over weight bits": float((bound["kv_bits"] / bound["weight_bits"]).median()),
            }
            words = "\n\n".join(rates_words(context.case, result))
            sections.append(Section(f"{subject.name}: what the two rates leave open", words, numbers))
        elif isinstance(subject, SpaceSubject):
            joint = joint_set(subject)
            text = "\n\n".join(joint_words(joint))
            kept = {"consistent-designs": joint.table.head(300)} if joint.found else {}
            sections.append(Section(f"{subject.name}: designs that satisfy every claim", text, {}, kept))
    if context.folder is not None:
        judged = tuple(context.verdicts("preset"))
        draw_audit(Audit(context.case, judged, (), tuple(kept_rates)), context.folder)
    return [*sections, verdict_section(context, "The presets judged", "preset")]


def fpga_proof(context: Context) -> list[Section]:
    """What FPGA cards could do, and the batch and bits that the statement implies."""
    workload = workload_of("single_33b", context.spec.workloads["single_33b"])
    rows, numbers = [], {}
    for chip in ("alveo_u55c", "vhk158"):
        for form in ("vector_2bit", "int3_g128", "int4_g128", "int8_channel", "bf16"):
            limits = Slo(tpot_ms=40.0)
            setup = ChipSetup(chip, form, kv_bits=8, act_bits=8, serving_stack="ideal")
            served = serve_chip(setup, workload, context.evaluator.technology, limits=limits)
            metrics = workload_metrics(served, context.evaluator.technology)
            ms, most = float(metrics["tpot_ms"][0]), float(metrics["max_batch"][0])
            rows.append((chip, form, number(ms), number(most) if np.isfinite(ms) else "does not fit"))
            if np.isfinite(ms):
                numbers[f"{chip} {form} ms"] = ms
    text = table(("card", "weights", "ms per token, batch 1", "largest batch under 40 ms"), rows)
    words = "One card of each, a datapath without losses (stack `ideal`), 512 tokens in and out, 8-bit KV cache:"
    return [
        Section("What one card could do", f"{words}\n\n{text}", numbers),
        verdict_section(context, "The statement on cards and on the chip", "fpga", "chip_33b", "vision"),
    ]


def power_efficiency(context: Context) -> list[Section]:
    """For which assumptions the chip is eight times as efficient."""
    verdicts = context.verdicts("efficiency")
    sure, open_ = [v for v in verdicts if v.low >= 8], [v for v in verdicts if v.low < 8 <= v.high]
    lines = [
        f"- {v.claim.metric} against {v.claim.relative_to}: {number(v.predicted, 3)}x "
        f"({number(v.low, 3)} to {number(v.high, 3)}): {_eight_words(v.low, v.high)}"
        for v in verdicts
    ]
    words = (
        f"Preset m1_a in {len(verdicts)} readings: at least eight times in {len(sure)} whatever the uncertainty, "
        f"perhaps in {len(open_)}, not in {len(verdicts) - len(sure) - len(open_)}."
    )
    numbers = {f"{v.claim.metric} over {v.claim.relative_to}": v.predicted for v in verdicts}
    return [Section("Eight times: for which assumptions", words + "\n\n" + "\n".join(lines), numbers)]


def _eight_words(low: float, high: float) -> str:
    return "at least eight times" if low >= 8 else "perhaps eight times" if high >= 8 else "less than eight times"


def h200_eight(context: Context) -> list[Section]:
    """Total, per GPU and per user, and which reading of the statement is sensible."""
    rows, numbers = [], {}
    for name, metrics in context.evaluator.baselines.items():
        chips = context.spec.baselines[name].count
        total, whole = metrics["long_70b.tokens_per_s"], metrics["long_70b.tokens_per_s_end_to_end"]
        rows.append(
            (name, number(total), number(whole), number(whole / chips), number(1000 / metrics["long_70b.tpot_ms"]))
        )
        numbers[f"{name} end to end"] = whole
    headings = ("machine", "decode token/s", "end to end token/s", "per GPU", "per user, decode")
    return [
        Section("Total, per GPU, per user", table(headings, rows), numbers),
        verdict_section(context, "467 token/s", "h200"),
    ]


def splitting(context: Context) -> list[Section]:
    """Throughput per GPU against the number of GPUs, and what a generation's gain is made of."""
    rows, numbers = [], {}
    per_gpu: dict[str, tuple[list[float], list[float]]] = {"dense_70b": ([], []), "dense_405b": ([], [])}
    per_joule: dict[str, tuple[list[float], list[float]]] = {"dense_70b": ([], []), "dense_405b": ([], [])}
    for name, entry in context.spec.baselines.items():
        metrics = context.evaluator.baselines[name]
        cells = [name]
        for workload in per_gpu:
            rate = metrics[f"{workload}.tokens_per_s_at_max_batch"] / entry.count
            joules = metrics[f"{workload}.tokens_per_joule"]
            cells += [number(metrics[f"{workload}.max_batch"]), number(rate), number(joules)]
            if name.startswith("h100") and rate > 0:
                per_gpu[workload][0].append(float(entry.count))
                per_gpu[workload][1].append(rate)
                per_joule[workload][0].append(float(entry.count))
                per_joule[workload][1].append(joules)
                numbers[f"{name} {workload} per GPU"] = rate
        rows.append(tuple(cells))
    headings = ("chips", "70B: batch", "token/s per GPU", "token/J", "405B: batch", "token/s per GPU", "token/J")
    words = "Largest batch under 50 ms per token; tokens per joule at the sweep's fixed batch.\n\n"
    figure = LineChart("splitting", "H100: throughput per GPU under 50 ms per token", "GPUs that share the model",
                   "output tokens per second and GPU [token/s]", per_gpu, log_x=True, log_y=True)  # fmt: skip
    first = Section("Tokens per second and GPU", words + table(headings, rows), numbers, figures=(figure,))
    return [first, _generation(context)]


GROUPS = (8, 16, 32, 64)
"""GPUs that may share one model; a group of eight stays within a server."""


def _generation(context: Context) -> Section:
    """Decompose what 64 GPUs of the next generation gain, one property after the other."""
    library = shipped_library()
    server, new = library.chip("h100_sxm"), library.chip("gb200")
    # Groups beyond one server are joined by InfiniBand.
    cluster = server.model_copy(update={"link_gbps": library.evidence["cluster_links.infiniband_ndr_gbps"].typ})
    faster = server.model_copy(
        update={"bandwidth_gbps": new.bandwidth_gbps, "capacity_gib": new.capacity_gib, "link_gbps": new.link_gbps}
    )
    steps: list[tuple[str, Chip, Chip, str, float]] = [
        ("H100, servers of eight on InfiniBand, fp8", server, cluster, "fp8", 8.0),
        ("one NVLink domain (parallelism)", server, server, "fp8", 8.0),
        ("memory and links of GB200 (bandwidth)", faster, faster, "fp8", 8.0),
        ("arithmetic of GB200", new, new, "fp8", 8.0),
        ("4-bit weights and activations (precision)", new, new, "nvfp4", 4.0),
    ]
    rows, numbers = [], {}
    for limit in (50.0, 30.0, 20.0):
        before, first = None, None
        for words, near, far, form, act_bits in steps:
            result = {
                group: _rate(context, near if group <= 8 else far, group, form, act_bits, limit) for group in GROUPS
            }
            group = max(result, key=lambda size: result[size])
            rate = result[group]
            factor = "-" if before is None else f"{number(rate / before, 3)}x" if before else "from nothing"
            whole = f"{number(rate / first, 3)}x" if first else "-"
            rows.append((number(limit), words, str(group) if rate else "none", number(rate), factor, whole))
            numbers[f"{words} at {limit:g} ms"] = rate
            before, first = rate, rate if first is None else first
    text = table(("limit, ms per token", "step", "best group", "token/s per GPU", "gain", "in all"), rows)
    note = (
        "Llama-3-405B, tensor parallel in the best group of 8 to 64 GPUs, largest batch that keeps the limit; each "
        "step keeps the ones before."
    )
    return Section("What a generation's gain is made of", f"{note}\n\n{text}", numbers)


def _rate(context: Context, chip: Chip, group: int, form: str, act_bits: float, limit: float) -> float:
    """Return tokens per second and GPU of a group at the largest batch that keeps a limit."""
    workload = replace(workload_of("dense_405b", context.spec.workloads["dense_405b"]), n_chips=float(group))
    setup = ChipSetup(chip, form, kv_bits=8, act_bits=act_bits)
    served = serve_chip(setup, workload, Technology(), limits=Slo(tpot_ms=limit))
    return float(served.operating.tokens_per_s[0]) / group


def price_volume(context: Context) -> list[Section]:
    """Cost, price and NRE at volume, in won, and tokens per dollar."""
    rows, numbers = [], {}
    for preset in ("m1_a", "m1_b", "m1_c"):
        subject = context.case.subjects[preset]
        assert isinstance(subject, DesignSubject)
        for units in (150_000.0, 200_000.0):
            economics = replace(subject.spec.economics, units=units)
            spec = subject.spec.model_copy(update={"economics": economics})
            metrics = Evaluator(spec).evaluate(Table.from_settings(subject.settings)).metrics
            cost, price = float(metrics["cost_usd"][0]), float(metrics["price_usd"][0])
            nre = price * (1 - economics.margin) - cost
            won = [number(price * rate / 1e6, 3) for rate in (1200.0, economics.krw_per_usd, 1450.0)]
            tokens = float(metrics["chat_70b.usd_per_million_tokens"][0])
            rows.append((preset, number(units), number(cost), number(nre), number(price), *won, number(tokens, 3)))
            numbers[f"{preset} {units:g} price"] = price
    headings = (
        "preset", "units", "cost USD", "NRE USD", "price USD", "million won at 1200", "at the sweep's rate", "at 1450",
        "USD per million tokens",
    )  # fmt: skip
    rivals = [
        (name, number(m["price_usd"] * context.spec.baselines[name].count), number(m["chat.usd_per_million_tokens"], 3),
         number(m["chat.tokens_per_s_per_usd"], 3))
        for name, m in context.evaluator.baselines.items()
    ]  # fmt: skip
    text = (
        table(headings, rows)
        + "\n\n"
        + table(("rival", "price USD", "USD per million tokens", "token/s per USD"), rivals)
    )
    return [
        Section("At 150 000 to 200 000 units", text, numbers),
        verdict_section(context, "The statements on price", "price", "a_tenth"),
    ]


def giant_250b(context: Context) -> list[Section]:
    """What both targets take at least."""
    result = requirements(context.spec)
    text = "\n\n".join(
        [
            "\n".join(f"- {line}" for line in summary_lines(result)),
            markdown(needs_table(result)),
            markdown(options_table(result)),
        ]
    )
    numbers = {f"{need.weight_format} GB/s": need.bandwidth_gbps for need in result.needs}
    return [
        Section("What it takes at least", text, numbers),
        verdict_section(context, "The presets at both targets", "giant"),
    ]
