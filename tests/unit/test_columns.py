"""Which column is the time, which the mode, which are sensors; and what is said about a cell that is none of it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from rcgnn.data.columns import Columns, Roles, assemble
from rcgnn.errors import TableError
from rcgnn.series import Series

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]


def read(columns: dict[str, list | pa.Array], roles: Roles | None = None, **more) -> Series:
    arrays = tuple(values if isinstance(values, pa.Array) else pa.array(values) for values in columns.values())
    return assemble(Columns(tuple(columns), arrays, "t", **more), roles or Roles())


def refusal(columns: dict[str, list | pa.Array], roles: Roles | None = None, **more) -> str:
    with pytest.raises(TableError) as caught:
        read(columns, roles, **more)
    return str(caught.value)


def test_a_clock_beside_a_date_belongs_to_the_time():
    clock = ["06:00", "06:00", "18:30"]
    table = {"day": DAYS, "clock": clock, "a": [1, 2, 3]}
    s = read(table)
    assert s.names == ("a",)
    assert np.diff(s.time).tolist() == [86400.0, 86400.0 + 12.5 * 3600]
    assert read(table, Roles(regime="clock")).names == ("a",)
    assert np.diff(read(table, Roles(regime="clock")).time).tolist() == [86400.0] * 2, "the mode is not the time"


def test_what_stands_beside_a_date_is_a_sensor_unless_every_cell_is_a_clock():
    assert read({"day": DAYS, "a": ["1", "2", "3"]}).names == ("a",)
    assert read({"day": DAYS, "a": [1, 2, 3], "b": [4, 5, 6]}).names == ("a", "b")
    assert "column 'b'" in refusal({"day": DAYS, "b": ["06:00", "", "07:00"]})


def test_a_named_time_may_stand_anywhere_even_last():
    s = read({"a": [1, 2, 3], "when": DAYS}, Roles(time="when"))
    assert (s.names, np.diff(s.time).tolist()) == (("a",), [86400.0] * 2)
    s = read({"a": [1, 2, 3], "when": DAYS, "clock": ["01:00", "02:00", "03:00"]}, Roles(time="when"))
    assert (s.names, np.diff(s.time).tolist()) == (("a",), [90000.0] * 2)


def test_a_mode_in_the_first_column_is_not_taken_for_the_time():
    s = read({"t": [1, 2, 3], "a": [1, 2, 3]}, Roles(regime="t"))
    assert s.time is None
    assert (s.names, s.regime_names) == (("a",), ("1", "2", "3"))


@pytest.mark.parametrize(("values", "time"), [([0, 5, 6], True), ([0, 5, 5], False), ([0, 5, 4], False), ([0, None, 6], False)])
def test_a_counter_called_t_is_the_time_where_it_rises_in_every_row(values, time):
    s = read({"T": values, "a": [1, 2, 3]})
    assert s.names == (("a",) if time else ("T", "a"))
    assert (s.time is not None) == time


def test_a_table_of_one_column_is_a_sensor_whatever_its_name():
    assert read({"time": [1, 2, 3]}).names == ("time",)


@pytest.mark.parametrize(
    ("cells", "steps"),
    [
        (pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 3)]), 2 * 86400.0),
        (pa.array([0, 1_500], pa.timestamp("ms", "UTC")), 1.5),
        (pa.array([0, 1_500_000_000], pa.timestamp("ns")), 1.5),
        (pa.array([dt.time(6), dt.time(7, 30)]), 5400.0),
        (pa.array([dt.timedelta(hours=1), dt.timedelta(hours=3)]), 7200.0),
        (pa.array([10, 20]), 10.0),
        (pa.array([0.25, 0.5]), 0.25),
    ],
    ids=["date", "milliseconds", "nanoseconds", "clock", "duration", "whole", "broken"],
)
def test_time_of_any_type_is_in_seconds(cells, steps):
    s = read({"t": cells, "a": [1.0, 2.0]}, Roles(time="t"))
    assert np.diff(s.time).tolist() == [steps]


def test_time_must_be_there_and_rise_and_the_place_is_named():
    assert "row 2 has no usable time in column 't'" in refusal({"t": [1.0, None, 3.0], "a": [1, 2, 3]}, Roles(time="t"))
    assert "row 3 has no usable time in column 'd': expected a number or a date such as 2024-01-31 18:00:00, got 'soon'" in refusal(
        {"d": [*DAYS[:2], "soon"], "a": [1, 2, 3]}
    )
    assert "does not rise from row 2 (3) to row 3 (2); sort the table by 't'" in refusal({"t": [1, 3, 2], "a": [1, 2, 3]}, Roles(time="t"))
    assert "does not rise from row 1 (1) to row 2 (1)" in refusal({"t": [1, 1, 2], "a": [1, 2, 3]}, Roles(time="t"))
    assert "in column 'd and c'" in refusal({"d": [DAYS[0], "x", DAYS[2]], "c": ["06:00", "06:00", "06:00"], "a": [1, 2, 3]})


def test_modes_are_numbered_by_size_or_by_the_alphabet_numbers_first():
    assert read({"m": ["b", "10", "9", "a"], "a": [1, 2, 3, 4]}, Roles(regime="m")).regime_names == ("9", "10", "a", "b")
    s = read({"m": [2.0, 0.5, 2.0], "a": [1, 2, 3]}, Roles(regime="m"))
    assert (s.regime_names, s.regime.tolist()) == (("0.5", "2"), [1, 0, 1])
    assert read({"m": [True, False], "a": [1, 2]}, Roles(regime="m")).regime.tolist() == [1, 0]


@pytest.mark.parametrize("cells", [[1.0, float("nan"), 2.0], [1.0, None, 2.0], ["x", None, "y"], ["x", " ", "y"], ["x", "off", "y"]])
def test_every_row_needs_a_mode(cells):
    assert "row 2 has no regime in column 'm'" in refusal({"m": cells, "a": [1, 2, 3]}, Roles(regime="m", na=("off",)))


def test_names_are_given_once_to_every_column():
    with pytest.raises(TableError, match="columns 2 and 4 are both called 'b'"):
        assemble(Columns(("a", "b", "c", "b"), (pa.array([1]),) * 4, "t"), Roles())
    assert "column 1 has no name (a row index?" in refusal({" ": [1], "b": [2]})
    message = refusal({"a": [1], "": [2]})
    assert "column 2 has no name; name it" in message


def test_a_column_that_is_not_there_is_answered_by_the_nearest_or_all():
    columns = {f"s{k}": [1.0] for k in range(20)}
    said = refusal(columns, Roles(time="pump"))
    assert "no column 'pump' for --time; the columns are s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11 and 8 more." in said
    assert "no column 'flw' for regime; did you mean 'flow'?" in refusal({"flow": [1.0], "b": [1.0]}, Roles(regime="flw"), dashes=False)


@pytest.mark.parametrize(
    ("cells", "more", "words"),
    [
        (
            ["1", "oops"],
            {},
            "row 2 holds 'oops'. Remove the column, name it with --regime 'a', or, if 'oops' means a missing value, say --na 'oops'.",
        ),
        (["1", "oops"], {"dashes": False}, "name it with regime='a', or, if 'oops' means a missing value, make it None."),
        (["m3/s", "2"], {"padded": True}, "If the line holds units, remove the line."),
        (["1", "x", "2"], {"padded": True}, "say --na 'x'."),
        (["run", "idle"], {}, "It holds text: remove the column, or, if it says the operating mode, name it with --regime 'a'."),
        (["run", "idle", "run"], {}, "It holds text: remove the column"),
        (["run"], {}, "Remove the column, name it"),
        (["run", "1,5"], {"decimal": ","}, "Remove the column, name it"),
        (["1 234", "2"], {}, "Write numbers without a mark between thousands."),
        (["1.234,5", "2"], {"decimal": ","}, "Write numbers without a mark between thousands."),
        (["'12", "2"], {}, "Remove the column, name it"),
    ],
)
def test_a_cell_that_is_no_number_comes_with_what_to_do(cells, more, words):
    assert words in refusal({"b": [1.0] * len(cells), "a": cells}, **more)


def test_units_are_guessed_in_the_first_row_of_a_text_table_only():
    for cells, more in ((["m3/s", "2"], {}), (["2", "m3/s"], {"padded": True})):
        assert "units" not in refusal({"b": [1.0, 2.0], "a": cells}, **more)


def test_dates_in_a_later_column_are_called_by_their_option():
    message = refusal({"a": [1, 2, 3], "day": DAYS}, dashes=False)
    assert message.endswith("It holds dates: name it with time='day', or remove it.")
    assert "dates" not in refusal({"a": [1, 2], "day": ["2024-01-01", "soon"]}), "half of the cells are not most of them"


def test_padding_goes_in_text_tables_and_stays_elsewhere():
    columns = {"a": ["1", "", " "], "b": ["", "3", None], "": ["", None, " "]}
    s = read(columns, padded=True)
    assert (s.names, s.shape) == (("a", "b"), (2, 2))
    assert s.mask.tolist() == [[True, False], [False, True]]
    assert read({"a": ["1", "", ""], "b": ["2", "", ""]}).shape == (3, 2)
    assert "column 2 has no name" in refusal({"a": ["1"], "": ["2"], " ": [""]}, padded=True)


def test_nothing_to_read_is_said():
    assert "2 named columns and no row of readings" in refusal({"a": ["", " "], "b": ["", ""]}, padded=True)
    assert "0 named columns" in refusal({})
    assert "no cell of the 2 columns" in refusal({"a": [None, 1.0], "b": ["x", "x"]}, Roles(na=("x", "1")))
    assert "no column is left for a sensor; the table has only t, m" in refusal({"t": [1, 2], "m": ["x", "y"]}, Roles(time="t", regime="m"))
    assert read({"a": [1.0, None]}).mask.ravel().tolist() == [True, False]


def test_columns_are_left_out_whatever_they_hold():
    table = {"day": DAYS, "note": ["a", "b", "c"], "a": [1, 2, 3], "b": [4, 5, 6], "c": [7, 8, 9]}
    found = read(table, Roles(drop=("note", "b")))
    assert found.names == ("a", "c")
    assert found.values.tolist() == [[1, 7], [2, 8], [3, 9]]
    assert found.time is not None
    assert read(table, Roles(drop=("note", "day"))).time is None


def test_a_column_to_leave_out_must_be_there():
    table = {"flow": [1.0, 2.0], "level": [2.0, 1.0], "note": ["a", "b"]}
    assert "t: there is no column 'notes' for --drop; did you mean 'note'?" in refusal(table, Roles(drop=("notes",)))
    assert "the columns are flow, level, note." in refusal(table, Roles(drop=("zzz",)))
    assert "'flow' is named for --regime and --drop; say one of them" in refusal(table, Roles(regime="flow", drop=("flow",)))
    assert "'flow' is named for --time and --drop" in refusal(table, Roles(time="flow", drop=("flow",)))


@pytest.mark.parametrize(
    ("drop", "left"),
    [(("level", "note"), "one sensor, 'flow'"), (("flow", "level", "note"), "no column")],
)
def test_two_sensors_must_be_left(drop, left):
    table = {"flow": [1.0, 2.0], "level": [2.0, 1.0], "note": ["a", "b"]}
    assert f"--drop leaves {left}; " in refusal(table, Roles(drop=drop))


def test_what_is_left_out_is_no_sensor_where_time_and_mode_remain():
    assert "--drop leaves no sensor; links need 2" in refusal({"m": [1, 2], "t": [1.0, 2.0], "a": [1, 2]}, Roles("t", "m", drop=("a",)))
