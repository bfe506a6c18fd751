"""The page of a run that goes on: frame, styles, charts and findings of the report, and the progress by stage."""

from __future__ import annotations

from rcgnn.report.page import Kind, rendered

LIVE = Kind(
    "live",
    "Live",
    ("progress", "training", "findings"),
    ("base.js", "theme.js", "chart.js", "text.js", "training.js", "live.js"),
    "'self'",
    "This page asks the rcgnn on this machine and nobody else. When the run is done it turns into the report.",
    "rcgnn watch RUN --text",
)


def live_page(title: str, version: str) -> str:
    """The page before any news.

    Args:
        title: the table, or the run folder.
        version: of rcgnn.
    """
    return rendered({"kind": LIVE.name, "live": True, "title": title, "version": version}, LIVE)
