"""`Mechanism`: one linear equation a sensor, with its uncertainty, and everything needed to run the system forward.

    z_j(t) = c_j + sum over the terms (k, i, j) of b_kij z_i(t-k) + e_j(t),     z = (x - level - offset) / unit

x are readings in sensor units; level is the drift that cleaning removed, 0 for most sensors. The terms of j are its own K lags
and its decided links; what is undecided is no term.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from rcgnn.errors import InputError, did_you_mean
from rcgnn.series import BoolArray, FloatArray, IntArray, Series

FAR = 1e30
"""z beyond this stands at it: nothing may overflow."""
_IN_Z = ("coefficient", "intercept", "resampled", "resampled_intercept", "residual", "error", "state")
RUNS = 200
"""Steps of the power iteration behind `Mechanism.growth`."""


@dataclass(frozen=True, eq=False)
class Sensors:
    """The n sensors that take part, and their units.

    Attributes:
        names: n of them.
        offset: [n] middle of each sensor, in sensor units.
        unit: [n] > 0, sensor units of one unit of z.
        level: [n] drift removed at the last row, in sensor units; 0 where none was.
        drifts: [n] drift was removed.
        lowest: [n] lowest reading that counted, in sensor units.
        highest: [n] highest one.
        spread: [n] standard deviation of the signal, in units of z.
        curved: [n] the screen preferred a curved equation for this sensor; here it is linear.
        undecided: [n] how many sensors this one may or may not drive.
        left_out: sensors of the table that do not take part, and why.
    """

    names: tuple[str, ...]
    offset: FloatArray
    unit: FloatArray
    level: FloatArray
    drifts: BoolArray
    lowest: FloatArray
    highest: FloatArray
    spread: FloatArray
    curved: BoolArray
    undecided: IntArray
    left_out: Mapping[str, str]

    def index(self, name: str, where: str) -> int:
        """Place of a sensor.

        Raises:
            InputError: there is no such sensor, or it took no part; `where` begins the sentence.
        """
        if name in self.names:
            return self.names.index(name)
        if name in self.left_out:
            raise InputError(f"{where}: sensor {name!r} took no part in the fit ({self.left_out[name]}); choose another one.")
        raise InputError(f"{where}: there is no sensor {name!r}.{did_you_mean(name, self.names)}")

    def pick(self, series: Series) -> Series:
        """These sensors of a table, in this order; other columns are passed over.

        Raises:
            InputError: one of them is not in the table.
        """
        for name in self.names:
            if name not in series.names:
                near = did_you_mean(name, series.names)
                raise InputError(f"{series.source}: there is no column {name!r}, which the fit was made on.{near}")
        return series.sensors([series.names.index(name) for name in self.names])


@dataclass(frozen=True, eq=False)
class Mechanism:
    """The equations of one fit. Index of a term: (k, i, j), sensor i at t-k drives sensor j at t; i = j is own memory.

    Attributes:
        sensors: who takes part.
        terms: [P, 3] (k, i, j).
        coefficient: [P] b.
        intercept: [n] c.
        resampled: [R, P] b on resampled blocks of rows.
        resampled_intercept: [R, n] c on the same.
        rows: [n] rows that counted for each sensor.
        degrees: [n] blocks less one: degrees of freedom of the interval; 0 where there are too few rows for one.
        residual: [m, n] e of m rows spread over the table, jointly.
        error: [2, n] 2.5 and 97.5 % quantiles of the one-step errors of `forecast` on the table itself, in units of z.
        state: [K, n] z of the last K rows, the newest last.
        clean: suspect cells of a new table are set aside before it is predicted.
    """

    sensors: Sensors
    terms: IntArray
    coefficient: FloatArray
    intercept: FloatArray
    resampled: FloatArray
    resampled_intercept: FloatArray
    rows: IntArray
    degrees: IntArray
    residual: FloatArray
    error: FloatArray
    state: FloatArray
    clean: bool = True

    @property
    def max_lag(self) -> int:
        """K."""
        return len(self.state)

    @property
    def size(self) -> int:
        """Number of sensors, n."""
        return len(self.intercept)

    @cached_property
    def matrices(self) -> tuple[csr_array, ...]:
        """K+1 sparse matrices [n, n], entry (i, j) of the k-th = b_kij."""
        k, i, j = self.terms.T
        size = (self.size, self.size)
        return tuple(csr_array((self.coefficient[k == lag], (i[k == lag], j[k == lag])), shape=size) for lag in range(self.max_lag + 1))

    @cached_property
    def _turned(self) -> tuple[csr_array, csr_array]:
        """The matrix of links within a step [n, n] and those of all delays [n, K n], the longest first, turned round once and for all:
        a product with a sparse matrix from the right turns it round each time.
        """
        return self.matrices[0].T.tocsr(), hstack([matrix.T for matrix in reversed(self.matrices[1:])], format="csr")

    @cached_property
    def depth(self) -> int:
        """Links of the longest chain within one step."""
        sorter = TopologicalSorter({j: self.causes_now(j) for j in range(self.size)})
        length = dict.fromkeys(range(self.size), 0)
        for j in sorter.static_order():
            length[j] = max((length[i] + 1 for i in self.causes_now(j)), default=0)
        return max(length.values(), default=0)

    def causes_now(self, j: int) -> list[int]:
        """Sensors that drive j within the step."""
        return [int(i) for i in self.terms[(self.terms[:, 0] == 0) & (self.terms[:, 2] == j), 1]]

    def to_z(self, values: FloatArray, level: FloatArray) -> FloatArray:
        """Values [..., n] in sensor units as z; NaN stays NaN."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = (values * 0.5 - level * 0.5 - self.sensors.offset * 0.5) / self.sensors.unit
        return np.clip(2.0 * np.clip(z, -FAR, FAR), -FAR, FAR)

    def to_units(self, z: FloatArray, level: FloatArray) -> FloatArray:
        """Sensor units of z [..., n]; NaN stays NaN."""
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.clip(level + self.sensors.offset + self.sensors.unit * z, -largest, largest))

    def growth(self) -> float:
        """Largest factor by which a disturbance keeps growing from step to step; below 1 it dies away.

        The spectral radius of the companion matrix by power iteration: the mean growth over the second half of `RUNS` steps.
        """
        past = np.ones((1, self.max_lag, self.size)) + np.linspace(0.0, 1.0, self.size)
        logs = []
        for _ in range(RUNS):
            past = np.concatenate([past[:, 1:], self.step(past, None)[:, None]], axis=1)
            size = float(np.linalg.norm(past))
            if size < np.finfo(float).tiny:
                return 0.0
            logs.append(np.log(size))
            past = past / size
        return float(np.exp(np.mean(logs[RUNS // 2 :])))

    def step(self, past: FloatArray, intercept: FloatArray | None) -> FloatArray:
        """[S, n] the step after `past` [S, K, n], the newest last, for S states at once, without shocks.

        Args:
            past: [S, K, n] z.
            intercept: [n]; None: 0.
        """
        lagged = (self._turned[1] @ past.reshape(len(past), -1).T).T
        return self.same_step(lagged if intercept is None else lagged + intercept)

    def same_step(self, lagged: FloatArray) -> FloatArray:
        """[S, n] what the past gives, with the links within the step added: z = lagged + z B0, by chains."""
        z = lagged
        for _ in range(self.depth):
            z = lagged + (self._turned[0] @ z.T).T
        return np.asarray(z)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays by name; `from_arrays` gives the mechanism back exactly."""
        own = {f"sensor_{f.name}": np.asarray(getattr(self.sensors, f.name)) for f in fields(Sensors) if f.name != "left_out"}
        left_out = np.array(list(self.sensors.left_out.items()), np.str_).reshape(-1, 2)
        rest = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name != "sensors"}
        return {**own, "sensor_left_out": left_out, **rest}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Mechanism:
        """Inverse of `to_arrays`.

        Raises:
            InputError: an array is missing, or has another shape.
        """
        try:
            own: dict[str, Any] = {f.name: arrays[f"sensor_{f.name}"] for f in fields(Sensors)}
            sensors = Sensors(**own | {"names": tuple(own["names"].tolist()), "left_out": dict(own["left_out"].tolist())})
            rest = {f.name: arrays[f.name] for f in fields(cls) if f.name not in ("sensors", "clean")}
            made = cls(sensors, **rest, clean=bool(arrays["clean"]))
        except KeyError as error:
            raise InputError(f"mechanism.npz: no array {error} in it; it was not written by this version of rcgnn.") from error
        n, terms = len(sensors.names), len(made.terms)
        shapes = {"coefficient": (terms,), "intercept": (n,), "error": (2, n), "residual": (len(made.residual), n)}
        shapes |= {"resampled": (len(made.resampled), terms), "resampled_intercept": (len(made.resampled), n), "terms": (terms, 3)}
        shapes |= {"state": (len(made.state), n), "rows": (n,), "degrees": (n,)}
        for name, shape in shapes.items():
            if getattr(made, name).shape != shape:
                raise InputError(f"mechanism.npz: {name} must be {shape}, got {getattr(made, name).shape}; fit again.")
        made._check()
        return made

    def _check(self) -> None:
        """Can the equations be run at all?"""
        if not ((self.terms >= 0) & (self.terms <= [self.max_lag, self.size - 1, self.size - 1])).all():
            raise InputError("mechanism.npz: a term names a sensor or a delay that is not there; fit again.")
        if not (self.sensors.unit > 0).all() or any((np.abs(getattr(self, name)) > FAR).any() for name in _IN_Z):
            raise InputError(f"mechanism.npz: expected units above 0 and numbers up to {FAR:g}; fit again.")
        try:
            self.depth  # noqa: B018 - looks for a cycle
        except CycleError as error:
            raise InputError("mechanism.npz: links within the step form a cycle; fit again.") from error
