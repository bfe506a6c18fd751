"""The data of the page: response lines, open questions, confidence, training columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from browser.runs import linked, origin, records, undecidable
from rcgnn.config import Config
from rcgnn.graph import LINK
from rcgnn.health import Finding
from rcgnn.pipeline import fit_series
from rcgnn.report.answer_text import answer
from rcgnn.report.graph_data import SHOWN_OPEN, graph_data
from rcgnn.report.run_data import findings_data, repeat_data, sure_data, training_data
from rcgnn.synth import simulate


@pytest.fixture(scope="module")
def fit():
    plant = simulate("linear", seed=1, rows=500, sensors=4)
    return fit_series(plant.series, Config().override(["select.refine=off", "data.max_lag=2"]))


def test_the_response_has_the_slope_in_units_and_its_interval(fit):
    data = graph_data(fit.graph, fit.equations)
    assert data["links"]
    for link in data["links"]:
        line = link["response"]
        run = line["cause"][-1] - line["cause"][0]
        assert (line["effect"][-1] - line["effect"][0]) / run == pytest.approx(link["in_units"], rel=1e-2)
        assert (line["high"][-1] - line["low"][-1]) > 0
        assert min(line["low"][-1], line["high"][-1]) <= line["effect"][-1] <= max(line["low"][-1], line["high"][-1])


def test_without_equations_there_is_no_response(fit):
    assert all(link["response"] is None for link in graph_data(fit.graph, {})["links"])


def test_the_fit_says_how_weak_a_link_it_would_have_found(fit):
    assert 0 < fit.summary["detectable_share"] < 0.2
    assert sure_data(fit.graph, fit.summary)["detectable"] == pytest.approx(fit.summary["detectable_share"], rel=1e-3)


def test_open_pairs_are_counted_in_full_and_listed_in_part(tmp_path):
    small = graph_data(undecidable(tmp_path / "run").graph(), {})["open"]
    assert (small["pairs"], small["reasons"]) == (6, {"a quarantined sensor": 6})
    assert small["shown"][0]["lags"] == [0, 1, 2]
    graph = linked(tuple(f"s{n}" for n in range(30)))
    verdict = np.where(graph.verdict == LINK, LINK, -1).astype(np.int8)
    many = graph_data(type(graph).of(graph.names, graph.score, verdict), {})["open"]
    assert many["pairs"] == 30 * 29
    assert len(many["shown"]) == SHOWN_OPEN


def test_confidence_counts_links_and_what_was_turned_down():
    graph = linked(("a", "b", "c", "d"))
    told = sure_data(graph, {})
    assert sum(told["links"]) == len(graph.links())
    assert sum(told["others"]) == 0
    assert told["detectable"] is None


def test_what_a_recipe_does_not_give_is_absent(tmp_path):
    graph = origin(tmp_path / "run").graph()
    assert {(link["strength"], link["confidence"]) for link in graph_data(graph, {})["links"]} == {(None, None)}
    assert sum(sure_data(graph, {})["links"]) == 0


def test_training_is_columns_with_its_events():
    told = training_data(records())
    assert told["epoch"] == [1, 2, 3, 4, 5, 6]
    assert told["terms"] == {"recon": [0.5] * 6, "sparse": [0.1] * 6}
    assert [(event["at"], event["text"][:6]) for event in told["events"]] == [(2, "1 step"), (3, "SPIKE:")]
    assert training_data([]) is None


def test_findings_are_grouped_by_what_they_say():
    alike = [Finding(code="INPUT", severity="act", message=f"{n}: spikes.", sensor=n, evidence={"kind": "outliers"}) for n in "ab"]
    table = [Finding(code="INPUT", severity="info", message=m, evidence={"kind": "x"}) for m in ("one", "two")]
    told = findings_data([*table, *alike])
    assert [entry["messages"] for entry in told] == [["a: spikes.", "b: spikes."], ["one"], ["two"]]


def test_warnings_name_the_gravest_and_count_the_rest():
    kinds = ("drift", "outliers", "hidden_drivers", "unit_root", "noise")
    found = [Finding(code="INPUT", severity="warn", message="m", evidence={"kind": kind}) for kind in kinds]
    graph = linked(("a", "b", "c"), links=2)
    text = answer(graph, {"verdict": "links found"}, [*found, Finding(code="SPIKE", severity="act", message="m")])[2]["text"]
    assert text.startswith(
        "1 pair undecided (too few joint rows); hidden drivers that were never measured act on several sensors; 1 sensor that"
    )
    assert text.endswith("and 4 more under Findings.")


def test_false_links_expected_are_the_missing_confidence():
    graph = linked(("a", "b", "c"), links=4)
    wrong = sum(1 - graph.confidence[key] for key in graph.links())
    assert f"about {wrong:.1f} of them are expected to be false" in answer(graph, {}, [])[1]["text"]
    sure = replace(graph, confidence=np.where(graph.confidence > 0, 0.999, 0.0))
    assert "; taken together, fewer than 0.1 of them are expected to be false." in answer(sure, {}, [])[1]["text"]


def test_the_command_is_quoted_for_a_shell():
    told = repeat_data({"table": "my table; rm.csv", "version": "1", "packages": {"numpy": "2"}}, Config())
    assert told["command"] == "rcgnn fit 'my table; rm.csv' --config RUN/config.yaml --out AGAIN"
    assert told["versions"] == {"rcgnn": "1", "numpy": "2"}
