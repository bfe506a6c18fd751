"""The comparison of stored runs as a page: Markdown, and the courses of gradient, clipping and loss as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rcgnn.errors import InputError
from rcgnn.health import HealthRecord
from rcgnn.markdown import table, today
from rcgnn.report.compare import Run, differing, measured, overlaps, warnings, who_has
from rcgnn.report.picture import WIDTH, picture

SHOWN_PAIRS = 60


def page(runs: Sequence[Run], curves: str | None, command: str) -> str:
    """The whole page.

    Args:
        runs: at least two.
        curves: file of the picture beside the page; None where none was drawn.
        command: how the page was made.
    """
    return "\n".join([f"# {len(runs)} runs compared, {today()}", "", f"Command: `{command}`", "", *body(runs, curves)])


def body(runs: Sequence[Run], curves: str | None) -> list[str]:
    """Lines of the page below its head."""
    names = [run.name for run in runs]
    settings, pairs = differing(runs), who_has(runs)
    lines = [f"{said}\n" for said in warnings(runs)]
    lines += table(["", *names], measured(runs))
    if curves is not None:
        lines += ["", "## How training went", "", f"![Gradient norm, share of clipped steps and loss over the epochs]({curves})"]
    lines += ["", "## Settings that differ", ""]
    lines += table(["setting", *names], settings) if settings else ["None."]
    lines += ["", "## Shared links", "", "Jaccard index of the linked pairs, lags aside: shared by both / found by either.", ""]
    lines += table(["", *names], overlaps(runs))
    lines += ["", "## Linked pairs", ""]
    lines += table(["cause", "effect", *names], pairs[:SHOWN_PAIRS]) if pairs else ["No run found a link."]
    if len(pairs) > SHOWN_PAIRS:
        lines += ["", f"... and {len(pairs) - SHOWN_PAIRS} more."]
    return [*lines, ""]


def write_page(path: Path, text: str) -> None:
    """The page on disk.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another --out.") from error


def draw_curves(path: Path, runs: Sequence[Run]) -> None:
    """Three panels over the epochs, one colour a run: gradient norm (median, and largest dotted), share clipped, loss (held out dashed)."""
    with picture(path, (WIDTH * 1.3, 3.2), 3) as (norms, clipped, losses):
        for number, run in enumerate(runs):
            colour = f"C{number}"
            epochs = [record.epoch for record in run.records]
            norms.plot(epochs, _column(run.records, "raw_median"), color=colour, label=run.name)
            norms.plot(epochs, _column(run.records, "raw_max"), color=colour, linestyle=":", linewidth=1)
            clipped.plot(epochs, [100 * record.grad.clip_share for record in run.records], color=colour)
            losses.plot(epochs, [_number(record.loss.train) for record in run.records], color=colour)
            judged = [record for record in run.records if record.loss.val is not None]
            losses.plot([r.epoch for r in judged], [_number(r.loss.val) for r in judged], color=colour, linestyle="--", linewidth=1)
        norms.set(yscale="log", xlabel="epoch", title="gradient norm: median, largest (dotted)")
        clipped.set(ylim=(-3, 103), xlabel="epoch", title="% of steps clipped")
        losses.set(yscale="symlog", xlabel="epoch", title="loss: training, held out (dashed)")
        if any(run.records for run in runs):
            norms.legend(fontsize=7)


def _column(records: Sequence[HealthRecord], name: str) -> list[float]:
    return [_number(getattr(record.grad, name)) for record in records]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
