"""The largest batch against trying one after the other, waves of it, and what a memory holds against its footprint."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Workload
from cost_models.library.technology import Technology
from cost_models.performance.batching import batch_that_fits, batched, in_waves, largest_batch
from cost_models.workload.serving import footprint


def test_the_largest_batch_is_the_last_that_does():
    most = np.array([0.0, 1.0, 2.0, 3.0, 7.0, 1000.0, 65535.0, 65536.0, 70000.0])
    tried = []

    def meets(batch):
        tried.append(np.broadcast_to(batch, most.shape))
        return batch <= most

    assert largest_batch(meets).tolist() == [*most[:-1], 65536]
    assert np.max(tried) == 65536 and np.min(tried) == 1 and len(tried) == 1 + 17
    # Where not even one does nothing more is tried.
    tried.clear()
    assert not largest_batch(lambda batch: meets(batch) & False).any() and len(tried) == 1


@pytest.fixture(scope="module")
def served():
    """A model of 8 billion weights in 8 bits, a batch of 500, on one chip."""
    work = Workload("w", "llama3_8b", batch=500.0, prompt_tokens=3000.0, output_tokens=200.0)
    return serve_chip(ChipSetup("h100_sxm", "fp8", act_bits=8), work, Technology()).inference


ROOM = 40e9


def held(one, batch, read_mostly=0.0):
    """Return the bytes of a batch on the most-loaded chip."""
    serving = replace(one.serving, batch=np.full(1, float(batch)))
    return footprint(serving, one.formats, chunk_rows=2048.0, read_mostly_bytes=read_mostly).most_loaded_bytes[0]


@pytest.mark.parametrize("read_mostly", [0.0, 25e9])
def test_a_memory_holds_the_last_batch_that_its_bytes_hold(served, read_mostly):
    most = batch_that_fits(
        served.serving, served.formats, np.full(1, ROOM), chunk_rows=2048.0, read_mostly_bytes=read_mostly
    )
    assert most[0] > 1 and held(served, most[0], read_mostly) <= ROOM < held(served, most[0] + 1, read_mostly)


def test_waves_are_as_many_as_fit_beside_what_an_engine_keeps_free(served):
    technology = Technology({"serving.memory_fraction": 0.8, "serving.reserved_gib": 2.0})
    machine = replace(served.machine, capacity_bytes=np.full(1, ROOM))
    options = {"chunk_rows": 2048.0, "technology": technology}
    room = ROOM * 0.8 - 2 * 2**30
    most = next(batch for batch in range(1, 1000) if held(served, batch + 1) > room)

    def waves(batch, machine=machine):
        return in_waves(replace(served.serving, batch=np.array(batch)), machine, served.formats, **options).tolist()

    assert waves([1.0, most, most + 1, 2.0 * most, 2.0 * most + 1]) == [1, 1, 2, 2, 3]
    # Where not even one sequence fits that share the batch is left whole.
    assert waves([500.0], replace(machine, capacity_bytes=np.full(1, 9e9))) == [1]


def test_a_batch_that_is_not_told_is_the_largest_and_one_of_waves_is_divided(served):
    technology = Technology({"serving.memory_fraction": 1.0, "serving.reserved_gib": 0.0})
    machine = replace(served.machine, capacity_bytes=np.full(1, ROOM))
    options = {"chunk_rows": 2048.0, "technology": technology}
    most = batch_that_fits(served.serving, served.formats, machine.capacity_bytes, chunk_rows=2048.0)[0]

    def told(batch, mode, machine=machine):
        serving = replace(served.serving, batch=np.array(batch))
        one, waves = batched(serving, machine, served.formats, mode, **options)
        return np.broadcast_to(one.batch, len(batch)).tolist(), np.broadcast_to(waves, len(batch)).tolist()

    assert told([5.0, np.nan], "static") == ([5, most], [1, 1])
    assert told([5.0, np.nan, 3 * most], "waves") == ([5, most, most], [1, 1, 3])
    modes = np.array(["static", "waves"], dtype=object)
    assert told([3 * most, 3 * most], modes) == ([3 * most, most], [1, 3])
    # A memory that holds none is asked for one sequence.
    assert told([np.nan], "static", replace(machine, capacity_bytes=np.full(1, 1e9))) == ([1], [1])
