"""The ranged figures of the library as the models read them: typical values, or whatever replaces them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from cost_models.errors import UnknownEntryError
from cost_models.library import Figure, load_library
from cost_models.table import Choice, FloatArray, Number

T = TypeVar("T")


class Technology:
    """Figures by dotted path, each its typical value unless overridden.

    An override is a scalar or an ``(n,)`` column, so that a figure can be swept, or drawn
    once per row. The object is immutable; ``reads`` tells which paths were used.

    Args:
        overrides: path to replacement, for example ``{"tco.pue": 1.1}``.
        figures: the figures to start from; the library's where None.

    Raises:
        UnknownEntryError: an override's path is not a figure.
    """

    def __init__(
        self, overrides: Mapping[str, Number] = MappingProxyType({}), figures: Mapping[str, Figure] | None = None
    ) -> None:
        self._figures = load_library().figures if figures is None else figures
        for path in overrides:
            if path not in self._figures:
                raise UnknownEntryError("figure", path, self._figures)
        self._overrides = dict(overrides)
        self._reads: set[str] = set()
        self._made: dict[Hashable, Any] = {}

    @property
    def reads(self) -> frozenset[str]:
        """Paths of the figures that models have asked for so far."""
        return frozenset(self._reads)

    def value(self, path: str) -> Number:
        """Return the figure at `path`: a scalar, or an ``(n,)`` column where it is overridden by one.

        Raises:
            UnknownEntryError: no such figure.
        """
        self._reads.add(path)
        if path in self._overrides:
            return self._overrides[path]
        try:
            return self._figures[path].typ
        except KeyError:
            raise UnknownEntryError("figure", path, self._figures) from None

    def of(self, section: str, names: Choice, field: str) -> FloatArray:
        """Return per row the figure ``section.name.field`` of the entry that the row has chosen."""
        return names.map(lambda name: self.value(f"{section}.{name}.{field}"))

    def with_overrides(self, overrides: Mapping[str, Number]) -> Technology:
        """Return the same figures with further ones replaced."""
        other = Technology({**self._overrides, **overrides}, self._figures)
        other._reads = self._reads
        return other

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` makes of these figures, made once per key: it must depend on key and figures alone."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def columns(self) -> dict[str, FloatArray]:
        """Return the overrides that are columns."""
        return {path: np.asarray(value) for path, value in self._overrides.items() if np.ndim(value)}
