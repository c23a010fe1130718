"""Speed of storing a matrix in every format: weights per second of processor time (one core), written and read back.

    python benchmarks/encoder.py              1024 x 1024 and 4096 x 4096, 4 bits, half pruned
    python benchmarks/encoder.py --sparsity 0.9 --sizes 1024

The search of the XOR code visits 2^(N_in x registers) states in every step, and takes as much longer: with up to 256
states a layer of 4096 x 4096 takes seconds, with 1024 a minute, with 65 536 half an hour. Codes beyond 256 states are
timed on as many rows as `--rows` says.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from dse.weight_codes.coding import outputs_at
from dse.weight_codes.containers import Bitmap, Codes, Container, Csr, Dense, RiceGaps, RunLength
from dse.weight_codes.patterns import NofM, Tiled
from dse.weight_codes.planes import XorPlanes
from dse.weight_codes.pruning import generate_matrix, magnitude_mask, nm_mask
from dse.weight_codes.quantising import quantise

MAX_SHORT_STATE_BITS = 8
"""State bits up to which the XOR code encodes a whole layer in seconds."""


def timed(container: Container, codes: Codes, bits: int) -> tuple[float, float, float]:
    """Return processor seconds to write and to read, and stored bits per weight; the codes must come back."""
    start = time.process_time()
    stored = container.write(codes, bits)
    written = time.process_time()
    back = container.read(stored)
    read = time.process_time()
    if not np.array_equal(back, codes):
        raise AssertionError(f"{container} lost a code")
    return written - start, read - written, stored.size / codes.size


def containers(sparsity: float) -> dict[str, Container]:
    return {
        "dense": Dense(),
        "bitmap": Bitmap(),
        "rice": RiceGaps(),
        "run length": RunLength(),
        "CSR, 16-bit columns": Csr(),
        "tiled": Tiled(),
        "2 of 4": NofM(2, 4),
        **{
            f"XOR, N_in {n_in}, {k} registers": XorPlanes(n_in, k, outputs_at(n_in, sparsity))
            for n_in, k in ((8, 0), (8, 1), (4, 2), (5, 2), (6, 2), (8, 2))
        },
    }


def benchmark(size: int, sparsity: float, bits: int, rows: int) -> None:
    weights = generate_matrix((size, size), seed=0)
    start = time.process_time()
    mask = magnitude_mask(weights, sparsity=sparsity)
    pruned = time.process_time()
    codes = quantise(weights, bits=bits, group=128, mask=mask).codes
    quantised = time.process_time()
    pattern = quantise(weights, bits=bits, group=128, mask=nm_mask(weights, n=2, m=4)).codes
    print(f"\n{size} x {size} weights, {sparsity:.0%} pruned, {bits} bits")
    print(f"  {'':26} {'write, weights/s':>18} {'read, weights/s':>18} {'write, s':>10} {'bits/weight':>12}")
    for name, seconds in (("prune", pruned - start), ("quantise", quantised - pruned)):
        print(f"  {name:26} {size * size / seconds:18,.0f} {'':>18} {seconds:10.2f}")
    for name, container in containers(sparsity).items():
        matrix = pattern if isinstance(container, NofM) else codes
        part = isinstance(container, XorPlanes) and container.n_in * container.shift_registers > MAX_SHORT_STATE_BITS
        if part:
            matrix = matrix[:rows]
        write_s, read_s, stored = timed(container, matrix, bits)
        note = f"   {len(matrix)} rows; the whole would take {write_s * size / len(matrix):,.0f} s" if part else ""
        rates = f"{matrix.size / write_s:18,.0f} {matrix.size / read_s:18,.0f}"
        print(f"  {name:26} {rates} {write_s:10.2f} {stored:12.3f}{note}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of storing a matrix in every format.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--sparsity", type=float, default=0.5)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--rows", type=int, default=32, help="rows for XOR codes of more than 256 states")
    options = parser.parse_args()
    for size in options.sizes:
        benchmark(size, options.sparsity, options.bits, options.rows)


if __name__ == "__main__":
    main()
