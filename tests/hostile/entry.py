"""One nasty table: how it is written, and what must become of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rcgnn.series import Series

Write = Callable[[Path], Path]
"""Writes into an empty folder and returns the path that is read."""


@dataclass(frozen=True)
class Entry:
    """A nasty table.

    Attributes:
        write: makes it.
        refused: pattern that the sentence must match; None: there must be an answer.
        values: readings of the answer; NaN where a cell must not count as observed. None: not compared.
        names: sensors of the answer; None: not compared.
        steps: differences of the answer's time; None: not compared.
        options: of `read_table`.
    """

    write: Write
    refused: str | None = None
    values: list[list[float]] | None = None
    names: tuple[str, ...] | None = None
    steps: list[float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def wrong(self, answer: Series) -> str | None:
        """What is wrong with an answer; None where nothing is."""
        if self.values is not None and not np.array_equal(answer.values, np.array(self.values, float), equal_nan=True):
            return f"values {answer.values.tolist()}"
        if self.names is not None and answer.names != self.names:
            return f"names {answer.names}"
        if self.steps is not None and (answer.time is None or not np.allclose(np.diff(answer.time), self.steps, rtol=1e-9)):
            return f"time {answer.time}"
        return None


def raw(content: bytes, name: str = "table.csv") -> Write:
    """A file of these bytes."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return write


def text(content: str, name: str = "table.csv", encoding: str = "utf-8") -> Write:
    """A file of this text."""
    return raw(content.encode(encoding), name)


def refused(content: str | bytes, says: str, name: str = "table.csv", **options: Any) -> Entry:
    """A file that must be refused."""
    return Entry(raw(content if isinstance(content, bytes) else content.encode(), name), refused=says, options=options)


def answered(content: str | bytes, values: list[list[float]] | None = None, **more: Any) -> Entry:
    """A file that must be read; `more` are attributes of `Entry`, and `name` of the file."""
    name = more.pop("name", "table.csv")
    return Entry(raw(content if isinstance(content, bytes) else content.encode(), name), values=values, **more)
