"""The bytes of a text file, gzipped or not: what they expand to is measured before any of it is kept."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, cast

from rcgnn.data.limits import SHORT_TEXT, Limit
from rcgnn.errors import TableError

SEPARATORS = (";", "\t", "|", ",")
"""What stands between the cells of a text table."""
MOST_EXPANSION = 1032
"""Bytes that one byte of a gzip file can stand for."""
PART = 2**20
"""Bytes decompressed at a time while a file is measured."""


def measured(path: Path, limit: Limit) -> bytes:
    """The file, decompressed; a long one is measured before any of it is kept.

    Raises:
        TableError: it cannot be read, or is longer than memory has room for.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        size = path.stat().st_size
        limit.check_text(str(path), 0 if packed else size)
        if size * (MOST_EXPANSION if packed else 1) > SHORT_TEXT:
            with _opened(path, packed=packed) as file:
                _measure(file, str(path), limit)
        with _opened(path, packed=packed) as file:
            raw = file.read(limit.text_bytes() + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{path}: cannot be read ({error or type(error).__name__}); is the file complete?") from error
    limit.check_text(str(path), len(raw))
    return raw


def _opened(path: Path, *, packed: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")


def _measure(file: IO[bytes], source: str, limit: Limit) -> None:
    """Reads a file part by part and keeps none.

    A table has as many cells as line ends and separators. The commonest mark may be the decimal mark, of which there is at most
    one a cell: so where marks and line ends are more than twice the limit, there are too many cells.
    """
    length, marks = 0, dict.fromkeys(SEPARATORS, 0)
    lines = 0
    while part := file.read(PART):
        length += len(part)
        limit.check_text(source, length)
        lines += part.count(b"\n")
        for mark in marks:
            marks[mark] += part.count(mark.encode())
        limit.check_count(source, (lines + max(marks.values())) // 2)
