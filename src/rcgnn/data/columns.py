"""Named columns of any table -> `Series`: which is time, which is the regime, which are sensors.

Cells arrive as Arrow arrays, so that a text file, a parquet file and a data frame are judged by the same rules.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rcgnn.data.cells import NUMBER, blank, decode, is_temporal, is_text, numbers, value_at
from rcgnn.data.clock import all_clock, temporal_seconds, to_seconds
from rcgnn.data.limits import Limit
from rcgnn.errors import TableError, listed, shown
from rcgnn.mapped import in_turn, spacious
from rcgnn.series import FloatArray, IntArray, Series, frozen

TIME_NAMES = ("time", "timestamp", "datetime", "date", "t", "index", "row", "unnamed: 0", "__index_level_0__")
"""A first column of numbers with such a name that rises in every row is the time, not a sensor."""

THOUSANDS = r"^[+-]?\d{1,3}([.,' \u00a0\u202f]\d{3})+([.,]\d+)?$"
"""A number with a mark between thousands, whichever it is."""


LEAST_SENSORS = 2
"""Sensors that must be left where columns are left out."""


def row_number(row: int) -> str:
    """How tables without lines name a row; 1 is the first."""
    return f"row {row + 1}"


@dataclass(frozen=True)
class Columns:
    """Columns of one table before anybody decided what they are.

    Attributes:
        names: column names as found.
        arrays: one Arrow array per column, all of one length; they may be read when they are asked for.
        source: the file, for messages.
        locate: where row r (0 is the first) is found, for messages: "line 7".
        decimal: "." or ","; only text tables have another than ".".
        padded: nameless empty columns and empty last rows are padding, as spreadsheets leave it, and dropped.
        dashes: how messages call an option: "--time" for files, "time=" for frames.
    """

    names: tuple[str, ...]
    arrays: Sequence[Any]
    source: str
    locate: Callable[[int], str] = row_number
    decimal: str = "."
    padded: bool = False
    dashes: bool = True

    def option(self, name: str, value: object = None) -> str:
        """`--time 'day'` or `time='day'`."""
        given = "" if value is None else f" {shown(value)}" if self.dashes else f"={shown(value)}"
        return f"--{name}{given}" if self.dashes else f"{name}{given}"


@dataclass(frozen=True)
class Roles:
    """What the user said about the table: what its columns are, and how large it may be."""

    time: str | None = None
    regime: str | None = None
    na: Sequence[str] = field(default=())
    limit: Limit = field(default_factory=lambda: Limit.of(None))
    drop: Sequence[str] = field(default=())


def assemble(table: Columns, roles: Roles) -> Series:
    """The series that the columns hold.

    Raises:
        TableError: a name is missing, repeated or unknown; a cell is not a number; time does not rise; no reading at all.
    """
    table = _without_empty_tail(table)
    _check_names(table)
    left_out = {_known(table, name, "drop") for name in roles.drop}
    if twice := next((name for name in (roles.time, roles.regime) if name in left_out), None):
        kept_as = table.option("time" if twice == roles.time else "regime")
        raise TableError(f"{table.source}: column {shown(twice)} is named for {kept_as} and {table.option('drop')}; say one of them.")
    if left_out:
        table = _only(table, [place for place, name in enumerate(table.names) if name not in left_out])
    if roles.time is not None and roles.time == roles.regime:
        both = f"{table.option('time')} and {table.option('regime')}"
        raise TableError(f"{table.source}: column {shown(roles.time)} is named for {both}; a column is one of them.")
    arrays = Decoded(table)
    times = _time_columns(table, arrays, roles)
    stamps = _stamps(table, arrays, times) if times else None
    regime, labels = _regime(table, arrays, roles) if roles.regime else (np.zeros(0, np.int64), ("0",))
    sensors = [name for name in table.names if name not in times and name != roles.regime]
    if left_out:
        check_left(table.source, table.option("drop"), sensors)
    if not sensors:
        raise TableError(f"{table.source}: no column is left for a sensor; the table has only {listed(table.names)}.")
    values = spacious((len(table.arrays[0]), len(sensors)))
    mask = spacious(values.shape, bool)
    for place, name in in_turn(enumerate(sensors), values, mask):
        values[:, place] = _sensor(table, name, arrays[name], roles)
        mask[:, place] = np.isfinite(values[:, place])
    if not mask.any():
        raise TableError(
            f"{table.source}: no cell of the {len(sensors)} columns holds a reading; check the file and the missing-value marker."
        )
    return Series(frozen(values), frozen(mask), tuple(sensors), stamps, regime, regime_names=labels, source=table.source)


def check_left(source: str, option: str, sensors: Sequence[str]) -> None:
    """Are there sensors enough after some were left out?

    Raises:
        TableError: links need two.
    """
    if len(sensors) < LEAST_SENSORS:
        left = f"one sensor, {shown(sensors[0])}" if sensors else "no sensor"
        raise TableError(f"{source}: {option} leaves {left}; links need {LEAST_SENSORS}, so leave fewer columns out.")


class _Chosen(Sequence[Any]):
    """Some of the columns, which are read when they are asked for."""

    def __init__(self, arrays: Sequence[Any], places: Sequence[int]) -> None:
        self._arrays, self._places = arrays, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        return self._arrays[self._places[place]]


def _only(table: Columns, places: Sequence[int]) -> Columns:
    if not places:
        raise TableError(f"{table.source}: {table.option('drop')} leaves no column; leave fewer columns out.")
    return replace(table, names=tuple(table.names[place] for place in places), arrays=_Chosen(table.arrays, places))


class Decoded:
    """The columns of a table by name, decoded when they are asked for and not kept: one column is in memory at a time."""

    def __init__(self, table: Columns) -> None:
        self._table, self._place = table, {name: place for place, name in enumerate(table.names)}

    def __getitem__(self, name: str) -> Any:
        return decode(self._table.arrays[self._place[name]])


def _without_empty_tail(table: Columns) -> Columns:
    """Drops nameless empty columns at the right and empty rows at the bottom, as spreadsheets leave them."""
    names = tuple(str(name).strip() for name in table.names)
    if not table.padded:
        return _with_rows(replace(table, names=names), len(table.arrays[0]) if names else 0)
    filled = [_filled(array) for array in table.arrays]
    width = len(names)
    while width and not names[width - 1] and not filled[width - 1].any():
        width -= 1
    some = np.logical_or.reduce(filled[:width]) if width else np.zeros(0, bool)
    rows = int(np.flatnonzero(some)[-1]) + 1 if some.any() else 0
    return _with_rows(replace(table, names=names[:width], arrays=tuple(array.slice(0, rows) for array in table.arrays[:width])), rows)


def _with_rows(table: Columns, rows: int) -> Columns:
    if not rows:
        raise TableError(
            f"{table.source}: the table has {len(table.names)} named columns and no row of readings; expected at least one row."
        )
    return table


def _filled(array: Any) -> Any:
    import pyarrow.compute as pc

    present = pc.is_valid(array)
    if is_text(array):
        present = pc.and_(present, pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(array), ""), False))
    return present.to_numpy(zero_copy_only=False)


def _check_names(table: Columns) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(table.names, start=1):
        if not name:
            hint = " (a row index? save the table without it)" if place == 1 else ""
            raise TableError(f"{table.source}: column {place} has no name{hint}; name it in the header or remove it.")
        if seen.setdefault(name, place) != place:
            raise TableError(f"{table.source}: columns {seen[name]} and {place} are both called {shown(name)}; rename one of them.")


def _known(table: Columns, name: str, option: str) -> str:
    return known_name(table.names, name, table.option(option), table.source)


def known_name(names: Sequence[str], name: str, option: str, source: str) -> str:
    """`name` where there is such a column.

    Raises:
        TableError: there is none; says the nearest name.
    """
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {shown(near[0])}?" if near else f"the columns are {listed(names)}."
    raise TableError(f"{source}: there is no column {shown(name)} for {option}; {hint}")


def _time_columns(table: Columns, arrays: Decoded, roles: Roles) -> list[str]:
    """Names of the columns that make the time: none, one, or a date and the clock beside it."""
    first = table.names[0]
    if roles.time is not None:
        chosen = _known(table, roles.time, "time")
    elif first == roles.regime:
        return []
    elif _dates(arrays[first]) or _counter(table, arrays[first], roles):
        chosen = first
    else:
        return []
    place = table.names.index(chosen) + 1
    beside = table.names[place] if place < len(table.names) else None
    paired = beside is not None and beside != roles.regime and is_text(arrays[chosen]) and is_text(arrays[beside])
    if paired and beside is not None and _dates(arrays[chosen]) and all_clock(blank(arrays[beside], ())):
        return [chosen, beside]
    return [chosen]


def _dates(array: Any) -> bool:
    """True when most cells of a column are dates (one broken date must be reported as a broken date)."""
    if is_temporal(array):
        return True
    if not is_text(array) or numbers(array, (), ".")[1] is None or numbers(array, (), ",")[1] is None:
        return False
    seconds, _ = to_seconds(blank(array, ()).to_pylist())
    return bool(np.isfinite(seconds).mean() > 0.5)


def _counter(table: Columns, array: Any, roles: Roles) -> bool:
    if table.names[0].lower() not in TIME_NAMES:
        return False
    values, bad = numbers(array, roles.na, table.decimal)
    return bad is None and bool(np.isfinite(values).all() and (np.diff(values) > 0).all()) and len(table.names) > 1


def _stamps(table: Columns, arrays: Decoded, names: list[str]) -> FloatArray:
    """Time in seconds, rising."""
    array, name = arrays[names[0]], " and ".join(names)
    if len(names) == 2:
        import pyarrow.compute as pc

        array = pc.binary_join_element_wise(blank(array, ()), blank(arrays[names[1]], ()), " ")
    seconds = _seconds(table, array)
    lost = np.flatnonzero(~np.isfinite(seconds))
    if lost.size:
        got = value_at(array, int(lost[0]))
        raise TableError(
            f"{table.source}: {table.locate(int(lost[0]))} has no usable time in column {shown(name)}: expected a number or a date such as "
            f"2024-01-31 18:00:00, got {shown(got)}. Correct the cell or remove the row."
        )
    back = np.flatnonzero(np.diff(seconds) <= 0)
    if back.size:
        row = int(back[0])
        raise TableError(
            f"{table.source}: time does not rise from {table.locate(row)} ({shown(value_at(array, row))}) to {table.locate(row + 1)} "
            f"({shown(value_at(array, row + 1))}); sort the table by {shown(name)} and drop repeated stamps."
        )
    return seconds


def _seconds(table: Columns, array: Any) -> FloatArray:
    if is_temporal(array):
        return temporal_seconds(array)
    values, bad = numbers(array, (), table.decimal)
    return values if bad is None or not is_text(array) else to_seconds(blank(array, ()).to_pylist())[0]


def _regime(table: Columns, arrays: Decoded, roles: Roles) -> tuple[IntArray, tuple[str, ...]]:
    """Index of every row's regime, and the labels in numeric or alphabetic order."""
    name = _known(table, roles.regime or "", "regime")
    array = arrays[name]
    cells = blank(array, roles.na).to_pylist() if is_text(array) else array.to_pylist()
    empty = next((row for row, cell in enumerate(cells) if cell is None or (isinstance(cell, float) and np.isnan(cell))), None)
    if empty is not None:
        raise TableError(f"{table.source}: {table.locate(empty)} has no regime in column {shown(name)}; every row needs one.")
    kinds = set(cells)
    labels = sorted(kinds) if not is_text(array) else sorted(kinds, key=_numeric_first)
    place = {label: index for index, label in enumerate(labels)}
    return np.array([place[cell] for cell in cells], np.int64), tuple(_label(label) for label in labels)


