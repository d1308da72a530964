"""The CAM family: identities, architectures, layers."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers
from networks import oracle

import tfxai


def pooled(*top, size=(12, 10, 3), activation="relu"):
    """conv, global average pooling, and what follows."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(size)
    x = layers.Conv2D(6, 3, activation=activation, name="conv")(inputs)
    for layer in top:
        x = layer(x)
    return keras.Model(inputs, x)


GAP = layers.GlobalAveragePooling2D
HEADS = {
    "dense": lambda: [GAP(), layers.Dense(4, bias_initializer="ones")],
    "dense softmax": lambda: [GAP(), layers.Dense(4, bias_initializer="ones", activation="softmax")],
    "softmax layer": lambda: [GAP(), layers.Dense(4), layers.Softmax()],
    "dropout": lambda: [layers.Dropout(0.5), GAP(), layers.Dropout(0.5), layers.Dense(4)],
    "pooling that covers all": lambda: [layers.AveragePooling2D((10, 8)), layers.Flatten(), layers.Dense(4)],
    "1x1 convolution": lambda: [GAP(keepdims=True), layers.Conv2D(4, 1, bias_initializer="ones"), layers.Reshape((4,))],
    "no dense": lambda: [GAP(), layers.Softmax()],
    "mean by hand": lambda: [lambda x: keras.ops.mean(x, axis=(1, 2)), layers.Dense(4)],
    "one sigmoid": lambda: [GAP(), layers.Dense(1, activation="sigmoid")],
    "nested": lambda: [keras.Sequential([keras.Input((10, 8, 6)), GAP(), layers.Dense(4)])],
}


@functools.cache
def under(head):
    """The network with this head, its images, the names of its classes, and its CAM."""
    model, x = pooled(*HEADS[head]()), np.random.default_rng(0).normal(size=(5, 12, 10, 3))
    names = ("no", "yes") if head == "one sigmoid" else None
    return model, x, names, tfxai.CAM(model, classes=names)(x, 0)


NOT_CAM = {
    "flatten": lambda: [layers.Flatten(), layers.Dense(4)],
    "hidden layer": lambda: [GAP(), layers.Dense(5, activation="relu"), layers.Dense(4)],
    "maximum": lambda: [layers.GlobalMaxPooling2D(), layers.Dense(4)],
    "partial pooling": lambda: [layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(4)],
    "squared": lambda: [GAP(), lambda x: x * x, layers.Dense(4)],
    "normalised": lambda: [GAP(), layers.LayerNormalization(), layers.Dense(4)],
}


@pytest.mark.parametrize("head", HEADS)
def test_mean_of_cam_plus_bias_is_the_logit(head):
    model, x, names, explanation = under(head)
    offset = explanation.score - explanation.values.mean((1, 2))
    bias = [
        layer.bias.numpy()
        for layer in model._flatten_layers()
        if isinstance(layer, layers.Dense | layers.Conv2D) and layer.name != "conv"
    ]
    expected = (-1 if head == "one sigmoid" else 1) * bias[0][0] if bias else 0
    np.testing.assert_allclose(offset, expected, atol=1e-5)
    assert np.abs(explanation.values).max() > 1e-3
    # On such networks Grad-CAM is CAM divided by the number of positions.
    for method in (tfxai.GradCAM, tfxai.HiResCAM) if head == "dense" else (tfxai.GradCAM,):
        np.testing.assert_allclose(
            method(model, classes=names)(x, 0).values * 80, explanation.values, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("head", NOT_CAM)
def test_cam_refuses_other_architectures(head):
    with pytest.raises(ValueError, match=r"CAM needs .*GradCAM"):
        tfxai.CAM(pooled(*NOT_CAM[head]()), layer="conv")(np.ones((1, 12, 10, 3)))


def test_cam_refuses_earlier_layers(small, x):
    with pytest.raises(ValueError, match="CAM needs"):
        tfxai.CAM(small, layer="relu1")(x)


def test_identities_under_global_average_pooling(small, x):
    maps = [method(small)(x, 2).values for method in (tfxai.GradCAM, tfxai.HiResCAM, tfxai.XGradCAM)]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], rtol=1e-3, atol=1e-5)


def test_a_list_of_layers_gives_the_mean_of_their_maps(plain, x):
    names = ["relu1", "relu2"]
    together = tfxai.GradCAM(plain, layer=names)(x, 1)
    single = [tfxai.GradCAM(plain, layer=name)(x, 1).heatmaps() for name in names]
    np.testing.assert_allclose(together.values, np.mean(single, 0), atol=1e-5)
    assert together.facts["layer"] == names
    with pytest.raises(ValueError, match="empty list"):
        tfxai.GradCAM(plain, layer=[])


def test_layers_without_maps_are_refused(small, x):
    for name in ("gap", "dense"):
        with pytest.raises(ValueError, match="not a stack of maps"):
            tfxai.GradCAM(small, layer=name)(x)


