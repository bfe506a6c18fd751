"""Checkpoints on disk: named by the manifest only when whole, the one before kept, and never written by who lost the folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rcgnn import store as module
from rcgnn import whole
from rcgnn.budget import Budget
from rcgnn.config import Config
from rcgnn.errors import RunDirError
from rcgnn.keeper import Keeper
from rcgnn.lock import locked
from rcgnn.pack import pack
from rcgnn.series import Series
from rcgnn.store import FOLDER, MANIFEST, Pace, Store, differs, fingerprint, identity, keep

TABLE = Series.of([[1.0, 2.0], [3.0, float("nan")]], names=["a", "b"])


@pytest.fixture
def about():
    return identity(TABLE, Config())


def files(store: Store) -> list[str]:
    return [entry["file"] for entry in json.loads((store.folder / MANIFEST).read_text(encoding="utf-8"))["files"]]


def test_the_newest_and_the_one_before_stay(tmp_path, about):
    store = Store.begin(tmp_path, about)
    store.put("smooth", pack(0, {}), {})
    for epoch in range(5):
        store.put("training", pack(epoch, {}), {"epoch": epoch}, rolling=True)
    assert files(store) == ["000001-smooth.safetensors", "000005-training.safetensors", "000006-training.safetensors"]
    assert sorted(path.name for path in store.folder.iterdir()) == [*files(store), MANIFEST]
    assert store.get("training", {}) == (4, {"epoch": 4})
    assert store.get("absent", {}) is None
    again, warning = Store.reopen(tmp_path, about)
    assert (again, warning) == (store, None)


@pytest.mark.parametrize("moment", range(4))
def test_killed_while_it_writes_the_old_one_stands(tmp_path, about, monkeypatch, moment):
    """Before and after either rename: of the file, and of the manifest."""
    store = Store.begin(tmp_path, about)
    store.put("training", pack(1, {}), {}, rolling=True)
    real, count = os.fsync, [0]

    def fsync(handle: int) -> None:
        count[0] += 1
        if count[0] == moment + 1:
            raise KeyboardInterrupt
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(whole.os, "fsync", fsync)
        with pytest.raises(KeyboardInterrupt):
            store.put("training", pack(2, {}), {}, rolling=True)
    again, warning = Store.reopen(tmp_path, about)
    assert warning is None
    assert again.get("training", {}) == (2 if moment == 3 else 1, {})
    again.put("training", pack(3, {}), {}, rolling=True)
    assert sorted(path.name for path in store.folder.iterdir()) == [*files(store), MANIFEST], "orphans go with the next one"


def test_who_lost_the_folder_writes_nothing(tmp_path, about):
    with locked(tmp_path) as holder:
        store = Store.begin(tmp_path, about, holder.token)
        store.put("smooth", pack(1, {}), {})
    with pytest.raises(RunDirError, match="another process has taken the folder over"):
        store.put("smooth", pack(2, {}), {})
    with locked(tmp_path), pytest.raises(RunDirError, match="another process has taken the folder over"):
        store.put("smooth", pack(2, {}), {})
    assert store.get("smooth", {}) == (1, {})


def test_what_a_run_is_begun_with_is_compared_in_full(about):
    values = np.array(TABLE.values)
    others = [
        Series.of(values + 1e-12, names=["a", "b"]),
        Series.of(values, names=["b", "a"]),
        Series(values, TABLE.mask, ("a", "b"), time=np.array([0.0, 2.0])),
        Series(values, TABLE.mask, ("a", "b"), regime=np.array([0, 1]), regime_names=("x", "y")),
        Series(values, TABLE.mask, ("a", "b"), recording=np.array([0, 1])),
    ]
    prints = {fingerprint(one) for one in (TABLE, *others)}
    assert len(prints) == 1 + len(others)
    assert fingerprint(Series.of(values, names=["a", "b"], source="elsewhere.csv")) == fingerprint(TABLE)
    run = Path("run")
    differs(run, about, about)
    for change, said in [
        ({"schema_version": 0}, "schema 0"),
        ({"rcgnn": "0.0.1"}, "begun with rcgnn 0.0.1, here is rcgnn"),
        ({"packages": {**about["packages"], "scipy": "1.0"}}, "begun with scipy 1.0"),
        ({"data": "0"}, "other data"),
        ({"config": json.loads(json.dumps({**about["config"], "seed": 5}))}, "begun with seed=5, now seed=1337;"),
    ]:
        with pytest.raises(RunDirError, match=said):
            differs(run, {**about, **change}, about)


def test_the_pace_bounds_the_share_of_writing(tmp_path, about, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    pace, store = Pace(), Store.begin(tmp_path, about)
    now[0] = 0.9
    assert not keep(store, pace, "a", 1, {}, {})
    now[0] = 1.1
    assert not keep(store, pace, "a", np.zeros(10**6), {}, {}), "8 MB take 40 ms more"
    assert keep(store, pace, "a", 1, {}, {})
    pace.took(0.02)
    assert not pace.allows()
    now[0] = 2.1
    assert pace.allows()
    now[0] = 1e9
    assert not pace.allows(module.MOST + 1)


def test_a_kept_result_is_not_made_again_and_counts_its_seconds(tmp_path, about, monkeypatch):
    monkeypatch.setattr(module, "SHARE", 1e9)
    store, clock = Store.begin(tmp_path, about), [0.0]
    first = Budget(100.0, clock=lambda: clock[0])

    def make() -> np.ndarray:
        clock[0] += 30.0
        assert not first.allows("curves", 90.0)
        return np.arange(3.0)

    made = Keeper(store, {}, first).kept("screen", make)
    later = Budget(100.0, clock=lambda: 0.0)
    found = Keeper(store, {}, later).kept("screen", lambda: pytest.fail("made again"))
    assert found.tolist() == made.tolist() == [0.0, 1.0, 2.0]
    assert (later.left(), later.cuts()) == (70.0, ["curves"])
    assert Keeper(None, {}, later).kept("screen", lambda: 7) == 7


def test_an_interruption_is_answered_once_and_only_with_a_store(tmp_path, about):
    def ended() -> None:
        raise KeyboardInterrupt

    budget = Budget()
    budget.stage_now = "measure"
    with pytest.raises(KeyboardInterrupt):
        Keeper(None, {}, budget).unless_interrupted(ended, lambda: 1)
    keeper = Keeper(Store.begin(tmp_path, about), {}, budget)
    assert keeper.unless_interrupted(lambda: 2, lambda: 1) == 2
    assert keeper.interrupted == ""
    assert keeper.unless_interrupted(ended, lambda: 1) == 1
    assert keeper.unless_interrupted(lambda: 2, lambda: 1) == 1, "nothing is begun after it"
    assert keeper.interrupted == "measure"


def test_a_store_is_removed_with_its_manifest_first(tmp_path, about, monkeypatch):
    store = Store.begin(tmp_path, about)
    store.put("a", pack(1, {}), {})

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            store.remove()
    assert not store.begun
    assert (tmp_path / FOLDER).is_dir()
    store.remove()
    store.remove()
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.skipif(os.name != "posix", reason="nobody trains beside the decision there")
def test_two_processes_keep_side_by_side_and_nothing_is_lost(tmp_path, about):
    store = Store.begin(tmp_path, about)
    code = (
        "import sys; from pathlib import Path; from rcgnn.store import Store\n"
        "for n in range(20): Store(Path(sys.argv[1])).put(f'{sys.argv[2]}{n}', b'x', {})"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, str(store.folder), name]) for name in "ab"]
    assert [one.wait(60) for one in others] == [0, 0]
    manifest = json.loads((store.folder / "manifest.json").read_text(encoding="utf-8"))
    assert {one["name"] for one in manifest["files"]} == {f"{name}{n}" for name in "ab" for n in range(20)}
    assert all((store.folder / one["file"]).exists() for one in manifest["files"])
    assert manifest["written"] == 40
