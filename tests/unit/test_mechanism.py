"""Refitted equations: least squares, intervals that cover, units, storing."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.encode import as_npz, from_npz
from rcgnn.errors import InputError
from rcgnn.graph import CausalGraph
from rcgnn.mechanism.blocks import Blocks, solve
from rcgnn.mechanism.effects import described, margins
from rcgnn.mechanism.equations import Mechanism
from rcgnn.mechanism.refit import Material, learn, refit, regression
from rcgnn.pipeline import fit_series
from rcgnn.series import Series
from rcgnn.synth import simulate

TERMS = np.array([(1, 0, 0), (2, 0, 0), (1, 1, 1), (2, 1, 1), (2, 0, 1), (1, 2, 2), (2, 2, 2), (0, 0, 2), (1, 1, 2)])
TRUE = np.array([0.6, 0.0, 0.3, 0.0, 0.5, 0.4, 0.0, 0.3, -0.4])


def systems(runs: int, rows: int, rng: np.random.Generator) -> np.ndarray:
    """[runs, rows, 3] of the equations (TERMS, TRUE)."""
    x = rng.standard_normal((runs, rows + 50, 3))
    for t in range(2, rows + 50):
        for (k, i, j), b in zip(TERMS, TRUE, strict=True):
            x[:, t, j] += b * x[:, t - k, i]
    return x[:, 50:]


def material(x: np.ndarray, keep: np.ndarray | None = None, draws: np.ndarray | None = None, **units: np.ndarray) -> Material:
    n = x.shape[1]
    read = np.ones(x.shape, bool) if keep is None else keep
    own = {"offset": np.zeros(n), "unit": np.ones(n), "trend": np.zeros(x.shape)} | units
    return Material(Series.of(x, mask=read), x[None] if draws is None else draws, x, read, **own)


def links() -> np.ndarray:
    verdict = np.zeros((3, 3, 3), np.int8)
    for k, i, j in TERMS[TERMS[:, 1] != TERMS[:, 2]]:
        verdict[k, i, j] = 1
    return verdict


@cache
def one() -> np.ndarray:
    return systems(1, 400, np.random.default_rng(3))[0]


def test_coefficients_are_least_squares_on_the_rows_that_count():
    x, rng = one() + np.array([3.0, -2.0, 0.0]), np.random.default_rng(0)
    keep = rng.random(x.shape) > 0.3
    found = refit(material(x, keep), TERMS, 2, rng)
    for j in range(3):
        at = TERMS[:, 2] == j
        time = np.arange(2, len(x))[keep[2:, j]]
        design = np.column_stack([np.ones(len(time)), *(x[time - k, i] for k, i, _ in TERMS[at])])
        b = np.linalg.lstsq(design, x[time, j], rcond=None)[0]
        np.testing.assert_allclose(np.append(found.intercept[j], found.coefficient[at]), b, rtol=1e-6, atol=1e-8)
        assert found.rows[j] == len(time)


def test_moments_are_averaged_over_draws():
    x, rng = one(), np.random.default_rng(0)
    draws = x + 0.3 * rng.standard_normal((2, *x.shape))
    both = refit(material(x, draws=draws), TERMS, 2, rng)
    stacked = [(np.column_stack([np.ones(398), d[1:-1, 1], d[:-2, 1], d[:-2, 0]]), d[2:, 1]) for d in draws]
    b = np.linalg.lstsq(np.concatenate([a for a, _ in stacked]), np.concatenate([y for _, y in stacked]), rcond=None)[0]
    np.testing.assert_allclose(both.coefficient[TERMS[:, 2] == 1], b[1:], rtol=1e-6)


def test_nothing_reaches_across_a_segment():
    x = one().copy()
    broken = replace(Series.of(x), recording=np.repeat([0, 1], 200))
    found = refit(replace(material(x), table=broken), TERMS, 2, np.random.default_rng(0))
    assert found.rows.tolist() == [396] * 3


def test_resamples_are_least_squares_on_repeated_rows():
    x = one()[:60]
    rng = np.random.default_rng(1)
    blocks = Blocks.of(60, 1, rng)
    features = np.column_stack([np.ones(60), x[:, 0]])
    again = solve(blocks.moments(regression(material(x), np.arange(60), np.array([[0, 0, 1]]), 1))[1])
    piece = np.repeat(np.arange(blocks.weight.shape[1]), blocks.piece)[:60]
    for r in (0, 7):
        often = np.repeat(np.arange(60), blocks.weight[r, piece].astype(int))
        np.testing.assert_allclose(again[r], np.linalg.lstsq(features[often], x[often, 1], rcond=None)[0], rtol=1e-5, atol=1e-7)


def test_blocks_lie_in_one_piece_and_cover_the_table():
    blocks = Blocks.of(5000, 3, np.random.default_rng(0))
    assert blocks.length == 20
    assert set(blocks.draw.tolist()) == {0, 1, 2}
    total = blocks.weight.sum(axis=1) * blocks.piece
    assert total.min() >= 5000
    assert total.max() < 5000 + blocks.length + blocks.piece
    for weight in blocks.weight[:20]:
        runs = np.split(weight, np.flatnonzero(weight == 0))
        assert all(np.count_nonzero(run) >= 4 or not run.any() for run in runs), "a block is 4 neighbouring pieces"


def test_intervals_cover_the_true_coefficient():
    rng = np.random.default_rng(1)
    hits = []
    for x in systems(150, 200, rng):
        found = refit(material(x, rng.random(x.shape) > 0.1), TERMS, 2, rng)
        hits.append(np.abs(found.coefficient - TRUE) <= margins(found))
    share = np.mean(hits, axis=0)
    assert 0.92 <= share.mean() <= 0.98
    assert (share >= 0.90).all()
    assert (share <= 0.99).all()


def test_what_missing_readings_may_have_been_is_part_of_the_interval():
    x, rng = one(), np.random.default_rng(2)
    sure = margins(refit(material(x), TERMS, 2, np.random.default_rng(0)))
    unsure = x + 0.6 * rng.standard_normal((8, 1, 3)) * x  # draws that disagree about the size of every sensor
    spread = margins(refit(material(x, draws=unsure), TERMS, 2, np.random.default_rng(0)))
    at = [4, 7, 8]
    assert (spread[at] > 1.5 * sure[at]).all()


def test_resamples_are_widened_to_the_variance_that_is_due():
    """Within a draw, from draw to draw, from family to family; by the formula, on two families of three draws."""
    rng, rows = np.random.default_rng(4), 300
    x = np.concatenate([np.ones((6, rows, 1)), rng.standard_normal((6, rows, 1)) + 0.2 * np.arange(6)[:, None, None]], axis=2)
    y = (0.5 + 0.1 * np.arange(6)[:, None]) * x[:, :, 1] + rng.standard_normal((6, rows))
    blocks = Blocks.of(rows, 6, rng)
    _, spread = blocks.fit(lambda part: (x[:, part], y[:, part], np.ones(rows, bool)[part]), families=2)
    each, again = blocks.moments(lambda part: (x[:, part], y[:, part], np.ones(rows, bool)[part]))
    own, plain = solve(each), solve(again)
    count = rows // blocks.length
    within = ((plain - own[np.arange(200) % 6]) ** 2).mean(axis=0) * rows / (rows - 2) * count / (count - 1)
    draws = np.mean([own[:3].var(axis=0, ddof=1), own[3:].var(axis=0, ddof=1)], axis=0)
    family = (own[:3].mean(axis=0) - own[3:].mean(axis=0)) ** 2 / 2
    due = within + (1 + 1 / 3) * draws / (1 - np.minimum(draws / within, 0.8)) + 1.5 * family
    np.testing.assert_allclose(spread.var(axis=0, ddof=1), due, rtol=1e-9)
    np.testing.assert_allclose(spread.mean(axis=0), plain.mean(axis=0), rtol=1e-9)


def noisy_or_not(share: float) -> tuple[Material, np.ndarray, np.ndarray]:
    """A cause whose noise was taken for a fault of the sensor: draws without it, and the readings themselves."""
    rng = np.random.default_rng(6)
    cause, noise = rng.standard_normal((2, 800))
    x = np.column_stack([cause + share * noise, 0.5 * cause + 0.5 * rng.standard_normal(800)])
    drawn = np.stack([np.column_stack([cause + 0.05 * rng.standard_normal(800), x[:, 1]]) for _ in range(4)])
    keep = np.ones(x.shape, bool)
    scaled = replace(material(10 * x + 7, keep, drawn, offset=np.full(2, 7.0), unit=np.full(2, 10.0)), read=x)
    slope = [np.linalg.lstsq(np.column_stack([np.ones(800), z[:, 0]]), x[:, 1], rcond=None)[0][1] for z in (drawn[0], x)]
    return scaled, np.array(slope), x


def test_whose_the_noise_is_is_part_of_the_interval():
    """Taken for measurement noise and taken for signal: the strength lies between, the interval holds both."""
    given, slopes, _ = noisy_or_not(0.6)
    terms = np.array([(1, 0, 0), (1, 1, 1), (0, 0, 1)])
    found = refit(given, terms, 1, np.random.default_rng(0))
    alone = refit(replace(given, read=None), terms, 1, np.random.default_rng(0))
    low, high = found.coefficient[2] + margins(found)[2] * np.array([-1, 1])
    assert abs(slopes[0] - slopes[1]) > 2 * margins(alone)[2], "the two differ clearly"
    assert low < slopes.min() < found.coefficient[2] < slopes.max() < high
    assert alone.coefficient[2] == pytest.approx(slopes[0], abs=0.03)


def test_cells_are_draws_and_readings_where_these_count():
    given, _, x = noisy_or_not(0.6)
    keep = given.keep.copy()
    keep[3, 0] = False
    both = replace(given, keep=keep).cells(np.array([2, 3]), 0)
    np.testing.assert_allclose(both[:4], given.draws[:, [2, 3], 0])
    np.testing.assert_allclose(both[4:, 0], x[2, 0])
    np.testing.assert_allclose(both[4:, 1], given.draws[:, 3, 0])
    assert len(replace(given, read=None).cells(np.array([2]), 0)) == 4


def test_readings_stand_in_the_units_of_the_draws():
    """The state space runs (gaps): where a reading counts, a draw is that reading but for the smallest noise that is taken off."""
    plant = simulate("linear", seed=1, rows=400, sensors=4)
    x = np.where(np.random.default_rng(0).random((400, 4)) < 0.1, np.nan, 1e3 * plant.series.values + 7)
    done = fit_series(Series.of(x), Config().override(["select.refine=off", "select.halves=0"]))
    assert done.prepared is not None
    assert done.signal is not None
    given = Material.of(done.prepared.cleaned, done.prepared.scaled, done.prepared.scaler, done.signal)
    assert given.read is not None
    off = np.where(given.keep, given.read - given.mean, 0.0)
    assert 0.0 < off.std() < 0.15
    in_units = given.offset + given.unit * given.read
    np.testing.assert_allclose(in_units[given.keep], given.table.values[given.keep], rtol=1e-6)


def test_too_few_rows_have_no_interval():
    x = one()[:20]
    found = refit(material(x), TERMS, 2, np.random.default_rng(0))
    assert found.degrees.tolist() == [0, 0, 0]
    assert not margins(found).any()
    graph = CausalGraph.of(("x0", "x1", "x2"), np.abs(links()).astype(float), links(), strength=0.5 * links())
    after = described(graph, found)
    assert after.effects == {}
    assert after.strength[2, 0, 1] == 0.5, "the screen's strength stays"


def test_a_copy_of_a_cause_does_not_break_the_equations():
    x = np.column_stack([one(), one()[:, 0]])
    terms = np.array([*TERMS.tolist(), (1, 3, 3), (2, 3, 3), (2, 3, 1)])
    found = refit(material(x), terms, 2, np.random.default_rng(0))
    assert np.isfinite(found.coefficient).all()
    assert found.coefficient[4] + found.coefficient[-1] == pytest.approx(0.5, abs=0.1)


def fitted(factor: np.ndarray) -> CausalGraph:
    x = simulate("linear", seed=1, rows=500, sensors=4).series.values
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    x = np.where(np.random.default_rng(0).random(x.shape) < 0.1, np.nan, x)
    return fit_series(Series.of(x * factor + 7.0 * factor), Config().override(["select.refine=off", "select.halves=0"])).graph


def test_a_change_of_unit_scales_the_strengths_in_units_and_leaves_the_others():
    factor = np.array([1.0, 1e-3, 250.0, 4.0])
    plain, changed = fitted(np.ones(4)), fitted(factor)
    assert plain.effects.keys() == changed.effects.keys() == set(plain.links())
    assert len(plain.effects) >= 3
    for (k, i, j), a in plain.effects.items():
        b, ratio = changed.effects[k, i, j], factor[j] / factor[i]
        assert [b.in_units, b.in_units_low, b.in_units_high] == pytest.approx(
            [x * ratio for x in (a.in_units, a.in_units_low, a.in_units_high)]
        )
        assert [b.low, b.high, b.swing] == pytest.approx([a.low, a.high, a.swing])
        assert changed.strength[k, i, j] == pytest.approx(plain.strength[k, i, j])
        assert a.low < plain.strength[k, i, j] < a.high


def test_strength_in_units_is_the_slope_of_the_readings():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, 3))
    pump = 900 + 110 * x[:, 0]
    flow = 42 + 3.0 * x[:, 1]
    flow[1:] += 0.025 * pump[:-1]
    graph = fit_series(Series.of(np.column_stack([pump, flow, x[:, 2]])), Config().override(["select.refine=off"])).graph
    effect = graph.effects[1, 0, 1]
    assert effect.in_units_low < 0.025 < effect.in_units_high
    assert effect.in_units == pytest.approx(0.025, abs=0.002)
    assert graph.strength[1, 0, 1] == pytest.approx(0.025 * pump.std() / flow.std(), abs=0.03)


def test_a_curved_response_has_the_slope_of_its_line_and_keeps_its_swing():
    x = np.random.default_rng(1).standard_normal((1500, 3))
    e = x[1:, 1].copy()
    x[1:, 1] = x[:-1, 0] ** 2 + 0.5 * e
    done = fit_series(Series.of(x), Config().override(["select.refine=off"]))
    effect = done.graph.effects[1, 0, 1]
    assert abs(done.graph.strength[1, 0, 1]) < 0.15
    assert effect.low < 0 < effect.high
    assert effect.swing == pytest.approx(np.std(x[:-1, 0] ** 2) / np.std(x[1:, 1]), abs=0.05)
    assert done.mechanism.sensors.curved.tolist() == [False, True, False]


def learned() -> Mechanism:
    graph = CausalGraph.of(
        ("x0", "x1", "x2", "dead"), np.zeros((3, 4, 4)), np.pad(links(), ((0, 0), (0, 1), (0, 1))), quarantined={"dead": "constant"}
    )
    return learn(graph, material(one()), [False] * 3, np.random.default_rng(0))


def test_strength_is_the_coefficient_in_standard_deviations_of_the_signal():
    x = one() * [3.0, 1.0, 0.2]
    graph = CausalGraph.of(("x0", "x1", "x2"), np.zeros((3, 3, 3)), links())
    made = learn(graph, material(x, unit=np.array([2.0, 10.0, 1.0])), [False] * 3, np.random.default_rng(0))
    after = described(graph, made)
    b = dict(zip([tuple(term) for term in made.terms.tolist()], made.coefficient.tolist(), strict=True))
    for k, i, j in graph.links():
        assert after.strength[k, i, j] == pytest.approx(b[k, i, j] * x[:, i].std() / x[:, j].std())
        assert after.effects[k, i, j].in_units == pytest.approx(b[k, i, j] * [2, 10, 1][j] / [2, 10, 1][i])
    assert after.strength[1, 0, 0] == pytest.approx(b[1, 0, 0])
    assert (after.verdict == graph.verdict).all()


def test_equations_have_own_memory_and_decided_links_alone():
    assert {tuple(term) for term in learned().terms.tolist()} == {tuple(term) for term in TERMS.tolist()}


def test_storing_gives_it_back_exactly():
    made = learned()
    content = as_npz(made.to_arrays())
    back = Mechanism.from_arrays(from_npz(content))
    assert as_npz(back.to_arrays()) == content
    assert back.sensors.names == made.sensors.names
    assert back.sensors.left_out == {"dead": "constant"}
    assert back.clean is True
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        assert all(np.isfinite(archive[name]).all() for name in archive.files if archive[name].dtype.kind == "f")


@pytest.mark.parametrize("name", ["terms", "sensor_unit", "clean"])
def test_a_missing_array_is_one_sentence(name):
    arrays = learned().to_arrays()
    del arrays[name]
    with pytest.raises(InputError, match=name):
        Mechanism.from_arrays(arrays)


def test_an_array_of_another_shape_is_one_sentence():
    arrays = learned().to_arrays() | {"residual": np.zeros((5, 7))}
    with pytest.raises(InputError, match="residual must be"):
        Mechanism.from_arrays(arrays)


def test_depth_and_growth():
    made = learned()
    assert made.depth == 1
    assert made.growth() == pytest.approx(_radius(made), rel=0.02)
    chain = np.array([(1, 0, 0), (1, 1, 1), (1, 2, 2), (0, 2, 0), (0, 0, 1)])
    deep = refit(material(one()), chain, 1, np.random.default_rng(0))
    assert deep.depth == 2
    wild = replace(deep, coefficient=np.array([1.1, 0.2, 0.1, 0.0, 0.0]))
    assert wild.growth() == pytest.approx(1.1, rel=1e-3)


def test_a_step_is_what_the_links_add():
    chain = np.array([(1, 0, 0), (2, 1, 1), (1, 2, 2), (0, 2, 0), (0, 0, 1), (2, 0, 2)])
    made = refit(material(one()), chain, 2, np.random.default_rng(0))
    past = np.random.default_rng(1).normal(size=(5, 2, 3))
    lagged = made.intercept + past[:, 1] @ made.matrices[1].toarray() + past[:, 0] @ made.matrices[2].toarray()
    expected = lagged @ np.linalg.inv(np.eye(3) - made.matrices[0].toarray())
    np.testing.assert_allclose(made.step(past, made.intercept), expected)
    np.testing.assert_allclose(made.step(past[:, :, ::-1][:, :, ::-1], None), expected - made.step(0 * past, made.intercept))


def _radius(made: Mechanism) -> float:
    b0 = np.linalg.inv(np.eye(3) - made.matrices[0].toarray())
    top = np.hstack([(made.matrices[k].toarray() @ b0).T for k in (1, 2)])
    return float(np.abs(np.linalg.eigvals(np.vstack([top, np.eye(3, 6)]))).max())


def test_without_two_sensors_there_are_no_equations():
    done = fit_series(Series.of(np.column_stack([one()[:, 0], np.ones(400)])), Config().override(["select.refine=off"]))
    assert done.mechanism is None
    assert done.equations == {}


def test_drift_that_was_removed_is_put_back():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, 3))
    x[1:, 1] += 0.8 * x[:-1, 0]
    x = 5.0 * x + 100.0
    x[:, 2] += 40.0 * np.cumsum(rng.standard_normal(1500)) / 15.0
    done = fit_series(Series.of(x), Config().override(["select.refine=off"]))
    sensors = done.mechanism.sensors
    assert sensors.drifts.tolist() == [False, False, True]
    assert sensors.level[:2].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(sensors.offset[:2], x[:, :2].mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(sensors.unit[:2], x[:, :2].std(axis=0), rtol=0.05)
    np.testing.assert_allclose([sensors.lowest[2], sensors.highest[2]], [x[:, 2].min(), x[:, 2].max()], rtol=0.05)
    last = done.mechanism.to_units(done.mechanism.state, sensors.level)
    np.testing.assert_allclose(last[-1, :2], x[-1, :2], atol=0.3)
    assert last[-1, 2] == pytest.approx(x[-1, 2], abs=15)
