"""Quality of a model in the number formats of each row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import cast

import numpy as np

from cost_models.evaluate.number_formats import body_bits, expert_formats
from cost_models.library import Model, WeightFormat
from cost_models.library.technology import Technology
from cost_models.performance.workload_result import WorkloadResult
from cost_models.table import INACTIVE, Choice, Designs, Number, numbers_of
from cost_models.weights.activations import act_methods, narrow
from cost_models.weights.chip_execution import SLACK_BITS
from cost_models.weights.quality import (
    UNHARMED,
    Damage,
    Quality,
    activation_quality,
    format_quality,
    kv_methods,
    perplexity,
)
from cost_models.weights.weight_storage import Storage
from cost_models.workload.param_count import active_expert_fraction


def quality_of(model: Model, columns: Designs, technology: Technology) -> Quality:
    """Return perplexity ratios; where routed experts have a format of their own, by what a token meets of each.

    Damages of parts add up (arXiv 2411.17525, for layers), each in proportion to the active weights in it. What the
    maker trained or released costs nothing; what others made of it, and publish, does. A file of fewer bits than its
    format is named for has no known quality.
    """
    weights, activations = _format_damage(model, columns, technology)
    formats = expert_formats(columns, model, technology.library)
    if formats is not None:
        of_experts, for_experts = _format_damage(model, {**columns, "weight_format": formats}, technology)
        share = active_expert_fraction(model)
        kept = formats.map(lambda name: float(model.native_formats and name == model.expert_format))
        weights = _together(weights, of_experts, share, 1 - kept)
        activations = _together(activations, for_experts, share, 1.0)
    kv_bits = numbers_of(columns["kv_bits"])
    result = perplexity(weights, kv_bits, model, technology, activations, kv_methods(columns))
    if "stored_bits" in columns:
        unknown = numbers_of(columns["stored_bits"]) < body_bits(columns, technology.library) - SLACK_BITS
        if unknown.any():
            missing = (np.where(unknown, np.nan, getattr(result, field.name)) for field in fields(Quality))
            return Quality(*missing)
    return result


def worse_of(judge: Callable[[], Quality], other: WorkloadResult) -> Quality:
    """Return the worse quality of two pools: a text is read by one and written by the other."""
    one, two = judge(), other.quality
    return Quality(*(np.fmax(getattr(one, field.name), getattr(two, field.name)) for field in fields(Quality)))


def _together(body: Damage, experts: Damage, share: float, harmed: Number) -> Damage:
    """Return the damage of both parts; experts weigh `share`, and nothing in rows where they are not `harmed`."""
    whole = [(1 - share) * one + share * harmed * other for one, other in zip(body, experts, strict=True)]
    return Damage(*whole)._replace(extrapolated=np.maximum(body.extrapolated, harmed * experts.extrapolated))


def _format_damage(model: Model, columns: Designs, technology: Technology) -> tuple[Damage, Damage]:
    """Return what weights and activations cost in the weight format; one look at the fits per format and method."""
    storage, method = Storage.of(columns, technology.library), cast("Choice", columns["weight_method"])
    methods = (*method.values, "")
    if storage.given:
        table = _damages(model, storage.forms, methods, technology, given=True)
    else:
        key = ("quality", model.key, storage.formats.values, methods)
        table = technology.once(key, lambda: _damages(model, storage.forms, methods, technology, given=False))
    # One behind the last where none is chosen: sums are several times as quick as a choice row by row.
    method_codes = method.codes + (method.codes == INACTIVE) * len(methods)
    names = tuple(f"{entry}+{m}" for entry in storage.formats.values for m in methods)
    pair = Choice(names, storage.formats.codes * len(methods) + method_codes)
    damage = Damage(*(pair.gather(field) for field in zip(*table, strict=True)))
    act_bits = numbers_of(columns["act_bits"])
    if not narrow(act_bits, technology).any():
        return damage, UNHARMED
    coarse = storage.map(lambda form: float(form.power_of_two_scales))
    return damage, activation_quality(act_bits, act_methods(columns, storage), coarse, model, technology)


def _damages(
    model: Model, forms: tuple[WeightFormat, ...], methods: tuple[str, ...], technology: Technology, *, given: bool
) -> list[Damage]:
    """Return what each pair of format and method costs; the format's own method where that is empty.

    The format in which the maker trained or released the model, as it stands in the library, costs nothing.
    """
    native = model.weight_format if model.native_formats else None
    return [
        UNHARMED if entry.key == native and method in ("", entry.method) and not given
        else format_quality(model, entry, method or entry.method, technology)
        for entry in forms
        for method in methods
    ]  # fmt: skip
