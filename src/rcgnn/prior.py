"""Prior knowledge: which links cannot be, which must be, and when. Read from `config.PriorConfig`, checked against the sensors.

One notation for a link: `cause -> effect` (any lag), `cause -> effect @ 2`, `cause -> effect @ 0..3`. Both names may be shell
wildcards (`fnmatch`, upper and lower case differ). A word that is exactly a sensor's name is that sensor, never a wildcard. A
word in double quotes is always a name (a double quote inside is written twice): so a sensor called `in -> out` can be used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import numpy as np
from pydantic import ConfigDict

from rcgnn.config import Config, PriorConfig, ScreenConfig
from rcgnn.delay import LONGEST
from rcgnn.errors import ConfigError, did_you_mean, shown
from rcgnn.series import BoolArray, IntArray

_WORD = r'"(?:[^"]|"")*"|.+?'
_LINK = re.compile(rf"\s*(?P<cause>{_WORD})\s*->\s*(?P<effect>{_WORD})\s*", re.DOTALL)
_LAG = re.compile(r"(?P<link>.*)@(?P<lags>[^@\"]*)", re.DOTALL)
_LAGS = re.compile(r"\s*(\d{1,9})\s*(?:\.\.\s*(\d{1,9})\s*)?")
SAID, LONGEST_TEXT = 120, 2_000
"""Characters of a statement: that a message repeats, and at most."""


@dataclass(frozen=True)
class Required:
    """One link that must be in the answer: at one lag at least of `lags`, which are permitted. `text` is what was written."""

    cause: int
    effect: int
    lags: tuple[int, ...]
    text: str


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known before the fit, free of contradictions.

    Attributes:
        names: N sensors.
        permitted: [K+1, N, N] True where sensor i at t-k may drive sensor j at t; the diagonal is always True.
        required: links that must be in the answer.

    Example:
        >>> known = Prior.of(PriorConfig(forbid=["flow -> *"], require=["pump -> flow @ 1..2"]), ("pump", "flow"), max_lag=2)
        >>> known.permitted[:, 1, 0]
        array([False, False, False])
        >>> known.required[0].lags
        (1, 2)
    """

    names: tuple[str, ...]
    permitted: BoolArray
    required: tuple[Required, ...]

    @classmethod
    def given(cls, config: Config, names: Sequence[str]) -> Prior | None:
        """The prior knowledge in a config; None where there is none. A K still to be chosen may become any number.

        Raises:
            ConfigError: as `of`; or the recipe is one of the origin's, which know no prior knowledge.
        """
        if not any(config.prior.model_dump().values()):
            return None
        if config.recipe != "auto":
            raise ConfigError(f"prior: the recipe {config.recipe!r} cannot use prior knowledge; leave it out, or use the recipe 'auto'.")
        max_lag = LONGEST if config.data.max_lag == "auto" else config.data.max_lag
        return cls.of(config.prior, names, max_lag, instantaneous=config.screen.instantaneous)

    @classmethod
    def of(cls, config: PriorConfig, names: Sequence[str], max_lag: int, *, instantaneous: bool = True) -> Prior:
        """Check what was written against the sensors and against itself.

        Args:
            config: what was written.
            names: N sensors of the table.
            max_lag: K.
            instantaneous: whether links within one step are looked for at all.

        Raises:
            ConfigError: a word that is no sensor, a lag outside 0..K, malformed text, a link of a sensor to itself, or two
                statements that contradict each other (both are named as they were written).
        """
        said = _Statements(tuple(names), max_lag)
        bans = said.bans(config)
        if not instantaneous:
            everything = tuple(range(len(names)))
            bans.append(_Said("screen.instantaneous: false", everything, everything, (0,)))
        permitted = np.ones((max_lag + 1, len(names), len(names)), bool)
        for ban in bans:
            permitted[np.ix_(ban.lags, ban.causes, ban.effects)] = False
        permitted[:, np.arange(len(names)), np.arange(len(names))] = True
        required = _narrowed(said.requirements(config.require), permitted, bans, said.names)
        _acyclic(required, said.names)
        for one in required:
            if one.lags == (0,):
                permitted[0, one.effect, one.cause] = False
        return cls(said.names, permitted, tuple(replace(r, lags=_left(r, permitted)) for r in required))

    def taking_part(self, active: IntArray) -> Prior:
        """The same knowledge about the sensors `active` alone, renumbered."""
        place = {int(sensor): number for number, sensor in enumerate(active)}
        kept = (r for r in self.required if r.cause in place and r.effect in place)
        return Prior(
            tuple(self.names[i] for i in active),
            self.permitted[:, active][:, :, active],
            tuple(replace(r, cause=place[r.cause], effect=place[r.effect]) for r in kept),
        )

    def features(self, lag: IntArray, owner: IntArray, target: int) -> BoolArray:
        """[P] True for the features that may enter the model of `target`: all sensors [P, 2] they are made of may drive it.

        A lag beyond K, which only the smoother has, counts as K.
        """
        k = np.minimum(lag, len(self.permitted) - 1)
        inside = (owner >= 0) & (owner < len(self.names))
        known = np.where(inside, owner, target)
        return np.asarray(self.permitted[k[:, None], known, target].all(axis=1))


