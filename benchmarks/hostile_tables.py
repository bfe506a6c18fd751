"""Hostile inputs by the thousand: does every one of them end with an answer or with one sentence?

    python benchmarks/hostile_tables.py                    # 20,000 files and settings, 300 whole fits
    python benchmarks/hostile_tables.py --inputs 2000 --fits 20 --seed 5
    python benchmarks/hostile_tables.py --inputs 0 --fits 0 --bomb     # 10 MB of gzip that expand to 10 GB, in a process of its own

The strategies of tests/hostile build tables, settings and prior knowledge, and spoil them. An input counts once, however often it is
drawn. It counts as a traceback when anything but an error of ours with exit code 2 and one sentence comes out, warnings included, or
when an answer does not agree with itself; as a hang when it takes more than 20 seconds (a fit: 60). Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dated import ROOT, source, write
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from rcgnn.bench.markdown import table, today

sys.path.insert(0, str(ROOT / "tests"))

from hostile.judge import ANSWER, REFUSAL, deadline, judged
from hostile.strategies import absurd_tables, spoken_settings, table_files, yaml_files
from hostile.texts import bomb

BATCH = 2000
"""Inputs of one run of hypothesis; the next begins with another seed."""
FIT_SECONDS = 60


@dataclass
class Seen:
    """What became of the inputs of one kind."""

    ends: Counter[str] = field(default_factory=Counter)
    known: set[bytes] = field(default_factory=set)
    slowest: float = 0.0
    seconds: float = 0.0
    worst: list[str] = field(default_factory=list)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--inputs", type=int, default=20_000, help="7 in 10 are tables, 2 in 10 files of settings, 1 in 10 --set texts")
    asked.add_argument("--fits", type=int, default=300)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--bomb", action="store_true", help="also a gzip bomb of 10 GB")
    asked.add_argument("--out", type=Path)
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        kinds = doors(Path(name))
        counts = (wanted.inputs * 7 // 10, wanted.inputs * 2 // 10, wanted.inputs // 10, wanted.fits)
        floor = peak()
        seen = {kind: gathered(kinds[kind], count, wanted.seed) for kind, count in zip(kinds, counts, strict=True)}
        bombed = bomb_line(Path(name)) if wanted.bomb else ""
    write(page(seen, floor) + bombed, wanted.out, "hostile-tables")
    if any(one.worst for one in seen.values()):
        raise SystemExit("\n".join(line for one in seen.values() for line in one.worst[:20]))


def doors(folder: Path) -> dict[str, tuple[SearchStrategy[Any], Callable[[Any], str]]]:
    """Kinds of input: what makes one, and what reads it."""
    from typer.testing import CliRunner

    from hostile.absurd import SMALL_FIT
    from rcgnn.cli.app import app
    from rcgnn.config import Config
    from rcgnn.data.readers import read_table
    from rcgnn.prior import Prior

    def read(file: Any) -> str:
        path = folder / file.name
        path.write_bytes(file.content)
        return judged(lambda: read_table(path, **file.options))

    def configure(content: bytes) -> str:
        path = folder / "settings.yaml"
        path.write_bytes(content)
        ends = [judged(lambda: Prior.given(Config.load(path), ("a", "b")))]
        ends.append(judged(lambda: Prior.given(Config.assemble(None, [], path), ("a", "b"))))
        return ANSWER if ANSWER in ends else REFUSAL

    def fit(text: str) -> str:
        (folder / "table.csv").write_text(text, encoding="utf-8")
        words = ["fit", str(folder / "table.csv"), "--out", str(folder / "run"), "--overwrite", "--quiet", *SMALL_FIT]
        with deadline(FIT_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("error")
            done = CliRunner().invoke(app, words)
        if done.exit_code not in (0, 2):
            raise AssertionError(f"exit code {done.exit_code}: {done.output[-300:]}")
        return REFUSAL if done.exit_code else ANSWER

    return {
        "tables (csv, tsv, gz, parquet, npy, npz)": (table_files(), read),
        "files of settings and prior knowledge": (yaml_files(), configure),
        "`--set` texts": (spoken_settings(), lambda said: judged(lambda: Config.assemble(None, said))),
        "`rcgnn fit` of tables that make no sense": (absurd_tables(), fit),
    }


def gathered(door: tuple[SearchStrategy[Any], Callable[[Any], str]], count: int, first_seed: int) -> Seen:
    """What became of `count` different inputs."""
    strategy, read = door
    seen = Seen()
    number = first_seed
    while len(seen.known) < count:
        batch = settings(
            max_examples=min(BATCH, count), deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )

        @seed(number)
        @batch
        @given(made=strategy)
        def run(made: Any) -> None:
            if len(seen.known) < count:
                tell(seen, made, read)

        run()
        number += 1
    return seen


def tell(seen: Seen, made: Any, read: Callable[[Any], str]) -> None:
    key = hashlib.sha256(repr(made).encode("utf-8", "backslashreplace")).digest()
    if key in seen.known:
        return
    seen.known.add(key)
    begun = time.perf_counter()
    try:
        end = read(made)
    except TimeoutError:
        end = "hang"
    except Exception as error:  # noqa: BLE001 - whatever comes out is what is counted
        end = "traceback"
        seen.worst.append(f"{type(error).__name__}: {str(error)[:300]} <- {made!r:.600}")
    if end == "hang":
        seen.worst.append(f"hang <- {made!r:.600}")
    took = time.perf_counter() - begun
    seen.ends[end] += 1
    seen.slowest, seen.seconds = max(seen.slowest, took), seen.seconds + took


BOMB = """
import resource, sys
from rcgnn.cli import main
sys.argv = ["rcgnn", "fit", *sys.argv[1:]]
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def bomb_line(folder: Path) -> str:
    """Seconds and memory of the command that is given a gzip file of 10 GB."""
    path = bomb(b"1,2\n", 10 * 2**30)(folder)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path), "--out", str(folder / "run")], capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - begun
    busy, most = (float(word) for word in done.stdout.split()[-2:])
    said = done.stderr.strip().replace(str(folder) + "/", "")
    return (
        f"\n`rcgnn fit` of a gzip file of {path.stat().st_size / 1e6:.1f} MB that expands to {10 * 2**30 / 1e9:.1f} GB: exit code "
        f"{done.returncode} after {took:.1f} s, of which the processor worked {busy:.1f}, peak {most:,.0f} MiB; it says: {said}\n"
    )


def peak() -> float:
    """Largest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def page(seen: dict[str, Seen], floor: float) -> str:
    heads = ["inputs", "different", "answers", "refusals", "tracebacks", "hangs", "slowest, s", "mean, ms"]
    rows = [
        [kind, *(f"{n:,}" for n in (len(s.known), *(s.ends[end] for end in (ANSWER, REFUSAL, "traceback", "hang")))), f"{s.slowest:.2f}",
         f"{1000 * s.seconds / max(len(s.known), 1):.1f}"]
        for kind, s in seen.items()
    ]  # fmt: skip
    total = sum(len(s.known) for s in seen.values())
    bad = sum(s.ends["traceback"] + s.ends["hang"] for s in seen.values())
    return "\n".join([
        f"# Hostile tables and settings, {today()}", "", *source(), "",
        f"{total:,} different inputs, {bad} of them ended with anything but an answer or one sentence with exit code 2.",
        f"Peak memory of the process {peak():,.0f} MiB; {floor:,.0f} MiB of it before the first input (Python and its libraries).", "",
        *table(heads, rows), "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
