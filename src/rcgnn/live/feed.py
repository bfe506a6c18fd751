"""`Feed`: what the readers of one run are told. Whoever writes never waits for a reader."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rcgnn.health import HealthRecord
from rcgnn.report.run_data import findings_data, training_data

SHOWN = ("done", "total", "epoch", "epochs", "loss", "links", "clip_share", "message")
"""Parts of a progress report that the page shows."""


@dataclass(frozen=True)
class Seen:
    """How far one reader is.

    Attributes:
        version: the last change it was told of; -1 before the first.
        run: which beginning of the run; a run that is begun anew counts one up.
        records: health records it has.
    """

    version: int = -1
    run: int = 0
    records: int = 0

    @classmethod
    def parse(cls, mark: str | None) -> Seen:
        """From the mark that a browser sends back after a broken connection; anything else is a new reader.

        Example:
            >>> Seen.parse("0:12"), Seen.parse("nonsense").records
            (Seen(version=-1, run=0, records=12), 0)
        """
        run, _, records = (mark or "").partition(":")
        known = run.isascii() and run.isdigit() and records.isascii() and records.isdigit() and len(mark or "") < 30
        return cls(-1, int(run), int(records)) if known else cls()

    def mark(self) -> str:
        """Inverse of `parse`."""
        return f"{self.run}:{self.records}"


@dataclass
class _Stage:
    began: float
    seconds: float | None = None
    info: dict[str, Any] = field(default_factory=dict)


class Feed:
    """Stages, health records and the end of one run, for any number of readers, each in a thread of its own.

    Example:
        >>> feed = Feed()
        >>> feed.progress("train", {"epoch": 1, "epochs": 60})
        >>> news, seen = feed.news(Seen(), wait=0)
        >>> news["state"], news["stages"][0]["epoch"]
        ('running', 1)
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self._run = 0
        self._records: list[HealthRecord] = []
        self._stages: dict[str, _Stage] = {}
        self._state, self._message = "running", ""
        self.page: str | None = None
        """The page of the finished run; None while it goes on, and where it failed."""

    def progress(self, stage: str, info: Mapping[str, Any]) -> None:
        """A `Progress`: the stage that is named is at work, those before it are done. A mere message leaves its figures."""
        now = time.monotonic()
        told = {name: _plain(info[name]) for name in SHOWN if info.get(name) is not None}
        with self._change():
            if stage not in self._stages:
                self._end_stages(now)
                self._stages[stage] = _Stage(now)
            self._stages[stage].info = self._stages[stage].info | told if set(told) == {"message"} else told

    def record(self, record: HealthRecord) -> None:
        """One more epoch."""
        with self._change():
            self._records.append(record)

    def restart(self) -> None:
        """The run was begun anew: its records and stages count no longer."""
        with self._change():
            self._run += 1
            self._records, self._stages = [], {}

    def finish(self, page: str) -> None:
        """The run is complete; `page` is its report."""
        with self._change():
            self.page = page
            self._end("done", "")

    def fail(self, message: str) -> None:
        """The run ended without an answer, and why."""
        with self._change():
            self._end("failed", message)

    def news(self, seen: Seen, *, wait: float) -> tuple[dict[str, Any] | None, Seen]:
        """What a reader does not know yet, as JSON values, and how far it is then; None where nothing changed.

        Args:
            seen: how far the reader is.
            wait: seconds to wait for a change.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._version != seen.version, timeout=wait)
            if self._version == seen.version:
                return None, seen
            known = seen.records if seen.run == self._run and seen.records <= len(self._records) else 0
            fresh = self._records[known:]
            told = [finding for record in self._records for finding in record.diagnoses] if fresh else []
            now = Seen(self._version, self._run, len(self._records))
            news = {"state": self._state, "message": self._message, "stages": self._told_stages(), "known": known}
        return news | {"training": training_data(fresh), "findings": findings_data(told) if told else None}, now

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._changed:
            yield
            self._version += 1
            self._changed.notify_all()

    def _end(self, state: str, message: str) -> None:
        self._end_stages(time.monotonic())
        self._state, self._message = state, message

    def _end_stages(self, now: float) -> None:
        for stage in self._stages.values():
            stage.seconds = now - stage.began if stage.seconds is None else stage.seconds

    def _told_stages(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [
            {"name": name, "over": s.seconds is not None, "seconds": round(now - s.began if s.seconds is None else s.seconds, 1), **s.info}
            for name, s in self._stages.items()
        ]


def _plain(value: Any) -> Any:
    """A value that JSON has; a number that is not finite is null."""
    if isinstance(value, str | bool):
        return value
    number = float(value)
    return None if not math.isfinite(number) else int(number) if number.is_integer() else number
