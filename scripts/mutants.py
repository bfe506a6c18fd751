#!/usr/bin/env python3
"""Mutation check: change one thing in the core at a time, and ask whether a test notices.

    make mutants                                              # 120 mutants a group, drawn with seed 0
    python scripts/mutants.py verdict guard --seed 1          # other mutants of two groups; --per-group 0: all of them
    python scripts/mutants.py --again build/mutants.json      # those that survived an earlier run, after tests were added

The mutants are cosmic-ray's; scripts/mutants.toml says which files are changed, which tests should notice, and what is left
out. Mutants that differ in annotations only, or that another one equals, are not counted. Everything happens in a
copy of src and tests: the checkout is never touched. Each mutant is tested in a fork of this process, which has loaded the
heavy libraries once. A mutant is killed when a test fails or nothing can be imported, timed out when its tests take five times
their processor time and more. Hypothesis runs without shrinking and with the same examples every time.

Prints the table by file and every survivor; keeps all outcomes in build/mutants.json. Exit code 1 where a group of a draw
stays below the bar. Linux and macOS.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
OUT = ROOT / "build" / "mutants.json"
SAID = "said.txt"
BAR = 0.8
SLOWER, SPARE_SECONDS, LONGEST_WALL = 5, 5, 300
"""Processor seconds allowed: five times those of the unchanged file, and five more; seconds by the clock, however busy the machine."""


@dataclass(frozen=True)
class Mutant:
    """One change: the operator's name and which of its places in the file identify it."""

    group: str
    source: str
    operator: str
    place: int
    line: int
    before: str
    after: str


def places(group: str) -> list[tuple[str, str, int]]:
    """Every (source, operator, number of its place) in the files of a group."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    found = []
    for source in CONFIG["groups"][group]:
        nodes = list(ast_nodes(get_ast(_text(source))))
        for name in sorted(operator_names()):
            kind = get_operator(name)
            if kind.arguments() or any(re.search(pattern, name) for pattern in CONFIG["leave_out"]):
                continue
            count = sum(1 for node in nodes for _ in kind().mutation_positions(node))
            found += [(source, name, place) for place in range(count)]
    return found


def changed(source: str, operator: str, place: int) -> str | None:
    """The text of a file with one change; None where the operator cannot make it."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    try:
        return mutate_code(_text(source), get_operator(operator)(), place)
    except AttributeError:  # it cannot replace `except module.Error`
        return None


@cache
def _text(source: str) -> str:
    return (ROOT / "src" / "rcgnn" / source).read_text()


def _meaning(text: str) -> str:
    """The parsed code without its annotations; the text itself where it cannot be parsed."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return text
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def _first_difference(before: str, after: str) -> tuple[int, str, str]:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((number, old.strip(), new.strip()) for number, (old, new) in enumerate(pairs, 1) if old != new)


def drawn(groups: list[str], per_group: int, seed: int) -> list[tuple[Mutant, str]]:
    """The mutants to test with their changed files, in the order of the files."""
    chosen = []
    for group in groups:
        every = places(group)
        random.Random(f"{seed} {group}").shuffle(every)  # noqa: S311 - a sample, not a secret
        chosen += sorted(islice(_that_count(group, every), per_group or None), key=lambda one: (one[0].source, one[0].line))
    return chosen


def _that_count(group: str, every: list[tuple[str, str, int]]) -> Iterator[tuple[Mutant, str]]:
    """Mutants that mean something else than the unchanged file and than those before them."""
    seen = {_meaning(_text(source)) for source in CONFIG["groups"][group]}
    for source, operator, place in every:
        text = changed(source, operator, place)
        if text is not None and (meaning := _meaning(text)) not in seen:
            seen.add(meaning)
            yield Mutant(group, source, operator, place, *_first_difference(_text(source), text)), text


def ask(source: str, seconds: float, *, unchanged: bool) -> tuple[str, float]:
    """What the tests of a file say: survived, killed or timed out; and their processor seconds. Their words are in SAID."""
    tests = [f"tests/{name}" for name in CONFIG["groups"][_group_of(source)][source]]
    deselect = " and ".join(f"not {name}" for name in CONFIG["deselect"])
    early = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is loaded before pytest
    asked = ["-x", "-q", "-n", "0", "-W", early, "-p", "no:cacheprovider", "-k", deselect, f"src/rcgnn/{source}", *tests]
    started, child = time.monotonic(), os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
        said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.dont_write_bytecode = not unchanged
        code = 2
        try:
            import pytest

            code = int(pytest.main(asked))
        finally:
            sys.stdout.flush()
            os._exit(code)
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        late = time.monotonic() - started > LONGEST_WALL
        if pid or late:
            break
        time.sleep(0.02)
    _end(child)
    if not pid:
        os.waitpid(child, 0)
    if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
        return "timed out", used.ru_utime + used.ru_stime
    return ("survived" if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else "killed"), used.ru_utime + used.ru_stime


def _end(leader: int) -> None:
    """End what a test may have left running in its session."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _group_of(source: str) -> str:
    return next(group for group, sources in CONFIG["groups"].items() if source in sources)


