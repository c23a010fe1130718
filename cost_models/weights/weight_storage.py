"""Weights as each design stores them: a format per row, with the fields that the design sets itself.

A format of the library names the parameters that may replace its fields (``free``); in rows where such a parameter is
inactive (NaN), the format's own value stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cost_models.library import Library, WeightFormat
from cost_models.library.models import FREE_FIELDS
from cost_models.table import Choice, Column, Designs, FloatArray, Number
from cost_models.tape import asarray
from cost_models.weights.compression import xor_outputs
from cost_models.weights.decoder import encoding_efficiency


@dataclass(frozen=True, eq=False)
class Storage:
    """How every row stores its weights.

    Attributes:
        formats: format of each row.
        library: where the formats stand.
        given: parameter to ``(n,)`` or ``(1,)`` column; NaN where the format's own value stands.
    """

    formats: Choice
    library: Library
    given: Mapping[str, FloatArray]

    @classmethod
    def of(cls, columns: Designs, library: Library) -> Storage:
        """Return the storage that design columns describe; columns that are missing or all NaN change nothing."""
        formats = columns["weight_format"]
        assert isinstance(formats, Choice)
        given = {name: numbers for name in FREE_FIELDS if (numbers := _numbers(columns.get(name))) is not None}
        return cls(formats, library, given)

    @cached_property
    def forms(self) -> tuple[WeightFormat, ...]:
        """The format of each of the names, its free fields columns where rows set them."""
        return tuple(self._form(code, name) for code, name in enumerate(self.formats.values))

    def map(self, function: Callable[[WeightFormat], Number]) -> FloatArray:
        """Return per row ``function(format)``, called once per name with columns for the fields that rows set."""
        return self.formats.gather([function(form) for form in self.forms])

    def _form(self, code: int, name: str) -> WeightFormat:
        form = self.library.weight_format(name)
        if not self.given:
            return form
        chosen = self.formats.codes == code
        fields = {
            FREE_FIELDS[name]: np.where(here, column, getattr(form, FREE_FIELDS[name]))
            for name, column in self.given.items()
            if name in form.free and (here := chosen & ~np.isnan(column)).any()
        }
        return varied(form, fields) if fields else form


def varied(form: WeightFormat, fields: Mapping[str, Number]) -> WeightFormat:
    """Return a format with fields replaced, and those that follow from them.

    Integer operands are as wide as stored weights, and so is the zero point of asymmetric groups. N:M: sparsity
    1 - N/M and indices of ceil(log2 M) bits. XOR code: the encoding efficiency measured for its sizes, sparsity and
    correlation.

    Args:
        form: the format.
        fields: names of fields to numbers or columns.

    Raises:
        CompressionError: an XOR code beyond what has been measured.
    """
    update = dict(fields)
    if "weight_bits" in fields:
        bits = fields["weight_bits"]
        if form.operand == "int" and form.operand_bits == form.weight_bits:
            update["operand_bits"] = bits
        if form.kind == "group" and form.zero_bits == form.weight_bits:
            update["zero_bits"] = bits
    if form.kind == "nm":
        n, m = (asarray(fields.get(name, getattr(form, name)), dtype=np.float64) for name in ("n", "m"))
        update |= {"sparsity": 1 - n / m, "index_bits": np.ceil(np.log2(m))}
    changed = form.model_copy(update=update)
    if form.kind == "xor" and fields.keys() & {"n_in", "n_out", "shift_registers", "sparsity", "correlation"}:
        reached = encoding_efficiency(
            changed.n_in, changed.shift_registers, changed.sparsity, rho=changed.correlation, n_out=xor_outputs(changed)
        )
        return changed.model_copy(update={"encoding_efficiency": reached})
    return changed


def _numbers(column: Column | None) -> FloatArray | None:
    """Return a column of numbers, None where it sets nothing."""
    assert not isinstance(column, Choice)
    return None if column is None or np.isnan(column).all() else column
