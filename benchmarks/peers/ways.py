"""How each package is asked for each method: a class a package, a method a method, which gives a function to be timed.

Packages are imported where they are asked, for each lives in an environment of its own. All get the same network (up to
the logits), images, class, layer and numbers, and batches of `BATCH`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

Way = Callable[[], Any]

BATCH, WINDOW, MASKS, STEPS, SAMPLES, COALITIONS = 32, 16, 128, 50, 50, 1000
NOISE = 0.15  # of the range of an image
LAYER, NARROW = "out_relu", "block_15_add"  # with 1280 and with 160 channels


@dataclass
class Task:
    """What is explained: the score of class ``target`` of images (n, h, w, 3); ``labels`` (h, w) number 50 regions."""

    model: Any
    images: np.ndarray
    target: int
    labels: np.ndarray

    def predict(self, images: np.ndarray) -> np.ndarray:
        """As people hand Keras models to libraries that know none."""
        return self.model.predict(images, batch_size=BATCH, verbose=0)

    @property
    def players(self) -> int:
        return int(self.labels.max()) + 1


class Package:
    """Ways of one package."""

    def __init__(self, task: Task):
        self.task = task


class Tfxai(Package):
    def _by(self, name: str, **options: Any) -> Way:
        import tfxai

        task, explainer = self.task, tfxai.methods()[name](self.task.model, **options)
        return lambda: explainer(task.images, target=task.target, batch_size=BATCH, verbose=0).values

    def _enlarged(self, name: str, layer: str) -> Way:
        import tfxai

        task, explainer = self.task, tfxai.methods()[name](self.task.model, layer=layer)
        return lambda: explainer(task.images, target=task.target, batch_size=BATCH, verbose=0).heatmaps()

    def _players(self, name: str, **options: Any) -> Way:
        import tfxai

        task, explainer = self.task, tfxai.methods()[name](self.task.model, groups=self.task.labels, **options)
        return lambda: explainer(task.images, target=task.target, batch_size=BATCH, verbose=0).extras["players"]

    def saliency(self) -> Way:
        return self._by("saliency")

    def guided_backprop(self) -> Way:
        return self._by("guided_backprop")

    def grad_cam(self) -> Way:
        return self._enlarged("grad_cam", LAYER)

    def grad_cam_plus_plus(self) -> Way:
        return self._enlarged("grad_cam_plus_plus", LAYER)

    def score_cam(self) -> Way:
        return self._enlarged("score_cam", NARROW)

    def smooth_grad(self) -> Way:
        return self._by("smooth_grad", samples=SAMPLES, noise=NOISE)

    def integrated_gradients(self) -> Way:
        return self._by("integrated_gradients", steps=STEPS)

    def occlusion(self) -> Way:
        return self._by("occlusion", window=WINDOW, stride=WINDOW)

    def rise(self) -> Way:
        return self._by("rise", masks=MASKS)

    def kernel_shap(self) -> Way:
        return self._players("kernel_shap", budget=COALITIONS)

    def lime(self) -> Way:
        return self._players("lime", budget=COALITIONS)

    def partition_shap(self) -> Way:
        return self._by("partition_shap", budget=COALITIONS)

    def gradient_shap(self) -> Way:
        background = np.zeros_like(self.task.images)
        return self._by("gradient_shap", samples=SAMPLES, background=background[:1])

    def deep_lift(self) -> Way:
        return self._by("deep_lift")

    def blur_ig(self) -> Way:
        return self._by("blur_ig", steps=STEPS)

    def guided_ig(self) -> Way:
        return self._by("guided_ig", steps=STEPS)

    def xrai(self) -> Way:
        return self._by("xrai", steps=STEPS // 2, segments="felzenszwalb")


class Xplique(Package):
    def _by(self, name: str, **options: Any) -> Way:
        from xplique import attributions

        explainer = getattr(attributions, name)(self.task.model, batch_size=BATCH, **options)
        chosen = tf.one_hot([self.task.target] * len(self.task.images), self.task.model.output_shape[-1])
        return lambda: np.asarray(explainer(self.task.images, chosen))

    def saliency(self) -> Way:
        return self._by("Saliency")

    def guided_backprop(self) -> Way:
        return self._by("GuidedBackprop")

    def grad_cam(self) -> Way:
        return self._by("GradCAM", conv_layer=LAYER)

    def grad_cam_plus_plus(self) -> Way:
        return self._by("GradCAMPP", conv_layer=LAYER)

    def smooth_grad(self) -> Way:
        return self._by("SmoothGrad", nb_samples=SAMPLES, noise=NOISE * float(np.ptp(self.task.images[0])))

    def integrated_gradients(self) -> Way:
        return self._by("IntegratedGradients", steps=STEPS, baseline_value=0.0)

    def occlusion(self) -> Way:
        return self._by("Occlusion", patch_size=WINDOW, patch_stride=WINDOW, occlusion_value=0.0)

    def rise(self) -> Way:
        return self._by("Rise", nb_samples=MASKS)

    def kernel_shap(self) -> Way:
        return self._of_regions("KernelShap")

    def lime(self) -> Way:
        return self._of_regions("Lime")

    def _of_regions(self, name: str) -> Way:
        return self._by(name, map_to_interpret_space=lambda _: tf.constant(self.task.labels), nb_samples=COALITIONS)


class TfKerasVis(Package):
    def _by(self, module: str, name: str, **options: Any) -> Way:
        import importlib

        from tf_keras_vis.utils.scores import CategoricalScore

        explainer = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)(self.task.model, clone=False)
        score = CategoricalScore([self.task.target] * len(self.task.images))
        return lambda: np.asarray(explainer(score, self.task.images, **options))

    def saliency(self) -> Way:
        return self._by("saliency", "Saliency", normalize_map=False)

    def smooth_grad(self) -> Way:
        return self._by("saliency", "Saliency", normalize_map=False, smooth_samples=SAMPLES, smooth_noise=NOISE)

    def grad_cam(self) -> Way:
        return self._cam("gradcam", "Gradcam", LAYER)

    def grad_cam_plus_plus(self) -> Way:
        return self._cam("gradcam_plus_plus", "GradcamPlusPlus", LAYER)

    def score_cam(self) -> Way:
        return self._cam("scorecam", "Scorecam", NARROW, batch_size=BATCH)

    def _cam(self, module: str, name: str, layer: str, **options: Any) -> Way:
        given = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False, "normalize_cam": False}
        return self._by(module, name, **given, **options)


class TfExplain(Package):
    """It gives coloured pictures, all of a batch in one."""

    def _by(self, module: str, name: str, own: tuple = (), **options: Any) -> Way:
        import importlib

        explainer = getattr(importlib.import_module(f"tf_explain.core.{module}"), name)(*own)
        data = (self.task.images, None)
        return lambda: explainer.explain(data, self.task.model, class_index=self.task.target, **options)

    def saliency(self) -> Way:
        return self._by("vanilla_gradients", "VanillaGradients")

    def smooth_grad(self) -> Way:
        noise = NOISE * float(np.ptp(self.task.images[0]))
        return self._by("smoothgrad", "SmoothGrad", num_samples=SAMPLES, noise=noise)

    def integrated_gradients(self) -> Way:
        return self._by("integrated_gradients", "IntegratedGradients", n_steps=STEPS)

    def grad_cam(self) -> Way:
        return self._by("grad_cam", "GradCAM", layer_name=LAYER, use_guided_grads=False, image_weight=0.0)

    def occlusion(self) -> Way:
        return self._by("occlusion_sensitivity", "OcclusionSensitivity", (BATCH,), patch_size=WINDOW)


class Saliency(Package):
    """Of PAIR, one image after the other. It leaves the passes to its user: here they are compiled."""

    def __init__(self, task: Task):
        super().__init__(task)
        from saliency import core

        self.core, model, target = core, task.model, task.target
        layers = None
        if hasattr(model, "get_layer"):
            layers = tf.keras.Model(model.inputs, [model.get_layer(LAYER).output, model.output])

        @tf.function(reduce_retracing=True)
        def slopes(x: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = model(x, training=False)[:, target]
            return tape.gradient(score, x)

        @tf.function(reduce_retracing=True)
        def inside(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                maps, _ = layers(x, training=False)
                tape.watch(maps)
                score = model.get_layer("predictions")(model.get_layer("global_average_pooling2d")(maps))[:, target]
            return maps, tape.gradient(score, maps)

        def call(x: np.ndarray, call_model_args: Any = None, expected_keys: Any = None) -> dict[str, np.ndarray]:
            x = tf.constant(np.asarray(x), tf.float32)
            if core.INPUT_OUTPUT_GRADIENTS in expected_keys:
                return {core.INPUT_OUTPUT_GRADIENTS: slopes(x).numpy()}
            if core.CONVOLUTION_LAYER_VALUES in expected_keys:
                maps, gradients = inside(x)
                return {
                    core.CONVOLUTION_LAYER_VALUES: maps.numpy(),
                    core.CONVOLUTION_OUTPUT_GRADIENTS: gradients.numpy(),
                }
            return {core.OUTPUT_LAYER_VALUES: model(x, training=False).numpy()[:, target]}

        self.call = call

    def _by(self, name: str, function: str = "GetMask", **options: Any) -> Way:
        explain = getattr(getattr(self.core, name)(), function)
        return lambda: np.stack([explain(image, self.call, **options) for image in self.task.images])

    def saliency(self) -> Way:
        return self._by("GradientSaliency")

    def smooth_grad(self) -> Way:
        return self._by("GradientSaliency", "GetSmoothedMask", nsamples=SAMPLES, stdev_spread=NOISE, magnitude=False)

    def integrated_gradients(self) -> Way:
        return self._by("IntegratedGradients", x_steps=STEPS, batch_size=BATCH)

    def grad_cam(self) -> Way:
        return self._by("GradCam", three_dims=False)

    def occlusion(self) -> Way:
        raise NotImplementedError("Its windows have no stride: 43,681 passes an image, one after the other.")

    def blur_ig(self) -> Way:
        return self._by("BlurIG", steps=STEPS, batch_size=BATCH)

    def guided_ig(self) -> Way:
        baseline = np.zeros_like(self.task.images[0])
        return self._by("GuidedIG", x_baseline=baseline, x_steps=STEPS)

    def xrai(self) -> Way:
        parameters = self.core.XRAIParameters(steps=STEPS // 2)
        return self._by("XRAI", batch_size=BATCH, extra_parameters=parameters)


class Lime(Package):
    def lime(self) -> Way:
        from lime.lime_image import LimeImageExplainer

        task = self.task

        def explain(image: np.ndarray) -> np.ndarray:
            explanation = LimeImageExplainer(random_state=0).explain_instance(
                image.astype(float), task.predict, labels=(task.target,), top_labels=None, hide_color=0,
                num_samples=COALITIONS, batch_size=BATCH, segmentation_fn=lambda _: task.labels,
            )  # fmt: skip
            return np.array([value for _, value in sorted(explanation.local_exp[task.target])])

        return lambda: np.stack([explain(image) for image in task.images])


class Shap(Package):
    def kernel_shap(self) -> Way:
        import shap

        task, one = self.task, np.ones((1, self.task.players))

        def explain(image: np.ndarray) -> np.ndarray:
            def shown(there: np.ndarray) -> np.ndarray:
                parts = np.array_split(there, -(-len(there) // 128))  # so that images fit into memory
                return np.concatenate(
                    [task.predict(image * part[:, task.labels][..., None])[:, task.target] for part in parts]
                )

            kernel = shap.KernelExplainer(shown, 0 * one)
            return kernel.shap_values(one, nsamples=COALITIONS, l1_reg=0, silent=True)[0]

        return lambda: np.stack([explain(image) for image in task.images])

    def partition_shap(self) -> Way:
        import shap

        masker = shap.maskers.Image(np.zeros(self.task.images.shape[1:], np.float32))
        explainer = shap.PartitionExplainer(lambda x: self.task.predict(x)[:, [self.task.target]], masker)
        options = {"max_evals": COALITIONS, "batch_size": BATCH, "fixed_context": "auto", "silent": True}
        return lambda: np.stack([explainer(x[None], **options).values[0, ..., 0] for x in self.task.images])

    def gradient_shap(self) -> Way:
        import shap

        explainer = shap.GradientExplainer(self.task.model, np.zeros_like(self.task.images[:1]), batch_size=BATCH)
        # all 1000 classes, one after the other, if it is not told to take the highest only
        return lambda: explainer.shap_values(self.task.images, nsamples=SAMPLES, ranked_outputs=1, rseed=0)[0][..., 0]

    def deep_lift(self) -> Way:
        import shap

        explainer = shap.DeepExplainer(self.task.model, np.zeros_like(self.task.images[:1]))
        return lambda: explainer.shap_values(self.task.images, ranked_outputs=1)[0][..., 0]


PACKAGES: dict[str, type[Package]] = {
    "tfxai": Tfxai,
    "xplique": Xplique,
    "tf-keras-vis": TfKerasVis,
    "tf-explain": TfExplain,
    "saliency": Saliency,
    "shap": Shap,
    "lime": Lime,
}

# What packages do with channels, so that values can be compared.
REDUCED: dict[str, dict[str, str]] = {
    "xplique": {
        "saliency": "largest",
        "smooth_grad": "mean",
        "integrated_gradients": "mean",
        "guided_backprop": "mean",
    },
    "tf-keras-vis": {"saliency": "largest", "smooth_grad": "largest"},
    "shap": {"partition_shap": "sum"},
}


def methods(package: str) -> list[str]:
    """What is asked of a package."""
    return [name for name in vars(PACKAGES[package]) if not name.startswith("_")]
