"""Coverage-guided fuzzing of readers and settings: `make fuzz`. Needs atheris, which is no dependency of the project.

    python tests/hostile/fuzz.py --seconds 600 [--target tables|settings] [--folder .fuzz]

A first run fills FOLDER/<target> with inputs that reached new code, a later one goes on from there. What is not an answer and not
one sentence is written to FOLDER/<target>/crash-...; it belongs into the corpus as a test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
FORMATS = (".csv", ".parquet", ".npz", ".npy", ".csv.gz")
OPTIONS = ({}, {"time": "time"}, {"regime": "b"}, {"na": ["-200", "x"]}, {"max_cells": 50})
CELLS = 20_000
"""Cells of a table at most, so that the search is not spent on reading large ones."""
TARGETS = ("tables", "settings")
LONGEST = 4096


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=int, default=600, help="over all targets")
    asked.add_argument("--target", choices=TARGETS, action="append")
    asked.add_argument("--folder", type=Path, default=Path(".fuzz"))
    asked.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    targets = given.target or list(TARGETS)
    if given.here:
        fuzz(targets[0], given.folder, given.seconds)
        return
    failed = [t for t in targets if subprocess.call(again(t, given.folder, given.seconds // len(targets))) != 0]
    sys.exit(f"inputs that are neither answered nor refused: see {given.folder} ({', '.join(failed)})" if failed else 0)


def again(target: str, folder: Path, seconds: int) -> list[str]:
    """This script for one target, in a process of its own: atheris never returns."""
    return [sys.executable, __file__, "--here", "--target", target, "--folder", str(folder), "--seconds", str(seconds)]


def fuzz(target: str, folder: Path, seconds: int) -> None:
    """Runs one target to its end."""
    import atheris

    sys.path.insert(0, str(TESTS))
    with atheris.instrument_imports(include=["rcgnn", "yaml", "numpy.lib", "zipfile"]):
        import rcgnn.config
        import rcgnn.data.readers
        import rcgnn.prior  # noqa: F401
    from hostile.seeds import seeds

    corpus = folder / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    one = {"tables": try_table, "settings": try_settings}[target]
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={corpus}/", "-print_final_stats=1", *limits], one)
    atheris.Fuzz()


@cache
def scratch() -> Path:
    """Where each input is written before it is read."""
    return Path(tempfile.mkdtemp())


def try_table(content: bytes) -> None:
    """The first byte says how the file is called and what the user says about it; the rest is the file."""
    from hostile.judge import judged
    from rcgnn.data.readers import read_table

    kind = content[0] if content else 0
    path = scratch() / f"table{FORMATS[kind % len(FORMATS)]}"
    path.write_bytes(content[1:])
    options = {"max_cells": CELLS} | OPTIONS[kind // len(FORMATS) % len(OPTIONS)]
    judged(lambda: read_table(path, **options))


def try_settings(content: bytes) -> None:
    """The first byte says whether it is a file of settings, of prior knowledge, or `--set` texts."""
    from hostile.judge import judged
    from rcgnn.config import Config
    from rcgnn.prior import Prior

    kind, path = (content[0] if content else 0) % 3, scratch() / "settings.yaml"
    path.write_bytes(content[1:])
    if kind == 0:
        judged(lambda: Prior.given(Config.load(path), ("a", "b")))
    elif kind == 1:
        judged(lambda: Prior.given(Config.assemble(None, [], path), ("a", "b")))
    else:
        judged(lambda: Config.assemble(None, content[1:].decode("utf-8", "replace").split("\n")))


if __name__ == "__main__":
    main()