def test_layers_of_one_position_are_not_chosen_and_not_accepted():
    model = pooled(GAP(keepdims=True), layers.Conv2D(4, 1, name="last"), layers.Flatten())
    assert tfxai.GradCAM(model).reads == ("conv",)
    with pytest.raises(ValueError, match="not a stack of maps"):
        tfxai.GradCAM(model, layer="last")(np.ones((1, 12, 10, 3)))


def test_grad_cam_plus_plus_does_not_overflow():
    """Scores far above 88, where exp overflows in float32."""
    model = pooled(GAP(), layers.Dense(4, kernel_initializer=keras.initializers.Constant(1e4)))
    explanation = tfxai.GradCAMPlusPlus(model)(np.random.default_rng(0).uniform(size=(2, 12, 10, 3)), 0)
    assert explanation.score.min() > 88
    assert np.isfinite(explanation.values).all()
    assert explanation.heatmaps().max() == 1


def test_grad_cam_plus_plus_is_the_papers_formula(plain):
    """Sums over positions, not means; the derivatives of exp(score) by automatic differentiation, in float64."""
    keras.config.set_dtype_policy("float64")
    try:
        keras.utils.set_random_seed(1)
        head = keras.Sequential(
            [keras.Input((3, 4, 5)), layers.Conv2D(4, 2, activation="relu"), layers.Flatten(), layers.Dense(2)]
        )
        inputs = keras.Input((3, 4, 5))
        model = keras.Model(inputs, head(layers.Activation("linear", name="maps")(inputs)))
    finally:
        keras.config.set_dtype_policy("float32")
    A = tf.constant(np.random.default_rng(0).uniform(size=(2, 3, 4, 5)))
    with tf.GradientTape() as tape:
        tape.watch(A)
        S = head(A)[:, 1]
        Y = tf.exp(S)
    g = tape.gradient(Y, A)
    G = (g / Y[:, None, None, None]).numpy()
    Y = Y.numpy()[:, None, None, None]
    second, third = Y * G**2, Y * G**3  # higher derivatives of exp(S) where S is piecewise linear
    denominator = 2 * second + (A.numpy() * third).sum((1, 2), keepdims=True)
    alpha = np.divide(second, denominator, out=np.zeros_like(second), where=denominator != 0)
    weights = (alpha * np.maximum(G, 0)).sum((1, 2), keepdims=True)
    expected = (weights * A.numpy()).sum(-1)
    ours = tfxai.GradCAMPlusPlus(model, layer="maps")(A.numpy(), 1).values
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [16, 128, 224])
def test_grad_cam_plus_plus_is_eq_19_for_maps_of_any_size(size):
    """Behind global pooling a gradient is the smaller, the larger the map; no constant may outweigh its square."""
    head = [GAP(), layers.Dense(10, name="dense")]
    conv = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")
    model = keras.Sequential([keras.Input((size, size, 3)), conv, *head])
    x = np.random.default_rng(0).uniform(size=(1, size, size, 3)).astype("float32")
    A = np.asarray(conv(x), "float64")
    G = np.broadcast_to(model.get_layer("dense").kernel.numpy()[:, 3] / size**2, A.shape).astype("float64")
    weights = (np.maximum(G, 0) / (2 + A.sum((1, 2), keepdims=True) * G)).sum((1, 2), keepdims=True)
    np.testing.assert_allclose(tfxai.GradCAMPlusPlus(model)(x, 3).values, (weights * A).sum(-1), rtol=1e-4)


GRADIENT_CAMS = [
    "grad_cam",
    "grad_cam_plus_plus",
    "x_grad_cam",
    "layer_cam",
    "hi_res_cam",
    "eigen_cam",
    "eigen_grad_cam",
]


@pytest.mark.parametrize("method", [*GRADIENT_CAMS, "ablation_cam", "integrated_gradients", "deep_lift"])
def test_heatmaps_do_not_depend_on_the_scale_of_the_weights(method):
    """All kernels a million times smaller: scores of 1e-12, with the same causes."""
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(4, 3, activation="relu", name="conv", use_bias=False, kernel_initializer="random_uniform")
    model = keras.Sequential([keras.Input((8, 7, 3)), conv, GAP(), layers.Dense(2, use_bias=False)])
    x = np.random.default_rng(0).normal(size=(2, 8, 7, 3))
    model.set_weights([1e-2 * weight for weight in model.get_weights()])
    explainer = tfxai.methods("decision")[method](model)
    before = explainer(x, 1)
    model.set_weights([1e-6 * weight for weight in model.get_weights()])
    after = explainer(x, 1)
    assert 0 < np.abs(after.score).max() < 1e-12
    np.testing.assert_allclose(after.heatmaps(), before.heatmaps(), atol=1e-3)


