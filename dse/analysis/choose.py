"""Which chips that can be bought serve a workload within limits: every chip of the library, by the same equations.

A way to serve is a chip, how many of them, how they share the model, and number formats. Limits and ranks are of all
chips of a way together, price and TDP included.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.errors import LibraryError
from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.library import Chip
from cost_models.performance.metrics import design_metrics, workload_metrics
from cost_models.performance.workload_result import WorkloadResult
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.records import Metric
from cost_models.table import FloatArray, numbers_of
from cost_models.workload.serving import Parallelism
from dse.analysis.explain.inputs import read_parts, read_settings, workload_nodes
from dse.errors import NOWHERE, Issue, Place, SpecError
from dse.evaluator import Evaluator
from dse.front import nondominated
from dse.margins import link_margin, load_margin
from dse.sweep import BaselineSpec, Spec
from dse.sweep.hints import one_of, quoted, suggest
from dse.sweep.library_additions import library_of
from dse.yaml_positions import Node, node_of

FORMATS = ("bf16", "fp8 kv_bits=8 act_bits=8", "int4_g128")
"""Number formats that are tried unless others are asked for."""

SPLITS: tuple[Parallelism, ...] = ("tensor", "pipeline")
"""How several chips share a model, each tried."""

MAX_CHIPS = 8
"""Chips of a way to serve unless more are allowed."""

SUMMED = ("tdp_w", "cost_usd", "price_usd", "price_krw", "embodied_kg", "bandwidth_gbps", "capacity_gib", "peak_tflops")
"""Metrics of one chip that are summed over all chips of a way to serve."""

USD_PER_HOUR = Metric(
    "usd_per_hour",
    "USD/h",
    "cost of ownership of all chips per hour, at the utilisation of the library",
    "min",
    "workload",
)
"""What a way to serve costs its owner."""

RENTAL_PER_HOUR = Metric(
    "rental_usd_per_hour",
    "USD/h",
    "published rental price of all chips per hour",
    "min",
    "design",
)
RENTAL = Metric(
    "rental_usd_per_million_tokens",
    "USD",
    "rental price per million output tokens, prefill included, at the utilisation of the library",
    "min",
    "workload",
)
"""What a way to serve costs who rents it."""

CHIPS = Metric("chips", "", "chips that serve the workload together", "min", "design")

RANKS: Mapping[str, str] = {
    "price": "price_usd",
    "cost": "usd_per_million_tokens",
    "hour": USD_PER_HOUR.name,
    "rental": RENTAL.name,
    "power": "decode_w",
    "speed": "tpot_ms",
}
"""Words for what chips are ranked by; any metric may be named as well."""

KNOWN: Mapping[str, Metric] = {
    **METRICS, **{one.name: one for one in (USD_PER_HOUR, RENTAL_PER_HOUR, RENTAL, CHIPS)},
}  # fmt: skip
"""Metrics by which ways to serve may be ranked, by bare name."""


@dataclass(frozen=True)
class Way:
    """One way to serve the workloads.

    Attributes:
        name: the chip, or the baseline of a sweep.
        chips: how many.
        split: how they share the model.
        setup: the chip and its number formats.
        values: metrics by full name, of all chips together.
        missed: limit to how far it is missed, as a share of the bound, infinite where nothing is known; empty where
            all are met.
        on_front: whether no other way within the limits is better in rank and in speed.
    """

    name: str
    chips: int
    split: str
    setup: ChipSetup
    values: Mapping[str, float]
    missed: Mapping[str, float]
    on_front: bool = False

    @property
    def meets(self) -> bool:
        """Whether every limit is met."""
        return not self.missed

    @property
    def words(self) -> str:
        """How many chips, formats and split in short."""
        setup = self.setup
        bits = f"{setup.format_words}, KV {setup.kv_bits:g}, act {setup.act_bits:g}"
        return f"{self.chips}x, {bits}" + (f", {self.split}" if self.chips > 1 else "")

    def plain(self) -> dict[str, Any]:
        """Return the way as plain data."""
        setup = self.setup
        return {
            "name": self.name, "chip": setup.chip, "chips": self.chips, "parallelism": self.split,
            "weight_format": setup.weight_format, "kv_bits": setup.kv_bits, "act_bits": setup.act_bits,
            "meets_limits": self.meets, "on_front": self.on_front, "missed": self.missed, **self.values,
        }  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """Every way to serve that was tried.

    Attributes:
        spec: workloads and limits.
        rank: full name of the metric that ways are ranked by.
        speed: full name of the metric that the front holds against it.
        ways: those that run at all, the best first: within the limits by rank, then by how far limits are missed.
        left_out: chip to why it cannot be evaluated.
    """

    spec: Spec
    rank: str
    speed: str
    ways: tuple[Way, ...]
    left_out: Mapping[str, str]

    @property
    def best(self) -> list[Way]:
        """The best way of every chip within the limits; of every chip where none is."""
        meeting = [way for way in self.ways if way.meets]
        result: dict[str, Way] = {}
        for way in meeting or self.ways:
            result.setdefault(way.name, way)
        return list(result.values())


def limits_spec(workloads: Sequence[str], limits: Sequence[tuple[str, str]], *, library: Sequence[Path] = ()) -> Spec:
    """Return workloads and limits as a sweep that varies nothing.

    Args:
        workloads: each like ``llama2_70b batch=32 prompt_tokens=1024``.
        limits: pairs of a side, "max" or "min", and a text like ``ttft_ms=2 s``.
        library: directories of entries that are added to the library.

    Raises:
        SpecError: every issue of the arguments.
    """
    nodes, issues = workload_nodes(workloads, "")
    first = next(iter(nodes), "")
    constraints = []
    for side, text in limits:
        metric, _, bound = (part.strip() for part in text.partition("="))
        place = Place(f"--{side} {quoted(text)}")
        if not metric or not bound:
            issues.append(Issue(place, "", quoted(text), "of the form METRIC=BOUND"))
            continue
        name = full_name(metric, first, place, METRICS)
        constraints.append(Node({"metric": Node(name, place, place), side: Node(bound, place, place)}, place, place))
    parts = {
        "name": node_of("choose"),
        "workloads": Node(nodes, NOWHERE),
        "constraints": Node(constraints, NOWHERE),
        "space": node_of({"kv_bits": 16}),
    }
    spec, result = read_parts(parts, NOWHERE, "", library)
    issues += result
    if issues or spec is None:
        raise SpecError(issues)
    return spec


def full_name(metric: str, workload: str, place: Place, known: Mapping[str, Metric]) -> str:
    """Return the full name of a metric that is given bare, that of the workload where it belongs to one.

    Raises:
        SpecError: there is no such metric.
    """
    bare = metric.rpartition(".")[2]
    if bare not in known:
        raise SpecError([Issue(place, "", f"{quoted(metric)} is not a metric", perhaps=suggest(metric, known))])
    return f"{workload}.{metric}" if known[bare].scope == "workload" and "." not in metric else metric


def setups_of(texts: Sequence[str]) -> list[ChipSetup]:
    """Return number formats, each like ``fp8 kv_bits=8 act_bits=8``, as setups of a chip that is still to be named.

    Raises:
        SpecError: every issue of the texts.
    """
    issues: list[Issue] = []
    setups = []
    for text in texts:
        place = Place(f"--as {quoted(text)}")
        nodes, result = read_settings(re.split(r"[,\s]+", text.strip()), place, first="weight_format")
        issues += result
        given = {name: node.plain() for name, node in nodes.items()}
        issues += [one for name, value in given.items() if (one := _fault_of(place, name, value)) is not None]
        if not issues:
            setups.append(ChipSetup("", **given))
    if issues:
        raise SpecError(issues)
    return setups


FREE = ("weight_format", "expert_format", "kv_bits", "act_bits", "serving_stack")
"""What a chip may be run with that is tried."""


def _fault_of(place: Place, name: str, value: object) -> Issue | None:
    """Return what is wrong with one setting of number formats, None where nothing is."""
    if name not in FREE:
        return Issue(place, name, f"is not {one_of(FREE)}", perhaps=suggest(name, FREE))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name.endswith("_bits") and not (is_number and 1 <= float(str(value)) <= 32):
        return Issue(place, name, quoted(value), "bits, 1 to 32")
    return None


def choose(
    spec: Spec,
    *,
    rank: str = "price",
    formats: Sequence[str] = FORMATS,
    most_chips: int = MAX_CHIPS,
    chips: Sequence[str] = (),
) -> Chosen:
    """Return every way in which chips of the library serve the workloads of a sweep, the best first.

    Args:
        spec: workloads and limits; each limit is one on all chips together.
        rank: a word of `RANKS`, or a metric.
        formats: number formats to try, as `setups_of` takes them.
        most_chips: most chips of a way; powers of two up to it are tried, and itself.
        chips: names of the chips to try; all of the library where empty.

    Raises:
        SpecError: an unknown metric, chip or format.
    """
    library, evaluator = library_of(spec.library), Evaluator(spec)
    known = [name for name in chips if name not in library.chips]
    issues = [
        Issue(NOWHERE, "--chip", f"{quoted(name)} is not a chip of the library", perhaps=suggest(name, library.chips))
        for name in known
    ]
    setups = setups_of(formats)
    issues += [
        Issue(NOWHERE, "--as", f"{quoted(one.weight_format)} is not a format of the library",
              perhaps=suggest(str(one.weight_format), library.weight_formats))
        for one in setups if one.weight_format is not None and one.weight_format not in library.weight_formats
    ]  # fmt: skip
    issues += [
        Issue(spec.place_of(f"workloads.{name}.{field}"), f"workloads.{name}.{field}",
              "has no part here: every number of chips is tried, split in every way", perhaps="--chips N")
        for name, one in spec.workloads.items() for field in ("n_chips", "parallelism") if field in one.model_fields_set
    ]  # fmt: skip
    if issues:
        raise SpecError(issues)
    counts = np.array(sorted({2**power for power in range(most_chips.bit_length())} | {most_chips}), dtype=float)
    ways: list[Way] = []
    left_out: dict[str, str] = {}
    for name in chips or library.chips:
        try:
            for setup in setups:
                for split in SPLITS if most_chips > 1 else SPLITS[:1]:
                    # One chip is split in no way: it is tried once.
                    tried = counts if split == SPLITS[0] else counts[counts > 1]
                    ways += _ways(evaluator, name, replace(setup, chip=name), split, tried)
        except LibraryError as error:
            left_out[name] = str(error)
    return _ranked(spec, ways, left_out, rank)


def choose_baselines(spec: Spec, *, rank: str | None = None) -> Chosen:
    """Return the baselines of a sweep as ways to serve its workloads, the best first.

    Args:
        spec: the sweep.
        rank: as in `choose`; the first objective where None.

    Raises:
        SpecError: an unknown metric.
    """
    evaluator = Evaluator(spec)
    ways = [_baseline(evaluator, name, entry) for name, entry in spec.baselines.items()]
    left_out = {
        name: "not every required workload fits" for name, way in zip(spec.baselines, ways, strict=True) if way is None
    }
    return _ranked(spec, [way for way in ways if way is not None], left_out, rank or spec.objectives[0].metric)


def _baseline(evaluator: Evaluator, name: str, entry: BaselineSpec) -> Way | None:
    split = entry.parallelism or next(iter(evaluator.spec.workloads.values())).parallelism
    served = {workload: evaluator.serve_baseline(entry, workload) for workload in evaluator.spec.workloads}
    result = _judged(evaluator, name, entry.setup, str(split), np.array([float(entry.count)]), served)
    return next(iter(result), None)


def _ways(evaluator: Evaluator, name: str, setup: ChipSetup, split: Parallelism, counts: FloatArray) -> list[Way]:
    """Return the ways to serve with one chip, one setup and one split, a count each, that hold every workload."""
    served = {}
    for workload in evaluator.spec.workloads:
        what = evaluator.workload(workload, {f"{workload}.n_chips": counts})
        served[workload] = serve_chip(
            setup, replace(what, parallelism=split), evaluator.technology, limits=evaluator.limits[workload]
        )
    return _judged(evaluator, name, setup, split, counts, served)


def _judged(
    evaluator: Evaluator, name: str, setup: ChipSetup, split: str, counts: FloatArray,
    served: Mapping[str, WorkloadResult],
) -> list[Way]:  # fmt: skip
    required = {key: one for key, one in served.items() if evaluator.spec.workloads[key].required}
    # Chips that lack a link take for ever, and are left out below.
    with np.errstate(invalid="ignore"):
        columns = _columns(evaluator, setup.chip, counts, served)
        loads = {f"{key}.load": load_margin(one) for key, one in required.items() if one.users is not None}
    fits = np.ones(len(counts), dtype=bool)
    for one in required.values():
        fits &= np.broadcast_to(one.fits, counts.shape)
        fits &= (counts <= 1) | (np.broadcast_to(link_margin(one), counts.shape) >= 0)
    margins = {**loads, **evaluator.constraint_margins(columns)}
    ways = []
    for row in np.flatnonzero(fits):
        values = {key: float(np.broadcast_to(value, counts.shape)[row]) for key, value in columns.items()}
        by_label = {label: float(np.broadcast_to(margin, counts.shape)[row]) for label, margin in margins.items()}
        missed = {label: -margin if margin < 0 else math.inf for label, margin in by_label.items() if not margin >= 0}
        ways.append(Way(name, int(counts[row]), split, setup, values, missed))
    return ways


def _columns(
    evaluator: Evaluator, chip: str | Chip, counts: FloatArray, served: Mapping[str, WorkloadResult]
) -> dict[str, FloatArray]:
    """Return the metrics of all chips together, ``(counts,)`` or ``(1,)`` each, by full name."""
    first, technology = next(iter(served.values())), evaluator.technology
    alone = design_metrics(first.machine, first.formats.weight_bits, krw_per_usd=evaluator.economics.krw_per_usd)
    result = {name: value * counts if name in SUMMED else value for name, value in alone.items()}
    result[CHIPS.name] = counts
    hourly = (technology.library.chip(chip) if isinstance(chip, str) else chip).rental_usd_per_hour
    rented = counts * (np.nan if hourly is None else hourly)
    result[RENTAL_PER_HOUR.name] = rented
    used = numbers_of(np.atleast_1d(np.asarray(technology.value("tco.utilisation"), dtype=np.float64)))
    for workload, one in served.items():
        metrics = workload_metrics(one, technology, pools=evaluator.has_pools)
        result.update({f"{workload}.{metric}": value for metric, value in metrics.items()})
        rate = metrics["tokens_per_s_end_to_end"]
        tokens_per_hour = used * np.where(rate > 0, rate, np.nan) * 3600.0
        result[f"{workload}.{USD_PER_HOUR.name}"] = metrics["usd_per_million_tokens"] * tokens_per_hour / 1e6
        result[f"{workload}.{RENTAL.name}"] = rented / tokens_per_hour * 1e6
    return result


def _ranked(spec: Spec, ways: Sequence[Way], left_out: Mapping[str, str], rank: str) -> Chosen:
    """Return ways in order: those within the limits by rank, then the others by their largest miss."""
    first = next(iter(spec.workloads))
    if rank not in RANKS and rank.rpartition(".")[2] not in KNOWN:
        must_be = f"{one_of(RANKS)}, or a metric"
        raise SpecError([Issue(Place(f"--rank {rank}"), "", quoted(rank), must_be, suggest(rank, [*RANKS, *KNOWN]))])
    name = full_name(RANKS.get(rank, rank), first, Place(f"--rank {rank}"), KNOWN)
    speed = f"{first}.tpot_ms"
    if name == speed:
        speed = "price_usd"
    elif ways and all(np.isnan(way.values[speed]) for way in ways):
        # An encoder takes no decode steps.
        speed = f"{first}.request_s"
    if any(name not in way.values for way in ways):
        raise SpecError(
            [Issue(Place(f"--rank {rank}"), "", f"{quoted(rank)} is not known of chips that can be bought")]
        )

    def signed(way: Way, metric: str) -> float:
        value = way.values[metric]
        return -value if KNOWN[metric.rpartition(".")[2]].better == "max" else value

    def order(way: Way) -> tuple[float, float, float, int, str, str]:
        miss = max(way.missed.values(), default=0.0)
        by, then = (np.nan_to_num(signed(way, metric), nan=np.inf) for metric in (name, speed))
        return miss, float(by), float(then), way.chips, way.name, way.words

    listed = sorted(ways, key=order)
    points = np.array([[signed(way, name), signed(way, speed)] for way in listed]).reshape(len(listed), 2)
    known = np.isfinite(points).all(axis=1) & np.array([way.meets for way in listed], dtype=bool)
    on_front = np.zeros(len(listed), dtype=bool)
    on_front[known] = nondominated(points[known])
    marked = tuple(replace(way, on_front=bool(one)) for way, one in zip(listed, on_front, strict=True))
    return Chosen(spec, name, speed, marked, left_out)
