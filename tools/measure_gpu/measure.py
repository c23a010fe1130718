"""Measure decode, prefill and their kernels on one GPU, with random weights and inputs.

    python tools/measure_gpu/measure.py --out rows/            everything, on the first CUDA (or ROCm) device
    python tools/measure_gpu/measure.py --out rows/ --only gemm,attention --minutes 20
    python tools/measure_gpu/measure.py --device cpu --tiny    the same code on a CPU, as a check of the script
    dse validate --measurements rows/gpu_micro.csv --measurements rows/gpu_steps.csv

Rows are written as they are measured; started again with the same folder, the script measures what is missing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if not __package__:
    # As a script, this folder stands first on the path, where its rooms would hide modules of the same names.
    sys.path[0] = str(Path(__file__).resolve().parents[2])


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed: pip install '.[gpu]', or the build for this machine", file=sys.stderr)
        return 2
    from tools.measure_gpu.arguments import parse
    from tools.measure_gpu.session import run

    try:
        return run(parse(sys.argv[1:]))
    except BrokenPipeError:
        # Who reads the output has seen enough, as `head` does; nothing is left to be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
