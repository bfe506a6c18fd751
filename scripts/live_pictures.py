#!/usr/bin/env python3
"""The pictures of docs/live.md: the page of `rcgnn fit --live` while the built-in station is trained, light, dark and on a phone.

    python3 scripts/live_pictures.py             # writes docs/assets/live-light.png, live-dark.png, live-phone.png
    python3 scripts/live_pictures.py --epoch 5   # earlier

Needs chromium and its driver (`make browser`) and selenium.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report_pictures import PICTURES, chrome, shot, shown_at, store

ADDRESS = re.compile(r"^Live: (http://\S+)")
EPOCH = "return Number(document.querySelector('#training-what').textContent.match(/^[0-9]+(?= epoch)/) ?? 0)"
GOING = "return ['connecting', 'running'].includes(document.getElementById('state')?.textContent)"
FIRST = ((1180, 1080), "light")
PATIENCE = 300
"""Seconds until the epoch must be there."""
SETTLED = 0.4
"""Seconds in which the charts follow the size of the window."""


def address(fit: subprocess.Popen[str]) -> str:
    """What the fit prints first."""
    for line in fit.stderr or ():
        if found := ADDRESS.match(line):
            return found[1]
    raise SystemExit("The fit ended without an address.")


def wait_for(driver: Any, epoch: int) -> None:
    """Until the page shows so many epochs."""
    end = time.monotonic() + PATIENCE
    while driver.execute_script(EPOCH) < epoch:
        if time.monotonic() > end or not driver.execute_script(GOING):
            raise SystemExit(f"Epoch {epoch} was not reached; choose an earlier --epoch.")
        time.sleep(0.05)


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/live.md.")
    parser.add_argument("--epoch", type=int, default=16, help="how many epochs the pictures show at least [default: 16]")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "assets")
    given = parser.parse_args()
    rcgnn = [sys.executable, "-c", "from rcgnn.cli import main; main()"]
    with tempfile.TemporaryDirectory() as folder, chrome() as driver:
        simulate = [*rcgnn, "simulate", "--system", "station", "--out", "station"]
        subprocess.run(simulate, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        command = [*rcgnn, "fit", "station/data.csv", "--out", "run", "--live"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as fit:  # noqa: S603 - our own command
            try:
                shown_at(driver, *FIRST)  # scroll bars are hidden from the next page on
                driver.get(address(fit))
                wait_for(driver, given.epoch)
                fit.send_signal(signal.SIGSTOP)  # all pictures show one moment
                for name, (width, height, theme) in PICTURES.items():
                    shown_at(driver, (width, height), theme)
                    time.sleep(SETTLED)
                    store(given.out / f"live-{name}.png", shot(driver))
            finally:
                fit.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
