# %% [markdown]
# # Records and comparisons in pandas
#
# Run this from the repository's root, as a script (`python docs/notebook.py`) or cell by cell in an editor that knows `# %%`.
# Nothing is trained and nothing is downloaded: it reads the records that are published under `results/`.

# %%
import pandas as pd

from bakeoff import compare, load

pd.set_option("display.max_columns", None, "display.width", 160)

try:
    from IPython.display import display as show
except ImportError:  # outside a notebook
    show = print

# %% [markdown]
# ## Records
#
# `load` reads an experiment's folder. Every run that was asked for has a row; `help(type(quickstart).runs)` lists the columns.

# %%
quickstart = load("results/quickstart")
show(quickstart.runs[["strategy", "seed", "status", "test_accuracy", "test_f1 (belongs)", "train_seconds"]])

# %% [markdown]
# Scores over seeds, and what one more seed changes: the spread is what a single run does not tell.

# %%
show(quickstart.runs.groupby("strategy")["test_accuracy"].agg(["mean", "std", "min", "max", "count"]))

# %% [markdown]
# Learning curves: the loss of every step of every run.

# %%
steps = quickstart.steps()
show(steps.groupby(["strategy", steps["step"] // 20 * 20])["loss"].mean().unstack("strategy"))

# %% [markdown]
# Every prediction is stored, so a question that nobody asked before the runs can be answered after them: which examples does
# no run get right, and in which libraries are they?

# %%
told = quickstart.predictions()
right = (
    (told["label"] == told["answer"]).groupby([told["id"], told["slice_library"]]).mean().rename("share right").reset_index()
)
show(
    right.groupby("slice_library")["share right"].agg([("examples", "size"), ("never right", lambda share: (share == 0).sum())])
)

# %% [markdown]
# ## Comparisons
#
# `compare` finds what `bakeoff report` shows. The answer is one sentence; the leaderboard has intervals and rank intervals,
# `pairs` has verdicts, `warnings` what to mind.

# %%
found = compare(quickstart)
print(found.answer)
show(found.leaderboard[["strategy", "score", "low", "high", "interval", "rank_best", "rank_worst", "seeds", "warnings"]])

# %%
to_baseline = found.pairs[found.pairs["family"] == "to baseline"]
show(to_baseline[["first", "second", "difference", "low", "high", "p_adjusted", "verdict", "sentence"]])

# %%
show(found.warnings[["severity", "name", "what", "what_to_do"]])

# %% [markdown]
# Parts of the test split: by label, by length, and by the library that the task declares for slicing.

# %%
library = found.slices[found.slices["column"] == "library"]
show(library.pivot(index="value", columns="strategy", values="score"))

# %% [markdown]
# ## Several experiments
#
# Named together, folders make one set of results: one table of runs, one comparison group for each task and model.

# %%
both = load("results/quickstart", "results/mrpc-trainers")
show(both.runs.groupby(["task", "strategy"])["test_accuracy"].agg(["mean", "count"]))
print(compare(both).answer)

# %% [markdown]
# In a notebook, `compare(both)` as a cell's last line shows all of it at once.
