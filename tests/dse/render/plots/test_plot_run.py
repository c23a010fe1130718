"""Which pictures of a run are asked for, with stand-ins for all that draw."""

from types import SimpleNamespace

import pytest

import dse.render.plots
from dse.errors import RunError, SpecError
from dse.render.plots import FIRST_KINDS, KINDS, OWN_KINDS, first_kinds, plot_run

DRAWERS = {
    "pareto": "pareto.draw_pareto",
    "curve": "curve.draw_curves",
    "margins": "margins.draw_margins",
    "pairs": "pareto.draw_pairs",
    "parallel": "parallel.draw_parallel",
    "roofline": "roofline.draw_rooflines",
    "floorplan": "floorplan.draw_floorplan",
    "breakdown": "breakdown.draw_breakdowns",
    "latency": "latency.draw_latency",
    "sensitivity": "space.draw_sensitivity",
    "hypervolume": "space.draw_hypervolume",
    "robust": "robustness.draw_robustness",
}
EXPLAINED = {"best tpot_ms": 1, "best cost_usd, knee": 2}, {"a100": 3}
READERS = {"scene_of": "the scene", "explanations_of": EXPLAINED, "curves_of": "curves"}


class Drawing:
    """What is asked for, and what each that draws returns."""

    def __init__(self, monkeypatch, path):
        self.asked, self.answers, self.draws = [], {}, False
        self.run = SimpleNamespace(
            path=path, spec=SimpleNamespace(builtin_disabled=False, library="own"), margins=[1], evaluator="evaluator",
            picks=[{"name": "best_tpot_ms", "design": "fast"}, {"name": "knee", "design": "middle"}],
        )  # fmt: skip
        monkeypatch.setattr(dse.render.plots, "open_run", lambda _: self.run)
        for kind, place in DRAWERS.items():
            monkeypatch.setattr(f"dse.render.plots.{place}", self.stand_in(kind))
        for name, answer in READERS.items():
            monkeypatch.setattr(f"dse.render.plots.reading.{name}", lambda run, answer=answer: self.read(run, answer))
        monkeypatch.setattr("dse.render.terminal.summary.pick_words", lambda name, spec: name)
        monkeypatch.setattr("dse.sweep.library_additions.library_of", lambda additions: f"library {additions}")
        monkeypatch.setattr("dse.uncertainty.files.has_draws", lambda run: self.draws)

    def read(self, run, answer):
        assert run is self.run
        self.asked.append("read")
        return answer

    def stand_in(self, kind):
        def draw(*given):
            *first, folder, formats = given
            assert folder == self.run.path / "plots" and folder.is_dir() and formats == ("svg", "png")
            self.asked.append((kind, *first))
            answer = self.answers.get(kind, [kind])
            if isinstance(answer, Exception):
                raise answer
            return answer

        return draw

    def __call__(self, kinds=None, **rest):
        self.asked.clear()
        return plot_run(self.run, kinds=kinds, formats=("svg", "png", "svg"), **rest)


@pytest.fixture
def draw(monkeypatch, tmp_path):
    return Drawing(monkeypatch, tmp_path)


def test_every_kind_is_drawn_once_from_what_is_read_once(draw):
    draw.draws = True
    wanted = [*DRAWERS]
    assert {*wanted} == {*KINDS} and draw() == wanted == draw([*reversed(KINDS), "pareto"])
    assert [one for one in draw.asked if one != "read"] == [
        ("pareto", "the scene"),
        ("curve", "curves"),
        ("margins", draw.run),
        ("pairs", "the scene"),
        ("parallel", "the scene"),
        # The die and the roofs of the pick that people look at first, under all its names.
        ("roofline", "best cost_usd, knee", 2, {"a100": 3}),
        ("floorplan", "best cost_usd, knee", 2, "library own"),
        ("breakdown", *EXPLAINED),
        ("latency", "knee", "evaluator", "middle"),
        ("sensitivity", draw.run),
        ("hypervolume", draw.run),
        ("robust", draw.run),
    ]
    assert draw.asked.count("read") == 3
    assert draw(["margins"]) == ["margins"] and draw.asked == [("margins", draw.run)]


def test_what_a_run_has_not_is_not_drawn(draw):
    # Without samples "robust" is drawn only where it is asked for, which is an error.
    assert draw() == [kind for kind in DRAWERS if kind != "robust"]
    with pytest.raises(RunError, match="has met no Monte Carlo samples yet"):
        draw(["robust"])
    draw.answers["curve"] = []
    assert draw(["curve"]) == ["latency"]
    draw.run.margins, draw.run.picks = [], [{"name": "nearest_to_targets", "design": "d"}]
    assert draw(["margins", "latency"]) == ["latency"] and draw.asked[-1][1] == "nearest to targets"
    draw.run.picks = []
    assert draw() == ["pareto", "pairs", "parallel", "sensitivity", "hypervolume"]


def test_a_picture_that_fails_leaves_the_others(draw):
    draw.answers["pareto"] = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        draw(["pareto", "pairs"])
    told = []
    assert draw(["pareto", "pairs"], failed=lambda kind, error: told.append((kind, str(error)))) == ["pairs"]
    assert told == [("pareto", "no")]


def test_a_model_of_the_users_has_no_pictures_of_the_equations(draw):
    assert first_kinds(draw.run) == FIRST_KINDS
    draw.run.spec.builtin_disabled = True
    assert first_kinds(draw.run) == ("pareto", "margins") and set(draw()) == {*OWN_KINDS}
    with pytest.raises(SpecError, match="roofline"):
        draw(["roofline"])
    for wrong in ({"kinds": ["pareot"]}, {"formats": ["gif"]}):
        with pytest.raises(SpecError):
            plot_run(draw.run, **wrong)
