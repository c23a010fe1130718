"""Step times by themselves: where they are worked out, the line between, and what a prompt takes."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Conversation, Drafting, Workload
from cost_models.library.technology import Technology
from cost_models.performance.step_times import (
    LEAST_REACH,
    SPACING,
    PromptTimes,
    StepTimes,
    _knots,
    most_requests,
    single,
    step_times,
)
from cost_models.workload.serving import footprint
from cost_models.workload.speculation import Speculation


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
    for number in (12.0, 17.0, 22.25, 24.0):
        mean, own = engine.mean_step_s(np.array([number])), engine.step_s(np.array([number]))
        assert mean == pytest.approx(over + 0.002 / tile * (number - 20.5), rel=1e-9)
        for varied, share in ((tile / 2, 0.5), (tile, 1.0), (3 * tile, 1.0), (0.0, 0.0)):
            told = engine.step_s(np.array([number]), varied=np.array([varied]))
            assert told == pytest.approx(own + share * (mean - own), rel=1e-9)


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


def test_a_step_takes_a_token_at_least():
    works = (Workload("w", "llama3_8b", prompt_tokens=5.0, output_tokens=2.0, chunk_rows=rows) for rows in (0.25, 1.0))
    half, one = (serve_chip(ChipSetup("h100_sxm", "fp8", act_bits=8), work, Technology()).inference for work in works)
    assert half.prefill_s == one.prefill_s and PromptTimes.of(half).chunks == 5


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


def test_rows_beside_each_other_are_what_each_is_alone():
    def planned(prompt):
        work = Workload("w", "llama3_8b", batching="continuous", prompt_tokens=prompt, output_tokens=100.0)
        return serve_chip(ChipSetup("h100_sxm", "fp8", act_bits=8), work, Technology()).planned

    def times(one, tiles, within):
        return step_times(replace(one, software=replace(one.software, tile_rows=tiles)), within)

    prompts, tiles = np.array([200.0, 9000.0, 300.0]), np.array([8.0, 64.0, 1.0])
    both = planned(prompts)
    limit = float(np.mean(step_times(both).alone_s[:2]))
    for within in (None, (limit, np.inf)):
        found = times(both, tiles, within)
        assert found.tile_rows.tolist() == tiles.tolist()
        for row, (prompt, tile) in enumerate(zip(prompts, tiles, strict=True)):
            alone = times(planned(prompt), np.full(1, tile), within)
            # The long prompt alone is later than the limit: its step is that of one sequence at every number.
            assert (np.ptp(alone.decode_s[1:]) == 0) == (within is not None and prompt == 9000)
            assert found.most[row] == alone.most[0]
            for number in (1.0, 5.0, 8.0, 9.0, 64.0, 65.0, 300.0):
                told, wanted = (one.step_s(np.full(1, number)) for one in (found, alone))
                assert told[row] == pytest.approx(wanted[0], rel=1e-9), (row, number)


def test_a_stair_never_lies_below_the_line_of_their_ends_where_that_rises_ever_more_slowly():
    batches = np.array([0.0, 1.0, 8.0, 16.0, 128.0, 1024.0, 8192.0])

    def engine(*slopes):
        first = 0.01 + 1e-3 * np.minimum(batches, 8)
        ends = np.stack([first + slope * np.maximum(batches - 8, 0) for slope in slopes], axis=1)
        one = np.ones(len(slopes))
        wide = np.broadcast_to(batches[:, None], ends.shape)
        return StepTimes(wide, ends, one, one, one, one, one, 4096 * one, np.array([8.0]))

    slopes = (1e-3, 7e-4, 2e-3)
    three = engine(*slopes)
    for number in (1.0, 5.0, 9.0, 12.0, 16.0, 17.0, 100.0):
        step = three.step_s(np.full(3, number))
        ahead = 8 * np.ceil(number / 8) - number if number > 8 else 0.0
        for row, slope in enumerate(slopes):
            told = 0.01 + 1e-3 * min(number + ahead, 8) + slope * max(number + ahead - 8, 0) - 1e-3 * ahead
            on_line = 0.01 + 1e-3 * min(number, 8) + slope * max(number - 8, 0)
            assert step[row] == pytest.approx(max(told, on_line) if slope < 1e-3 else told, rel=1e-9)
            assert engine(slope).step_s(np.full(1, number))[0] == pytest.approx(step[row], rel=1e-12)


def line(number, step, slope, beyond):
    """Return a step that rises by one slope up to 16 sequences and by another beyond."""
    return step + slope * (min(number, 16) - 1) + beyond * max(number - 16, 0)


def least(holds, most):
    """Return the least number at which something holds, by halving between bends; the most where it never does."""
    low, high = 0.0, next((end for end in (1.0, 16.0) if end < most and holds(end)), most)
    low = 1.0 if high > 1 else low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


ROWS = [
    (prompt, step, slope, beyond, tokens, most)
    for prompt in (0.0, 0.05)
    for step, slope, beyond in ((0.01, 2e-4, 2e-4), (0.01, 1e-4, 1e-2), (0.02, 0.0, 0.0))
    for tokens in (0.0, 0.5, 20.0, 300.0)
    for most in (0.0, 1.0, 7.0, 40.0, 3000.0)
]


def engines(rows):
    """Return the step times of engines of such numbers, a row each."""
    knots = np.array([0.0, 1.0, 2.0, 16.0, 128.0, 1024.0, 8192.0])
    prompt, step, slope, beyond, tokens, most = np.array(rows).T
    times = np.stack(
        [np.zeros(len(rows)), *(step + slope * (min(k, 16) - 1) + beyond * max(k - 16, 0) for k in knots[1:])]
    )
    one = np.ones(len(rows))
    return StepTimes(
        np.broadcast_to(knots[:, None], times.shape), times, prompt, prompt + 0.01, one, one, tokens, most,
        wait_s=0.3 * one,
    )  # fmt: skip


@pytest.mark.parametrize("tpot", [0.005, 0.0101, 0.03, 0.2, 30.0])
def test_as_many_decode_evenly_as_fill_the_time_of_a_token(tpot):
    # n sequences take a step and the prompts of the n / G requests that begin in it; below one, in proportion.
    found = engines(ROWS).even_flow(tpot)
    for row, (prompt, step, slope, beyond, tokens, most) in enumerate(ROWS):
        share, own = prompt / max(tokens, 1), line(1, step, slope, beyond)

        def longer(number, own=own, share=share, rest=(step, slope, beyond)):
            return (own if number < 1 else line(number, *rest)) + number * share >= tpot

        wanted = 0.0 if own >= tpot else least(longer, max(most, 1))
        assert found[row] == pytest.approx(wanted, rel=1e-6, abs=1e-9), ROWS[row]


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.4, 3.0, 19.0, 60.0])
def test_as_many_decode_evenly_as_come_while_they_go_round(rate):
    # Little's law: n = l C(n) for a round of G steps and a prompt of each; below one a round is that of one.
    found = engines(ROWS).even_number(rate)
    for row, (prompt, step, slope, beyond, tokens, most) in enumerate(ROWS):

        def enough(number, rest=(step, slope, beyond), prompt=prompt, tokens=tokens):
            alone = max(number, 1.0)
            return number >= rate * (tokens * line(alone, *rest) + alone * prompt)

        assert found[row] == pytest.approx(least(enough, max(most, 1)), rel=1e-6, abs=1e-9), ROWS[row]


def test_one_more_number_is_known_and_nothing_else_changes():
    rows = ROWS[::7]
    before, numbers = engines(rows), np.array([0.5, 1.0, 9.0, 16.0, 100.0, 128.0, 5000.0])
    for number in (1.0, 9.0, 16.0, 40.0, 9000.0):
        time = np.array([line(number, *row[1:4]) for row in rows])
        after = before.refined(np.full(len(rows), number), time)
        assert after.batches.shape == (8, len(rows)) and (np.diff(after.batches, axis=0) >= 0).all()
        for each in numbers:
            np.testing.assert_allclose(after.step_s(np.full(1, each)), before.step_s(np.full(1, each)), rtol=1e-9)
    # Where two are one the slope between them is that before.
    twice = before.refined(np.full(len(rows), 128.0), np.array([line(128.0, *row[1:4]) for row in rows]))
    np.testing.assert_array_equal(twice._slopes[4], twice._slopes[3])
    np.testing.assert_array_equal(np.delete(twice._slopes, 4, axis=0), before._slopes)
    # A step that is longer than the line says lifts the line there.
    lifted = before.refined(np.full(1, 9.0), np.full(1, 1.0))
    np.testing.assert_allclose(lifted.step_s(np.full(1, 9.0)), 1.0)
    np.testing.assert_allclose(lifted.step_s(np.full(1, 16.0)), before.step_s(np.full(1, 16.0)))


def test_a_bend_is_looked_for_as_far_as_the_memory_and_a_few_tiles_reach():
    # Steps of 10 ms up to 40 sequences, and 1 ms more for each beyond.
    times = [0.001, *(0.01 + 1e-3 * max(number - 40, 0) for number in (1, 2, 16, 128, 1024))]
    straight = 0.01 + (40 - 16) / (128 - 16) * (times[4] - times[3])
    for most, tile, bent in ((128.0, 1.0, False), (129.0, 1.0, True), (10.0, 7.0, False), (10.0, 8.0, True)):
        one = steps(times, tile=tile, most=most)
        assert one._line_s(np.full(1, 40.0))[0] == pytest.approx(0.01 if bent else straight)


def test_the_least_times_are_those_of_one_sequence_and_a_column_is_as_wide_as_is_asked():
    one = engines(ROWS[:3])
    first, token = one.least_s
    assert first.tolist() == pytest.approx([row[0] + 0.01 + 0.3 for row in ROWS[:3]])
    assert token.tolist() == pytest.approx([row[1] for row in ROWS[:3]])
    assert one.tokens_per_step == 1
    drafted = replace(one, speculation=Speculation(2.0, 0.5))
    assert drafted.least_s[1].tolist() == pytest.approx([row[1] / 1.75 for row in ROWS[:3]])
    assert drafted.tokens_per_step == 1.75
    wide = engines(ROWS[:1]).wide((4,))
    assert wide.batches.shape == (7, 4) and wide.most.shape == wide.wait_s.shape == (4,)


@pytest.mark.parametrize(
    ("held", "read_mostly", "kept"),
    [(1.0, 0.0, 0.0), (1.0, 0.3, 0.0), (0.35, 0.1, 0.0), (1.0, 0.0, 0.2), (0.05, 0.0, 0.0)],
)
def test_as_many_requests_fit_as_fill_the_memory_and_what_of_it_can_be_written(held, read_mostly, kept):
    work = Workload("w", "llama3_8b", batching="continuous", prompt_tokens=3000.0, output_tokens=200.0,
                    conversation=Conversation(2.0, 30.0, kept_gib=kept * 80))  # fmt: skip
    one = serve_chip(ChipSetup("h100_sxm", "fp8", act_bits=8), work, Technology()).planned
    room = one.machine.capacity_bytes * held
    machine = replace(one.machine, capacity_bytes=room, read_mostly_bytes=room * read_mostly)
    served = replace(one, machine=machine)
    most = most_requests(served)[0]

    def fits(batch):
        serving = replace(one.serving, batch=np.full(1, batch))
        told = footprint(serving, one.formats, chunk_rows=one.software.chunk_rows, read_mostly_bytes=room * read_mostly)
        return told.most_loaded_bytes[0] + one.serving.sessions.kept_bytes <= room[0]

    assert (most == 0 or fits(most)) and not fits(most + 1) and (most > 0) == (held > 0.1)
