"""Nested values as the bytes of one safetensors file, and back; no pickle: nothing but the classes that are handed in is ever made.

Numbers, text, lists, tuples, dicts and frozen sets stand in a tree of JSON, itself one of the file's arrays beside the others. An array
comes back with the same order of its axes in memory, so that sums over it are the same to the last bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

Kinds = Mapping[str, type]
"""Dataclasses and pydantic models by name: what may be packed, and made again."""
TREE = "tree"


def kinds(*classes: type) -> dict[str, type]:
    """A table of classes by their names."""
    return {one.__name__: one for one in classes}


def pack(value: Any, known: Kinds) -> bytes:
    """The bytes of a file.

    Raises:
        TypeError: something in it is no plain value, array, tensor, or instance of a class in `known`.

    Example:
        >>> unpack(pack({"a": (1, np.arange(2.0)), 3: float("inf")}, {}), {})
        {'a': (1, array([0., 1.])), 3: inf}
    """
    from safetensors.numpy import save

    packer = _Packer(known)
    text = json.dumps(packer.tree(value), ensure_ascii=True, allow_nan=False)
    return save(packer.arrays | {TREE: np.frombuffer(text.encode(), np.uint8)})


def size(value: Any) -> int:
    """About how many bytes `pack` would make of a value, without making them; an array in several places counts every time.

    Example:
        >>> size({"a": (np.zeros(3), [np.zeros(2)])})
        40
    """
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if isinstance(value, Mapping):
        return sum(size(one) for one in value.values())
    if isinstance(value, list | tuple):
        return sum(size(one) for one in value)
    return sum(size(getattr(value, one.name)) for one in fields(value) if one.init) if is_dataclass(value) else 0


def unpack(content: bytes, known: Kinds) -> Any:
    """Inverse of `pack`.

    Raises:
        ValueError: these are not the bytes of such a file, or a class in it is not in `known`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = {name: np.array(array) for name, array in load(content).items()}
        return _Unpacker(arrays, known).value(json.loads(arrays[TREE].tobytes()))
    except (SafetensorError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not a file of packed values ({type(error).__name__}: {error})") from error


class _Packer:
    def __init__(self, known: Kinds) -> None:
        self.names = {kind: name for name, kind in known.items()}
        self.arrays: dict[str, NDArray[Any]] = {}
        self._seen: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._writers: list[tuple[type, Callable[[Any], Any]]] = [
            (float, lambda value: {"float": repr(value)}),
            (tuple, lambda value: {"tuple": [self.tree(one) for one in value]}),
            (frozenset, lambda value: {"set": [self.tree(one) for one in sorted(value)]}),
            (Mapping, lambda value: {"dict": self._pairs(value.items())}),
            (np.ndarray, self._array),
        ]

    def tree(self, value: Any) -> Any:
        if isinstance(value, np.generic):
            return {"scalar": [value.dtype.name, repr(value.item())]}
        if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
            return value
        if isinstance(value, list):
            return [self.tree(one) for one in value]
        write = next((write for kind, write in self._writers if isinstance(value, kind)), self._object)
        return write(value)

    def _object(self, value: Any) -> Any:
        if hasattr(value, "detach"):
            return self._array(value)
        name = self.names.get(type(value))
        if name is None:
            raise TypeError(f"{type(value).__name__} is not among what can be packed: {', '.join(self.names.values())}")
        if isinstance(value, BaseModel):
            return {"model": name, "of": self._pairs(value.model_dump().items())}
        if not is_dataclass(value):
            raise TypeError(f"{name} is neither a dataclass nor a model")
        return {"made": name, "of": self._pairs((one.name, getattr(value, one.name)) for one in fields(value) if one.init)}

    def _pairs(self, items: Iterable[tuple[Any, Any]]) -> list[list[Any]]:
        return [[self.tree(key), self.tree(one)] for key, one in items]

    def _array(self, value: Any) -> dict[str, Any]:
        """An array that stands in several places is kept once; `value` itself is held so that its number is not given again."""
        if id(value) not in self._seen:
            kind = "array" if isinstance(value, np.ndarray) else "tensor"
            array = value if kind == "array" else value.detach().cpu().contiguous().numpy()
            axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
            name = str(len(self.arrays))
            self.arrays[name] = np.ascontiguousarray(array.transpose(axes)) if array.ndim else array.copy()
            turned = {} if axes == sorted(axes) else {"axes": axes}
            fixed = {"fixed": _still(array)} if kind == "array" and not array.flags.writeable else {}
            self._seen[id(value)] = value, {kind: name} | turned | fixed
        return self._seen[id(value)][1]


class _Unpacker:
    def __init__(self, arrays: Mapping[str, NDArray[Any]], known: Kinds) -> None:
        self.arrays, self.known = arrays, known
        self._made: dict[str, Any] = {}
        self._of: dict[str, Callable[[dict[str, Any]], Any]] = {
            "float": lambda tree: float(tree["float"]),
            "tuple": lambda tree: tuple(self.value(one) for one in tree["tuple"]),
            "set": lambda tree: frozenset(self.value(one) for one in tree["set"]),
            "dict": lambda tree: self._pairs(tree["dict"]),
            "array": lambda tree: self._once(tree["array"], tree, self._array),
            "tensor": lambda tree: self._once(tree["tensor"], tree, self._tensor),
            "scalar": lambda tree: _scalar(*tree["scalar"]),
            "made": lambda tree: self.known[tree["made"]](**self._pairs(tree["of"])),
            "model": lambda tree: self._model(self.known[tree["model"]], self._pairs(tree["of"])),
        }

    def value(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.value(one) for one in tree]
        return self._of[next(iter(tree))](tree) if isinstance(tree, dict) else tree

    def _pairs(self, pairs: list[list[Any]]) -> dict[Any, Any]:
        return {self.value(key): self.value(one) for key, one in pairs}

    def _once(self, name: str, tree: dict[str, Any], make: Callable[[NDArray[Any], dict[str, Any]], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make(self.arrays[name], tree)
        return self._made[name]

    @staticmethod
    def _array(array: NDArray[Any], tree: dict[str, Any]) -> NDArray[Any]:
        if tree.get("fixed"):
            array.setflags(write=False)
        found = array.transpose(np.argsort(tree["axes"])) if "axes" in tree else array.view()
        if "fixed" in tree:
            found.setflags(write=False)
        return found

    @staticmethod
    def _tensor(array: NDArray[Any], _: dict[str, Any]) -> Any:
        import torch

        return torch.from_numpy(array)

    @staticmethod
    def _model(kind: type, values: dict[Any, Any]) -> Any:
        if not issubclass(kind, BaseModel):
            raise TypeError(f"{kind.__name__} is no model")
        return kind.model_validate(values)


def _scalar(kind: str, said: str) -> Any:
    """Of NumPy: one number or truth value, as `repr` writes it."""
    dtype = np.dtype(kind)
    return dtype.type(said == "True" if dtype.kind == "b" else int(said) if dtype.kind in "iu" else float(said))


def _still(array: NDArray[Any]) -> bool:
    """True where nobody can write the array through any array that it is a view of."""
    return not array.flags.writeable and (not isinstance(array.base, np.ndarray) or _still(array.base))
