"""Cards, Plotly and matplotlib show the links of the graph, whatever the sensors are called, and equal graphs look equal."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from rcgnn import RCGNN
from rcgnn.drawing.card import MOST_ROWS
from rcgnn.drawing.layout import MOST_ARCS, arcs, places
from rcgnn.errors import InputError
from rcgnn.figures import BACKENDS, FIGURES, draw
from rcgnn.figures.sheets import graph_sheet, health_sheet, link_sheet
from rcgnn.graph import LINK, UNDECIDED, CausalGraph, Effect
from rcgnn.health import GradHealth, HealthRecord, LossHealth
from rcgnn.series import Series

PLAIN = ("pump", "flow", "level", "valve", "idle")
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=a>', "a\x00\nb\ud800", "$\\frac{$ &amp; $", "\u202eevil")
LINKS = {(2, 0, 1): -0.5, (0, 2, 0): 0.25, (1, 0, 1): 0.75, (3, 1, 2): 0.125}


def example(names: tuple[str, ...] = PLAIN) -> CausalGraph:
    verdict, strength = np.zeros((4, 5, 5), np.int8), np.zeros((4, 5, 5))
    for key, size in LINKS.items():
        verdict[key], strength[key] = LINK, size
    verdict[2, 3, 0] = UNDECIDED
    effects = {(2, 0, 1): Effect(-0.8, -0.3, 1.0, 0.5, 1.5, 0.6)}
    return CausalGraph.of(names, np.abs(strength), verdict, strength=strength, effects=effects, conclusion=f"{names[0]} drives {names[1]}.")


def many(sensors: int = 40) -> CausalGraph:
    rng = np.random.default_rng(0)
    verdict = (rng.random((2, sensors, sensors)) < 0.2).astype(np.int8)
    verdict[0] = 0
    return CausalGraph.of(
        tuple(f"s{i}" for i in range(sensors)), verdict * 1.0, verdict, strength=verdict * rng.standard_normal(verdict.shape)
    )


class Tags(HTMLParser):
    """Tags and texts of a piece of HTML; every tag that is opened must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.open.append(tag)
        self.cells += [""] * (tag == "td")

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open[-1:] == ["td"]:
            self.cells[-1] += data


def test_arcs_join_the_lags_of_a_pair_and_come_strongest_first():
    drawn = arcs(example().rows())
    assert [(a.cause, a.effect, a.lags, a.strength) for a in drawn] == [
        ("pump", "flow", (1, 2), 0.75),
        ("level", "pump", (0,), 0.25),
        ("flow", "level", (3,), 0.125),
    ]
    assert [a.label for a in drawn] == ["1, 2", "now", "3"]


def test_causes_stand_left_of_effects_and_no_two_sensors_on_one_place():
    rows = [
        {"cause": c, "effect": e, "lag": 1, "strength": 1.0, "verdict": "link"} for c, e in (("a", "b"), ("b", "c"), ("a", "d"), ("d", "c"))
    ]
    at = places(arcs(rows))
    assert at["a"][0] < at["b"][0] == at["d"][0] < at["c"][0]
    crowded = places(arcs(many().rows()))
    assert len(set(crowded.values())) == len(crowded)


def test_card_lists_the_links_by_strength_and_says_what_is_open():
    found = Tags(example()._repr_html_())
    rows = [tuple(found.cells[n : n + 6]) for n in range(0, len(found.cells), 6)]
    assert rows[:2] == [("pump", "flow", "1", "+0.750", "", "0.00"), ("pump", "flow", "2", "-0.500", "-0.800 .. -0.300", "0.00")]
    assert [row[0] for row in rows[2:]] == ["level", "flow"]
    assert "1 more entries are undecided." in found.texts
    assert found.tags <= {
        "div",
        "p",
        "b",
        "svg",
        "g",
        "title",
        "path",
        "polygon",
        "rect",
        "text",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }


def test_card_of_no_link_and_of_many():
    assert "<table" not in CausalGraph.empty(("a", "b"), 1)._repr_html_()
    html = many()._repr_html_()
    assert f"... and {len(many().links()) - MOST_ROWS} more links." in html
    assert html.count("<polygon") == MOST_ARCS


