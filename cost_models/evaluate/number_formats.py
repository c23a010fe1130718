"""Number formats of everything that is stored and moves, per row of a table of designs or of chips."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from cost_models.evaluate.workload import Workload
from cost_models.library import Library, Model, WeightFormat
from cost_models.library.models import FREE_FIELDS
from cost_models.library.technology import Technology
from cost_models.performance.serving_stack import Software, software
from cost_models.silicon.defaults import default_row
from cost_models.table import INACTIVE, Choice, Column, Designs, FloatArray, Number, at_codes, numbers_of
from cost_models.tape import asarray
from cost_models.weights.activations import ROTATED, act_methods, is_method, narrow
from cost_models.weights.chip_execution import SLACK_BITS, WIDE_BITS
from cost_models.weights.compression import stored_bits
from cost_models.weights.quality import CALIBRATED, kv_methods
from cost_models.weights.weight_storage import Storage
from cost_models.workload.formats import Formats
from cost_models.workload.param_count import expert_fraction


def own_formats(workload: Workload, columns: Designs) -> dict[str, Column]:
    """Return the number formats that a workload sets for itself, as columns."""
    own: dict[str, Column] = {
        key: np.array([float(value)])
        for key in ("kv_bits", "act_bits")
        if (value := getattr(workload, key)) is not None
    }
    if workload.weight_format is not None:
        # What the design sets of its own format does not carry over to another one.
        own |= {name: np.array([np.nan]) for name in FREE_FIELDS if name in columns}
        own["expert_format"] = default_row("expert_format")
        own["weight_format"] = Choice.of(workload.weight_format)
        own["weight_execution"] = default_row("weight_execution")
    if workload.expert_format is not None:
        own["expert_format"] = Choice.of(workload.expert_format)
    return own


def body_bits(columns: Designs, library: Library) -> FloatArray:
    """Return stored bits per body weight of each row, metadata included."""
    return _of_format(columns, library, stored_bits)


def number_formats(columns: Designs, technology: Technology, model: Model | None = None) -> Formats:
    """Return the stored bits of everything that moves, per row of `columns`.

    Args:
        columns: number formats and stack, of designs or of chips.
        technology: parameters.
        model: what is served; None where it has no part.
    """
    library = technology.library
    named, head = body_bits(columns, library), _of_format(columns, library, lambda form: form.head_bits)
    body, expert = _mixed_bits(named, columns, model, library)
    stack = cast("Choice", columns["serving_stack"])
    if any(library.stack(name).quantises_head for name in stack.values):
        whole = stack.map(lambda name: float(library.stack(name).quantises_head)) > 0
        head = np.where(whole & (head >= WIDE_BITS), body, head)
    act_bits, kernels = numbers_of(columns["act_bits"]), software_of(columns, technology)
    methods = act_methods(columns, Storage.of(columns, library))
    return Formats(
        weight_bits=body,
        head_bits=head,
        kv_bits=numbers_of(columns["kv_bits"]),
        activation_bits=np.maximum(act_bits, kernels.least_activation_bits),
        expert_bits=expert,
        wide_bits=technology.value("serving.activation_bits"),
        reduced_bits=np.maximum(act_bits, kernels.least_reduced_bits),
        rotated=is_method(methods, ROTATED) * narrow(act_bits, technology),
        cache_unpack_ops=_cache_unpack_ops(columns, technology),
    )


def _cache_unpack_ops(columns: Designs, technology: Technology) -> Number:
    """Return vector operations per cached element: codes of a calibrated cache are looked up, outliers added."""
    methods = kv_methods(columns)
    if methods is None:
        return 0.0
    ops = is_method(methods, CALIBRATED) * technology.value("execution.cache_unpack_ops")
    return asarray(ops * narrow(numbers_of(columns["kv_bits"]), technology))


def _mixed_bits(
    named: FloatArray, columns: Designs, model: Model | None, library: Library
) -> tuple[FloatArray, FloatArray | None]:
    """Return stored bits of body weights and of routed experts; None where those are like the others.

    Experts have the format that is named for them, else the one that the model's maker publishes where it is narrower.
    A mean over the whole file says what experts of such a format leave for the other weights, 16 bits at most; a mean
    beyond that says that experts are stored like the others.
    """
    mean = numbers_of(columns["stored_bits"]) if "stored_bits" in columns else np.array([np.nan])
    given = ~np.isnan(mean)
    plain = np.where(given, mean, named) if given.any() else named
    if model is None or not _experts_apart(columns, model):
        return plain, None
    chosen = cast("Choice | None", columns.get("expert_format"))
    native = np.array([np.inf])
    if model.expert_format is not None:
        native = np.atleast_1d(stored_bits(library.weight_format(model.expert_format)))
    reported = np.array([np.nan])
    if chosen is not None:
        reported = chosen.map(lambda name: stored_bits(library.weight_format(name)))
    expert = np.where(np.isnan(reported), np.minimum(native, named), reported)
    if not given.any():
        return named, expert
    own = np.where(np.isnan(reported), native, reported)
    least, share = np.where(np.isfinite(own), own, WIDE_BITS), expert_fraction(model)
    kept = given & np.isfinite(own) & (mean <= share * least + (1 - share) * WIDE_BITS + SLACK_BITS)
    rest = np.clip((mean - share * least) / (1 - share), least, WIDE_BITS)
    return np.where(kept, rest, plain), np.where(kept, least, np.where(given, mean, expert))


def _experts_apart(columns: Designs, model: Model) -> bool:
    """Tell whether routed experts may be stored otherwise than the body: as named for them, or as published."""
    chosen = cast("Choice | None", columns.get("expert_format"))
    named = chosen is not None and bool((chosen.codes != INACTIVE).any())
    return model.moe is not None and (named or model.expert_format is not None)


def expert_formats(columns: Designs, model: Model, library: Library) -> Choice | None:
    """Return the format of routed experts per row: named for them, or published, or the body's; None if always that."""
    if not _experts_apart(columns, model):
        return None
    body, chosen = cast("Choice", columns["weight_format"]), cast("Choice | None", columns.get("expert_format"))
    own = Choice((), np.array([INACTIVE])) if chosen is None else chosen
    follows = own.codes == INACTIVE
    if model.expert_format is not None:
        native = stored_bits(library.weight_format(model.expert_format))
        _, bits = _mixed_bits(body_bits(columns, library), columns, model, library)
        follows = follows & (np.abs(asarray(bits) - native) > SLACK_BITS)
        own = own.filled(model.expert_format)
    values = tuple(dict.fromkeys((*body.values, *own.values)))
    codes = [
        at_codes(np.array([*map(values.index, one.values), INACTIVE], dtype=np.intp), one.codes) for one in (body, own)
    ]
    return Choice(values, np.where(follows, *codes))


def software_of(columns: Designs, technology: Technology) -> Software:
    """Return the stack of each row; one that holds for all rows is looked up once."""
    stack, family = cast("Choice", columns["serving_stack"]), cast("Choice | None", columns.get("family"))
    if len(stack) > 1 or family is not None:
        return software(stack, technology, family)
    return technology.once(("software", tuple(stack.names())), lambda: software(stack, technology))


def _of_format(columns: Designs, library: Library, function: Callable[[WeightFormat], Number]) -> FloatArray:
    return Storage.of(columns, library).map(function)
