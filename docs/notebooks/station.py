# %% [markdown]
# # The station: a result beside its truth
#
# A simulated plant of 13 sensors, read badly: gaps, spikes, stuck values and drift. The fit sees the readings alone. Afterwards the graph is
# compared with the links that the simulation was built on.

# %%
from rcgnn import RCGNN
from rcgnn.synth import STATION_CORRUPTION, STATION_SEED, corrupt, simulate

station = simulate("station", seed=STATION_SEED)
readings = corrupt(station.series, STATION_CORRUPTION, seed=STATION_SEED)
rows, sensors = readings.shape
print(f"{rows} rows, {sensors} sensors, {1 - readings.mask.mean():.1%} of the cells missing")

# %%
model = RCGNN(max_lag=3, select__refine="off").fit(readings)
model.graph_

# %% [markdown]
# Blue arrows rise with their cause, vermillion ones fall; the number is the delay in rows. What the program noticed about the table:

# %%
import pandas as pd

told = pd.DataFrame([{"severity": f.severity, "kind": f.evidence.get("kind", f.code), "sensor": f.sensor} for f in model.findings_])
told.groupby(["severity", "kind"]).size().rename("findings").reset_index()

# %% [markdown]
# One link from near: the evidence by delay, the strength with its 95 % interval, and the cleaned readings of both sensors.

# %%
k, i, j = model.graph_.links()[0]
model.plot_link(model.graph_.names[i], model.graph_.names[j], backend="matplotlib")

# %% [markdown]
# ## Beside the truth
#
# Only now, and only here.

# %%
from rcgnn.evaluate.comparison import compare
from rcgnn.evaluate.metrics import score
from rcgnn.evaluate.truth import Truth

truth = Truth.of(station.truth)
links = pd.DataFrame([{"outcome": m.outcome, "cause": m.cause, "effect": m.effect, "lag": m.lag} for m in compare(model.graph_, truth)])
links.sort_values(["outcome", "cause"]).reset_index(drop=True)

# %%
pd.DataFrame({target: {"F1": s.f1, "AUPRC": s.auprc, "by chance": s.prevalence} for target, s in score(model.graph_, truth).items() if s}).round(3)

# %% [markdown]
# ## A forecast and an intervention
#
# One step ahead on the readings without faults, and what moves while the valve is held open.

# %%
pd.Series(model.score(station.series), name="R2 of the one-step forecast").round(3).to_frame()

# %%
valve = float(readings.values[readings.mask[:, readings.names.index("valve")], readings.names.index("valve")].max())
held = model.intervene({"valve": valve}, horizon=8).frame()
held[held["step"] == 8].query("difference != 0")[["sensor", "base", "path", "difference_low", "difference_high"]].round(2)
