"""Board power and clocks by NVML, or why they cannot be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

SAMPLE_S = 0.05


@dataclass(frozen=True)
class Drawn:
    """What a board drew while something ran: mean watts, joules, and clocks halfway."""

    watts: float
    joules: float
    seconds: float
    clock_sm_mhz: float
    clock_memory_mhz: float
    basis: str


class Meter:
    """Reads one board; `why` says what is missing where it cannot."""

    def __init__(self, nvml: ModuleType | None, handle: Any, why: str = "") -> None:
        self._nvml, self._handle, self.why = nvml, handle, why

    @classmethod
    def absent(cls, why: str) -> Meter:
        """Return a meter that reads nothing and says why."""
        return cls(None, None, why)

    @classmethod
    def of(cls, device: torch.device) -> Meter:
        """Return the meter of a device; by its UUID, so that hidden devices do not shift the numbers."""
        if torch.version.hip:
            return cls.absent("board power of ROCm devices is not read")
        try:
            import pynvml
        except ImportError:
            return cls.absent("pynvml is not installed (pip install nvidia-ml-py)")
        try:
            pynvml.nvmlInit()
            uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
            if uuid is None:
                return cls.absent("this PyTorch does not tell the UUID of a device")
            return cls(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{str(uuid).removeprefix('GPU-')}"))
        except pynvml.NVMLError as error:
            return cls.absent(f"NVML: {error}")

    @property
    def present(self) -> bool:
        """Whether power can be read."""
        return self._nvml is not None

    def settings(self) -> dict[str, str]:
        """Return driver, power limit and largest clocks as columns, empty where they cannot be read."""
        empty = {"driver": "", "power_limit_W": "", "clock_sm_max_mhz": "", "clock_memory_max_mhz": ""}
        nvml = self._nvml
        if nvml is None:
            return empty
        driver = nvml.nvmlSystemGetDriverVersion()
        readings: dict[str, Callable[[], float]] = {
            "power_limit_W": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle) / 1e3,
            "clock_sm_max_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(self._handle, nvml.NVML_CLOCK_SM),
            "clock_memory_max_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(self._handle, nvml.NVML_CLOCK_MEM),
        }
        result = {name: _text(self._number(read)) for name, read in readings.items()}
        return empty | result | {"driver": driver.decode() if isinstance(driver, bytes) else str(driver)}

    def clocks(self) -> tuple[str, str]:
        """Return SM and memory clocks now, MHz, empty where they cannot be read."""
        nvml = self._nvml
        if nvml is None:
            return "", ""
        kinds = (nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM)
        sm, memory = (self._number(lambda kind=kind: nvml.nvmlDeviceGetClockInfo(self._handle, kind)) for kind in kinds)
        return _text(sm), _text(memory)

    def _number(self, read: Callable[[], float]) -> float | None:
        """Return a reading, None where the board does not offer it."""
        try:
            return float(read())
        except self._nvml.NVMLError:
            return None

    def watch(self, run: Callable[[], None]) -> Drawn:
        """Return what the board drew while `run` ran; it must leave the device idle only at its end."""
        watts: list[float] = []
        done = threading.Event()

        def sample() -> None:
            while not done.wait(SAMPLE_S):
                watts.append(self.power_w())

        thread = threading.Thread(target=sample, daemon=True)
        before, start = self.energy_j(), time.perf_counter()
        thread.start()
        try:
            run()
        finally:
            seconds, after = time.perf_counter() - start, self.energy_j()
            done.set()
            thread.join()
        sm, memory = self.clocks()
        counted = before is not None and after is not None
        mean = (after - before) / seconds if counted else sum(watts) / max(len(watts), 1)
        basis = "energy counter" if counted else f"mean of {len(watts)} samples"
        return Drawn(
            mean, mean * seconds, seconds, float(sm or "nan"), float(memory or "nan"), f"GPU board, NVML {basis}"
        )

    def power_w(self) -> float:
        """Return the board power now, watts."""
        return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1e3

    def energy_j(self) -> float | None:
        """Return the energy drawn since the driver was loaded, joules; None where the board does not count it."""
        millijoules = self._number(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        return None if millijoules is None else millijoules / 1e3


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:g}"
