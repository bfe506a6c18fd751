#!/usr/bin/env python3
"""The pictures of docs/report.md: the report of the built-in station, light, dark and on a phone.

    python3 scripts/report_pictures.py                       # writes docs/assets/report-light.png, -dark.png, -phone.png
    python3 scripts/report_pictures.py --run run --out DIR   # of another run

Needs chromium and its driver (`make browser`) and selenium.
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rcgnn.config import Config
from rcgnn.encode import as_npz
from rcgnn.pipeline import fit_series
from rcgnn.report.page import write_report
from rcgnn.report.traces import traces
from rcgnn.rundir import RunDir
from rcgnn.synth import STATION_CORRUPTION, STATION_SEED, corrupt, simulate

sys.path.append(str(Path(__file__).parents[1] / "tests" / "browser"))
from chrome import chrome

PICTURES = {"light": (1180, 1080, "light"), "dark": (1180, 1080, "dark"), "phone": (390, 1080, "dark")}
"""Width and height in pixels, and the theme."""
COLOURS = 128
"""Of the palette: keeps the files small."""


def station(folder: Path) -> RunDir:
    """The run of the README: the station with its default faults."""
    plant = simulate("station", seed=STATION_SEED)
    readings = replace(corrupt(plant.series, STATION_CORRUPTION, seed=STATION_SEED), source="station/data.csv")
    run = RunDir(folder)
    run.write_config(Config())
    fit = fit_series(readings, Config(), on_record=run.append)
    run.write("traces.npz", as_npz(traces(fit.series, fit.prepared, fit.signal)))
    run.write_answer(fit, readings, Config())
    return run


def shown_at(driver: Any, size: tuple[int, int], theme: str) -> None:
    """What the driver shows, in a window of this size and in this theme."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})


def shot(driver: Any) -> bytes:
    """The window as PNG."""
    return base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])


def smaller(png: bytes) -> bytes:
    """The same picture with a palette."""
    from PIL import Image

    packed = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def store(file: Path, png: bytes) -> None:
    """Write it, smaller, and say so."""
    file.write_bytes(smaller(png))
    print(f"wrote {file} ({file.stat().st_size / 1000:.0f} kB)")


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/report.md.")
    parser.add_argument("--run", type=Path, help="a run folder [default: the station is fitted]")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "assets")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chrome() as driver:
        run = RunDir.open(given.run) if given.run else station(Path(folder) / "run")
        page = write_report(run, Path(folder) / "report.html")
        for name, (width, height, theme) in PICTURES.items():
            shown_at(driver, (width, height), theme)
            driver.get(page.resolve().as_uri())
            store(given.out / f"report-{name}.png", shot(driver))
    return 0


if __name__ == "__main__":
    sys.exit(main())
