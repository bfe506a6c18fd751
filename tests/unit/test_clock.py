"""Dates as people write them: which second is meant, and what is no date."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from rcgnn.data.clock import LONGEST, all_clock, to_seconds

DAY = 86400.0


def utc(*parts: int) -> float:
    return dt.datetime(*parts, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2024-01-31 18:00:05", utc(2024, 1, 31, 18, 0, 5)),
        ("2024-01-31T18:00:00+02:00", utc(2024, 1, 31, 16)),
        ("1969-12-31", utc(1969, 12, 31)),
        ("31/01/2024", utc(2024, 1, 31)),
        ("01/31/2024", utc(2024, 1, 31)),
        ("31.01.2024 06:07", utc(2024, 1, 31, 6, 7)),
        ("31.01.2024 06.07.09", utc(2024, 1, 31, 6, 7, 9)),
        ("31/01/2024 06:07:09.5", utc(2024, 1, 31, 6, 7, 9) + 0.5),
        ("2024/01/31 06:07", utc(2024, 1, 31, 6, 7)),
        ("31 Jan 2024 10:00", utc(2024, 1, 31, 10)),
        ("February 3, 2024", utc(2024, 2, 3)),
        ("1/31/2024 12:00 AM", utc(2024, 1, 31)),
        ("1/31/2024 12:30 PM", utc(2024, 1, 31, 12, 30)),
        ("1/31/2024 1:00 am", utc(2024, 1, 31, 1)),
        ("1/31/2024 11:59pm", utc(2024, 1, 31, 23, 59)),
        ("18:30", 18.5 * 3600),
        ("18.30.10", 18.5 * 3600 + 10),
        ("6:30 PM", 18.5 * 3600),
        ("00:00:01", 1.0),
    ],
)
def test_a_cell_means_one_second(cell, moment):
    assert to_seconds([cell])[0].tolist() == [moment]


@pytest.mark.parametrize(
    ("cell", "year"),
    [("31/01/00", 2000), ("31/01/69", 2069), ("31/01/70", 1970), ("31/01/99", 1999), ("31/01/1700", 1700), ("31/01/2250", 2250)],
)
def test_short_years_lie_between_1970_and_2069(cell, year):
    assert to_seconds([cell])[0].tolist() == [utc(year, 1, 31)]


@pytest.mark.parametrize(
    "cell",
    [
        "32/01/2024",
        "31/04/2024",
        "29/02/2023",
        "13/13/2024",
        "0/01/2024",
        "31/01/1699",
        "31/01/2251",
        "31/01/100",
        "pump 7",
        "13.6",
        "1360",
        "",
    ],
)
def test_no_such_day_is_no_date(cell):
    seconds, reading = to_seconds([cell])
    assert np.isnan(seconds).tolist() == [True]
    assert reading == "none"


def test_every_first_of_the_year_has_its_month_and_day():
    cells = [f"{month}/29/2024" for month in range(1, 13)]
    seconds, reading = to_seconds(cells)
    assert reading == "month first"
    assert seconds.tolist() == [utc(2024, month, 29) for month in range(1, 13)]


@pytest.mark.parametrize(("dates", "words", "read"), [(3, 2, True), (2, 2, False), (2, 3, False), (1, 0, True)])
def test_more_than_half_of_the_cells_must_be_dates(dates, words, read):
    for cell in ("2024-01-31", "31/01/2024", "31 Jan 2024"):
        seconds, _ = to_seconds([cell] * dates + ["pump"] * words)
        assert np.isfinite(seconds).sum() == (dates if read else 0)


def test_one_unreadable_cell_and_an_absent_one_are_no_date_and_the_others_are():
    seconds, reading = to_seconds(["2024-01-01", None, "soon", "2024-01-04"])
    assert reading == "iso"
    assert np.isnan(seconds).tolist() == [False, True, True, False]
    assert seconds[3] - seconds[0] == 3 * DAY


def test_the_kind_of_date_is_judged_from_the_first_fifty_cells():
    late = ["x"] * 49 + ["2024-01-01"] * 60
    assert np.isnan(to_seconds(late)[0]).all()
    early = ["2024-01-01"] * 26 + ["x"] * 200
    assert np.isfinite(to_seconds(early)[0]).sum() == 26
    absent = [None] * 300 + ["2024-01-01"] * 3
    assert np.isfinite(to_seconds(absent)[0]).sum() == 3, "absent cells are passed over"


@pytest.mark.parametrize(
    ("cells", "reading"),
    [
        ([f"0{day}/03/2024" for day in range(1, 10)], "day first"),
        ([f"03/0{day}/2024" for day in range(1, 10)], "month first"),
        (["01/02/2024", "02/02/2024", "13/02/2024"], "day first"),
        (["02/01/2024", "02/02/2024", "02/13/2024"], "month first"),
        (["01/04/2024", "01/05/2024", "01/06/2024", "01/07/2024"], "month first"),  # four days, not 30, 31 and 30 of them
        (["2024/03/01 06.30", "2024/03/02 06.30"], "year first"),
        (["10/11/2023", "10/12/2023", "10/01/2024"], "day first"),  # the other way time would run backwards
    ],
)
def test_day_or_month_first_is_what_reads_more_and_more_evenly(cells, reading):
    assert to_seconds(cells)[1] == reading


def test_nothing_is_no_date():
    seconds, reading = to_seconds([])
    assert (len(seconds), reading) == (0, "none")
    assert to_seconds([None, None])[1] == "none"


@pytest.mark.parametrize(
    ("cells", "clock"),
    [(["18:00", "6:30 PM", "18.00.00", "18:00:00.25"], True), (["18:00", None], False), (["18:00", "2024"], False), (["18.00"], False)],
)
def test_all_clock_means_every_cell(cells, clock):
    assert all_clock(pa.array(cells, pa.string())) is clock


def test_a_cell_longer_than_any_date_is_none():
    spaced = ["12" + " " * (LONGEST - 12) + "Sept 2024", "13" + " " * LONGEST + "Sept 2024"]
    assert np.isfinite(to_seconds([spaced[0]])[0]).all()
    assert np.isnan(to_seconds([spaced[1]])[0]).all()
