"""The sequential fixed-to-fixed XOR code: every block of weights in the same number of bits.

A decoder is a random linear map over GF(2). Each step it takes `n_in` stored bits, keeps the inputs of the last
`shift_registers` steps, and puts out `n_out` bits. Where a weight has been pruned the output does not matter, so an
encoder has freedom to choose inputs whose outputs agree with the nonzeros (Lee et al., "Encoding weights of irregular
sparsity for fixed-to-fixed model compression", arXiv 2105.01869). The few nonzeros that still come out wrong are
listed as corrections, which makes the code lossless. A matrix is coded plane by plane: bit i of all its weights.

The layout of streams and corrections is this project's own: streams of about `STREAM_WEIGHTS` weights, each with the
contents of its registers in front; corrections per block of P weights, one position of log2 P bits for each error, and
their number in unary: c = ceil(log2 P) + 1 bits per error and one per block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from dse.weight_codes.bitstream import BitString, field_width, read_fields, read_unary, write_fields, write_unary
from dse.weight_codes.gf2 import Bits, dequantize_words, pack_words, span
from dse.weight_codes.trellis import best_inputs

STREAM_WEIGHTS = 4096
"""Weights in a stream, about: long enough that the first contents of the registers cost nothing to speak of."""

MAX_INPUT_BITS = 12
"""Bits of an input: the encoder tries every pair of inputs at blocks that are full of nonzeros."""

MAX_STATE_BITS = 16
"""Bits that the registers may hold: the encoder visits every state of them in every step."""


@dataclass(frozen=True)
class XorCode:
    """A fixed-to-fixed code, given by its sizes and the seed of its random map.

    Attributes:
        n_in: bits stored per step.
        n_out: bits put out per step.
        shift_registers: earlier inputs that an output depends on.
        seed: seed of the random map.

    Raises:
        CompressionError: sizes that make no code, or more states than the encoder can visit.
    """

    n_in: int
    n_out: int
    shift_registers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.n_in <= MAX_INPUT_BITS:
            raise CompressionError(f"n_in must be from 1 to {MAX_INPUT_BITS}, got {self.n_in}")
        if self.n_out < self.n_in:
            raise CompressionError(
                f"n_in must not exceed n_out, got {self.n_in} and {self.n_out}: "
                "such a code stores more than it puts out"
            )
        if self.shift_registers < 0:
            raise CompressionError(f"shift_registers must be 0 or more, got {self.shift_registers}")
        if self.n_in * self.shift_registers > MAX_STATE_BITS:
            raise CompressionError(
                f"{self.shift_registers} shift registers of {self.n_in} bits make 2^{self.n_in * self.shift_registers} "
                f"states; the encoder takes at most 2^{MAX_STATE_BITS}"
            )

    @cached_property
    def generator(self) -> Bits:
        """``(1 + shift_registers, n_in, n_out)``: outputs that each input bit flips, the newest input first.

        Drawn output by output: a code with fewer outputs is the same map with the last ones left off.
        """
        rng = np.random.default_rng([self.seed, self.n_in, self.shift_registers])
        sampled = rng.integers(0, 2, (self.n_out, 1 + self.shift_registers, self.n_in), np.uint8)
        return np.ascontiguousarray(np.moveaxis(sampled, 0, -1)).astype(np.bool_)

    def encode(self, care: Bits, bits: Bits, *, correction_block: int = 512) -> EncodedBits:
        """Encode streams of bits so that `decode` returns them wherever `care` marks them.

        Args:
            care: ``(streams, length)``: where a bit matters.
            bits: ``(planes, streams, length)``, or ``(streams, length)`` for one plane.
            correction_block: bits that one correction address spans.

        Raises:
            CompressionError: nothing to encode, or shapes that do not agree.
        """
        if care.ndim != 2 or bits.shape[-2:] != care.shape or bits.ndim not in (2, 3):
            raise CompressionError(
                f"bits must be (streams, length) or (planes, streams, length) for a mask of the same streams, "
                f"got {bits.shape} and {care.shape}"
            )
        if not bits.size:
            raise CompressionError("there are no bits to encode")
        if correction_block < 1:
            raise CompressionError(f"correction_block must be 1 or more, got {correction_block}")
        planes = bits.reshape(-1, *care.shape)
        inputs = best_inputs(self.generator, self._blocks(care), self._blocks(planes))
        wrong = (self._outputs(inputs)[..., : care.shape[1]] != planes) & care
        return EncodedBits(
            code=self,
            shape=bits.shape,
            inputs=write_fields(inputs, self.n_in),
            corrections=Corrections.of(wrong, correction_block),
            nonzeros=len(planes) * int(np.count_nonzero(care)),
        )

    def decode(self, encoded: EncodedBits) -> Bits:
        """Return bits of the shape that was encoded; those nobody cares about are arbitrary."""
        length = encoded.shape[-1]
        streams = int(np.prod(encoded.shape[:-1]))
        words = self.shift_registers + -(-length // self.n_out)
        inputs = read_fields(encoded.inputs, self.n_in, streams * words).reshape(streams, words)
        bits = self._outputs(inputs)[..., :length] ^ encoded.corrections.bits().reshape(streams, length)
        return bits.reshape(encoded.shape)

    def _blocks(self, bits: Bits) -> Bits:
        """Return ``(..., length)`` as ``(..., steps, n_out)``, filled up with bits that do not matter."""
        steps = -(-bits.shape[-1] // self.n_out)
        padded = np.zeros((*bits.shape[:-1], steps * self.n_out), np.bool_)
        padded[..., : bits.shape[-1]] = bits
        return padded.reshape(*bits.shape[:-1], steps, self.n_out)

    def _outputs(self, inputs: NDArray[np.integer[Any]]) -> Bits:
        """Return what the decoder puts out, ``(..., registers + steps)`` to ``(..., steps * n_out)``."""
        steps = inputs.shape[-1] - self.shift_registers
        tables = [span(np.moveaxis(pack_words(taps), 0, -1)).T for taps in self.generator]  # (words, inputs) each
        words = tables[0][:, inputs[..., self.shift_registers :]]
        for age, table in enumerate(tables[1:], start=1):
            first = self.shift_registers - age
            words ^= table[:, inputs[..., first : first + steps]]
        return dequantize_words(words, self.n_out).reshape(*inputs.shape[:-1], steps * self.n_out)


@dataclass(frozen=True)
class Corrections:
    """Positions of wrong bits: their number per block in unary, and each as an offset in its block.

    Attributes:
        length: bits that are corrected.
        block: bits per block.
    """

    length: int
    block: int
    counts: BitString
    offsets: BitString

    @classmethod
    def of(cls, wrong: Bits, block: int) -> Corrections:
        """Store the positions of the bits set in `wrong`."""
        positions = np.flatnonzero(wrong)
        counts = np.bincount(positions // block, minlength=-(-wrong.size // block))
        return cls(wrong.size, block, write_unary(counts), write_fields(positions % block, field_width(block)))

    @property
    def size(self) -> int:
        """Stored bits."""
        return self.counts.size + self.offsets.size

    def bits(self) -> Bits:
        """Return the ``(length,)`` bits to flip."""
        counts = read_unary(self.counts)
        offsets = read_fields(self.offsets, field_width(self.block), int(counts.sum()))
        wrong = np.zeros(self.length, np.bool_)
        wrong[np.repeat(np.arange(len(counts)) * self.block, counts) + offsets] = True
        return wrong


@dataclass(frozen=True)
class EncodedBits:
    """What `XorCode.encode` stores.

    Attributes:
        shape: shape of the bits that were encoded.
        inputs: input words, those that fill the registers of a stream before those of its steps.
        nonzeros: bits that mattered.
    """

    code: XorCode
    shape: tuple[int, ...]
    inputs: BitString
    corrections: Corrections
    nonzeros: int

    @property
    def errors(self) -> int:
        """Bits that mattered and that the code alone would get wrong."""
        counts = self.corrections.counts
        return counts.size - -(-self.corrections.length // self.corrections.block)

    @property
    def efficiency(self) -> float:
        """Encoding efficiency: the share of the bits that mattered which needs no correction."""
        return 1 - self.errors / self.nonzeros if self.nonzeros else 1.0

    @property
    def size(self) -> int:
        """Stored bits, corrections and register contents included."""
        return self.inputs.size + self.corrections.size


def outputs_at(n_in: int, sparsity: float) -> int:
    """Return the greatest n_out that leaves at least as many input bits as nonzeros: floor(n_in / (1 - S)).

    Raises:
        CompressionError: sparsity is not between 0 and 1.
    """
    if not 0 < sparsity < 1:
        raise CompressionError(f"the XOR code needs a sparsity above 0 and below 1, got {sparsity:g}")
    return int(n_in / (1 - sparsity) * (1 + 1e-12))


def stream_shape(weights: int, n_out: int) -> tuple[int, int]:
    """Return number and length of the streams into which a matrix is cut.

    Streams have a whole number of steps and about `STREAM_WEIGHTS` weights, half to one and a half times; among
    those the length that wastes least on the last stream, the longest of equals.
    """
    most = max(1, 3 * STREAM_WEIGHTS // (2 * n_out))
    if weights <= most * n_out:
        return 1, weights
    lengths = n_out * np.arange(most, max(1, most // 3) - 1, -1)
    length = int(lengths[np.argmin(-(-weights // lengths) * lengths)])
    return -(-weights // length), length