def test_names_are_text_in_the_card_and_nothing_else():
    html = example(HOSTILE)._repr_html_()
    found = Tags(html)
    assert not {"script", "img"} & found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert {HOSTILE[0], HOSTILE[1], "a\\x00\\nb\\ud800"} <= set(found.cells)
    svg = html[html.index("<svg") : html.index("</svg>") + 6]
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own text
    html.encode("utf-8")


def test_the_card_needs_nothing_from_elsewhere():
    html = example()._repr_html_()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|<link|<style|<script| id=", html)


def records() -> list[HealthRecord]:
    return [
        HealthRecord(
            epoch=n,
            step=n,
            lr=1e-3,
            seed=1,
            loss=LossHealth(train=1.0 / n, val=0.5 / n if n % 2 == 0 else None),
            grad=GradHealth(raw_median=1.0, raw_max=2.0 * n, clip_share=0.1 * n),
        )
        for n in range(1, 6)
    ]


def readings(names: tuple[str, ...] = PLAIN) -> Series:
    values = np.random.default_rng(0).standard_normal((50, len(names)))
    values[7, 0] = np.nan
    recording = np.repeat([0, 1], 25)
    return Series(values, np.isfinite(values), names, recording=recording)


def test_health_shows_every_epoch_and_only_evaluated_ones_held_out():
    loss, norm, clipped = health_sheet(records()).panels
    assert [(line.name, list(line.x)) for line in loss.lines][:2] == [("training", [1, 2, 3, 4, 5]), ("held out", [2, 4])]
    assert list(loss.lines[1].y) == [0.25, 0.125]
    assert list(norm.lines[1].y) == [2, 4, 6, 8, 10]
    assert np.allclose(clipped.lines[0].y, [10, 20, 30, 40, 50])
    assert norm.log


def test_link_shows_evidence_strength_and_traces():
    score, strength, cause, effect = link_sheet(example(), "pump", "flow", readings()).panels
    assert list(score.lines[0].y) == [0, 0.75, 0.5, 0]
    assert list(score.lines[1].x) == [1, 2]
    shown = strength.lines[1]
    assert (list(shown.x), list(shown.y), list(shown.low), list(shown.high)) == ([1, 2], [0.75, -0.5], [None, -0.8], [None, -0.3])
    trace = dict(zip(cause.lines[0].x, cause.lines[0].y, strict=True))
    assert trace[7.0] is None
    assert trace[24.5] is None
    assert trace[3.0] == readings().values[3, 0]
    assert effect.title == "flow"
    assert len(link_sheet(example(), "pump", "flow").panels) == 2
    assert link_sheet(example(), "flow", "pump").panels[1].note == "No lag of this pair is a decided link."


def sheets(names: tuple[str, ...] = PLAIN):
    graph = example(names)
    return {
        "graph": graph_sheet(graph),
        "health": health_sheet(records()),
        "link": link_sheet(graph, names[0], names[1], readings(names)),
        "no graph": graph_sheet(CausalGraph.empty(names, 2)),
        "no health": health_sheet([], f"not trained: {names[0]}"),
        "no link": link_sheet(graph, names[1], names[0]),
    }


def test_every_figure_is_among_these():
    assert set(FIGURES) <= set(sheets())


