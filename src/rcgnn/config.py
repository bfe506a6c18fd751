"""Every setting, in one place, checked when it is made. One name in four doors: YAML, `--set train.lr=1e-3`, a sweep, `train__lr`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from rcgnn.delay import MaxLag, Span, Step
from rcgnn.errors import CUT, ConfigError, did_you_mean, near, shown
from rcgnn.files import plain_yaml, read_yaml
from rcgnn.formats import renamed
from rcgnn.recipes import RECIPES, Recipe


def _word(value: Any) -> Any:
    """YAML 1.1 reads on and off as booleans."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_word)]


class Section(BaseModel):
    """A group of settings: frozen, no unknown names, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """From table to cleaned, scaled windows."""

    max_lag: MaxLag = Field(3, description="K: longest delay looked at, in steps; `auto`: as long as the table shows links, and at least 3")
    resample: Step = Field(
        None, description="average readings in bins of this length, such as 10min; empty: rows as they are. A number: unit of the time"
    )
    clean: Switch = Field(
        "auto",
        description="mark stuck values, sentinels and spikes as missing, remove drift, leave repeats out: `auto` acts on what was found",
    )
    scale: bool = Field(True, description="standardise every sensor; off only in `origin-before`")
    window: int = Field(24, ge=2, description="rows in one training window of the network")
    stride: int | None = Field(None, ge=1, description="rows between windows; empty: every row is a target exactly once")
    valid_share: float = Field(0.2, gt=0, lt=0.9, description="share of rows held out, in blocks, for validation")
    valid_blocks: int = Field(5, ge=1, description="number of held-out blocks")
    min_observed: int = Field(30, ge=1, description="a sensor with fewer readings is quarantined")

    @property
    def lags(self) -> int:
        """K as a number.

        Raises:
            ConfigError: still `auto`: no table has been looked at.
        """
        if self.max_lag == "auto":
            raise ConfigError("data.max_lag: expected a number of steps here, got auto; only a fit can choose it from the table.")
        return self.max_lag


class SignalConfig(Section):
    """Joint state space: the signal behind missing and noisy readings."""

    smooth: Switch = Field("auto", description="run it: `auto` when cells are missing or readings are noisy")
    lags: int = Field(3, ge=1, le=16, description="order of the vector autoregression")
    iterations: int = Field(8, ge=1, description="EM iterations")
    draws: int | None = Field(
        None, ge=1, le=64, description="posterior samples handed to the screen, in mirrored pairs; empty: 4 to 32, 640,000 cells"
    )
    mnar: Switch = Field("auto", description="a model of values that make their own reading vanish: `auto` for sensors that look like it")


class ScreenConfig(Section):
    """Sparse structural search for candidate links."""

    basis: Literal["auto", "linear", "nonlinear"] = Field("auto", description="features of each sensor: chosen by evidence, or fixed")
    instantaneous: bool = Field(True, description="look for links within one step")
    joint_rows: bool = Field(True, description="judge the direction of a same-step link on the rows in which both ends were read")
    shape: bool = Field(True, description="let residuals that are not normal have a say in the direction of same-step links")
    opinions: bool = Field(True, description="average the score with further searches where the state space ran")
    hidden: Switch = Field("auto", description="hidden drivers in place of same-step links: `auto` where they explain the table better")
    gamma: float = Field(0.5, ge=0, description="weight of the extended part of the BIC penalty")
    pieces: int = Field(10, ge=0, description="pieces, at most, into which a long table is cut for scoring; below 3 it is not cut")
    max_features: int = Field(40, ge=1, description="most features one sensor may depend on")


def _listed(value: Any) -> Any:
    """One statement alone is a list of one; nothing is an empty list."""
    return [] if value is None else [value] if isinstance(value, str) else value


def _tiers(value: Any) -> Any:
    return [_listed(tier) for tier in value] if isinstance(value, list | tuple) else _listed(value)


def _lag_lines(value: Any) -> Any:
    """`{"pump -> flow": "1..2"}` as `["pump -> flow @ 1..2"]`."""
    return [f"{link} @ {lags}" for link, lags in value.items()] if isinstance(value, Mapping) else _listed(value)


Statements = Annotated[list[str], BeforeValidator(_listed)]


class PriorConfig(Section):
    """What is known before the fit. A link is written `cause -> effect`, `cause -> effect @ 2` or `cause -> effect @ 0..3`."""

    forbid: Statements = Field([], description="links that cannot be")
    require: Statements = Field([], description="links that are there, whatever the data say")
    tiers: Annotated[list[Statements], BeforeValidator(_tiers)] = Field(
        [], description="groups of sensors; a later one never drives an earlier one"
    )
    exogenous: Statements = Field([], description="sensors that nothing drives")
    lags: Annotated[list[str], BeforeValidator(_lag_lines)] = Field([], description="delays that a link can have, if it exists")


class ModelConfig(Section):
    """CausalNet: encoders, structure, message passing."""

    embed: int = Field(8, ge=1, description="size of a sensor's embedding")
    hidden: int = Field(16, ge=1, description="width of the hidden layers")
    latent: int = Field(4, ge=1, description="size of the signal latent of one sensor")
    bias_period: int = Field(100, ge=2, description="rows over which a sensor's bias may move")


class LossConfig(Section):
    """Weights of the loss terms. `auto` recipe: recon leads, the others are capped shares; origin recipes: fixed sums."""

    recon: float = Field(1.0, ge=0, description="reconstruction and forecast")
    sparse: float = Field(1.0, ge=0, description="sparsity; in `auto` a multiple of the data-driven threshold")
    acyclic: float = Field(1e-5, ge=0, description="acyclicity of the instantaneous part")
    disen: float = Field(1e-4, ge=0, description="disentanglement of signal, noise and bias")
    invariance: float = Field(1e-4, ge=0, description="invariance of links over regimes")
    balance: str = Field(
        "hierarchy",
        pattern=r"^(hierarchy|fixed|torchjd:[A-Za-z]\w*)$",
        description="how loss terms become one step: `hierarchy`, `fixed`, or `torchjd:<aggregator>` (extra `balance`)",
    )

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every term."""
        return self.model_dump(exclude={"balance"})


