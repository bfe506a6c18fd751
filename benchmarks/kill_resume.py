"""A fit that is killed and goes on ends with the bytes of one that was left alone.

    python benchmarks/kill_resume.py                       # 60 random moments over four tables, and every file that is written
    python benchmarks/kill_resume.py --points 6 --every 9  # a quick look

Every fit is a process of its own, forked from this one, which has loaded the libraries. It is killed with SIGKILL after a random time, or
at its n-th file: by turns before it is written, with half of it in the draft, and after it. Then `rcgnn fit ... --resume` goes on, once or
(every third time) after a second kill; every second random run keeps checkpoints whatever time they take, as does every one that is killed
at a file, the others as they do for everybody. Every file is compared with that of a run that was never killed; of `health.jsonl` and
`summary.json` everything but seconds and memory.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

TIMED = ("summary.json", "health.jsonl", "report.html")
"""Files that hold seconds."""
MOMENTS = ("before", "half", "after")
QUICK = ("train.epochs=12", "data.max_lag=2")
SMALL = ("train.epochs=3", "train.reruns=0", "select.halves=4", "select.shifted_copies=2")
LARGE = "beside"
KINDS: dict[str, tuple[str, int, float, tuple[str, ...]]] = {
    "linear": ("linear", 1500, 0.0, ()),
    "gappy": ("linear", 900, 0.2, ()),
    "nonlinear": ("nonlinear", 700, 0.0, ("select.refine=on",)),
    LARGE: ("nonlinear", 7500, 0.1, ("select.refine=on",)),
}
"""Name -> system, rows, share of missing readings, settings. The last is large enough for a process beside that trains the network."""


@dataclass(frozen=True)
class Case:
    """One table and how it is fitted."""

    name: str
    table: Path
    settings: tuple[str, ...]

    def command(self, out: Path, *more: str) -> list[str]:
        """Arguments of `rcgnn`."""
        return ["fit", str(self.table), "--out", str(out), *(word for one in self.settings for word in ("--set", one)), *more]


def cases(folder: Path, divisor: int, device: str) -> list[Case]:
    """All tables on disk, of so many times fewer rows, then without the large one; the network of each on that device."""
    from rcgnn.synth import corrupt, simulate

    made = []
    for name, (system, rows, missing, settings) in KINDS.items():
        if name == LARGE and divisor > 1:
            continue
        series = simulate(system, seed=1, rows=rows // divisor, sensors=6).series
        series = corrupt(series, {"missing": missing}, seed=1) if missing else series
        table = folder / f"{name}.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            rows_ = [["" if value != value else value for value in row] for row in series.values.tolist()]  # noqa: PLR0124 - NaN
            csv.writer(file).writerows([series.names, *rows_])
        made.append(Case(name, table, (*QUICK, f"device={device}", *settings, *(SMALL if divisor > 1 else ()))))
    return made


def forked(arguments: list[str], said: Path, before: Callable[[], None] = lambda: None) -> int:
    """Number of a new process that runs `rcgnn` with these arguments; what it prints goes to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with said.open("ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        before()
        from rcgnn.cli import main

        sys.argv = ["rcgnn", *arguments]
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def waited(pid: int) -> int:
    """Exit code of a process; below 0: the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_after(case: Case, out: Path, seconds: float, before: Callable[[], None], *more: str) -> bool:
    """Whether the fit was still there to be killed after so many seconds."""
    pid = forked(case.command(out, *more), out.with_suffix(".txt"), before)
    time.sleep(seconds)
    done, _ = os.waitpid(pid, os.WNOHANG)
    if done:
        return False
    os.kill(pid, signal.SIGKILL)
    return waited(pid) == -signal.SIGKILL


def at_write(number: int, moment: str) -> Callable[[], None]:
    """Kill the process at the n-th file it writes whole: `before`, with `half` of it in the draft, or `after` it is in its place."""

    def patch() -> None:
        from rcgnn import rundir, store, whole

        real, files = whole.write_whole, [0]

        def write(path: Path, content: bytes) -> None:
            files[0] += 1
            if files[0] == number and moment == "half":
                path.with_name(f".{path.name}.{os.getpid()}.tmp").write_bytes(content[: len(content) // 2])
            if files[0] == number and moment != "after":
                os.kill(os.getpid(), signal.SIGKILL)
            real(path, content)
            if files[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

        rundir.write_whole = store.write_whole = write  # type: ignore[attr-defined]
        keep_everything()

    return patch


def keep_everything() -> None:
    """Checkpoints whatever time they take."""
    from rcgnn import store

    store.SHARE = 1e9


def nothing() -> None:
    """Checkpoints as time allows."""


def _begun(out: Path) -> bool:
    return out.is_dir() and any(not one.name.startswith(".") for one in out.iterdir())


def resumed(case: Case, out: Path, before: Callable[[], None] = lambda: None) -> int:
    """Exit code of going on; a run that was killed before there was one is begun."""
    more = ["--resume"] if _begun(out) else []
    return waited(forked(case.command(out, *more), out.with_suffix(".txt"), before))


def content(run: Path) -> dict[str, Any]:
    """What must be equal, file by file."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.name not in TIMED:
            found[str(path.relative_to(run))] = hashlib.sha256(path.read_bytes()).hexdigest()
    found["report.html"] = (run / "report.html").exists()
    if (run / "summary.json").exists():
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        found["summary.json"] = {name: value for name, value in summary.items() if name != "seconds"}
    lines = (run / "health.jsonl").read_text(encoding="utf-8").splitlines()
    found["health.jsonl"] = [
        {name: value for name, value in json.loads(line).items() if name not in ("wall_s", "resource")} for line in lines
    ]
    return found


def difference(run: Path, expected: dict[str, Any]) -> str:
    """The first file that differs; empty: none does."""
    try:
        found = content(run)
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return next((name for name in {**expected, **found} if found.get(name) != expected.get(name)), "")


def random_points(case: Case, folder: Path, expected: dict[str, Any], usual: float, points: int, rng: random.Random) -> Iterator[str]:
    """Kill after random times; every third run twice. What differs, or nothing."""
    made = 0
    while made < points:
        out, before = folder / f"{case.name}-{made}", (keep_everything if made % 2 else nothing)
        if not killed_after(case, out, rng.uniform(0.0, usual), before):
            _clear(out)
            continue
        if made % 3 == 2 and _begun(out):
            killed_after(case, out, rng.uniform(0.0, usual / 2), before, "--resume")
        code = resumed(case, out, before)
        yield f"exit code {code}" if code else difference(out, expected)
        _clear(out)
        made += 1


def file_points(case: Case, folder: Path, expected: dict[str, Any], every: int) -> Iterator[tuple[str, str]]:
    """Kill at every file that is written, or every so many, by turns in each of three ways."""
    for number in count(max(1, every // 2), every):
        moment = MOMENTS[number // every % len(MOMENTS)]
        out = folder / f"{case.name}-file-{number}-{moment}"
        code = waited(forked(case.command(out), out.with_suffix(".txt"), at_write(number, moment)))
        if code == 0:
            _clear(out)
            return
        code = resumed(case, out, keep_everything)
        yield f"{number} {moment}", f"exit code {code}" if code else difference(out, expected)
        _clear(out)


def _clear(out: Path) -> None:
    import shutil

    shutil.rmtree(out, ignore_errors=True)
    out.with_suffix(".txt").unlink(missing_ok=True)


def overhead(case: Case, folder: Path, repeats: int) -> tuple[float, float]:
    """Seconds of the whole fit and of writing checkpoints in it, as medians."""
    import statistics

    rows = []
    for number in range(repeats):
        out, told = folder / f"{case.name}-cost-{number}", folder / "told.json"

        def patch(told: Path = told) -> None:
            from rcgnn.store import Store

            real, spent, began = Store.put, [0.0], time.perf_counter()

            def put(*args: Any, **more: Any) -> None:
                since = time.perf_counter()
                real(*args, **more)
                spent[0] += time.perf_counter() - since
                told.write_text(json.dumps([spent[0], time.perf_counter() - began]), encoding="utf-8")

            told.write_text("[0, 0]", encoding="utf-8")
            Store.put = put  # type: ignore[method-assign]

        since = time.perf_counter()
        waited(forked(case.command(out), out.with_suffix(".txt"), patch))
        rows.append((time.perf_counter() - since, json.loads(told.read_text(encoding="utf-8"))[0]))
        _clear(out)
    return statistics.median(one for one, _ in rows), statistics.median(two for _, two in rows)


def main() -> int:
    """Run all of it; 1 where anything differed."""
    from dated import source, write

    from rcgnn.bench.markdown import table, today

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=60, help="random moments, over all tables")
    parser.add_argument("--every", type=int, default=1, help="the fit is killed at every so manyth file")
    parser.add_argument("--small", action="store_true", help="tables of a third of the rows, three epochs")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="auto", help="of the network")
    parser.add_argument("--out", type=Path, default=None, help="where the page goes")
    given = parser.parse_args()
    rng, rows, wrong = random.Random(given.seed), [], list[str]()  # noqa: S311 - moments, not secrets
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = cases(folder, 3 if given.small else 1, given.device)
        for case in tables:
            reference = folder / f"{case.name}-reference"
            since = time.perf_counter()
            code = waited(forked(case.command(reference), reference.with_suffix(".txt")))
            usual = time.perf_counter() - since
            if code:
                print(reference.with_suffix(".txt").read_text(encoding="utf-8"), file=sys.stderr)
                return 1
            expected = content(reference)
            at_random = list(random_points(case, folder, expected, usual, given.points // len(tables), rng))
            print(f"{case.name}: {usual:.1f} s, {len(at_random)} random moments", file=sys.stderr, flush=True)
            at_files = list(file_points(case, folder, expected, given.every))
            print(f"{case.name}: {len(at_files)} moments of writing", file=sys.stderr, flush=True)
            bad = [f"{case.name}: {what}" for what in at_random if what] + [
                f"{case.name}, file {at}: {what}" for at, what in at_files if what
            ]
            wrong += bad
            whole, spent = (usual, None) if given.small else overhead(case, folder, 3)
            rows.append(
                [case.name, f"{whole:.1f}", "-" if spent is None else f"{spent / whole:.1%}", len(at_random), len(at_files), len(bad)]
            )
    columns = ["table", "fit, s", "writing checkpoints", "killed at random", "killed at a file", "not the same"]
    lines = [
        f"# Killed and resumed, {today()}",
        "",
        *source(),
        "",
        "Every run was killed with SIGKILL and went on with `--resume`, every third of the random ones after a second kill. Compared",
        "with a run that was left alone: the bytes of every file, and of `health.jsonl` and `summary.json` all but seconds and memory;",
        "`report.html`, which shows seconds, must be there, and nothing else may.",
        "",
        *table(columns, rows),
        "",
        *(f"* {one}" for one in wrong),
    ]
    write("\n".join(lines).rstrip() + "\n", given.out, "kill-resume")
    return 1 if wrong else 0


def warm_up() -> None:
    """Load what a fit needs, so that a fork begins with it."""
    import rcgnn.cli.app
    import rcgnn.cli.fitting
    import rcgnn.estimator
    import rcgnn.refine  # noqa: F401


if __name__ == "__main__":
    raise SystemExit(main())
