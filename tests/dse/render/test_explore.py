"""The live page: its answers are the run's equations, nobody else is answered, and it follows in a browser."""

import http.client
import json
import math
import signal
import subprocess
import sys
from functools import partial

import pytest

from cost_models.table import Table
from dse.analysis.explain.inputs import load_design
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.render.explore import explore
from dse.render.explore.answers import Answers
from dse.results.store import open_run
from dse.runs import run
from dse.sweep import parse_spec
from tests.browser import chromium, wait_for
from tests.sweeps import tiny

SWEEP = tiny(
    baselines={"a100": {"chips": "1x a100_80gb_sxm"}},
    economics={"units": 20_000, "margin": 0.2},
    technology={"tco.pue": 1.4},
    space={**tiny()["space"], "chat.prompt_tokens": {"values": [256, 512]}},
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return run(parse_spec(SWEEP), out=tmp_path_factory.mktemp("runs") / "tiny").path


@pytest.fixture(scope="module")
def answers(path):
    return Answers(open_run(path))


@pytest.fixture(scope="module")
def explorer(path):
    with explore(path) as serving:
        yield serving


# -- the answers --------------------------------------------------------------------------------------------------


def test_an_answer_is_what_the_run_found(answers):
    assert len(answers.run.picks) >= 3
    for pick in answers.run.picks:
        answer = answers.evaluate(answers.design(pick["id"]))
        assert answer["missed"] == [] and answer["place"] == {"feasible": True, "beaten_by": 0}
        assert len(pick["metrics"]) > 20
        for name, value in pick["metrics"].items():
            assert answer["metrics"][name] == pytest.approx(value, rel=1e-6), name


def test_a_design_that_others_beat_says_by_how_many(answers):
    design = answers.design(answers.run.picks[0]["id"])
    # Links that nothing uses draw power and bring no speed.
    linked = answers.evaluate({**design, "link_gbps": 400})
    assert linked["missed"] == [] and linked["place"]["beaten_by"] >= 1


def test_values_that_depend_on_another_follow_it_into_the_space(answers):
    design = {"memory": "gddr6_16", "memory_device_gib": 2, "memory_devices": 8}
    kept = answers.evaluate({**design, "memory": "hbm3"})
    moved = answers.evaluate({**design, "memory": "hbm3"}, changed="memory")
    assert (kept["followed"], moved["followed"]) == ([], ["memory_device_gib"])
    assert (kept["design"]["memory_device_gib"], moved["design"]["memory_device_gib"]) == (2, 16)
    # A memory that the sweep does not know takes nothing with it.
    assert answers.evaluate({**design, "memory": "hbm2e"}, changed="memory")["followed"] == []


def test_a_saved_design_is_read_back_as_the_same_chip(answers, tmp_path):
    settings = {**answers.design(answers.run.picks[0]["id"]), "node": "samsung_4", "chat.batch": 24, "clock_ghz": 0.85}
    file = tmp_path / "mine.yaml"
    file.write_text(answers.design_file(settings))
    spec, design = load_design(file)
    assert spec.baselines.keys() == {"a100"} and spec.economics.units == 20_000
    read, shown = Evaluator(spec).evaluate(Table.from_settings(design)), answers.evaluate(settings)
    known = {name: value for name, value in shown["metrics"].items() if value is not None}
    assert len(known) > 30
    assert known == pytest.approx({name: float(read.metrics[name][0]) for name in known})


def test_every_fault_of_a_design_is_told_at_once(answers):
    with pytest.raises(SpecError) as fault:
        answers.evaluate({"memory_devices": 2.5, "memory": "hbm9", "colour": 3})
    assert {issue.path for issue in fault.value.issues} == {"memory_devices", "memory", "colour"}


def test_every_parameter_has_a_control(answers):
    from cost_models.quantities.parameters import PARAMETERS

    listed = [control["name"] for group in answers._groups() for control in group["controls"]]
    assert len(listed) == len(set(listed)) and set(PARAMETERS) <= set(listed)
    assert {"chat.batch", "chat.prompt_tokens", "chat.output_tokens", "chat.n_chips"} <= set(listed)
    assert [name for name in listed if name in SWEEP["space"]] == listed[: len(SWEEP["space"])]


def test_a_control_knows_what_its_parameter_may_be_and_what_the_sweep_tries(answers):
    from cost_models.quantities.parameters import PARAMETERS

    groups = answers._groups()
    assert [group["title"] for group in groups] == ["what the sweep varies", "the rest of the chip", "chat"]
    controls = {control["name"]: control for group in groups for control in group["controls"]}
    for name, parameter in PARAMETERS.items():
        control = controls[name]
        assert control["default"] == parameter.default and control["meaning"]
        if parameter.is_choice:
            assert control["names"] and "low" not in control
            continue
        ends = (None if parameter.open_low else parameter.low, parameter.high)
        assert (control["least"], control["most"]) == (ends[0], ends[1] if math.isfinite(ends[1]) else None)
        assert control["whole"] == parameter.integer and control["names"] == []
    spans = {name: (controls[name]["low"], controls[name]["high"]) for name in controls if "low" in controls[name]}
    assert {name: span for name, span in spans.items() if span != (None, None)} == {
        "memory_devices": (2, 16), "memory_device_gib": (2, 24), "macs": (8192, 131072),
        "chat.prompt_tokens": (256, 512),
    }  # fmt: skip
    assert "hbm3" in controls["memory"]["names"] and "tsmc_5" in controls["node"]["names"]
    assert controls["chat.batch"]["default"] == 16 and controls["chat.batch"]["unit"] == ""
    assert controls["memory_device_gib"]["unit"] == "GiB"


def test_a_place_counts_the_designs_that_are_as_good_in_everything_and_better(answers):
    objectives = [(one.metric, 1 if one.direction == "minimize" else -1) for one in answers.run.spec.objectives]
    front = [[sign * row[metric] for metric, sign in objectives] for row in answers.run.front.to_dict("records")]
    counts = []
    for number in answers.run.designs["id"][::23]:
        answer = answers.evaluate(answers.design(int(number)))
        if None in (answer["metrics"][metric] for metric, _ in objectives):
            assert answer["place"] == {"feasible": False, "beaten_by": None}
            continue
        own = [sign * answer["metrics"][metric] for metric, sign in objectives]
        # Stored numbers have nine digits.
        better = [
            all(one <= mine * (1 + 1e-8 * (1 if mine > 0 else -1)) for one, mine in zip(point, own, strict=True))
            and any(one < mine - 1e-8 * abs(mine) for one, mine in zip(point, own, strict=True))
            for point in front
        ]
        assert answer["place"]["beaten_by"] == sum(better)
        assert answer["place"]["feasible"] == (answer["missed"] == [])
        counts.append(sum(better))
    assert min(counts) == 0 and max(counts) > 1


def test_times_of_a_measured_stack_lie_in_their_intervals_and_of_others_there_are_none(answers):
    design = answers.design(answers.run.picks[0]["id"])
    assert answers.evaluate(design)["intervals"] == {}
    found = answers.evaluate({**design, "serving_stack": "vllm"})
    assert {"chat.tpot_ms", "chat.ttft_ms"} <= set(found["intervals"])
    for name, (low, high) in found["intervals"].items():
        assert low < found["metrics"][name] < high, name


# -- the server ---------------------------------------------------------------------------------------------------


def asked(explorer, method="POST", *, path=None, body=b"{}", **headers):
    """Return status and content of an answer; the address is the page's where no path is given."""
    host, _, rest = explorer.address.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=20)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if method == "POST":
        names = {"Content-Type": "application/json", **names}
    connection.request(method, f"/{rest}{path or ''}" if not (path or "").startswith("/") else path, body, names)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def test_only_its_own_page_is_answered(explorer):
    good = json.dumps({"design": {"memory_devices": 8}}).encode()
    status, headers, content = asked(explorer, path="evaluate", body=good)
    assert status == 200 and json.loads(content)["metrics"]["chat.tpot_ms"] > 0
    assert "Access-Control-Allow-Origin" not in headers
    assert explorer.address.startswith("http://127.0.0.1:") and len(explorer.address.split("/")[3]) >= 32
    # Without the token, by another name (DNS rebinding), from another origin.
    assert asked(explorer, path="/evaluate", body=good)[0] == 404
    assert asked(explorer, path="/" + "x" * 32 + "/evaluate", body=good)[0] == 404
    assert asked(explorer, "GET", path="/", body=None)[0] == 404
    assert asked(explorer, path="evaluate", body=good, Host="evil.example")[0] == 421
    assert asked(explorer, path="evaluate", body=good, Origin="http://evil.example")[0] == 403
    assert asked(explorer, "GET", body=None, Host="evil.example:80")[0] == 421