def prepare(folder: Path) -> None:
    """A copy of sources and tests to work in, libraries loaded, properties tested with the same examples every time."""
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    sys.path.insert(0, str(folder / "src"))
    found = importlib.util.find_spec("rcgnn")
    if found is None or not str(found.origin).startswith(str(folder)):
        raise SystemExit(f"rcgnn is found in {found and found.origin}, not in the copy: the tests would not see a change.")
    for name in CONFIG["preload"]:
        importlib.import_module(name)
    from hypothesis import HealthCheck, Phase, settings

    even = settings(
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("mutants", even)
    settings.load_profile("mutants")


def outcomes(chosen: list[tuple[Mutant, str]], folder: Path) -> list[dict]:
    """Test every mutant; survivors are printed as they come."""
    limits, results = {}, []
    for number, (mutant, text) in enumerate(chosen, 1):
        target = folder / "src" / "rcgnn" / mutant.source
        if mutant.source not in limits:
            found, used = ask(mutant.source, LONGEST_WALL, unchanged=True)
            if found != "survived":
                raise SystemExit(f"{Path(SAID).read_text()}\n{mutant.source}: its tests fail before anything is changed.")
            limits[mutant.source] = SLOWER * used + SPARE_SECONDS
            print(f"{mutant.source}: {used:.1f} s unchanged", flush=True)
        original = ROOT / "src" / "rcgnn" / mutant.source
        for stale in (target.parent / "__pycache__").glob(f"{target.stem}.*"):
            stale.unlink()
        target.write_text(text)
        found, used = ask(mutant.source, limits[mutant.source], unchanged=False)
        shutil.copy2(original, target)
        results.append({**asdict(mutant), "outcome": found, "seconds": round(used, 1)})
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(results, indent=1))
        if found == "survived":
            print(f"{number}/{len(chosen)} survived {mutant.source}:{mutant.line}  {mutant.before}  ->  {mutant.after}", flush=True)
    return results


def table(results: list[dict]) -> tuple[list[str], bool]:
    """Rows by file, by group and in all, and whether every group reaches the bar."""
    lines = ["| group | file | places | mutants | killed | timed out | survived | share |", "|---|---|---|---|---|---|---|---|"]
    reached = True
    groups = list(dict.fromkeys(one["group"] for one in results))
    size = Counter(source for group in groups for source, _, _ in places(group))
    for group in [*groups, ""]:
        own = [one for one in results if group in ("", one["group"])]
        sources = list(dict.fromkeys(one["source"] for one in own))
        by_file = [(source, [one for one in own if one["source"] == source]) for source in sources if group]
        lines += [_row(f"{group} | {source}", size[source], of_file) for source, of_file in by_file]
        lines.append(_row(f"**{group or 'all'}** |", sum(size[source] for source in sources), own))
        reached &= sum(one["outcome"] != "survived" for one in own) >= BAR * len(own)
    return lines, reached


def _row(name: str, size: int, results: list[dict]) -> str:
    count = Counter(one["outcome"] for one in results)
    share = 100 * (1 - count["survived"] / len(results))
    return f"| {name} | {size} | {len(results)} | {count['killed']} | {count['timed out']} | {count['survived']} | {share:.0f} % |"


def survivors(file: Path) -> list[tuple[Mutant, str]]:
    """What survived an earlier run, made again; without those whose line is no longer there."""
    alive = [one for one in json.loads(file.read_text()) if one.pop("outcome") == "survived"]
    mutants = [Mutant(**{name: one[name] for name in Mutant.__dataclass_fields__}) for one in alive]
    again = [(one, changed(one.source, one.operator, one.place)) for one in mutants]
    return [(one, text) for one, text in again if text and _first_difference(_text(one.source), text)[1:] == (one.before, one.after)]


def main() -> int:
    """Draw, test, report."""
    parser = argparse.ArgumentParser(description="Mutation check of the core.")
    parser.add_argument("groups", nargs="*", choices=[*CONFIG["groups"], []], help="default: all")
    parser.add_argument("--per-group", type=int, default=120, help="mutants drawn from each group; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path, help="outcomes of an earlier run, whose survivors alone are tested")
    asked = parser.parse_args()
    chosen = survivors(asked.again) if asked.again else drawn(asked.groups or list(CONFIG["groups"]), asked.per_group, asked.seed)
    if not chosen:
        print("Nothing to test: no mutant survived.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder).resolve())
        results = outcomes(chosen, Path(folder).resolve())
        os.chdir(ROOT)
    lines, reached = table(results)
    print("\n".join(lines))
    return 0 if reached or asked.again else 1


if __name__ == "__main__":
    sys.exit(main())
