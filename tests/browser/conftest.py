"""One browser for all tests of the page; without it they fail, they are not passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.chrome import chrome
from browser.runs import CASES
from rcgnn.report.page import write_report

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    with chrome() as running:
        yield running


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A page of every case."""
    folder = tmp_path_factory.mktemp("pages")
    return {case: write_report(make(folder / case.replace(" ", "-"))) for case, make in CASES.items()}


@pytest.fixture
def visit(driver, pages) -> Open:
    """`visit("hostile", theme="dark", width=390)` -> the driver with that page, its log emptied before."""

    def go(case: str, *, theme: str = "light", width: int = 1180) -> Any:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get_log("browser")
        driver.get(pages[case].as_uri())
        return driver

    return go
