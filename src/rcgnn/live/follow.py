"""A run folder that somebody else is writing, on this file system or another: read again and again, never watched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from rcgnn.errors import FitFailedError, RunDirError
from rcgnn.formats import NewerError, why_not
from rcgnn.health import HealthRecord
from rcgnn.rundir import MARKER, RunDir

INTERVAL = 0.5
"""Seconds between two looks."""


@dataclass(frozen=True)
class Look:
    """What one look at the folder showed.

    Attributes:
        records: health records that are new.
        again: the run was begun anew; what was seen before does not count.
        complete: `summary.json` is there, the last file of the answer.
    """

    records: tuple[HealthRecord, ...] = ()
    again: bool = False
    complete: bool = False


class Follower:
    """Reads `health.jsonl` as it grows; a last line without its end waits for the next look.

    Args:
        run: the folder.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Follower(RunDir(Path(folder) / "run")).look()
        Look(records=(), again=False, complete=False)
    """

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._file = run.path / MARKER
        self._inode: int | None = None
        self._at = 0
        self._lines = 0

    def look(self) -> Look:
        """What is new.

        Raises:
            RunDirError: a whole line is no health record.
        """
        complete = (self.run.path / "summary.json").exists()  # first: what was written before it is then all there
        try:
            with self._file.open("rb") as file:  # opened anew each time: only so does a network file system look again
                again = self._begun_anew(file.fileno())
                file.seek(self._at)
                fresh = file.read()
        except OSError:  # the folder is being replaced, or its file system is away for a moment
            return Look()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        records = tuple(self._record(number, line) for number, line in enumerate(whole.split(b"\n"), start=1) if line.strip())
        self._at += len(whole)
        self._lines += whole.count(b"\n")
        return Look(records, again, complete)

    def _begun_anew(self, descriptor: int) -> bool:
        state = os.fstat(descriptor)
        again = self._inode is not None and (state.st_ino != self._inode or state.st_size < self._at)
        self._inode = state.st_ino
        if again:
            self._at = self._lines = 0
        return again

    def _record(self, number: int, line: bytes) -> HealthRecord:
        try:
            return HealthRecord.from_line(line.decode("utf-8"))
        except (UnicodeDecodeError, ValidationError) as error:
            if isinstance(error, ValidationError) and isinstance(why := why_not(error), NewerError):
                raise RunDirError(f"{self._file}: {why}.") from error
            raise RunDirError(
                f"{self._file}: damaged, line {self._lines + number} is not a health record. Run `rcgnn fit` again."
            ) from error


def looks(run: RunDir, *, interval: float = INTERVAL, patience: float | None = None) -> Iterator[Look]:
    """Looks that show something, until the run is complete; the last one has `complete`.

    Args:
        run: the folder.
        interval: seconds between two looks.
        patience: seconds without news after which to give up; None: never.

    Raises:
        RunDirError: a whole line is no health record.
        FitFailedError: there was no news for `patience` seconds.
    """
    follower, heard = Follower(run), time.monotonic()
    while True:
        look = follower.look()
        if look != Look():
            heard = time.monotonic()
            yield look
        if look.complete:
            return
        if patience is not None and time.monotonic() - heard >= patience:
            raise FitFailedError(f"{run.path}: nothing was written for {patience:g} s, and the run is not complete; its fit may be gone.")
        time.sleep(interval)
