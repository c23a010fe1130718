"""What a GEMM kernel is to this benchmark: how it takes a weight matrix, how it runs, what it stores."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

try:
    from triton.errors import TritonError
except ImportError:

    class TritonError(RuntimeError):
        """Stands for the compiler's errors where there is no compiler."""


BASELINE = "bf16"
"""The dense kernel that all others are compared with."""

FAULTS = (
    RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, ImportError, KeyError, AssertionError,
    OSError, TritonError,
)  # fmt: skip
"""What kernels of other packages raise where they cannot run; each is reported beside the kernel."""


@dataclass(frozen=True)
class Prepared:
    """A weight matrix as a kernel stores it.

    Attributes:
        call: activations (m, k) in the kernel's type to outputs (m, n).
        stored: the matrix (n, k) that the stored numbers stand for, in 64-bit floats: made when asked for.
    """

    call: Callable[[Tensor], Tensor]
    stored: Callable[[], Tensor]

    def lean(self) -> Prepared:
        """Return the same without `stored`, whose numbers take more memory than the packed ones."""
        return Prepared(self.call, _let_go)


def _let_go() -> Tensor:
    raise RuntimeError("the stored numbers of this matrix were let go")


@dataclass(frozen=True)
class Kernel:
    """A GEMM of some weight format, y = x W^T.

    Attributes:
        name: short name, part of row ids.
        method: name and format as tables of kernels print it.
        software: package and version.
        kind: kind of operator rows: "gemm", or one that has no prediction.
        dtype: number formats as operator rows name them.
        weight_bits: stored bits of a weight, scales included.
        prepare: from a matrix (n, k) of random 16-bit floats.
        cast: activations from 16-bit floats.
        tolerance: largest relative error of outputs (Frobenius) against 64-bit floats.
        absent: why it cannot run here, "" where it can.
        least_rows: rows that fewer ones are padded to.
        multiple: what n and k must be divisible by.
        sparsity: share of zeros, 0 for dense kernels.
        build_bytes: bytes per weight that preparing one matrix takes for a while.
    """

    name: str
    method: str
    software: str
    kind: str
    dtype: str
    weight_bits: float
    prepare: Callable[[Tensor], Prepared]
    cast: Callable[[Tensor], Tensor]
    tolerance: float
    absent: str = ""
    least_rows: int = 1
    multiple: int = 1
    sparsity: float = 0.0
    build_bytes: float = 24.0

    def refusal(self, n: int, k: int) -> str:
        """Return why a shape cannot be taken, "" where it can."""
        if self.absent:
            return self.absent
        if n % self.multiple or k % self.multiple:
            return f"n and k must be divisible by {self.multiple}"
        return ""

    def operand_bytes(self, n: int, k: int) -> float:
        """Return the bytes of the stored matrix."""
        return n * k * self.weight_bits / 8


def version_of(package: str) -> str:
    """Return the version of an installed package, "" where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def to_bf16(x: Tensor) -> Tensor:
    """Return activations in bfloat16."""
    return x.to(torch.bfloat16)


def to_fp16(x: Tensor) -> Tensor:
    """Return activations in half precision."""
    return x.to(torch.float16)


def random_matrix(n: int, k: int, device: torch.device, seed: int) -> Tensor:
    """Return a matrix (n, k) of normal numbers in bfloat16; the same seed gives the same matrix on one device."""
    generator = torch.Generator(device=device).manual_seed(seed)
    return torch.randn((n, k), dtype=torch.bfloat16, device=device, generator=generator)


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return the Frobenius norm of the difference over that of what is expected."""
    return float(torch.linalg.norm(found.double() - expected) / torch.linalg.norm(expected))


def check(kernel: Kernel, device: torch.device, *, rows: int = 32, n: int = 256, k: int = 256, seed: int = 1) -> float:
    """Return the relative error of a kernel on a small shape against 64-bit floats on the same stored numbers."""
    prepared = kernel.prepare(random_matrix(n, k, device, seed))
    x = kernel.cast(random_matrix(max(rows, kernel.least_rows), k, device, seed + 1))
    return relative_error(prepared.call(x), x.double() @ prepared.stored().double().t())
