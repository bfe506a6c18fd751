"""Each fault does what its row says, in the unit it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.errors import ConfigError
from rcgnn.series import Series
from rcgnn.synth import CORRUPTIONS, Plan, corrupt, parse_corruption, simulate
from rcgnn.synth.corruption import COMPOUND
from rcgnn.synth.faults import _blocks, _chances


@pytest.fixture(scope="module")
def clean():
    return simulate("linear", seed=2, rows=4000)


def damage(clean, spec, seed=0):
    """Change in clean sd, [T, N]."""
    after = corrupt(clean.series, spec, seed=seed, truth=clean.truth)
    return (after.values - clean.series.values) / clean.series.values.std(axis=0), after


@pytest.mark.parametrize("name", ["missing", "mar", "mnar", "mnar_parent", "outage"])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_masks_hide_the_share_they_say(clean, name, share):
    assert 1 - damage(clean, {name: share})[1].mask.mean() == pytest.approx(share, abs=0.01)


def test_missing_has_no_pattern(clean):
    hidden = ~damage(clean, {"missing": 0.3})[1].mask
    assert np.mean(hidden[1:] & hidden[:-1]) == pytest.approx(0.09, abs=0.006)
    z = (clean.series.values - clean.series.values.mean(axis=0)) / clean.series.values.std(axis=0)
    assert abs(z[hidden].mean()) < 0.03


def test_mnar_hides_high_values(clean):
    hidden = ~damage(clean, {"mnar": 0.3})[1].mask
    z = (clean.series.values - clean.series.values.mean(axis=0)) / clean.series.values.std(axis=0)
    assert all(z[hidden[:, j], j].mean() > 0.5 for j in range(13))


def test_mar_is_decided_by_a_sensor_that_stays_complete(clean):
    after = damage(clean, {"mar": 0.3})[1]
    complete = after.mask.all(axis=0)
    assert complete.sum() == 4
    z = (clean.series.values - clean.series.values.mean(axis=0)) / clean.series.values.std(axis=0)
    for j in np.flatnonzero(~complete):
        assert max(z[~after.mask[:, j], i].mean() for i in np.flatnonzero(complete)) > 0.4


def test_mnar_parent_follows_the_cause_at_its_lag():
    truth = np.zeros((3, 2, 2), bool)
    truth[2, 0, 1] = True
    values = np.random.default_rng(0).standard_normal((3000, 2))
    after = corrupt(Series.of(values), {"mnar_parent": 0.3}, seed=0, truth=truth)
    gone = ~after.mask[:, 1]
    assert values[:-2][gone[2:], 0].mean() > 0.5
    assert abs(values[gone, 0].mean()) < 0.1
    assert after.mask[:, 0].mean() == pytest.approx(0.7, abs=0.03)


def test_mnar_parent_asks_for_the_truth(clean):
    with pytest.raises(ConfigError, match="mnar_parent needs the true links"):
        corrupt(clean.series, {"mnar_parent": 0.3}, seed=0)


def test_outage_comes_in_long_blocks(clean):
    hidden = ~damage(clean, {"outage": 0.3})[1].mask
    starts = (hidden[1:] & ~hidden[:-1]).sum() + hidden[0].sum()
    assert hidden.sum() / starts > 25


def test_noise_is_white_and_as_large_as_said(clean):
    change, _ = damage(clean, {"noise": 0.5})
    np.testing.assert_allclose(change.std(axis=0), 0.5, atol=0.03)
    assert abs(np.mean(change[1:] * change[:-1])) < 0.01


def test_noise_has_nothing_to_do_with_what_drives_the_system():
    """The same seed for system and fault must not give the same numbers twice, at any shift."""
    plan = Plan(7, rows=500)
    driving = plan.rng("noise", 0).standard_normal(20_000)
    s = simulate("linear", seed=7, rows=500)
    change = (corrupt(s.series, {"noise": 1.0}, seed=7).values - s.series.values) / s.series.values.std(axis=0)
    shifts = np.correlate(driving, change.ravel()[:2000], mode="valid") / 2000
    assert np.abs(shifts).max() < 0.2


def test_negative_seed(clean):
    with pytest.raises(ConfigError, match="seed must be at least 0"):
        corrupt(clean.series, {"noise": 1.0}, seed=-1)


def test_outliers_are_ten_sd(clean):
    change, _ = damage(clean, {"outliers": 0.01})
    hit = change != 0
    assert hit.mean() == pytest.approx(0.01, abs=0.002)
    np.testing.assert_allclose(np.abs(change[hit]), 10.0, rtol=1e-6)
    assert abs(np.sign(change[hit]).mean()) < 0.15


def test_bursts_are_runs(clean):
    hit = damage(clean, {"bursts": 0.02})[0] != 0
    assert hit.mean() == pytest.approx(0.02, abs=0.001)
    assert (hit[1:] & hit[:-1]).sum() / hit.sum() > 0.6


def test_drift_is_slow_and_as_large_as_said(clean):
    change, _ = damage(clean, {"drift": 2.0})
    np.testing.assert_allclose(change.std(axis=0), 2.0, rtol=1e-6)
    assert (np.diff(change, axis=0).std(axis=0) < 0.2).all()


def test_bias_is_piecewise_constant(clean):
    change, _ = damage(clean, {"bias": 1.0})
    jumps = np.abs(np.diff(change, axis=0)) > 1e-6
    assert (jumps.sum(axis=0) <= 4).all()
    assert jumps.sum() > 13


def test_gain_leaves_the_centre_and_changes_the_spread(clean):
    x = clean.series.values - clean.series.values.mean(axis=0)
    ratio = (damage(clean, {"gain": 0.3})[1].values - clean.series.values.mean(axis=0)) / x
    assert (ratio > 0).all()
    np.testing.assert_allclose(np.log(ratio).std(axis=0), 0.3, rtol=1e-3)


def test_quantised_readings_are_few(clean):
    after = damage(clean, {"quantise": 0.5})[1]
    assert all(len(np.unique(after.values[:, j])) < 30 for j in range(13))
    assert np.abs(damage(clean, {"quantise": 0.5})[0]).max() < 0.2500001


def test_stuck_repeats_the_first_reading(clean):
    change, after = damage(clean, {"stuck": 0.2})
    repeated = np.diff(after.values, axis=0) == 0
    assert repeated.mean() == pytest.approx(0.19, abs=0.015)
    assert (change != 0).mean() < 0.2


def test_common_mode_is_one_signal(clean):
    change, _ = damage(clean, {"common_mode": 1.0})
    singular = np.linalg.svd(change, compute_uv=False)
    assert singular[1] < 1e-6 * singular[0]


def test_compound_is_its_parts(clean):
    a = damage(clean, {"compound": 1.0})[1]
    b = damage(clean, COMPOUND)[1]
    assert np.array_equal(a.values, b.values, equal_nan=True)
    assert a.mask.mean() == pytest.approx(0.85 * 0.9, abs=0.01)


def test_a_part_named_beside_its_mixture_wins(clean):
    assert damage(clean, {"compound": 1.0, "missing": 0.0, "outage": 0.0})[1].mask.all()


def test_order_of_the_names_does_not_matter(clean):
    spec = {"missing": 0.2, "drift": 1.0, "stuck": 0.1}
    a, b = damage(clean, spec)[1], damage(clean, dict(reversed(spec.items())))[1]
    assert np.array_equal(a.values, b.values, equal_nan=True)


def test_another_fault_does_not_move_the_holes(clean):
    assert np.array_equal(damage(clean, {"missing": 0.2})[1].mask, damage(clean, {"missing": 0.2, "drift": 1.0})[1].mask)


def test_masks_come_after_the_signal(clean):
    """A frozen sensor freezes what the noise made of it: physics before wires."""
    names = list(CORRUPTIONS)
    assert names.index("common_mode") < names.index("noise") < names.index("quantise") < names.index("stuck") < names.index("missing")


def test_constant_and_empty_sensors_survive():
    values = np.random.default_rng(0).standard_normal((200, 3))
    values[:, 0], values[:, 1] = 5.0, np.nan
    spec = {name: row.default for name, row in CORRUPTIONS.items() if name != "mnar_parent"}
    after = corrupt(Series.of(values), spec, seed=0)
    assert (after.values[after.mask[:, 0], 0] == 5.0).all()
    assert not after.mask[:, 1].any()


@given(share=st.floats(0, 0.95), seed=st.integers(0, 99), rows=st.integers(1, 300), length=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_blocks_are_disjoint_and_cover_the_share(share, seed, rows, length):
    count = np.zeros(rows, int)
    for block in _blocks(np.random.default_rng(seed), rows, share, length):
        assert block.stop > block.start
        count[block] += 1
    assert count.max() <= 1
    assert count.sum() == round(share * rows)


@given(share=st.floats(0.001, 0.99), seed=st.integers(0, 99), spread=st.sampled_from([0.0, 1e-9, 1.0, 1e12]))
@settings(max_examples=60, deadline=None)
def test_chances_have_the_mean_they_should(share, seed, spread):
    z = spread * np.random.default_rng(seed).standard_cauchy(200)
    chances = _chances(z, share)
    assert chances.mean() == pytest.approx(share, abs=1e-6)
    assert (np.diff(chances[np.argsort(z)]) >= 0).all()


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("", {}),
        ("clean", {}),
        ("drift=1,missing=0.3", {"drift": 1.0, "missing": 0.3}),
        (" drift = 1 , stuck@x1 = .2,", {"drift": 1.0, "stuck@x1": 0.2}),
        ("noise", {"noise": 0.5}),
        ("compound", {"compound": 1.0}),
        ("stuck20", {"stuck": 0.2}),
    ],
)
def test_parse(text, spec):
    assert parse_corruption(text) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drfit=1", "unknown corruption 'drfit'. Did you mean 'drift'"),
        ("qq=1", "Known: common_mode, gain"),
        ("drift=lots", "expected name=number, for example drift=1, got 'lots'"),
        ("drift=", "got ''"),
        ("missing=2", "missing is 2.0; expected 0 to 0.99"),
        ("missing=nan", "missing is nan"),
        ("drift=1,drift=2", "drift is given twice"),
    ],
)
def test_parse_refuses(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_corruption(text)


def test_unknown_fault(clean):
    with pytest.raises(ConfigError, match="unknown corruption 'nois'"):
        corrupt(clean.series, {"nois": 0.1}, seed=0)


def test_unknown_sensor(clean):
    with pytest.raises(ConfigError, match=r"no sensor 'x44'\. Did you mean 'x4'"):
        corrupt(clean.series, {"stuck@x44": 0.1}, seed=0)
