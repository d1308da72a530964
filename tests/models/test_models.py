"""Reaching into Keras models: reading, logits, modified gradients, and leaving no trace."""

import functools

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.models import graph, open_model


def read(model, name, x, rule=None):
    """Output of a layer, read by our taps."""
    view = open_model(model)
    return tf.function(lambda x: view.forward(x, [name], rule).read[name], autograph=False)(tf.constant(x)).numpy()


def test_taps_agree_with_sub_models(residual, x):
    names = [layer.name for layer in residual.layers[1:]]
    view = open_model(residual)
    found = tf.function(lambda x: view.forward(x, names).read, autograph=False)(tf.constant(x))
    expected = keras.Model(residual.input, {name: residual.get_layer(name).output for name in names})(x)
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(read(residual, "relu2", x), expected["relu2"], rtol=1e-5, atol=1e-6)  # alone


def test_layers_lists_what_runs_in_order(residual):
    listed = tfxai.layers(residual)
    assert [layer.name for layer in listed] == [layer.name for layer in residual.layers[1:]]
    assert listed[0] == ("conv1", "Conv2D", (None, 16, 16, 8))
    assert [layer.name for layer in listed if not layer.spatial] == ["gap", "dense"]


def test_layers_of_nested_and_subclassed_models():
    names = [layer.name for layer in tfxai.layers(networks.known("nested"))]
    assert names[0] == "backbone/stem/conv1"
    assert names[-3:] == ["backbone", "gap", "dense"]
    names = [layer.name for layer in tfxai.layers(networks.known("subclassed"))]
    assert "block2/conv2" in names
    assert "head/dense" in names


def test_operations_between_layers_can_be_read(x):
    inputs = keras.Input((16, 16, 3))
    total = layers.Conv2D(4, 3, name="conv")(inputs) + 1.0
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(keras.ops.relu(total)))
    names = [layer.name for layer in tfxai.layers(model)]
    added, rectified = names[1:3]
    conv = read(model, "conv", x)
    np.testing.assert_allclose(read(model, added, x), conv + 1, rtol=1e-6)
    np.testing.assert_allclose(read(model, rectified, x), np.maximum(conv + 1, 0), rtol=1e-6)


def test_layers_that_a_lambda_calls_are_read_from_a_function():
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="hidden")])
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: inner(x)), keras.layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(ValueError, match=r"Lambda calls .* tf.function"):
        tfxai.GradCAM(model, layer="hidden")
    function = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([None, 8, 8, 3])])
    name = next(layer.name for layer in tfxai.layers(function) if layer.name.endswith("hidden"))
    assert tfxai.GradCAM(function, layer=name)(np.ones((1, 8, 8, 3)), target=0).values.shape == (1, 6, 6)


def test_unknown_layers_come_with_close_matches(residual):
    with pytest.raises(ValueError, match=r"Unknown layer 'relu_4'.*'relu4'"):
        tfxai.GradCAM(residual, layer="relu_4")
    with pytest.raises(ValueError, match="backbone/top/relu4"):
        tfxai.GradCAM(networks.known("nested"), layer="top/relu_4")
    with pytest.raises(ValueError, match="not part of the model"):
        tfxai.GradCAM(residual, layer=layers.ReLU(name="stranger"))
    with pytest.raises(TypeError, match="name or a Keras layer"):
        tfxai.GradCAM(residual, layer=3)


def test_layers_can_be_given_as_objects(residual, x, labels):
    by_object = tfxai.GradCAM(residual, layer=residual.get_layer("relu3"))
    assert by_object.reads == ("relu3",)


def test_ambiguous_names_are_refused():
    def block(name):
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, layers.Conv2D(3, 3, padding="same", name="conv")(inputs), name=name)

    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(block("b")(block("a")(inputs))))
    with pytest.raises(ValueError, match=r"ambiguous: \['a/conv', 'b/conv'\]"):
        tfxai.GradCAM(model, layer="conv")
    assert tfxai.GradCAM(model, layer="a/conv").reads == ("a/conv",)


