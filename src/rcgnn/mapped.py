"""Arrays of large tables lie in files, so that a table need not fit into memory.

An array of up to `LARGE` cells is an ordinary one. A larger one lies in a file without a name, in the folder for temporary files
(`TMPDIR`), that is mapped into memory: the system reads and writes the pages that are asked for. Who goes over such an array part by part
lets go of it after each (`in_turn`), so that no more than a part of it counts as memory of the process. Where there is no room for the
file, the array is an ordinary one.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGE = 4_000_000
"""Cells of the largest array that is an ordinary one."""

_FILES: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
"""Of arrays that are still in use."""

Part = TypeVar("Part")


def spacious(shape: tuple[int, ...], kind: DTypeLike = np.float64, order: Any = "F") -> NDArray[Any]:
    """An array of zeros, in a file where it is large.

    Args:
        shape: of the array.
        kind: of its cells.
        order: "F": the readings of one sensor lie side by side; "C": those of one row.

    Example:
        >>> spacious((3, 2)).shape, spacious((3, 2)).flags.f_contiguous
        ((3, 2), True)
    """
    kind, cells = np.dtype(kind), int(np.prod(shape))
    if cells <= LARGE:
        return np.zeros(shape, kind, order=order)
    try:
        return np.ndarray(shape, kind, buffer=_file(cells * kind.itemsize), order=order)
    except OSError:
        return np.zeros(shape, kind, order=order)


def _file(size: int) -> mmap.mmap:
    """A file of so many zeros, its place on the disk taken: one that grew as it is written could end the process on a full disk.

    Raises:
        OSError: there is no room, or no folder for temporary files.
    """
    with tempfile.TemporaryFile(prefix="rcgnn-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            part = bytes(2**20)
            for done in range(0, size, len(part)):
                file.write(part[: size - done])
            file.flush()
        made = mmap.mmap(file.fileno(), size)
    _FILES.add(made)
    return made


def let_go_of_all() -> None:
    """`let_go` of every array that there is, and what nobody uses any more goes back to the system."""
    for file in [*_FILES]:
        if hasattr(file, "madvise"):
            file.madvise(mmap.MADV_DONTNEED)
    if pyarrow := sys.modules.get("pyarrow"):
        pyarrow.default_memory_pool().release_unused()
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """`malloc_trim` of the C library; None where it has none. Freed arrays of a few MiB otherwise stay with the process."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def let_go(*arrays: NDArray[Any]) -> None:
    """Their pages no longer count as memory of the process until they are asked for again; nothing is lost. Ordinary arrays stay."""
    for array in arrays:
        owner = array.base
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, mmap.mmap) and hasattr(owner, "madvise"):
            owner.madvise(mmap.MADV_DONTNEED)


def in_turn(parts: Iterable[Part], *arrays: NDArray[Any]) -> Iterator[Part]:
    """One part after another; after each, the arrays are let go of.

    Example:
        >>> x = np.arange(4.0)
        >>> [float(x[part].sum()) for part in in_turn([slice(0, 2), slice(2, 4)], x)]
        [1.0, 5.0]
    """
    for part in parts:
        yield part
        let_go(*arrays)
