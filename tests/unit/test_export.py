"""Every form of the graph holds the same links, at the right place, whatever the sensors are called."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET

import networkx as nx
import numpy as np
import pytest

from rcgnn.encode import from_npz
from rcgnn.errors import InputError
from rcgnn.export import FORMATS, Moment, to_causallearn, to_dowhy, to_tigramite, unrolled, written
from rcgnn.graph import LINK, UNDECIDED, CausalGraph
from rcgnn.series import Series
from rcgnn.verdict import DIRECTION

PLAIN = ("pump", "flow", "level", "valve")
HOSTILE = ('a"b\\', "<script>&'", "x -> y; }\n}", "\x00\x1b[2J√,=1+1\ud800")
LINKS = {(2, 0, 1): -0.5, (0, 2, 0): 0.25, (1, 0, 1): 0.75, (3, 1, 2): 0.125}
"""(lag, cause, effect): strength; not symmetric in anything. flow and valve are linked within the step, which way is open."""


def example(names: tuple[str, ...] = PLAIN) -> CausalGraph:
    verdict, strength = np.zeros((4, 4, 4), np.int8), np.zeros((4, 4, 4))
    for key, size in LINKS.items():
        verdict[key], strength[key] = LINK, size
    verdict[0, 1, 3] = verdict[0, 3, 1] = verdict[2, 3, 0] = UNDECIDED
    reasons = {(0, 1, 3): DIRECTION, (0, 3, 1): DIRECTION, (2, 3, 0): "too few rows"}
    strength[1, 1, 1] = 0.4
    return CausalGraph.of(names, np.abs(strength), verdict, strength=strength, reasons=reasons)


def dot_links(content: bytes, _names: tuple[str, ...]) -> set[tuple[int, int, int]]:
    found = re.findall(r'^  s(\d+) -> s(\d+) \[label="(\d+)",', content.decode(), re.MULTILINE)
    return {(int(k), int(i), int(j)) for i, j, k in found}


def graphml_links(content: bytes, _names: tuple[str, ...]) -> set[tuple[int, int, int]]:
    read = nx.parse_graphml(content.decode())
    place = nx.get_node_attributes(read, "place")
    return {(lag, place[a], place[b]) for a, b, lag in read.edges(data="lag")}


def json_links(content: bytes, _names: tuple[str, ...]) -> set[tuple[int, int, int]]:
    read = nx.node_link_graph(json.loads(content), edges="edges")
    place = nx.get_node_attributes(read, "place")
    return {(key, place[a], place[b]) for a, b, key in read.edges(keys=True)}


def csv_links(content: bytes, names: tuple[str, ...]) -> set[tuple[int, int, int]]:
    head, *rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert len(head) == len(names) + 2
    return {(int(row[0]), n % len(names), j) for n, row in enumerate(rows) for j, cell in enumerate(row[2:]) if cell == "1"}


def tigramite_links(content: bytes, _names: tuple[str, ...]) -> set[tuple[int, int, int]]:
    return {(int(k), int(i), int(j)) for i, j, k in np.argwhere(from_npz(content)["graph"] == "-->")}


READ_BACK = {"dot": dot_links, "graphml": graphml_links, "json": json_links, "csv-lags": csv_links, "tigramite": tigramite_links}


@pytest.mark.parametrize("names", [PLAIN, HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize("form", [name for name in FORMATS if name != "csv"])
def test_every_file_holds_the_same_links(form, names):
    assert READ_BACK[form](written(example(names), form), names) == set(LINKS)


@pytest.mark.parametrize("names", [PLAIN, HOSTILE], ids=["plain", "hostile"])
def test_summary_matrix_is_the_summary_graph(names):
    graph = example(names)
    head, *rows = list(csv.reader(io.StringIO(written(graph, "csv").decode(), newline="")))
    assert np.array([row[1:] for row in rows], int).tolist() == graph.summary.astype(int).tolist()
    assert head[1:3] == list(names[:2])
    assert [row[0] for row in rows][:3] == list(names[:3])


@pytest.mark.parametrize("form", ["csv", "csv-lags"])
def test_csv_is_guarded_against_spreadsheets(form):
    graph = example(("=1+1", "@x", "-5", "+5V"))
    head, *rows = list(csv.reader(io.StringIO(written(graph, form).decode(), newline="")))
    shown = ["'=1+1", "'@x", "-5", "'+5V"]
    assert head[-4:] == shown, "a number stays"
    assert [row[-5] for row in rows] == shown * (len(rows) // 4)


@pytest.mark.parametrize("form", FORMATS)
def test_equal_graphs_give_equal_bytes_and_an_empty_one_is_written_too(form):
    assert written(example(), form) == written(example(), form)
    assert written(CausalGraph.empty(PLAIN, 2), form)


def test_dot_labels_stay_inside_their_quotes():
    text = written(example(HOSTILE), "dot").decode()
    assert "\x00" not in text
    assert "\x1b" not in text
    labels = [line for line in text.splitlines() if line.startswith("  s") and "->" not in line.split("[")[0]]
    assert len(labels) == len(HOSTILE)
    for line in labels:
        assert re.fullmatch(r'  s\d \[label="(?:[^"\\]|\\.)*"\];', line), line
    assert r'label="a\"b\\"' in labels[0]
    assert r"x -> y; }\n}" in labels[2]


def test_graphml_keeps_what_xml_can_hold_and_strengths():
    graph = example(HOSTILE)
    root = ET.fromstring(written(graph, "graphml"))  # noqa: S314 - our own text
    ids = [node.get("id") for node in root.iter("{http://graphml.graphdrawing.org/xmlns}node")]
    assert ids[:2] == list(HOSTILE[:2])
    assert len(set(ids)) == len(HOSTILE)
    edges = [edge.get("id") for edge in root.iter("{http://graphml.graphdrawing.org/xmlns}edge")]
    assert len(set(edges)) == len(LINKS)
    read = nx.parse_graphml(written(example(), "graphml").decode())
    assert sorted(data["strength"] for *_, data in read.edges(data=True)) == sorted(LINKS.values())


def test_unknown_format_names_the_nearest():
    with pytest.raises(InputError, match=r"unknown format 'graphmll'.*graphml"):
        written(example(), "graphmll")


def test_networkx_of_the_graph_and_of_the_file_are_the_same():
    graph = example()
    there = nx.node_link_graph(json.loads(written(graph, "json")), edges="edges")
    here = graph.to_networkx()
    assert set(here.edges(keys=True)) == set(there.edges(keys=True))
    assert all(there.edges[edge]["strength"] == here.edges[edge]["strength"] for edge in here.edges(keys=True))


def test_tigramite_arrays_at_the_right_index():
    marks = to_tigramite(example())
    assert marks.graph.shape == marks.val_matrix.shape == (4, 4, 4)
    assert marks.graph[0, 1, 2] == marks.graph[0, 1, 1] == marks.graph[1, 2, 3] == "-->"
    assert (marks.graph[2, 0, 0], marks.graph[0, 2, 0]) == ("-->", "<--")
    assert marks.graph[1, 3, 0] == marks.graph[3, 1, 0] == "o-o"
    assert (marks.graph != "").sum() == len(LINKS) + 3
    assert marks.val_matrix[0, 1, 2] == -0.5
    assert marks.val_matrix[2, 0, 0] == marks.val_matrix[0, 2, 0] == 0.25
    assert marks.val_matrix[1, 1, 1] == 0.4
    assert marks.var_names == list(PLAIN)


def test_unrolled_has_every_copy_of_every_link_and_of_own_memory():
    graph = example()
    flat = unrolled(graph, 5, memory=False)
    assert flat.number_of_nodes() == 4 * 6
    assert flat.number_of_edges() == sum(6 - k for k, _, _ in LINKS)
    assert flat.has_edge(Moment("pump", 2), Moment("flow", 0))
    assert not flat.has_edge(Moment("flow", 2), Moment("pump", 0))
    own = {edge for edge in unrolled(graph, 5).edges if edge not in flat.edges}
    assert own == {(Moment(n, back + k), Moment(n, back)) for n in PLAIN for k in (1, 2, 3) for back in range(6 - k)}


def test_unrolled_refuses_a_cycle_within_the_step():
    verdict = np.zeros((2, 2, 2), np.int8)
    verdict[0, 0, 1] = verdict[0, 1, 0] = LINK
    with pytest.raises(InputError, match="cycle"):
        unrolled(CausalGraph.of(("a", "b"), np.abs(verdict).astype(float), verdict))


def plant(rows: int = 4000) -> tuple[CausalGraph, Series, float]:
    """z drives x and y, x drives y one step later and both remember: the total effect of x at t-2 on y at t is known."""
    rng = np.random.default_rng(5)
    x, y, z = np.zeros((3, rows))
    e = rng.standard_normal((3, rows))
    for t in range(1, rows):
        z[t] = 0.8 * z[t - 1] + e[2, t]
        x[t] = 0.5 * x[t - 1] + 0.9 * z[t - 1] + e[0, t]
        y[t] = 0.4 * y[t - 1] + 0.7 * x[t - 1] - 1.2 * z[t - 1] + e[1, t]
    verdict = np.zeros((2, 3, 3), np.int8)
    verdict[1, 0, 1] = verdict[1, 2, 0] = verdict[1, 2, 1] = LINK
    graph = CausalGraph.of(("x", "y", "z"), verdict.astype(float), verdict)
    return graph, Series.of(np.column_stack([x, y, z]), names=["x", "y", "z"]), 0.7 * 0.4 + 0.5 * 0.7


@pytest.mark.filterwarnings("ignore")  # DoWhy's own
def test_dowhy_estimates_the_known_effect_where_plain_regression_does_not():
    pytest.importorskip("dowhy", reason="dowhy is an extra: pip install 'rcgnn[tools]'")
    graph, series, known = plant()
    model = to_dowhy(graph, series, "x", "y", 2)
    estimand = model.identify_effect(proceed_when_unidentifiable=True, method_name="maximal-adjustment")
    estimate = model.estimate_effect(estimand, method_name="backdoor.linear_regression").value
    assert estimate == pytest.approx(known, abs=0.06)
    plain = np.polyfit(series.values[:-2, 0], series.values[2:, 1], 1)[0]
    assert abs(plain - known) > 0.3


@pytest.mark.filterwarnings("ignore")
def test_rows_for_dowhy_are_the_readings_at_those_times():
    pytest.importorskip("dowhy", reason="dowhy is an extra: pip install 'rcgnn[tools]'")
    graph, series, _ = plant(60)
    frame = to_dowhy(graph, series, "x", "y", 1)._data
    assert frame["x(t-1)"].tolist() == series.values[1:-1, 0].tolist()
    assert frame["y(t)"].tolist() == series.values[2:, 1].tolist()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("x", "q", 1), "unknown sensor 'q'"),
        (("x", "x", 1), "two sensors"),
        (("x", "y", -1), "lag of 0 or more"),
    ],
)
def test_to_dowhy_says_what_is_wrong(asked, said):
    graph, series, _ = plant(30)
    with pytest.raises(InputError, match=said):
        to_dowhy(graph, series, *asked)


def test_to_dowhy_needs_a_row_with_all_readings():
    graph, series, _ = plant(30)
    holes = series.with_values(series.values, series.mask & (np.arange(30) % 2 == 0)[:, None])
    with pytest.raises(InputError, match="no stretch of 3 rows"):
        to_dowhy(graph, holes, "x", "y", 1)


@pytest.mark.filterwarnings("ignore")
def test_causallearn_graph_has_the_same_links():
    pytest.importorskip("causallearn", reason="causal-learn is an extra: pip install 'rcgnn[tools]'")
    graph = example()
    found = to_causallearn(graph)
    node = {each.get_name(): each for each in found.get_nodes()}
    assert len(node) == 16
    assert found.is_directed_from_to(node["pump(t-2)"], node["flow(t)"])
    assert not found.is_directed_from_to(node["flow(t-2)"], node["pump(t)"])
    assert found.is_directed_from_to(node["level(t-1)"], node["pump(t-1)"])
    assert not found.is_directed_from_to(node["flow(t)"], node["valve(t)"])
    assert found.is_adjacent_to(node["flow(t)"], node["valve(t)"])
    directed = {(str(a), str(b)) for a, b in unrolled(graph).edges}
    edges = [(edge.get_node1().get_name(), edge.get_node2().get_name()) for edge in found.get_graph_edges()]
    assert len(edges) == len(directed) + 4


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    import sys

    graph, series, _ = plant(30)
    for package, convert in (
        ("dowhy", lambda: to_dowhy(graph, series, "x", "y", 1)),
        ("causallearn.graph.Edge", lambda: to_causallearn(graph)),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=r"rcgnn\[tools\]"):
            convert()
