"""Claims files as text: what they are read as, and every fault with its place in the file."""

import math

import pytest

from dse.analysis.audit.reader import _comparable, read_claims
from dse.analysis.audit.records import ChipSubject, DesignSubject, RatesSubject, SpaceSubject
from dse.errors import SpecError
from dse.sweep import ConstraintSpec
from dse.yaml_positions import parse_yaml

WORKLOADS = """\
name: case
workloads:
  chat: {model: llama3_8b, batch: 4, prompt_tokens: 64, output_tokens: 10}
  code: {model: llama3_8b, batch: 2, required: true}
"""
SUBJECTS = """\
subjects:
  gpu: {chips: 2x l4, batch: 2}
  mine: {design: {memory: hbm3, memory_devices: 2, memory_device_gib: 16}}
  secret: {space: {memory: {values: [hbm3, gddr6_16]}}, constraints: [{metric: tdp_w, max: 300}]}
  rates: {rates: {tflops: {low: 10, high: 90, levels: 3}}}
"""
END = "source: s, grade: low"


def read(claims, subjects=SUBJECTS, workloads=WORKLOADS):
    text = f"{workloads}{subjects}claims:\n" + "".join(f"  - {{{claim}}}\n" for claim in claims)
    return read_claims(parse_yaml(text, "it.yaml"))


def issues(*claims, **parts):
    with pytest.raises(SpecError) as fault:
        read(claims, **parts)
    return fault.value.issues


def told(*claims, **parts):
    return [(one.path, one.place.line, one.what) for one in issues(*claims, **parts)]


def claim(**changed):
    given = {"of": "gpu", "workload": "chat", "metric": "tpot_ms", "value": "10", "within": "10 %", **changed}
    return ", ".join(f"{key}: {value}" for key, value in given.items() if value is not None) + f", {END}"


def test_claims_are_numbers_about_subjects():
    case = read([
        claim(key="fast", note='"a note"', question="q", reading="r"),
        claim(metric="tokens_per_s", value="400", at="least", within=None),
        claim(workload=None, metric="tdp_w", value="150 W", at="most", within=None, not_comparable="no"),
        claim(metric="tpot_ms", value="2", relative_to="mine", of="gpu"),
    ])  # fmt: skip
    assert case.name == "case" and list(case.workloads) == ["chat", "code"] and list(case.spec.baselines) == [
        "gpu", "mine", "secret", "rates",
    ]  # fmt: skip
    first, least, most, ratio = case.claims
    assert (first.key, first.of, first.metric, first.value, first.interval) == (
        "fast", "gpu", "chat.tpot_ms", 10, (9, pytest.approx(11)),
    )  # fmt: skip
    assert (first.source, first.grade, first.note, first.question, first.reading, first.not_comparable) == (
        "s", "low", "a note", "q", "r", "",
    )  # fmt: skip
    assert (least.key, least.value, least.interval, least.place.line) == ("claim_2", 400, (400, math.inf), 12)
    assert (most.key, most.value, most.interval, most.not_comparable) == ("claim_3", 150, (-math.inf, 150), "no")
    assert (most.relative_to, ratio.relative_to, most.metric) == (None, "mine", "tdp_w")
    assert [one.key for one in case.of("gpu")] == ["fast", "claim_2", "claim_3", "claim_4"]


def test_subjects_are_chips_designs_spaces_and_rates():
    case = read([
        claim(of="secret"), claim(of="secret", metric="ttft_ms", not_comparable="no", relative_to="mine"),
        claim(of="gpu", metric="ttft_ms"),
    ])  # fmt: skip
    gpu, mine, secret, rates = case.subjects.values()
    assert isinstance(gpu, ChipSubject) and gpu.entry.chips == "2x l4" and gpu.entry.batch == 2
    assert isinstance(mine, DesignSubject)
    assert (mine.settings["memory"], mine.settings["memory_devices"]) == ("hbm3", 2)
    # A space must meet the claims about it that can be compared, and what the file asks beside.
    assert isinstance(secret, SpaceSubject)
    assert [one.label for one in secret.spec.constraints] == ["chat.tpot_ms = 10 +- 10 %", "tdp_w <= 300"]
    assert secret.spec.search.sampler == "grid" and list(secret.spec.baselines) == ["gpu"]
    # What need not fit unless it is said: a claim on one workload says nothing of memory for another.
    assert [one.required for one in secret.spec.workloads.values()] == [False, True]
    assert isinstance(rates, RatesSubject) and (rates.stack, rates.overlap) == ("ideal", "step")
    assert rates.axes == {
        "weight_bits": (1.5, 16, 30, False), "kv_bits": (2, 16, 29, False), "tflops": (10, 90, 3, True),
    }  # fmt: skip