def test_eigen_cam_is_the_first_principal_component(residual, x):
    from sklearn.decomposition import PCA

    A = keras.Model(residual.input, residual.get_layer("relu3").output)(x).numpy()
    ours = tfxai.EigenCAM(residual, layer="relu3")(x).values
    for values, activations in zip(ours, A, strict=True):
        component = PCA(1).fit_transform(activations.reshape(-1, 8))[:, 0]
        sign = np.sign(component[np.abs(component).argmax()])
        np.testing.assert_allclose(values.ravel(), sign * component, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layer", ["relu2", "relu3"])
def test_ablation_cam_is_the_model_without_a_channel(residual, x, layer):
    """By hand, also for a layer that a skip connection passes by."""

    class Without(layers.Layer):
        channel = None

        def call(self, x):
            return x if self.channel is None else x * (1 - tf.one_hot(self.channel, 8))

    cut = Without()
    model = keras.models.clone_model(
        residual,
        call_function=lambda clone, *args, **kwargs: (
            cut(clone(*args, **kwargs)) if clone.name == layer else clone(*args, **kwargs)
        ),
    )
    model.set_weights(residual.get_weights())
    scores = []
    for channel in (None, *range(8)):
        cut.channel = channel
        scores.append(model(x)[:, 1].numpy())
    weights = (scores[0] - np.array(scores[1:])) / scores[0]
    A = keras.Model(residual.input, residual.get_layer(layer).output)(x).numpy()
    ours = tfxai.AblationCAM(residual, layer=layer)(x, 1).values
    np.testing.assert_allclose(ours, np.einsum("nhwc,cn->nhw", A, weights), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_ablation_cam_under_every_head(head):
    """Under global average pooling the drop of a channel is its weight times its mean, or near it."""
    model, x, names, cam = under(head)
    ours = tfxai.AblationCAM(model, classes=names)(x, 0)
    A = keras.Model(model.input, model.get_layer("conv").output)(x).numpy()
    w = np.stack(
        [np.linalg.lstsq(a.reshape(-1, 6), m.ravel(), rcond=None)[0] for a, m in zip(A, cam.values, strict=True)]
    )
    weights = w * A.mean((1, 2)) / ours.score[:, None]
    np.testing.assert_allclose(ours.values, np.einsum("nhwc,nc->nhw", A, weights), rtol=1e-3, atol=1e-4)


def test_guided_grad_cam_is_the_product(small, x):
    guided = tfxai.GuidedBackprop(small)(x, 1).values
    cam = np.maximum(tfxai.GradCAM(small)(x, 1).values, 0).repeat(2, 1).repeat(2, 2)
    ours = tfxai.GuidedGradCAM(small)(x, 1)
    np.testing.assert_allclose(ours.values, guided * cam[..., None], rtol=1e-4, atol=1e-6)
    assert ours.facts["modified_relus"] == 2
    assert ours.values.any()
    with pytest.raises(ValueError, match="interpolation"):
        tfxai.GuidedGradCAM(small, interpolation="cubic")


def test_position_is_kept_in_images_that_are_not_square():
    """One bright pixel, and a network that sums what is bright: the map's maximum is there."""
    inputs = keras.Input((9, 21, 3))
    conv = layers.Conv2D(2, 3, padding="same", activation="relu", kernel_initializer="ones", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(2, kernel_initializer="ones")(GAP()(conv)))
    x = np.zeros((1, 9, 21, 3))
    x[0, 2, 15] = 1
    for method in (
        "cam",
        "grad_cam",
        "layer_cam",
        "score_cam",
        "ablation_cam",
        "eigen_cam",
        "x_grad_cam",
        "grad_cam_plus_plus",
    ):
        heatmap = tfxai.explain(model, x, method, 0).heatmaps()[0]
        rows, columns = np.nonzero(heatmap > 0.99)
        assert abs(rows.mean() - 2) < 0.6, method
        assert abs(columns.mean() - 15) < 0.6, method


class WithConstant(tfxai.GradCAMPlusPlus):
    """The library's denominator, to which it adds 1e-6."""

    def weigh(self, A, G):
        alpha = G**2 / (2 * G**2 + tf.reduce_sum(A, [1, 2], keepdims=True) * G**3 + 1e-6)
        return tf.reduce_sum(tf.reduce_sum(alpha * tf.nn.relu(G), [1, 2], keepdims=True) * A, -1)


TOKEN_CAMS = {
    "GradCAM": tfxai.GradCAM,
    "GradCAMPlusPlus": WithConstant,
    "LayerCAM": tfxai.LayerCAM,
    "HiResCAM": tfxai.HiResCAM,
    "ScoreCAM": tfxai.ScoreCAM,
    "EigenCAM": tfxai.EigenCAM,
}


@pytest.mark.parametrize("name", TOKEN_CAMS)
def test_of_tokens_as_the_oracle_has_them(name):
    """On a layer of a class token and 16 patches, of which nobody says how they lie."""
    model, x = token_networks.known("vit"), token_networks.inputs("vit")
    found = TOKEN_CAMS[name](model, "norm2a")(x, oracle("vit_inputs")["labels"])
    theirs, ours = oracle("vit_cams")[f"{name}/raw"], found.values
    if name == "EigenCAM":  # up to its sign
        theirs, ours = np.abs(theirs), np.abs(ours)
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()
    assert found.heatmaps().shape == (4, 16, 16)


def test_the_class_token_decides_which_layer_is_the_last():
    """Behind the last attention no other token counts any more."""
    assert tfxai.GradCAM(token_networks.known("vit"))(token_networks.inputs("vit")).facts["layer"] == "add1b"
