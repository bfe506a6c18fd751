"""`CausalGraph`: one index convention, one answer behind every view of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rcgnn.errors import InputError
from rcgnn.graph import EFFECT_COLUMNS, LINK, NONE, UNDECIDED, CausalGraph, Effect

NAMES = ("pump", "flow", "level")


def example(**more) -> CausalGraph:
    """pump drives flow two steps later, level drives pump within the step, flow - level is open."""
    score, verdict = np.zeros((3, 3, 3)), np.zeros((3, 3, 3), np.int8)
    strength, confidence = np.zeros((3, 3, 3)), np.zeros((3, 3, 3))
    score[2, 0, 1], score[0, 2, 0], score[1, 1, 2] = 7.0, 9.0, 3.0
    verdict[2, 0, 1] = verdict[0, 2, 0] = LINK
    verdict[1, 1, 2] = UNDECIDED
    strength[2, 0, 1], strength[0, 2, 0] = -0.5, 0.25
    confidence[2, 0, 1], confidence[0, 2, 0] = 0.9, 1.0
    return CausalGraph(NAMES, score, verdict, strength, confidence, {(1, 1, 2): "few rows"}, {"dead": "constant"}, **more)


def test_index_convention_is_cause_then_effect_then_delay():
    graph = example()
    assert graph.links() == [(0, 2, 0), (2, 0, 1)]
    rows = {(r["cause"], r["effect"]): r["lag"] for r in graph.rows() if r["verdict"] == "link"}
    assert rows == {("pump", "flow"): 2, ("level", "pump"): 0}


def test_links_and_open_questions_come_strongest_first():
    graph = example()
    assert [graph.score[key] for key in graph.links()] == [9.0, 7.0]
    assert graph.undecided() == [(1, 1, 2)]
    assert graph.rows()[-1]["reason"] == "few rows"


def test_three_views_agree():
    graph = example()
    assert np.argwhere(graph.adjacency).tolist() == [[0, 2, 0], [2, 0, 1]]
    assert np.argwhere(graph.summary).tolist() == [[0, 1], [2, 0]]
    assert np.argwhere(graph.instantaneous).tolist() == [[2, 0]]
    assert graph.max_lag == 2


def test_undecided_is_no_link():
    assert not example().adjacency[1, 1, 2]


def test_diagonal_never_carries_a_verdict_or_a_score_but_keeps_its_memory():
    full = np.ones((2, 3, 3))
    graph = CausalGraph(NAMES, full, np.ones((2, 3, 3), np.int8), 0.5 * full, full)
    diagonal = np.arange(3)
    assert not graph.verdict[:, diagonal, diagonal].any()
    assert not graph.score[:, diagonal, diagonal].any()
    assert (graph.strength[:, diagonal, diagonal] == 0.5).all()
    assert len(graph.links()) == 12


def test_arrays_are_frozen_and_cut_off_from_the_caller():
    score = np.zeros((2, 3, 3))
    graph = CausalGraph.of(NAMES, score, np.zeros((2, 3, 3), np.int8))
    score[1, 0, 1] = 5.0
    assert graph.score[1, 0, 1] == 0.0
    for array in (graph.score, graph.verdict, graph.strength, graph.confidence):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 3), (2, 3, 2), (2, 2, 2)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(InputError, match="must be"):
        CausalGraph.of(NAMES, np.zeros(shape), np.zeros(shape, np.int8))


@pytest.mark.parametrize("what", ["score", "strength", "confidence"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(what, bad):
    parts = {name: np.zeros((2, 3, 3)) for name in ("score", "verdict", "strength", "confidence")}
    parts[what][1, 0, 1] = bad
    with pytest.raises(InputError, match=f"{what} holds"):
        CausalGraph(NAMES, **parts)


def test_arrays_of_different_lags_are_refused():
    with pytest.raises(InputError, match="verdict must be"):
        CausalGraph.of(NAMES, np.zeros((2, 3, 3)), np.zeros((3, 3, 3), np.int8))


def test_empty_has_no_link_and_says_what_it_is_given():
    graph = CausalGraph.empty(NAMES, 4, conclusion="Nothing.")
    assert (graph.links(), graph.undecided(), graph.max_lag, graph.conclusion) == ([], [], 4, "Nothing.")
    assert graph.edges().empty
    assert list(graph.edges().columns) == list(example().edges().columns)


def test_frame_and_networkx_hold_the_links_and_nothing_else():
    graph = example()
    frame = graph.edges()
    assert len(frame) == 3
    assert frame.verdict.tolist() == ["link", "link", "undecided"]
    drawn = graph.to_networkx()
    assert list(drawn.nodes) == list(NAMES)
    assert sorted(drawn.edges(keys=True)) == [("level", "pump", 0), ("pump", "flow", 2)]
    assert drawn.edges["pump", "flow", 2]["strength"] == -0.5


def test_json_gives_the_graph_back_exactly():
    graph = example(aliases={"copy": "pump"}, conclusion="Found 2 links - “ok”.")
    back = CausalGraph.from_json(graph.to_json())
    for what in ("score", "verdict", "strength", "confidence"):
        np.testing.assert_array_equal(getattr(back, what), getattr(graph, what))
        assert getattr(back, what).dtype == getattr(graph, what).dtype
    for what in ("names", "reasons", "quarantined", "aliases", "conclusion"):
        assert getattr(back, what) == getattr(graph, what)


@given(arrays(np.float64, (2, 3, 3), elements=st.floats(0, 1e300)), arrays(np.int8, (2, 3, 3), elements=st.integers(-1, 1)))
def test_json_round_trip_of_any_numbers(score, verdict):
    graph = CausalGraph.of(NAMES, score, verdict)
    back = CausalGraph.from_json(graph.to_json())
    np.testing.assert_array_equal(back.score, graph.score)
    assert back.rows() == graph.rows()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"names": ["a"]}', "null", "not json"])
def test_other_texts_are_refused_in_one_way(text):
    with pytest.raises(InputError, match=r"graph\.json"):
        CausalGraph.from_json(text)


def test_json_says_its_convention_and_has_no_foreign_numbers():
    raw = json.loads(example().to_json())
    assert raw["schema_version"] == 1
    assert "i at t-k drives sensor j at t" in raw["index"]
    assert raw["edges"] == example().rows()


EFFECTS = {(2, 0, 1): Effect(-0.6, -0.4, -5.0, -6.0, -4.0, 0.5)}


def test_effects_are_in_the_rows_of_links_that_have_one_and_absent_elsewhere():
    first, second, open_ = example(effects=EFFECTS).rows()
    assert (second["low"], second["high"], second["in_units"], second["swing"]) == (-0.6, -0.4, -5.0, 0.5)
    assert all(row[name] is None for row in (first, open_) for name in EFFECT_COLUMNS)
    frame = example(effects=EFFECTS).edges()
    assert frame["in_units_high"].tolist()[1] == -4.0
    assert frame["in_units_high"].isna().tolist() == [True, False, True]
    drawn = example(effects=EFFECTS).to_networkx()
    assert drawn.edges["pump", "flow", 2]["low"] == -0.6
    assert "low" not in drawn.edges["level", "pump", 0]


def test_effects_survive_json_and_older_texts_have_none():
    graph = example(effects=EFFECTS)
    assert CausalGraph.from_json(graph.to_json()).effects == EFFECTS
    raw = json.loads(graph.to_json())
    assert raw.pop("effects") == [[2, 0, 1, -0.6, -0.4, -5.0, -6.0, -4.0, 0.5]]
    older = CausalGraph.from_json(json.dumps(raw))
    assert older.effects == {}
    assert older.links() == graph.links()


@pytest.mark.parametrize(
    "effects", [[[1, 1, 2, 0, 0, 0, 0, 0, 0]], [[2, 0, 1, 0, 0]], [[9, 9, 9, 0, 0, 0, 0, 0, 0]], [[2, 0, 1, 1, 0, 0, 0, 0, 0]]]
)
def test_effects_of_no_link_and_broken_ones_are_refused(effects):
    raw = json.loads(example().to_json())
    with pytest.raises(InputError, match="graph"):
        CausalGraph.from_json(json.dumps(raw | {"effects": effects}))


def test_an_effect_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="finite"):
        Effect(0.0, 1.0, float("inf"), 0.0, 0.0, 0.0)


def test_verdict_codes_are_the_documented_ones():
    assert (LINK, NONE, UNDECIDED) == (1, 0, -1)
