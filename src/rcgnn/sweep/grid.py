"""The grid: `NAME=A,B,C` settings, all their combinations, and a readable folder name for each."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcgnn.config import Config, check_name
from rcgnn.data.resample import check
from rcgnn.errors import ConfigError, InputError
from rcgnn.prior import Prior
from rcgnn.series import Series

MOST = 500
"""Trials that are run without being asked for."""
LONGEST_NAME = 120
"""Characters of a folder name."""
RANGE = re.compile(r"(?:(?P<scale>log|lin):)?(?P<low>[^:,\[{]+?)\.\.(?P<high>[^,]+)")
"""`LOW..HIGH`, which a search draws from and a grid cannot."""
SCIENTIFIC = 1e-3
"""Numbers below this are shown as 1e-4."""


@dataclass(frozen=True)
class Trial:
    """One combination.

    Attributes:
        name: of its folder.
        values: the value of every swept setting, as it is shown.
        config: all settings.
    """

    name: str
    values: tuple[str, ...]
    config: Config


@dataclass(frozen=True)
class Grid:
    """What is swept.

    Attributes:
        swept: names of the settings with several values.
        values: of each of them, as they are shown, in the order given.
        trials: one a combination, the last setting moving fastest.
    """

    swept: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    trials: tuple[Trial, ...]


def make_grid(
    settings: Sequence[str], *, config: Path | None = None, fixed: Sequence[str] = (), prior: Path | None = None, most: int = MOST
) -> Grid:
    """Every combination of the settings' values; each is checked as `rcgnn fit` checks it.

    Args:
        settings: `section.name=value`, or with several values, separated by commas. A comma within brackets or quotes
            does not separate, so `[a -> b, c -> d]` is one value.
        config: file of settings to start from.
        fixed: settings between the file and these.
        prior: file of prior knowledge.
        most: trials at most.

    Raises:
        ConfigError: a setting that does not exist or is out of its range.
        InputError: no setting has several values, one is given twice, or there are too many combinations.

    Example:
        >>> grid = make_grid(["losses.sparse=1e-4,1e-5", "seed=1,2", "train.epochs=4"])
        >>> grid.swept, [trial.name for trial in grid.trials]
        (('losses.sparse', 'seed'), ['sparse=1e-4_seed=1', 'sparse=1e-4_seed=2', 'sparse=1e-5_seed=1', 'sparse=1e-5_seed=2'])
    """
    given = by_name(settings)
    ranges = [f"{name}={text}" for name, texts in given.items() for text in texts if RANGE.fullmatch(text)]
    if ranges:
        raise InputError(f"--set {ranges[0]}: a grid has no ranges; add --search random or --search tpe, or name the values.")
    swept = {name: texts for name, texts in given.items() if len(texts) > 1}
    if not swept:
        raise InputError("sweep: no setting has several values; give at least one, for example --set losses.sparse=1e-4,1e-5.")
    count = math.prod(len(texts) for texts in swept.values())
    if count > most:
        raise InputError(f"sweep: {count:,} combinations are more than {most:,}; leave values out, or allow them with --most {count}.")
    alone = [f"{name}={texts[0]}" for name, texts in given.items() if len(texts) == 1]
    trials = []
    for texts in itertools.product(*swept.values()):
        moving = [f"{name}={text}" for name, text in zip(swept, texts, strict=True)]
        whole = Config.assemble(config, [*fixed, *alone, *moving], prior)
        values = tuple(shown(value_of(whole, name)) for name in swept)
        trials.append(Trial(folder_name(tuple(swept), values), values, whole))
    columns = tuple(tuple(dict.fromkeys(trial.values[i] for trial in trials)) for i in range(len(swept)))
    for (name, given_values), column in zip(swept.items(), columns, strict=True):
        if len(column) < len(given_values):
            raise InputError(f"--set {name}={','.join(given_values)}: the same value is given twice; give each once.")
    return Grid(tuple(swept), columns, tuple(trials))


def by_name(settings: Sequence[str]) -> dict[str, list[str]]:
    """The values of each setting, as they are written, by its name.

    Raises:
        ConfigError: a setting that does not exist.
        InputError: one that is given twice.
    """
    given: dict[str, list[str]] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ConfigError(
                f"--set {setting}: expected section.name=value or section.name=A,B, for example --set losses.sparse=1e-4,1e-5."
            )
        check_name(name.split("."), f"--set {setting}")
        if name in given:
            raise InputError(f"--set {setting}: {name} is set twice; give all its values at once, separated by commas.")
        given[name] = split_values(text, f"--set {setting}")
    return given


def split_values(text: str, where: str) -> list[str]:
    """Values between commas; a comma within brackets or quotes does not separate.

    Raises:
        InputError: nothing between two commas, while there are several values.

    Example:
        >>> split_values("1e-4, 1e-5", "x"), split_values("[a -> b, c -> d]", "x"), split_values("'a, b',c", "x")
        (['1e-4', '1e-5'], ['[a -> b, c -> d]'], ["'a, b'", 'c'])
    """
    values, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "[{") - (character in "]}")
        if character == "," and not quote and depth == 0:
            values.append("")
        else:
            values[-1] += character
    found = [value.strip() for value in values]
    if len(found) > 1 and "" in found:
        raise InputError(f"{where}: there is nothing between two commas; write values as A,B,C.")
    return found


def value_of(config: Config, name: str) -> Any:
    """The value of a setting by its dotted name."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def shown(value: Any) -> str:
    """A value as text, equal for equal values.

    Example:
        >>> shown(1e-4), shown(0.001), shown(12), shown(2.5e-6), shown(True), shown(None)
        ('1e-4', '0.001', '12', '2.5e-6', 'true', 'empty')
    """
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    if isinstance(value, float) and 0 < abs(value) < SCIENTIFIC:
        mantissa, exponent = f"{value:.14e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def folder_name(names: Sequence[str], values: Sequence[str]) -> str:
    """`sparse=1e-4_acyclic=1e-5`; a digest is added where that is too long or a value has other characters than a file name may.

    Example:
        >>> folder_name(["losses.sparse", "train.lr"], ["1e-4", "0.001"])
        'sparse=1e-4_lr=0.001'
    """
    short = [name.rpartition(".")[2] for name in names]
    labels = [last if short.count(last) == 1 else full for last, full in zip(short, names, strict=True)]
    whole = "_".join(f"{label}={value}" for label, value in zip(labels, values, strict=True))
    clean = re.sub(r"[^\w.=+-]+", "-", whole, flags=re.ASCII)
    if clean == whole and len(clean) <= LONGEST_NAME:
        return clean
    return f"{clean[:LONGEST_NAME]}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def fitting(series: Series, trials: Sequence[Trial]) -> Series:
    """The table, if the settings of all trials fit it.

    Raises:
        ConfigError: prior knowledge of a trial does not.
        TableError: a trial resamples, and the table has no time.
    """
    for trial in trials:
        Prior.given(trial.config, series.names)
        check(series, trial.config.data.resample)
    return series
