"""Values as bytes of a file: JSON, CSV and npz that are equal for equal values, without NaN, time of day or pickle."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel


def as_json(value: Mapping[str, Any]) -> bytes:
    """Indented JSON; what is absent or not finite is null."""
    return utf8(json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2) + "\n")


FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet may take for a formula, and one that is guarded already."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def guarded(cell: Any) -> Any:
    r"""A cell of a CSV file that no spreadsheet computes: text that begins like a formula and is no number gets an apostrophe before it.

    Source: OWASP, CSV Injection.

    Example:
        >>> guarded("=cmd|' /C calc'!A0"), guarded("+5V"), guarded("-5"), guarded("flow"), guarded(-5.0)
        ("'=cmd|' /C calc'!A0", "'+5V", '-5', 'flow', -5.0)
    """
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell


def unguarded(cell: str) -> str:
    """What `guarded` made a cell of: `unguarded(guarded(text)) == text` for every text.

    Example:
        >>> unguarded("'+5V"), unguarded("''+5V"), unguarded("'quoted'")
        ('+5V', "'+5V", "'quoted'")
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A table with quoted text, guarded; what is absent is an empty cell, keys that are no column are left out."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    table.writerow({name: guarded(name) for name in columns})
    table.writerows({name: "" if row[name] is None else guarded(row[name]) for name in columns} for row in rows)
    return utf8(text.getvalue())


DEFLATED = 2**20
"""The scores of a thousand sensors are a dozen tables of four million numbers, most of them 0."""


def as_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """What `np.savez` writes, dated 1980 as `ZipInfo` is by itself: no time of day in it. Arrays above `DEFLATED` bytes are compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if array.nbytes > DEFLATED else zipfile.ZIP_STORED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)
    return content.getvalue()


MOST_BYTES = 2**32
"""Of all arrays of one archive together: a file of a few kilobytes can stand for more than any memory holds."""


def from_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name. What the archive claims to hold is asked before memory is taken for it.

    Raises:
        ValueError: not an archive of plain arrays, or too large a one.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError(f"its arrays take more than {MOST_BYTES:,} bytes")
            return {entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in archive.infolist()}
    except (OSError, EOFError, KeyError, AttributeError, TypeError, RuntimeError, SyntaxError, OverflowError) as error:
        raise ValueError(f"not an archive of plain arrays ({error})") from error
    except (zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error) as error:
        raise ValueError(f"not an archive of plain arrays ({error})") from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; as many bytes as its head says must be there."""
    raw = archive.read(entry)
    if len(raw) > len(np.lib.format.MAGIC_PREFIX):
        shape, kind = array_head(io.BytesIO(raw))
        if math.prod(shape) * kind.itemsize > len(raw):
            raise ValueError(f"not an archive of plain arrays ({entry.filename[:80]!r} is cut short)")
    return np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)


def array_head(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the cells that an array in NumPy's format claims, which may be anything; the file stands where the cells begin.

    Raises:
        ValueError: no such head, a version for arrays of records, or a shape that cannot be.
    """
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version[0]}.{version[1]} is for arrays of records")
    shape, _, kind = read(file)
    if min(shape, default=0) < 0:
        raise ValueError(f"the header says the shape {shape}")
    return shape, kind


def utf8(text: str) -> bytes:
    """UTF-8; half of a surrogate pair, which UTF-8 cannot hold, becomes its escape."""
    return text.encode("utf-8", "backslashreplace")


def dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name: what a section holds stands under `section.name`; deeper values stay whole.

    Example:
        >>> dotted({"seed": 1, "data": {"max_lag": 3}})
        {'seed': 1, 'data.max_lag': 3}
    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def plain(value: Any) -> Any:
    """Numbers, text, lists and dicts only; a number that is not finite is absent, and absent is null.

    Example:
        >>> plain({"a": np.float64("nan"), "b": (1, np.arange(2))})
        {'a': None, 'b': [1, [0, 1]]}
    """
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)
