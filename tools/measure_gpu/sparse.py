"""GEMMs on sparse weights: 2 of 4 in the matrix units, CSR at several sparsities."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional

from tools.measure_gpu.device import Device
from tools.measure_gpu.kernels import Kernel, Prepared, to_bf16

INDEX_BITS = 32
INDEX_BITS_2_OF_4 = 2


def prune_2_of_4(weight: Tensor) -> Tensor:
    """Return the matrix with the two smaller of every four neighbours along k set to zero."""
    parts = weight.unflatten(1, (-1, 4))
    kept = parts.abs().argsort(dim=2, descending=True)[..., :2]
    return (parts * torch.zeros_like(parts).scatter_(2, kept, 1)).flatten(1)


def prune(weight: Tensor, sparsity: float) -> Tensor:
    """Return the matrix with the given share of its smallest elements per row set to zero."""
    kept = max(round(weight.shape[1] * (1 - sparsity)), 1)
    columns = weight.abs().topk(kept, dim=1).indices
    return weight * torch.zeros_like(weight).scatter_(1, columns, 1)


def _semi_structured(weight: Tensor) -> Prepared:
    pruned = prune_2_of_4(weight)
    with warnings.catch_warnings():
        # PyTorch calls the format a prototype each time.
        warnings.simplefilter("ignore", UserWarning)
        stored = torch.sparse.to_sparse_semi_structured(pruned)
    return Prepared(lambda x: functional.linear(x, stored), lambda: pruned.double())


def _csr(device: Device, sparsity: float) -> Kernel:
    # MKL on a CPU multiplies sparse matrices of 32-bit floats only.
    dtype = torch.bfloat16 if device.is_gpu else torch.float32

    def prepare(weight: Tensor) -> Prepared:
        pruned = prune(weight, sparsity).to(dtype)
        with warnings.catch_warnings():
            # PyTorch calls the format a beta each time.
            warnings.simplefilter("ignore", UserWarning)
            wide = pruned.to_sparse_csr()
            stored = torch.sparse_csr_tensor(
                wide.crow_indices().int(), wide.col_indices().int(), wide.values(), pruned.shape
            )

        def call(x: Tensor) -> Tensor:
            return (stored @ x.t()).t()

        return Prepared(call, lambda: pruned.double())

    kept = 1 - sparsity
    return Kernel(
        f"csr{round(100 * sparsity)}", "torch.sparse CSR", device.software, "gemm_csr", str(dtype).split(".")[1],
        kept * (8 * dtype.itemsize + INDEX_BITS), prepare, lambda x: x.to(dtype), 1e-2, sparsity=sparsity,
    )  # fmt: skip


def sparse_kernels(device: Device, sparsities: tuple[float, ...]) -> list[Kernel]:
    """Return the sparse kernels, absent ones with the reason."""
    absent = "" if hasattr(torch.sparse, "to_sparse_semi_structured") else "this PyTorch has no 2:4 sparse tensors"
    if not device.is_gpu:
        absent = "PyTorch multiplies 2:4 sparse tensors on GPUs only"
    half = Kernel(
        "sparse24", "torch 2:4 semi-structured", device.software, "gemm_2of4", "bfloat16",
        (16 + INDEX_BITS_2_OF_4) / 2, _semi_structured, to_bf16, 1e-2, absent=absent, multiple=64, sparsity=0.5,
    )  # fmt: skip
    return [half, *(_csr(device, sparsity) for sparsity in sparsities)]
