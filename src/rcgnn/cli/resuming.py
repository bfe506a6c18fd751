"""Where a run begins or goes on, and how it ends when somebody asks it to."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rcgnn.config import Config
    from rcgnn.rundir import RunDir
    from rcgnn.series import Series
    from rcgnn.store import Store

BOTH = "fit: --resume goes on with a run and --overwrite begins it anew; give one of them."


@dataclass(frozen=True)
class Place:
    """Where the run goes, whether it goes on with what is there, and whether progress is shown on the way."""

    out: Path
    overwrite: bool = False
    quiet: bool = False
    resume: bool = False

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is read or made.

        Raises:
            InputError: both ways at once.
            RunDirError: there is no run to go on with.
        """
        from rcgnn.errors import InputError
        from rcgnn.rundir import RunDir

        if self.resume and self.overwrite:
            raise InputError(BOTH)
        if self.resume:
            RunDir.open(self.out)


@dataclass(frozen=True)
class Begun:
    """A run folder that is ready: its files, its checkpoints, whether the answer is there, what had to be left out."""

    run: RunDir
    store: Store
    complete: bool = False
    warning: str | None = None

    def finish(self) -> None:
        """A run whose answer is there: its report, where the process was killed before it, and the end of its checkpoints."""
        from rcgnn.report.page import FILE, write_report

        if not (self.run.path / FILE).exists():
            write_report(self.run)
        if self.store.folder.exists():
            self.store.remove()


def begun(place: Place, series: Series, config: Config, token: str) -> Begun:
    """Begin the run, or take up the one that is there.

    Args:
        place: where.
        series: the table as it was read.
        config: all settings.
        token: of the lock that is held.

    Raises:
        RunDirError: the folder is not empty, or the run there was begun with something else; nothing was changed.
    """
    from rcgnn.rundir import RunDir
    from rcgnn.store import FOLDER, Store, identity, same_answer
    from rcgnn.whole import without_drafts

    about = identity(series, config)
    store = Store(place.out / FOLDER, token)
    if place.resume:
        run = RunDir.open(place.out)
        answered = (run.path / "summary.json").exists() and not run.summary().get("partial", False)
        if store.begun:
            store, warning = Store.reopen(run.path, about, token)
            without_drafts(run.path)
            if not answered:
                run.withdraw()
            return Begun(run, store, answered, warning)
        if answered:
            same_answer(run, series, config)
            without_drafts(run.path)
            return Begun(run, store, complete=True)
        if not run.nothing_yet():
            store.missing()
    run = RunDir(place.out, overwrite=place.overwrite or place.resume)
    without_drafts(run.path)
    run.write_config(config)
    return Begun(run, Store.begin(run.path, about, token))


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """SIGTERM inside the block is what Ctrl-C is: it asks for what is known so far."""
    from rcgnn.cli.together import processes

    if processes() > 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _asked)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _asked(*_: object) -> NoReturn:
    raise KeyboardInterrupt
