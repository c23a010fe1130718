import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.table import Table
from dse.analysis.audit import audit
from dse.analysis.audit.page import finding_words, page
from dse.analysis.audit.plain import audit_json
from dse.analysis.audit.rates import consistent_rates, find_consistent_rates
from dse.analysis.audit.reader import load_claims, read_claims
from dse.analysis.audit.spaces import joint_set
from dse.analysis.audit.verdicts import ClaimChecker, check_claim
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.yaml_positions import parse_yaml

WORKLOADS = """
name: case
workloads:
  gqa: {model: llama2_70b, batch: 32, prompt_tokens: 1024, output_tokens: 1024}
  mha: {model: llama1_65b, batch: 32, prompt_tokens: 1024, output_tokens: 1024}
  giant: {model: synthetic_250b_gqa, batch: 1}
"""

PAIR = f"""{WORKLOADS}
subjects:
  rates:
    rates:
      weight_bits: {{low: 2, high: 4.5, levels: 6}}
      kv_bits: {{low: 3, high: 16, levels: 53}}
      tflops: {{low: 100, high: 2000, levels: 4}}
claims:
  - {{key: a, of: rates, workload: gqa, metric: tokens_per_s, value: 857, within: 0.5 %, source: s, grade: low}}
  - {{key: b, of: rates, workload: mha, metric: tokens_per_s, value: 376, within: 0.5 %, source: s, grade: low}}
  - {{key: c, of: rates, workload: giant, metric: chips_needed, at: most, value: 1, source: s, grade: low}}
"""


def read(text):
    return read_claims(parse_yaml(text, "claims.yaml"))


# -- the pair of rates -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    return read(PAIR)


def test_the_consistent_set_holds_the_back_solved_line(pair):
    subject, claims = pair.subjects["rates"], pair.of("rates")
    weight_bits = np.linspace(2.0, 4.25, 10)
    # Closed form: 8.589e9 b_w + 1.0066e9 b_kv bytes in 37.34 ms and 8.128e9 b_w + 8.0531e9 b_kv in 85.11 ms.
    table, _ = consistent_rates(subject, claims, weight_bits, 1.988 * weight_bits, np.full(10, 1e4))
    assert table["consistent"].all() and table["memory_bound"].all()
    delivered = (table["gbps_low"] + table["gbps_high"]) / 2 / weight_bits
    assert delivered.to_numpy() == pytest.approx(np.full(10, 283.6), rel=0.006)


def test_rates_of_a_batch_that_nobody_states_are_refused():
    case = read(PAIR.replace("batch: 32, prompt_tokens: 1024, output_tokens: 1024}\n  mha", "batch: largest}\n  mha"))
    with pytest.raises(SpecError, match=r"workloads\.gqa\.batch: .largest. is not a number"):
        find_consistent_rates(case.subjects["rates"], case.of("rates"))


def test_what_the_set_says_of_memory_bound_chips(pair):
    result = find_consistent_rates(pair.subjects["rates"], pair.of("rates")).table
    bound = result[result["memory_bound"]]
    ratio = bound["kv_bits"] / bound["weight_bits"]
    assert ratio.median() == pytest.approx(1.99, abs=0.03) and ratio.between(1.9, 2.1).all()
    # A 16-bit KV cache is excluded while both points wait for memory, with weights of up to 4.5 bits.
    assert bound["kv_bits"].max() < 10
    # 4-bit weights and 8-bit KV take about 118.5 GB, so 128 GiB in packages.
    four = bound[(bound["weight_bits"] == 4.0) & (bound["kv_bits"] == 8.0)]
    assert four["capacity_gib"].iloc[0] * 1.0737 == pytest.approx(125.6, abs=8)


def test_a_16_bit_cache_needs_what_no_1024_bit_lpddr_has(pair):
    subject, claims = pair.subjects["rates"], pair.of("rates")
    ridge = np.array([121.2])
    four, _ = consistent_rates(subject, claims, np.array([4.0]), np.array([16.0]), ridge)
    none, _ = consistent_rates(subject, claims, np.array([1e-6]), np.array([16.0]), ridge)
    assert four["consistent"].all() and not four["memory_bound"].any()
    assert four["gbps_low"].iloc[0] == pytest.approx(1896, rel=0.01)
    assert none["gbps_low"].iloc[0] > 1500
    widest = 1024 * 10.667 / 8
    assert none["gbps_low"].iloc[0] > widest


def test_end_to_end_asks_more_of_everything(pair):
    text = PAIR.replace("tokens_per_s,", "tokens_per_s_end_to_end,")
    steps, whole = find_consistent_rates(pair.subjects["rates"], pair.of("rates")), None
    case = read(text)
    whole = find_consistent_rates(case.subjects["rates"], case.of("rates"))
    assert whole.table["tflops"].min() > 2 * steps.table["tflops"].min()
    # Facts: 500 effective TFLOP/s, KV 2.81 times the weights, 401 GB/s per bit.
    table, _ = consistent_rates(
        case.subjects["rates"], case.of("rates"), np.array([3.0]), np.array([3 * 2.81]), np.array([500.0])
    )
    assert table["consistent"].all()
    assert table["gbps_low"].iloc[0] / 3 == pytest.approx(401, rel=0.02)


