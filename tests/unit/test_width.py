"""Tables too wide for curves: said, and met by straight lines."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.pipeline import fit_series
from rcgnn.screen import width
from rcgnn.screen.features import Offer, Sample, build
from rcgnn.screen.moments import moments
from rcgnn.synth import simulate


def test_the_room_is_that_of_the_moments():
    x = np.random.default_rng(0).standard_normal((1, 80, 5))
    sample = Sample(x, np.ones((80, 5), bool), [slice(0, 80)], 2)
    tables = build(sample.signal, sample.segments, max_lag=2, basis="nonlinear")
    pairs = [(a, b) for a in range(5) for b in range(a)]
    gram = moments(tables, np.ones(78, bool), Offer(pairs)).gram
    assert width.room(5, 2) == 5 * gram.matrix.nbytes


@pytest.mark.parametrize(("basis", "most", "given"), [("auto", 1e3, "linear"), ("auto", 1e9, "auto"), ("nonlinear", 1e3, "nonlinear")])
def test_straight_lines_where_curves_do_not_fit_and_nobody_asked_for_them(basis, most, given, monkeypatch):
    monkeypatch.setattr(width, "MOST_BYTES", most)
    assert width.fitting(basis, 6, 3) == given
    assert bool(width.about(basis, 6, 3)) == (basis != given)


def test_a_wide_table_says_so_and_is_screened_with_straight_lines(monkeypatch):
    series = simulate("nonlinear", seed=1, rows=300, sensors=5).series
    config = Config().override(["select.refine=off", "select.halves=0", "select.shifted_copies=1"])
    roomy = fit_series(series, config)
    monkeypatch.setattr(width, "MOST_BYTES", 1e3)
    tight = fit_series(series, config)
    assert set(roomy.screened.bases) != {"linear"} == set(tight.screened.bases)
    kinds = [[f.evidence.get("kind") for f in fit.findings].count("wide") for fit in (roomy, tight)]
    assert kinds == [0, 1]
