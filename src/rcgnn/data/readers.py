"""File or folder -> `Series`. One table row per format; every bad input is a `TableError` of one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.data.arrays import is_origin_folder, read_npy, read_npz, read_origin_folder
from rcgnn.data.columns import Columns, Roles, assemble
from rcgnn.data.text import read_text
from rcgnn.errors import TableError
from rcgnn.series import Series, concatenate

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

Reader = Callable[[Path, Roles], Series]


def read_parquet(path: Path, roles: Roles) -> Series:
    """A series from a parquet file, column by column; the index of a pandas frame comes first, as it does on the screen."""
    from pyarrow import parquet

    with _complete(path):
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        stored = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
        index = [name for name in stored if isinstance(name, str) and name in names]
        order = [*index, *(name for name in names if name not in index)]
    with file:
        return assemble(Columns(tuple(order), ParquetColumns(file, order, path), str(path)), roles)


class ParquetColumns(Sequence[Any]):
    """Columns of an open parquet file, read when they are asked for: never more than one is in memory."""

    def __init__(self, file: ParquetFile, order: Sequence[str], path: Path) -> None:
        self._file, self._order, self._path = file, order, path

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: Any) -> Any:
        with _complete(self._path):
            return self._file.read(columns=[self._order[place]]).column(0)


@contextmanager
def _complete(path: Path) -> Iterator[None]:
    """What a damaged parquet file raises, as one sentence."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, AttributeError, TypeError) as error:  # the last two: metadata that is no object
        first = (str(error).splitlines() or [""])[0]
        raise TableError(f"{path}: cannot be read as parquet ({first}); is the file complete?") from error


READERS: dict[str, Reader] = {
    ".csv": read_text,
    ".csv.gz": read_text,
    ".tsv": read_text,
    ".tsv.gz": read_text,
    ".txt": read_text,
    ".parquet": read_parquet,
    ".npz": read_npz,
    ".npy": read_npy,
}
"""Formats by the end of the file name."""


def read_table(path: Path | str, *, time: str | None = None, regime: str | None = None, na: Sequence[str] = ()) -> Series:
    r"""One table, or one folder, as a series.

    Args:
        path: a file in one of the formats of `READERS`; a folder with `X.npy`; a folder of tables, one per recording.
        time: column that holds the time (numbers or dates).
        regime: column that holds the operating mode.
        na: further cells that mean `not observed`; numbers are compared as numbers.

    Raises:
        TableError: anything that keeps the table from being read; names file, line or column, and the remedy.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "pump.csv"
        >>> _ = path.write_text("time;flow;level\n0;1,5;2\n1;;3\n")
        >>> s = read_table(path)
        >>> s.names, s.values[0].tolist(), s.mask.sum().item()
        (('flow', 'level'), [1.5, 2.0], 3)
    """
    path, roles = Path(path), Roles(time, regime, (na,) if isinstance(na, str) else tuple(na))
    try:
        if path.is_dir():
            return _folder(path, roles)
        if not path.exists():
            raise TableError(f"{path}: there is no such file; check the path.")
        return _reader(path)(path, roles)
    except (OSError, MemoryError) as error:
        raise TableError(f"{path}: cannot be read ({error}).") from error


def read_tables(
    paths: Path | str | Sequence[Path | str], *, time: str | None = None, regime: str | None = None, na: Sequence[str] = ()
) -> Series:
    """Several tables of one system as one series; rows of different files are never neighbours.

    Raises:
        TableError: as `read_table`; no path; files with other columns.
    """
    if isinstance(paths, str | Path):
        return read_table(paths, time=time, regime=regime, na=na)
    if not paths:
        raise TableError("tables: expected at least one path, got none.")
    parts = [read_table(path, time=time, regime=regime, na=na) for path in paths]
    joined = concatenate(parts)
    return joined if len(parts) == 1 else replace(joined, source=f"{parts[0].source} and {len(parts) - 1} more")


def _reader(path: Path) -> Reader:
    name = path.name.lower()
    for suffix in sorted(READERS, key=len, reverse=True):
        if name.endswith(suffix):
            return READERS[suffix]
    raise TableError(f"{path}: the file name must end in one of {', '.join(READERS)}; got {path.suffix or 'no ending'!r}.")


def _folder(folder: Path, roles: Roles) -> Series:
    """The origin's arrays, or the tables `data*` of a folder (all tables when none is called so), truth files left alone."""
    if is_origin_folder(folder):
        return read_origin_folder(folder, roles)
    tables = [file for file in folder.iterdir() if file.is_file() and file.name.lower().endswith(tuple(READERS))]
    tables = [file for file in tables if "truth" not in file.stem.lower() and not file.name.startswith((".", "A_true"))]
    named = [file for file in tables if file.name.startswith("data")]
    chosen = sorted(named or [file for file in tables if file.suffix not in (".txt", ".npy")], key=_natural)
    if not chosen:
        raise TableError(f"{folder}: a folder with no table in it; expected X.npy or files ending in {', '.join(READERS)}.")
    return read_tables(chosen, time=roles.time, regime=roles.regime, na=roles.na)


def _natural(file: Path) -> list[tuple[int, str]]:
    """data_2 before data_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", file.name)]
