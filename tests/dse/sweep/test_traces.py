"""Workloads whose requests a file holds: read beside the sweep, kept in the run, replayed by the simulation."""

import json
from pathlib import Path

import numpy as np
import pytest

from cost_models.workload.trace import read_trace
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.sweep import load_spec, parse_spec
from dse.sweep.traces import TraceSpec
from tests.cli import call

SWEEP = """
name: traced
workloads:
  chat: {{model: llama3_8b, batching: {mode}, trace: requests.csv, tpot_limit_ms: 100{more}}}
space: {{memory_devices: {{values: [8, 16]}}}}
objectives: [{{metric: chat.goodput_tokens_per_s, direction: maximize}}]
search: {{sampler: grid}}
"""


@pytest.fixture
def requests(tmp_path):
    """A file of requests beside a sweep."""
    rng = np.random.default_rng(0)
    arrival, prompt = np.cumsum(rng.exponential(0.5, 500)), rng.integers(100, 900, 500)
    lines = [f"{a:.6f},{p},{p % 50 + 2}" for a, p in zip(arrival, prompt, strict=True)]
    (tmp_path / "requests.csv").write_text("arrival_s,prompt_tokens,output_tokens\n" + "\n".join(lines))
    return tmp_path


def spec_of(folder, mode="continuous", more=""):
    (folder / "sweep.yaml").write_text(SWEEP.format(mode=mode, more=more))
    return load_spec(folder / "sweep.yaml")


def test_the_closed_form_takes_rate_lengths_and_variation(requests):
    spec = spec_of(requests)
    chat, trace = spec.workloads["chat"], spec.workloads["chat"].trace.read()
    assert chat.arrivals_per_s == trace.arrivals_per_s and chat.prompt_tokens == trace.prompt_tokens.mean()
    traffic = Evaluator(spec).workload("chat").traffic
    assert traffic.prompt_cv == trace.cv("prompt_tokens") and traffic.arrival_cv[0] == trace.arrival_cv
    assert parse_spec(spec.resolved()).hash == spec.hash


def test_a_run_outlives_its_trace_and_a_replay_does_not(requests):
    spec = spec_of(requests)
    (requests / "requests.csv").write_text("arrival_s,prompt_tokens,output_tokens\n0,1,1\n1,1,1\n")
    again = parse_spec(spec.resolved())
    assert again.workloads["chat"].arrivals_per_s == spec.workloads["chat"].arrivals_per_s
    with pytest.raises(SpecError, match="not what it was"):
        again.workloads["chat"].trace.read()
    (requests / "requests.csv").unlink()
    with pytest.raises(SpecError, match="cannot be read"):
        again.workloads["chat"].trace.read()


@pytest.mark.parametrize(
    ("mode", "more", "words"),
    [
        ("static", "", "trace has no part in batching: static"),
        ("continuous", ", prompt_tokens: 7", "prompt_tokens 7 stands beside a trace"),
        ("continuous", ", concurrency: 7", "concurrency stands beside a trace"),
        ("continuous", ", output_p95_tokens: 700", "output_p95_tokens stands beside a trace"),
    ],
)
def test_a_trace_leaves_no_room_for_other_traffic(requests, mode, more, words):
    with pytest.raises(SpecError, match=words):
        spec_of(requests, mode, more)


def test_requests_beyond_the_context_of_the_model_are_refused_with_their_line(requests):
    with (requests / "requests.csv").open("a") as file:
        file.write("\n1e6,9000000,5\n")
    with pytest.raises(
        SpecError, match=r"requests.csv:502: a request has 9000005 tokens, more than the context of llama3_8b"
    ):
        spec_of(requests)


def test_the_simulation_replays_the_requests(requests):
    words = f"llama3_8b batching=continuous n_chips=2 trace={requests / 'requests.csv'}"
    result = call("explain", "2x l4 weight_format=fp8", "--workload", words, "--simulate", "--format", "json")
    assert result.status == 0, result.err
    rows = {row["metric"]: row for row in json.loads(result.out)}
    rate = spec_of(requests).workloads["chat"].arrivals_per_s
    assert rows["requests_per_s"]["simulated"] == pytest.approx(rate, rel=0.01)
    assert rows["ttft_ms"]["closed_form"] == pytest.approx(rows["ttft_ms"]["simulated"], rel=0.2)


def test_a_trace_is_kept_as_its_summary(tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text("arrival_s,prompt_tokens,output_tokens\n0,100,10\n1,300,20\n3,200,60\n")
    found = TraceSpec.of(file, read_trace(file))
    assert (found.requests, found.prompt_tokens, found.output_tokens) == (3, 200, 30) and found.file == str(file)
    assert (found.longest_tokens, found.longest_line) == (320, 3)
    assert found.percentiles["prompt_tokens"] == pytest.approx({50: 200, 95: 290, 99: 298})
    assert found.read().sha256 == found.sha256
