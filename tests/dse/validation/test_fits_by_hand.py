"""Fits of made functions whose least squares have closed forms, and the checks of real chips by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import Choice
from dse.validation import calibrate, held_out, intervals, score_tables, stack_fit
from dse.validation.rows import MeasurementError
from dse.validation.silicon import checks, fit, price
from dse.validation.silicon.designs import scoped_power_w
from dse.validation.silicon.fit import Fits, LeftOut
from dse.validation.stack_fit import Pull, fit_constants

LIBRARY = shipped_library()


class Told(dict):
    """A technology that holds nothing but what replaces its parameters."""

    library = None

    def with_overrides(self, values):
        return Told({**self, **values})

    def value(self, name):
        return self[name]


# --- constants of a stack ---------------------------------------------------------------------------------------------


@pytest.fixture
def linear(monkeypatch):
    """Log ratios that are linear in the logarithms of two constants: `offset + slopes @ log(constants)`."""

    def put(slopes, offset, *, most=(np.inf, np.inf)):
        monkeypatch.setattr(stack_fit, "Technology", lambda told, library: told)

        def log_ratios(rows, stack, told):
            logs = np.log([told[f"stacks.{stack}.{name}"] for name in ("a", "b")])
            return offset + slopes @ logs

        monkeypatch.setattr(stack_fit, "log_ratios", log_ratios)
        bounds = [SimpleNamespace(bounds=SimpleNamespace(high=high)) for high in most]
        return SimpleNamespace(parameters=dict(zip(("stacks.s.a", "stacks.s.b"), bounds, strict=True)))

    return put


RNG = np.random.default_rng(3)
SLOPES, OFFSET = RNG.normal(size=(12, 2)), 0.1 * RNG.normal(size=12)
ROWS = pd.DataFrame({"source": ["x", "y", "z"] * 4})


def test_constants_are_those_of_least_squares_pulled_to_their_start(linear):
    library = linear(SLOPES, OFFSET)
    start, spread, weight = {"a": 2.0, "b": 0.5}, np.array([0.3, 0.6]), np.linspace(1, 3, 12)
    # A knee far beyond every row: plain least squares of rows by weight, and of logarithms by spread.
    found = fit_constants(ROWS, "s", start, Pull(weight, spread, 1e3), library)
    matrix = np.concatenate([weight[:, None] * SLOPES, np.diag(1 / spread)])
    first = np.log(list(start.values()))
    wanted = np.concatenate([-weight * (OFFSET + SLOPES @ first), np.zeros(2)])
    moves = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    assert np.log(list(found.values.values())) - first == pytest.approx(moves, abs=2e-3)
    assert list(found.errors.values()) == pytest.approx(np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix))), rel=1e-6)
    errors = np.abs(np.exp(OFFSET + SLOPES @ (first + moves)) - 1)
    assert found.miss == pytest.approx(np.median(errors), abs=2e-3)
    assert (found.rows, found.sources) == (12, ("x", "y", "z"))
    again = fit_constants(ROWS, "s", start, Pull(weight, spread, 1e3), library, guess={"a": 3.0, "b": 0.9})
    assert list(again.values.values()) == pytest.approx(list(found.values.values()), rel=2e-3)


def test_rows_beyond_the_knee_pull_in_proportion(linear):
    # One constant alone, two rows 0.2 too low and one 3 too high: squares give the mean, distances the median.
    slopes = np.array([[1.0, 0.0]] * 3)
    library = linear(slopes, np.array([-0.2, -0.2, 3.0]))
    start, free = {"a": 1.0, "b": 1.0}, np.array([1e3, 1.0])
    square, near = (
        np.log(fit_constants(ROWS[:3], "s", start, Pull(np.ones(3), free, knee), library).values["a"])
        for knee in (1e3, 0.01)
    )
    assert square == pytest.approx(-2.6 / 3, abs=2e-3) and near == pytest.approx(0.2, abs=0.02)

    # Where the pulls of rows on either side are equal: knee * sqrt(2 (sqrt(1 + (r / knee)^2) - 1)) by its derivative.
    def pull(x, knee):
        r = x + np.array([-0.2, -0.2, 3.0])
        return (r / np.sqrt(1 + (r / knee) ** 2)).sum()

    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if pull(middle, 0.5) < 0 else (low, middle)
    half = np.log(fit_constants(ROWS[:3], "s", start, Pull(np.ones(3), free, 0.5), library).values["a"])
    assert half == pytest.approx(low, abs=0.01)


def test_a_constant_stays_below_its_bound(linear):
    slopes = np.array([[1.0, 0.0]] * 3)
    library = linear(slopes, np.full(3, -1.0), most=(1.5, np.inf))
    pull = Pull(np.ones(3), np.array([1e3, 1.0]), 1e3)
    found = fit_constants(ROWS[:3], "s", {"a": 1.0, "b": 1.0}, pull, library)
    assert found.values["a"] == pytest.approx(1.5, rel=1e-3)
    free = fit_constants(ROWS[:3], "s", {"a": 1.0, "b": 1.0}, pull, linear(slopes, np.full(3, -1.0)))
    assert free.values["a"] == pytest.approx(np.e, rel=1e-2)


def test_constants_that_hold_meanwhile_are_told(linear, monkeypatch):
    library, told = linear(SLOPES, OFFSET), []
    plain = stack_fit.log_ratios
    monkeypatch.setattr(stack_fit, "log_ratios", lambda rows, stack, one: told.append(one) or plain(rows, stack, one))
    fit_constants(ROWS, "s", {"a": 1.0, "b": 1.0}, Pull(np.ones(12), 1.0, 1e3), library, fixed={"c": 7.0})
    assert all(one["stacks.s.c"] == 7.0 and set(one) == {"stacks.s.a", "stacks.s.b", "stacks.s.c"} for one in told)


# --- calibration ------------------------------------------------------------------------------------------------------


def parameter(typ, low, high, note="fitted on 9 end-to-end rows", most=np.inf):
    return SimpleNamespace(typ=typ, low=low, high=high, note=note, bounds=SimpleNamespace(high=most))


def test_a_stack_starts_from_its_fitted_constants_within_their_ranges():
    told = {
        "a": parameter(2.0, 1.0, 4.0), "b": parameter(2.0, 1.0, 4.0, "assumed"), "c": parameter(2.0, None, 4.0),
        "d": parameter(2.0, 2.0, 2.0), "e": parameter(2.0, 1.0, 4.0, "fitted on power"), "f": parameter(3.0, 1.0, 16.0),
        "g": parameter(2.0, 0.0, 4.0),
    }  # fmt: skip
    library = SimpleNamespace(
        stack=lambda key: SimpleNamespace(parameters=dict.fromkeys(told), base=None),
        parameters={f"stacks.s.{name}": one for name, one in told.items()},
    )
    start, spread = calibrate._starts("s", library)
    assert start == {"a": 2.0, "f": 3.0} and spread == pytest.approx([np.log(4) / 4, np.log(16) / 4])
    none = SimpleNamespace(stack=lambda key: SimpleNamespace(parameters={}, base=None), parameters={})
    with pytest.raises(MeasurementError, match="stack s has no fitted constants to start from"):
        calibrate._starts("s", none)


@pytest.mark.parametrize(("most", "high", "value"), [(np.inf, 3 * np.e, 3.0), (4.0, 4.0, 3.0), (2.0, 2.0, 2.0)])
def test_a_constant_ends_two_standard_errors_away_and_within_its_bound(most, high, value):
    whole = SimpleNamespace(values={"a": 3.0}, errors={"a": 0.5})
    library = SimpleNamespace(parameters={"stacks.s.a": parameter(1.0, 1.0, 1.0, most=most)})
    one = calibrate._constant("a", 1.0, whole, "s", library)
    assert (one.low, one.value, one.high) == pytest.approx((3 / np.e, value, high)) and one.base == 1.0


# --- what was left out ------------------------------------------------------------------------------------------------


ROW = {"chip": "x", "source": "s", "stack": "vllm", "model": "m", "measured_s": 1.0}


def test_rows_are_predicted_by_the_constants_of_their_fold(monkeypatch):
    folds = {("chip", "x", "vllm"): {"a": 2.0}, ("chip", "y", "vllm"): {"a": 3.0}, ("source", "s", "ideal"): {"a": 5.0}}
    monkeypatch.setattr(held_out, "_folds", lambda library: folds)
    monkeypatch.setattr(
        held_out, "predict", lambda rows, told, *, stack, bounds: rows.assign(predicted_s=told.get("a", 1.0))
    )
    monkeypatch.setattr(held_out, "generic_stack", lambda chip, library: "ideal")
    rows = pd.DataFrame([ROW, ROW | {"chip": "z"}, ROW | {"chip": "y", "source": "t"}, ROW | {"stack": "other"}])
    found = held_out.unseen_chips(rows, Told())
    assert found["predicted_s"].to_dict() == {0: 2.0, 2: 3.0}, "a chip that alone made its stack has no prediction"
    sources = held_out.unseen_sources(rows, Told())
    assert sources["predicted_s"].to_dict() == {0: 5.0, 1: 5.0, 3: 5.0, 2: 1.0} and set(sources["stack"]) == {"ideal"}
    assert not len(held_out.unseen_chips(rows[1:2], Told())) and not len(held_out.unseen_chips(rows[:0], Told()))


def test_energy_is_predicted_by_the_constants_of_its_fold(monkeypatch):
    monkeypatch.setattr(held_out, "_power_folds", lambda library: {("chip", "x"): {"a": 2.0}})

    def served(part, told):
        value = told.get("a", 1.0)
        return part.assign(predicted_s=value, predicted_j=2 * value, predicted_w=3 * value)

    monkeypatch.setattr(held_out.power, "served_power", served)
    rows = pd.DataFrame([ROW, ROW | {"chip": "y"}, ROW | {"model": "n"}])
    found = held_out.unseen_power(rows, "chip", Told()).sort_index()
    assert found["predicted_w"].tolist() == [6.0, 3.0, 6.0] and found["predicted_j"].tolist() == [4.0, 2.0, 4.0]
    assert len(held_out.unseen_power(rows[:0], "chip", Told())) == 0


def test_rows_of_better_grades_and_known_batches_are_judged_without_their_chip(monkeypatch):
    asked = {}

    def unseen(rows, technology):
        asked["rows"] = rows.index.tolist()
        return rows

    def ends(rows, library, *, own_left_out=False):
        asked["left out"] = own_left_out
        return rows.assign(inside=1.0, low_s=1.0, high_s=5.0)

    monkeypatch.setattr(score_tables, "unseen_chips", unseen)
    monkeypatch.setattr(score_tables, "with_intervals", ends)
    rows = pd.DataFrame({
        "grade": list("ABCA"), "batch_given": [True, True, True, False], "quantity": "decode", "inside": np.nan,
        "low_s": 1.0, "high_s": 2.0,
    })  # fmt: skip
    (table,) = score_tables._intervals(rows, Technology())
    assert asked == {"rows": [0, 1], "left out": True}
    assert (table.key, table.frame.loc["all", "n"], table.frame.loc["all", "width"]) == ("intervals_unseen_chip", 2, 5)


def test_tables_of_what_was_not_seen_are_scored_by_source(monkeypatch):
    def made(rows, technology):
        return rows.assign(predicted_s=rows["measured_s"] * 1.2)

    monkeypatch.setattr(score_tables, "unseen_chips", made)
    monkeypatch.setattr(score_tables, "unseen_sources", lambda rows, technology: rows[:0])
    rows = pd.DataFrame({
        "source": list("ab"), "source_id": list("ab"), "config_key": "", "quantity": "decode", "stack": "ideal",
        "measured_s": [1.0, 2.0], "predicted_s": 9.0, "bound_s": 0.5,
    })  # fmt: skip
    (table,) = score_tables._unseen(rows, Technology())
    line = table.frame.loc["decode"]
    assert (line["sources"], line["n"], line["target"], line["constants"]) == (2, 2, 0.12, 0)
    assert line["mdape"] == pytest.approx(0.2) and table.note == "decode a 20 %, decode b 20 %"


def test_packages_of_one_die_are_one_die():
    chips = {
        "a": ("nvidia", "p", 800.0), "b": ("nvidia", "p", 800.0), "c": ("amd", "p", 800.0), "d": ("nvidia", "q", 800.0),
        "e": ("nvidia", "p", None), "f": ("nvidia", "p", None),
    }  # fmt: skip
    made = {key: SimpleNamespace(vendor=v, process=p, die_mm2=area) for key, (v, p, area) in chips.items()}
    library = SimpleNamespace(chips=made, chip=made.__getitem__)
    assert [intervals.die_of(key, library) for key in "abcdef"] == ["a", "a", "c", "d", "e", "f"]
    assert intervals.variants("b", library) == {"a", "b"}


# --- real chips -------------------------------------------------------------------------------------------------------


class Chips:
    """Chips whose published area is a product of powers of two constants, with a known rest."""

    def __init__(self, slopes, real, dies, times=1):
        self.slopes, self.real, self.own, self.times = slopes, real, list(dies), times

    def __len__(self):
        return len(self.real) * self.times

    @property
    def dies(self):
        return self.own * self.times

    def repeated(self, times):
        return Chips(self.slopes, self.real, self.own, times)


def of_powers(chips, told):
    logs = np.stack([np.broadcast_to(np.log(told[name]), len(chips)) for name in ("a", "b")], axis=1)
    return np.exp((np.tile(chips.slopes, (chips.times, 1)) * logs).sum(axis=1))


@pytest.fixture
def powers(monkeypatch):
    monkeypatch.setattr(fit, "starts", lambda quantity, library: {"a": 1.5, "b": 0.8})
    monkeypatch.setattr(fit, "QUANTITIES", ("area",))
    monkeypatch.setattr(fit, "PREDICTED", {"area": of_powers})
    monkeypatch.setattr(fit, "published", lambda chips, quantity: np.tile(chips.real, chips.times))
    monkeypatch.setattr(fit, "informed", lambda library: {})
    rng = np.random.default_rng(1)
    slopes = rng.uniform(0.5, 2, (8, 2)) * [1, -1]
    real = np.exp(slopes @ [0.7, 0.3] + 0.1 * rng.normal(size=8))
    real[6] = np.nan
    return Chips(slopes, real, "aabcdefg")


def test_constants_of_area_are_those_of_least_squares_of_logarithms(powers):
    used = np.ones((2, 8), bool)
    used[1, :2] = False
    found = fit.fit(powers.repeated(2), "area", used, Told())
    for fold, mask in enumerate(used):
        kept = mask & np.isfinite(powers.real)
        matrix, wanted = powers.slopes[kept], np.log(powers.real[kept])
        logs = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
        rest = wanted - matrix @ logs
        variance = (rest**2).sum() / (kept.sum() - 2)
        assert np.log(found.values[fold]) == pytest.approx(logs, abs=1e-6)
        expected = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)) * variance)
        assert found.errors[fold] == pytest.approx(expected, rel=1e-3)
    assert found.names == ("a", "b")


def test_every_die_is_predicted_without_itself(powers):
    found = fit.left_out(powers, Told())
    for row, die in enumerate(powers.own):
        kept = np.array([one != die for one in powers.own]) & np.isfinite(powers.real)
        logs = np.linalg.lstsq(powers.slopes[kept], np.log(powers.real[kept]), rcond=None)[0]
        assert np.log(found.predicted["area"][row]) == pytest.approx(powers.slopes[row] @ logs, abs=1e-6)
        assert list(found.unaware[die].values()) == pytest.approx(np.exp(logs), rel=1e-6)
    kept = np.isfinite(powers.real)
    logs = np.linalg.lstsq(powers.slopes[kept], np.log(powers.real[kept]), rcond=None)[0]
    assert np.log(found.in_sample["area"]) == pytest.approx(powers.slopes @ logs, abs=1e-6)
    assert found.fits["area"].values.shape == (8, 2)


def test_what_a_die_told_the_library_is_what_it_would_be_without(powers, monkeypatch):
    monkeypatch.setattr(fit, "informed", lambda library: {"b": {"c": 4.0}})
    scaled = {"area": lambda chips, told: of_powers(chips, told) * told["c"]}
    monkeypatch.setattr(fit, "PREDICTED", scaled)
    plain = fit.left_out(powers, Told(c=1.0))
    other = fit.left_out(powers, Told(c=1.0))
    assert plain.unaware["b"]["c"] == 4.0 and "c" not in plain.unaware["a"]
    kept = np.array([one != "b" for one in powers.own]) & np.isfinite(powers.real)
    logs = np.linalg.lstsq(powers.slopes[kept], np.log(powers.real[kept] / 4), rcond=None)[0]
    assert np.log(plain.predicted["area"][2]) == pytest.approx(powers.slopes[2] @ logs + np.log(4), abs=1e-6)
    assert plain.predicted["area"] == pytest.approx(other.predicted["area"])


def real_table(**columns):
    usual = {"chip": list("xyz"), "architecture": ["npu", "gpu", "gpu"], "node": "n5",
             "power_is": ["limit", "drawn", "limit"],
             "power_scope": ["board", "package", "package"], "sources": "s", "die_mm2": [1.0, 2.0, np.nan],
             "supply_v": 0.7}  # fmt: skip
    return pd.DataFrame(usual | columns)


def test_errors_of_real_chips_are_those_of_what_is_published(monkeypatch):
    chips = SimpleNamespace(table=real_table())
    monkeypatch.setattr(checks, "published", lambda chips, quantity: np.array([100.0, 200.0, np.nan]))
    unseen = LeftOut({}, {}, {"power": np.array([120.0, 100.0, 1.0]), "area": np.array([120.0, 100.0, 1.0])}, {})
    table = checks.error_table(chips, "power", np.array([110.0, 180.0, 5.0]), unseen)
    assert table["error"].tolist() == pytest.approx([0.1, -0.1])
    assert table["error_left_out"].tolist() == pytest.approx([0.2, -0.5])
    assert table["real_is"].tolist() == ["limit, board", "drawn, package"] and table["real_w"].tolist() == [100, 200]
    assert checks.error_note(table) == (
        "2 dies: mean 10 % in sample, 35 % leave-one-out (1 gpu: 10 % in sample, 50 % leave-one-out; "
        "1 npu: 10 % in sample, 20 % leave-one-out); against 1 drawn: 10 % in sample, 50 % leave-one-out; "
        "1 limit: 10 % in sample, 20 % leave-one-out"
    )
    area = checks.error_table(chips, "area", np.array([110.0, 180.0, 5.0]), unseen)
    assert (
        "real_is" not in area
        and area["predicted_mm2"].tolist() == [110, 180]
        and "against" not in checks.error_note(area)
    )


def test_limits_that_real_chips_break_are_told_with_what_is_published():
    machine = SimpleNamespace(limits={
        "reticle_mm2": (np.array([1.5, 0.5, 2.0]), np.array([1.0])),
        "supply_v": (np.array([1.0]), np.array([1.0, 0.9, 1.1])),
        "lanes": (np.array([3.0, 1.0, 1.0]), 2.0),
    })  # fmt: skip
    found = checks.broken_limits(Three(), machine)
    told = [(row["limit"], row["chip"], row["used"], row["allowed"]) for row in found.to_dict("records")]
    assert told == [
        ("reticle_mm2", "x", 1.5, 1.0), ("reticle_mm2", "z", 2.0, 1.0), ("supply_v", "y", 1.0, 0.9),
        ("lanes", "x", 3.0, 2.0),
    ]  # fmt: skip
    assert found["real"].tolist() == pytest.approx([1.0, np.nan, 0.7, np.nan], nan_ok=True)
    empty = checks.broken_limits(Three(), SimpleNamespace(limits={}))
    assert list(empty) == list(found) and not len(empty)


class Three:
    table = real_table()

    def __len__(self):
        return 3


def test_blocks_of_a_photo_are_sums_of_blocks_of_a_design(monkeypatch):
    areas = {"memory_interface": [10.0], "link_interface": [1.0, 2.0, 4.0], "host_interface": [0.5], "blank": [0.5],
             "cores": [20.0], "caches": [5.0]}  # fmt: skip
    machine = SimpleNamespace(blocks={"area_mm2": {name: np.array(one) for name, one in areas.items()} | {
        "periphery": np.array([0.25])}})  # fmt: skip
    photo = pd.DataFrame({
        "chip": ["x", "y", "y", "z", "z"], "photo_mm2": [8.0, 4.0, 40.0, 9.0, 50.0],
        "peer_mm2": [10.0, 2.0, 50.0, 9.0, 40.0],
        "block": ["memory_phy_and_controller", "off_chip_phy_and_controller", "total", "rest",
                  "cores_caches_and_network"],
    })  # fmt: skip
    monkeypatch.setattr(checks, "read_checks", lambda name, library: photo)
    found = checks.block_check(Three(), machine, SimpleNamespace(library=None))
    assert found["predicted_mm2"].tolist() == [10, 2, 38.25, 1.25, 25]
    assert found["error"].tolist() == pytest.approx([0.25, -0.5, 38.25 / 40 - 1, np.nan, -0.5], nan_ok=True)
    assert found["peers"].tolist() == pytest.approx([0.25, -0.5, 0.25, np.nan, -0.2], nan_ok=True)


def test_constants_stand_with_their_range_without_each_die():
    fits = {"area": Fits(("a",), np.array([[2.0], [1.5], [3.0], [2.5]]), np.array([[0.1], [9.0], [9.0], [9.0]]))}
    found = checks.constants(LeftOut(fits, {}, {}, {}), Told(a=2.1)).to_dict("records")
    assert found == [{
        "parameter": "a", "fitted_on": "area", "library": 2.1, "fitted": 2.0, "error_of_log": 0.1,
        "least_left_out": 1.5, "most_left_out": 3.0,
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "low", "high", "predicted", "error", "inside"),
    [
        ("die", 30, 32, 31.0, 0.0, "yes"), ("die", 31, 40, 31.0, 31 / 35.5 - 1, "yes"),
        ("die", 32, 40, 31.0, 31 / 36 - 1, "no"),
        ("die", 20, 31, 31.0, 31 / 25.5 - 1, "yes"), ("die", 20, 30, 31.0, 31 / 25 - 1, "no"),
        ("memory", 40, 40, 42.0, 0.05, "yes"), ("memory", 47, 47, 42.0, 42 / 47 - 1, "no"),
        ("memory", 46, 46, 42.0, 42 / 46 - 1, "yes"), ("memory", 38, 38, 42.0, 42 / 38 - 1, "no"),
        ("package", 8, 8, 8.0, 0.0, "yes"), ("module", 81, 81, 81.0, 0.0, "yes"),
    ],
)  # fmt: skip
def test_a_cost_lies_inside_the_analysts_range_or_a_tenth_from_one_estimate(
    item, low, high, predicted, error, inside, monkeypatch
):
    blocks = {"die": 30.0, "die_test": 1.0, "memory": 42.0, "package": 5.0, "bond_loss": 3.0, "board": 100.0}
    columns = {name: np.array([7.0, one]) if name != "board" else np.array([one]) for name, one in blocks.items()}
    machine = SimpleNamespace(blocks={"cost_usd": columns})
    monkeypatch.setattr(price, "real_chips", lambda library: SimpleNamespace(table=pd.DataFrame({"chip": ["x", "y"]})))
    monkeypatch.setattr(price, "machines_of", lambda chips, technology: machine)
    entry = {"chip": "y", "item": item, "low_usd": float(low), "high_usd": float(high)}
    monkeypatch.setattr(price, "records", lambda name, library: [entry])
    (found,) = price.price_check(SimpleNamespace(library=None)).to_dict("records")
    assert (found["predicted_usd"], found["in_range"]) == (predicted, inside)
    assert found["error"] == pytest.approx(error)


def test_power_of_a_package_is_without_the_board_and_the_memory_beside_it():
    grades = {
        grade: LIBRARY.memories[entry.technology].packaging_class for grade, entry in LIBRARY.memory_grades.items()
    }
    beside = next(grade for grade, packed in grades.items() if packed == "board")
    within = next(grade for grade, packed in grades.items() if packed != "board")
    chips = SimpleNamespace(
        table=pd.DataFrame({"power_scope": ["board", "package", "package"]}),
        designs={"memory": Choice.of(within, beside, within)},
    )
    watts = {"board": 10.0, "conversion_loss": 5.0, "memory": 40.0, "memory_idle": 2.0}
    machine = SimpleNamespace(tdp_w=np.full(3, 200.0), blocks={"tdp_w": {k: np.array([v]) for k, v in watts.items()}})
    assert scoped_power_w(chips, machine, LIBRARY).tolist() == [200, 200 - 57, 200 - 15]
