"""Means, distances, ranks and reliability against numbers worked out by hand."""

from __future__ import annotations

import pytest

from rcgnn.bench.markdown import best_in_bold, table
from rcgnn.bench.rows import RESULT, fault_of, grouped
from rcgnn.bench.statistics import average, distances, means, ranks, reliability


def row(method, value, seed=0, **more):
    base = {"block": "b", "system": "s", "cell": "c", "rows": 9, "sensors": 3, "max_lag": 1, "target": "summary", "true": 2}
    return {**dict.fromkeys(RESULT), **base, "method": method, "seed": seed, "auprc": value, "f1": value, "prevalence": 0.1, **more}


def failure(method, seed=0):
    return row(method, None, seed, error="E: no")


def test_a_failed_run_pulls_the_mean_down():
    found = means([row("a", 0.9, found=2, fdr=0.0), failure("a")])
    assert (found["runs"], found["failed"], found["AUPRC"], found["F1"]) == (2, 1, 0.5, 0.45)


def test_chance_is_of_the_tables_that_have_an_auprc():
    assert average([row("a", 0.9), row("a", None, true=0, prevalence=0.0)], "prevalence") == pytest.approx(0.1)


def test_precision_leaves_out_runs_that_found_nothing_and_fdr_counts_them_as_none_false():
    found = means([row("a", 0.1, precision=None, fdr=0.0), row("a", 0.2, precision=0.25, fdr=0.75)])
    assert (found["precision"], found["FDR"]) == (0.25, 0.375)


def test_distance_is_to_the_best_other_mean_of_the_cell():
    rows = [row("rcgnn", 0.8), row("rcgnn", 0.6, 1), row("x", 0.9), row("x", 0.7, 1), row("y", 1.0), row("y", 0.0, 1)]
    rows += [row("rcgnn", 0.9, cell="d"), row("x", 0.2, cell="d")]
    worst, best = distances(rows, "auprc")
    assert (worst.peer, worst.ours, worst.theirs, worst.ahead) == pytest.approx(("x", 0.7, 0.8, -0.1))
    assert (best.case[2], best.ahead) == ("d", pytest.approx(0.7))


def test_ranks_share_ties_and_leave_out_tables_that_a_method_did_not_finish():
    rows = [row("a", 0.9), row("b", 0.9), row("c", 0.1), row("a", 0.5, 1), row("b", 0.6, 1), row("c", 0.7, 1)]
    rows += [row("a", 0.9, 2), failure("b", 2), row("c", 0.1, 2)]
    found = ranks(rows, "auprc")
    assert found.tables == 2
    assert found.mean == {"b": 1.75, "c": 2.0, "a": 2.25}


def test_critical_difference_of_the_published_example():
    """Demsar 2006, section 3.2.2: four classifiers on 14 data sets, q = 2.569, CD = 1.25."""
    rows = [row(m, v, seed) for seed in range(14) for m, v in zip("abcd", (0.4, 0.3, 0.2, 0.1), strict=True)]
    found = ranks(rows, "auprc")
    assert found.critical == pytest.approx(1.25, abs=0.005)
    assert found.p < 1e-6


def test_ranks_of_one_method_or_no_table():
    assert ranks([row("a", 0.9)], "auprc").mean == {}
    assert ranks([row("a", None), row("b", None)], "auprc").critical is None


def link(confidence, true, pair=None):
    return {"confidence": confidence, "true": true, "pair_true": true if pair is None else pair}


def test_reliability_by_hand():
    links = [link(0.95, k < 12) for k in range(20)] + [link(0.15, True, pair=False)] + [link(1.0, True)] * 5
    found = reliability(links)
    assert [(b.low, b.high, b.candidates) for b in found.bins] == [(0.1, 0.2, 1), (0.9, 1.0, 25)]
    assert [b.share for b in found.bins] == pytest.approx([1.0, 17 / 25])
    gap = (20 * 0.95 + 5) / 25 - 17 / 25
    assert found.worst == pytest.approx(gap)
    assert found.ece == pytest.approx((0.85 + 25 * gap) / 26)
    assert reliability(links, "pair_true").bins[0].share == 0.0


def test_links_whose_lag_nobody_knows_do_not_count():
    links = [link(0.95, True), link(0.95, None, pair=False)]
    assert [reliability(links, column).bins[0].share for column in ("true", "pair_true")] == [1.0, 0.5]


def test_reliability_of_nothing():
    assert reliability([]) == ([], None, None)


def test_ties_are_all_bold_and_nothing_is_not():
    assert best_in_bold([0.1234, 0.12341, None, 0.1]) == ["**0.123**", "**0.123**", "-", "0.100"]


def test_a_cell_cannot_break_its_table():
    assert table(["a"], [["x|y\nz"]])[2] == "| x\\|y z |"


def test_grouped_brings_together_what_is_apart():
    rows = [{"m": 1, "n": 1}, {"m": 2, "n": 2}, {"m": 1, "n": 3}]
    assert {key: [r["n"] for r in some] for key, some in grouped(rows, "m").items()} == {(1,): [1, 3], (2,): [2]}


def test_fault_and_severity_of_a_cell():
    assert [fault_of(cell) for cell in ("noise=2", "compound", "default", "clean")] == [
        ("noise", 2.0),
        ("compound", 1.0),
        (None, None),
        (None, 0.0),
    ]
