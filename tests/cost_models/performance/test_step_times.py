"""Step times by themselves: where they are worked out, the line between, and what a prompt takes."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Drafting, Workload
from cost_models.library.technology import Technology
from cost_models.performance.step_times import LEAST_REACH, SPACING, PromptTimes, StepTimes, _knots, single, step_times


@pytest.mark.parametrize("tile", [1.0, 2.0, 3.0, 8.0, 9.0, 64.0, 65.0])
@pytest.mark.parametrize("most", [2.0, 17.0, 128.0, 500.0, 65536.0])
def test_steps_are_worked_out_at_one_at_a_tile_at_two_and_no_further_apart_than_the_spacing(tile, most):
    knots = np.array([knot[0] for knot in _knots(np.array([tile]), most)])
    assert knots[0] == 1 and tile in knots and 2 * tile in knots
    assert (np.diff(knots) > 0).all() and (knots[1:] / knots[:-1] <= SPACING).all()
    reach = max(most, LEAST_REACH * tile)
    assert knots[-2] < reach <= knots[-1]
    # Up to a tile, and from two on, as few as that takes.
    assert (knots < tile).sum() == max(np.ceil(np.log(tile) / np.log(SPACING) - 1e-9), 0)
    assert (knots > 2 * tile).sum() == np.ceil(np.log(reach / (2 * tile)) / np.log(SPACING) - 1e-9)


def steps(times, tile=1.0, most=4096.0):
    """Return an engine whose step is known at 0, 1, 2, 16, 128 and 1024 sequences."""
    batches = np.array([0.0, 1.0, 2.0, 16.0, 128.0, 1024.0])[:, None]
    one = np.ones(1)
    return StepTimes(batches, np.asarray(times)[:, None], one, one, one, one, one, most * one, np.array([tile]))


@pytest.mark.parametrize(
    ("flat", "steep", "bend"), [(1e-5, 1e-3, 40.0), (0.0, 1e-4, 100.0), (1e-5, 2e-5, 17.0), (1e-4, 1.0, 127.0)]
)
def test_the_larger_of_two_lines_is_found_between_the_numbers_at_which_it_is_worked_out(flat, steep, bend):
    # The memory's line up to a bend between 16 and 128, the arithmetic's beyond.
    def truth(number):
        return 0.01 + flat * number + (steep - flat) * np.maximum(number - bend, 0.0)

    one = steps([0.001, *truth(np.array([1.0, 2.0, 16.0, 128.0, 1024.0]))])
    for number in (1.0, 2.0, 9.0, 16.0, 0.7 * bend + 0.3 * 16, bend, 0.5 * bend + 64, 128.0, 700.0, 1024.0, 2000.0):
        assert one.step_s(np.array([number])) == pytest.approx(truth(number), rel=1e-9), number


def test_lines_that_rise_evenly_or_ever_more_slowly_are_those_through_the_points():
    batches = np.array([0.0, 1.0, 2.0, 16.0, 128.0, 1024.0])
    for times in (0.01 + 1e-4 * batches, 0.01 * np.sqrt(1 + batches), np.full(6, 0.01)):
        one = steps(times)
        for number in (0.0, 0.5, 1.0, 1.5, 7.0, 16.0, 100.0, 1000.0):
            assert one.step_s(np.array([number])) == pytest.approx(np.interp(number, batches, times), rel=1e-9)


def test_within_a_tile_a_step_rises_as_within_the_first_and_jumps_to_the_next():
    tile = 8.0
    batches = np.array([0.0, 1.0, 8.0, 16.0, 128.0, 1024.0, 8192.0])
    ends = 0.010 + 0.002 * batches / tile
    ends[1] = ends[2] - 7 * 1e-5
    one = np.ones(1)
    engine = StepTimes(batches[:, None], ends[:, None], one, one, one, one, one, 4096 * one, np.array([tile]))
    for number in range(1, 65):
        stair = 0.010 + 0.002 * np.ceil(number / tile) - 1e-5 * (tile * np.ceil(number / tile) - number)
        assert engine.step_s(np.array([float(number)])) == pytest.approx(stair, rel=1e-9)
    # Where numbers vary by a stair or more a step is the mean over one: 3.5 sequences short of its end.
    over = np.mean([engine.step_s(np.array([float(number)])) for number in range(17, 25)])
    assert engine.mean_step_s(np.array([20.5])) == pytest.approx(over, rel=1e-9)
    half = engine.step_s(np.array([20.5]), varied=np.array([tile / 2]))
    assert half == pytest.approx((engine.step_s(np.array([20.5])) + engine.mean_step_s(np.array([20.5]))) / 2)


@pytest.mark.parametrize(("prompt", "rows", "chunks"), [(100, 256, 1), (256, 256, 1), (257, 256, 2), (3000, 256, 12)])
def test_a_prompt_takes_a_step_for_each_of_its_chunks(prompt, rows, chunks):
    work = Workload(
        "w", "llama3_8b", batch=1.0, prompt_tokens=float(prompt), output_tokens=10.0, chunk_rows=float(rows)
    )
    one = serve_chip(ChipSetup("h100_sxm", "fp8", act_bits=8), work, Technology()).inference
    assert single(one) is one
    found = PromptTimes.of(one)
    assert found.chunks == chunks and found.prompts_per_step == rows / prompt
    assert found.alone_s == one.prefill_s
    assert found.prompt_s + chunks * found.empty_step_s == pytest.approx(found.alone_s)
    assert found.empty_step_s == pytest.approx(one.prefill.fixed_s / chunks)
    many = replace(one, serving=replace(one.serving, batch=np.full(1, 7.0)), waves=3.0, in_flight=1.0)
    alone = single(many)
    assert (alone.serving.batch, alone.waves, alone.in_flight) == (1, 1, 0)
    np.testing.assert_allclose(PromptTimes.of(alone).alone_s, found.alone_s)


def test_steps_are_worked_out_where_a_single_request_just_keeps_its_limits_and_nowhere_else():
    # Each step yields four tokens: three that are drafted, all of which are accepted, and one more.
    work = Workload("w", "llama3_8b", batching="continuous", drafting=Drafting(3.0, 1.0, "ngram"))
    planned = serve_chip(ChipSetup("h100_sxm", "fp8", act_bits=8), work, Technology()).planned
    every = step_times(planned)
    token, first = planned.step_s / 4, every.alone_s + every.wait_s
    cases = (
        (np.inf, token, True),
        (np.inf, token * 0.999, False),
        (first, np.inf, True),
        (first * 0.999, np.inf, False),
    )
    for ttft_s, tpot_s, worked_out in cases:
        found = step_times(planned, (ttft_s, tpot_s)).decode_s
        np.testing.assert_array_equal(
            found[2:], every.decode_s[2:] if worked_out else np.tile(found[1], (len(found) - 2, 1))
        )
