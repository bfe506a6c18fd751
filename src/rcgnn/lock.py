"""One process a run folder: the second is told by whom it is held, and since when. A holder that is gone holds nothing.

The system's own lock on `RUN/.lock` goes with its process, however that ends. Where a file system has none, the process that is named
in the file is looked for: by its number, and where the system tells, by when it was started and when the machine was.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rcgnn.errors import RunDirError
from rcgnn.whole import LOCK, explained

FAR = 1 << 20
"""Byte that is locked where locks are on bytes: beyond the text, which others may then still read."""
TRIES = 20


@dataclass(frozen=True)
class Holder:
    """Who holds a folder.

    Attributes:
        pid: number of the process.
        started: when it was started, as the system counts; empty where it does not tell.
        boot: which start of the machine that was; empty where the system does not tell.
        since: UTC, ISO 8601.
        token: drawn anew by every holder.
    """

    pid: int
    started: str
    boot: str
    since: str
    token: str

    @classmethod
    def here(cls) -> Holder:
        """This process, from now on."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), _started(os.getpid()), _boot(), now, secrets.token_hex(8))

    @classmethod
    def of(cls, folder: Path) -> Holder | None:
        """Who is named in a folder; None where nobody is, or the name is still being written."""
        try:
            return cls(**json.loads((folder / LOCK).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def alive(self) -> bool:
        """Whether the process is still there: its number was not given to another one, and the machine not started anew."""
        if self.boot != _boot():
            return False
        return _exists(self.pid) and self.started == _started(self.pid)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Holder]:
    """Hold the folder inside the block; it is made where it does not exist.

    Raises:
        RunDirError: another process holds it, or it cannot be written.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = _taken(folder)
    try:
        holder = Holder.here()
        with explained(folder / LOCK):
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, json.dumps(asdict(holder)).encode())
        yield holder
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)  # while it is held, so that nobody takes a file that is about to go
        os.close(handle)


def _taken(folder: Path) -> int:
    """Descriptor of the lock file, held."""
    path = folder / LOCK
    for _ in range(TRIES):
        handle, mine = os.open(path, os.O_RDWR | os.O_CREAT, 0o644), False
        try:
            kind = _hold(handle)
            holder = Holder.of(folder)
            if kind == "busy" or (kind == "unknown" and holder is not None and holder.alive):
                raise RunDirError(_busy(folder, holder))
            mine = _same(handle, path)
            if mine:
                return handle
        finally:
            if not mine:
                os.close(handle)  # refused, or the holder before took the file away in between
    raise RunDirError(_busy(folder, Holder.of(folder)))


def _busy(folder: Path, holder: Holder | None) -> str:
    who = "another process" if holder is None else f"process {holder.pid}, since {holder.since}"
    return f"{folder}: the folder is being written by {who}; wait for it, stop it, or choose another --out."


def _hold(handle: int) -> str:
    """`held`, `busy`, or `unknown` where the system or the file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return _hold_byte(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "busy"
    except OSError:
        return "unknown"
    return "held"


def _hold_byte(handle: int) -> str:
    """The same on Windows."""
    try:
        import msvcrt
    except ImportError:
        return "unknown"
    system: Any = msvcrt
    try:
        os.lseek(handle, FAR, os.SEEK_SET)
        system.locking(handle, system.LK_NBLCK, 1)
    except PermissionError:
        return "busy"
    except OSError:
        return "unknown"
    return "held"


def _same(handle: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)


def _exists(pid: int) -> bool:
    if os.name == "nt":
        return True  # there a signal would end the process; locks on bytes are the rule there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat; the name in field 2 may hold anything, so fields are counted from its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
