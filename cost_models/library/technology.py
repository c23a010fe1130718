"""What models read of the world: a library's entries, and its ranged parameters or whatever replaces them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from cost_models.errors import UnknownEntryError
from cost_models.library import Library, shipped_library
from cost_models.table import Choice, FloatArray, Number
from cost_models.tape import asarray

T = TypeVar("T")


class Technology:
    """A library, and its parameters by dotted path, each its typical value unless overridden.

    An override is a scalar or an ``(n,)`` column, so that a parameter can be swept, or drawn
    once per row. Library and overrides never change; ``reads`` tells which paths were used.

    Args:
        overrides: path to replacement, for example ``{"tco.pue": 1.1}``.
        library: entries and parameters; the shipped ones where None.

    Attributes:
        library: the entries that models look up by name.

    Raises:
        UnknownEntryError: an override's path is not a parameter.
    """

    def __init__(self, overrides: Mapping[str, Number] = MappingProxyType({}), library: Library | None = None) -> None:
        self.library = shipped_library() if library is None else library
        self._parameters = self.library.parameters
        for path in overrides:
            if path not in self._parameters:
                raise UnknownEntryError("parameter", path, self._parameters)
        self._overrides = dict(overrides)
        self._reads: set[str] = set()
        self._made: dict[Hashable, Any] = {}

    @property
    def reads(self) -> frozenset[str]:
        """Paths of the parameters that models have asked for so far."""
        return frozenset(self._reads)

    @property
    def overridden(self) -> frozenset[str]:
        """Paths whose values are replaced."""
        return frozenset(self._overrides)

    def value(self, path: str) -> Number:
        """Return the parameter at `path`: a scalar, or an ``(n,)`` column where it is overridden by one.

        Raises:
            UnknownEntryError: no such parameter.
        """
        self._reads.add(path)
        if path in self._overrides:
            return self._overrides[path]
        try:
            return self._parameters[path].typ
        except KeyError:
            raise UnknownEntryError("parameter", path, self._parameters) from None

    def of(self, section: str, names: Choice, field: str = "") -> FloatArray:
        """Return per row the parameter ``section.name.field`` of its choice, ``section.name`` without a field."""
        end = f".{field}" if field else ""
        return names.map(lambda name: self.value(f"{section}.{name}{end}"))

    def with_overrides(self, overrides: Mapping[str, Number]) -> Technology:
        """Return the same library with further parameters replaced; what is read of either counts as read of both."""
        other = Technology({**self._overrides, **overrides}, self.library)
        other._reads = self._reads
        return other

    def with_library(self, library: Library) -> Technology:
        """Return the same numbers with other entries."""
        return self if library is self.library else Technology(self._overrides, library)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` makes of library and parameters, made once per key: it must depend on these alone."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def columns(self) -> dict[str, FloatArray]:
        """Return the overrides that are columns."""
        return {path: asarray(value) for path, value in self._overrides.items() if np.ndim(value)}