def least_reach(config: PriorConfig, names: Sequence[str]) -> int:
    """The shortest K at which everything written has a meaning: the longest delay named, one more where it is forbidden; 0 where none is.

    Example:
        >>> least_reach(PriorConfig(lags=["pump -> flow @ 4..6"], forbid=["flow -> pump"]), ("pump", "flow"))
        6
    """
    read = _Statements(tuple(names), LONGEST)
    asked = [read.link("prior", text) for text in (*config.require, *config.lags)]
    banned = [read.link("prior", text) for text in config.forbid]
    named = [one.lags[-1] + beyond for said, beyond in ((asked, 0), (banned, 1)) for one in said if len(one.lags) <= LONGEST]
    return min(max(named, default=0), LONGEST)


class Informed(ScreenConfig):
    """Settings of the screen together with what is known: so it reaches every copy and piece of the table that is screened."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    prior: Prior

    @classmethod
    def of(cls, config: ScreenConfig, prior: Prior) -> Informed:
        """The same settings, and what is known."""
        return cls(**config.model_dump(), prior=prior)


def known_to(config: ScreenConfig) -> Prior | None:
    """What the settings of a screen carry along; None where nothing is known."""
    return config.prior if isinstance(config, Informed) else None


def nothing_required(config: ScreenConfig) -> ScreenConfig:
    """The same settings for a table in which nothing drives anything: what is forbidden stays so, nothing is required."""
    prior = known_to(config)
    return config if prior is None else config.model_copy(update={"prior": replace(prior, required=())})


@dataclass(frozen=True)
class _Said:
    """One statement as it was written, and the links (causes x effects x lags) it is about."""

    text: str
    causes: tuple[int, ...]
    effects: tuple[int, ...]
    lags: tuple[int, ...]

    def about(self, cause: int, effect: int, lag: int | None = None) -> bool:
        return cause in self.causes and effect in self.effects and (lag is None or lag in self.lags)


@dataclass(frozen=True)
class _Statements:
    """Reads statements about the sensors `names` with lags 0..`max_lag`."""

    names: tuple[str, ...]
    max_lag: int

    def bans(self, config: PriorConfig) -> list[_Said]:
        """All that is forbidden, by forbid, exogenous, tiers and lags."""
        bans = [self.link("prior.forbid", text) for text in config.forbid]
        every, lags = tuple(range(len(self.names))), tuple(range(self.max_lag + 1))
        bans += [
            _Said(f"prior.exogenous {shown(w, SAID)}", every, self.word(w, f"prior.exogenous: {shown(w, SAID)}"), lags)
            for w in config.exogenous
        ]
        return [*bans, *self._tiers(config.tiers, lags), *self._known_lags(config.lags)]

    def requirements(self, texts: Iterable[str]) -> list[Required]:
        """One entry a link; what is written twice counts once."""
        found: dict[tuple[int, int, tuple[int, ...]], Required] = {}
        for text in texts:
            said = self.link("prior.require", text)
            for i in said.causes:
                for j in said.effects:
                    if i != j:
                        found.setdefault((i, j, said.lags), Required(i, j, said.lags, text))
        return list(found.values())

    def _tiers(self, tiers: Sequence[Sequence[str]], lags: tuple[int, ...]) -> list[_Said]:
        groups = [tuple(i for w in tier for i in self.word(w, f"prior.tiers: {shown(w, SAID)}")) for tier in tiers]
        for later in range(len(groups)):
            for earlier in range(later):
                both = sorted(set(groups[later]) & set(groups[earlier]))
                if both:
                    places = f"{list(tiers[earlier])} and {list(tiers[later])}"
                    raise ConfigError(f"prior.tiers: {self.names[both[0]]!r} is in two tiers, {places}; leave it in one.")
        return [
            _Said(f"prior.tiers {list(tiers[earlier])} before {list(tiers[later])}", groups[later], groups[earlier], lags)
            for later in range(len(groups))
            for earlier in range(later)
        ]

    def _known_lags(self, texts: Sequence[str]) -> list[_Said]:
        """Bans on all other lags."""
        said = [self.link("prior.lags", text, with_lags=True) for text in texts]
        for number, one in enumerate(said):
            for other in said[:number]:
                if not set(one.lags) & set(other.lags):
                    for i in sorted(set(one.causes) & set(other.causes)):
                        for j in sorted(set(one.effects) & set(other.effects) - {i}):
                            raise _contradiction(other.text, one.text, self.names[i], self.names[j])
        return [replace(s, lags=tuple(k for k in range(self.max_lag + 1) if k not in s.lags)) for s in said]

    def link(self, section: str, text: str, *, with_lags: bool = False) -> _Said:
        """One link as it was written."""
        where = f"{section}: {shown(text, SAID)}"
        if len(text) > LONGEST_TEXT:
            raise ConfigError(f"{where} is not a link: expected at most {LONGEST_TEXT:,} characters, got {len(text):,}.")
        text = text.strip()
        whole = _LINK.fullmatch(text)
        effect = whole["effect"] if whole else ""
        said = None if effect in self.names else _LAG.fullmatch(text)
        parts = _LINK.fullmatch(said["link"]) if said else whole
        if parts is None or any("->" in parts[end] and not parts[end].startswith('"') for end in ("cause", "effect")):
            raise ConfigError(
                f"{where} is not a link; write 'cause -> effect', 'cause -> effect @ 2' or 'cause -> effect @ 0..3', with double quotes "
                "round a name that contains '->' or '@'."
            )
        if with_lags and not said:
            raise ConfigError(f"{where} names no delay; write for example {shown(text.strip() + ' @ 1..2', SAID)}.")
        lags = self.lags(said["lags"], where) if said else tuple(range(self.max_lag + 1))
        causes, effects = (self.word(parts[end], where) for end in ("cause", "effect"))
        if len(causes) == len(effects) == 1 and causes == effects:
            raise ConfigError(f"{where} links {self.names[causes[0]]!r} to itself; a sensor's own past is always used and never a link.")
        return _Said(f"{section} {shown(text, SAID)}", causes, effects, lags)

    def lags(self, text: str, where: str) -> tuple[int, ...]:
        """`2` or `0..3`."""
        found = _LAGS.fullmatch(text)
        if found is None:
            raise ConfigError(
                f"{where}: {shown(text.strip(), SAID)} is not a delay; write '@ 2' or '@ 0..3' "
                "(a name that contains '@' needs double quotes)."
            )
        first, last = int(found[1]), int(found[2] or found[1])
        if first > last or last > self.max_lag:
            raise ConfigError(
                f"{where}: expected delays from 0 to data.max_lag = {self.max_lag}, the smaller one first, got {shown(text.strip(), SAID)}."
            )
        return tuple(range(first, last + 1))

    def word(self, word: str, where: str) -> tuple[int, ...]:
        """Sensors that a word means: the one of this name, else all that match it as a wildcard."""
        plain = word.strip()
        quoted = len(plain) > 1 and plain.startswith('"') and plain.endswith('"') and plain not in self.names
        name = plain[1:-1].replace('""', '"') if quoted else plain
        if name in self.names:
            return (self.names.index(name),)
        found = () if quoted else tuple(i for i, known in enumerate(self.names) if fnmatchcase(known, name))
        if not found:
            matches = "" if quoted else " or matches it"
            raise ConfigError(f"{where}: no sensor is called {shown(name)}{matches}.{did_you_mean(name, self.names)}")
        return found


def _contradiction(first: str, second: str, cause: str, effect: str) -> ConfigError:
    return ConfigError(f"prior: {first} and {second} contradict each other for {cause} -> {effect}; drop one of them.")


def _left(one: Required, permitted: BoolArray) -> tuple[int, ...]:
    return tuple(k for k in one.lags if permitted[k, one.cause, one.effect])


def _narrowed(required: list[Required], permitted: BoolArray, bans: list[_Said], names: tuple[str, ...]) -> list[Required]:
    """Requirements at the lags that nothing forbids."""
    for one in required:
        if not _left(one, permitted):
            against = [ban for k in one.lags for ban in bans if ban.about(one.cause, one.effect, k)]
            alone = [ban for ban in against if all(ban.about(one.cause, one.effect, k) for k in one.lags)]
            texts = dict.fromkeys(ban.text for ban in (alone[:1] or against))
            raise _contradiction(f"prior.require {shown(one.text, SAID)}", " with ".join(texts), names[one.cause], names[one.effect])
    return [replace(one, lags=_left(one, permitted)) for one in required]


def _acyclic(required: list[Required], names: tuple[str, ...]) -> None:
    """Links required within one step must not go round in a circle."""
    now = {(r.cause, r.effect): r.text for r in required if r.lags == (0,)}
    causes: dict[int, set[int]] = {}
    for cause, effect in now:
        causes.setdefault(effect, set()).add(cause)
    try:
        TopologicalSorter(causes).prepare()
    except CycleError as error:
        circle = [int(i) for i in error.args[1]]
        texts = dict.fromkeys(repr(now[pair]) for pair in pairwise(circle) if pair in now)
        way = " -> ".join(names[i] for i in circle)
        raise ConfigError(
            f"prior.require: {' and '.join(texts)} go round in a circle within one step ({way}); give one of them a later delay."
        ) from error
