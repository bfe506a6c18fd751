"""`Store`: checkpoints of a fit in `RUN/checkpoint`, from which `rcgnn fit ... --resume` goes on.

`manifest.json` says what the run was begun with (versions, settings, digest of the data) and which files there are, each with its
SHA-256. A file is written whole before the manifest names it, so whatever kills the process leaves a manifest that is true. Of what is
written again and again, such as the state of training, the one before stays: a damaged newest file costs the work since then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from rcgnn.config import Config
from rcgnn.encode import as_json, dotted, plain
from rcgnn.errors import RunDirError
from rcgnn.formats import ManifestFile, NewerError, checked, parsed
from rcgnn.lock import Holder
from rcgnn.pack import Kinds, pack, size, unpack
from rcgnn.rundir import RunDir
from rcgnn.series import Series, digest
from rcgnn.whole import explained, write_whole

SCHEMA_VERSION = 1
FOLDER, MANIFEST = "checkpoint", "manifest.json"
DECIDING = ("numpy", "scipy", "torch")
"""Packages whose version may change the last digits of a number."""
SHARE = 0.02
"""Checkpoints may take this share of the time so far."""
A_FILE, A_BYTE = 0.02, 5e-9
"""Seconds that writing takes on an ordinary disk: a file with its manifest, and each byte of it."""
MOST = 2**26
"""Bytes of one checkpoint; what is larger is made again: while it is written it is in memory two or three times."""
ANEW = "or begin anew with --overwrite"


class Pace:
    """Whether there is time for one more checkpoint: writing them stays below `SHARE` of the time since the beginning."""

    def __init__(self) -> None:
        self._began, self._spent = time.perf_counter(), 0.0

    def allows(self, count: int = 0) -> bool:
        """True where so many bytes may be written now."""
        return count <= MOST and self._spent + A_FILE + count * A_BYTE <= SHARE * (time.perf_counter() - self._began)

    def took(self, seconds: float) -> None:
        """A checkpoint was written."""
        self._spent += seconds


@dataclass(frozen=True)
class Store:
    """Where checkpoints of one run are. A plain value: it may be handed to another process.

    Attributes:
        folder: `RUN/checkpoint`.
        token: of the process that holds the run folder; who no longer does writes nothing. None: nobody looks.
    """

    folder: Path
    token: str | None = None

    @classmethod
    def begin(cls, run: Path, about: Mapping[str, Any], token: str | None = None) -> Store:
        """An empty store; an older one goes.

        Args:
            run: the run folder.
            about: see `identity`.
            token: of the holder of the folder.
        """
        store = cls(run / FOLDER, token)
        store.remove()
        with explained(store.folder):
            store.folder.mkdir()
        store._write({**about, "files": []})
        return store

    @classmethod
    def reopen(cls, run: Path, about: Mapping[str, Any], token: str | None = None) -> tuple[Store, str | None]:
        """The store of a run that did not finish, and a warning where its newest file is damaged and the one before it stands in.

        Raises:
            RunDirError: the run was begun with something else, or more than the newest file is damaged; nothing was changed.
        """
        store = cls(run / FOLDER, token)
        manifest = store._manifest()
        differs(run, manifest, about)
        bad = [entry["file"] for entry in manifest["files"] if not store._sound(entry)]
        if not bad:
            return store, None
        if bad != [manifest["files"][-1]["file"]]:
            first = store.folder / bad[0]
            raise RunDirError(f"{first}: damaged (its SHA-256 is not the one in {MANIFEST}); put it back from a copy, {ANEW}.")
        store._write({**manifest, "files": manifest["files"][:-1]})
        return store, f"{store.folder / bad[0]} is damaged and left out; the run goes on from the checkpoint before it."

    def missing(self) -> NoReturn:
        """There is a run, and nothing to go on from.

        Raises:
            RunDirError: always.
        """
        raise RunDirError(
            f"{self.folder.parent}: the run did not finish, and there is no checkpoint to go on from ({FOLDER}/{MANIFEST}); "
            "begin anew with --overwrite."
        )

    @property
    def begun(self) -> bool:
        """Whether there is a manifest."""
        return (self.folder / MANIFEST).exists()

    def get(self, name: str, known: Kinds) -> tuple[Any, dict[str, Any]] | None:
        """The newest value of that name, and what was said about it; None where there is none."""
        entry = self._newest(name)
        if entry is None:
            return None
        path = self.folder / entry["file"]
        try:
            return unpack(path.read_bytes(), known), entry["about"]
        except (OSError, ValueError) as error:
            raise RunDirError(f"{path}: cannot be read as a checkpoint ({error}); put it back from a copy, {ANEW}.") from error

    def about(self, name: str) -> dict[str, Any] | None:
        """What was said about the newest value of that name, which is not read; None where there is none."""
        entry = self._newest(name)
        return None if entry is None else dict(entry["about"])

    def _newest(self, name: str) -> dict[str, Any] | None:
        return next((one for one in reversed(self._manifest()["files"]) if one["name"] == name), None)

    def put(self, name: str, content: bytes, about: Mapping[str, Any], *, rolling: bool = False) -> None:
        """Keep one value.

        Args:
            name: of the value.
            content: from `pack`.
            about: plain values that `get` gives back.
            rolling: the one of this name before stays, older ones go; False: none of this name is there yet.

        Raises:
            RunDirError: it cannot be written, or another process holds the run folder by now.
        """
        holder = Holder.of(self.folder.parent)
        if self.token is not None and (holder is None or holder.token != self.token):
            raise RunDirError(f"{self.folder.parent}: another process has taken the folder over; this one ends.")
        with self._alone():
            self._put(name, content, about, rolling=rolling)

    def _put(self, name: str, content: bytes, about: Mapping[str, Any], *, rolling: bool) -> None:
        manifest = self._manifest()
        files, number = manifest["files"], manifest["written"] + 1
        same = [one for one in files if one["name"] == name]
        gone = same[:-1] if rolling else same
        made: dict[str, Any] = {
            "name": name,
            "file": f"{number:06d}-{name}.safetensors",
            "size": len(content),
            "sha256": _sha(content),
            "about": {**about},
        }
        with explained(self.folder / made["file"]):
            write_whole(self.folder / made["file"], content)
        now = [*(one for one in files if one not in gone), made]
        self._write({**manifest, "files": now, "written": number})
        self._tidy(now)

    def remove(self) -> None:
        """The whole folder, its manifest first: what is left of it is then nobody's."""
        with explained(self.folder):
            (self.folder / MANIFEST).unlink(missing_ok=True)
            if self.folder.is_dir():
                shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time: a network may be trained, and kept, beside everything else. Where a system has no locks it is not."""
        try:
            import fcntl
        except ImportError:
            yield
            return
        with explained(self.folder):
            handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _tidy(self, files: Sequence[Mapping[str, Any]]) -> None:
        """What the manifest does not name goes: older states, and what a killed process left."""
        named = {MANIFEST, *(entry["file"] for entry in files)}
        with explained(self.folder):
            for path in self.folder.iterdir():
                if path.name not in named:
                    path.unlink(missing_ok=True)

    def _manifest(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        try:
            return checked(parsed(path.read_text(encoding="utf-8")), ManifestFile).model_dump()
        except NewerError as error:
            raise RunDirError(f"{path}: {error}, {ANEW}.") from error
        except (OSError, ValueError) as error:
            raise RunDirError(f"{path}: damaged, it is no list of checkpoints; put it back from a copy, {ANEW}.") from error

    def _sound(self, entry: Mapping[str, Any]) -> bool:
        try:
            return _sha((self.folder / entry["file"]).read_bytes()) == entry.get("sha256")
        except OSError:
            return False

    def _write(self, manifest: Mapping[str, Any]) -> None:
        with explained(self.folder / MANIFEST):
            write_whole(self.folder / MANIFEST, as_json(manifest))


def keep(store: Store, pace: Pace, name: str, value: Any, known: Kinds, about: Mapping[str, Any], *, rolling: bool = False) -> bool:  # noqa: PLR0913
    """Keep a value where there is time and room for it; whether it was kept."""
    if not pace.allows(size(value)):
        return False
    began = time.perf_counter()
    store.put(name, pack(value, known), about, rolling=rolling)
    pace.took(time.perf_counter() - began)
    return True


def identity(series: Series, config: Config) -> dict[str, Any]:
    """What a run is begun with: all that its answer depends on."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rcgnn": version("rcgnn"),
        "packages": {name: version(name) for name in DECIDING},
        "table": series.source,
        "data": fingerprint(series),
        "config": plain(config.model_dump()),
    }


