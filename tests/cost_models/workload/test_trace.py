"""Traces: what a file of requests says, and what is wrong with one."""

import numpy as np
import pytest

from cost_models.workload.trace import TraceError, read_trace

HEAD = "arrival_s,prompt_tokens,output_tokens\n"


def written(tmp_path, text):
    (tmp_path / "trace.csv").write_text(text)
    return tmp_path / "trace.csv"


def test_a_trace_has_the_moments_of_its_rows(tmp_path):
    rng = np.random.default_rng(0)
    arrival, prompt = np.sort(rng.uniform(0, 50, 400)).round(6), rng.integers(1, 900, 400)
    rows = [f"{p},x,{a},{p % 7 + 1}" for a, p in zip(arrival, prompt, strict=True)]
    trace = read_trace(written(tmp_path, "prompt_tokens,user,arrival_s,output_tokens\n" + "\n".join(rows)))
    assert trace.arrivals_per_s == pytest.approx(399 / (arrival[-1] - arrival[0]))
    assert trace.arrival_cv == pytest.approx(np.std(np.diff(arrival)) / np.mean(np.diff(arrival)))
    assert trace.cv("prompt_tokens") == pytest.approx(prompt.std() / prompt.mean())
    line, longest = trace.longest()
    assert longest == max(p + p % 7 + 1 for p in prompt) and rows[line - 2].startswith(f"{int(prompt[line - 2])},")
    assert len(trace.of_replica(3).arrival_s) == 134


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        ("0,5,5\n-1,5,5\n", (":3: arrival_s -1 is negative",)),
        ("3,5,5\n2,5,5\n0,5,5\n", (":3: arrival_s 2 is before 3", ":4: arrival_s 0 is before 3")),
        ("0,5,5\n1,,5\n", (":3: prompt_tokens is missing",)),
        ("0,5,5\n\n1,5,5\n", (":3: is empty",)),
        ("0,5,5\n,,\n1,0,5\n", (":3: is empty", ":4: prompt_tokens 0 is below 1")),
        ("0,5,5\n1,5\n2,0,nan\n", (":3: output_tokens is missing", ":4: prompt_tokens 0 is below 1", ":4: output")),
        ("0,5,5\n", ("at least 2",)),
        ("1,5,5\n1,5,5\n", ("arrive at once",)),
        ("".join("0,x,1\n" for _ in range(20)), (":2: prompt_tokens", "12 more")),
    ],
)
def test_every_fault_is_told_with_its_line(tmp_path, rows, faults):
    with pytest.raises(TraceError) as caught:
        read_trace(written(tmp_path, HEAD + rows))
    assert all(any(words in fault for fault in caught.value.faults) for words in faults), caught.value.faults


@pytest.mark.parametrize("text", ["", "arrival_s,prompt\n0,1\n"])
def test_missing_columns_and_files_are_told(tmp_path, text):
    with pytest.raises(TraceError, match="lacks the column output_tokens"):
        read_trace(written(tmp_path, text))
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(TraceError, match="is a folder, not a file"):
        read_trace(tmp_path)


def test_what_is_just_a_trace_is_read_and_its_summary_is_by_hand(tmp_path):
    trace = read_trace(written(tmp_path, HEAD + "0,1,1\n0,1,3\n4,9,2\n"))
    assert (trace.arrivals_per_s, trace.longest()) == (2 / 4, (4, 11.0))
    # Gaps of 0 and 4: a mean of 2 and a deviation of 2; prompts of 1, 1 and 9.
    assert (trace.arrival_cv, trace.cv("prompt_tokens")) == (1.0, pytest.approx((128 / 9) ** 0.5 / (11 / 3)))
    half = trace.of_replica(2)
    assert [list(one) for one in (half.arrival_s, half.prompt_tokens, half.output_tokens)] == [[0, 4], [1, 9], [1, 2]]
    eight = "".join(f"0,{index},1\n" for index in (0,) * 8) + "1,1,1\n"
    with pytest.raises(TraceError) as caught:
        read_trace(written(tmp_path, HEAD + eight))
    assert len(caught.value.faults) == 8
    with pytest.raises(TraceError) as caught:
        read_trace(written(tmp_path, HEAD + "0,0,1\n" + eight))
    assert len(caught.value.faults) == 9 and caught.value.faults[-1] == "1 more"
