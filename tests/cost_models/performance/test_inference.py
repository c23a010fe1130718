"""A served workload put together from its passes: drafts, prompts in flight, waves, and the chips that it needs."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Drafting, Workload
from cost_models.library.technology import Technology
from cost_models.performance.inference import decode_bound_s
from cost_models.performance.phases import decode_phase, prefill_phase

TECHNOLOGY = Technology()


def served(**fields):
    work = Workload("w", "llama3_8b", **{"batch": 12.0, "prompt_tokens": 900.0, "output_tokens": 64.0, **fields})
    return serve_chip(ChipSetup("h100_sxm", "fp8", act_bits=8), work, TECHNOLOGY).inference


def only(column):
    return float(np.ravel(column)[0])


@pytest.fixture(scope="module")
def alone():
    """A batch without drafts, nothing in flight."""
    return served()


@pytest.fixture(scope="module")
def drafted():
    """The same with four tokens drafted by a small model, of which each is accepted with a chance of 0.6."""
    return served(drafting=Drafting(4.0, 0.6, "llama32_1b"))


TOKENS = 1 + 0.6 + 0.36 + 0.216 + 0.1296


def test_a_request_is_its_prefill_and_its_steps_wave_after_wave(alone):
    assert alone.draft is None and (alone.draft_steps, alone.tokens_per_step) == (0, 1)
    each = only(alone.prefill_s) + 63 * only(alone.decode_s)
    assert only(alone.step_s) == only(alone.decode_s) == only(alone.decode.pass_s)
    for waves in (1.0, 3.0):
        one = replace(alone, waves=waves)
        assert only(one.request_s) == pytest.approx(waves * each)
        assert only(one.tokens_per_s_end_to_end) == pytest.approx(12 * 64 / each)
    assert only(alone.bound_s) == pytest.approx(only(decode_bound_s(alone.decode, alone.machine)))
    assert only(alone.joining_s) == 0 and alone.step_energy is alone.decode_energy is alone.pass_energy


def test_a_step_with_drafts_is_theirs_and_the_models(alone, drafted):
    draft = drafted.draft
    assert (only(drafted.draft_steps), only(drafted.tokens_per_step)) == pytest.approx((4, TOKENS))
    step = only(drafted.decode.pass_s) + 4 * only(draft.decode.pass_s)
    assert only(drafted.step_s) == pytest.approx(step) and only(drafted.decode_s) == pytest.approx(step / TOKENS)
    assert only(drafted.prefill_work_s) == pytest.approx(only(drafted.prefill.pass_s) + only(draft.prefill.pass_s))
    assert only(drafted.bound_s) == pytest.approx(
        (only(decode_bound_s(drafted.decode, drafted.machine)) + 4 * only(draft.bound_s)) / TOKENS
    )
    joules = only(drafted.pass_energy.board_j) + 4 * only(draft.pass_energy.board_j)
    assert only(drafted.decode_energy.board_j) == pytest.approx(joules / TOKENS)
    assert only(drafted.decode_energy.board_w) == pytest.approx(joules / step)
    reading = only(drafted.prefill_pass_energy.board_j) + only(draft.prefill_pass_energy.board_j)
    assert only(drafted.prefill_energy.board_j) == pytest.approx(reading)
    # A draft of no tokens reads no prompt.
    idle = served(drafting=Drafting(0.0, 0.6, "llama32_1b"))
    assert only(idle.prefill_work_s) == pytest.approx(only(alone.prefill_work_s))
    assert only(idle.decode_s) == pytest.approx(only(alone.decode_s))


@pytest.mark.parametrize(("batch", "output", "rows"), [(12.0, 64.0, 2048.0), (40.0, 4.0, 2048.0), (6.0, 2.0, 256.0)])
def test_prompts_in_flight_join_steps_or_take_passes_of_their_own(batch, output, rows):
    for drafting in (None, Drafting(2.0, 0.5, "llama32_1b")):
        one = served(batch=batch, output_tokens=output, batching="in_flight", chunk_rows=rows, drafting=drafting)
        tokens = 1.75 if drafting else 1.0
        each = batch / output
        together = max(each * tokens, 1.0)
        chunks = max(np.ceil(together * 900 / rows), 1.0)
        passes = chunks * each / together
        shared = min(passes, 1 / tokens)
        assert only(one.prompts_per_step) == each
        work = decode_phase(one.serving, one.machine, one.software, one.formats, prompts=np.full(1, together))
        assert only(one.joining.pass_s) == pytest.approx(only(work.pass_s))
        added = shared * (only(work.pass_s) - only(one.decode.pass_s))
        apart = prefill_phase(replace(one.serving, batch=np.full(1, together)), one.machine, one.software, one.formats)
        added += (passes - shared) * (only(apart.pass_s) - only(apart.fixed_s)) / chunks
        if drafting:
            added += only(one.draft.joining_s)
        assert only(one.joining_s) == pytest.approx(added)
        assert only(one.decode_s) == pytest.approx(only(one.step_s) / tokens + added)
        single = replace(one.serving, batch=np.ones(1))
        prefill = only(prefill_phase(single, one.machine, one.software, one.formats).pass_s)
        prefill += only(one.draft.prefill.pass_s) if drafting else 0.0
        wait = only(one.software.wait_s)
        assert only(one.prefill_s) == pytest.approx(prefill + 1.5 * only(one.decode_s) + wait)
        assert only(one.tokens_per_s_end_to_end) == pytest.approx(batch / only(one.decode_s))
        # Energy: a step with prompts in the place of one without, and passes beside.
        joined = one._energy(one.joining, one.joining.pass_s)
        joules = only(one.decode_energy.board_j) + shared * (only(joined.board_j) - only(one.pass_energy.board_j))
        if passes > shared:
            seconds = (apart.pass_s - apart.fixed_s) / chunks
            joules += (passes - shared) * only(one._energy(one._apart, seconds).board_j)
        if drafting:
            joules += each * only(one.draft.prefill_pass_energy.board_j)
        assert only(one.step_energy.board_j) == pytest.approx(joules)
        assert only(one.step_energy.board_w) == pytest.approx(joules / only(one.decode_s))


def test_rows_that_fly_beside_rows_that_do_not():
    mixed = served(batching=np.array(["static", "in_flight"], dtype=object))
    for row, mode in enumerate(("static", "in_flight")):
        one = served(batching=mode)
        for name in ("decode_s", "prefill_s", "tokens_per_s_end_to_end", "joining_s"):
            assert np.broadcast_to(getattr(mixed, name), 2)[row] == pytest.approx(only(getattr(one, name))), name


def test_an_encoder_is_its_prefill():
    work = Workload("w", "vit_22b", batch=4.0, prompt_tokens=256.0, output_tokens=1.0)
    one = serve_chip(ChipSetup("h100_sxm"), work, TECHNOLOGY).inference
    assert only(replace(one, waves=2.0).request_s) == pytest.approx(2 * only(one.prefill_s))


def test_as_many_chips_are_needed_as_hold_all_and_what_is_written(alone):
    told = alone.footprint
    written = only(told.kv_bytes) + only(told.activations_bytes)
    whole = only(told.weights_bytes) + written
    for room, read_mostly in (
        (whole, 0.0),
        (whole * 0.999, 0.0),
        (whole / 3, 0.0),
        (1e9, 1e9 - written / 50),
        (1e10, 2e9),
    ):
        machine = replace(alone.machine, capacity_bytes=np.full(1, room), read_mostly_bytes=np.full(1, read_mostly))
        needed = np.ceil(whole / room * (1 - 1e-12))
        if read_mostly:
            needed = max(needed, np.ceil(written / (room - read_mostly) * (1 - 1e-9)))
        found = replace(alone, machine=machine)
        assert only(found.chips_needed) == needed
        assert bool(found.fits) == (room >= whole and read_mostly == 0)
    unlinked = replace(alone, serving=replace(alone.serving, tensor_parallel=2.0), machine=replace(
        alone.machine, link_bytes_per_s=np.zeros(1)))  # fmt: skip
    assert np.isinf(unlinked.decode_s).all() and not unlinked.fits.any()


def test_without_a_rate_of_arithmetic_a_prompt_has_no_time(alone):
    unknown = replace(alone, machine=replace(alone.machine, arithmetic_known=np.array([0.0, 1.0])))
    assert np.isnan(unknown.prefill.pass_s).tolist() == [True, False]
    assert np.isfinite(unknown.decode_s).all()
