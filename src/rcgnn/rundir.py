"""`RunDir`: the files of one run, each whole or absent.

A run writes `config.yaml` first, one line of `health.jsonl` an epoch, and its answer last; `summary.json` is the very last
file, so a folder that has it is complete. Equal runs write equal bytes, apart from the seconds in `summary.json` and
`health.jsonl`. Reading a run needs neither torch nor the table it came from.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import stat
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from rcgnn.config import Config
from rcgnn.encode import as_csv, as_json, as_npz, from_npz, plain, utf8
from rcgnn.errors import ConfigError, InputError, RunDirError
from rcgnn.formats import VERSION, File, FindingsFile, NewerError, SummaryFile, checked, parsed, stamped, unstamped, why_not
from rcgnn.graph import EFFECT_COLUMNS, REGIME_COLUMNS, UNDECIDED, CausalGraph
from rcgnn.health import Finding, HealthRecord
from rcgnn.series import Series, digest
from rcgnn.whole import explained, of_no_account, write_whole

SCHEMA_VERSION = VERSION
MOST_BYTES = 2**32
"""Of one file that is read: no run of a table that fits into memory writes more."""
_ANSWER = ("graph.json", "edges.csv", "regimes.csv", "scores.npz", "mechanism.npz", "traces.npz", "findings.json", "model.safetensors")
FILES = ("config.yaml", *_ANSWER, "summary.json", "report.html", "health.jsonl")
"""Everything a run may own in its folder; `overwrite` removes these and nothing else, the marker last."""
CHECKPOINTS = "checkpoint/manifest.json"
"""List of the checkpoints, see `rcgnn.store`; `overwrite` removes it first of all."""
MARKER = "health.jsonl"
"""Made first and removed last: a folder that holds it is a run of ours."""
EDGE_COLUMNS = ("cause", "effect", "lag", "strength", "confidence", "verdict", *EFFECT_COLUMNS)
PACKAGES = ("numpy", "scipy", "torch", "pandas", "pydantic", "safetensors")
VERDICTS = ("links found", "no links found", "undecidable", "refinement failed")
"""The whole run in two words; `refinement failed` may be followed by ': ' and the rule."""


class Answer(Protocol):
    """What a finished fit hands over.

    Attributes:
        graph: the links.
        findings: what is worth knowing about table and run.
        summary: plain facts of the run; `seconds` by stage, and `verdict` where the default rule does not hold.
        state: weights of the network by name; empty where none was trained.
        scaler: how readings were scaled.
        equations: arrays of the mechanism by name; empty where there is none.
    """

    @property
    def graph(self) -> CausalGraph: ...
    @property
    def findings(self) -> Sequence[Finding]: ...
    @property
    def summary(self) -> Mapping[str, Any]: ...
    @property
    def state(self) -> Mapping[str, NDArray[Any]]: ...
    @property
    def scaler(self) -> Mapping[str, Any]: ...
    @property
    def equations(self) -> Mapping[str, NDArray[Any]]: ...


class RunDir:
    """The folder of one run: made by `RunDir(path)`, read through `RunDir.open(path)`.

    Every file but `health.jsonl` is written beside its place, synced and renamed; `health.jsonl` grows by whole lines.

    Args:
        path: folder to make; parents are made too. An empty folder is taken as it is.
        overwrite: replace the run that is in the folder. Files that no run writes stay; a folder with other people's
            files and no run is refused all the same.

    Raises:
        RunDirError: the folder is not empty, is no folder, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = RunDir(Path(folder) / "run")
        ...     run.write_graph(CausalGraph.empty(("pump", "flow"), max_lag=1))
        ...     RunDir.open(run.path).graph().names
        ('pump', 'flow')
    """

    path: Path

    def __init__(self, path: Path | str, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            present = {e.name for e in self.path.iterdir() if not of_no_account(e.name)}
            if present and not overwrite:
                on = " --resume to go on with it," if (self.path / CHECKPOINTS).exists() else ""
                raise RunDirError(
                    f"{self.path}: the folder is not empty; choose another --out, or give{on} --overwrite to replace the run in it."
                )
            if present and MARKER not in present:
                raise RunDirError(
                    f"{self.path}: the folder holds files but no run of rcgnn, so nothing was replaced; choose another --out."
                )
            for name in (CHECKPOINTS, *FILES):
                (self.path / name).unlink(missing_ok=True)
        self.write(MARKER, b"")

    @classmethod
    def open(cls, path: Path | str) -> RunDir:
        """The run in an existing folder, for reading.

        Raises:
            RunDirError: there is no such folder, or no run in it.
        """
        run = cls.__new__(cls)
        run.path = Path(path)
        if not os.path.isdir(run.path):  # noqa: PTH112 - says no where a Path raises
            if os.path.exists(run.path):  # noqa: PTH110
                raise RunDirError(f"{run.path}: is a file; expected the folder that was named after --out.")
            raise RunDirError(f"{run.path}: there is no such run folder; `rcgnn fit TABLE --out` with this name makes one.")
        if not any((run.path / name).exists() for name in (MARKER, "graph.json", "summary.json")):
            raise RunDirError(f"{run.path}: the folder holds no run of rcgnn; give the folder that was named after --out.")
        return run

    def withdraw(self) -> None:
        """Take back a partial answer, and the health record: the run goes on. `summary.json` goes first."""
        with explained(self.path):
            for name in ("summary.json", *_ANSWER, "report.html"):
                (self.path / name).unlink(missing_ok=True)
        self.write(MARKER, b"")

    def nothing_yet(self) -> bool:
        """Whether the run was ended before it wrote more than its settings."""
        return not any((self.path / name).exists() for name in (*_ANSWER, "summary.json")) and not self.records()

    def files(self) -> list[Path]:
        """The files of this run that exist, in the order of `FILES`."""
        return [self.path / name for name in FILES if (self.path / name).is_file()]

    def write_config(self, config: Config) -> None:
        """`config.yaml`: every setting of the run; `Config.load` gives it back."""
        self.write("config.yaml", utf8(config.to_yaml()))

    def append(self, record: HealthRecord) -> None:
        """One more line of `health.jsonl`, on disk when this returns."""
        line = utf8(json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n")
        with explained(self.path / MARKER), (self.path / MARKER).open("ab", buffering=0) as file:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write_answer(self, answer: Answer, series: Series, config: Config) -> None:
        """Every file of a finished fit, `summary.json` last; weights and equations only where there are any."""
        self.write_graph(answer.graph)
        if answer.equations:
            self.write("mechanism.npz", as_npz(stamped(answer.equations)))
        self.write("findings.json", as_json({"schema_version": SCHEMA_VERSION, "findings": list(answer.findings)}))
        if answer.state:
            from safetensors.numpy import save

            self.write("model.safetensors", save({name: np.asarray(answer.state[name], order="C") for name in sorted(answer.state)}))
        self.write("summary.json", as_json(summarise(answer, series, config)))

    def write_graph(self, graph: CausalGraph) -> None:
        """`graph.json`, `edges.csv`, `scores.npz`, and `regimes.csv` for several operating modes: views of one object."""
        self.write("graph.json", utf8(graph.to_json() + "\n"))
        self.write("edges.csv", as_csv(EDGE_COLUMNS, graph.rows()))
        if graph.regimes:
            self.write("regimes.csv", as_csv(REGIME_COLUMNS, graph.regime_rows()))
        self.write("scores.npz", as_npz(stamped(_arrays(graph))))

    def config(self) -> Config:
        """The settings of the run."""
        self._read("config.yaml")
        try:
            return Config.load(self.path / "config.yaml")
        except ConfigError as error:
            raise RunDirError(f"{error} Run `rcgnn fit` again.") from error

    def graph(self) -> CausalGraph:
        """The graph, from `graph.json`."""
        text = self._text("graph.json")
        try:
            return CausalGraph.from_json(text)
        except InputError as error:
            remedy = "" if isinstance(error.__cause__, NewerError) else " Run `rcgnn fit` again."
            raise RunDirError(f"{self.path}: {error}{remedy}") from error

    def records(self) -> list[HealthRecord]:
        """The health record, one entry an epoch. A last line that a killed run left half written is passed over."""
        lines = self._text(MARKER).split("\n")
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                records += [HealthRecord.from_line(line)] if line.strip() else []
            except ValidationError as error:
                if isinstance(why := why_not(error), NewerError):
                    raise self._refused(MARKER, why) from error
                if number < len(lines):
                    raise self._damaged(MARKER, f"line {number} is not a health record") from error
        return records

    def findings(self) -> list[Finding]:
        """The findings, from `findings.json`."""
        try:
            return [Finding.model_validate(entry) for entry in self._object("findings.json", FindingsFile)["findings"]]
        except ValidationError as error:
            raise self._damaged("findings.json", "it holds no list of findings") from error

    def summary(self) -> dict[str, Any]:
        """The facts of the run, from `summary.json`."""
        return self._object("summary.json", SummaryFile)

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights of the network by name; empty where none was trained."""
        if not (self.path / "model.safetensors").exists():
            return {}
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return dict(load(self._read("model.safetensors")))
        except SafetensorError as error:
            raise self._damaged("model.safetensors", str(error)) from error

    def equations(self) -> dict[str, NDArray[Any]]:
        """Arrays of the mechanism by name.

        Raises:
            RunDirError: the run has none, or the file is damaged.
        """
        self._read("summary.json")
        if not (self.path / "mechanism.npz").exists():
            raise RunDirError(
                f"{self.path}: the run holds no equations (mechanism.npz): it was made by an older version, by a recipe of the origin, or "
                "fewer than two sensors took part; run `rcgnn fit` again."
            )
        return self._npz("mechanism.npz")

    def traces(self) -> dict[str, NDArray[Any]]:
        """Arrays of `traces.npz`; empty where nobody wrote any."""
        return self._npz("traces.npz") if (self.path / "traces.npz").exists() else {}

    def _npz(self, name: str) -> dict[str, NDArray[Any]]:
        content = self._read(name)
        try:
            return unstamped(name, from_npz(content))
        except ValueError as error:
            raise self._refused(name, error) from error

    def _object(self, name: str, model: type[File]) -> dict[str, Any]:
        text = self._text(name)
        try:
            raw: dict[str, Any] = parsed(text)
            checked(raw, model)
        except ValueError as error:
            raise self._refused(name, error) from error
        return raw

    def _text(self, name: str) -> str:
        try:
            return self._read(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._damaged(name, "it is not UTF-8 text") from error

    def _read(self, name: str) -> bytes:
        try:
            state = (self.path / name).stat()
            if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_BYTES:
                raise self._damaged(name, f"expected a file of at most {MOST_BYTES:,} bytes")
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise RunDirError(f"{self.path}: {name} is missing, so the run did not finish; run `rcgnn fit` again.") from error
        except OSError as error:
            raise RunDirError(f"{self.path / name}: cannot be read ({error.strerror}).") from error

    def _damaged(self, name: str, why: str) -> RunDirError:
        return RunDirError(f"{self.path / name}: damaged, {why}. Run `rcgnn fit` again.")

    def _refused(self, name: str, why: ValueError) -> RunDirError:
        return RunDirError(f"{self.path / name}: {why}.") if isinstance(why, NewerError) else self._damaged(name, str(why))

    def write(self, name: str, content: bytes) -> None:
        """The whole file or none of it: written beside its place, synced, renamed."""
        with explained(self.path / name):
            write_whole(self.path / name, content)


def summarise(answer: Answer, series: Series, config: Config) -> dict[str, Any]:
    """The content of `summary.json`: the answer in figures, and what is needed to have it again.

    Facts that the fit itself states (`answer.summary`) stand beside these; on a common name these win, except `verdict`,
    which otherwise is `undecidable` where every pair that takes part is open.
    """
    graph = answer.graph
    taking_part = len(graph.names) - len({*graph.quarantined, *graph.aliases})
    all_open = (graph.verdict == UNDECIDED).any(axis=0).sum() == taking_part * (taking_part - 1)
    otherwise = VERDICTS[2] if all_open else VERDICTS[1]
    facts = {
        "schema_version": SCHEMA_VERSION,
        "verdict": answer.summary.get("verdict") or (VERDICTS[0] if graph.links() else otherwise),
        "conclusion": graph.conclusion,
        "links": len(graph.links()),
        "undecided": len(graph.undecided()),
        "table": series.source,
        "rows": series.shape[0],
        "sensors": series.shape[1],
        "data_digest": digest(series),
        "recipe": config.recipe,
        "seed": config.seed,
        "version": version("rcgnn"),
        "packages": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "seconds": answer.summary.get("seconds", {}),
        "scaler": answer.scaler,
    }
    return facts | {name: answer.summary[name] for name in sorted(answer.summary) if name not in facts}


def _arrays(graph: CausalGraph) -> dict[str, NDArray[Any]]:
    numbers = {name: getattr(graph, name) for name in ("score", "verdict", "strength", "confidence")}
    return {"names": np.array(graph.names, dtype=np.str_), **numbers, **_effects(graph)}


def _effects(graph: CausalGraph) -> dict[str, NDArray[Any]]:
    """[K+1, N, N] every number of `Effect`, 0 where `interval` is False."""
    has = np.zeros(graph.score.shape, bool)
    numbers = {name: np.zeros(has.shape) for name in EFFECT_COLUMNS}
    for key, effect in graph.effects.items():
        has[key] = True
        for name, array in numbers.items():
            array[key] = getattr(effect, name)
    return {"interval": has, **numbers}
