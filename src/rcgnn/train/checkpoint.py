"""Network weights on disk: safetensors plus a JSON sidecar. Never pickle: loading a checkpoint cannot run code."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from rcgnn.errors import RunDirError
from rcgnn.formats import VERSION, CheckpointFile, NewerError, checked, parsed

FORMAT = VERSION


def sidecar(path: Path) -> Path:
    """The JSON file beside the weights."""
    return path.with_suffix(".json")


def save_checkpoint(path: Path, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write `path` (weights) and its sidecar, each to a temporary file, flushed to disk, then renamed.

    A reader sees the old pair or the new one. Should the machine stop between the two renames, the digest in the
    sidecar disagrees with the weights and `load_checkpoint` says so.

    Args:
        path: file that ends in .safetensors.
        state: tensors by name.
        meta: JSON values to keep beside them, for example config and epoch.

    Raises:
        OSError: the disk is full or read-only; nothing that was there before is lost.

    Example:
        >>> import tempfile, torch
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_checkpoint(folder / "network.safetensors", {"w": torch.ones(2)}, {"epoch": 3})
        >>> state, meta = load_checkpoint(folder / "network.safetensors")
        >>> state["w"].tolist(), meta
        ([1.0, 1.0], {'epoch': 3})
    """
    weights = save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()})
    card = {"format": FORMAT, "sha256": hashlib.sha256(weights).hexdigest(), "meta": dict(meta)}
    text = json.dumps(card, ensure_ascii=False, allow_nan=False, indent=1).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, weights)
    _replace(sidecar(path), text)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name and the values kept beside them.

    Raises:
        RunDirError: a file is missing, cut short, or the two do not belong together.
    """
    try:
        weights = path.read_bytes()
        card = checked(parsed(sidecar(path).read_text(encoding="utf-8")), CheckpointFile)
    except NewerError as error:
        raise RunDirError(f"{sidecar(path)}: {error}.") from error
    except FileNotFoundError as error:
        raise RunDirError(f"{error.filename}: no such file; a checkpoint is a .safetensors file and a .json file beside it.") from error
    except (OSError, ValueError) as error:
        raise RunDirError(f"{sidecar(path)}: not the sidecar of a checkpoint ({error}); train again.") from error
    if hashlib.sha256(weights).hexdigest() != card.sha256:
        raise RunDirError(f"{path}: the weights are damaged or belong to another sidecar; train again.")
    try:
        return load(weights), card.meta
    except SafetensorError as error:
        raise RunDirError(f"{path}: not a safetensors file ({error}); train again.") from error


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable where the system lets a folder be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
