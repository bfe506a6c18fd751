"""Before, after, auto: the origin's failure, its cure and the default recipe on one table, side by side.

    python benchmarks/before_after.py            # the air quality table where shared data are there, else the simulated station

Writes benchmarks/results/<date>-before-after.md and the curves beside it. Bars: largest raw gradient norm above 1e4 before,
at most 10 with auto, where at most 1 % of the last epoch's steps are clipped. The origin's own printed norms (2.5731 at batch 275)
are in the page of benchmarks/origin_tables.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from air_quality import DATA
from dated import RESULTS, source, write

from rcgnn.bench.markdown import number, table, today
from rcgnn.report.compare import Run, read_runs
from rcgnn.report.compare_page import body, draw_curves

RECIPES = {
    "origin-before": ["--recipe", "origin-before"],
    "origin-after": ["--recipe", "origin-after"],
    "auto": ["--set", "select.refine=on"],
}
EXPLODED, MOST_NORM, MOST_CLIPPED = 1e4, 10.0, 1.0


def largest(run: Run) -> float:
    """Largest raw gradient norm of a run."""
    return max(record.grad.raw_max for record in run.records if record.grad.raw_max is not None)


def command(*words: str) -> None:
    """One command of rcgnn; its own message where it fails."""
    done = subprocess.run([sys.executable, "-m", "rcgnn", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"rcgnn {words[0]} left with {done.returncode}: {done.stderr.strip()}")


def runs_of(data: Path, folder: Path, settings: list[str]) -> list[Run]:
    """The three runs on one table, each in a folder of its own."""
    more = [word for setting in settings for word in ("--set", setting)]
    for name, options in RECIPES.items():
        command("fit", str(data), "--out", str(folder / name), "--quiet", "--overwrite", *options, *more)
    return read_runs([folder / name for name in RECIPES])


def bars(before: Run, auto: Run) -> list[list[str]]:
    """What these runs must show, and what they do."""
    clipped = 100 * auto.records[-1].grad.clip_share
    met = [largest(before) > EXPLODED, largest(auto) <= MOST_NORM, clipped <= MOST_CLIPPED]
    asked = [
        ["largest norm before", f"above {EXPLODED:g}", number(largest(before))],
        ["largest norm with auto", f"at most {MOST_NORM:g}", number(largest(auto))],
        ["share clipped in auto's last epoch, %", f"at most {MOST_CLIPPED:g}", number(clipped)],
    ]
    return [[*row, "met" if fine else "MISSED"] for row, fine in zip(asked, met, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of all three runs; may be repeated")
    parser.add_argument("--runs", type=Path, help="keep the run folders here")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.runs or Path(temporary)
        data = given.data
        if not data.exists():
            command("simulate", "--system", "station", "--out", str(folder / "station"), "--overwrite")
            data = folder / "station" / "data.csv"
        runs = runs_of(data, folder, given.set)
    curves = (given.out or RESULTS / f"{today()}-before-after.md").with_suffix(".svg")
    draw_curves(curves, runs)
    shape = f"{runs[0].summary['rows']:,} x {runs[0].summary['sensors']}"
    head = [f"# Before, after, auto, {today()}", "", f"{'UCI Air Quality' if data == DATA else data.parent.name}: {shape}.", *source()]
    asked = ["", "## Bars", "", *table(["", "bar", "measured", ""], bars(runs[0], runs[-1])), ""]
    write("\n".join([*head, *asked, *body(runs, curves.name)]), given.out, "before-after")


if __name__ == "__main__":
    main()
