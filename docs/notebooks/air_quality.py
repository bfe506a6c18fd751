# %% [markdown]
# # Air quality: a real table, end to end
#
# Hourly readings of a roadside station in an Italian town (UCI Air Quality): reference analysers (`_GT`), metal-oxide sensors (`PT08_`),
# temperature and humidity. Missing readings are written as -200, one analyser is out most of the time. There is no true graph. The first
# 2,000 hours are taken, so that this page is quickly built; the whole table is in the benchmarks.

# %%
import os
from pathlib import Path

import pandas as pd

from rcgnn import RCGNN
from rcgnn.data.readers import read_table

folder = Path(os.environ.get("RCGNN_DATA", "../shared/data"))
table = read_table(folder / "air_quality_uci" / "data.csv").rows(slice(0, 2000))
pd.DataFrame({"sensor": table.names, "missing": [f"{1 - share:.1%}" for share in table.mask.mean(axis=0)]})

# %%
model = RCGNN(max_lag=3, select__refine="off").fit(table)
model.graph_

# %% [markdown]
# Does it make sense? Benzene (`C6H6_GT`) is computed from the sensor `PT08_S2_NMHC`, absolute humidity from temperature and relative humidity.
# What the program says about the table and its own limits:

# %%
shown = [f for f in model.findings_ if f.severity != "info"]
pd.DataFrame([{"severity": f.severity, "sensor": f.sensor or "", "what": f.message.partition(": ")[2] or f.message} for f in shown]).head(20)

# %%
model.plot_graph(backend="matplotlib")

# %% [markdown]
# The strongest link from near. Score and strength by delay; the readings as they were used.

# %%
k, i, j = max(model.graph_.links(), key=lambda link: abs(model.graph_.strength[link]))
model.plot_link(model.graph_.names[i], model.graph_.names[j], backend="matplotlib")

# %% [markdown]
# ## One step ahead
#
# On the 500 hours that follow, which the fit has not seen.

# %%
later = read_table(folder / "air_quality_uci" / "data.csv").rows(slice(2000, 2500))
pd.Series(model.score(later), name="R2").round(3).to_frame()

# %% [markdown]
# ## Out
#
# The same links for Graphviz; [Other tools](../other-tools.md) has more.

# %%
from rcgnn.export import written

print(written(model.graph_, "dot").decode()[:600], "...")
