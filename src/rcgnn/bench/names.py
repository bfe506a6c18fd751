"""A wrong name, and the nearest right one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that helps, with the space before it.

    Example:
        >>> did_you_mean("liner", ["linear", "lorenz96"])
        " Did you mean 'linear'?"
    """
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(names)}."
