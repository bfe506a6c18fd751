"""Tables too wide for curves: said, and met by straight lines."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.pipeline import fit_series
from rcgnn.screen import width
from rcgnn.screen.features import build
from rcgnn.synth import simulate


def test_the_curves_are_those_of_the_table():
    tables = build(np.random.default_rng(0).standard_normal((1, 80, 5)), [slice(0, 80)], max_lag=2, basis="nonlinear")
    assert width.curves(5, 2) == tables.plain


@pytest.mark.parametrize(("basis", "most", "given"), [("auto", 71, "linear"), ("auto", 72, "auto"), ("nonlinear", 71, "nonlinear")])
def test_straight_lines_where_curves_do_not_fit_and_nobody_asked_for_them(basis, most, given, monkeypatch):
    monkeypatch.setattr(width, "MOST_CURVES", most)
    assert width.fitting(basis, 6, 3) == given
    assert bool(width.about(basis, 6, 3)) == (basis != given)


def test_a_wide_table_says_so_and_is_screened_with_straight_lines(monkeypatch):
    series = simulate("nonlinear", seed=1, rows=300, sensors=5).series
    config = Config().override(["select.refine=off", "select.halves=0", "select.shifted_copies=1"])
    roomy = fit_series(series, config)
    monkeypatch.setattr(width, "MOST_CURVES", 10)
    tight = fit_series(series, config)
    assert set(roomy.screened.bases) != {"linear"} == set(tight.screened.bases)
    kinds = [[f.evidence.get("kind") for f in fit.findings].count("wide") for fit in (roomy, tight)]
    assert kinds == [0, 1]