def test_operators_one_after_the_other_need_more_than_a_step_as_a_whole(pair):
    text = PAIR.replace("    rates:\n", "    overlap: operators\n    rates:\n")
    case = read(text)
    bits = np.array([4.0])
    args = (bits, 2 * bits, np.array([124.0]))
    whole, _ = consistent_rates(pair.subjects["rates"], pair.of("rates"), *args)
    parts, _ = consistent_rates(case.subjects["rates"], case.of("rates"), *args)
    assert parts["gbps_low"].iloc[0] > whole["gbps_low"].iloc[0]


# -- verdicts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "value", "interval", "bound", "better", "finding", "factor"),
    [
        ((95, 105), 100, (90, 110), 300, "max", "consistent", 1.0),
        ((95, 105), 100, (40, 60), 300, "max", "optimistic", 2.0),
        ((950, 1050), 1000, (40, 60), 300, "max", "impossible", 950 / 300),
        ((9, 11), 10, (40, 60), 300, "max", "pessimistic", 5.0),
        ((9, 11), 10, (40, 60), 30, "min", "impossible", 30 / 11),
        ((38, 39), 38.5, (40, 60), 30, "min", "optimistic", 50 / 38.5),
        ((95, 105), 100, (40, 60), 30, "min", "pessimistic", 2.0),
        ((-np.inf, 40), 40, (20, 30), np.nan, "min", "consistent", 1.0),
        ((60, np.inf), 60, (20, 30), np.nan, "max", "optimistic", 2.4),
    ],
)
def test_findings(claimed, value, interval, bound, better, finding, factor):
    typical = sum(interval) / 2
    assert check_claim(claimed, value, typical, interval, bound, better) == (finding, pytest.approx(factor))


KNOWN = f"""{WORKLOADS}
subjects:
  gpus: {{chips: 2x a100_80gb_sxm}}
  one: {{chips: 1x a100_80gb_sxm}}
  chip: {{design: {{memory: hbm3, memory_devices: 6, memory_device_gib: 24, macs: 262144}}}}
claims:
  - {{key: fast, of: gpus, workload: gqa, metric: tokens_per_s, value: 5000, within: 5 %, source: s, grade: low}}
  - {{key: full, of: one, workload: gqa, metric: tokens_per_s, value: 400, within: 5 %, source: s, grade: low}}
  - {{key: ratio, of: chip, workload: gqa, metric: tokens_per_s, value: 1, at: least, relative_to: gpus, source: s,
     grade: low}}
  - {{key: odd, of: gpus, metric: tdp_w, value: 400 W, within: 1 %, source: s, grade: high,
     not_comparable: "another board"}}
"""


def test_verdicts_on_chips_and_designs():
    case = read(KNOWN)
    court = ClaimChecker(case, draws=40)
    fast, full, ratio, odd = (court.judge(claim) for claim in case.claims)
    assert fast.finding == "impossible" and fast.factor == pytest.approx(4750 / fast.bound)
    # 2 x 2039 GB/s over 137.4 GB of weights and 16.1 GB of cache: 37.7 ms for 32 tokens.
    assert fast.bound == pytest.approx(32 / 0.0377, rel=0.01)
    assert fast.low <= fast.predicted <= fast.high < fast.bound
    assert full.finding == "not comparable" and "cannot hold" in full.why
    assert odd.finding == "not comparable" and odd.why == "another board"
    spec = case.subjects["chip"].spec
    own = Evaluator(spec).evaluate(Table.from_settings(case.subjects["chip"].settings)).metrics["gqa.tokens_per_s"][0]
    other = Evaluator(case.spec).baselines["gpus"]["gqa.tokens_per_s"]
    assert ratio.predicted == pytest.approx(own / other)


def test_predictions_are_the_same_each_time():
    case = read(KNOWN)
    first, second = (ClaimChecker(case, draws=40).judge(case.claims[0]) for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)


# -- unknown designs -------------------------------------------------------------------------------------------------

SECRET = f"""{WORKLOADS}
subjects:
  secret:
    space:
      memory: {{values: [lpddr5x_8533, lpddr5x_9600]}}
      memory_devices: {{values: [8, 12, 14, 16]}}
      memory_device_bits: 64
      memory_device_gib: {{values: [8, 16]}}
      macs: {{values: [131072, 196608]}}
      sram_mib: 128
      weight_format: {{values: [exact_2bit, exact_3bit, exact_4bit]}}
      kv_bits: {{values: [4, 6, 8, 16]}}
    search: {{sampler: grid}}
claims:
  - {{key: a, of: secret, workload: gqa, metric: tokens_per_s, value: 857, within: 10 %, source: s, grade: low}}
  - {{key: b, of: secret, workload: mha, metric: tokens_per_s, value: 376, within: 10 %, source: s, grade: low}}
"""