def _numeric_first(label: str) -> tuple[bool, float, str]:
    number = bool(re.match(NUMBER, label))
    return not number, float(label) if number else 0.0, label


def _label(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)


def _sensor(table: Columns, name: str, array: Any, roles: Roles) -> FloatArray:
    values, bad = numbers(array, roles.na, table.decimal)
    if bad is None:
        return values
    remedy = _remedy(table, name, array, bad)
    raise TableError(
        f"{table.source}: column {shown(name)} must hold numbers, but {table.locate(bad)} holds {shown(value_at(array, bad))}. {remedy}"
    )


def _remedy(table: Columns, name: str, array: Any, bad: int) -> str:
    """What to do about a cell that is no number."""
    cell, regime = str(value_at(array, bad)), table.option("regime", name)
    quoted = shown(cell)
    if _dates(array):
        return f"It holds dates: name it with {table.option('time', name)}, or remove it."
    if re.match(THOUSANDS, cell):
        return "Write numbers without a mark between thousands."
    if _labels(table, array):
        return f"It holds text: remove the column, or, if it says the operating mode, name it with {regime}."
    marker = f"{quoted} means a missing value, " + (f"say --na {quoted}" if table.dashes else "make it None")
    units = " If the line holds units, remove the line." if bad == 0 and table.padded else ""
    return f"Remove the column, name it with {regime}, or, if {marker}.{units}"


def _labels(table: Columns, array: Any) -> bool:
    """Several cells of text, none of them a number."""
    import pyarrow.compute as pc

    if not is_text(array) or len(array) < 2:
        return False
    cells = pc.replace_substring(array, ",", ".") if table.decimal == "," else array
    return not pc.any(pc.match_substring_regex(cells, NUMBER)).as_py()
