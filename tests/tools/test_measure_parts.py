"""The parts of the GPU benchmark: clocks, meters, names of devices, and what its rows say."""

import csv
import itertools
import math
import time

import pytest

from cost_models.library import shipped_library
from tests.tools.bench import bench

pytestmark = pytest.mark.torch


# --- clock, meter, devices --------------------------------------------------------------------------------------------


class SlowClock:
    """A clock whose graphs are loops, for the way that devices with graphs take."""

    name, graphs = "a clock for tests", True

    def __init__(self):
        self.flushed = self.captured = 0

    def flush(self):
        self.flushed += 1

    def elapsed_s(self, run):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    def capture(self, calls):
        self.captured += 1
        return lambda: [call() for call in calls]

    def synchronise(self):
        pass


class SetClock(SlowClock):
    """A clock whose time passes only where a call says so."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0

    def call_of(self, seconds):
        def call():
            self.now_s += seconds

        return call

    def elapsed_s(self, run):
        start = self.now_s
        run()
        return self.now_s - start


def test_a_call_of_known_length_is_timed_as_such():
    from tools.measure_gpu.timing import MIN_CALLS, MIN_ROUNDS, time_calls

    clock = SetClock()
    timing = time_calls(clock, [clock.call_of(0.002)], seconds=0.05)
    assert [timing.low_s, timing.median_s, timing.high_s] == pytest.approx([0.002] * 3)
    assert timing.calls == MIN_CALLS
    assert timing.rounds >= MIN_ROUNDS
    assert timing.graphed
    assert clock.captured == 1
    assert clock.flushed >= timing.rounds


def test_a_long_call_is_timed_by_itself():
    from tools.measure_gpu.timing import MIN_LONG_ROUNDS, time_calls

    clock = SetClock()
    timing = time_calls(clock, [clock.call_of(0.01)], seconds=1e-6)
    assert (timing.calls, timing.rounds) == (1, MIN_LONG_ROUNDS)


def test_a_refused_graph_is_told_and_lack_of_memory_is_not_swallowed():
    import torch

    from tools.measure_gpu.timing import time_calls

    def refuse(error):
        clock = SlowClock()

        def capture(calls):
            raise error

        clock.capture = capture
        return clock

    timing = time_calls(refuse(RuntimeError("operation not permitted when stream is capturing")), [int], seconds=0.001)
    assert not timing.graphed
    assert "not permitted" in timing.remark
    with pytest.raises(torch.cuda.OutOfMemoryError):
        time_calls(refuse(torch.cuda.OutOfMemoryError("out of memory")), [int], seconds=0.001)


def test_devices_with_graphs_take_the_way_through_them(tmp_path):
    import dataclasses

    import torch

    from tools.measure_gpu.power import power_points
    from tools.measure_gpu.stream import launch_points
    from tools.measure_gpu.transformer import transformer_points

    clock = SlowClock()
    instrument = bench(tmp_path, clock=clock)
    instrument.sizes = dataclasses.replace(
        instrument.sizes, depth=None, batches=(2,), contexts=(16,), prompts=((1, 8),), rows=(4,), steady_rows=(4,)
    )
    every = itertools.chain(*(make(instrument) for make in (launch_points, transformer_points, power_points)))
    wanted = (
        "launch|graph",
        "bf16|decode|b2|c16|graph",
        "prefill|b1|c8|graph",
        "power|tiny_llama|bf16",
        "power|gemm|bf16",
    )
    with torch.inference_mode():
        rows = [point.measure() for point in every if any(name in point.key for name in wanted)]
    assert len(rows) == len(wanted)
    assert clock.captured >= len(rows)
    for row in rows:
        if row["id"].startswith("power|gemm"):
            continue
        assert row["software"].endswith("with CUDA graphs")
        assert row["timing"].startswith("a clock for tests, one graph a round")


def test_operands_are_copied_until_they_exceed_the_cache():
    from tools.measure_gpu.timing import CACHE_TURNS, MAX_CALLS, copies_for

    cache = 40 * 2**20
    assert copies_for(8192 * 8192 * 2, cache, 1e12) == math.ceil(CACHE_TURNS * cache / (8192 * 8192 * 2))
    assert copies_for(1e3, cache, 1e12) == MAX_CALLS
    assert copies_for(1e9, cache, 1e12) == 1
    assert copies_for(1e6, cache, 3.5e6) == 3


class Nvml:
    """A board that draws 300 W."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    class NVMLError(Exception):
        pass

    def __init__(self, *, counts):
        self.counts, self.start = counts, time.perf_counter()

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if not self.counts:
            raise self.NVMLError("not supported")
        # A large count, as after months of use: its last digits are what counts.
        return 1_234_567_890_123 + int(3e5 * (time.perf_counter() - self.start))

    def nvmlDeviceGetPowerUsage(self, handle):
        return 300_000

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return {1: 1410, 2: 1593}[kind]

    def nvmlDeviceGetMaxClockInfo(self, handle, kind):
        raise self.NVMLError("not supported")

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return 400_000

    def nvmlSystemGetDriverVersion(self):
        return b"550.54"


@pytest.mark.parametrize("counts", [True, False], ids=["energy counter", "samples"])
def test_a_board_of_known_power_is_read_as_such(counts):
    from tools.measure_gpu.meter import Meter

    sampled = Meter(Nvml(counts=counts), None).watch(lambda: time.sleep(0.3))
    assert sampled.watts == pytest.approx(300, rel=0.02)
    assert sampled.joules == pytest.approx(300 * sampled.seconds, rel=0.02)
    assert (sampled.clock_sm_mhz, sampled.clock_memory_mhz) == (1410, 1593)
    assert ("counter" in sampled.basis) == counts