def fingerprint(series: Series) -> str:
    """sha256 of readings, names, time, regimes and recordings."""
    sha = hashlib.sha256(digest(series).encode())
    sha.update(json.dumps([series.shape, series.names, series.regime_names]).encode())
    for array in (series.time, series.regime, series.recording):
        sha.update(b"none" if array is None else array.tobytes())
    return sha.hexdigest()


def differs(run: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on where the first thing differs.

    Raises:
        RunDirError: it says what, as it was and as it is.
    """
    if before.get("schema_version") != now["schema_version"]:
        raise RunDirError(
            f"{run}: its checkpoint has schema {before.get('schema_version')}, this rcgnn reads {now['schema_version']}; "
            f"go on with the rcgnn it was begun with ({before.get('rcgnn')}), {ANEW}."
        )
    for name, was, here in [("rcgnn", before.get("rcgnn"), now["rcgnn"])] + [
        (name, before.get("packages", {}).get(name), here) for name, here in now["packages"].items()
    ]:
        if was != here:
            raise RunDirError(f"{run}: begun with {name} {was}, here is {name} {here}; go on with that version, {ANEW}.")
    if before.get("data") != now["data"]:
        raise RunDirError(
            f"{run}: begun on other data ({before.get('table')}), the table given now ({now['table']}) has other readings, names, times or "
            f"modes; give that table, {ANEW}."
        )
    setting = first_setting(before.get("config", {}), now["config"])
    if setting is not None:
        name, was, here = setting
        raise RunDirError(f"{run}: begun with {name}={was}, now {name}={here}; give the settings of its config.yaml, {ANEW}.")


def same_answer(run: RunDir, series: Series, config: Config) -> None:
    """Refuse other readings or settings than those of a complete run.

    Raises:
        RunDirError: they are others; says which.
    """
    if run.summary().get("data_digest") != digest(series):
        raise RunDirError(f"{run.path}: complete, but made from other readings than those of {series.source}; give its table, {ANEW}.")
    setting = first_setting(plain(run.config().model_dump()), plain(config.model_dump()))
    if setting is not None:
        name, was, here = setting
        raise RunDirError(f"{run.path}: complete, but made with {name}={was}, now {name}={here}; give its settings, {ANEW}.")


def first_setting(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting that differs, with both values; None where none does.

    Example:
        >>> first_setting({"seed": 1, "train": {"lr": 0.1}}, {"seed": 1, "train": {"lr": 0.2}})
        ('train.lr', 0.1, 0.2)
    """
    was, here = dotted(before), dotted(now)
    return next(((name, was.get(name), here.get(name)) for name in {**was, **here} if was.get(name) != here.get(name)), None)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
