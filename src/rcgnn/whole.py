"""A file on disk is the old one or the new one, never half of either, also when the process is killed or the power goes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rcgnn.errors import InputError, RunDirError

LOCK = ".lock"
"""In a folder that is being written; see `rcgnn.lock`."""


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the place, flush to disk, rename, and flush the folder.

    Raises:
        OSError: the disk is full or read-only; what was there before is untouched.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "graph.json"
        >>> write_whole(place, b"{}"), [file.name for file in place.parent.iterdir()]
        (None, ['graph.json'])
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.unlink(missing_ok=True)
        with draft.open("xb") as file:  # made here: what somebody laid there is not written through
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Any refusal of the file system inside the block, as one sentence.

    Raises:
        RunDirError: instead of the system's own error.
    """
    try:
        yield
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise RunDirError(f"{path}: cannot be written ({why}); free some space, or choose another --out.") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise RunDirError(f"{path}: is no name of a folder ({error}); choose another --out.") from error


def without_drafts(folder: Path) -> None:
    """Remove what killed processes left half written in a folder; only who holds its lock may."""
    with explained(folder):
        for path in folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)


def of_no_account(name: str) -> bool:
    """Whether a file is the lock of a folder, or what a process that was killed may have left behind."""
    return name == LOCK or (name.startswith(".") and name.endswith(".tmp"))


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable where the system lets a folder be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
