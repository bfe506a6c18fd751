"""What `rcgnn watch` shows of a look at a run folder: to the page, and line by line."""

from __future__ import annotations

import time

from rcgnn.cli.console import console, safe
from rcgnn.cli.progress import facts
from rcgnn.health import HealthRecord
from rcgnn.live.feed import Feed
from rcgnn.live.follow import Look
from rcgnn.report.page import FILE
from rcgnn.rundir import RunDir

REPORT_WAIT = 10.0
"""Seconds that the report of a run written just now is waited for."""


def tell(feed: Feed, look: Look, stored: RunDir) -> None:
    """One look at the folder, for the page."""
    if look.again:
        feed.restart()
        feed.progress("wait", {})
    for record in look.records:
        feed.record(record)
    if look.records:
        feed.progress("train", look.records[-1].news(stored.config().train.epochs))


def print_look(look: Look) -> None:
    """One line an epoch, and one a finding."""
    to = console()
    if look.again:
        to.print("The run was begun anew.")
    if not look.records and not look.complete:
        to.print("No epoch yet.")
    for record in look.records:
        to.print(epoch_line(record))
        for finding in record.diagnoses:
            to.print(safe(f"  {finding.severity:<4}  {finding.code}: {finding.message} {finding.remedy}").rstrip())


def print_end(stored: RunDir) -> None:
    """The verdict of a complete run, and where the rest is; its report follows the answer after a moment."""
    summary, page = stored.summary(), stored.path / FILE
    since = time.monotonic()
    while not page.exists() and time.monotonic() - since < REPORT_WAIT and time.time() - stored.path.stat().st_mtime < REPORT_WAIT:
        time.sleep(0.05)
    console().print(safe(f"complete: {summary.get('conclusion') or summary.get('verdict', 'unknown')}"))
    console().print(safe(f"report: {page}" if page.exists() else f"next: rcgnn report {stored.path}"))


FORMS = {
    "attempt": "attempt {}",
    "epoch": "epoch {}",
    "loss": "loss {:.4g}",
    "held_out": "held out {:.4g}",
    "gradient": "gradient {:.3g}",
    "largest": "largest {:.3g}",
    "clipped": "clipped {:.0%}",
    "lr": "lr {:.2g}",
    "links": "{} links",
}
"""How each figure of an epoch is shown, in this order; what a record does not hold is left out."""


def epoch_line(record: HealthRecord) -> str:
    """One epoch in one line.

    Example:
        >>> from rcgnn.health import HealthRecord, LossHealth
        >>> epoch_line(HealthRecord(epoch=4, step=9, lr=1e-3, seed=1, loss=LossHealth(train=1.04961)))
        'epoch 4, loss 1.05, clipped 0%, lr 0.001'
    """
    grad = record.grad
    figures = {
        "attempt": record.attempt if record.attempt > 1 else None,
        "epoch": record.epoch,
        "loss": record.loss.train,
        "held_out": record.loss.val,
        "gradient": grad.raw_median,
        "largest": grad.raw_max,
        "clipped": grad.clip_share,
        "lr": record.lr,
        "links": record.graph.edges if record.graph else None,
    }
    return facts(figures, FORMS)
