"""The device that is measured: its name in the library, what it offers, and where its rows come from."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

from cost_models.library import shipped_library
from tools.measure_gpu.meter import Meter

CHIPS = (
    (r"A100-SXM4-80GB|A100-SXM-80GB", "a100_80gb_sxm"),
    (r"A100-SXM4-40GB|A100-SXM-40GB", "a100_40gb_sxm"),
    (r"A100 80GB PCIe", "a100_80gb_pcie"),
    (r"A100-PCIE-40GB", "a100_40gb_pcie"),
    (r"H100 80GB HBM3", "h100_sxm"),
    (r"H100 PCIe", "h100_pcie"),
    (r"H200$", "h200_sxm"),
    (r"GH200 480GB", "gh200_96gb"),
    (r"MI300X", "mi300x"),
    (r"L40S", "l40s"),
    (r"RTX 4090$", "rtx_4090"),
    (r"B200$", "b200"),
)
"""Names that drivers print, and keys of the library. Any other name is kept: `dse validate` says that it is unknown."""

RIDGES = (("a100", "A100"), ("h100", "H100"), ("h200", "H200"), ("mi300x", "MI300X"))
"""Chip families as the tables of kernels name them."""

FLUSH_LEAST_BYTES = 64 * 2**20
CPU_CACHE_BYTES = 2**16
"""Small, so that a check of the script moves little."""


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        torch: device as PyTorch names it.
        name: as the driver prints it.
        chip: key of the library, or the name where none is known.
        gpu: name in tables of kernels.
        l2_bytes: last-level cache that is emptied between rounds.
        fp8: float type of 8-bit operands, None where the device multiplies none.
        software: PyTorch with its version.
        provenance: columns that every row carries.
        meter: board power, or why there is none.
    """

    torch: torch.device
    name: str
    chip: str
    gpu: str
    l2_bytes: int
    fp8: torch.dtype | None
    software: str
    provenance: dict[str, str]
    meter: Meter

    @property
    def is_gpu(self) -> bool:
        """Whether this is a measurement and no check of the script."""
        return self.torch.type == "cuda"

    def free_bytes(self) -> int:
        """Return the memory that is free now."""
        if self.is_gpu:
            # What PyTorch keeps for itself but does not use is free for the next row.
            kept = torch.cuda.memory_reserved(self.torch) - torch.cuda.memory_allocated(self.torch)
            return int(torch.cuda.mem_get_info(self.torch)[0]) + kept
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def chip_of(name: str) -> str:
    """Return the library's key for a device name, the name itself where there is none."""
    return next((key for pattern, key in CHIPS if re.search(pattern, name)), name)


def _commit() -> str:
    """Return the commit of this script, "unknown" outside a repository."""
    folder = Path(__file__).parent
    try:
        result = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return "unknown"
    return result.stdout.strip() or "unknown"


def find_device(kind: str) -> Device:
    """Return the device to measure.

    Raises:
        RuntimeError: PyTorch sees no such device.
    """
    date = datetime.date.today().isoformat()
    version = f"PyTorch {torch.__version__}"
    common = {"date": date, "torch_version": torch.__version__, "commit": _commit()}
    if kind == "cpu":
        meter = Meter.absent("a CPU has no board whose power NVML reads")
        own = {"device_name": "CPU", "driver": "", "power_limit_W": "", "runtime": ""}
        return Device(
            torch.device("cpu"),
            "CPU",
            "CPU",
            "CPU",
            CPU_CACHE_BYTES,
            torch.float8_e4m3fn,
            f"{version} on a CPU",
            common | own,
            meter,
        )
    if not torch.cuda.is_available():
        raise RuntimeError(f"{version} sees no CUDA or ROCm device; --device cpu --tiny checks the script alone")
    device = torch.device("cuda", torch.cuda.current_device())
    properties = torch.cuda.get_device_properties(device)
    name, chip = properties.name, chip_of(properties.name)
    meter = Meter.of(device)
    runtime = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"HIP {torch.version.hip}"
    own = {"device_name": name, "runtime": runtime, **meter.settings()}
    gpu = next((label for key, label in RIDGES if chip.startswith(key)), name)
    l2_bytes = max(int(getattr(properties, "L2_cache_size", 0)), _known_cache_bytes(chip))
    return Device(device, name, chip, gpu, l2_bytes, _fp8(properties), version, common | own, meter)


def _known_cache_bytes(chip: str) -> int:
    """Return all caches of a library chip: drivers leave out those behind L2; a usual size for unknown chips."""
    known = shipped_library().chips.get(chip)
    return int(known.sram_mib * 2**20) if known is not None and known.sram_mib else FLUSH_LEAST_BYTES


def _fp8(properties: object) -> torch.dtype | None:
    """Return the 8-bit float type that the matrix units take: CDNA3 has a variant of its own."""
    if torch.version.hip:
        architecture = str(getattr(properties, "gcnArchName", ""))
        if "gfx94" in architecture:
            return torch.float8_e4m3fnuz
        return torch.float8_e4m3fn if "gfx95" in architecture else None
    capability = (getattr(properties, "major", 0), getattr(properties, "minor", 0))
    return torch.float8_e4m3fn if capability >= (8, 9) else None
