"""
Fair shares of a score
======================

Which parts of an image made the score what it is, and how much of it is due to each? Shapley values share the change of
the score among parts that can be there or not. They need nothing from a model except that it can be called.
"""

# %%
# Regions of a flower
# -------------------
# The network names flowers by the colour of their petals. Its images are divided into regions of like colour, the
# players. ``fill="mean"`` says what stands in the place of a player that is absent: the mean colour of the image.

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor

import tfxai

model = tfxai.datasets.flowers.load_model()
images, labels, masks = tfxai.datasets.flowers.make(n=2)

explainer = tfxai.KernelSHAP(model, fill="mean", budget=400, uncertainty=True)
explanation = explainer(images)
figure = tfxai.plot_players(explanation)

# %%
# Red regions speak for the class. The bars lead from the score of an image in which nobody is there to that of the
# whole: Shapley values leave nothing out. 400 of the 2^49 coalitions were evaluated, so each value is an estimate, and
# ``uncertainty`` says how sure it is.

shares, errors = explanation.extras["players"], explanation.extras["player_errors"]
for row in range(2):
    best = np.argsort(-shares[row])[:3]
    print("; ".join(f"player {i}: {shares[row, i]:.2f} ± {errors[row, i]:.2f}" for i in best))
    gained = explanation.score[row] - explanation.extras["absent"][row]
    print(f"they sum to {shares[row].sum():.3f}, and the score gains {gained:.3f}")

# %%
# Few parts, exactly
# ------------------
# Up to 14 players, all coalitions are evaluated. Then it can also be said what two parts do together beyond what each
# does alone. Blue pairs do less: where one of them shows enough petals, the other adds little.

exact = tfxai.ShapleyValues(model, fill="mean")(images[:1])
figure = tfxai.plot_interactions(exact)

# %%
# Fine where it matters
# ---------------------
# 256 patches would take many coalitions. A hierarchy needs few of them: the image is halved again and again, and only
# the halves that matter are taken apart. ``contexts="ends"`` asks for each half beside none and all of the others only,
# and so goes down to single patches.

fine = tfxai.PartitionSHAP(model, fill="mean", contexts="ends", budget=300)(images)
figure = fine.plot(polarity="signed")

# %%
# Any model
# ---------
# Trees of scikit-learn, a service, an ONNX model: what can be called has Shapley values. A row of a table is compared
# with a background of others, and the mean is taken over these. Ten columns have 1024 coalitions, each beside ten rows
# of the background; a large ``batch_size`` lets trees answer many at once.

data = load_diabetes()
trees = GradientBoostingRegressor(random_state=0).fit(data.data[:300], data.target[:300])
explainer = tfxai.ShapleyValues(lambda rows: trees.predict(rows)[:, None], background=data.data[:10])
explanation = explainer.explain(data.data[300:325], tfxai.targets.Output(0), batch_size=10_000, verbose=0)
figure = tfxai.plot_force(explanation, data.feature_names, rows=[0, 1])

# %%
# All rows at a glance, and the columns that count most:

table = tfxai.tables.Table(explanation, data.feature_names)
figure = table.plot_beeswarm()