def test_settings_that_a_board_does_not_offer_stay_empty():
    from tools.measure_gpu.meter import Meter

    settings = Meter(Nvml(counts=True), None).settings()
    assert settings == {
        "driver": "550.54", "power_limit_W": "400", "clock_sm_max_mhz": "", "clock_memory_max_mhz": "",
    }  # fmt: skip


def test_energy_per_token_is_power_times_step_over_batch(tmp_path):
    import dataclasses

    import torch

    from tools.measure_gpu.meter import Meter
    from tools.measure_gpu.power import power_points

    instrument = bench(tmp_path)
    instrument.device = dataclasses.replace(instrument.device, meter=Meter(Nvml(counts=True), None))
    instrument.arguments = dataclasses.replace(instrument.arguments, power_s=0.2)
    # All layers run: nothing is extrapolated.
    instrument.sizes = dataclasses.replace(instrument.sizes, depth=None)
    point = next(iter(power_points(instrument)))
    with torch.inference_mode():
        row = point.measure()
    per_token = 300 * row["median_itl_ms"] / 1e3 / row["batch"]
    assert row["energy_J_per_output_token"] == pytest.approx(per_token, rel=0.05)
    assert row["output_tokens_per_s"] == pytest.approx(1e3 * row["batch"] / row["median_itl_ms"])


@pytest.mark.parametrize(
    ("name", "chip"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100_80gb_sxm"), ("NVIDIA A100 80GB PCIe", "a100_80gb_pcie"),
        ("NVIDIA A100-SXM4-40GB", "a100_40gb_sxm"), ("NVIDIA A100-PCIE-40GB", "a100_40gb_pcie"),
        ("NVIDIA H100 80GB HBM3", "h100_sxm"), ("NVIDIA H100 PCIe", "h100_pcie"), ("NVIDIA H200", "h200_sxm"),
        ("NVIDIA GH200 480GB", "gh200_96gb"), ("AMD Instinct MI300X", "mi300x"), ("NVIDIA L40S", "l40s"),
        ("NVIDIA GeForce RTX 4090", "rtx_4090"), ("NVIDIA B200", "b200"),
    ],
)  # fmt: skip
def test_names_of_devices_are_chips_of_the_library(name, chip):
    from tools.measure_gpu.device import chip_of

    assert chip_of(name) == chip
    assert chip in shipped_library().chips


@pytest.mark.parametrize("name", ["NVIDIA H200 NVL", "NVIDIA H100 NVL", "NVIDIA GeForce RTX 4090 D", "Tesla T4"])
def test_other_devices_keep_their_names(name):
    from tools.measure_gpu.device import chip_of

    assert chip_of(name) == name


# --- what the rows say ------------------------------------------------------------------------------------------------


def gemm_row(kernel, m, value, *, n=1024, k=1024, dtype="bfloat16", sparsity="0"):
    return {
        "id": f"{kernel}{m}{sparsity}", "kind": "gemm", "kernel": kernel, "n": str(n), "k": str(k), "m": str(m),
        "dtype": dtype, "value": str(value), "sparsity": sparsity,
    }  # fmt: skip


def test_crossovers_and_break_even_points_of_made_up_times():
    from tools.measure_gpu.crossings import break_evens, crossovers

    rows = [gemm_row("bf16", m, 10.0) for m in (1, 4, 16, 64)]
    rows += [gemm_row("k4", m, t, dtype="int4_wo") for m, t in ((1, 5.0), (4, 5.0), (16, 20.0), (64, 80.0))]
    (result,) = crossovers(rows)
    assert result["gain_at_fewest_rows"] == 2
    # The gain falls from 2 to 1/2 between 4 and 16 rows; it is 1 two thirds of the way in logarithms.
    assert result["slower_from_rows"] == pytest.approx(4 * 4 ** (2 / 3))
    times = ((0.5, 40.0), (0.8, 20.0), (0.9, 5.0))
    rows += [gemm_row(f"csr{s}", 1, t, sparsity=str(s)) for s, t in times]
    (result,) = break_evens(rows)
    assert result["faster_from_sparsity"] == pytest.approx(0.8 + 0.1 * (1 - 0.5) / (2 - 0.5))


def test_a_decode_step_is_its_kernels_and_a_rest():
    from tools.measure_gpu.crossings import step_parts
    from tools.measure_gpu.shapes import TINY

    (layers,) = TINY.models
    rows = [gemm_row("bf16", 4, 2.0, n=n, k=k) for n, k in layers.matrices().values()]
    rows.append(
        {
            "kind": "decode_attention", "kernel": "sdpa", "heads": str(layers.heads), "value": "3.0",
            "kv_heads": str(layers.kv_heads), "batch": "4", "seq_len": "64",
        }
    )  # fmt: skip
    step = {
        "id": "s", "kernel": "stack bf16", "model": layers.key, "metric": "ms_per_token", "batch": "4",
        "input_len": "63", "value": "0.1",
    }  # fmt: skip
    (result,) = step_parts(rows, [step], TINY.models)
    assert result["matrices_ms"] == pytest.approx((4 * layers.layers + 1) * 2.0 / 1e3)
    assert result["attention_ms"] == pytest.approx(layers.layers * 3.0 / 1e3)
    assert result["rest_ms"] == pytest.approx(0.1 - result["matrices_ms"] - result["attention_ms"])


def test_a_stopped_write_leaves_the_old_file(tmp_path, monkeypatch):
    from tools.measure_gpu.rows import Table

    kept = Table(tmp_path, "operators")
    kept.add({"id": "first", "value": 1.0})
    before = kept.path.read_text()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(csv.DictWriter, "writerows", stop)
    with pytest.raises(KeyboardInterrupt):
        kept.add({"id": "second", "value": 2.0})
    assert kept.path.read_text() == before
