"""`RCGNN`: the scikit-learn door. `RCGNN(max_lag=3).fit(frame).graph_`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from rcgnn.config import Config, Section, check_name
from rcgnn.data.frames import to_series
from rcgnn.data.resample import regular
from rcgnn.errors import ConfigError, InputError, TruthRefusedError
from rcgnn.figures import draw
from rcgnn.figures.sheets import graph_sheet, health_sheet, link_sheet
from rcgnn.graph import REGIME_COLUMNS, CausalGraph
from rcgnn.health import Finding, HealthRecord, Progress, silent
from rcgnn.mechanism.equations import Mechanism
from rcgnn.mechanism.forecast import Forecast, forecast
from rcgnn.mechanism.intervention import Intervention, intervene
from rcgnn.numerics import rng
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import FloatArray, Series
from rcgnn.stages import OnRecord

__all__ = ["RCGNN", "Fit", "OnRecord", "fit_series"]

SECTIONS = tuple(name for name, field in Config.model_fields.items() if isinstance(field.default, Section))
TOP = ("recipe", "seed", "device", "budget")


class RCGNN(BaseEstimator):
    """Learns which sensor drives which, how strongly, after how long, and how sure.

    Settings follow scikit-learn's rules: `RCGNN(train__lr=1e-3)`, `get_params`, `set_params(train__lr=1e-3)`, `clone`.
    Unknown names are refused with the nearest known one.

    Args:
        max_lag: K, the longest delay looked at, in steps; the same as `data__max_lag`. `auto`: chosen from the table, at least 3.
        recipe: `auto`, or one of the origin's two recipes.
        seed: start of every random number; the same seed gives the same answer.
        device: `auto`, `cpu` or `cuda`.
        budget: how long a fit may take, such as `10m`: the best graph found in that time; None: no limit.
        settings: any other setting, as `section__name`.

    Attributes:
        graph_: the `CausalGraph`.
        mechanism_: the equations behind its links; None where there are none.
        scores_: [K+1, N, N] evidence, `graph_.score`.
        findings_: what is worth knowing about table, training and answer.
        health_: training health, one `HealthRecord` an epoch.
        summary_: plain facts of the run.
        fit_: the stages' own results.
        config_: the settings in full, as they were given; a chosen K is `graph_.max_lag`.
        feature_names_in_: the sensors.

    Raises:
        ConfigError: a setting that does not exist or is out of its range.

    Example:
        >>> from rcgnn.synth import simulate
        >>> table = simulate("linear", seed=0, rows=400, sensors=4)
        >>> model = RCGNN(max_lag=2, select__refine="off").fit(table.series)
        >>> model.graph_.score.shape
        (3, 4, 4)
    """

    def __init__(
        self,
        max_lag: int | Literal["auto"] = 3,
        recipe: str = "auto",
        seed: int = 1337,
        device: str = "auto",
        budget: str | float | None = None,
        **settings: Any,
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        self.device = device
        self.budget = budget
        for name in settings:
            _check(name)
        self.settings = dict(settings)
        self.max_lag = self.settings.pop("data__max_lag", max_lag)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return ["max_lag", *TOP]

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - scikit-learn's signature
        """The settings given, by name; with `deep` every setting there is, as `section__name`."""
        named = {name: getattr(self, name) for name in self._get_param_names()}
        if not deep:
            return named | self.settings
        config = self._config()
        every = {f"{s}__{n}": v for s in SECTIONS for n, v in getattr(config, s).model_dump().items()}
        every.pop("data__max_lag")
        return named | every

    def set_params(self, **params: Any) -> Self:
        """Change settings by name."""
        for name, value in params.items():
            if name in self._get_param_names():
                setattr(self, name, value)
            elif name == "data__max_lag":
                self.max_lag = value
            else:
                _check(name)
                self.settings[name] = value
        return self

    def _config(self) -> Config:
        raw: dict[str, Any] = {name: getattr(self, name) for name in TOP}
        for name, value in self.settings.items():
            section, _, key = name.partition("__")
            raw.setdefault(section, {})[key] = value
        raw.setdefault("data", {}).setdefault("max_lag", self.max_lag)
        return Config.parse(raw, "RCGNN")

    def fit(self, X: Any, y: None = None, *, progress: Progress = silent, on_record: OnRecord | None = None) -> Self:
        """Learn the graph of a table.

        Args:
            X: a pandas or polars frame, an xarray or DuckDB table, an array [T, N], a `Series`, the path of a file or folder, or a list
                of tables: several recordings of one system. NaN is a missing reading.
            y: always None; a true graph has no place here.
            progress: told of every stage and step.
            on_record: called with every health record.

        Raises:
            TruthRefusedError: `y` was given.
            TableError: the table cannot be read as sensor readings.
        """
        if y is not None:
            raise TruthRefusedError("fit: y must be None; a true graph belongs to rcgnn.evaluate, after fitting.")
        config = self._config()
        series = to_series(X)
        self.fit_ = fit_series(series, config, progress=progress, on_record=on_record)
        self.config_ = config
        self.graph_: CausalGraph = self.fit_.graph
        self.mechanism_: Mechanism | None = self.fit_.mechanism
        self.scores_: FloatArray = self.graph_.score
        self.findings_: list[Finding] = self.fit_.findings
        self.health_: list[HealthRecord] = self.fit_.records
        self.summary_: dict[str, Any] = self.fit_.summary
        self.feature_names_in_ = np.array(series.names, dtype=object)
        self.n_features_in_ = len(series.names)
        return self

    def edges(self) -> pd.DataFrame:
        """`graph_.edges()`.

        Raises:
            NotFittedError: before `fit`.
        """
        self._check_fitted()
        return self.graph_.edges()

    def regimes(self) -> pd.DataFrame:
        """Strength of every link in every operating mode: cause, effect, lag, regime, strength, low, high, in_units, p, differs.

        `p` is the p-value of "the same in all modes", before Holm. A link that does not differ repeats its one strength in every mode.

        Returns:
            One row a link and mode; no row where the table has one mode.

        Raises:
            NotFittedError: before `fit`.
        """
        self._check_fitted()
        numbers = dict.fromkeys(("strength", "low", "high", "in_units", "p"), np.float64)
        return pd.DataFrame(self.graph_.regime_rows(), columns=list(REGIME_COLUMNS)).astype(numbers | {"differs": bool})

    def predict(self, X: Any, *, interval: bool = False) -> pd.DataFrame:
        """What each sensor reads one step ahead, in sensor units, from the rows before.

        Args:
            X: a table as for `fit`, with at least the sensors of the fit. Suspect cells are set aside by the rules of the fit.
            interval: also the middle 95 % of the errors on the table of the fit.

        Returns:
            One row a row of X (a bin, where `data.resample` is set), one column a sensor that took part; NaN in the first K rows of a
            segment, which have no past.
            With `interval` one row a forecast: row, sensor, observed, predicted, low, high.

        Raises:
            NotFittedError: before `fit`.
            InputError: a sensor is absent, there are too few rows, or the recipe gives no equations.
        """
        done = self._forecast(X)
        return done.long() if interval else done.wide()

    def score(self, X: Any, y: None = None) -> dict[str, float | None]:
        """R2 of the one-step forecast of each sensor: 1 - sum (x - forecast)^2 / sum (x - mean)^2.

        Held out only where X was not in the table of the fit. None for a sensor that does not move in X. Slow sensors reach a high
        R2 from their own past alone; `rcgnn predict` shows that of the last reading beside it.

        Args:
            X: as for `predict`.
            y: always None.

        Raises:
            TruthRefusedError: `y` was given.
        """
        if y is not None:
            raise TruthRefusedError("score: y must be None; to compare with a true graph use rcgnn.evaluate.metrics.score.")
        return {one.sensor: one.r2 for one in self._forecast(X).scores()}

    def intervene(self, hold: Mapping[str, float], horizon: int = 10, *, start: Any = None) -> Intervention:
        """What the learned system does while sensors are held at values, beside what it does without.

        Args:
            hold: value of each held sensor, in its own unit.
            horizon: steps.
            start: a table whose last rows are the start; None: the last rows of the table of the fit.

        Returns:
            Paths, their difference, 95 % intervals and notes; `frame()` is all of it as a table.

        Raises:
            NotFittedError: before `fit`.
            InputError: an unknown sensor, a value that is no finite number, a horizon below 1.

        Example:
            >>> from rcgnn.synth import simulate
            >>> model = RCGNN(max_lag=2, select__refine="off").fit(simulate("linear", seed=0, rows=400, sensors=4).series)
            >>> model.intervene({"x0": 2.0}, horizon=3).difference.shape
            (3, 4)
        """
        mechanism = self._equations()
        rest = None if start is None else self._even(start)
        return intervene(mechanism, hold, horizon, start=rest, rng=rng(self.config_.seed, "intervene"))

    def plot_graph(self, *, backend: str = "plotly") -> Any:
        """The graph: causes on the left, effects on the right, lags on the arrows.

        Args:
            backend: `plotly`, or `matplotlib` for papers: its `savefig` writes SVG and PDF with text as text.

        Raises:
            NotFittedError: before `fit`.
            InputError: no such backend, or it is not installed.
        """
        self._check_fitted()
        return draw(graph_sheet(self.graph_), backend)

    def plot_health(self, *, backend: str = "plotly") -> Any:
        """Loss, gradient norm and clipped steps over the epochs; says why where no network was trained. Otherwise as `plot_graph`."""
        self._check_fitted()
        return draw(health_sheet(self.health_, str(self.summary_.get("network", ""))), backend)

    def plot_link(self, cause: str, effect: str, *, backend: str = "plotly") -> Any:
        """One pair: evidence and strength (95 % interval) by lag, and the cleaned readings of both. Otherwise as `plot_graph`.

        Args:
            cause: a sensor.
            effect: another one.
            backend: as for `plot_graph`.

        Raises:
            InputError: an unknown sensor.
        """
        self._check_fitted()
        prepared = self.fit_.prepared
        return draw(link_sheet(self.graph_, cause, effect, prepared.cleaned.series if prepared else None), backend)

    def _forecast(self, X: Any) -> Forecast:
        mechanism = self._equations()
        return forecast(mechanism, self._even(X), set_aside=mechanism.clean)

    def _even(self, X: Any) -> Series:
        """A table in the steps of the fit."""
        return regular(to_series(X), self.config_.data.resample)[0]

    def _check_fitted(self) -> None:
        if not hasattr(self, "graph_"):
            raise NotFittedError("This RCGNN is not fitted yet; call fit(table) first.")

    def _equations(self) -> Mechanism:
        self._check_fitted()
        if self.mechanism_ is None:
            raise InputError("RCGNN: this fit has no equations (fewer than two sensors took part, or the recipe is the origin's).")
        return self.mechanism_


def _check(name: str) -> None:
    """Is there such a setting?"""
    section, separator, key = name.partition("__")
    if not separator:
        raise ConfigError(f"RCGNN: unknown setting {name!r}; write section__name, for example train__lr. Sections: {', '.join(SECTIONS)}.")
    check_name([section, key], f"RCGNN: {name}")