class TrainConfig(Section):
    """How the network is trained."""

    epochs: int = Field(40, ge=1, description="most epochs")
    batch: int = Field(64, ge=1, description="windows in a batch")
    lr: float = Field(5e-3, gt=0, description="learning rate of AdamW at its highest")
    weight_decay: float = Field(1e-4, ge=0, description="decoupled weight decay")
    clip: float | None = Field(None, gt=0, description="clip norm; empty: from the run's own accepted norms")
    precision: Literal["float32", "tf32", "bf16"] = Field("float32", description="of matrix products; tf32 (CUDA) keeps 10 bits, bf16 8")
    schedule: Literal["cosine", "plateau", "constant"] = Field("cosine", description="learning-rate schedule")
    patience: int = Field(5, ge=1, description="evaluations without gain before stopping")
    eval_every: int = Field(2, ge=1, description="epochs between evaluations on the held-out blocks")
    max_rollbacks: int = Field(3, ge=0, description="returns to a good state before the neural stage is given up")
    reruns: int = Field(2, ge=0, description="most re-runs while no link is left, each with a tenth of `losses.sparse` and `.acyclic`")


class SelectConfig(Section):
    """From evidence to decided links; never from truth."""

    alpha: float = Field(0.05, gt=0, lt=1, description="family-wise error level of the link decision")
    shifted_copies: int = Field(
        15,
        ge=0,
        description="circularly shifted copies, at most (long tables: fewer); a link must beat the best of the median one; 0: none",
    )
    halves: int = Field(20, ge=0, description="block halves for confidence; 0 switches them off")
    refine: Switch = Field("auto", description="train the network on the screen's candidates; `auto`: where a curve is borne out")


