"""Activations in few bits: how they are quantised, what hardware that asks for, and what it costs in quality.

    scaled    integers with a scale per token, outliers smoothed or clipped beforehand: good at 8 bits, collapses at 4
    rotated   integers after rotations that spread outliers over all channels; some have to be done while the model runs
    floating  floating-point codes with scales of their own: FP8, MXFP8, NVFP4, MXFP4

Equations and constants are those of ``quality.yaml``; ``studies/fits/quality_activations.py`` fits them to
``activations.csv``.
"""

from __future__ import annotations

import numpy as np

from cost_models.library.technology import Technology
from cost_models.table import INACTIVE, Choice, Designs, FloatArray, Number, at_codes
from cost_models.tape import asarray
from cost_models.weights.weight_storage import Storage

SCALED, ROTATED, FLOATING = ACT_METHODS = ("scaled", "rotated", "floating")
"""Ways to quantise activations, the names of `act_method`."""


def act_methods(columns: Designs, storage: Storage) -> Choice:
    """Return the method of each row: the one chosen, else that of floating-point weights or that of integer ones."""
    library = storage.library
    own = storage.formats.translate(lambda name: FLOATING if library.weight_format(name).has_float_codes else SCALED)
    chosen = columns.get("act_method")
    if not isinstance(chosen, Choice) or (chosen.codes == INACTIVE).all():
        return own
    codes = at_codes(np.array([ACT_METHODS.index(name) for name in own.values], dtype=np.intp), own.codes)
    table = np.array([*map(ACT_METHODS.index, chosen.values), INACTIVE], dtype=np.intp)
    requested = at_codes(table, chosen.codes)
    return Choice(ACT_METHODS, np.where(requested == INACTIVE, codes, requested))


def is_method(methods: Choice, name: str) -> FloatArray:
    """Return 1 in the rows of one method, else 0."""
    return methods.map(lambda one: float(one == name))


def narrow(act_bits: Number, technology: Technology) -> FloatArray:
    """Return 1 where activations have fewer bits than the reference's, else 0."""
    return asarray(asarray(act_bits) < technology.value("quality.damage_free_bits"), dtype=np.float64)


def activation_damage(
    act_bits: Number, methods: Choice, coarse_scales: Number, training: Number, technology: Technology
) -> FloatArray:
    """Return the damage u of activations of `act_bits`; 0 where they have the reference's bits.

    u = damage 2^[-decay (b - 4)] (T / 2)^alpha, times ``power_of_two_scales`` where floating-point codes of fewer than
    8 bits have scales without a mantissa.

    Args:
        act_bits: bits of an activation in the linear layers.
        methods: how they are quantised, of `ACT_METHODS`.
        coarse_scales: 1 where the format's scales are powers of two, else 0.
        training: (T / 2)^alpha of the model.
        technology: parameters under ``quality``.
    """
    bits = asarray(act_bits, dtype=np.float64)
    at_4, decay = (technology.of(f"quality.activations.{one}", methods) for one in ("damage_at_4_bit", "decay_per_bit"))
    u: FloatArray = at_4 * np.exp2(-decay * (bits - 4)) * training
    coarse = is_method(methods, FLOATING) * coarse_scales * (bits < 8)
    if coarse.any():
        u = u * np.where(coarse > 0, technology.value("quality.quantisation.power_of_two_scales"), 1.0)
    return u * narrow(bits, technology)
