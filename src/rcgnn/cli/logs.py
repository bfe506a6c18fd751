"""The logs of other tools beside a fit (`--log`). One that breaks is told and left; the fit goes on."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rcgnn.cli.console import console, safe

if TYPE_CHECKING:
    from rcgnn.config import Config
    from rcgnn.health import HealthRecord
    from rcgnn.rundir import RunDir
    from rcgnn.tracking import Writer


class Logs:
    """The writers of one run, by name; as a context it closes those that were not ended.

    Args:
        names: rows of `TRACKERS`.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._writers: dict[str, Writer] = {}
        self._step = 0

    def begin(self, run: RunDir, config: Config) -> None:
        """Open the writers, once there is a run folder."""
        from rcgnn.tracking import open_writer

        for name in self.names:
            writer = self._try(name, open_writer, name, run, config)
            if writer is not None:
                self._writers[name] = writer

    def record(self, record: HealthRecord) -> None:
        """One more epoch."""
        from rcgnn.tracking.names import scalars

        self._step += 1
        values = scalars(record) if self._writers else {}
        for name, writer in list(self._writers.items()):
            self._try(name, writer.scalars, values, self._step)

    def end(self, run: RunDir) -> None:
        """The run is complete."""
        from rcgnn.tracking.writers import ARTIFACTS

        verdict, files = str(run.summary().get("verdict", "")), [run.path / name for name in ARTIFACTS]
        for name in list(self._writers):
            self._try(name, self._writers.pop(name).end, verdict, files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in list(self._writers):
            self._try(name, self._writers.pop(name).end, "failed", ())

    def _try(self, name: str, act: Callable[..., Any], *given: object) -> Any:
        try:
            return act(*given)
        except Exception as error:  # noqa: BLE001 - a foreign tool, or its server: no reason to lose a fit
            self._writers.pop(name, None)
            what = " ".join(f"{type(error).__name__}: {error}".split())
            console(stderr=True).print(safe(f"rcgnn: --log {name} is left out from here on ({what[:200]}); the fit goes on."))
            return None