class Config(Section):
    """All settings of one run.

    Example:
        >>> Config().override(["train.lr=1e-3"]).train.lr
        0.001
    """

    recipe: Recipe = Field("auto", description="`auto`, or one of the origin's two recipes")
    seed: int = Field(1337, ge=0, description="start of every random number")
    device: str = Field("auto", description="`auto`, `cpu` or `cuda`")
    budget: Span = Field(None, description="how long a fit may take, such as 10m: the best graph found in that time; empty: no limit")
    data: DataConfig = DataConfig()
    signal: SignalConfig = SignalConfig()
    screen: ScreenConfig = ScreenConfig()
    prior: PriorConfig = PriorConfig()
    model: ModelConfig = ModelConfig()
    losses: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()
    select: SelectConfig = SelectConfig()

    @model_validator(mode="before")
    @classmethod
    def _under_the_recipe(cls, raw: Any) -> Any:
        named = raw.get("recipe") if isinstance(raw, dict) else None
        preset = RECIPES.get(named, {}) if isinstance(named, str) else {}
        merged = dict(raw) if preset else raw
        for section, values in preset.items():
            given = merged.get(section, {})
            given = given.model_dump(exclude_unset=True) if isinstance(given, Section) else given
            merged[section] = {**values, **given} if isinstance(given, dict) else given
        return merged

    @classmethod
    def parse(cls, raw: Mapping[str, Any], where: str = "config") -> Config:
        """A config from plain values.

        Raises:
            ConfigError: unknown name (with the nearest known one), a value out of range, or two values that exclude each other.
        """
        try:
            config = cls.model_validate(dict(raw))
        except ValidationError as error:
            raise ConfigError(f"{where}: {_sentence(error)}") from error
        if config.recipe != "auto" and config.data.max_lag == "auto":
            raise ConfigError(
                f"{where}: data.max_lag: auto needs the recipe 'auto', got {config.recipe!r}, which looks at no delay; leave it out."
            )
        return config

    @classmethod
    def load(cls, path: Path) -> Config:
        """A config from a YAML file; settings that are absent keep their defaults."""
        return cls.parse(_read(path), str(path))

    @classmethod
    def assemble(cls, path: Path | None, settings: Sequence[str], prior: Path | None = None) -> Config:
        """A config from a file, where there is one, with `section.name=value` settings on top; the later one wins.

        Other than `load(path).override(settings)` this lays the recipe's presets under both, so that a recipe among the
        settings replaces the file's recipe whole. The section `prior` comes from the file `prior`, where there is one: that
        section alone, or a file of settings that holds it.

        Example:
            >>> Config.assemble(None, ["data.max_lag=2", "recipe=origin-after", "train.lr=1e-3"]).data.max_lag
            2
        """
        raw = {} if path is None else _read(path)
        cls.parse(raw, str(path))
        if prior is not None:
            raw["prior"] = _prior_section(prior)
            cls.parse({"prior": raw["prior"]}, str(prior))
        _apply(raw, settings)
        return cls.parse(raw, "--set")

    def override(self, settings: Sequence[str]) -> Config:
        """The same config with `section.name=value` settings applied, values read as YAML."""
        raw = self.model_dump(exclude_unset=True)
        _apply(raw, settings)
        return Config.parse(raw, "--set")

    def to_yaml(self) -> str:
        """The whole config as YAML text; `load` gives it back."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False)


def _read(path: Path) -> dict[str, Any]:
    raw = read_yaml(path, ConfigError)
    if raw is not None and not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected settings such as 'train: {{lr: 0.001}}', got {type(raw).__name__}.")
    return renamed(raw or {})


def _prior_section(path: Path) -> Any:
    """The section `prior` of a file of settings, or a file that is this section."""
    raw = _read(path)
    if "prior" in raw:
        Config.parse(raw, str(path))
        return raw["prior"] or {}
    if not raw or set(raw) & set(Config.model_fields):
        raise ConfigError(f"{path}: holds no prior knowledge; write at least one of {', '.join(PriorConfig.model_fields)}.")
    return raw


def _apply(raw: dict[str, Any], settings: Sequence[str]) -> None:
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {_cut(setting)}: expected section.name=value, for example --set train.lr=1e-3.")
        _put(raw, name.strip().split("."), _value(text), setting)


def check_name(path: Sequence[str], where: str) -> None:
    """Is `path` the name of a setting?

    Raises:
        ConfigError: no; says the nearest name there is.
    """
    for depth, key in enumerate(path):
        known = _names_at(path[:depth])
        if not known:
            raise ConfigError(f"{where}: {shown('.'.join(path[:depth]))} is one value, not a section.")
        if key not in known:
            there = [f"{name}.{path[-1]}" for name in Config.model_fields if depth and path[-1] in _names_at([name])]
            meant = f" Did you mean {there[0]!r}?" if there else did_you_mean(key, known)
            raise ConfigError(f"{where}: unknown setting {shown('.'.join(path[: depth + 1]))}.{meant}")


def _put(raw: dict[str, Any], path: list[str], value: Any, setting: str) -> None:
    check_name(path, f"--set {_cut(setting)}")
    here = raw
    for key in path[:-1]:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise ConfigError(f"--set {_cut(setting)}: {key} was set to {shown(here)} before, which is no section; leave that out.")
    here[path[-1]] = value


def _cut(text: str) -> str:
    return text if len(text) <= CUT else f"{text[:CUT]}..."


def _value(text: str) -> Any:
    """YAML, and also 1e-3, which YAML 1.1 takes for a word."""
    try:
        value = plain_yaml(text)
    except ValueError:
        return text
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    path = ".".join(_cut(str(part)) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _names_at(first["loc"][:-1])
        return f"unknown setting {shown(path)}.{did_you_mean(str(first['loc'][-1]), known)}"
    words = re.findall(r"[\w-]+", first["msg"]) if first["type"] in ("literal_error", "string_pattern_mismatch") else []
    return f"{path}: {first['msg'][:1].lower()}{first['msg'][1:]}, got {shown(first['input'])}.{near(str(first['input']), words)}"


def _names_at(path: Sequence[int | str]) -> list[str]:
    section: type[BaseModel] = Config
    for part in path:
        inner = section.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        section = inner
    return list(section.model_fields)
