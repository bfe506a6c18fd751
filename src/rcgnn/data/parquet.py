"""Parquet files: sizes and types are judged by the footer, before any column is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.data.columns import Columns, Roles, assemble
from rcgnn.data.limits import Limit
from rcgnn.errors import TableError, shown
from rcgnn.series import Series

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

MOST_CELL = 500
"""Bytes of a text that may be a number: the longest that Python writes has 25."""
ENCRYPTED = b"PARE"
"""How a file ends whose footer is encrypted."""


def read_parquet(path: Path, roles: Roles) -> Series:
    """A series from a parquet file, column by column; the index of a pandas frame comes first, as it does on the screen."""
    from pyarrow import parquet

    _refuse_encrypted(path)
    with _complete(path):
        file = parquet.ParquetFile(path)
        schema, rows = file.schema_arrow, file.metadata.num_rows
        stored = (schema.pandas_metadata or {}).get("index_columns", [])
        index = [name for name in stored if isinstance(name, str) and name in schema.names]
        order = [*index, *(name for name in schema.names if name not in index)]
    with file:
        kept = [name for name in order if name not in roles.drop]
        roles.limit.check(str(path), rows, len(kept))
        _refuse_nested(schema, kept, path)
        with _complete(path):
            reader = parquet.ParquetFile(path, read_dictionary=_texts(file))
    with reader:
        return assemble(Columns(tuple(order), ParquetColumns(reader, order, path, roles.limit), str(path)), roles)


class ParquetColumns(Sequence[Any]):
    """Columns of an open parquet file, read when they are asked for: never more than one is in memory."""

    def __init__(self, file: ParquetFile, order: Sequence[str], path: Path, limit: Limit) -> None:
        self._file, self._order, self._path, self._limit = file, order, path, limit

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: Any) -> Any:
        name, rows = shown(self._order[place]), self._file.metadata.num_rows
        with _complete(self._path):
            column = self._file.read(columns=[self._order[place]]).column(0)
        if len(column) != rows:
            raise TableError(
                f"{self._path}: column {name} has {len(column):,} rows, expected {rows:,} as the footer says; is the file complete?"
            )
        _check_texts(column, f"{self._path}: column {name}", self._limit)
        return column


def _texts(file: ParquetFile) -> list[str]:
    """Columns of text: every text is kept once, however often it stands there."""
    return [name for name, kind in zip(file.schema_arrow.names, file.schema_arrow.types, strict=True) if _is_text(kind)]


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_texts(column: Any, where: str, limit: Limit) -> None:
    """Judges a column of repeated texts by what it takes when each is written out.

    Raises:
        TableError: a text that is too long for a number, or too much text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return
    total = 0
    for part in column.chunks:
        lengths = pc.binary_length(part.dictionary)
        longest = pc.max(lengths).as_py() or 0
        if longest > MOST_CELL:
            text = part.dictionary[pc.index(lengths, longest).as_py()].as_py()
            raise TableError(f"{where} must hold numbers, but one cell holds {longest:,} bytes of text ({shown(text)}); remove the column.")
        total += pc.sum(pc.take(lengths, part.indices)).as_py() or 0
    limit.check_text(where, total)


def _refuse_nested(schema: Any, kept: Sequence[str], path: Path) -> None:
    import pyarrow as pa

    for name, kind in zip(schema.names, schema.types, strict=True):
        if name in kept and pa.types.is_nested(kind):
            raise TableError(
                f"{path}: column {shown(name)} must hold numbers, got {str(kind)[:60]}; remove it, or give each of its parts a column."
            )


def _refuse_encrypted(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(path.stat().st_size - 4, 0))
        end = file.read(4)
    if ENCRYPTED in (start, end):
        raise TableError(f"{path}: expected a plain parquet file, got an encrypted one; decrypt it and save it without a key.")


@contextmanager
def _complete(path: Path) -> Iterator[None]:
    """What a damaged parquet file raises, as one sentence."""
    import pyarrow as pa

    try:
        yield
    except TableError:
        raise
    except (pa.ArrowException, OSError, ValueError, AttributeError, TypeError) as error:  # the last two: metadata that is no object
        first = (str(error).splitlines() or [""])[0]
        raise TableError(f"{path}: cannot be read as parquet ({first[:200]}); is the file complete?") from error