@pytest.mark.parametrize(
    ("question", "body", "status"),
    [
        ("evaluate", b"not json", 400),
        ("evaluate", b"[1]", 400),
        ("evaluate", b'{"design": {"macs": NaN}}', 400),
        ("evaluate", b'{"design": {"macs": Infinity}}', 400),
        ("evaluate", b'{"design": {"macs": [1, 2]}}', 400),
        ("evaluate", b'{"design": 5}', 400),
        ("evaluate", b"[" * 60_000, 400),
        ("evaluate", b'{"design": {"macs": 1e400}}', 422),
        ("evaluate", b'{"design": {"nodes": 1}}', 422),
        ("evaluate", b" " * (1 << 17), 413),
        ("design", b'{"id": 99999999}', 422),
        ("design", b'{"id": "../etc/passwd"}', 400),
        ("elsewhere", b"{}", 404),
    ],
)
def test_a_wrong_question_is_refused_in_words(explorer, question, body, status):
    found, _, content = asked(explorer, path=question, body=body)
    assert found == status and json.loads(content)["issues"]


def test_only_json_is_read(explorer):
    # What a form of another page can send.
    assert asked(explorer, path="evaluate", body=b'{"design": {}}', Content_Type="text/plain")[0] == 400


def test_a_notebook_shows_the_page(explorer):
    assert f'src="{explorer.address}"' in explorer._repr_html_()


