"""`rcgnn watch`: a run that somebody else is fitting, as it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rcgnn.rundir import RunDir


def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that a fit is writing, here or on another machine.")],
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0: a free one.")] = 0,
    text: Annotated[bool, typer.Option("--text", help="No page: one line an epoch.")] = False,
    once: Annotated[bool, typer.Option("--once", help="One line an epoch that is there, and end.")] = False,
    give_up: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="End, exit code 1, when nothing is written for so long [default: never]."),
    ] = None,
) -> None:
    """Follow a run while it is fitted, as a page or line by line; ends when the run is complete."""
    from rcgnn.cli.watching import print_end, print_look
    from rcgnn.live.follow import Follower, looks
    from rcgnn.rundir import RunDir

    stored = RunDir.open(run)
    if once:
        look = Follower(stored).look()
        print_look(look)
        if look.complete and not look.records:
            print_end(stored)
        return
    if text:
        for look in looks(stored, patience=give_up):
            print_look(look)
        print_end(stored)
        return
    if not Follower(stored).look().complete:
        _serve(stored, port, give_up)
    print_end(stored)


def _serve(stored: RunDir, port: int, give_up: float | None) -> None:
    from rcgnn.cli.beside import served
    from rcgnn.cli.watching import tell
    from rcgnn.live.follow import looks
    from rcgnn.report.page import page

    with served(str(stored.path.resolve().name), port) as feed:
        feed.progress("wait", {})
        for look in looks(stored, patience=give_up):
            tell(feed, look, stored)
        feed.finish(page(stored))