def test_namesakes_in_a_subclass_are_numbered(x):
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = (layers.Conv2D(3, 3, padding="same", name="conv") for _ in range(2))
            self.pool = layers.GlobalAveragePooling2D()

        def call(self, x):
            return self.pool(self.b(self.a(x)))

    model = Twins()
    model(x)
    assert [layer.name for layer in tfxai.layers(model)][:2] == ["conv.1", "conv.2"]
    np.testing.assert_allclose(read(model, "conv.1", x), model.a(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(read(model, "conv.2", x), model.b(model.a(x)), rtol=1e-4, atol=1e-5)
    assert tfxai.GradCAM(model, layer=model.b).reads == ("conv.2",)
    with pytest.raises(ValueError, match=r"Unknown layer 'conv'.*'conv\.1'"):
        tfxai.GradCAM(model, layer="conv")


def test_shared_layers_are_read_call_by_call():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inputs = keras.Input((8, 8, 3))
    once = shared(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(shared(once)))
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    assert [layer.name for layer in tfxai.layers(model)][:2] == ["shared#0", "shared#1"]
    np.testing.assert_allclose(read(model, "shared#0", x), shared(x), rtol=1e-5)
    np.testing.assert_allclose(read(model, "shared#1", x), shared(shared(x)), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="shared#0 or shared#1"):
        tfxai.GradCAM(model, layer="shared")(x)
    with pytest.raises(ValueError, match="no run 2"):
        tfxai.GradCAM(model, layer="shared#2")(x)


def test_layers_that_take_no_part_are_refused(x):
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.idle = layers.Conv2D(2, 3, name="used"), layers.Conv2D(2, 3, name="idle")
            self.pool = layers.GlobalAveragePooling2D()

        def call(self, x):
            return self.pool(self.used(x))

    model = Idle()
    model.idle.build(x.shape)
    model(x)
    with pytest.raises(ValueError, match="takes no part"):
        tfxai.GradCAM(model, layer="idle")(x)


def test_layers_inside_loops_are_refused(x):
    class Looping(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.pool = layers.Conv2D(3, 3, padding="same", name="conv"), layers.GlobalAveragePooling2D()

        def call(self, x):
            return self.pool(tf.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, self.conv(x)), (0, x))[1])

    model = Looping()
    model.conv.build((None, 16, 16, 3))
    model(x)
    with pytest.raises(ValueError, match="inside a loop"):
        tfxai.GradCAM(model, layer="conv")(x)
    assert np.abs(tfxai.Saliency(model)(x).values).max() > 0  # what needs no layer works


def endings():
    """Every way to end in a softmax or sigmoid, over the same logits."""

    def ending(last, activation=None):
        inputs = keras.Input((4,))
        logits = layers.Dense(3, activation=activation, kernel_initializer=keras.initializers.RandomNormal(seed=1))(
            inputs
        )
        return keras.Model(inputs, last(logits) if last else logits)

    class Subclass(layers.Layer):
        def call(self, x):
            return tf.nn.softmax(x)

    softmax, identity = keras.activations.softmax, layers.Activation("linear")
    nested = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), layers.Softmax()])
    return {
        "fused": ending(None, "softmax"),
        "Activation": ending(layers.Activation("softmax")),
        "Softmax layer": ending(layers.Softmax()),
        "ops": ending(keras.ops.softmax),
        "Lambda": ending(layers.Lambda(softmax)),
        "subclass": ending(Subclass()),
        "nested": ending(nested),
        "followed by identity": ending(lambda x: identity(layers.Reshape((3,))(layers.Softmax()(x)))),
        "sigmoid": ending(layers.Activation("sigmoid")),
        "fused sigmoid": ending(None, "sigmoid"),
        "log softmax": ending(layers.Activation("log_softmax")),
    }