def test_the_command_serves_until_it_is_interrupted(path):
    command = [sys.executable, "-m", "dse", "explore", str(path)]
    # A job in the background ignores interruptions, and so would what it starts.
    told = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=told) as serving:
        try:
            line = serving.stdout.readline()
            assert line.startswith("http://127.0.0.1:")
            host, _, rest = line.split()[0].removeprefix("http://").partition("/")
            connection = http.client.HTTPConnection(host, timeout=20)
            connection.request("GET", f"/{rest}")
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            assert answer.status == 200 and b"connect-src 'self'" in content
            serving.send_signal(signal.SIGINT)
            assert serving.wait(20) == 0
        finally:
            serving.kill()


SEEN = """
const details = breakdownOf(live.row), value = (name) => columnOf.get(name).values[live.row];
return {
  tpot: value("chat.tpot_ms"), cost: value("cost_usd"), step: details.workloads.chat.decode.total_ms,
  area: byId("area-title").textContent, roof: byId("roofline").data[0].name,
  plan: byId("floorplan").layout.shapes.length, margins: byId("margins").data[0].x.length,
  mark: byId("scatter").layout.shapes.at(-1).xanchor,
}
"""

# -- the page -----------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_every_view_follows_a_control(explorer, answers, tmp_path):
    with chromium(tmp_path) as driver:
        driver.get(explorer.address)
        wait_for(driver, "return document.body.dataset.ready === 'yes'", seconds=90)

        def moved(script):
            before = driver.execute_script("return byId('live-state').dataset.answers")
            driver.execute_script(script)
            wait_for(driver, f"return byId('live-state').dataset.answers !== '{before}' && !live.busy")
            return driver.execute_script("return live.design")

        def typed(name, value):
            box = f"document.querySelector('[data-name=\"{name}\"]')"
            return f"{box}.value = '{value}'; {box}.dispatchEvent(new Event('change'))"

        driver.execute_script(
            "document.documentElement.style.scrollBehavior = 'auto'; byId('breakdown').scrollIntoView()"
        )
        wait_for(driver, "return !live.unseen && byId('floorplan').layout !== undefined")
        assert driver.execute_script("return report.stale === Boolean(byId('live-stale'))")
        first = driver.execute_script(SEEN)
        slider = "document.querySelector('[data-name=macs]').previousSibling"
        design = moved(f"{slider}.value = 1000; {slider}.dispatchEvent(new Event('input'))")
        assert design["macs"] == 131072
        now, told = driver.execute_script(SEEN), answers.evaluate(design)["metrics"]
        assert now["tpot"] == pytest.approx(told["chat.tpot_ms"], rel=1e-5)
        assert now["cost"] == pytest.approx(told["cost_usd"], rel=1e-5)
        assert now["step"] == pytest.approx(now["tpot"], rel=1e-3) and now["mark"] == pytest.approx(now["tpot"])
        for view in ("tpot", "cost", "step", "area", "roof", "mark"):
            assert now[view] != first[view], view
        assert now["plan"] > 4 and now["margins"] > 4
        moved(typed("chat.batch", 1))
        assert driver.execute_script(SEEN)["tpot"] < now["tpot"]
        driver.execute_script(typed("memory_devices", -1))
        wait_for(driver, "return byId('live-state').textContent.includes('memory_devices: -1 is not above 0')")
        times = driver.execute_script("return [byId('live-state').dataset.model, byId('live-state').dataset.whole]")
        print(f"a change: {float(times[0]):.0f} ms by the equations, {float(times[1]):.0f} ms on screen")
        requests = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        urls = [one["params"]["request"]["url"] for one in requests if one["method"] == "Network.requestWillBeSent"]
        assert len([url for url in urls if url.endswith("/evaluate")]) >= 3
        assert [url for url in urls if not url.startswith((explorer.address, "data:", "blob:", "chrome"))] == []