def test_the_joint_set_is_every_design_that_satisfies_all_claims():
    case = read(SECRET)
    joint = joint_set(case.subjects["secret"])
    assert 0 < joint.found == len(joint.table) < joint.searched == 384
    evaluator = Evaluator(case.subjects["secret"].spec)
    for row in joint.plausible:
        settings = {
            name: row[name]
            for name in ("memory", "memory_devices", "memory_device_gib", "macs", "weight_format", "kv_bits")
        }
        judged = evaluator.evaluate(Table.from_settings({**settings, "memory_device_bits": 64, "sram_mib": 128}))
        assert judged.metrics["gqa.tokens_per_s"][0] == pytest.approx(857, rel=0.1)
        assert judged.feasible[0]
    kv = next(extent for extent in joint.extents if extent.name == "kv_bits")
    assert kv.high <= 8
    left = [one.left for one in joint.settling]
    assert left == sorted(left) and all(0 <= one <= 1 + 1e-9 for one in left)


def test_claims_that_no_design_satisfies_say_what_must_give():
    case = read(SECRET.replace("value: 857, within: 10 %", "value: 8570, within: 10 %"))
    joint = joint_set(case.subjects["secret"])
    assert joint.found == 0 and joint.why_none is not None and joint.why_none.smallest is not None


# -- issues ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("2x a100_80gb_sxm", "2x a100_80gb_smx", 9, "perhaps 2x a100_80gb_sxm"),
        ("of: one", "of: two", 14, "a subject of this file"),
        ("metric: tdp_w", "metric: tdp", 17, "a metric; perhaps tdp_w"),
        (
            "workload: gqa, metric: tokens_per_s, value: 5000",
            "workload: gqb, metric: tokens_per_s, value: 5000",
            13,
            "not a workload of this file",
        ),
        ("value: 400 W", "value: 400 mm", 17, "converts to W"),
        ("grade: high", "grade: hihg", 17, "perhaps high"),
        ("within: 1 %,", "", 17, "a value about needs a tolerance"),
        ("key: odd", "kex: odd", 17, "the key kex is not key"),
        ("relative_to: gpus", "relative_to: gpu", 15, "a subject of this file"),
        ("macs: 262144", "macs: 2.5", 11, "a whole number"),
        ("memory: hbm3", "memory: {values: [hbm3, hbm2e]}", 11, "one value"),
        ("metric: tdp_w", "workload: gqa, metric: tdp_w", 17, "no workload goes with it"),
        ("key: full", "key: fast", 14, "is the key of claims[0] already"),
        ("model: llama1_65b", "model: llama1_66b", 5, "perhaps llama1_65b"),
        ("subjects:", "subjecs:", 14, "a subject of this file (none)"),
        ("workloads:", "workload:", 13, "a workload of this file (none)"),
    ],
)
def test_an_issue_is_named_with_its_place(old, new, line, says):
    text = KNOWN.replace(old, new)
    assert text != KNOWN
    with pytest.raises(SpecError) as caught:
        read(text)
    reported = str(caught.value)
    assert says.strip("'") in reported.replace("'", "")
    assert f"claims.yaml:{line}:" in reported


def test_contradictory_claims_are_refused_with_their_place():
    more = (
        KNOWN
        + "  - {key: slow, of: gpus, workload: gqa, metric: tpot_ms, value: 40 ms, within: 5 %, source: s,"
        + " grade: low}\n"
    )
    with pytest.raises(SpecError, match=r"claims.yaml:19.*slow: contradicts fast \(line 13\)"):
        read(more)
    # 32 tokens in 6.4 ms are 5000 token/s: the same claim twice is none.
    read(more.replace("40 ms", "6.4 ms"))


def test_every_issue_at_once():
    text = KNOWN.replace("metric: tdp_w", "metric: tdp").replace("of: one", "of: two").replace("2x a100", "2x b100")
    with pytest.raises(SpecError) as caught:
        read(text)
    assert len(caught.value.issues) >= 3


# -- the Mach-1 case -----------------------------------------------------------------------------------------------


def test_the_shipped_claims_can_be_read_and_written_about(pair):
    case = load_claims(Path(shipped_library().directory) / "claims.yaml")
    assert {"rates_decode", "mach1", "m1_a", "m1_b", "m1_c", "m1_d"} <= set(case.subjects)
    assert all(claim.source for claim in case.claims)
    known = read(KNOWN)
    result = audit(known)
    text = page(result)
    for verdict in result.verdicts:
        assert verdict.claim.of in text
    json.dumps(audit_json(result), allow_nan=False)


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        ("consistent", "consistent"),
        ("impossible", "impossible: beats the bound by 1.23x"),
        ("optimistic", "optimistic by 1.23x"),
        ("not comparable", "not comparable: no such chip"),
    ],
)
def test_a_finding_is_told_with_three_digits(finding, words):
    assert finding_words(SimpleNamespace(finding=finding, factor=1.2345, why="no such chip")) == words
