"""`rcgnn diagnose`: what is wrong with a training run, where its gradient comes from, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rcgnn.diagnosis.foreign import Log

NOT_HEALTHY = 3
"""Exit code where a finding is worse than `info`, or the run is unstable."""


def diagnose(
    run: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="Run folder, health.jsonl, or a training log (JSON lines, CSV).")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Diagnose a training run: findings, where the gradient comes from, ranked causes.

    Exit code 0: healthy, or nothing was trained. 3: a finding of severity warn, act or stop. What a log of another program may hold:
    docs/diagnose.md.
    """
    from rcgnn.cli.console import console
    from rcgnn.cli.examination import as_object, print_examination
    from rcgnn.diagnosis.examine import examine
    from rcgnn.encode import as_json as encoded

    log = _log(run)
    seen = examine(log.records, log.config)
    if as_json:
        typer.echo(encoded(as_object(run, log, seen)).decode("utf-8").rstrip())
    else:
        print_examination(console(), log, seen)
    if seen.verdict in ("doubtful", "unstable"):
        raise SystemExit(NOT_HEALTHY)


def _log(path: Path) -> Log:
    from rcgnn.config import Config
    from rcgnn.diagnosis.foreign import Log, read_log
    from rcgnn.errors import InputError
    from rcgnn.files import check_file
    from rcgnn.rundir import RunDir

    if path.is_dir():
        stored = RunDir.open(path)
        return Log(stored.records(), stored.config())
    check_file(path, InputError)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); give a run folder or a training log.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; expected a training log as JSON lines or CSV.") from error
    log, settings = read_log(text, str(path)), path.with_name("config.yaml")
    if path.name == "health.jsonl" and settings.is_file():
        return Log(log.records, Config.load(settings), log.notes)
    return log