def test_what_a_file_or_subject_replaces_counts_for_it():
    subjects = SUBJECTS.replace(
        "rates: {rates: {tflops", "rates: {serving_stack: vllm, overlap: operators, rates: {tflops"
    )
    subjects = subjects.replace("{space:", "{search: {sampler: sobol, n_designs: 8}, economics: {margin: 0.3}, space:")
    case = read([claim()], subjects=subjects, workloads=WORKLOADS + "economics: {margin: 0.2}\n")
    assert (case.subjects["rates"].stack, case.subjects["rates"].overlap) == ("vllm", "operators")
    assert case.subjects["secret"].spec.search.sampler == "sobol"
    assert [case.subjects[name].spec.economics.margin for name in ("mine", "secret", "rates")] == [0.2, 0.3, 0.2]


def test_lists_are_written_out_to_one_claim_each():
    case = read([claim(of="[gpu, mine]", workload="[chat, code]", metric="[ttft_ms]", key="both")])
    assert [(one.key, one.of, one.metric) for one in case.claims] == [
        ("both, gpu, chat", "gpu", "chat.ttft_ms"), ("both, gpu, code", "gpu", "code.ttft_ms"),
        ("both, mine, chat", "mine", "chat.ttft_ms"), ("both, mine, code", "mine", "code.ttft_ms"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "path", "what"),
    [
        ({"of": "gpus"}, "of", "'gpus'"),
        ({"of": None}, "of", "is missing"),
        ({"workload": "chats"}, "workload", "'chats'"),
        ({"metric": "tpot"}, "metric", "'tpot'"),
        ({"workload": None}, "metric", "tpot_ms needs a workload"),
        ({"metric": "tdp_w"}, "metric", "tdp_w belongs to the machine: no workload goes with it"),
        ({"relative_to": "me"}, "relative_to", "'me'"),
        ({"relative_to": "secret"}, "relative_to", "secret is unknown; nothing is relative to it"),
        ({"relative_to": "rates"}, "relative_to", "rates is unknown; nothing is relative to it"),
        ({"of": "secret", "relative_to": "mine"}, "relative_to", "mine is a design; what is claimed of a space can be"),
        ({"of": "[gpu, secret]", "relative_to": "[gpu, mine]"}, "relative_to", "mine is a design; what is claimed"),
        ({"at": "above", "within": None}, "at", "'above'"),
        ({"at": "most"}, "within", "does not go with at: most"),
        ({"within": None}, "within", "is missing: a value about needs a tolerance"),
        ({"value": None}, "value", "is missing"),
        ({"note": "7"}, "note", "7"),
        ({"key": "[a]"}, "key", "a list is not text"),
        ({"value": "ten"}, "value", "'ten' is not a number, or a quantity that converts to ms"),
    ],
)
def test_a_claim_at_fault_is_named_by_its_key(changed, path, what):
    # The second of two, so that the first claim and its place are no answer.
    (found,) = issues(claim(metric="ttft_ms"), claim(**changed))
    assert (found.path, found.place.line) == (f"claims[1].{path}", 12)
    assert what in str(found).replace('"', "'") or found.what == what


def test_a_claim_with_several_faults_tells_them_all_and_others_too():
    found = told(claim(of="gpus", colour="red", metric="tpot"), claim(at="above"))
    assert [(path, line) for path, line, _ in found] == [
        ("claims[0].of", 11), ("claims[0].metric", 11), ("claims[0].colour", 11), ("claims[1].within", 12),
        ("claims[1].at", 12),
    ]  # fmt: skip


def test_keys_of_claims_are_given_once():
    assert told(claim(key="a"), claim(key="b", metric="ttft_ms"), claim(key="a", metric="request_s")) == [
        ("claims[2].key", 13, "a is the key of claims[0] already")
    ]


