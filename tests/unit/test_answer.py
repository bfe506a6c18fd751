"""The one graph: every sensor keeps its place, and the sentence says what the arrays say."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from rcgnn.answer import FEW_ROWS, NEAR_COPY, QUARANTINED, Decision, _too_few, assemble, undecidable
from rcgnn.config import Config
from rcgnn.data.quality import inspect
from rcgnn.graph import LINK, UNDECIDED, CausalGraph
from rcgnn.pipeline import Fit, fit_series
from rcgnn.select.modes import Seen
from rcgnn.series import Series
from rcgnn.verdict import DIRECTION

CONFIG = Config().override(["select.refine=off", "data.max_lag=2", "select.halves=4"])
NO_REPORT = SimpleNamespace(quarantined={}, aliases={}, computed=())


def fit(x: np.ndarray, names: tuple[str, ...] | None = None, *settings: str) -> Fit:
    return fit_series(Series.of(x, names=names), CONFIG.override(settings))


def driven(rows: int = 400, seed: int = 0, sensors: int = 4) -> np.ndarray:
    """Sensor 0 drives sensor 1 one step later."""
    x = np.random.default_rng(seed).standard_normal((rows, sensors))
    x[1:, 1] += 1.5 * x[:-1, 0]
    return x


def decision(links: dict[tuple[int, int, int], float], open_: dict[tuple[int, int, int], str] | None = None, size: int = 3) -> Decision:
    score, verdict = np.zeros((3, size, size)), np.zeros((3, size, size), np.int8)
    for key, value in links.items():
        score[key], verdict[key] = value, LINK
    for key in open_ or {}:
        verdict[key] = UNDECIDED
    return Decision(
        score, verdict, 0.5 * (verdict == LINK), 0.9 * (verdict == LINK), dict(open_ or {}), [], 0.031, np.zeros(score.shape), 0.0
    )


def graph_of(made: Decision) -> CausalGraph:
    size = made.score.shape[1]
    return assemble(tuple("abcd"[:size]), np.arange(size), NO_REPORT, made)


def test_sensors_that_took_no_part_keep_their_rows_and_columns():
    made = decision({(1, 0, 2): 9.0}, {(2, 1, 0): "why"})
    report = SimpleNamespace(quarantined={"dead": "constant at 7"}, aliases={"copy": "b"}, computed=())
    graph = assemble(("dead", "a", "copy", "b", "c"), np.array([1, 3, 4]), report, made)
    assert graph.names == ("dead", "a", "copy", "b", "c")
    assert graph.links() == [(1, 1, 4)]
    assert graph.reasons[2, 3, 1] == "why"
    assert set(graph.reasons) == set(graph.undecided())
    assert (graph.strength[1, 1, 4], graph.confidence[1, 1, 4], graph.score[1, 1, 4]) == (0.5, 0.9, 9.0)
    for out, why in ((0, QUARANTINED), (2, NEAR_COPY)):
        for array in (graph.score, graph.strength, graph.confidence):
            assert not array[:, out].any()
            assert not array[:, :, out].any()
        for other in (1, 3, 4):
            assert all(graph.reasons[k, i, j] == why for k in range(3) for i, j in ((out, other), (other, out)))
    assert (graph.quarantined, graph.aliases) == (report.quarantined, report.aliases)


def test_quarantined_and_copied_sensors_of_a_real_table_keep_their_place():
    x = driven()
    table = np.column_stack([np.full(400, 7.0), x[:, 0], 3 * x[:, 0] + 2, x[:, 1], np.full(400, np.nan), x[:, 2]])
    graph = fit(table, ("lamp", "pump", "copy", "flow", "dead", "level")).graph
    assert set(graph.quarantined) == {"lamp", "dead"}
    assert graph.aliases == {"copy": "pump"}
    assert graph.score.shape == (3, 6, 6)
    assert [(graph.names[i], graph.names[j], k) for k, i, j in graph.links()] == [("pump", "flow", 1)]
    open_pairs = {(graph.names[i], graph.names[j]) for _, i, j in graph.undecided()}
    assert open_pairs == {(a, b) for a in graph.names for b in graph.names if a != b and {a, b} & {"lamp", "dead", "copy"}}


def numbers(sentence: str) -> list[int]:
    return [int(n) for n in re.findall(r"\b\d+\b", sentence)]


def test_the_sentence_counts_the_links_and_names_the_clearest():
    graph = graph_of(decision({(1, 0, 1): 9.0, (0, 2, 1): 20.0, (2, 1, 0): 5.0}))
    assert graph.conclusion == "Found 3 links among 3 sensors; the clearest: c drives b within the same step."
    assert numbers(graph.conclusion)[0] == len(graph.links())
    assert graph.links()[0] == (0, 2, 1)


@pytest.mark.parametrize(("lag", "when"), [(0, "within the same step"), (1, "after 1 step."), (2, "after 2 steps.")])
def test_the_sentence_says_when(lag, when):
    sentence = graph_of(decision({(lag, 0, 1): 9.0})).conclusion
    assert sentence.startswith("Found 1 link among 3 sensors; the clearest: a drives b")
    assert when in sentence


def test_links_are_counted_as_they_are_listed_and_pairs_beside_them():
    graph = graph_of(decision({(1, 0, 1): 9.0, (2, 0, 1): 5.0, (1, 1, 2): 3.0}))
    assert numbers(graph.conclusion)[:3] == [len(graph.links()), graph.summary.sum(), 3] == [3, 2, 3]


@pytest.mark.parametrize("seed", range(3))
def test_the_sentence_of_a_fit_counts_the_pairs_of_its_graph(seed):
    rng = np.random.default_rng(seed)
    x = driven(400, seed, 5)
    x[:, 3] += x[:, 2]  # direction unclear
    x[rng.random(400) < 0.01, 4] = np.nan
    graph = fit(x).graph
    head, *tail = re.split(r"\.\s", graph.conclusion)
    links, pairs = len(graph.links()), int(graph.summary.sum())
    assert numbers(head)[: 2 + (links != pairs)] == ([links, 5] if links == pairs else [links, pairs, 5])
    open_pairs = {(i, j) for _, i, j in graph.undecided()}
    assert bool(tail) == bool(open_pairs)
    if tail:
        assert numbers(tail[0])[0] == len(open_pairs)


def test_open_pairs_are_counted_behind_the_links():
    graph = graph_of(decision({(1, 0, 1): 9.0}, {(0, 1, 2): "w", (1, 1, 2): "w", (1, 2, 0): "w"}))
    assert graph.conclusion.endswith("after 1 step. 2 pairs are undecided.")


def test_the_sentence_counts_every_open_pair():
    x = driven()
    x[:, 3] = 7.0
    graph = fit(x).graph
    assert f"{len({(i, j) for _, i, j in graph.undecided()})} pairs are undecided" in graph.conclusion


def test_no_links_comes_with_the_power_to_find_some():
    graph = graph_of(decision({}))
    assert graph.conclusion == "No links found; a link explaining 3.1 % of a sensor's variance would have been found with 90 % probability."


def test_everything_open_for_lack_of_rows_is_undecidable():
    every = {(k, i, j): FEW_ROWS for k in range(3) for i in range(3) for j in range(3) if i != j}
    assert graph_of(decision({}, every)).conclusion == "Undecidable: too few joint rows to say anything about any pair."


def test_two_sensors_of_unclear_direction_do_not_lack_rows():
    made = decision({}, {(0, 0, 1): DIRECTION, (0, 1, 0): DIRECTION}, size=2)
    assert "rows" not in graph_of(made).conclusion


def test_a_link_of_unclear_direction_is_not_no_link():
    made = decision({}, {(0, 0, 1): DIRECTION, (0, 1, 0): DIRECTION})
    assert not graph_of(made).conclusion.startswith("No links found")


def test_no_two_sensors_is_undecidable():
    x = np.full((100, 3), np.nan)
    x[:, 0] = np.arange(100)
    series = Series.of(x, names=("a", "b", "c"))
    graph = undecidable(series.names, 4, inspect(series))
    assert graph.score.shape == (5, 3, 3)
    assert set(graph.quarantined) == {"b", "c"}
    assert len(graph.undecided()) == len(graph.reasons) == 5 * 6
    assert graph.conclusion.startswith("Undecidable: fewer than two sensors")


def test_sensors_never_read_together_are_undecided_not_unlinked():
    x = driven()
    x[:200, 2], x[200:, 3] = np.nan, np.nan
    done = fit(x)
    graph = done.graph
    assert {(i, j) for _, i, j in graph.undecided()} == {(2, 3), (3, 2)}
    assert set(graph.reasons.values()) == {FEW_ROWS}
    assert set(graph.reasons) == set(graph.undecided())
    assert (1, 0, 1) in graph.links()
    about = [f for f in done.findings if f.evidence.get("kind") == "joint_rows"]
    assert len(about) == 1
    assert about[0].evidence["pairs"] == 2


def test_sensors_that_take_turns_are_undecidable():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 3))
    for j in range(3):
        x[:, j][np.arange(600) // 200 != j] = np.nan
    graph = fit(x).graph
    assert graph.links() == []
    assert len({(i, j) for _, i, j in graph.undecided()}) == 6
    assert graph.conclusion.startswith("Undecidable: too few joint rows")


@pytest.mark.parametrize(("rows", "lags"), [(35, 3), (60, 6)])
def test_hardly_any_rows_make_no_links(rows, lags):
    tables = [np.random.default_rng(seed).standard_normal((rows, 4)) for seed in range(10)]
    found = sum(int(fit(x, None, f"data.max_lag={lags}").graph.summary.sum()) for x in tables)
    assert found <= 0.02 * 10 * 12


def test_strength_stands_where_links_are_and_on_the_diagonal_alone():
    rng = np.random.default_rng(0)
    x = driven()
    for t in range(1, 400):
        x[t, 2] = 0.8 * x[t - 1, 2] + rng.standard_normal()
    done = fit(x)
    graph, off = done.graph, ~np.eye(4, dtype=bool)
    np.testing.assert_array_equal((done.decision.strength != 0)[:, off], graph.adjacency[:, off])
    assert done.decision.strength[1, 2, 2] == pytest.approx(0.8, abs=0.1)
    np.testing.assert_array_equal((graph.strength != 0)[:, off], graph.adjacency[:, off])
    assert graph.strength[1, 0, 1] == pytest.approx(1.5 * x[:, 0].std() / x[:, 1].std(), abs=0.05)
    assert graph.strength[1, 2, 2] == pytest.approx(0.8, abs=0.1)


def test_power_gets_better_with_rows():
    def share(rows: int) -> float:
        sentence = fit(np.random.default_rng(1).standard_normal((rows, 3))).graph.conclusion
        assert sentence.startswith("No links found; a link explaining ")
        return float(re.search(r"([\d.]+) %", sentence)[1])

    assert share(1200) < share(300) / 2


def test_an_unclear_direction_is_told_once_a_pair():
    x = np.random.default_rng(3).standard_normal((400, 4))
    x[:, 1] += x[:, 0]
    done = fit(x, ("pump", "flow", "level", "lamp"))
    assert done.graph.undecided() == [(0, 0, 1), (0, 1, 0)] or done.graph.undecided() == [(0, 1, 0), (0, 0, 1)]
    told = [f for f in done.findings if f.code == "DIRECTION_UNCLEAR"]
    assert [f.evidence["pair"] for f in told] == [["pump", "flow"]]
    assert not done.decision.strength[:, 0, 1].any(), "what is open has no strength"
    assert not done.decision.strength[:, 1, 0].any()


def test_a_delay_tells_the_direction_so_nothing_is_unclear():
    x = np.random.default_rng(3).standard_normal((400, 4))
    x[1:, 1] += x[:-1, 0]
    done = fit(x, ("pump", "flow", "level", "lamp"))
    assert done.graph.links() == [(1, 0, 1)]
    assert [f for f in done.findings if f.code == "DIRECTION_UNCLEAR"] == []


def test_what_single_modes_add_and_drop_takes_their_evidence():
    made = decision({(1, 0, 1): 9.0, (1, 1, 2): 5.0, (2, 1, 2): 4.0})
    links, pairs = np.zeros((3, 3, 3), bool), np.zeros((3, 3), bool)
    links[1, 2, 0] = pairs[2, 0] = pairs[0, 1] = True
    score = np.full((3, 3, 3), 7.0)
    score[2, 1, 2] = 3.0
    made.score[0, 0, 2], made.confidence[0, 0, 2] = 30.0, 0.4  # evidence that was not enough
    after = made.revised(Seen(links, pairs, score, np.full((3, 3, 3), 0.8), 1.0), np.array([[1, 2, 0]]))
    assert np.argwhere(after.verdict == LINK).tolist() == [[1, 0, 1], [1, 2, 0]]
    assert np.argwhere(after.strength).tolist() == [[1, 0, 1]], "that of a new link comes with its equation"
    assert (after.score[1, 2, 0], after.score[1, 0, 1]) == (7.0, 9.0)
    assert after.score[:, 1, 2].tolist() == [0.0, 5.0, 3.0], "never more than any mode shows"
    assert after.confidence[:, 1, 2].tolist() == [0.0, 0.0, 0.0]
    assert (after.confidence[1, 2, 0], after.confidence[1, 0, 1]) == (0.8, 0.9)
    assert (after.score[0, 0, 2], after.confidence[0, 0, 2]) == (30.0, 0.4)
    assert made.verdict[1, 1, 2] == LINK, "the first decision stays as it was"


def test_a_pair_that_keeps_a_lag_keeps_its_evidence():
    made = decision({(1, 1, 2): 5.0, (2, 1, 2): 4.0})
    made.reasons[2, 1, 2] = "required by prior knowledge"
    links = np.zeros((3, 3, 3), bool)
    links[1, 2, 0] = True
    after = made.revised(Seen(links, links[1], np.zeros((3, 3, 3)), 0.8 * links, 1.0), np.array([[1, 2, 0]]))
    assert np.argwhere(after.verdict == LINK).tolist() == [[1, 2, 0], [2, 1, 2]]
    assert after.score[:, 1, 2].tolist() == [0.0, 5.0, 4.0]
    assert (after.confidence[2, 1, 2], after.strength[1, 1, 2], after.strength[2, 1, 2]) == (0.9, 0.0, 0.5)


def test_modes_that_do_not_differ_change_nothing():
    made = decision({(1, 0, 1): 9.0})
    seen = Seen(np.ones((3, 3, 3), bool), np.zeros((3, 3), bool), np.ones((3, 3, 3)), np.ones((3, 3, 3)), 1.0)
    after = made.revised(seen, np.zeros((0, 3), int))
    for name in ("verdict", "score", "confidence", "strength"):
        np.testing.assert_array_equal(getattr(after, name), getattr(made, name))


def hardly_read(rows: int, gap: int, *, read: tuple[int, int] = (400, 400), lags: int = 2) -> np.ndarray:
    """Pairs with too few joint rows: sensor 1 is read `gap` rows after sensor 0, once in ten rows; `read` counts what each equation has."""
    x = np.full((rows, 2), np.nan)
    x[::10, 0] = x[gap::10, 1] = 1.0
    screened = SimpleNamespace(rows=None, features=[SimpleNamespace(rows=count) for count in read])
    return _too_few(Series.of(x), screened, CONFIG.override([f"data.max_lag={lags}"]))


@pytest.mark.parametrize(("rows", "gap", "few"), [(300, 0, False), (290, 0, True), (300, 2, False), (290, 2, True), (300, 3, True)])
def test_thirty_joint_rows_at_one_lag_are_enough(rows, gap, few):
    poor = hardly_read(rows, gap)
    assert poor[0, 1] == few
    assert poor[1, 0] == (few or gap > 0), "the other way round the gap is longer than any lag"
    assert not poor.diagonal().any()


@pytest.mark.parametrize(("lags", "rows", "few"), [(2, 29, True), (2, 30, False), (20, 99, True), (20, 100, False)])
def test_an_effect_needs_five_rows_a_lag_and_thirty(lags, rows, few):
    poor = hardly_read(400, 0, read=(rows, 400), lags=lags)
    assert (poor[1, 0], poor[0, 1]) == (few, False)
