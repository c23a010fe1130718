"""Codes in as many bits as their own distribution needs: rANS (Duda, arXiv 1311.2540) over interleaved lanes.

A lane is a coder of its own; all lanes take a step together and share one stream of 16-bit words, in the order in which
a decoder asks for them (Giesen, arXiv 1402.3392). Of codes wider than a byte only the upper byte is entropy-coded, with
the sign moved below it: of bfloat16 that is the exponent, as DFloat11 (arXiv 2504.11651) and ZipNN (arXiv 2411.05239)
have it; the other bits are close to random and stand as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray
from dse.weight_codes.bitstream import read_fields, write_fields
from dse.weight_codes.containers import Codes, Stored, as_codes, check_codes

PROBABILITY_BITS = 12
WORD_BITS = 16
STATE_BITS = 32
LANE_WEIGHTS = 4096
"""Weights of a lane, about: its state costs 32 bits, under a hundredth of a bit per weight."""

_LEAST_STATE = np.uint64(1 << WORD_BITS)
_SYMBOL_BITS = 8


def empirical_entropy(codes: NDArray[Any]) -> float:
    """Return the entropy of codes, bits each, were they drawn one by one from their own distribution."""
    counts = np.bincount(codes.ravel())
    shares = counts[counts > 0] / codes.size
    return float(-(shares * np.log2(shares)).sum()) + 0.0


@dataclass(frozen=True)
class EntropyCoded:
    """Codes by rANS with a table of their frequencies; table, lane states and every word are counted."""

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits."""
        shape = check_codes(codes, bits)
        symbols, rest = _split(codes.ravel(), bits)
        width = min(bits, _SYMBOL_BITS)
        frequencies = quantised_frequencies(np.bincount(symbols, minlength=1 << width))
        states, words = _encode(_lanes(symbols, int(frequencies.argmax())), frequencies)
        parts = {
            "frequencies": write_fields(frequencies.astype(np.int64), PROBABILITY_BITS + 1),
            "states": write_fields(states.astype(np.int64), STATE_BITS),
            "words": write_fields(words.astype(np.int64), WORD_BITS),
            "rest": write_fields(rest, bits - width),
        }
        return Stored(shape, bits, parts)

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        count, width = stored.shape[0] * stored.shape[1], min(stored.bits, _SYMBOL_BITS)
        frequencies = read_fields(stored.parts["frequencies"], PROBABILITY_BITS + 1, 1 << width).astype(np.uint64)
        lanes = lane_count(count)
        states = read_fields(stored.parts["states"], STATE_BITS, lanes).astype(np.uint64)
        words = stored.parts["words"]
        stream = read_fields(words, WORD_BITS, words.size // WORD_BITS).astype(np.uint64)
        symbols = _decode(states, stream, frequencies, -(-count // lanes)).T.ravel()[:count]
        rest = read_fields(stored.parts["rest"], stored.bits - width, count)
        return as_codes(_joined(symbols, rest, stored.bits), stored)


def lane_count(weights: int) -> int:
    """Return the lanes that share so many weights."""
    return max(1, weights // LANE_WEIGHTS)


def quantised_frequencies(counts: NDArray[np.integer[Any]]) -> NDArray[np.uint64]:
    """Return counts as frequencies that add up to 2^`PROBABILITY_BITS`, at least 1 for every symbol that occurs."""
    whole = 1 << PROBABILITY_BITS
    frequencies = np.where(counts > 0, np.maximum(1, np.rint(counts * (whole / counts.sum()))), 0).astype(np.int64)
    # What rounding has left over goes to the symbols that it changes least: the most frequent.
    while left := whole - int(frequencies.sum()):
        most = int(frequencies.argmax())
        frequencies[most] += max(left, -(int(frequencies[most]) // 2))
    return frequencies.astype(np.uint64)


def _split(codes: NDArray[Any], bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the symbols to be coded and the bits that stand as they are."""
    wide = codes.astype(np.int64)
    if bits <= _SYMBOL_BITS:
        return wide, np.zeros(len(wide), np.int64)
    turned = (wide << 1 | wide >> (bits - 1)) & ((1 << bits) - 1)
    lower = bits - _SYMBOL_BITS
    return turned >> lower, turned & ((1 << lower) - 1)


def _joined(symbols: NDArray[np.int64], rest: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    if bits <= _SYMBOL_BITS:
        return symbols
    turned = symbols << (bits - _SYMBOL_BITS) | rest
    return turned >> 1 | (turned & 1) << (bits - 1)


def _lanes(symbols: NDArray[np.int64], filler: int) -> NDArray[np.int64]:
    """Return ``(steps, lanes)`` symbols, the last lane filled up with the symbol that costs least."""
    lanes = lane_count(len(symbols))
    steps = -(-len(symbols) // lanes)
    padded = np.full(lanes * steps, filler)
    padded[: len(symbols)] = symbols
    return np.ascontiguousarray(padded.reshape(lanes, steps).T)


def _encode(
    symbols: NDArray[np.int64], frequencies: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the final states and the words in the order of decoding."""
    starts = np.cumsum(frequencies) - frequencies
    states = np.full(symbols.shape[1], _LEAST_STATE)
    shift = np.uint64(PROBABILITY_BITS)
    word, full = np.uint64(WORD_BITS), np.uint64(STATE_BITS - PROBABILITY_BITS)
    blocks = []
    for row in symbols[::-1]:
        own = frequencies[row]
        spills = states >= own << full
        blocks.append(states[spills] & (_LEAST_STATE - np.uint64(1)))
        states = np.where(spills, states >> word, states)
        share, place = np.divmod(states, own)
        states = (share << shift) + place + starts[row]
    return states, np.concatenate(blocks[::-1])


def _decode(
    states: NDArray[np.uint64], words: NDArray[np.uint64], frequencies: NDArray[np.uint64], steps: int
) -> NDArray[np.int64]:
    """Return ``(steps, lanes)`` symbols.

    Raises:
        CompressionError: frequencies that do not add up, or a stream that is cut off.
    """
    if int(frequencies.sum()) != 1 << PROBABILITY_BITS:
        raise CompressionError(f"frequencies add up to {frequencies.sum()}, not {1 << PROBABILITY_BITS}")
    starts = np.cumsum(frequencies) - frequencies
    symbol_at = np.repeat(np.arange(len(frequencies)), frequencies.astype(np.int64))
    symbols = np.empty((steps, len(states)), np.int64)
    taken, low = 0, np.uint64((1 << PROBABILITY_BITS) - 1)
    for step in range(steps):
        place = states & low
        symbols[step] = found = symbol_at[place]
        states = frequencies[found] * (states >> np.uint64(PROBABILITY_BITS)) + place - starts[found]
        asks = np.flatnonzero(states < _LEAST_STATE)
        if taken + len(asks) > len(words):
            raise CompressionError(f"a stream of {len(words)} words is cut off")
        states[asks] = states[asks] << np.uint64(WORD_BITS) | words[taken : taken + len(asks)]
        taken += len(asks)
    return symbols


def brain_patterns(weights: FloatArray) -> NDArray[np.uint16]:
    """Return weights as bfloat16 patterns, rounded to the nearest, ties to even.

    Raises:
        CompressionError: a weight beyond bfloat16.
    """
    with np.errstate(over="ignore"):
        whole = weights.astype(np.float32).view(np.uint32).astype(np.uint64)
    patterns = ((whole + 0x7FFF + (whole >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)).astype(np.uint16)
    if (patterns & 0x7F80 == 0x7F80).any():
        raise CompressionError(f"a weight of {np.abs(weights).max():g} does not fit bfloat16")
    return patterns