@pytest.mark.parametrize(
    ("subjects", "path", "line", "what"),
    [
        ("  gpu: {chips: 2x l4, design: {}}", "subjects.gpu", 6, "has chips and design; it needs exactly one"),
        ("  gpu: {batch: 4}", "subjects.gpu", 6, "has none of chips, design, space, rates; it needs exactly one"),
        ("  gpu: 3", "subjects.gpu", 6, "3"),
        ("  '': {chips: 2x l4}", "subjects.", 6, ""),
        ("  gpu: {chips: 2x l4, colour: 1}", "subjects.gpu.colour", 6, "the key 'colour'"),
        ("  gpu: {chips: 2x l5}", "subjects.gpu.chips", 6, ""),
        ("  gpu: {design: {memory: hbm9}}", "subjects.gpu.design.memory", 6, ""),
        ("  gpu: {design: {macs: {values: [1024, 2048]}}}", "subjects.gpu.design.macs", 6, "varies"),
        ("  gpu: {space: {memory: hbm9}}", "subjects.gpu.space.memory", 6, ""),
        ("  gpu: {space: {macs: 4096}, search: {sampler: sobl}}", "subjects.gpu.search.sampler", 6, ""),
        ("  gpu: {rates: {}, serving_stack: vlm}", "subjects.gpu.serving_stack", 6, "'vlm'"),
        ("  gpu: {rates: {}, overlap: none}", "subjects.gpu.overlap", 6, ""),
        ("  gpu: {rates: 3}", "subjects.gpu.rates", 6, "3"),
        ("  gpu: {rates: {colour: 3}}", "subjects.gpu.rates.colour", 6, "the key 'colour'"),
        ("  gpu: {rates: {tflops: 3}}", "subjects.gpu.rates.tflops", 6, "3"),
        ("  gpu: {rates: {tflops: {low: 1, high: 2}}}", "subjects.gpu.rates.tflops", 6, ""),
        ("  gpu: {rates: {tflops: {low: 1, high: 2, levels: 1}}}", "subjects.gpu.rates.tflops", 6, ""),
        ("  gpu: {rates: {tflops: {low: 2, high: 2, levels: 3}}}", "subjects.gpu.rates.tflops", 6, ""),
        ("  gpu: {rates: {tflops: {low: 0, high: 2, levels: 3}}}", "subjects.gpu.rates.tflops", 6, ""),
        ("  gpu: {rates: {tflops: {low: a, high: 2, levels: 3}}}", "subjects.gpu.rates.tflops", 6, ""),
        ("  gpu: {rates: {tflops: {low: 1, high: 2, levels: 3, log: 1}}}", "subjects.gpu.rates.tflops", 6, ""),
    ],
)
def test_a_subject_at_fault_is_named_by_its_key(subjects, path, line, what):
    found = told(claim(), subjects=f"subjects:\n{subjects}\n")
    mine = [one for one in found if one[0] == path]
    assert mine and mine[0][1] == line and what in mine[0][2].replace('"', "'"), found


def test_a_subject_at_fault_hides_none_of_another():
    subjects = "subjects:\n  a: 3\n  b: {batch: 4}\n  c: {chips: 2x l4, design: {}}\n  gpu: {chips: 2x l4, colour: 1}\n"
    assert [(path, line) for path, line, _ in told(claim(), subjects=subjects)] == [
        ("subjects.a", 6), ("subjects.b", 7), ("subjects.c", 8), ("subjects.gpu.colour", 9),
    ]  # fmt: skip


def test_axes_of_rates_at_their_least():
    axes = "tflops: {low: 0.5, high: 1, levels: 2}, kv_bits: {low: 1, high: 3, levels: 3}"
    axes = read([claim()], subjects=f"subjects:\n  gpu: {{rates: {{{axes}}}}}\n").subjects["gpu"].axes
    assert axes["tflops"] == (0.5, 1, 2, True) and axes["kv_bits"] == (1, 3, 3, False)
    # A fault of one axis hides none of another.
    two = "subjects:\n  gpu: {rates: {colour: 3, tflops: 3, kv_bits: 4}}\n"
    assert [path for path, _, _ in told(claim(), subjects=two)] == [
        f"subjects.gpu.rates.{name}" for name in ("colour", "tflops", "kv_bits")
    ]


