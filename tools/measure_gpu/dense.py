"""Dense GEMMs: BF16, FP8 and INT8 operands."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tools.measure_gpu.device import Device
from tools.measure_gpu.kernels import Kernel, Prepared, to_bf16

INT8_LEAST_ROWS = 32
"""`torch._int_mm` refuses 16 rows and fewer on CUDA; fewer are padded to this, and the row says so."""


def _bf16(weight: Tensor) -> Prepared:
    return Prepared(lambda x: functional.linear(x, weight), lambda: weight.double())


def _int8(weight: Tensor) -> Prepared:
    stored = (weight.float() * 32).round().clamp(-127, 127).to(torch.int8)
    # The second operand is read by columns: a view, not a copy.
    return Prepared(lambda x: torch._int_mm(x, stored.t()), lambda: stored.double())


def _cast_int8(x: Tensor) -> Tensor:
    return (x.float() * 32).round().clamp(-127, 127).to(torch.int8)


def dense_kernels(device: Device) -> list[Kernel]:
    """Return the dense kernels, those that the device or PyTorch lacks with the reason."""
    fp8 = device.fp8
    one = torch.ones((), dtype=torch.float32, device=device.torch)

    def _fp8(weight: Tensor) -> Prepared:
        stored = weight.to(fp8)

        def call(x: Tensor) -> Tensor:
            return torch._scaled_mm(x, stored.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)

        return Prepared(call, lambda: stored.to(torch.float32).double())

    lacks_fp8 = "the device multiplies no 8-bit floats" if fp8 is None else _lacking("_scaled_mm")
    return [
        Kernel("bf16", "dense BF16", device.software, "gemm", "bfloat16", 16.0, _bf16, to_bf16, 1e-2, build_bytes=4.0),
        Kernel(
            "fp8", "torch._scaled_mm FP8", device.software, "gemm", "fp8", 8.0, _fp8, lambda x: x.to(fp8), 1e-2,
            absent=lacks_fp8, multiple=16, build_bytes=6.0,
        ),
        Kernel(
            "int8", "torch._int_mm INT8", device.software, "gemm", "sq", 8.0, _int8, _cast_int8, 1e-9,
            absent=_lacking("_int_mm"), least_rows=INT8_LEAST_ROWS, multiple=8, build_bytes=14.0,
        ),
    ]  # fmt: skip


def _lacking(name: str) -> str:
    return "" if hasattr(torch, name) else f"this PyTorch has no torch.{name}"
