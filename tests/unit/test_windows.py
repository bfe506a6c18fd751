"""Blocks and windows: nothing crosses a cut, nothing is lost, nothing counts twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.data.windows import FLOAT32_SAFE, Windows, split_blocks
from rcgnn.errors import InputError
from rcgnn.series import Series, concatenate


def counting(rows: int, sensors: int = 1) -> Series:
    return Series.of(np.arange(float(rows))[:, None].repeat(sensors, axis=1))


def every(series: Series) -> np.ndarray:
    return np.ones(len(series.values), bool)


def counted(series: Series, windows: Windows) -> np.ndarray:
    rows = (windows.start[:, None] + np.arange(windows.target.shape[1]))[windows.target]
    return np.bincount(rows, minlength=len(series.values))


def test_one_block_is_the_last():
    assert np.flatnonzero(split_blocks(counting(10), 0.3, 1)).tolist() == [7, 8, 9]


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_share_and_number_of_blocks(blocks):
    held = split_blocks(counting(1000), 0.2, blocks)
    assert held.mean() == pytest.approx(0.2, abs=0.01)
    assert (np.diff(held.astype(int)) == 1).sum() == blocks


def test_every_long_recording_gives_a_block():
    s = concatenate([counting(500) for _ in range(10)])
    held = split_blocks(s, 0.2, 5).reshape(10, 500)
    assert (held.sum(axis=1) == 100).all()


def test_short_recordings_are_held_out_whole():
    s = concatenate([counting(24) for _ in range(20)])
    held = split_blocks(s, 0.2, 5).reshape(20, 24)
    assert sorted(held.sum(axis=1).tolist()) == [0] * 16 + [24] * 4
    assert split_blocks(s, 0.2, 1).reshape(20, 24).all(axis=1).tolist() == [False] * 16 + [True] * 4


def test_small_tables_keep_both_sides():
    for rows in (5, 20, 60):
        held = split_blocks(counting(rows), 0.2, 5)
        assert 0 < held.sum() < rows


@pytest.mark.parametrize(("share", "blocks"), [(0.0, 1), (1.0, 1), (0.2, 0)])
def test_bad_split(share, blocks):
    with pytest.raises(InputError, match="valid_share"):
        split_blocks(counting(10), share, blocks)


def test_windows_hold_the_right_rows():
    s = counting(50, 2)
    w = Windows.of(s, length=8, stride=None, max_lag=3, rows=every(s))
    assert w.values.dtype == np.float32
    assert w.values.shape == (len(w), 8, 2)
    assert (w.values[:, :, 1] == w.start[:, None] + np.arange(8)).all()
    assert counted(s, w).tolist() == [0] * 3 + [1] * 47


def test_views_share_memory_when_evenly_spaced():
    s = counting(49, 2)
    w = Windows.of(s, length=8, stride=1, max_lag=1, rows=every(s))
    assert len(w) == 42
    assert not w.values.flags.owndata
    assert not w.values.flags.writeable
    assert np.shares_memory(w.values[0], w.values[1])
    assert counted(s, w).tolist() == [0] + [1] * 48


def test_origin_windows():
    """9,471 rows, windows of 24 at stride 1, the first 70 % for training: 6,613 windows (827 batches of 8)."""
    s = counting(9471)
    whole = Windows.of(s, length=24, stride=1, max_lag=1, rows=every(s))
    assert len(whole) == 9448
    assert int(len(whole) * 0.7) == 6613


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    length=st.integers(2, 12),
    max_lag=st.integers(0, 6),
    stride=st.one_of(st.none(), st.integers(1, 4)),
    held=st.integers(0, 40),
)
def test_nothing_crosses_nothing_is_lost(sizes, length, max_lag, stride, held):
    if length <= max_lag:
        return
    s = concatenate([counting(size) for size in sizes])
    rows = np.ones(len(s.values), bool)
    rows[held : held + 3] = False
    run = np.cumsum(np.concatenate([[True], (np.diff(rows) != 0) | (np.diff(s.recording) != 0)]))
    expected = np.zeros(len(rows), int)
    for number in np.unique(run[rows]):
        expected[np.flatnonzero(run == number)[max_lag:]] = 1
    if not expected.any():
        with pytest.raises(InputError, match="no run of neighbouring rows"):
            Windows.of(s, length=length, stride=stride, max_lag=max_lag, rows=rows)
        return
    w = Windows.of(s, length=length, stride=stride, max_lag=max_lag, rows=rows)
    row = w.start[:, None] + np.arange(length)
    for index in range(len(w)):
        used = row[index][w.mask[index, :, 0]]
        assert len(set(run[used])) == 1
        assert rows[used].all()
        assert (w.values[index, w.mask[index, :, 0], 0] == s.values[used, 0]).all()
    if stride is None or stride <= length - max_lag:
        assert np.array_equal(counted(s, w), expected)
    assert counted(s, w).max() <= 1


def test_missing_cells_are_zero_and_masked():
    x = np.arange(20.0).reshape(10, 2) + 1
    x[4, 0] = np.nan
    s = Series.of(x)
    w = Windows.of(s, length=5, stride=5, max_lag=1, rows=every(s), dtype=np.float64)
    assert w.values.dtype == np.float64
    assert w.values[0, 4, 0] == 0
    assert not w.mask[0, 4, 0]
    assert np.isfinite(w.values).all()


def test_regimes_break_windows():
    s = counting(20)
    s = Series(s.values, s.mask, s.names, regime=np.repeat([0, 1], 10), regime_names=("a", "b"))
    w = Windows.of(s, length=6, stride=None, max_lag=1, rows=every(s))
    assert w.regime.tolist() == (w.start >= 10).astype(int).tolist()
    assert not ((w.start < 10) & (w.start + 6 > 10)).any()


def test_huge_readings_stay_finite_in_single_precision():
    s = Series.of([[1e300], [-1e300], [0.0]])
    w = Windows.of(s, length=3, stride=None, max_lag=1, rows=every(s))
    assert np.isfinite(w.values**2).all()
    assert w.values.max() == np.float32(FLOAT32_SAFE)


@pytest.mark.parametrize(("length", "stride", "max_lag"), [(3, None, 3), (3, 0, 1), (3, None, -1)])
def test_bad_windows(length, stride, max_lag):
    s = counting(10)
    with pytest.raises(InputError, match="windows:"):
        Windows.of(s, length=length, stride=stride, max_lag=max_lag, rows=every(s))
    with pytest.raises(InputError, match="give one per row"):
        Windows.of(s, length=4, stride=None, max_lag=1, rows=np.ones(3, bool))