def test_sections_that_are_missing_or_odd_are_told_at_once():
    def faults(text):
        with pytest.raises(SpecError) as fault:
            read_claims(parse_yaml(text, "it.yaml"))
        return {(one.path, one.place.line) for one in fault.value.issues}

    assert {("workloads", 1), ("subjects", 1), ("claims", 1)} <= faults("name: case\n")
    assert ("colour", 2) in faults(f"name: case\ncolour: 1\n{WORKLOADS[11:]}{SUBJECTS}claims: []\n")
    for empty in ("claims: []", "claims: 3", "claims: {}"):
        assert ("claims", 10) in faults(f"{WORKLOADS}{SUBJECTS}{empty}\n")
    assert ("subjects", 5) in faults(f"{WORKLOADS}subjects: 3\nclaims: [{{{claim()}}}]\n")
    assert ("workloads", 2) in faults(f"name: case\nworkloads: 3\n{SUBJECTS}claims: [{{{claim()}}}]\n")
    assert ("claims[1]", 12) in faults(f"{WORKLOADS}{SUBJECTS}claims:\n  - {{{claim()}}}\n  - 3\n")
    assert ("", 1) in faults("[1, 2]")


# -- contradictions ---------------------------------------------------------------------------------------------------

SLOW = claim(value="20", key="slow")


@pytest.mark.parametrize(
    ("changed", "contradicts"),
    [
        ({}, True),
        # 9 to 11 ms and 10 to 12.2: some number does both.
        ({"value": "11.1"}, False),
        ({"value": "8.2"}, False), ({"value": "8.1"}, True),
        ({"of": "mine"}, False), ({"workload": "code"}, False), ({"metric": "ttft_ms"}, False),
        ({"question": "q"}, False), ({"relative_to": "mine"}, False),
        ({"at": "least", "within": None, "value": "11"}, False),
        ({"at": "least", "within": None, "value": "11.1"}, True),
        ({"at": "most", "within": None, "value": "9"}, False), ({"at": "most", "within": None, "value": "8.9"}, True),
        # Four tokens in 10 ms are 400 per second.
        ({"metric": "tokens_per_s", "value": "400"}, False), ({"metric": "tokens_per_s", "value": "300"}, True),
        ({"metric": "tokens_per_s", "value": "500"}, True),
        ({"metric": "tokens_per_s_end_to_end", "value": "1"}, False),
    ],
)  # fmt: skip
def test_two_claims_contradict_where_no_number_satisfies_both(changed, contradicts):
    one, two = claim(key="fast", value="10"), claim(**{"key": "slow", "value": "20", **changed})
    if not contradicts:
        assert len(read([one, two]).claims) == 2
        return
    ((path, line, what),) = told(one, two)
    metric = "chat.tpot_ms"
    assert (path, line) == ("slow", 12) and what == f"contradicts fast (line 11): no {metric} satisfies both"
    assert len(told(two, claim(key="other", metric="ttft_ms"), one)) == 1


def test_a_rate_is_the_time_that_it_means():
    spec = read([claim()]).spec

    def of(metric, **sides):
        from types import SimpleNamespace

        from dse.analysis.audit.records import Claim

        asks = ConstraintSpec.model_construct(metric=metric, **sides)
        return _comparable(Claim("", "", asks, 0.0, "", "low", "", "", "", "", SimpleNamespace()), spec)

    assert of("chat.tokens_per_s", min=100.0, max=400.0) == ("chat.tpot_ms", 10, 40)
    assert of("chat.tokens_per_s_end_to_end", min=10.0, max=40.0) == ("chat.request_s", 1, 4)
    assert of("chat.tokens_per_s", min=100.0) == ("chat.tpot_ms", 0, 40)
    assert of("chat.tokens_per_s", max=100.0) == ("chat.tpot_ms", 40, math.inf)
    assert of("chat.tokens_per_s", min=0.0) == ("chat.tpot_ms", 0, math.inf)
    assert of("chat.tpot_ms", max=7.0) == ("chat.tpot_ms", -math.inf, 7)
    assert of("chat.tokens_per_s", max=7.0, relative_to="gpu") == ("chat.tokens_per_s", -math.inf, 7)
