"""Finished runs on disk: one JSON line each, written whole as the run ends, so that no end loses or breaks one."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rcgnn.bench.job import Line
from rcgnn.errors import InputError

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""What a link leads to is not written."""


class Store:
    """The file of finished runs; without a path nothing is kept.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()) / "runs.jsonl")
        >>> store.append("a1", {"seconds": 2.0})
        >>> store.read()
        {'a1': {'seconds': 2.0}}
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._started = False

    def read(self) -> dict[str, Line]:
        """Lines by key; the later one wins, one that was cut off does not count.

        Raises:
            InputError: the file cannot be read.
        """
        if self.path is None or not self.path.exists():
            return {}
        known: dict[str, Line] = {}
        try:
            texts = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise InputError(f"{self.path}: finished runs cannot be read ({error.strerror or error}).") from error
        for text in texts:
            try:
                line = json.loads(text)
                known[line.pop("key")] = line
            except (ValueError, KeyError, TypeError, AttributeError):  # the last line of a run that was ended in the middle
                continue
        return known

    def append(self, key: str, line: Line) -> None:
        """One more line, in one write.

        Raises:
            InputError: the file cannot be written.
        """
        if self.path is None:
            return
        text = json.dumps({"key": key, **line}, allow_nan=False, default=str) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | NO_LINK, 0o644)
            try:
                if not self._started and _cut_off(file):
                    text = "\n" + text
                os.write(file, text.encode())
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise InputError(f"{self.path}: a finished run cannot be written ({error.strerror or error}).") from error
        self._started = True


def _cut_off(file: int) -> bool:
    """Does the file end in the middle of a line?"""
    size = os.fstat(file).st_size
    if size == 0:
        return False
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) != b"\n"
