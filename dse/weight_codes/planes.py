"""A sparse matrix in the XOR code, bit plane by bit plane, with its mask and corrections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cost_models.errors import CompressionError
from dse.weight_codes.bitstream import BitString
from dse.weight_codes.coding import Corrections, EncodedBits, XorCode, outputs_at, stream_shape
from dse.weight_codes.containers import Codes, Stored, as_codes, check_codes, read_mask, write_mask
from dse.weight_codes.pruning import interleaving


@dataclass(frozen=True)
class XorPlanes:
    """The XOR code with a mask: mask + b [N_in / N_out + (1 - S) (1 - E) c + 1 / P] bits per weight.

    Attributes:
        n_in: bits stored per step and plane.
        shift_registers: earlier inputs that an output depends on.
        n_out: outputs per step, None for floor(n_in / (1 - S)) of the matrix.
        correction_block: weights that one correction address spans, P.
        mask: as a bitmap of 1 bit per weight, or as Rice-coded runs.
        interleaved: spread neighbours over the matrix before coding, against unequal blocks.
        seed: seed of the code and the interleaver.
    """

    n_in: int = 8
    shift_registers: int = 1
    n_out: int | None = None
    correction_block: int = 512
    mask: Literal["bitmap", "rice"] = "bitmap"
    interleaved: bool = False
    seed: int = 0

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits.

        Raises:
            CompressionError: no weight or every weight has been pruned, or sizes that make no code.
        """
        return self.write_measured(codes, bits)[0]

    def write_measured(self, codes: Codes, bits: int) -> tuple[Stored, float]:
        """Store codes, and return the encoding efficiency as well."""
        shape = check_codes(codes, bits)
        encoded = self._encode(codes, bits)
        mask = codes != 0
        parts = {"mask": BitString.of(mask)} if self.mask == "bitmap" else write_mask(mask)
        parts |= {
            "inputs": encoded.inputs,
            "correction_counts": encoded.corrections.counts,
            "correction_offsets": encoded.corrections.offsets,
        }
        return Stored(shape, bits, parts), encoded.efficiency

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        parts = stored.parts
        mask = parts["mask"].bits() if self.mask == "bitmap" else read_mask(parts, stored.shape).ravel()
        code = self._code(1 - np.count_nonzero(mask) / mask.size)
        streams, length = stream_shape(mask.size, code.n_out)
        shape = (stored.bits, streams, length)
        counts, offsets = parts["correction_counts"], parts["correction_offsets"]
        corrections = Corrections(stored.bits * streams * length, self.correction_block, counts, offsets)
        planes = code.decode(EncodedBits(code, shape, parts["inputs"], corrections, 0))
        weights = planes.reshape(stored.bits, -1)[:, : mask.size]
        flat = np.zeros(mask.size, np.int64)
        for i, plane in enumerate(weights):
            flat |= plane.astype(np.int64) << i
        if self.interleaved:
            restored = np.empty_like(flat)
            restored[interleaving(mask.size, seed=self.seed)] = flat
            flat = restored
        flat[~mask] = 0
        return as_codes(flat, stored)

    def _encode(self, codes: Codes, bits: int) -> EncodedBits:
        flat = codes.ravel()
        code = self._code(1 - np.count_nonzero(flat) / flat.size)
        if self.interleaved:
            flat = flat[interleaving(flat.size, seed=self.seed)]
        streams, length = stream_shape(flat.size, code.n_out)
        padded = np.zeros(streams * length, flat.dtype)
        padded[: flat.size] = flat
        planes = np.stack([(padded >> i) & 1 for i in range(bits)]).astype(np.bool_)
        care = (padded != 0).reshape(streams, length)
        return code.encode(care, planes.reshape(bits, streams, length), correction_block=self.correction_block)

    def _code(self, sparsity: float) -> XorCode:
        if sparsity in (0.0, 1.0):
            raise CompressionError(
                "the XOR code needs pruned weights and nonzeros, got a matrix with "
                + ("no pruned weight" if sparsity == 0 else "no nonzero")
            )
        n_out = outputs_at(self.n_in, sparsity) if self.n_out is None else self.n_out
        return XorCode(self.n_in, n_out, self.shift_registers, self.seed)
