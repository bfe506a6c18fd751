"""File or folder -> `Series`. One table row per format; every bad input is a `TableError` of one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rcgnn.data.arrays import is_origin_folder, read_npy, read_npz, read_origin_folder
from rcgnn.data.columns import Roles
from rcgnn.data.limits import Limit
from rcgnn.data.parquet import read_parquet
from rcgnn.data.text import read_text
from rcgnn.errors import TableError
from rcgnn.files import check_file
from rcgnn.series import Series, concatenate

Reader = Callable[[Path, Roles], Series]


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


def read_table(
    path: Path | str,
    *,
    time: str | None = None,
    regime: str | None = None,
    na: Sequence[str] = (),
    max_cells: int | None = None,
    drop: Sequence[str] = (),
) -> Series:
    r"""One table, or one folder, as a series.

    Args:
        path: a file in one of the formats of `READERS`; a folder with `X.npy`; a folder of tables, one per recording.
        time: column that holds the time (numbers or dates).
        regime: column that holds the operating mode.
        na: further cells that mean `not observed`; numbers are compared as numbers.
        max_cells: rows times columns at most; None: as many as memory has room for.
        drop: columns to leave out, whatever they hold.

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
    return _read(Path(path), _roles(time, regime, na, max_cells, drop))


def read_tables(
    paths: Path | str | Sequence[Path | str],
    *,
    time: str | None = None,
    regime: str | None = None,
    na: Sequence[str] = (),
    max_cells: int | None = None,
    drop: Sequence[str] = (),
) -> Series:
    """Several tables of one system as one series; rows of different files are never neighbours. `max_cells` holds for all together.

    Raises:
        TableError: as `read_table`; no path; files with other columns.
    """
    roles = _roles(time, regime, na, max_cells, drop)
    return _read(Path(paths), roles) if isinstance(paths, str | Path) else _together([Path(path) for path in paths], roles)


def _roles(time: str | None, regime: str | None, na: Sequence[str], max_cells: int | None, drop: Sequence[str]) -> Roles:
    return Roles(time, regime, _several(na), Limit.of(max_cells), _several(drop))


def _several(given: Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _read(path: Path, roles: Roles) -> Series:
    try:
        if path.is_dir():
            return _folder(path, roles)
        check_file(path, TableError)
        return _reader(path)(path, roles)
    except MemoryError as error:
        raise TableError(f"{path}: memory has no room for this table; leave out columns or rows, or write it as Parquet.") from error
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions.") from error


def _together(paths: Sequence[Path], roles: Roles) -> Series:
    if not paths:
        raise TableError("tables: expected at least one path, got none.")
    parts: list[Series] = []
    for path in paths:
        parts.append(_read(path, roles))
        roles = replace(roles, limit=roles.limit.after(parts[-1].values.size))
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
    return _together(chosen, roles)


def _natural(file: Path) -> list[tuple[int, str]]:
    """data_2 before data_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", file.name)]
