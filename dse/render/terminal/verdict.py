"""The answer to a sweep in a few sentences: yes or no, what the chip is and does, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.quantities.metrics import P_FEASIBLE
from dse.number_texts import MISSING, counted, number_text, ratio_text, share_text
from dse.render.terminal.prices import price_words
from dse.render.terminal.summary import pick_words
from dse.results.picks import default_pick
from dse.results.rows import MARGIN_PREFIX
from dse.sweep import Spec

if TYPE_CHECKING:
    from cost_models.table import Setting
    from dse.results.store import StoredRun

DRAWS = 400
"""Monte Carlo samples behind the probability that a verdict names."""


@dataclass(frozen=True)
class Chance:
    """How likely picks hold under Monte Carlo samples of the parameters' ranges.

    Attributes:
        draws: number of draws.
        shares: pick to the share of draws in which it meets every limit and constraint.
        hardest: the condition that the named pick misses most often.
        hardest_fraction: share of draws in which the pick meets it.
        parameter: the parameter, or cause, that moves the margin of that condition most.
        at_low: that margin with the parameter at the low end of its range.
        at_high: with the parameter at the high end.
    """

    draws: int
    shares: Mapping[str, float]
    hardest: str
    hardest_fraction: float
    parameter: str
    at_low: float
    at_high: float


@dataclass(frozen=True)
class Verdict:
    """The answer to a sweep.

    Attributes:
        yes: whether a design meets every constraint, as often as the sweep asks.
        answer: yes or no, and how many designs of how many.
        design: what the named pick is and does, against the first baseline too; where nothing is feasible, what the
            nearest design misses.
        probability: how likely that holds, and what it hangs on; where nothing is feasible, what would do. "" where
            that is not known.
    """

    yes: bool
    answer: str
    design: str
    probability: str

    @property
    def lines(self) -> list[str]:
        """The sentences that there are."""
        return [line for line in (self.answer, self.design, self.probability) if line]


def verdict(run: StoredRun) -> Verdict:
    """Return the answer that a run gives to its sweep."""
    picks = {str(pick["name"]): pick for pick in run.picks}
    name = default_pick(picks)
    if name is None:
        return Verdict(run.found_feasible, _answer(run), "", "")
    if not run.found_feasible:
        return Verdict(False, _answer(run), _miss_words(run, picks[name]), remedy_words(run))
    probability = (
        chance_of(run.spec, {key: pick["design"] for key, pick in picks.items()}, name) if _drawable(run) else None
    )
    described = design_words(run, picks[name])
    return Verdict(True, _answer(run), described, chance_words(probability, name, run.spec) if probability else "")


def _drawable(run: StoredRun) -> bool:
    # Who stopped the search waits for nothing more; what a model of the sweep's own says is not drawn.
    return run.spec.model is None and run.manifest["status"] == "complete"


def _answer(run: StoredRun) -> str:
    counts = run.manifest["counts"]
    searched, feasible = counts["evaluated"], counts["feasible"]
    whole = counts["planned"] == searched and run.spec.search.sampler == "grid" and run.spec.search.n_designs is None
    so_far = "" if run.manifest["status"] == "complete" else "interrupted, so far "
    of = f"{counted(searched, 'design')} " + ("of the space" if whole else "searched")
    if not feasible:
        return f"NO: {so_far}none of {of} meets every constraint at typical parameters."
    if not run.found_feasible:
        met = f"{so_far}{number_text(feasible)} of {of} meet every constraint at typical parameters"
        return f"NO: {met}, none often enough."
    meet = "meets" if feasible == 1 else "meet"
    front = number_text(counts["front"])
    result = f"{so_far}{number_text(feasible)} of {of} {meet} every constraint"
    return f"YES at typical parameters: {result} (front: {front})."


# -- what it is and does ----------------------------------------------------------------------------------------------


def design_words(run: StoredRun, pick: Mapping[str, Any]) -> str:
    """Return in a sentence what a pick is and does, and how it stands to the first baseline."""
    spec, design, metrics = run.spec, pick["design"], pick["metrics"]
    name = pick_words(str(pick["name"]), spec)
    if spec.builtin_disabled:
        requested = [one.metric for one in spec.objectives]
        return f"{name}: " + ", ".join(f"{key} {number_text(metrics.get(key))}" for key in requested) + "."
    workloads = _named(spec)
    served = "; ".join(served_words(workload, metrics) for workload in workloads)
    sentence = f"{name}: {chip_words(design, metrics)}. {served}. {price_words(metrics, spec.economics)}."
    return f"{sentence} {against}" if (against := _against(run, metrics, workloads)) else sentence


def _named(spec: Spec) -> list[str]:
    named = {objective.metric.rpartition(".")[0] for objective in spec.objectives} & {*spec.workloads}
    return [name for name in spec.workloads if not named or name in named][:2]


def chip_words(design: Mapping[str, Setting], metrics: Mapping[str, float]) -> str:
    """Return in a phrase what a design is."""
    dies, area = float(design.get("dies", 1)), metrics.get("die_mm2", math.nan)
    silicon = number_text(area) if dies == 1 else f"{number_text(dies)} dies of {number_text(area / dies)}"
    return (
        f"{silicon} mm² in {design['node']}, "
        f"{number_text(float(design['memory_devices']))}x {design['memory']} "
        f"({number_text(metrics.get('capacity_gib'))} GiB, {number_text(metrics.get('bandwidth_gbps'))} GB/s), "
        f"{design['weight_format']}, TDP {number_text(metrics.get('tdp_w'))} W"
    )


def served_words(workload: str, metrics: Mapping[str, float]) -> str:
    """Return in a phrase how fast a workload is served, and at what power."""

    def value(name: str) -> float:
        return metrics.get(f"{workload}.{name}", math.nan)

    step, first = value("tpot_ms"), value("ttft_ms")
    parts = [f"{number_text(step)} ms per token"] if not math.isnan(step) else []
    parts += [f"first token after {seconds_text(first)}"] if not math.isnan(first) else []
    parts += [f"{number_text(value('decode_w'))} W in decode"] if not math.isnan(value("decode_w")) else []
    return f"{workload}: {', '.join(parts) or 'does not fit'}"


def seconds_text(ms: float) -> str:
    """Return a time in milliseconds, or in seconds from one on.

    >>> seconds_text(340.2), seconds_text(12400.0)
    ('340.2 ms', '12.4 s')
    """
    return f"{number_text(ms)} ms" if not ms >= 1000 else f"{number_text(ms / 1000, 3)} s"


def _against(run: StoredRun, metrics: Mapping[str, float], workloads: Sequence[str]) -> str:
    """Return how a design stands to the first baseline that runs the first workload."""
    workload = workloads[0]
    speed, power = f"{workload}.tokens_per_s_end_to_end", f"{workload}.decode_w"
    words = ("tokens/s end to end", "decode power")
    if run.spec.deployment is not None:
        # Pools of unlike sizes compare by the token.
        speed, power = f"{workload}.usd_per_million_tokens", f"{workload}.request_j_per_token"
        words = ("cost per token", "energy per token")
    for row in run.baselines.to_dict("records"):
        base = {str(name): value for name, value in row.items()}
        theirs, watts = float(base.get(speed, math.nan)), float(base.get(power, math.nan))
        if not theirs > 0 or speed not in metrics:
            continue
        what = f"{number_text(float(base['chips']))}x {base['chip']}"
        ratio = f"{ratio_text(metrics[speed] / theirs)} {words[0]}"
        if power in metrics and not math.isnan(watts):
            ratio += f", {ratio_text(metrics[power] / watts)} {words[1]}"
        return f"Against {base['baseline']} ({what}): {ratio}."
    return ""


# -- how sure it is ---------------------------------------------------------------------------------------------------


def chance_of(spec: Spec, designs: Mapping[str, Mapping[str, Setting]], named: str, *, draws: int = DRAWS) -> Chance:
    """Return how likely designs meet every limit and constraint when plots are drawn from their ranges.

    Args:
        spec: the sweep.
        designs: by name of the pick.
        named: the pick whose hardest condition is looked for.
        draws: number of Monte Carlo samples; their seed is the sweep's or 0.
    """
    from dse.sweep.library_additions import library_of
    from dse.uncertainty.intervals import parameters_of, robustness
    from dse.uncertainty.monte_carlo import spreads_of
    from dse.uncertainty.sensitivity import swings_of

    seed = spec.robustness.seed if spec.robustness is not None else 0
    result = robustness(spec, list(designs.values()), draws=draws, seed=seed, metrics=())
    place = list(designs).index(named)
    shares = {name: float(result.p_feasible[row]) for row, name in enumerate(designs)}
    if not result.p_meets:
        return Chance(draws, shares, "", 1.0, "", math.nan, math.nan)
    hardest = min(result.p_meets, key=lambda label: result.p_meets[label][place])
    share = float(result.p_meets[hardest][place])
    spreads = spreads_of(parameters_of(spec, [designs[named]], ()), spec.parameters, library_of(spec.library))
    swings = swings_of(spec, designs[named], spreads, [hardest]) if share < 1 else []
    worst = min(swings, key=lambda one: np.nanmin([one.at_low, one.at_high]), default=None)
    if worst is None:
        return Chance(draws, shares, hardest, share, "", math.nan, math.nan)
    return Chance(draws, shares, hardest, share, worst.input.name, worst.at_low, worst.at_high)


def chance_words(probability: Chance, named: str, spec: Spec) -> str:
    """Return in a sentence how likely a pick holds, and what that hangs on."""
    best = max(probability.shares, key=lambda name: probability.shares[name])
    words = f"Chance over the parameters' ranges: {share_text(probability.shares[named])} ({pick_words(named, spec)})"
    if probability.shares[best] > probability.shares[named]:
        words += f", {share_text(probability.shares[best])} ({pick_words(best, spec)})"
    if probability.hardest_fraction >= 1:
        return f"{words}; every condition holds in all {number_text(probability.draws)} draws."
    words += f"; it hangs on {probability.hardest}, met in {share_text(probability.hardest_fraction)}"
    if probability.parameter:
        ends = " to ".join(_signed(value) for value in (probability.at_low, probability.at_high))
        words += f" (margin {ends} over {probability.parameter})"
    return f"{words}."


def _signed(margin: float) -> str:
    return MISSING if math.isnan(margin) else f"{100 * margin:+z.0f} %"


# -- where nothing is feasible ----------------------------------------------------------------------------------------


def _miss_words(run: StoredRun, pick: Mapping[str, Any]) -> str:
    """Return what the nearest design misses, memory in GiB."""
    row = run.row(int(pick["id"]))
    broken = {
        str(name).removeprefix(MARGIN_PREFIX): float(value)
        for name, value in row.items()
        if str(name).startswith(MARGIN_PREFIX) and float(value) < 0
    }
    parts = []
    for label, margin in sorted(broken.items(), key=lambda item: item[1]):
        workload, _, what = label.rpartition(".")
        if what == "capacity" and workload in run.spec.workloads:
            parts.append(short_of_memory(workload, margin, pick["metrics"]))
        elif what == "link" and workload in run.spec.workloads:
            parts.append(f"its chips have no link to serve {workload} together (link_gbps)")
        elif what == "load" and workload in run.spec.workloads:
            told = run.spec.workloads[workload].arrivals_per_s is not None
            reason = "more requests come than it finishes" if told else "no load keeps the limits"
            parts.append(f"{label} by {share_text(-margin)} ({reason})")
        else:
            parts.append(f"{label} by {share_text(-margin)}")
    chance = float(row.get(P_FEASIBLE, math.nan))
    if not parts and not math.isnan(chance):
        parts = [f"{one.label} (it is {number_text(chance, 3)})" for one in run.spec.probabilities]
    misses = ", ".join(parts) or "an objective has no value"
    what = "" if run.spec.builtin_disabled else f" ({chip_words(pick['design'], pick['metrics'])})"
    priced = any(label.startswith("price_usd") for label in broken)
    price = f" {price_words(pick['metrics'], run.spec.economics)}." if priced else ""
    return f"The nearest design{what} misses: {misses}.{price}"


def short_of_memory(workload: str, margin: float, metrics: Mapping[str, float]) -> str:
    """Return by how many GiB the most-loaded chip lacks memory, and how many such chips would do.

    Args:
        workload: its name.
        margin: what is left of a chip's memory, as a share of it; negative.
        metrics: of the design, by full name.
    """
    holds = metrics["capacity_gib"]
    words = (
        f"{workload} lacks {number_text(-margin * holds)} GiB on its most-loaded chip, which holds {number_text(holds)}"
    )
    needed = metrics.get(f"{workload}.chips_needed", math.nan)
    return f"{words}; {number_text(needed)} such chips would do" if not math.isnan(needed) else words


def remedy_words(run: StoredRun) -> str:
    """Return the least that would make the sweep feasible, where that was looked for."""
    from dse.analysis.relaxation.files import read_relaxations

    rows = [row for row in read_relaxations(run.path) if row["feasible"]]
    least = next((row for row in rows if row["kind"] == "constraint"), None)
    axis = next((row for row in rows if row["kind"] == "axis"), None)
    parts = [f"{least['what']} at {number_text(least['then'])}" if least else ""]
    if axis is not None:
        then = axis["then"]
        parts.append(f"{axis['what']} {number_text(then) if isinstance(then, float) else then}")
    result = " or ".join(part for part in parts if part)
    return f"What would do: {result}." if result else ""
