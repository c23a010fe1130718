"""What an evaluator asks of the models and makes of their answers, with every model replaced by numbers by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.library.technology import Technology
from cost_models.performance.batching import CONTINUOUS
from cost_models.performance.operating_point import Slo
from cost_models.table import INACTIVE, Choice
from dse import evaluator as module
from dse.evaluator import MODEL_ANSWERS, Evaluator, _judged, _missing, _of_workload
from dse.margins import UNMET
from dse.sweep import parse_spec
from dse.sweep.fields import LARGEST
from tests.sweeps import minimized, tiny

NAN, INF = np.nan, np.inf


def workload(**parts):
    usual = {
        "ttft_limit_ms": None, "tpot_limit_ms": None, "load_tokens_per_s": None, "batching": "static",
        "required": True, "n_chips": 1,
    }  # fmt: skip
    return SimpleNamespace(**usual | parts)


def goal(metric, direction="minimize"):
    return SimpleNamespace(metric=metric, direction=direction)


def bound(metric, **parts):
    return SimpleNamespace(
        **{"max": None, "min": None, "relative_to": None, "metric": metric, "label": metric, **parts}
    )


def bare(**parts):
    """An evaluator of a sweep of which only what is given is there."""
    usual = {
        "workloads": {"chat": workload()}, "objectives": (goal("cost_usd"),), "constraints": (), "model": None,
        "mix": {}, "derived": (), "space": {}, "deployment": None, "baselines": {},
    }  # fmt: skip
    made = object.__new__(Evaluator)
    made.spec, made.model, made._drawn, made._known = SimpleNamespace(**usual | parts), None, False, {}
    made.technology = Technology()
    return made


# --- what is judged -------------------------------------------------------------------------------------------------


def test_designs_are_feasible_where_every_margin_is_met_and_every_objective_there():
    one = bare(objectives=(goal("a"), goal("b", "maximize")))
    metrics = {"a": np.array([1.0, 2, NAN, 4, 5, 6]), "b": np.array([7.0]), "c": np.array([8.0])}
    margins = {
        "x": np.array([0.0, 1, 1, -1e-9, 1, -INF]),
        "y": np.array([1.0, NAN, 1, 1, 0.5, 1]),
        "z": np.array([0.1]),
    }
    asked = []
    one._asked = lambda designs, wanted: [asked.append(wanted), (metrics, margins, 6, "failed")][1]
    found = one.evaluate({})
    assert found.feasible.tolist() == [True, False, False, False, True, False] and found.failed == "failed"
    assert found.objectives.tolist()[0] == [1, -7] and found.objectives[:, 1].tolist() == [-7] * 6
    assert found.margins["y"].tolist() == [1, UNMET, 1, 1, 0.5, 1] and found.margins["z"].tolist() == [0.1] * 6
    assert found.margins["x"].tolist() == [0, 1, 1, -1e-9, 1, -INF]
    assert found.missing is not None and found.missing.tolist() == [0, 1, 1, 0, 0, 1]
    assert {name: len(column) for name, column in found.metrics.items()} == {"a": 6, "b": 6, "c": 6}
    assert set(one.evaluate({}, metrics=()).metrics) == {"a", "b"}
    assert set(one.evaluate({}, metrics=["c"]).metrics) == {"a", "b", "c"}
    assert asked[0] is None and asked[1] == one._searched == {"a", "b"} and asked[2] == {"a", "b", "c"}
    one.spec.model = SimpleNamespace(metrics={"c": None})
    assert set(one.evaluate({}, metrics=()).metrics) == {"a", "b", "c"}, "a model's own are always told"
    margins.clear()
    metrics["a"] = np.arange(6.0)
    whole = one.evaluate({})
    assert whole.feasible.all() and whole.missing is None and whole.margins == {}


def test_what_is_missing_is_counted_by_row():
    t, f = True, False
    assert _missing([np.array([t, t])], 2) is None and _missing([], 2) is None
    found = _missing([np.array([t, f, f]), np.array([t]), np.array([t, t, f]), np.array([f])], 3)
    assert found is not None and found.tolist() == [1, 2, 3]
    assert _judged(np.array([NAN, 0.5]), 2).tolist() == [UNMET, 0.5]
    assert _judged(np.array([NAN]), 2).tolist() == [UNMET] * 2 and _judged(np.array([2.0]), 3).tolist() == [2] * 3
    assert _of_workload("a", {"a.x", "ab.y", "a.z.w", "x", "b.a.x"}) == {"x", "z.w"}


def test_metrics_that_judge_are_those_of_objectives_and_constraints():
    one = bare(constraints=(bound("macs"), bound("chat.batch"), bound("tdp_w")), space={"chat.batch": (), "node": ()})
    assert one.judging == {"cost_usd", "macs", "chat.batch", "tdp_w"}
    assert one._judged_columns == ("chat.batch", "macs"), "parameters, and what the sweep varies"
    mixed = bare(objectives=(goal("mix.tokens_per_s"),), mix={"chat": 1.0, "live": 2.0})
    assert mixed._searched >= {"mix.tokens_per_s", "chat.tokens_per_s", "live.tokens_per_s"}
    assert mixed._mixed({}, {}, {"chat.tpot_ms"}) == {} == bare()._mixed({}, {}, None)


def test_pools_are_there_where_the_sweep_or_a_baseline_has_one():
    assert not bare().has_pools and bare(deployment="apart").has_pools
    for prefill, there in ((None, False), ("1x", True)):
        entries = {"a": SimpleNamespace(prefill=None), "b": SimpleNamespace(prefill=prefill)}
        assert bare(baselines=entries).has_pools is there


# --- what is promised to users --------------------------------------------------------------------------------------


def test_limits_are_the_workloads_own_or_bounds_of_the_same_times():
    first = bound("chat.ttft_ms", max=900.0)
    others = (
        bound("chat.tpot_ms", max=30.0), bound("chat.ttft_ms", min=1.0),
        bound("live.ttft_ms", max=5.0, relative_to="a"),
    )  # fmt: skip
    own = {"ttft_limit_ms": 0.0, "tpot_limit_ms": 20.0, "load_tokens_per_s": 7.0}
    for parts, limits in (
        ({}, None),
        ({"batching": CONTINUOUS}, Slo(900, 30)),
        ({"ttft_limit_ms": 100.0}, Slo(100, 30)),
        ({"tpot_limit_ms": 10.0}, Slo(900, 10)),
        ({"load_tokens_per_s": 5.0}, Slo(900, 30, 5)),
        (own, Slo(0, 20, 7)),
    ):
        assert bare(workloads={"chat": workload(**parts)}, constraints=(first, *others)).limits == {"chat": limits}, (
            parts
        )
    assert bare(workloads={"live": workload(batching=CONTINUOUS)}, constraints=others).limits == {"live": Slo()}
    for metric in ("max_batch", "tokens_per_s_at_max_batch", "chips_for_load"):
        both = {"chat": workload(), "live": workload()}
        one = bare(workloads=both, objectives=(goal(f"chat.{metric}"),), constraints=others)
        assert one.limits == {"chat": Slo(None, 30), "live": None}, metric


# --- the sweep's own model ------------------------------------------------------------------------------------------


OWN = SimpleNamespace(metrics={"noise": None}, inputs=("tdp_w",), replace=False)
MACS = {"macs": np.array([64.0, 128.0])}


def measured(one, designs=MACS, wanted=None, *, drawn=1, found=None):
    """What a bare evaluator measures, and what it asked of the built-in equations and of references."""
    asked = {}

    def ours(designs, columns, technology, wanted):
        asked["wanted"] = wanted
        return {"tdp_w": np.array([5.0]), **(found or {})}, {"limit": np.array([0.5])}

    one._ours = ours
    one.technology_of = lambda designs: SimpleNamespace(columns=lambda: {"p": np.zeros(drawn)})
    one.references = "references"
    one.constraint_margins = lambda metrics, references: asked.update(references=references) or {"c": np.float64(0.25)}
    return asked, one._measured(designs, wanted)


def test_what_is_measured_has_as_many_rows_as_designs_or_draws():
    asked, (metrics, margins, rows, failed) = measured(bare(constraints=(bound("macs"),)))
    assert rows == 2 and failed is None and asked == {"wanted": None, "references": "references"}
    assert metrics["macs"].tolist() == [64, 128] and {k: v.tolist() for k, v in margins.items()} == {
        "limit": [0.5], "c": [0.25],
    }  # fmt: skip
    assert measured(bare(), drawn=7)[1][2] == 7
    kept = measured(bare(constraints=(bound("macs"),)), found={"macs": "found"})[1][0]
    assert kept["macs"] == "found"
    drawn = bare()
    drawn._drawn = True
    assert measured(drawn)[0]["references"] is None
    assert measured(bare(), wanted=frozenset({"x"}))[0] == {"wanted": {"x"}, "references": None}


def test_a_model_of_the_sweeps_own_answers_beside_ours_or_in_its_place():
    failed = Choice(("hot",), np.array([INACTIVE, 0]))
    asked = []

    def model(designs, inputs, rows):
        asked.append((designs["macs"].tolist(), {name: one.tolist() for name, one in inputs.items()}, rows))
        return SimpleNamespace(metrics={"noise": np.array([3.0, NAN]), "tdp_w": np.array([6.0])}, failed=failed)

    one = bare(model=OWN)
    told, (metrics, margins, _, why) = measured(one)
    assert why is None and np.isnan(metrics["noise"]).tolist() == [True, True] and MODEL_ANSWERS not in margins
    assert metrics["tdp_w"].tolist() == [5] and told["wanted"] is None
    one.model = model
    told, (metrics, margins, _, why) = measured(one, wanted=frozenset({"x"}))
    assert told["wanted"] == {"x", "tdp_w"} and why is failed and asked == [([64, 128], {"tdp_w": [5]}, 2)]
    assert metrics["tdp_w"].tolist() == [6] and margins[MODEL_ANSWERS].tolist() == [1, UNMET]
    assert list(margins) == ["limit", MODEL_ANSWERS, "c"]
    alone = bare(model=SimpleNamespace(metrics={"noise": None}, inputs=(), replace=True))
    alone.model = model
    told, (metrics, margins, _, _) = measured(alone)
    assert "wanted" not in told and "limit" not in margins and metrics["noise"].tolist()[0] == 3


def test_a_search_replays_what_is_ours_alone():
    answers = {("metrics", "a"): np.zeros(1), ("margins", "c"): np.ones(3)}

    def asked(one, wanted, drawn=False):
        one._drawn, one._searched = drawn, frozenset({"a"})
        one._measured = lambda designs, wanted: "measured"
        one.replayed = lambda designs: answers
        return one._asked({"macs": np.zeros(3), "node": np.zeros(1)}, wanted)

    metrics, margins, rows, failed = asked(bare(), frozenset({"a"}))
    assert (list(metrics), list(margins), rows, failed) == (["a"], ["c"], 3, None)
    for one, wanted, drawn in (
        (bare(), None, False),
        (bare(), frozenset({"a", "b"}), False),
        (bare(model=OWN), frozenset({"a"}), False),
        (bare(derived=("d",)), frozenset({"a"}), False),
        (bare(), frozenset({"a"}), True),
    ):
        assert asked(one, wanted, drawn) == "measured"
    one = bare()
    one._measured = lambda designs, wanted: ({"cost_usd": 1, "other": 2}, {"c": 3}, 1, None)
    assert one.judged({}) == {("metrics", "cost_usd"): 1, ("margins", "c"): 3}
    one._measured = lambda designs, wanted: ({}, {"c": np.array([NAN, 0.5]), "d": np.array([NAN])}, 9, None)
    assert {name: one.tolist() for name, one in one.margins({}).items()} == {"c": [UNMET, 0.5], "d": [UNMET]}


# --- what is handed on ----------------------------------------------------------------------------------------------


def test_parameters_workloads_and_machines_are_worked_out_once_where_nothing_moves_them():
    spec = parse_spec(tiny())
    one = Evaluator(spec)
    assert one.technology_of(MACS) is one.technology
    moved = one.technology_of({"technology.tco.pue": np.array([1.2, 1.3])})
    assert moved.columns()["tco.pue"].tolist() == [1.2, 1.3]
    assert one.workload("chat") is one.workload("chat", {"macs": 1, "chatter.batch": 2}) is one._workloads["chat"]
    assert np.asarray(one.workload("chat", {"chat.batch": np.array([3.0])}).batch).tolist() == [3]
    machine = object()
    assert one._reading({}, {"macs": 1}, machine, one.technology) == ({"macs": 1}, machine)
    assert one._reading({"prefill.macs": 1}, {"macs": 2}, machine, one.technology) == ({"macs": 2}, machine)
    design = {"memory": Choice.of("hbm3"), "memory_device_gib": np.array([16.0]), "macs": np.array([65536.0])}
    known = one.machine(design)
    served = one.results(design, machine=known)
    assert list(served) == ["chat"] and served["chat"].machine is known
    assert one.results(design, []) == {} and one.results(design)["chat"].machine is not known


def test_each_workload_has_the_conditions_that_are_its_own():
    usual = {"model": "llama3_8b", "prompt_tokens": 256, "output_tokens": 64}
    spec = parse_spec({
        "name": "all", "search": {"sampler": "grid"}, "objectives": minimized("pair.tpot_ms"),
        "workloads": {
            "idle": {**usual, "required": False}, "hidden": {**usual, "required": False, "n_chips": 2},
            "chat": {**usual, "batch": 2}, "pair": {**usual, "n_chips": 2}, "spread": usual,
            "live": {**usual, "batching": "continuous", "concurrency": 1},
            "spare": {**usual, "batching": "continuous", "concurrency": 1, "required": False},
        },
        "space": {"memory": "hbm3", "memory_devices": 4, "memory_device_gib": 16, "macs": 65536, "link_gbps": 100,
                  "spread.n_chips": {"values": [1, 2]}},
    })  # fmt: skip
    design = {
        "memory": Choice.of("hbm3"), "memory_devices": np.array([4.0]), "memory_device_gib": np.array([16.0]),
        "macs": np.array([65536.0]), "link_gbps": np.array([100.0]), "spread.n_chips": np.array([1.0]),
    }  # fmt: skip
    one = Evaluator(spec)
    found, searched = one.evaluate(design), one.evaluate(design, metrics=())
    for result in (found, searched):
        assert [name for name in result.margins if "." in name] == [
            "chat.capacity", "pair.capacity", "pair.link", "spread.capacity", "spread.link", "live.load",
            "live.capacity",
        ]  # fmt: skip
        assert result.feasible.all()
    assert set(searched.metrics) == {"pair.tpot_ms"}
    some = one.evaluate(design, metrics=["hidden.tpot_ms"]).metrics
    assert set(some) == {"pair.tpot_ms", "hidden.tpot_ms"} and some["hidden.tpot_ms"] == found.metrics["hidden.tpot_ms"]
    assert {f"{name}.tpot_ms" for name in spec.workloads} <= set(found.metrics)


def test_chips_that_read_prompts_have_what_is_said_of_them_alone(monkeypatch):
    monkeypatch.setattr(module, "designs_machine", lambda table, technology, economics: ("machine", table))
    one = bare(deployment="apart")
    one.economics = None
    assert one._reading({"macs": 1}, {"macs": 2}, "own", None) == ({"macs": 2}, "own")
    both = {"macs": np.array([1024.0]), "sram_mib": np.array([8.0]), "prefill.macs": np.array([2048.0])}
    table, (kind, same) = one._reading(both, {}, "own", None)
    assert kind == "machine" and same is table and "prefill.macs" not in table
    assert table["macs"].tolist() == [2048] and table["sram_mib"].tolist() == [8] and len(table) > 20


@pytest.mark.parametrize("apart", [None, ("design", "design"), ("chips", "design"), ("design", "chips")])
def test_prompts_are_read_and_tokens_written_where_the_sweep_says(apart, monkeypatch):
    def pool(kind, layout):
        return SimpleNamespace(setup=f"setup {layout}", layout=lambda spec: layout) if kind == "chips" else None

    one = bare()
    if apart is not None:
        prefill, decode = (pool(kind, name) for kind, name in zip(apart, ("tp2", "pp2"), strict=True))
        one.spec.deployment = SimpleNamespace(prefill=prefill, decode=decode, network_gbps=25.0)
    served = SimpleNamespace(layout="own layout")
    one.limits, one.economics, one.workload = {"chat": "limits"}, "money", lambda name, designs: served
    monkeypatch.setattr(module, "replace", lambda given, **parts: (given, parts))
    monkeypatch.setattr(module, "on_chips", lambda given, *, network_gbps: f"on {network_gbps:g} GB/s")
    monkeypatch.setattr(module, "prompts_of", lambda given, layout: (given, layout))
    monkeypatch.setattr(module, "serve_chip", lambda setup, given, technology, **parts: (setup, given, parts))
    monkeypatch.setattr(
        module, "serve_designs", lambda table, given, technology, economics, **parts: (table, given, parts)
    )
    monkeypatch.setattr(module, "Prefill", lambda first, network: (first, network))
    monkeypatch.setattr(module.Network, "of", lambda technology, gbps: gbps)
    found = one._result("chat", {}, "columns", "machine", None, ("table", "reading"))
    if apart is None:
        assert found == ("columns", served, {"machine": "machine", "limits": "limits"})
        return
    first = ("table", (served, "own layout"), {"machine": "reading"})
    if apart[0] == "chips":
        first = ("setup tp2", ("on 25 GB/s", "tp2"), {})
    together = {"limits": "limits", "prefill": (first, 25.0)}
    if apart[1] == "chips":
        assert found == ("setup pp2", ("on 25 GB/s", {"parallelism": "pp2"}), together)
    else:
        assert found == ("columns", served, {"machine": "machine", **together})


def test_constraints_are_held_against_the_baselines_that_are_known(monkeypatch):
    one = bare(constraints=(bound("x"), bound("y")))
    one.judging_references = "those that judge"
    monkeypatch.setattr(
        module, "constraint_margin", lambda constraint, metrics, known: (metrics[constraint.metric], known)
    )
    for given, known in ((None, "those that judge"), ({}, {}), ({"a": 1}, {"a": 1})):
        assert one.constraint_margins({"x": 1, "y": 2}, given) == {"x": (1, known), "y": (2, known)}


# --- baselines ------------------------------------------------------------------------------------------------------


def test_metrics_of_baselines_are_worked_out_once_and_as_far_as_they_are_asked_for():
    alike = dict.fromkeys(("batch", "parallelism", "prefill", "node_chips", "network_gbps"))
    a, b, c = SimpleNamespace(**alike), SimpleNamespace(**alike), SimpleNamespace(**alike | {"batch": 8})
    relative = (bound("x", relative_to="a"), bound("y", relative_to="a"), bound("z"), bound("z", relative_to="b"))
    one, asked = bare(baselines={"a": a, "c": c, "b": b}, constraints=relative), []

    def columns(*entries, batches=None, metrics=None):
        asked.append(([*map(id, entries)], metrics))
        return {"x": np.arange(1.0, 1 + len(entries)), "y": np.array([3.0])}

    one.baseline_columns = columns
    assert one.baseline(c) == {"x": 1, "y": 3}
    found = {"a": {"x": 1, "y": 3}, "c": {"x": 1, "y": 3}, "b": {"x": 2, "y": 3}}
    asked.clear()
    some = one.some_of_baselines(frozenset({"x"}))
    assert some == found and list(some) == list(found)
    assert asked == [([id(a), id(b)], {"x"}), ([id(c)], {"x"})], "those that are served alike are one table"
    assert one._referred == {"a": {"x", "y"}, "b": {"z"}}
    asked.clear()
    assert list(one.judging_references) == ["a", "b"] and asked == [([id(a)], {"x", "y"}), ([id(b)], {"z"})]
    asked.clear()
    assert list(one.references) == ["a", "b"] and asked == [([id(a), id(b)], None)]
    assert one.baselines == found and asked[1:] == [([id(c)], None)], "once each"
    assert one.references["b"]["x"].tolist() == [2] and one.references["b"]["y"].tolist() == [3]
    del one.__dict__["judging_references"]
    assert one.judging_references["a"] is one.references["a"] and len(asked) == 2
    asked.clear()
    assert one.some_of_baselines(frozenset({"x"})) == found and not asked, "all of them hold some"
    one._drawn, one._known = True, {}
    one.some_of_baselines(frozenset())
    assert [entries for entries, _ in asked] == [[id(a)], [id(c)], [id(b)]], "draws are rows already"


def test_baselines_of_one_table_are_those_that_are_worked_out_alone():
    chat, queue = {"model": "llama2_7b"}, {"model": "llama2_7b", "batching": "continuous", "tpot_limit_ms": 50}
    chips = {
        "one": {"chips": "1x a100_80gb_sxm"},
        "many": {"chips": "16x h100_sxm", "weight_format": "fp8", "act_bits": 8},
        "tpu": {"chips": "4x tpu_v4", "kv_bits": 8},
        "other": {"chips": "2x h100_sxm", "batch": 3},
    }
    spec = parse_spec(tiny(workloads={"chat": chat, "queue": queue}, baselines=chips))
    together, alone = Evaluator(spec).baselines, Evaluator(spec)
    for name, entry in spec.baselines.items():
        assert together[name] == pytest.approx(alone.baseline(entry), rel=1e-12, abs=0, nan_ok=True), name
        assert list(together[name]) == list(alone.baseline(entry)) and together[name]["queue.tpot_ms"] > 0


@pytest.mark.parametrize(
    ("entry", "batches", "continuous", "field", "batch"),
    [
        ({}, None, False, None, "kept"),
        ({"batch": 8}, None, False, "w.batch", "kept"),
        ({"batch": 8}, None, True, "w.concurrency", "kept"),
        ({"batch": 8}, [2.0, 4.0], False, "w.batch", "kept"),
        ({"batch": LARGEST}, None, False, None, "largest"),
        ({"batch": LARGEST}, [2.0, 4.0], False, "w.batch", "kept"),
        ({"parallelism": "tp2"}, None, False, None, "kept"),
    ],
)
def test_chips_serve_a_workload_as_their_entry_says(entry, batches, continuous, field, batch, monkeypatch):
    usual = {
        "count": 3, "batch": None, "node_chips": 2, "network_gbps": 25.0, "parallelism": None, "prefill": None,
        "setup": "setup",
    }  # fmt: skip
    entry = SimpleNamespace(**usual | entry)
    one, asked = bare(workloads={"w": workload(batching=CONTINUOUS if continuous else "static")}), {}
    one.limits = {"w": "limits"}
    one.workload = lambda name, fields: asked.update(fields=fields) or {"batch": "kept", "parallelism": None}
    monkeypatch.setattr(module, "replace", lambda served, **parts: {**served, **parts})
    monkeypatch.setattr(module, "on_chips", lambda served, **parts: asked.update(parts) or served)
    monkeypatch.setattr(module, "serve_chips", lambda setups, served, technology, **parts: (setups, served, parts))
    given = None if batches is None else np.array(batches)
    setup, served, parts = one.serve_baseline(entry, "w", batches=given)
    assert setup == ["setup"] and parts == {"limits": "limits", "prefill": None}
    assert (asked["node_chips"], asked["network_gbps"]) == (2, 25)
    told = {name: column.tolist() for name, column in asked["fields"].items()}
    assert told == {"w.n_chips": [3.0], **({field: batches or [8.0]} if field else {})}
    assert (served["batch"] == "kept") == (batch == "kept") and served["parallelism"] == entry.parallelism
    assert batch == "kept" or np.isnan(served["batch"])


def test_baselines_have_what_is_wanted_and_nothing_of_designs_or_of_a_model():
    spec = parse_spec(
        tiny(baselines={"gpu": {"chips": "1x a100_80gb_sxm"}}, constraints=[{"metric": "macs", "max": 1e6}])
    )
    one = Evaluator(spec)
    entry = spec.baselines["gpu"]
    whole, few = one.baseline_columns(entry), one.baseline_columns(entry, metrics=frozenset({"tdp_w"}))
    assert np.isnan(whole["macs"]).all() and np.isnan(few["macs"]).all()
    assert (
        "chat.tpot_ms" in whole and not any(name.startswith("chat.") for name in few) and few["tdp_w"].tolist() == [400]
    )
    some = one.baseline_columns(entry, metrics=frozenset({"chat.tpot_ms"}))
    assert (
        some["chat.tpot_ms"].tolist() == whole["chat.tpot_ms"].tolist() and "chat.co2e_g_per_million_tokens" not in some
    )
    one.spec = SimpleNamespace(
        **{name: getattr(spec, name) for name in ("workloads", "mix", "derived", "deployment", "baselines")},
        model=SimpleNamespace(metrics={"noise": None}),
    )
    assert np.isnan(one.baseline_columns(entry)["noise"]).all()