@pytest.mark.parametrize("ending", ["svg", "pdf"])
@pytest.mark.parametrize("what", list(sheets()))
def test_paper_figures_are_the_same_file_every_time(what, ending, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install 'rcgnn[plots]'")
    files = [tmp_path / f"{n}.{ending}" for n in range(2)]
    for file in files:
        draw(sheets()[what], "matplotlib").savefig(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"Date" not in files[0].read_bytes()


def test_paper_figures_keep_text_as_text(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install 'rcgnn[plots]'")
    names = ("pump $a$ <b>", "100 % & $x", "level", "valve", "idle")
    draw(sheets(names)["graph"], "matplotlib").savefig(tmp_path / "graph.svg")
    texts = [t.text for t in ET.parse(tmp_path / "graph.svg").iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own file
    assert {"pump $a$ <b>", "100 % & $x", "1, 2", "now", "3"} <= set(texts)
    assert "idle" not in texts


@pytest.mark.parametrize("what", list(sheets()))
def test_hostile_names_are_drawn(what, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install 'rcgnn[plots]'")
    draw(sheets(HOSTILE)[what], "matplotlib").savefig(tmp_path / "figure.svg")
    assert ET.parse(tmp_path / "figure.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file


def test_plotly_draws_every_arrow_lag_and_box():
    pytest.importorskip("plotly", reason="plotly is an extra: pip install 'rcgnn[plots]'")
    figure = draw(sheets()["graph"], "plotly")
    arrows = [a for a in figure.layout.annotations if a.showarrow]
    texts = [a.text for a in figure.layout.annotations if not a.showarrow]
    assert len(arrows) == 3
    assert {"pump", "flow", "level", "1, 2", "now", "3"} <= set(texts)
    at = {name: (x, -y) for name, x, y in sheets()["graph"].panels[0].places}
    assert {((a.ax, a.ay), (a.x, a.y)) for a in arrows} == {
        (at[c], at[e]) for c, e in (("pump", "flow"), ("level", "pump"), ("flow", "level"))
    }


@pytest.mark.parametrize("what", list(sheets()))
def test_plotly_shows_the_same_numbers_and_names_as_text(what):
    pytest.importorskip("plotly", reason="plotly is an extra: pip install 'rcgnn[plots]'")
    sheet = sheets(HOSTILE)[what]
    figure = draw(sheet, "plotly")
    lines = [line for panel in sheet.panels for line in panel.lines]
    if lines:
        assert [list(trace.y) for trace in figure.data] == [list(line.y) for line in lines]
    json = figure.to_json()
    json.encode("utf-8")
    texts = [a.text for a in figure.layout.annotations] + [figure.layout.title.text]
    assert not [text for text in texts if text and "<" in text]
    assert draw(sheet, "plotly").to_json() == json


def test_plotly_error_bars_reach_the_interval():
    pytest.importorskip("plotly", reason="plotly is an extra: pip install 'rcgnn[plots]'")
    trace = next(t for t in draw(sheets()["link"], "plotly").data if t.error_y.array is not None)
    assert np.allclose(np.array(trace.y) + trace.error_y.array, [0.75, -0.3])
    assert np.allclose(np.array(trace.y) - trace.error_y.arrayminus, [0.75, -0.8])


def test_unknown_names_and_absent_packages_are_told(monkeypatch):
    with pytest.raises(InputError, match=r"unknown backend 'matplotlip'.*matplotlib"):
        draw(sheets()["graph"], "matplotlip")
    with pytest.raises(InputError, match=r"unknown sensor 'pumpe'.*pump"):
        link_sheet(example(), "pumpe", "flow")
    with pytest.raises(InputError, match="twice"):
        link_sheet(example(), "pump", "pump")
    for backend, modules in (("plotly", ("plotly", "plotly.subplots")), ("matplotlib", ("rcgnn.figures.paper", "matplotlib"))):
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(InputError, match=r"rcgnn\[plots\]"):
            draw(sheets()["graph"], backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_estimator_draws_its_fit(backend):
    pytest.importorskip(backend, reason=f"{backend} is an extra: pip install 'rcgnn[plots]'")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(300)
    table = np.column_stack([x, np.concatenate([[0.0], x[:-1]]) + 0.3 * rng.standard_normal(300)])
    model = RCGNN(max_lag=2, select__refine="off").fit(table)
    assert model.graph_.links() == [(1, 0, 1)]
    figures = [model.plot_graph(backend=backend), model.plot_health(backend=backend), model.plot_link("x0", "x1", backend=backend)]
    if backend == "plotly":
        assert len([a for a in figures[0].layout.annotations if a.showarrow]) == 1
        assert "switched off" in figures[1].layout.annotations[0].text
        assert list(figures[2].data[0].y) == model.graph_.score[:, 0, 1].tolist()
        assert len(figures[2].data[-1].y) == 300
    else:
        assert len(figures[0].axes[0].patches) == 1
        assert "switched off" in figures[1].axes[0].texts[0].get_text()
        assert figures[2].axes[0].lines[0].get_ydata().tolist() == model.graph_.score[:, 0, 1].tolist()
        assert len(figures[2].axes) == 4


def test_before_fit_there_is_nothing_to_draw():
    from sklearn.exceptions import NotFittedError

    for plot in (RCGNN().plot_graph, RCGNN().plot_health, lambda: RCGNN().plot_link("a", "b")):
        with pytest.raises(NotFittedError):
            plot()
