"""The live page: the charts of the report, no copy of them, and no request but to its own server."""

from __future__ import annotations

import re

from browser.runs import HOSTILE
from rcgnn.live.page import LIVE, live_page
from rcgnn.report.page import REPORT


def test_it_shares_styles_charts_and_findings_with_the_report():
    assert set(LIVE.scripts) - set(REPORT.scripts) == {"live.js"}
    assert {"chart.js", "training.js", "text.js"} <= set(LIVE.scripts)
    assert set(LIVE.sections) - set(REPORT.sections) == {"progress"}


def test_it_may_ask_its_own_server_and_nobody_else():
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', live_page("plant.csv", "1"))[1].replace("&#39;", "'")
    allowed = dict(entry.split(" ", 1) for entry in policy.split("; "))
    assert allowed["connect-src"] == "'self'"
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"].count("sha256-") == 1 + len(LIVE.scripts)
    assert "unsafe" not in allowed["script-src"]


def test_a_name_that_wants_to_be_markup_stays_text():
    page = live_page(HOSTILE[0], "1")
    assert HOSTILE[0] not in page
    assert "\\u003cscript\\u003ewindow.hacked" in page
