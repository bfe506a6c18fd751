"""Confidence is a probability made of what the screen knows; its direction in every trait can be said beforehand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rcgnn.config import Config, ScreenConfig
from rcgnn.pipeline import fit_series
from rcgnn.screen.features import Sample
from rcgnn.screen.structural import Screened, screen
from rcgnn.select.confidence import INTERCEPT, WEIGHTS, confidence, traits
from rcgnn.series import Series
from rcgnn.synth import simulate

T = 600


def screened(x: np.ndarray) -> Screened:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return screen(Sample(z[None], np.ones(x.shape, bool), [slice(0, len(x))], 1), ScreenConfig(basis="linear"))


def linked(strength: float, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((T, 5))
    x[1:, 1] += strength * x[:-1, 0]
    return x


def all_held(model: Screened) -> np.ndarray:
    return model.evidence.chosen.astype(float)


def test_a_probability_where_the_search_chose_and_zero_elsewhere():
    model = screened(linked(1.0))
    sure = confidence(model, all_held(model), 0.0)
    assert model.evidence.chosen[1, 0, 1]
    assert 0.8 < sure[1, 0, 1] < 1.0
    assert np.array_equal(sure > 0, model.evidence.chosen & ~np.eye(5, dtype=bool))


def test_the_formula_by_hand():
    model = screened(linked(0.5))
    keys, known = traits(model, all_held(model), 3.0)
    row = keys.tolist().index([1, 0, 1])
    named = dict(zip(WEIGHTS, known[row], strict=True))
    assert named["evidence"] == pytest.approx(np.log1p(-model.log_p[0, 1]))
    assert named["rows"] == pytest.approx(np.log(T - 1))
    assert named["density"] == pytest.approx(model.evidence.chosen.any(axis=0).sum() / 20)
    assert named["chance"] == pytest.approx(np.log(1.0 + 3.0))
    assert (named["same_step"], named["direction"], named["halves"]) == (0.0, 0.0, 1.0)
    logit = INTERCEPT + sum(WEIGHTS[name] * value for name, value in named.items())
    assert confidence(model, all_held(model), 3.0)[1, 0, 1] == pytest.approx(1 / (1 + np.exp(-logit)))
    doubtful = logit - WEIGHTS["halves"] + WEIGHTS["chance"] * np.log(1001.0 / 4.0)  # held nowhere, and much on the shifted copies
    assert confidence(model, 0.0 * all_held(model), 1000.0)[1, 0, 1] == pytest.approx(1 / (1 + np.exp(-doubtful)))


@pytest.mark.parametrize(
    ("lag", "log_p", "rows", "halves", "chance", "expected"),
    [
        (0, -30.0, 1500, 0.75, 2.0, 0.1928),
        (1, -30.0, 1500, 0.75, 2.0, 0.3647),
        (1, -30.0, 120, 1.0, 0.0, 0.9599),
        (1, -30.0, 200, 1.0, 0.0, 0.9599),  # no more probable with fewer rows than the simulated tables had
        (1, -8.0, 400, 0.5, 0.0, 0.3593),
    ],
)
def test_the_calibrated_formula_in_numbers(lag, log_p, rows, halves, chance, expected):
    """One link among three sensors; other weights come with a new `benchmarks/calibrate.py`, and change these."""
    chosen, direction = np.zeros((2, 3, 3), bool), np.full((3, 3), 0.6)
    chosen[lag, 0, 1] = chosen[1, 2, 2] = True  # a sensor's own past is no link
    model = SimpleNamespace(
        evidence=SimpleNamespace(chosen=chosen, direction=direction),
        features=[SimpleNamespace(rows=rows)] * 3,
        log_p=np.full((3, 3), log_p),
        tests=60,
        gamma=0.5,
    )
    sure = confidence(model, np.full((2, 3, 3), halves), chance)
    assert sure[lag, 0, 1] == pytest.approx(expected, abs=5e-4)
    assert np.count_nonzero(sure) == 1


def test_more_evidence_more_confidence():
    sure = [confidence(m, all_held(m), 0.0)[1, 0, 1] for m in (screened(linked(s)) for s in (0.2, 0.35, 0.8))]
    assert sure == sorted(sure)
    assert sure[2] - sure[0] > 0.1


def test_what_holds_on_fewer_halves_or_shows_on_shifted_copies_is_less_sure():
    model = screened(linked(0.25))
    steady = confidence(model, all_held(model), 0.0)[1, 0, 1]
    assert confidence(model, 0.5 * all_held(model), 0.0)[1, 0, 1] < steady
    assert confidence(model, all_held(model), 50.0)[1, 0, 1] < steady


def test_an_unclear_direction_is_less_sure_than_a_clear_one():
    x = np.random.default_rng(2).standard_normal((T, 5))
    x[:, 1] += x[:, 0]
    model = screened(x)
    pair = tuple(np.argwhere(model.evidence.chosen[0])[0])
    assert model.evidence.direction[pair] < 0.9
    clear = replace(model, evidence=replace(model.evidence, direction=np.ones((5, 5))))
    assert confidence(model, all_held(model), 0.0)[0][pair] < confidence(clear, all_held(model), 0.0)[0][pair]


def test_nothing_chosen_nothing_to_be_sure_of():
    model = screened(np.random.default_rng(7).standard_normal((T, 5)))
    assert not model.evidence.chosen[:, ~np.eye(5, dtype=bool)].any()
    assert not confidence(model, all_held(model), 0.0).any()


def test_no_halves_no_confidence():
    series = simulate("linear", seed=1, rows=300, sensors=4).series
    settings = ["select.refine=off", "data.max_lag=2"]
    assert fit_series(series, Config().override(settings)).graph.confidence.any()
    assert not fit_series(series, Config().override([*settings, "select.halves=0"])).graph.confidence.any()


def test_the_unit_of_a_sensor_does_not_matter():
    series = simulate("linear", seed=1, rows=300, sensors=4).series
    settings = Config().override(["select.refine=off", "data.max_lag=2"])
    milli = Series.of(series.values * np.array([1e-3, 1.0, 1e6, 1.0]), names=series.names)
    np.testing.assert_allclose(fit_series(milli, settings).graph.confidence, fit_series(series, settings).graph.confidence, atol=1e-6)
