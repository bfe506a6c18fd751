"""Cells of one Arrow column: text or not, missing or not, numbers or the first cell that is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from rcgnn.series import FloatArray

MISSING = ("", "nan", "-nan", "+nan", "na", "n/a", "#n/a", "null", "none", "nat", "<na>")
"""Cells that mean `not observed`, whatever their case; `na` adds the user's own markers."""

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity|nan)$"


def decode(array: Any) -> Any:
    """The array with dictionary encoding undone and text trimmed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = pc.cast(array, kind.value_type), kind.value_type
    return pc.utf8_trim_whitespace(pc.cast(array, pa.string())) if is_text(array) else array


def is_text(array: Any) -> bool:
    """True when the cells are text of any Arrow kind."""
    import pyarrow as pa

    kind = array.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_temporal(array: Any) -> bool:
    """True when the cells are stamps, dates or durations."""
    import pyarrow as pa

    return bool(pa.types.is_temporal(array.type))


def value_at(array: Any, row: int) -> Any:
    """One cell as a value of Python, or its kind where Python has no such value (a date in the year 300000)."""
    import pyarrow as pa

    try:
        return array[row].as_py()
    except (pa.ArrowException, ValueError, OverflowError, TypeError, ImportError):
        return f"{array.type}"


def blank(array: Any, na: Sequence[str]) -> Any:
    """Text cells with every missing marker turned into null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = pc.is_in(pc.utf8_lower(array), value_set=pa.array([*MISSING, *(marker.strip().lower() for marker in na)]))
    return pc.if_else(missing, pa.scalar(None, pa.string()), array)


def numbers(array: Any, na: Sequence[str], decimal: str = ".") -> tuple[FloatArray, int | None]:
    """Cells as float64 with NaN where missing, and the first row that is not a number (None when all are)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if is_text(array):
        cells = pc.replace_substring(blank(array, na), "\u2212", "-")  # a typographic minus
        if decimal == ",":
            cells = pc.replace_substring(cells, ",", ".")
        values, bad = _parsed(pc.replace_substring_regex(cells, r"^\+", ""))
    elif pa.types.is_boolean(array.type):
        values, bad = floats(pc.cast(array, pa.uint8())), None
    elif pa.types.is_null(array.type):
        values, bad = np.full(len(array), np.nan), None
    elif pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        values, bad = floats(array), None
    else:
        return np.full(len(array), np.nan), 0
    for marker in na:
        if re.match(NUMBER, marker.strip()):
            values[values == float(marker)] = np.nan
    return values, bad


def floats(array: Any) -> FloatArray:
    """Numbers of any Arrow kind as float64, NaN where null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(cells, dtype=np.float64)


def _parsed(cells: Any) -> tuple[FloatArray, int | None]:
    """Text without missing markers as numbers; true/false columns count as 1/0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return floats(cells), None
    except pa.ArrowInvalid:
        lower = pc.utf8_lower(cells)
        if pc.all(pc.is_in(lower, value_set=pa.array(["true", "false", None]))).as_py():
            return floats(pc.if_else(pc.equal(lower, "true"), "1", pc.if_else(pc.is_null(lower), lower, "0"))), None
        odd = pc.invert(pc.fill_null(pc.match_substring_regex(cells, NUMBER), True)).to_numpy(zero_copy_only=False)
        if odd.any():
            return np.full(len(cells), np.nan), int(np.argmax(odd))
        return np.array([np.nan if cell is None else float(cell) for cell in cells.to_pylist()]), None
