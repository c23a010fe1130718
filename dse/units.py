"""Quantities at the door: ``40 ms`` or ``1.2 TB/s`` to a plain number in the unit that a name carries.

The only room that knows pint. Its own registry would take bits and per cent for pure numbers
and ``b`` for barns, so the handful of units that a sweep can hold are defined here instead;
unknown ones are issues, never guesses. Prefixes are case-sensitive as in the SI: ``GB`` is
10^9 bytes, ``GiB`` 2^30, ``Gbit`` 10^9 bits. A currency sign may stand before the number, as in ``$0.08/kWh``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

_DEFINITIONS = """
pico- = 1e-12 = p-
nano- = 1e-9 = n-
micro- = 1e-6 = µ- = μ- = u-
milli- = 1e-3 = m-
centi- = 1e-2 = c-
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
peta- = 1e15 = P-
kibi- = 2**10 = Ki-
mebi- = 2**20 = Mi-
gibi- = 2**30 = Gi-
tebi- = 2**40 = Ti-
second = [time] = s
minute = 60 * second = min
hour = 3600 * second = h
day = 24 * hour
year = 8760 * hour = a
meter = [length] = m = metre
joule = [energy] = J
watt = joule / second = W
watt_hour = 3600 * joule = Wh
volt = [potential] = V
kelvin = [temperature] = K
gram = [mass] = g
hertz = 1 / second = Hz
bit = [information]
byte = 8 * bit = B
operation = [operation] = FLOP = OP
operations_per_second = operation / second = FLOPS = OPS
mac_operation = 2 * operation = MAC
token = [token]
dollar = [currency] = USD
won = [won] = KRW
gram = [mass] = g
wafer = [wafer]
percent = 0.01
""".strip().splitlines()

_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?)(?:[eE][-+]?[0-9]+)?"
_QUANTITY = re.compile(rf"\s*([$₩]?)\s*({_NUMBER})\s*(.*?)\s*")
_SEPARATOR = re.compile(r"(\s*[/*·]\s*|\s+)")
_FACTOR = re.compile(r"(1|[A-Za-zµμ_]+|[%$₩])\^?(-?[1-9])?")
_SPELLED = {"%": "percent", "$": "USD", "₩": "KRW"}
_PREFIXES = {"k": 1e3, "K": 1e3, "M": 1e6}
_SUPERSCRIPTS = str.maketrans("²³", "23")
_COMMON = (
    *("ns", "us", "ms", "s", "min", "h", "pJ", "nJ", "mJ", "J", "kWh", "mW", "W", "kW", "MHz", "GHz", "mV", "V"),
    *("bit", "Kbit", "Mbit", "Gbit", "B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "MB/s", "GB/s", "TB/s"),
    *("Gbit/s", "mm", "mm²", "cm²", "%", "USD", "token", "token/s", "token/J", "TFLOPS", "TOPS", "GFLOPS"),
)


class UnitError(ValueError):
    """Text that is not a quantity of the unit it must have.

    Attributes:
        must_be: what it must be.
        perhaps: what was probably meant, or "".
    """

    def __init__(self, text: str, must_be: str, perhaps: str = "") -> None:
        self.must_be, self.perhaps = must_be, perhaps
        super().__init__(f"{text!r} is not {must_be}")


_SUFFIXES: Mapping[str, str] = {
    **{name: name for name in ("mm", "bit", "us", "ms", "s")},
    **{
        name.lower(): name
        for name in ("W", "mW", "V", "MiB", "GiB", "GB", "MB", "GHz", "Gbit", "pJ", "USD", "kWh", "kW")
    },
    **{"bits": "bit", "mm2": "mm²", "cm2": "cm²", "gbps": "GB/s", "years": "year", "second": "s", "byte": "byte"},
}


def parse_quantity(text: str, unit: str) -> float:
    """Return the number that `text` stands for in `unit`.

    Args:
        text: a number, or a number and a unit, such as ``"150_000"``, ``"1.2 TB/s"``, ``"3 %"``,
            ``"$250"``.
        unit: the unit of the answer; "" for a pure number.

    Raises:
        UnitError: not a finite number, or a unit that does not convert.
    """
    number, given = split_quantity(text, unit)
    # The unit itself is by far the commonest, and needs no pint, which takes a third of a second to import.
    if not given or given == unit:
        return number
    factor = _factor(given, unit)
    if factor is None:
        raise UnitError(text, wanted(unit), _perhaps(number, given, unit))
    return number * factor


def split_quantity(text: str, unit: str) -> tuple[float, str]:
    """Return the number and the unit (perhaps "") that `text` is made of.

    Raises:
        UnitError: there is no finite number in front, or behind a currency sign.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or not math.isfinite(number := float(match[2].replace("_", ""))):
        raise UnitError(text, wanted(unit))
    return number, f"{match[1]} {match[3]}".strip()


def unit_of_suffix(suffix: str) -> str:
    """Return the unit that the last words of a parameter's name stand for, ``pj_per_bit`` as ``pJ/bit``.

    Words that are not units (``usd_per_card_700w``) give the suffix itself, which nothing converts to.
    """
    words = [_SUFFIXES.get(word) for word in suffix.split("_per_")]
    return "/".join(word for word in words if word) if all(words) else suffix


def unit_of_name(name: str) -> str:
    """Return the unit that the last word of a name stands for, "" where it stands for none."""
    return _SUFFIXES.get(name.rpartition("_")[2], "") if "_" in name else ""


def wanted(unit: str) -> str:
    """Return what a value of `unit` must be, in words."""
    return f"a number, or a quantity that converts to {unit}" if unit else "a number"


def _perhaps(number: float, given: str, unit: str) -> str:
    """Return the same number with a unit that was probably meant."""
    if not unit:
        return f"{number * _PREFIXES.get(given, 1):.12g}" if given.isalpha() and not _is_unit(given) else ""
    alike = [name for name in _COMMON if given.casefold().startswith(name.casefold()) and _factor(name, unit)]
    return f"{number:g} {max(alike, key=len)}" if alike else ""


def _is_unit(text: str) -> bool:
    """Return whether a text is a unit of something, and no word."""
    return _units(text) is not None and text not in _PREFIXES


@lru_cache(maxsize=512)
def _factor(given: str, unit: str) -> float | None:
    """Return how many `unit` one `given` is, None where they do not convert."""
    source, target = _units(given), _units(unit)
    if source is None or target is None or source.dimensionality != target.dimensionality:
        return None
    return float((1.0 * source).to(target).magnitude)


@lru_cache(maxsize=512)
def _units(text: str) -> Any:
    """Return pint's unit, None where the text is not one.

    Names, whole powers, products and quotients are read here (``GB/s``, ``mm2``, ``token/s/USD``);
    pint is asked for one name at a time, so no expression of a file is ever evaluated.
    """
    import pint

    unit = _registry().Unit("")
    if not text:
        return unit
    for separator, factor in zip(
        *(iter(["*", *_SEPARATOR.split(text.strip().translate(_SUPERSCRIPTS))]),) * 2, strict=True
    ):
        match = _FACTOR.fullmatch(factor)
        if match is None:
            return None
        sign = -1 if separator.strip() == "/" else 1
        try:
            unit = unit * _registry().Unit(_SPELLED.get(match[1], match[1])) ** (sign * int(match[2] or 1))
        except pint.UndefinedUnitError:
            return None
    return unit


@cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(None)
    registry.load_definitions(_DEFINITIONS)
    return registry
