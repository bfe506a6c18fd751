"""Linear interpolation: inside a gap a straight line, outside the nearest reading, never over the end of a segment."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rcgnn.signal.interpolate import interpolate

nan = np.nan


def column(*values: float) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(values, float)[:, None]
    return array, np.isfinite(array)


def test_straight_line_inside_and_held_ends():
    values, mask = column(nan, 1.0, nan, nan, 4.0, nan)
    assert interpolate(values, mask, [slice(0, 6)]).ravel().tolist() == [1, 1, 2, 3, 4, 4]


def test_segments_know_nothing_of_each_other():
    values, mask = column(1.0, nan, nan, 7.0)
    assert interpolate(values, mask, [slice(0, 2), slice(2, 4)]).ravel().tolist() == [1, 1, 7, 7]


def test_a_segment_without_reading_is_zero():
    values, mask = column(nan, nan, 3.0, nan)
    assert interpolate(values, mask, [slice(0, 2), slice(2, 4)]).ravel().tolist() == [0, 0, 3, 3]


def test_the_mask_decides_not_the_value():
    values = np.array([[0.0], [1e9], [2.0]])
    mask = np.array([[True], [False], [True]])
    assert interpolate(values, mask, [slice(0, 3)]).ravel().tolist() == [0, 1, 2]


@given(arrays(np.float64, (12, 3), elements=st.floats(-1e6, 1e6)), arrays(np.bool_, (12, 3)))
def test_keeps_readings_stays_within_their_range_and_leaves_the_input_alone(values, mask):
    before = values.copy()
    filled = interpolate(values, mask, [slice(0, 12)])
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(filled[mask], values[mask])
    for j in range(3):
        seen = values[mask[:, j], j]
        low, high = (seen.min(), seen.max()) if seen.size else (0.0, 0.0)
        assert (filled[:, j] >= low - 1e-6).all()
        assert (filled[:, j] <= high + 1e-6).all()
