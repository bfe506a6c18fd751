"""Who is told about a fit while it goes on: the live page, and the logs of other tools."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.cli.console import console, safe
from rcgnn.cli.logs import Logs

if TYPE_CHECKING:
    from rcgnn.health import HealthRecord, Progress
    from rcgnn.live.feed import Feed
    from rcgnn.rundir import RunDir


@dataclass
class Live:
    """What was asked about the live page.

    Attributes:
        port: 0 takes a free one.
        seconds: how long it stays after the fit.
    """

    port: int = 0
    seconds: float = 0.0


@dataclass
class Beside:
    """The live page of one fit and the logs of other tools, where they were asked for."""

    feed: Feed | None = None
    logs: Logs = field(default_factory=Logs)

    def progress(self, first: Progress) -> Progress:
        """A `Progress` that tells `first`, and the page."""
        if self.feed is None:
            return first
        second = self.feed.progress

        def both(stage: str, info: Mapping[str, Any]) -> None:
            first(stage, info)
            second(stage, info)

        return both

    def record(self, first: Callable[[HealthRecord], None]) -> Callable[[HealthRecord], None]:
        """`first` keeps the record; the others are told after it."""

        def all_of_them(record: HealthRecord) -> None:
            first(record)
            self.logs.record(record)
            if self.feed is not None:
                self.feed.record(record)

        return all_of_them

    def finish(self, run: RunDir) -> None:
        """The run is complete, its report written: open pages turn into it, logs get its files."""
        from rcgnn.report.page import FILE

        self.logs.end(run)
        if self.feed is not None:
            self.feed.finish((run.path / FILE).read_text(encoding="utf-8"))


@contextlib.contextmanager
def beside(tables: Sequence[Path], live: Live | None, logs: Sequence[str] = ()) -> Iterator[Beside]:
    """Serves the live page as long as the block lasts, and `live.seconds` longer; Ctrl-C ends the latter.

    Args:
        tables: what is fitted, for the title.
        live: None for no page.
        logs: rows of `TRACKERS`.

    Raises:
        InputError: the port is taken, or a log is unknown or not installed.
    """
    from rcgnn.tracking import check

    check(logs)
    page: contextlib.AbstractContextManager[Feed | None] = contextlib.nullcontext()
    if live is not None:
        page = served(titled(tables), live.port)
    with Logs(tuple(logs)) as wanted, page as feed:
        yield Beside(feed, wanted)
        if live is not None and live.seconds > 0:
            console(stderr=True).print(f"The page stays for {live.seconds:g} s; Ctrl-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(live.seconds)


@contextlib.contextmanager
def served(title: str, port: int) -> Iterator[Feed]:
    """What the live page is told; its address is printed, and a failure within the block is told to the open pages."""
    from rcgnn import __version__
    from rcgnn.live.feed import Feed
    from rcgnn.live.page import live_page
    from rcgnn.live.server import LiveServer

    feed = Feed()
    with LiveServer(feed, live_page(title, __version__), port) as server:
        console(stderr=True).print(f"Live: {safe(server.url)}")
        try:
            yield feed
        except BaseException as error:
            feed.fail("Interrupted." if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__)
            raise
        finally:
            server.hand_over()


def titled(tables: Sequence[Path]) -> str:
    """What the page is called.

    Example:
        >>> titled([Path("day/one.csv"), Path("two.csv")])
        'one.csv and 1 more'
    """
    more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
    return f"{tables[0].name}{more}"
