"""What a long fit shows while it works: stage, share done, time left, epoch, loss, links. Nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rcgnn.cli.console import console, safe
from rcgnn.health import STAGES, Progress, silent

FACTS = {
    "epoch": "epoch {}",
    "loss": "loss {:.4g}",
    "links": "{} links",
    "clip_share": "clipped {:.0%}",
    "left": "{:.0f} s of the budget left",
    "message": "{}",
}
"""How each piece of a report's `info` is shown, in this order."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """A `Progress` that draws one bar a stage on stderr, and wipes them when done.

    Without a terminal on both stdout and stderr, or when `quiet`, it draws nothing.
    """
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield silent
        return
    from rich.progress import BarColumn, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    text = [TextColumn("{task.description}", markup=False), TextColumn("{task.fields[facts]}", markup=False)]
    share = TaskProgressColumn(show_speed=False)
    columns = (SpinnerColumn(), text[0], BarColumn(), share, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), text[1])
    with Bars(*columns, console=console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, info: Mapping[str, Any]) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    bars.update(task, total=1, completed=1)
                tasks[stage] = bars.add_task(titled(stage), total=None, facts="")
            done, total = info.get("done", info.get("epoch", 0)), info.get("total", info.get("epochs"))
            bars.update(tasks[stage], completed=done, total=total, facts=facts(info))

        yield report


def titled(stage: str) -> str:
    """What the line of a stage begins with.

    Example:
        >>> titled("screen"), titled("wait")
        ('stage 6 of 10: screen', 'wait')
    """
    return f"stage {STAGES.index(stage) + 1} of {len(STAGES)}: {stage}" if stage in STAGES else stage


def facts(info: Mapping[str, Any], forms: Mapping[str, str] = FACTS) -> str:
    """The pieces of a report that are there, in the order of `forms`.

    Example:
        >>> facts({"loss": 1.04961, "epoch": 4, "clip_share": 0.007})
        'epoch 4, loss 1.05, clipped 1%'
    """
    return ", ".join(safe(form.format(info[name])) for name, form in forms.items() if info.get(name) is not None)