@pytest.mark.parametrize("name", endings())
def test_the_last_activation_is_stepped_over(name):
    model = endings()[name]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    dense = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    logits = x @ dense.kernel.numpy() + dense.bias.numpy()
    explanation = tfxai.Saliency(model)(x, target=1)
    np.testing.assert_allclose(explanation.score, logits[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(explanation.values, np.tile(dense.kernel.numpy()[:, 1], (5, 1)), rtol=1e-5)
    probability = tfxai.Saliency(model, score="probability")(x, target=1)
    assert np.abs(probability.values - explanation.values).max() > 0.01  # the option has an effect
    total = 1 + np.exp(logits) if "sigmoid" in name else np.exp(logits).sum(1, keepdims=True)
    expected = np.exp(logits) / total
    np.testing.assert_allclose(probability.score, expected[:, 1], rtol=1e-5)


def test_probability_needs_a_last_activation(residual, x):
    with pytest.raises(ValueError, match="ends in a softmax or sigmoid"):
        tfxai.Saliency(residual, score="probability")(x)


def test_one_sigmoid_unit_is_two_classes_if_these_have_names():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid")])
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    w = model.layers[0].kernel.numpy()[:, 0]
    logits = x @ w
    for target, sign in ((1, 1), (0, -1)):
        explanation = tfxai.Saliency(model, classes=("no", "yes"))(x, target=target)
        np.testing.assert_allclose(explanation.score, sign * logits, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(explanation.values, np.tile(sign * w, (6, 1)), rtol=1e-5)
    np.testing.assert_array_equal(tfxai.Saliency(model, classes=("no", "yes"))(x).target, logits > 0)
    probability = tfxai.Saliency(model, score="probability", classes=("no", "yes"))(x, target=0).score
    np.testing.assert_allclose(probability, 1 - 1 / (1 + np.exp(-logits)), rtol=1e-4)
    with pytest.raises(ValueError, match="2 classes, 0 to 1"):
        tfxai.Saliency(model, classes=("no", "yes"))(x, target=2)


def state(model):
    """Everything about a model that must not change."""
    return (
        [w.numpy().copy() for w in model.weights],
        [
            (id(layer), layer.trainable, dict(vars(layer)).keys(), layer.__dict__.get("call"))
            for layer in model._flatten_layers()
        ],
        model.compiled,
        getattr(model, "optimizer", None),
        len(model.losses),
    )


def assert_same(before, after):
    for a, b in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert before[1:] == after[1:]


def changing_model():
    """A model with all that a careless pass would change: BatchNorm, Dropout, activity losses."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="relu", activity_regularizer="l2", name="conv")(inputs)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


CHANGING = {
    "saliency": {},
    "smooth_grad": {"samples": 2},
    "guided_backprop": {},
    "grad_cam": {},
    "score_cam": {},
    "ablation_cam": {},
    "occlusion": {"window": 8},
    "lrp": {},
    "guided_feature_inversion": {"inversion_steps": 2, "target_steps": 2},
}


@pytest.fixture(scope="module")
def changing():
    return changing_model()


@pytest.mark.parametrize("method", CHANGING)
def test_the_model_is_unchanged(changing, method, x):
    """By no way of using it; for all methods see test_explainer.py."""
    model = changing
    expected = model.predict(x, verbose=0)
    before = state(model)
    tfxai.explain(model, x, method, **CHANGING[method])
    assert_same(before, state(model))
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


def test_the_model_is_unchanged_after_a_failure(x):
    model = changing_model()
    before = state(model)

    def fail(outputs):
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        tfxai.GradCAM(model, layer="conv")(x, target=fail)
    assert_same(before, state(model))
    model.fit(x, np.arange(4) % 3, verbose=0)  # it still trains

    class Broken(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 3, name="conv")

        def call(self, x):
            y = self.conv(x)
            if not tf.executing_eagerly():
                raise RuntimeError("inside the model")
            return y

    broken = Broken()
    broken(x)
    with pytest.raises(RuntimeError, match="inside the model"):
        tfxai.GradCAM(broken, layer="conv")(x)
    assert "call" not in vars(broken.conv)


def test_dropped_models_are_freed(x):
    import gc
    import weakref

    model = networks.small()
    reference = weakref.ref(model)
    explainer = tfxai.GradCAM(model)
    explainer(x)
    del model, explainer
    gc.collect()
    assert reference() is None


def test_live_weights_are_used(x):
    model = networks.small()
    explainer = tfxai.Saliency(model)
    before = explainer(x, target=0).values
    model.get_layer("dense").kernel.assign(2 * model.get_layer("dense").kernel)
    np.testing.assert_allclose(explainer(x, target=0).values, 2 * before, rtol=1e-5)


@functools.cache
def exactly(method, **options):
    """In single precision."""
    inputs = networks.oracle("residual_inputs")
    return method(networks.known("residual"), **options)(inputs["x"], inputs["labels"])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy, x, labels):
    keras.config.set_dtype_policy(policy)
    try:
        model = networks.residual()
    finally:
        keras.config.set_dtype_policy("float32")
    methods = [tfxai.GuidedBackprop, tfxai.EigenCAM, tfxai.AblationCAM]
    if policy == "mixed_float16":
        methods += [tfxai.Saliency, tfxai.GradCAM, tfxai.CAM]
    for method in methods:
        ours, exact = method(model)(x, labels).values, exactly(method).values
        assert ours.dtype == np.float32
        correlation = np.corrcoef(ours.ravel(), exact.ravel())[0, 1]
        assert correlation > 0.98, method
    window = tfxai.Occlusion(model, window=4)(x, labels).values
    assert np.corrcoef(window.ravel(), exactly(tfxai.Occlusion, window=4).values.ravel())[0, 1] > 0.95


def test_sequential_without_input_is_refused_until_built():
    model = keras.Sequential([layers.Dense(3)])
    with pytest.raises(ValueError, match="Call it once on"):
        tfxai.layers(model)
    x = np.ones((2, 4), "float32")
    assert tfxai.Saliency(model)(x).values.shape == (2, 4)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(TypeError, match="Keras 3 model"):
        tfxai.Saliency(np.ones(3))
    with pytest.raises(ValueError, match="no model file"):
        tfxai.Saliency(tmp_path / "missing.keras")
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="Cannot load"):
        tfxai.Saliency(broken)
    with pytest.raises(ValueError, match=r"\.keras or \.h5"):
        tfxai.Saliency(tmp_path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_models_from_files(suffix, tmp_path, small, x):
    path = tmp_path / f"model{suffix}"
    small.save(path)
    np.testing.assert_allclose(tfxai.GradCAM(path)(x).values, tfxai.GradCAM(small)(x).values, rtol=1e-5)


def test_rerun_equals_running_the_edited_model(residual, x):
    view = open_model(residual)

    @tf.function(autograph=False)
    def edited(x):
        forward = view.forward(x, ["relu2"])
        layer = forward.read["relu2"]
        unchanged = graph.rerun(layer, layer, forward.outputs)
        return forward.outputs, unchanged, graph.rerun(layer, 2 * layer, forward.outputs)

    outputs, unchanged, doubled = edited(tf.constant(x))
    np.testing.assert_array_equal(outputs, unchanged)
    after = residual.get_layer("bn3")(residual.get_layer("conv3")(2 * read(residual, "relu2", x)))
    y = residual.get_layer("pool")(tf.nn.relu(read(residual, "relu1", x) + after))
    for name in ("conv4", "bn4", "relu4", "gap", "dense"):
        y = residual.get_layer(name)(y)
    np.testing.assert_allclose(doubled, y, rtol=1e-4, atol=1e-5)


def test_bypassed(residual, x):
    view = open_model(residual)
    found = {}

    @tf.function(autograph=False)
    def trace(x):
        for name in ("relu2", "relu3"):  # the skip connection passes by relu2
            forward = view.forward(x, [name])
            found[name] = graph.bypassed(forward.read[name], forward.outputs, [x])

    trace(tf.constant(x))
    assert found == {"relu2": True, "relu3": False}
