"""Weight-only 4-bit GEMMs by the kernels that the installed packages offer; absent ones are named with the reason."""

from __future__ import annotations

import torch
from torch import Tensor

from tools.measure_gpu.device import Device
from tools.measure_gpu.kernels import Kernel, Prepared, to_bf16, to_fp16, version_of

LEVELS = 15
MIDDLE = 8
INNER_TILES = 8
NF4_BLOCK = 64


def quantise(weight: Tensor, group: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return (codes 0-15 as int32 (n, k), scales (n, k/group), least values (n, k/group)) of groups along k."""
    parts = weight.float().unflatten(1, (-1, group))
    least, most = parts.amin(2), parts.amax(2)
    scale = ((most - least).clamp(min=1e-6) / LEVELS).to(torch.bfloat16).float()
    least = least.to(torch.bfloat16).float()
    codes = ((parts - least[..., None]) / scale[..., None]).round().clamp(0, LEVELS)
    return codes.flatten(1).to(torch.int32), scale, least


def _widened(codes: Tensor, scale: Tensor, zero: Tensor, group: int) -> Tensor:
    """Return (codes - 8) scale + zero in 64-bit floats."""
    parts = codes.double().unflatten(1, (-1, group)) - MIDDLE
    return (parts * scale.double()[..., None] + zero.double()[..., None]).flatten(1)


def _torch_int4(device: Device, group: int) -> Kernel:
    """PyTorch's own kernel, from the tinygemm library: asymmetric groups, scale and zero in bfloat16."""

    def prepare(weight: Tensor) -> Prepared:
        codes, scale, least = quantise(weight, group)
        zero = (least + scale * MIDDLE).to(torch.bfloat16).float()
        both = torch.stack([scale, zero], dim=2).transpose(0, 1).contiguous().to(torch.bfloat16)
        if device.is_gpu:
            pairs = ((codes[:, ::2] << 4) | codes[:, 1::2]).to(torch.uint8).contiguous()
            packed = torch._convert_weight_to_int4pack(pairs, INNER_TILES)

            def call(x: Tensor) -> Tensor:
                return torch._weight_int4pack_mm(x, packed, group, both)
        else:
            packed = torch._convert_weight_to_int4pack_for_cpu(codes, 1)

            def call(x: Tensor) -> Tensor:
                return torch._weight_int4pack_mm_for_cpu(x, packed, group, both)

        return Prepared(call, lambda: _widened(codes, scale, zero, group))

    name = "_weight_int4pack_mm" if device.is_gpu else "_weight_int4pack_mm_for_cpu"
    absent = "" if hasattr(torch, name) else f"this PyTorch has no torch.{name}"
    return Kernel(
        "torch_int4", f"torch._weight_int4pack_mm W4A16 g{group}", device.software, "gemm", "int4_wo", 4 + 32 / group,
        prepare, to_bf16, 1e-2, absent=absent, multiple=128 if device.is_gpu else 32,
    )  # fmt: skip


def _marlin(device: Device, group: int) -> Kernel:
    """Marlin as vLLM ships it: symmetric groups, FP16."""
    version = version_of("vllm")

    def prepare(weight: Tensor) -> Prepared:
        from vllm.model_executor.layers.quantization.utils import marlin_utils
        from vllm.model_executor.layers.quantization.utils.marlin_utils_test import marlin_quantize
        from vllm.scalar_type import scalar_types

        n, k = weight.shape
        kind = scalar_types.uint4b8
        stored, packed, scales, groups, order, _ = marlin_quantize(weight.half().t().contiguous(), kind, group, False)
        workspace = marlin_utils.marlin_make_workspace_new(weight.device)
        none = marlin_utils.marlin_make_empty_g_idx(weight.device)

        def call(x: Tensor) -> Tensor:
            return marlin_utils.apply_gptq_marlin_linear(
                input=x, weight=packed, weight_scale=scales, weight_zp=none, g_idx=groups, g_idx_sort_indices=order,
                workspace=workspace, wtype=kind, output_size_per_partition=n, input_size_per_partition=k,
                is_k_full=True,
            )  # fmt: skip

        return Prepared(call, lambda: stored.double().t())

    return Kernel(
        "marlin", f"Marlin W4A16 g{group}", f"vLLM {version} Marlin", "gemm", "int4_wo", 4 + 16 / group, prepare,
        to_fp16, 1e-2, absent=_needs(device, "vllm", version), multiple=128,
    )  # fmt: skip


def _gemlite(device: Device, group: int) -> Kernel:
    """GemLite's Triton kernels: asymmetric groups, FP16; zero points in codes."""
    version = version_of("gemlite")

    def prepare(weight: Tensor) -> Prepared:
        from gemlite.core import DType, GemLiteLinear

        n, k = weight.shape
        codes, scale, least = quantise(weight, group)
        scale, zero = scale.half().float(), (-least / scale).half().float()
        linear = GemLiteLinear(
            4, group_size=group, in_features=k, out_features=n, input_dtype=DType.FP16, output_dtype=DType.FP16
        )
        linear.pack(codes.to(torch.uint8), scale.half().reshape(-1, 1), zero.half().reshape(-1, 1), None)

        def stored() -> Tensor:
            parts = codes.double().unflatten(1, (-1, group))
            return ((parts - zero.double()[..., None]) * scale.double()[..., None]).flatten(1)

        return Prepared(linear.forward, stored)

    return Kernel(
        "gemlite", f"GemLite W4A16 g{group}", f"GemLite {version}", "gemm", "int4_wo", 4 + 32 / group, prepare,
        to_fp16, 2e-2, absent=_needs(device, "gemlite", version), multiple=128,
    )  # fmt: skip


def _bitsandbytes(device: Device) -> Kernel:
    """The NF4 kernels of bitsandbytes: one vector, or dequantize first and multiply."""
    version = version_of("bitsandbytes")

    def prepare(weight: Tensor) -> Prepared:
        import bitsandbytes

        packed, state = bitsandbytes.functional.quantize_4bit(weight.half(), blocksize=NF4_BLOCK, quant_type="nf4")

        def call(x: Tensor) -> Tensor:
            return bitsandbytes.matmul_4bit(x, packed.t(), quant_state=state)

        return Prepared(call, lambda: bitsandbytes.functional.dequantize_4bit(packed, state).double())

    return Kernel(
        "bitsandbytes", f"bitsandbytes NF4 W4A16 g{NF4_BLOCK}", f"bitsandbytes {version}", "gemm", "int4_wo",
        4 + 32 / NF4_BLOCK, prepare, to_fp16, 1e-2, absent=_needs(device, "bitsandbytes", version), multiple=64,
    )  # fmt: skip


def _needs(device: Device, package: str, version: str) -> str:
    if not version:
        return f"{package} is not installed"
    return "" if device.is_gpu else f"{package} {version} runs on GPUs only"


def weight_only_kernels(device: Device, group: int) -> list[Kernel]:
    """Return the weight-only kernels, absent ones with the reason."""
    return [_torch_int4(device, group), _marlin(device, group), _gemlite(device, group), _bitsandbytes(device)]
