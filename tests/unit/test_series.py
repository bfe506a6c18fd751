"""`Series`: checked once, never changed, and honest about which rows are neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcgnn.errors import TableError
from rcgnn.series import GAP_FACTOR, SLAB, Series, concatenate, default_names, frozen, sensor_blocks, slabs


def table(rows: int = 6, sensors: int = 2) -> np.ndarray:
    return np.arange(rows * sensors, dtype=float).reshape(rows, sensors)


def test_unobserved_cells_hold_nan_whatever_was_given():
    mask = np.ones((6, 2), bool)
    mask[2, 1] = False
    given_values = table()
    series = Series.of(given_values, mask=mask)
    assert np.isnan(series.values[2, 1])
    assert given_values[2, 1] == 5.0  # the caller's array is left alone


def test_infinite_cells_count_as_unobserved():
    values = table()
    values[1, 0], values[3, 1] = np.inf, -np.inf
    series = Series.of(values, mask=np.ones((6, 2), bool))
    assert np.argwhere(~series.mask).tolist() == [[1, 0], [3, 1]]
    assert np.isnan(series.values[~series.mask]).all()


def test_arrays_are_frozen_and_cut_off_from_the_caller():
    values, mask, time = table(), np.ones((6, 2), bool), np.arange(6.0)
    series = Series(values, mask, ("a", "b"), time=time)
    values[0, 0] = time[0] = 99.0
    mask[0, 0] = False
    assert (series.values[0, 0], series.mask[0, 0], series.time[0]) == (0.0, True, 0.0)
    for array in (series.values, series.mask, series.time, series.regime, series.recording):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


BAD = {
    "no rows": ({"values": np.zeros((0, 2)), "mask": np.zeros((0, 2), bool), "names": ("a", "b")}, "shape"),
    "no sensors": ({"values": np.zeros((3, 0)), "mask": np.zeros((3, 0), bool), "names": ()}, "shape"),
    "one dimension": ({"values": np.zeros(3), "mask": np.zeros(3, bool), "names": ("a",)}, "shape"),
    "mask of another shape": ({"values": table(), "mask": np.ones((6, 3), bool), "names": ("a", "b")}, r"mask has shape \(6, 3\)"),
    "too few names": ({"values": table(), "mask": np.ones((6, 2), bool), "names": ("a",)}, "1 names for 2 sensors"),
    "a name twice": ({"values": table(), "mask": np.ones((6, 2), bool), "names": ("pump", "pump")}, "'pump'"),
    "regime of another length": (
        {"values": table(), "mask": np.ones((6, 2), bool), "names": ("a", "b"), "regime": np.zeros(5, int)},
        "5 entries",
    ),
    "regime without name": ({"values": table(), "mask": np.ones((6, 2), bool), "names": ("a", "b"), "regime": np.full(6, 1)}, "got 1..1"),
    "recording of another length": (
        {"values": table(), "mask": np.ones((6, 2), bool), "names": ("a", "b"), "recording": np.zeros(7, int)},
        "recording has 7",
    ),
    "time with a hole": (
        {"values": table(), "mask": np.ones((6, 2), bool), "names": ("a", "b"), "time": np.array([0, 1, np.nan, 3, 4, 5])},
        "finite stamp",
    ),
    "time of another length": (
        {"values": table(), "mask": np.ones((6, 2), bool), "names": ("a", "b"), "time": np.arange(4.0)},
        "finite stamp",
    ),
    "time stands still": (
        {"values": table(), "mask": np.ones((6, 2), bool), "names": ("a", "b"), "time": np.array([0, 1, 1, 2, 3, 4.0])},
        "from row 2 to row 3",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=lambda c: c.replace(" ", "-"))
def test_what_cannot_be_a_series_is_refused_with_a_reason(case):
    arguments, message = BAD[case]
    with pytest.raises(TableError, match=message):
        Series(**arguments, source="sensors.csv")


def test_every_message_names_the_source():
    for arguments, _ in BAD.values():
        with pytest.raises(TableError, match=r"^sensors\.csv: "):
            Series(**arguments, source="sensors.csv")


def test_of_refuses_what_is_not_two_dimensional():
    with pytest.raises(TableError, match="1 dimension"):
        Series.of([1.0, 2.0])


def test_time_may_fall_between_recordings_but_not_within():
    series = Series(table(), np.ones((6, 2), bool), ("a", "b"), time=np.array([3, 4, 5, 0, 1, 2.0]), recording=np.array([0, 0, 0, 1, 1, 1]))
    assert series.segments() == [slice(0, 3), slice(3, 6)]


def test_segments_end_at_gaps_regimes_and_recordings():
    time = np.array([0, 1, 2, 2 + GAP_FACTOR + 0.1, 5, 6, 7, 8.0])
    series = Series(
        table(8),
        np.ones((8, 2), bool),
        ("a", "b"),
        time=time,
        regime=np.array([0, 0, 0, 0, 0, 1, 1, 1]),
        recording=np.array([0, 0, 0, 0, 0, 0, 0, 1]),
        regime_names=("low", "high"),
    )
    assert series.segments() == [slice(0, 3), slice(3, 5), slice(5, 7), slice(7, 8)]


def test_a_step_of_just_the_gap_factor_is_no_gap():
    time = np.array([0, 1, 2, 2 + GAP_FACTOR, 3 + GAP_FACTOR])
    assert Series(table(5), np.ones((5, 2), bool), ("a", "b"), time=time).segments() == [slice(0, 5)]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20), st.data())
def test_segments_cover_every_row_once_and_never_mix(recording, data):
    rows = len(recording)
    regime = data.draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
    series = Series(np.zeros((rows, 1)), np.ones((rows, 1), bool), ("a",), recording=recording, regime=regime, regime_names=("r", "s"))
    parts = series.segments()
    assert [r for part in parts for r in range(part.start, part.stop)] == list(range(rows))
    for part in parts:
        assert len(set(series.recording[part])) == len(set(series.regime[part])) == 1


def test_rows_and_sensors_take_everything_along():
    series = Series(
        table(),
        np.ones((6, 2), bool),
        ("a", "b"),
        time=np.arange(6.0) * 60,
        regime=np.array([0, 0, 0, 1, 1, 1]),
        regime_names=("low", "high"),
        source="t",
    )
    some = series.rows(np.array([1, 4])).sensors([1, 0])
    assert some.values.tolist() == [[3.0, 2.0], [9.0, 8.0]]
    assert (some.time.tolist(), some.regime.tolist(), some.names, some.source) == ([60.0, 240.0], [0, 1], ("b", "a"), "t")


def test_concatenate_keeps_recordings_and_regimes_apart():
    one = Series(table(3), np.ones((3, 2), bool), ("a", "b"), regime=np.array([0, 0, 1]), regime_names=("high", "low"))
    two = Series(table(2), np.ones((2, 2), bool), ("a", "b"), regime=np.array([0, 0]), regime_names=("low",))
    both = concatenate([one, two, one])
    assert both.recording.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert [both.regime_names[r] for r in both.regime] == ["high", "high", "low", "low", "low", "high", "high", "low"]
    assert both.segments() == [slice(0, 2), slice(2, 3), slice(3, 5), slice(5, 7), slice(7, 8)]


def test_concatenate_drops_time_that_some_recording_lacks():
    timed = Series(table(2), np.ones((2, 2), bool), ("a", "b"), time=np.arange(2.0))
    assert concatenate([timed, timed]).time.tolist() == [0, 1, 0, 1]
    assert concatenate([timed, Series.of(table(2), names=("a", "b"))]).time is None


def test_concatenate_refuses_other_sensors_and_nothing():
    with pytest.raises(TableError, match="recording 2 has sensors"):
        concatenate([Series.of(table(), names=("a", "b")), Series.of(table(), names=("b", "a"))])
    with pytest.raises(TableError, match="got none"):
        concatenate([])


def test_default_names_are_distinct():
    assert default_names(3) == ("x0", "x1", "x2")


def test_frozen_cells_that_agree_are_shared_and_others_are_copied():
    values, mask = frozen(np.asfortranarray(table())), frozen(np.ones((6, 2), bool, order="F"))
    assert Series(values, mask, ("a", "b")).values is values
    holed = table().copy()
    holed[1, 1] = np.nan  # the mask says that it was read
    series = Series(frozen(holed), mask, ("a", "b"))
    assert series.values is not holed
    assert not series.mask[1, 1]
    window = table()[:]
    window.flags.writeable = False  # but the array behind it can be written
    assert not np.shares_memory(Series(window, mask, ("a", "b")).values, window)


def test_what_stands_beside_the_cells_is_shared_between_series_and_never_with_a_caller():
    time, regime = np.arange(6.0), np.array([0, 0, 0, 1, 1, 1])
    first = Series(table(), np.ones((6, 2), bool), ("a", "b"), time=time, regime=regime, regime_names=("x", "y"))
    time[0], regime[0] = 99.0, 1
    assert (first.time[0], first.regime[0]) == (0.0, 0)
    again = first.with_values(table(), np.ones((6, 2), bool))
    assert again.time is first.time
    assert again.regime is first.regime
    assert again.recording is first.recording
    assert not any(first.recording.strides), "one zero for all rows"


def test_all_sensors_are_the_series_itself_and_neighbours_a_view():
    series = Series.of(table(6, 4))
    assert series.sensors(range(4)) is series
    assert np.shares_memory(series.sensors([1, 2]).values, series.values)
    assert series.sensors([2, 1]).values[0].tolist() == [2.0, 1.0]


def test_blocks_and_slabs_cover_everything_once():
    for shape in ((3, 5), (5_000_000, 3), (1_000, 9_001)):
        assert [j for block in sensor_blocks(shape) for j in range(*block.indices(shape[1]))] == list(range(shape[1]))
    assert [(part.start, part.stop) for part in slabs(SLAB + 1)] == [(0, SLAB), (SLAB, SLAB + 1)]
