"""Array files: `.npz` archives, `.npy` arrays and the origin's folder (`X.npy`, `M.npy`, `e.npy`). Truth beside them is never opened."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from rcgnn.data.columns import Roles, check_left, known_name
from rcgnn.data.limits import Limit
from rcgnn.encode import array_head
from rcgnn.errors import TableError, listed
from rcgnn.series import Series, default_names

_KEYS = {"values": ("values", "X"), "mask": ("mask", "M"), "names": ("names",), "regime": ("regime", "e"), "time": ("time",)}
"""What an array means, and the names under which it is looked for."""

_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    RuntimeError,  # NotImplementedError and RecursionError too
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What NumPy and zipfile raise over damaged files."""
_MOST_NAMES = 2**26
"""Bytes of the names in an archive at most."""


def read_npz(path: Path, roles: Roles) -> Series:
    """A series from an archive with `values` or `X` [T, N] (or windows [W, L, N]), optional `mask`, `names`, `regime`, `time`."""
    source = str(path)
    with _plain(source, "an .npz archive of plain arrays"), path.open("rb") as handle:
        if not zipfile.is_zipfile(handle):
            raise TableError(f"{source}: cannot be read as an .npz archive of plain arrays (it is no archive); write it with numpy.savez.")
        with zipfile.ZipFile(handle) as archive:
            files = {name.removesuffix(".npy"): name for name in archive.namelist()}
            found = {what: next((files[key] for key in keys if key in files), None) for what, keys in _KEYS.items()}
            if found["values"] is None:
                there = listed(list(files)) or "nothing"
                raise TableError(f"{source}: no array 'values' or 'X' in the archive, only {there}; name the readings 'values'.")
            parts = {what: _member(archive, name, what, source, roles.limit) for what, name in found.items() if name is not None}
    return from_arrays(parts, roles, source)


def _member(archive: zipfile.ZipFile, name: str, what: str, source: str, limit: Limit) -> NDArray:
    with archive.open(name) as member:
        _check_head(member, what, source, limit)
    with archive.open(name) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
    return np.asarray(array)


def read_npy(path: Path, roles: Roles) -> Series:
    """A series from one array [T, N] (or windows [W, L, N]), mapped into memory: only the series itself takes room."""
    return from_arrays({"values": _mapped(path, "values", roles.limit)}, roles, str(path))


