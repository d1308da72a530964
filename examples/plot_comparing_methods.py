"""
Comparing methods
=================

Every method of the package explains the same predictions. As it is known which pixels decide the class, each can be
scored by how well it found them.
"""

import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers
from tfxai.display import overlay
from tfxai.reading import read

images, labels, masks = flowers.make("single-6c", n=6, seed=7)
model = flowers.load_model("single-6c")

# %%
# All methods by name
# -------------------
# `tfxai.methods` knows them all. Most run with their defaults, which are those of the papers. The baseline of
# integrated gradients, the fill of occlusion and the level of noise are chosen for these images, because they matter
# (:ref:`sphx_glr_gallery_plot_noise_and_baselines.py`), and RISE gets fewer masks, smoothing fewer samples, and guided
# integrated gradients and meaningful perturbation fewer steps, and methods of coalitions fewer of these, to save time.
# Left out are feature inversion, as it explains no class, methods that read attention, which this network does not have
# (:ref:`sphx_glr_gallery_plot_transformer.py`), and exact Shapley and Banzhaf values, as nine patches are coarse.

noise = {"samples": 15, "noise": 0.03}
options = {
    "integrated_gradients": {"baseline": "mean"},
    "gradient_shap": {"baseline": "mean"},
    "guided_ig": {"baseline": "mean", "steps": 50},
    "occlusion": {"fill": "blur"},
    "rise": {"masks": 500},
    "meaningful_perturbation": {"steps": 60},
    "kernel_shap": {"fill": "blur", "budget": 200},
    "permutation_shap": {"fill": "blur", "samples": 2},
    "partition_shap": {"fill": "blur", "budget": 200},
    "lime": {"fill": "blur", "budget": 200},
    "feature_ablation": {"fill": "blur"},
    "sobol": {"fill": "blur", "designs": 4},
    "hsic": {"fill": "blur", "budget": 150},
    "smooth_grad": noise,
    "square_grad": noise,
    "var_grad": noise,
}
explanations = {}
for name, method in tfxai.methods("decision").items():
    if name in ("feature_inversion", "shapley_values", "banzhaf") or "attention" in method.facts.needs:
        continue
    explainer = method(model, **options.get(name, {}))
    explanations[name] = explainer(images, target=labels, verbose=0)
heatmaps = {name: explanation.heatmaps() for name, explanation in explanations.items()}

# %%
# How well do they find the petals?
# ---------------------------------
# The measure is that of Oramas et al. (2019): threshold the heat-map, take the intersection over union (IoU) with the
# decisive pixels, and average over thresholds. `tfxai.metrics.iou_curve` gives the curve. Two maps that know
# nothing of the image stand beside them: random noise, and a blob in the middle, for flowers stand near the middle.

rng = np.random.default_rng(0)
y, x = np.mgrid[-1:1:112j, -1:1:112j]
heatmaps["(noise)"] = rng.uniform(size=masks.shape)
heatmaps["(blob in the middle)"] = np.broadcast_to(np.exp(-4 * (x**2 + y**2)), masks.shape)

curves = {name: tfxai.metrics.iou_curve(maps, masks).mean(0) for name, maps in heatmaps.items()}
ranking = sorted(curves, key=lambda name: -curves[name].mean())
for name in ranking:
    print(f"{name:22} mean IoU {curves[name].mean():.3f}, at the best threshold {curves[name].max():.3f}")

# %%
# Neither number is the whole truth. The mean over thresholds favours maps that are broad and filled, and is low for
# maps of single pixels, however well these lie; the best threshold is kinder to them.

figure, axes = plt.subplots(figsize=(7, 8), layout="constrained")
position = np.arange(len(ranking))
axes.barh(position, [curves[name].max() for name in ranking], color="#d0d7e5", label="best threshold")
axes.barh(position, [curves[name].mean() for name in ranking], color="#3b5b92", label="mean over thresholds")
axes.set_yticks(position, ranking)
axes.invert_yaxis()
axes.set_xlabel("intersection over union with the petals, 6 images")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
# The heat-maps
# -------------
# One flower as all of them see it, in the order of the ranking. As in all figures of the package, heat-maps reach their
# last colour at the 99th percentile, lest a few extreme pixels hide the others. Over a grey image both signs are shown:
# red speaks for the class, blue against it. The IoU above looks at the positive part only.

number = 2
cells = {"input": images[number], "decisive pixels": np.repeat(255 * np.uint8(masks[number])[..., None], 3, -1)}
for name in ranking:
    if name in explanations:
        reading = read(explanations[name])
        cells[name] = overlay(images[number], reading.maps[number], signed=reading.signed)
figure, axes = plt.subplots(7, 6, figsize=(11, 14), layout="constrained")
for cell in axes.flat:
    cell.axis("off")
for cell, (title, picture) in zip(axes.flat, cells.items(), strict=False):
    cell.imshow(picture)
    cell.set_title(title, fontsize=9)

# %%
# Some of these are equal, and must be: where global average pooling is all that lies between the layer and the logits,
# `tfxai.CAM`, `tfxai.GradCAM`, `tfxai.XGradCAM` and `tfxai.HiResCAM` compute the same map. `tfxai.EigenCAM` does well
# although it explains no class: there is but one thing in these images that the last layer responds to. And the
# deconvnet shows much besides, since it hardly depends on the class.
