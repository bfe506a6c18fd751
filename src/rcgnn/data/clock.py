"""Dates as people write them -> seconds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rcgnn.data.cells import floats
from rcgnn.series import FloatArray

CLOCK = r"^\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp][Mm])?$|^\d{1,2}\.\d{2}\.\d{2}$"
"""A time of day alone: 18:00, 6:00 PM, and 18.00.00 as the UCI air-quality table writes it."""

NUMERIC_DATE = (
    r"^(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4})"
    r"(?:[ T]+(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}(?:\.\d+)?))?(?: ?(?P<half>[AaPp][Mm]))?)?$"
)
DATE_LIKE = r"\d\D+\d+\D+\d|^\d{4}-\d{1,2}$|[A-Za-z]{3}.*\d|\d.*[A-Za-z]{3}"
"""What a cell must look like before it is tried as a date: 1360 and 13.6 are no dates."""
LONGEST = 80
"""Characters of the longest date; a longer cell would only keep the patterns busy, which take the square of its length."""
PROBE = 50
"""Cells looked at before a whole column is parsed."""


def all_clock(cells: Any) -> bool:
    """True when every cell of an Arrow text array is a time of day."""
    import pyarrow.compute as pc

    return bool(pc.all(pc.fill_null(pc.match_substring_regex(cells, CLOCK), False)).as_py())


def to_seconds(cells: Sequence[str | None]) -> tuple[FloatArray, str]:
    """Seconds since 1970 of every cell, NaN where it is no date, and the reading that was chosen.

    ISO dates first; then day/month/year against month/day/year: the reading that understands more cells, and of two equal
    ones that with the more even steps; then month names.

    Example:
        >>> seconds, reading = to_seconds(["10/03/2004 18:00", "13/03/2004 18:00"])
        >>> float(seconds[1] - seconds[0]) / 86400, reading
        (3.0, 'day first')
    """
    import pandas as pd

    texts = pd.Series([cell if cell is not None and len(cell) <= LONGEST else None for cell in cells], dtype="str")
    alone = texts.str.contains(CLOCK, na=False)
    texts = texts.mask(alone, "1970-01-01 " + texts)
    texts = texts.where(texts.str.contains(DATE_LIKE, na=False))
    probe = texts.iloc[np.flatnonzero([cell is not None for cell in cells])[:PROBE]]
    for reading, parse in (("iso", _iso), ("numeric", _numeric), ("words", _words)):
        if np.isfinite(parse(probe)[0]).mean() > 0.5 if len(probe) else False:
            seconds, detail = parse(texts)
            return seconds, detail or reading
    return np.full(len(texts), np.nan), "none"


def _epoch_seconds(stamps: Any) -> FloatArray:
    import pandas as pd

    index = pd.DatetimeIndex(stamps)
    seconds = index.as_unit("us").asi8 / 1e6
    seconds[np.asarray(index.isna())] = np.nan
    return np.asarray(seconds, np.float64)


def _iso(texts: Any) -> tuple[FloatArray, str]:
    import pandas as pd

    return _epoch_seconds(pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")), ""


def _words(texts: Any) -> tuple[FloatArray, str]:
    import pandas as pd

    worded = texts.where(texts.str.contains(r"[A-Za-z]{3}", na=False) & texts.str.contains(r"\d{2}", na=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _epoch_seconds(pd.to_datetime(worded, format="mixed", dayfirst=True, utc=True, errors="coerce")), ""


def _numeric(texts: Any) -> tuple[FloatArray, str]:
    parts = texts.str.extract(NUMERIC_DATE)
    part = {name: parts[name].astype(float).to_numpy() for name in ("a", "b", "c", "hour", "minute", "second")}
    half = parts["half"].str.lower().to_numpy()
    hour = np.nan_to_num(part["hour"])
    hour = np.where(half == "pm", hour % 12 + 12, np.where(half == "am", hour % 12, hour))
    clock = hour * 3600 + np.nan_to_num(part["minute"]) * 60 + np.nan_to_num(part["second"])
    day_first = _civil(part["c"], part["b"], part["a"]) + clock
    month_first = _civil(part["c"], part["a"], part["b"]) + clock
    year_first = _civil(part["a"], part["b"], part["c"]) + clock
    readings = {"day first": day_first, "month first": month_first, "year first": year_first}
    best = max(readings, key=lambda name: (np.isfinite(readings[name]).sum(), -_unevenness(readings[name])))
    return readings[best], best


def _civil(year: FloatArray, month: FloatArray, day: FloatArray) -> FloatArray:
    """Seconds since 1970 at midnight; NaN where there is no such day."""
    import pandas as pd

    full = np.where(year < 70, year + 2000, np.where(year < 100, year + 1900, year))
    plausible = np.isfinite(full) & (full >= 1700) & (full <= 2250) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    fields = {"year": full, "month": month, "day": day}
    frame = pd.DataFrame({name: np.where(plausible, value, np.nan) for name, value in fields.items()})
    return _epoch_seconds(pd.to_datetime(frame, errors="coerce", utc=True))


def _unevenness(seconds: FloatArray) -> float:
    """Share of steps that differ from the usual one, plus the share that run backwards."""
    step = np.diff(seconds[np.isfinite(seconds)])
    if not step.size:
        return 0.0
    return float((step != np.median(step)).mean() + (step <= 0).mean())


def temporal_seconds(array: Any) -> FloatArray:
    """Stamps, dates, times of day or durations in seconds; finer than a microsecond is cut off. NaN where null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_interval(kind):
        return np.full(len(array), np.nan)
    if pa.types.is_date(kind):
        days = pc.cast(array, pa.date32())
        return floats(pc.cast(days, pa.int32())) * 86_400.0
    whole = pc.cast(array, pa.int32() if kind.bit_width == 32 else pa.int64())
    return floats(pc.divide(whole, 1000) if kind.unit == "ns" else whole) / {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e6}[kind.unit]
