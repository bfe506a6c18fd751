"""What is said about a fit as a whole: stages that were shortened, given up or interrupted."""

from __future__ import annotations

from rcgnn.data.findings import finding
from rcgnn.health import Finding


def given_up(failed: str | None) -> list[Finding]:
    """The neural stage failed: say so, even when it failed before its first record."""
    if not failed:
        return []
    return [
        Finding(
            code=failed.rpartition(": ")[2],
            severity="act",
            message=f"the neural stage was given up ({failed}); the graph is the screen's, as in every run.",
            remedy="Lower train.lr, or look at the health record for the first bad tensor.",
        )
    ]


def bridged(left_out: bool) -> list[Finding]:  # noqa: FBT001 - one fact
    """The state space would have been due."""
    if not left_out:
        return []
    text = (
        "gaps or noise ask for the state space, but the table is too large for it: gaps are bridged by straight lines.",
        "Fewer sensors or rows bring it back, and so does signal.smooth=on where only rows are too many.",
    )
    return [finding("bridged", "warn", None, text)]


def thinned(part: tuple[int, int] | None) -> list[Finding]:
    """The network has seen a part of a long table: so many rows of how many."""
    if not part:
        return []
    used, rows = part
    text = (
        f"the network was trained on {used:,} of {rows:,} rows, in pieces spread over the table.",
        "Nothing: more rows would take longer and change little.",
    )
    return [finding("thinned", "info", None, text, rows=used, of=rows)]


WITHOUT = {
    "decide": "second looks, confidences, intervals and the network are missing: expect more false links",
    "measure": "intervals and equations are missing, and the network was not trained",
    "train": "the network was not trained to its end; it changes no verdict",
}
"""What an answer lacks that was asked for in a stage."""


def interrupted(stage: str) -> list[Finding]:
    """The fit was asked to end in a stage; nothing where it was not."""
    if not stage:
        return []
    text = (
        f"the fit was interrupted in its stage {stage!r}, so this answer is partial: {WITHOUT.get(stage, 'later stages are missing')}.",
        "Give the same command with --resume: it goes on from there.",
    )
    return [finding("interrupted", "warn", None, text, stage=stage)]
