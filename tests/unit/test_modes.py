"""Operating modes: the test holds its level, finds what changes, and the answer says it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from rich.console import Console

from rcgnn import RCGNN
from rcgnn.cli.tables import print_answer
from rcgnn.config import Config
from rcgnn.errors import InputError
from rcgnn.graph import CausalGraph, Contrast, Slope
from rcgnn.mechanism.contrast import about, contrasted
from rcgnn.mechanism.modes import Modes, compare, equal, holm
from rcgnn.mechanism.refit import Material, learn
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import Series

LINKS = np.array([(2, 0, 1), (0, 0, 2), (1, 1, 2)])
NAMES = ("x0", "x1", "x2")


def system(rows: int, mode: np.ndarray, flip: float, rng: np.random.Generator, memory: float = 0.6) -> np.ndarray:
    """[rows, 3]: x0 drives x1 after 2 rows, by `flip` in mode 1; x0 drives x2 at once and x1 drives x2 after 1 row, always alike."""
    x = rng.standard_normal((rows + 100, 3))
    label = np.concatenate([np.zeros(100, int), mode])
    for t in range(2, len(x)):
        x[t, 0] += memory * x[t - 1, 0]
        x[t, 1] += memory * x[t - 1, 1] + (flip if label[t] == 1 else 0.5) * x[t - 2, 0]
        x[t, 2] += 0.4 * x[t - 1, 2] + 0.3 * x[t, 0] - 0.4 * x[t - 1, 1]
    return x[100:]


def material(x: np.ndarray, mode: np.ndarray, unit: np.ndarray | None = None) -> Material:
    n = x.shape[1]
    read = np.ones(x.shape, bool)
    table = replace(Series.of(x), regime=mode, regime_names=("day", "night", "never"))
    return Material(table, x[None], x, read, np.zeros(n), np.ones(n) if unit is None else unit, np.zeros(x.shape))


def stretches(rows: int, count: int = 4) -> np.ndarray:
    return np.arange(rows) * count // rows % 2


def found(x: np.ndarray, mode: np.ndarray, links: np.ndarray = LINKS) -> Modes:
    made = compare(material(x, mode), links, 2, np.random.default_rng(5), 0.05)
    assert made is not None
    return made


@cache
def changed() -> np.ndarray:
    return system(1200, stretches(1200), -0.5, np.random.default_rng(11))


def test_it_holds_its_level_where_the_rows_remember():
    p, sensors, rng = [], [], np.random.default_rng(3)
    for _ in range(80):
        mode = np.repeat(rng.permutation(4) % 2, 150)
        got = found(system(600, mode, 0.5, rng, memory=0.9), mode)
        p.append(got.p)
        sensors.append(got.sensor_p[1:])
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.09
    assert 0.2 <= np.mean(np.array(p) < 0.3) <= 0.4, "p-values are about uniform"
    assert np.mean(np.array(sensors) < 0.05) <= 0.10


def test_memory_and_level_of_a_mode_are_no_difference_of_a_link():
    rng, rejected = np.random.default_rng(4), []
    for _ in range(30):
        mode = stretches(800)
        x = system(800, mode, 0.5, rng)
        x[:, 0] += 3.0 * mode
        x[:, 2] -= 2.0 * mode  # levels move apart from what the links carry
        rejected.append(found(x, mode).differs.any())
    assert np.mean(rejected) <= 0.1


def test_a_link_that_flips_is_found_and_the_others_keep_one_strength():
    got = found(changed(), stretches(1200))
    assert got.names == ("day", "night"), "a mode without rows is no mode"
    assert got.differs.tolist() == [True, False, False]
    assert np.abs(got.coefficient[0] - [0.5, -0.5]).max() < 0.08
    assert (np.abs(got.coefficient[0] - [0.5, -0.5]) < 1.5 * got.margin[0]).all()
    assert np.isnan(got.coefficient[1:]).all()
    assert got.sensor_p[1] < 1e-6
    assert got.sensor_p[2] > 0.01
    assert np.isnan(got.sensor_p[0]), "no link into x0"


def test_intervals_by_mode_cover():
    rng, inside = np.random.default_rng(6), []
    for _ in range(40):
        mode = stretches(600)
        got = found(system(600, mode, -0.5, rng), mode)
        inside.append(np.abs(got.coefficient[0] - [0.5, -0.5]) <= got.margin[0])
    assert 0.88 <= np.mean(inside) <= 0.99


def test_a_mode_with_few_rows_or_a_held_cause_says_nothing():
    mode = np.where(np.arange(1200) < 1170, 0, 1)
    assert np.isnan(found(changed(), mode).p).all()
    held = changed().copy()
    mode = stretches(1200)
    held[mode == 1, 0] = 1.0
    got = found(held, mode)
    assert np.isnan(got.p[:2]).all()
    assert np.isfinite(got.p[2])
    still = changed().copy()
    still[mode == 1, 1] = 1.0
    assert np.isnan(found(still, mode).p).tolist() == [True, False, True], "an effect that is held, and the cause that it is"


def test_one_mode_is_not_compared():
    assert compare(material(changed(), np.zeros(1200, int)), LINKS, 2, np.random.default_rng(0), 0.05) is None


def test_equal_is_welch_for_one_number_and_holm_steps_down():
    b, v, nu = np.array([[1.0], [3.0], [2.0]]), np.array([0.5, 1.0, 0.2])[:, None, None], np.array([9.0, 14.0, 30.0])
    w = 1 / v.ravel()
    off = ((1 - w / w.sum()) ** 2 / nu).sum()
    mean = (w * b.ravel()).sum() / w.sum()
    statistic = (w * (b.ravel() - mean) ** 2).sum() / 2 / (1 + 2 * 1 / 8 * off)
    from scipy.stats import f

    assert equal(b, v, nu) == pytest.approx(f.sf(statistic, 2, 8 / (3 * off)))
    assert holm(np.array([0.04, 0.02, 0.001]), 0.05).tolist() == [True, True, True]
    assert holm(np.array([0.03, 0.04, 0.001]), 0.05).tolist() == [False, False, True]


# --- in the graph -------------------------------------------------------------------------------------------------------------------


def answer(x: np.ndarray, mode: np.ndarray, unit: np.ndarray, order: list[int]) -> tuple[CausalGraph, Modes]:
    verdict = np.zeros((3, 3, 3), np.int8)
    verdict[tuple(LINKS.T)] = 1
    verdict = verdict[:, order][:, :, order]
    stuff = material((x / unit)[:, order], mode, unit[order])
    stuff = replace(stuff, table=replace(stuff.table, names=tuple(NAMES[i] for i in order)))
    graph = CausalGraph.of(stuff.table.names, np.abs(verdict).astype(float), verdict)
    modes = compare(stuff, np.argwhere(verdict == 1), 2, np.random.default_rng(5), 0.05)
    assert modes is not None
    from rcgnn.mechanism.effects import described

    mechanism = learn(graph, stuff, [False] * 3, np.random.default_rng(0))
    return contrasted(described(graph, mechanism), mechanism, modes), modes


def table_of(graph: CausalGraph) -> dict[tuple[str, str, int, str], dict[str, object]]:
    return {(r["cause"], r["effect"], r["lag"], r["regime"]): r for r in graph.regime_rows()}


@pytest.mark.parametrize(("unit", "order"), [([1.0, 1.0, 1.0], [2, 0, 1]), ([2.0, 0.01, 300.0], [0, 1, 2])])
def test_units_and_order_of_columns_change_no_strength(unit, order):
    plain = table_of(answer(changed(), stretches(1200), np.ones(3), [0, 1, 2])[0])
    other = table_of(answer(changed(), stretches(1200), np.array(unit), order)[0])
    assert plain.keys() == other.keys()
    assert len(plain) == 6
    for key, row in plain.items():
        assert [other[key][c] for c in ("strength", "low", "high", "p", "in_units")] == pytest.approx(
            [row[c] for c in ("strength", "low", "high", "p", "in_units")], rel=1e-6
        )
        assert other[key]["differs"] == row["differs"]


def test_strength_by_mode_is_in_sd_of_the_whole_table_and_a_common_link_repeats_its_strength():
    graph, modes = answer(changed(), stretches(1200), np.ones(3), [0, 1, 2])
    x, at = changed(), modes.links.tolist().index([2, 0, 1])
    by = graph.by_regime
    assert list(by) == ["day", "night"]
    assert by["night"][2, 0, 1] == pytest.approx(modes.coefficient[at, 1] * x[:, 0].std() / x[:, 1].std())
    assert by["day"][2, 0, 1] > 0.3
    assert by["night"][2, 0, 1] < -0.3
    for key in [(0, 0, 2), (1, 1, 2)]:
        assert by["day"][key] == by["night"][key] == graph.strength[key]
    row = table_of(graph)["x1", "x2", 1, "night"]
    assert row["low"] == graph.effects[1, 1, 2].low
    assert row["differs"] is False


def test_the_sentence_counts_and_names():
    graph, modes = answer(changed(), stretches(1200), np.ones(3), [0, 1, 2])
    mechanism = learn(graph, material(changed(), stretches(1200)), [False] * 3, np.random.default_rng(0))
    said = about(graph, mechanism, modes)[0]
    assert said.message == "1 of 3 links differ between the 2 operating modes: x0 -> x1 at lag 2."
    assert said.evidence["kind"] == "regimes"
    assert set(said.evidence["sensors"]) == {"x1", "x2"}
    alike = replace(graph, contrasts={key: replace(c, slopes={}) for key, c in graph.contrasts.items()})
    assert "one graph serves all modes" in about(alike, mechanism, modes)[0].message
    unknown = replace(graph, contrasts={key: Contrast(None) for key in graph.contrasts})
    assert "could be compared" in about(unknown, mechanism, modes)[0].message
    assert about(graph, mechanism, None) == []


def test_the_graph_is_stored_and_read_back():
    graph = answer(changed(), stretches(1200), np.ones(3), [0, 1, 2])[0]
    back = CausalGraph.from_json(graph.to_json())
    assert back.to_json() == graph.to_json()
    assert back.contrasts == graph.contrasts
    assert back.regimes == ("day", "night")
    assert back.regime_rows() == graph.regime_rows()
    plain = replace(graph, regimes=(), contrasts={})
    assert not {"regimes", "contrasts"} & set(json.loads(plain.to_json()))
    assert plain.regime_rows() == []
    assert plain.by_regime == {}


def test_a_mode_that_says_nothing_keeps_the_common_strength_without_an_interval():
    graph = answer(changed(), stretches(1200), np.ones(3), [0, 1, 2])[0]
    day = {"day": graph.contrasts[2, 0, 1].slopes["day"]}
    row = table_of(replace(graph, contrasts={**graph.contrasts, (2, 0, 1): Contrast(0.001, day)}))["x0", "x1", 2, "night"]
    assert row["strength"] == graph.strength[2, 0, 1]
    assert [row["low"], row["high"], row["in_units"]] == [None, None, None]


def test_what_cannot_be_is_refused():
    graph = answer(changed(), stretches(1200), np.ones(3), [0, 1, 2])[0]
    with pytest.raises(InputError, match="operating mode"):
        replace(graph, contrasts={(2, 0, 1): Contrast(0.1, {"dusk": Slope(0.0, -1.0, 1.0, 0.0)})})
    with pytest.raises(InputError, match="decided links"):
        replace(graph, contrasts={(1, 2, 0): Contrast(0.1)})
    with pytest.raises(InputError, match="low <= high"):
        Slope(0.0, 1.0, -1.0, 0.0)
    with pytest.raises(InputError, match="finite"):
        Slope(float("nan"), 0.0, 1.0, 0.0)


def test_what_differs_is_printed_mode_by_mode():
    graph = answer(changed(), stretches(1200), np.ones(3), [0, 1, 2])[0]
    printed = {}
    for name, one in {"several": graph, "one": replace(graph, regimes=(), contrasts={})}.items():
        text = io.StringIO()
        print_answer(Console(file=text, width=200), one, [], {}, [])
        printed[name] = text.getvalue()
    part = printed["several"].partition("Differ between operating modes:")[2]
    lines = [line.split() for line in part.splitlines() if line.startswith("x")]
    assert [line[:4] for line in lines] == [["x0", "x1", "day", "2"], ["x0", "x1", "night", "2"]]
    assert float(lines[1][4]) == pytest.approx(graph.by_regime["night"][2, 0, 1], abs=6e-4)
    assert "modes" not in printed["one"]


# --- through the whole fit ----------------------------------------------------------------------------------------------------------


def table(names: tuple[str, ...] = ("day", "night")) -> Series:
    """x0 drives x1 by a slope that changes its sign half-way: the table as a whole shows nearly nothing of it."""
    mode = stretches(1600, 2)
    x = system(1600, mode, -0.5, np.random.default_rng(1))
    return replace(Series.of(x), regime=mode if len(names) > 1 else np.zeros(1600, int), regime_names=names)


@cache
def whole(*names: str) -> Fit:
    return fit_series(table(names), Config().override(["select.refine=off"]))


def test_a_link_that_flips_is_found_by_its_modes_alone():
    blind, seeing = whole("all").graph, whole("day", "night").graph
    assert (2, 0, 1) not in blind.links()
    assert set(seeing.links()) == {tuple(link) for link in LINKS.tolist()}
    assert [key for key, c in seeing.contrasts.items() if c.differs] == [(2, 0, 1)]
    assert seeing.confidence[2, 0, 1] >= 0.75
    assert seeing.score[2, 0, 1] > blind.score[2, 0, 1]
    assert (2, 0, 1) in seeing.effects


def test_one_mode_says_nothing_of_modes():
    graph = whole("all").graph
    assert graph.regimes == ()
    assert not [f for f in whole("all").findings if f.evidence.get("kind") == "regimes"]
    assert "regimes" not in json.loads(graph.to_json())


def test_the_estimator_has_the_table():
    model = RCGNN(max_lag=2, select__refine="off").fit(table())
    frame = model.regimes()
    assert list(frame.columns) == ["cause", "effect", "lag", "regime", "strength", "low", "high", "in_units", "p", "differs"]
    assert len(frame) == 2 * len(model.graph_.links())
    assert frame[frame.differs].regime.tolist() == ["day", "night"]
    alone = RCGNN(max_lag=2, select__refine="off").fit(table(("all",)))
    assert alone.regimes().empty
    assert list(alone.edges().columns) == list(model.edges().columns)