def _mapped(path: Path, what: str, limit: Limit) -> NDArray:
    source = str(path)
    with _plain(source, "a plain NumPy array"):
        with path.open("rb") as handle:
            if zipfile.is_zipfile(handle):
                raise TableError(f"{source}: expected one array as numpy.save writes it, got an archive; name the file .npz.")
            handle.seek(0)
            _check_head(handle, what, source, limit)
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _check_head(file: IO[bytes], what: str, source: str, limit: Limit) -> None:
    """Judges an array by its header, which may claim any size.

    Raises:
        TableError: Python objects, or more cells than may be read.
    """
    shape, kind = array_head(file)
    if kind.hasobject:
        raise TableError(
            f"{source}: {what} must be plain numbers or text, got Python objects, which are never loaded; save it with another dtype."
        )
    size = math.prod(shape)
    if kind.kind not in "fiub" and size * kind.itemsize > _MOST_NAMES:
        raise TableError(f"{source}: {what} claims {size * kind.itemsize:,} bytes of {kind}; expected at most {_MOST_NAMES:,} bytes.")
    columns = shape[-1] if len(shape) > 1 else 1
    limit.check(source if what == "values" else f"{source}: {what}", size // columns if columns else 0, columns)


def is_origin_folder(folder: Path) -> bool:
    """True for a folder with an `X.npy`."""
    return (folder / "X.npy").is_file()


def read_origin_folder(folder: Path, roles: Roles) -> Series:
    """A series from `X.npy` [T, N] or [W, L, N], `M.npy` (1 = observed) and `e.npy` (regime per row or window)."""
    files = {"values": "X.npy", "mask": "M.npy", "regime": "e.npy"}
    parts = {what: _mapped(folder / name, what, roles.limit) for what, name in files.items() if (folder / name).is_file()}
    return from_arrays(parts, roles, str(folder))


@contextmanager
def _plain(source: str, expected: str) -> Iterator[None]:
    """What damaged arrays raise, as one sentence; what NumPy warns of, not at all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except TableError:
        raise
    except _BROKEN as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise TableError(f"{source}: cannot be read as {expected} ({why}); is the file complete?") from error


def from_arrays(parts: Mapping[str, NDArray], roles: Roles, source: str) -> Series:
    """A series from `values` [T, N] or [W, L, N] and what belongs to it; every window is a recording of its own.

    Raises:
        TableError: not numbers, or shapes that disagree.
    """
    values = _numeric(parts["values"], "values", source)
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise TableError(f"{source}: readings must be [rows, sensors] or [windows, rows, sensors] and not empty, got shape {values.shape}.")
    mask = np.isfinite(values)
    if "mask" in parts:
        given = _numeric(parts["mask"], "mask", source)
        if given.shape != values.shape:
            raise TableError(f"{source}: the mask has shape {given.shape}, the readings {values.shape}; they must agree.")
        mask &= given > 0.5
    for marker in roles.na:
        try:
            mask &= values != float(marker)
        except ValueError as error:
            raise TableError(f"{source}: --na {marker!r} is not a number, but the readings are.") from error
    sensors = values.shape[-1]
    recording = np.repeat(np.arange(values.shape[0]), values.shape[1]) if values.ndim == 3 else np.zeros(len(values), np.int64)
    regime, labels = _regime(parts, values.shape, source)
    names = _names(parts, sensors, source)
    kept = _kept(names, roles, source)
    time = _numeric(parts["time"], "time", source).reshape(-1) if "time" in parts else None
    if not mask.any():
        raise TableError(f"{source}: no cell of the {sensors} sensors holds a reading; check the array and its mask.")
    whole = Series(values.reshape(-1, sensors), mask.reshape(-1, sensors), names, time, regime, recording, labels, source)
    return whole.sensors(kept)


def _kept(names: tuple[str, ...], roles: Roles, source: str) -> list[int]:
    """Places of the sensors that were not left out."""
    for name in roles.drop:
        known_name(names, name, "--drop", source)
    kept = [place for place, name in enumerate(names) if name not in roles.drop]
    if roles.drop:
        check_left(source, "--drop", [names[place] for place in kept])
    return kept


def _numeric(array: NDArray, what: str, source: str) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiub":
        raise TableError(f"{source}: {what} must be numbers, got an array of {array.dtype}.")
    return np.asarray(array, np.float64)


def _names(parts: Mapping[str, NDArray], sensors: int, source: str) -> tuple[str, ...]:
    if "names" not in parts:
        return default_names(sensors)
    names = tuple(str(name).strip() for name in np.asarray(parts["names"]).reshape(-1).tolist())
    if "" in names:
        raise TableError(f"{source}: sensor {names.index('') + 1} has no name; give one name per column.")
    return names


def _regime(parts: Mapping[str, NDArray], shape: tuple[int, ...], source: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if "regime" not in parts:
        return np.zeros(0, np.int64), ("0",)
    rows = int(np.prod(shape[:-1]))
    given = np.asarray(parts["regime"]).reshape(-1)
    if len(shape) == 3 and given.size == shape[0]:
        given = np.repeat(given, shape[1])
    if given.size != rows:
        raise TableError(f"{source}: the regime has {given.size} entries for {rows} rows; give one per row or per window.")
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise TableError(f"{source}: the regime of row {int(np.flatnonzero(~np.isfinite(given))[0]) + 1} is missing; every row needs one.")
    labels, index = np.unique(given, return_inverse=True)
    return index.astype(np.int64), tuple(f"{label:g}" if given.dtype.kind == "f" else str(label) for label in labels.tolist())
