"""Recordings and rows that were given before: found, told, left out; what only looks alike stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.data.copies import distinct
from rcgnn.pipeline import fit_series
from rcgnn.series import Series, concatenate
from rcgnn.synth import simulate

QUICK = Config().override(["select.refine=off", "select.halves=4"])


def noise(rows: int, seed: int = 0, sensors: int = 3, gaps: float = 0.1) -> Series:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, sensors))
    return Series(x, rng.random(x.shape) >= gaps, tuple("abc"[:sensors]))


def kinds(found):
    return [one.evidence["kind"] for one in found]


def test_a_recording_given_again_is_left_out_and_told():
    one, other = noise(200), noise(150, 1)
    once, found = distinct(concatenate([one, other, one, other, one]))
    assert once.shape == (350, 3)
    np.testing.assert_array_equal(once.values, np.concatenate([one.values, other.values]))
    assert once.recording.tolist() == [0] * 200 + [1] * 150
    assert found[0].evidence["recordings"] == [[3, 1], [4, 2], [5, 1]]
    assert found[0].applied
    assert found[0].severity == "act"
    assert found[0].message.startswith("table: recording 3 repeats recording 1, recording 4 repeats recording 2")


def test_many_copies_are_not_all_named():
    told = distinct(concatenate([noise(60)] * 6))[1][0]
    assert "recording 4 repeats recording 1 and 2 more alike" in told.message
    assert told.evidence["rows"] == 300


def test_the_answer_is_that_of_one_recording():
    table = simulate("linear", seed=3, rows=300, sensors=4).series
    once, twice = fit_series(table, QUICK), fit_series(concatenate([table, table]), QUICK)
    assert "repeated" in kinds([f for f in twice.findings if f.code == "INPUT"])
    assert once.graph.links()
    np.testing.assert_array_equal(twice.graph.verdict, once.graph.verdict)
    np.testing.assert_array_equal(twice.graph.confidence, once.graph.confidence)
    assert twice.graph.effects == once.graph.effects


def test_who_wants_no_cleaning_gets_the_rows_that_were_given():
    table = simulate("linear", seed=3, rows=200, sensors=3).series
    done = fit_series(concatenate([table, table]), QUICK.override(["data.clean=off"]))
    assert done.series.shape[0] == 400
    assert "repeated" not in kinds([f for f in done.findings if f.code == "INPUT"])


def test_rows_pasted_into_a_recording_are_left_out_and_their_neighbours_parted():
    x = noise(600, gaps=0.0)
    values = np.concatenate([x.values[:400], x.values[100:250], x.values[400:]])
    once, found = distinct(Series(values, np.ones(values.shape, bool), x.names))
    np.testing.assert_array_equal(once.values, x.values)
    assert found[0].message == "table: rows 401 to 550 repeat rows 101 to 250, reading for reading: left out."
    assert found[0].evidence["runs"] == [[401, 550, 101]]
    assert once.segments() == [slice(0, 400), slice(400, 600)]


def test_a_file_with_the_same_rows_twice_and_no_mark_between_them():
    values = np.tile(noise(300, gaps=0.0).values, (2, 1))
    once, _ = distinct(Series.of(values))
    assert once.shape[0] == 300
    assert once.segments() == [slice(0, 300)]


def test_recordings_that_overlap():
    x = noise(700)
    once, found = distinct(concatenate([x.rows(slice(0, 400)), x.rows(slice(250, 700))]))
    np.testing.assert_array_equal(once.values, x.values)
    assert found[0].evidence["runs"] == [[401, 550, 251]]
    assert once.segments() == [slice(0, 400), slice(400, 700)]


def test_time_of_what_stays_is_kept():
    table = replace(noise(200), time=np.arange(200.0))
    once, _ = distinct(concatenate([table, table]))
    assert once.time is not None
    assert once.time.tolist() == table.time.tolist()


ALIKE = {
    "constant": np.ones((300, 2)),
    "missing": np.full((300, 2), np.nan),
    "one step": np.repeat([[0.0, 1.0], [1.0, 1.0]], 150, axis=0),
    "few levels": np.array([[k % 4, k // 4 % 4] for k in range(300)], float),
    "stands still for long": np.concatenate([np.random.default_rng(0).standard_normal((15, 2)), np.ones((285, 2))]),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_readings_that_hardly_differ_are_no_copies(kind):
    one = Series(ALIKE[kind], np.isfinite(ALIKE[kind]), ("a", "b"))
    table = concatenate([one, one])
    once, found = distinct(table)
    assert once is table
    assert not found


def test_one_cell_or_one_mode_makes_another_recording():
    one = noise(200, gaps=0.0)
    values = one.values.copy()
    values[100, 1] += 1e-12
    for other in (
        one.with_values(values, one.mask),
        one.with_values(one.values, one.mask & (np.arange(600).reshape(200, 3) != 301)),
        replace(one, regime=np.ones(200, np.int64), regime_names=("0", "1")),
    ):
        assert not _whole(one, other)


def _whole(one: Series, other: Series) -> bool:
    found = distinct(concatenate([one, other]))[1]
    return any(told.evidence["recordings"] for told in found)


def test_short_runs_stay():
    x = noise(300, gaps=0.0)
    table = Series.of(np.concatenate([x.values, x.values[:99]]))
    assert distinct(table)[0] is table


def test_equal_codes_alone_are_no_copy(monkeypatch):
    monkeypatch.setattr("rcgnn.data.copies._codes", lambda series: np.arange(len(series.values), dtype=np.uint64) % 200)
    table = concatenate([noise(200), noise(200, 1)])
    assert distinct(table)[0] is table


def test_a_copy_in_another_mode_does_not_hide_one_in_the_same():
    one = noise(100, gaps=0.0)
    other = replace(one, regime=np.ones(100, np.int64), regime_names=("0", "1"))
    assert distinct(concatenate([one, other, other]))[1][0].evidence["recordings"] == [[3, 2]]
