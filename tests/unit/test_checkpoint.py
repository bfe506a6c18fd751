import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from rcgnn.errors import RunDirError
from rcgnn.train import checkpoint
from rcgnn.train.checkpoint import load_checkpoint, save_checkpoint, sidecar

STATE = {"a": torch.arange(6.0).reshape(2, 3), "shared": torch.tensor([True, False]), "t": torch.arange(6).reshape(2, 3).T}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run" / "network.safetensors"


def test_round_trip_bit_for_bit(path):
    save_checkpoint(path, STATE, {"epoch": 4, "names": ["pump"]})
    state, meta = load_checkpoint(path)
    assert meta == {"epoch": 4, "names": ["pump"]}
    assert set(state) == set(STATE)
    assert all(torch.equal(state[name], STATE[name]) and state[name].dtype == STATE[name].dtype for name in STATE)


def test_nothing_else_is_left_in_the_folder(path):
    save_checkpoint(path, STATE, {})
    save_checkpoint(path, STATE, {})
    assert sorted(p.name for p in path.parent.iterdir()) == ["network.json", "network.safetensors"]


def test_disk_full_keeps_the_old_pair(path, monkeypatch):
    save_checkpoint(path, STATE, {"epoch": 1})

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, {"a": torch.zeros(1)}, {"epoch": 2})
    monkeypatch.undo()
    assert load_checkpoint(path)[1] == {"epoch": 1}
    assert len(list(path.parent.iterdir())) == 2


def test_killed_between_the_two_renames_is_noticed(path, monkeypatch):
    save_checkpoint(path, STATE, {"epoch": 1})
    real, seen = checkpoint._replace, []

    def once(target, content):
        if seen:
            raise KeyboardInterrupt
        seen.append(target)
        real(target, content)

    monkeypatch.setattr(checkpoint, "_replace", once)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"a": torch.zeros(1)}, {"epoch": 2})
    monkeypatch.undo()
    with pytest.raises(RunDirError, match="damaged or belong to another"):
        load_checkpoint(path)


def test_cut_short(path):
    save_checkpoint(path, STATE, {})
    os.truncate(path, 20)
    with pytest.raises(RunDirError, match="damaged"):
        load_checkpoint(path)


def test_missing_and_foreign_files(path):
    with pytest.raises(RunDirError, match="no such file"):
        load_checkpoint(path)
    save_checkpoint(path, STATE, {})
    sidecar(path).write_text("[]")
    with pytest.raises(RunDirError, match="not the sidecar"):
        load_checkpoint(path)


def test_pickle_is_never_opened(path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a checkpoint ran code",))

    save_checkpoint(path, STATE, {})
    content = pickle.dumps(Trap())
    path.write_bytes(content)
    card = json.loads(sidecar(path).read_text())
    card["sha256"] = checkpoint.hashlib.sha256(content).hexdigest()
    sidecar(path).write_text(json.dumps(card))
    with pytest.raises(RunDirError, match="not a safetensors file"):
        load_checkpoint(path)
