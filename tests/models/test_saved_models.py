"""SavedModels, which another process has exported, explained as the models from which they come."""

import contextlib
import functools
import subprocess
import sys

import exports
import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfxai

# One for each thing that a view does: gradients, loops of them, modified ones, layers read, the graph run again, plain
# passes.
METHODS = {
    "saliency": {},
    "integrated_gradients": {"steps": 5},
    "guided_backprop": {},
    "grad_cam": {},
    "ablation_cam": {},
    "occlusion": {"window": 8, "stride": 8},
}


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Folder with the SavedModels that `exports` writes."""
    folder = tmp_path_factory.mktemp("exported")
    subprocess.run([sys.executable, exports.__file__, str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def loaded(exported):
    """One of them by its name, loaded once."""
    return functools.cache(lambda name: tf.saved_model.load(str(exported / name)))


@pytest.fixture(scope="module")
def zoo():
    return exports.Zoo()


def agree(one, other, tolerance=1e-5):
    """Relative to the largest value, as the oracle's comparisons."""
    assert one.shape == other.shape
    assert np.abs(other).max() > 0
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max())


def gradient(function, x, of=lambda y: y):
    """Gradient of class 1 by a tape, through the module's own eager code."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = of(function(x))[:, 1]
    return tape.gradient(score, x).numpy()


def logits(zoo):
    """The zoo's head without its softmax."""
    return lambda h: tf.reduce_mean(h, [1, 2]) @ zoo.dense


# The same as the Keras model


# All on one network; on others those that look into it.
INTO = ["guided_backprop", "grad_cam", "ablation_cam"]
PAIRS = [("plain", method) for method in METHODS]
PAIRS += [(name, method) for name in ("nested", "subclassed") for method in INTO]


@functools.cache
def of_keras(name, method):
    x, labels = (networks.oracle("residual_inputs")[what] for what in ("x", "labels"))
    return tfxai.explain(networks.known(name), x, method, labels, **METHODS[method])


@pytest.mark.parametrize(("name", "method"), PAIRS)
def test_export_explains_as_its_keras_model(loaded, name, method, x, labels):
    expected = of_keras(name, method)
    found = tfxai.explain(loaded(name), x, method, labels, **METHODS[method])
    agree(found.values, expected.values)
    agree(found.score, expected.score)
    assert networks.settled(found.facts) == networks.settled(expected.facts)


@pytest.mark.parametrize("method", ["integrated_gradients", "guided_backprop", "grad_cam"])
def test_saved_model_of_a_keras_model_explains_as_the_model(loaded, method, x, labels):
    found = tfxai.explain(loaded("residual_saved"), x, method, labels, **METHODS[method])
    agree(found.values, of_keras("residual", method).values)


@pytest.mark.parametrize("name", ["squeezenet_v1_0", pytest.param("mobilenet_v2_224", marks=pytest.mark.nightly)])
def test_export_of_a_real_network_explains_as_the_network(data, name, tmp_path):
    model = keras.models.load_model(data / "models" / f"{name}.keras", compile=False)
    x = np.random.default_rng(0).normal(0, 50 if "squeeze" in name else 0.5, (2, *model.input_shape[1:])).astype("f")
    model.export(tmp_path, verbose=False)
    loaded = tf.saved_model.load(tmp_path)
    expected = tfxai.GuidedGradCAM(model)(x, target=[3, 700])
    found = tfxai.GuidedGradCAM(loaded)(x, target=[3, 700])
    agree(found.values, expected.values)
    assert networks.settled(found.facts) == networks.settled(expected.facts)
    listed = {layer.name: layer.shape for layer in tfxai.layers(loaded)}
    dropout = {layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)}  # leaves no trace
    assert listed == {layer.name: layer.shape for layer in tfxai.layers(model) if layer.name not in dropout}


def test_loaded_objects_are_explained_as_paths(exported, loaded, x, labels):
    by_object = tfxai.GradCAM(loaded("plain"))(x, labels)
    for path in (exported / "plain", str(exported / "plain")):
        np.testing.assert_array_equal(tfxai.GradCAM(path)(x, labels).values, by_object.values)


def test_weights_are_the_loaded_objects_own(exported, x, labels):
    changed = tf.saved_model.load(str(exported / "plain"))
    explainer = tfxai.GradCAM(changed)
    before = explainer(x, labels)
    dense = next(v for v in changed.signatures["serving_default"].variables if v.name.startswith("dense/kernel"))
    dense.assign(2 * dense)
    agree(explainer(x, labels).values, 2 * before.values)


def test_nothing_is_traced_again_for_another_class_or_number_of_rows(loaded, x):
    explainer = tfxai.GradCAM(loaded("plain"))
    explainer(x, 1)
    explainer(x[:1], 2)
    assert len(explainer._traces) == 1


# Layers


@pytest.mark.parametrize("name", ["plain", "residual", "nested"])
def test_layers_have_the_names_of_the_keras_model(loaded, name):
    expected = tfxai.layers(networks.known(name))
    found = tfxai.layers(loaded(name))
    assert [(layer.name, layer.shape) for layer in found] == [(layer.name, layer.shape) for layer in expected]


def test_layers_of_a_subclass_are_found_among_its_operations(loaded):
    expected = {layer.name: layer.shape for layer in tfxai.layers(networks.known("subclassed"))}
    found = {layer.name: layer.shape for layer in tfxai.layers(loaded("subclassed"))}
    assert expected.items() <= found.items()
    assert set(found) - set(expected) == {"block1/Relu", "block2/Relu", "add", "Relu"}


def test_numbers_in_names_are_kept_and_runs_of_shared_layers_are_numbered(loaded, x):
    shared = loaded("shared")
    names = [layer.name for layer in tfxai.layers(shared)]
    assert [name for name in names if name.startswith(("conv", "pool"))] == [
        "conv#0", "conv_1", "conv#1", "pool_7", "conv_2",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"'conv' is ambiguous: \['conv#0', 'conv#1'\]"):
        tfxai.GradCAM(shared, layer="conv")
    model = networks.known("shared")
    for layer in ("conv#0", "conv#1", "conv_1"):
        agree(tfxai.GradCAM(shared, layer=layer)(x).values, tfxai.GradCAM(model, layer=layer)(x).values)


RELU4 = [
    "backbone/top/relu4",
    "top/relu4",
    "relu4",
    "relu4/Relu",
    "nested/backbone/top/relu4",
    "nested_1/backbone_1/top_1/relu4_1/Relu",
]


def test_layers_are_found_by_the_end_of_their_names(loaded, residual, x, labels):
    view = tfxai.models.open_model(loaded("nested"))
    read = tf.function(lambda x: view.forward(x, RELU4).read, autograph=False)(tf.constant(x))
    expected = keras.Model(residual.input, residual.get_layer("relu4").output)(x).numpy()  # which it is written anew
    for name in RELU4:
        agree(read[name].numpy(), expected)
    found = tfxai.GradCAM(loaded("nested"), layer=RELU4[-1])(x, labels)
    agree(found.values, of_keras("nested", "grad_cam").values)


def test_layers_of_a_module_are_its_scopes(loaded):
    assert [tuple(layer) for layer in tfxai.layers(loaded("single"))] == [
        ("features", "Conv2D", (None, 16, 16, 4)),
        ("head", "Mean", (None, 5)),
    ]
    names = [layer.name for layer in tfxai.layers(loaded("zoo"), signature="nested")]
    assert names == ["features", "mul", "head"]


def test_unknown_layers_come_with_close_matches(exported):
    with pytest.raises(ValueError, match=r"Unknown layer 'relu_4'.*'relu4'"):
        tfxai.GradCAM(exported / "residual", layer="relu_4")
    with pytest.raises(TypeError, match="Expected the name of a layer"):
        tfxai.GradCAM(exported / "residual", layer=networks.known("residual").layers[3])


# Signatures, inputs, outputs


def test_signatures_are_chosen_by_name(exported, x):
    by_default = tfxai.Saliency(exported / "single")(x, 1)
    named = tfxai.Saliency(exported / "zoo", signature="plain")(x, 1)
    np.testing.assert_array_equal(named.values, by_default.values)
    with pytest.raises(ValueError, match=r"several of the SavedModel .*\['plain', 'nested'"):
        tfxai.Saliency(exported / "zoo")
    with pytest.raises(ValueError, match=r"one of \['only'\] of the SavedModel .*, got 'serve'"):
        tfxai.Saliency(exported / "single", signature="serve")
    with pytest.raises(ValueError, match="Only SavedModels have signatures"):
        tfxai.Saliency(networks.known("plain"), signature="serve")


def test_inputs_and_outputs_are_chosen_by_name(loaded, zoo, x):
    inputs = {"bias": np.ones((len(x), 5), "f"), "picture": x}
    doubled = tfxai.Saliency(loaded("zoo"), signature="two", output="doubled")(inputs, 1)
    with_bias = tfxai.Saliency(loaded("zoo"), signature="two", output="with_bias")(inputs, 1)
    expected = gradient(lambda x: logits(zoo)(zoo.features(x)), x)
    agree(doubled.values["picture"], 2 * expected)
    agree(with_bias.values["picture"], expected)
    np.testing.assert_array_equal(with_bias.values["bias"][:, 1], 1)
    assert not doubled.values["bias"].any()
    with pytest.raises(ValueError, match=r"2 outputs; expected output= to be one of \['doubled', 'with_bias'\]"):
        tfxai.Saliency(loaded("zoo"), signature="two")(inputs)
    last = [tfxai.layers(loaded("zoo"), output, "two")[-1].name for output in ("doubled", "with_bias")]
    assert last == ["mul", "add"]
    with pytest.raises(ValueError, match=r"Expected the inputs \['bias', 'picture'\]"):
        tfxai.Saliency(loaded("zoo"), signature="two", output="doubled")({"image": x, "bias": inputs["bias"]})


def test_a_fixed_batch_is_filled_up(loaded, x):
    fixed = tfxai.Saliency(loaded("zoo"), signature="fixed")(x[:3], 1, verbose=0)
    np.testing.assert_allclose(fixed.values, tfxai.Saliency(loaded("single"))(x[:3], 1).values, rtol=1e-5)


def test_objects_without_signatures_give_their_only_function(tmp_path, zoo, x):
    class Bare(tf.Module):
        @tf.function
        def __call__(self, x):
            return tf.reduce_mean(tf.square(x), [1, 2])

        @tf.function
        def other(self, x):
            return x

    bare = Bare()
    bare.__call__.get_concrete_function(tf.TensorSpec([None, 16, 16, 3]))
    tf.saved_model.save(bare, str(tmp_path / "bare"), signatures={})
    agree(tfxai.Saliency(tmp_path / "bare")(x, 1).values[..., 1], x[..., 1] / 128)
    bare.__call__.get_concrete_function(tf.TensorSpec([None, 8, 8, 3]))
    tf.saved_model.save(bare, str(tmp_path / "two"), signatures={})
    with pytest.raises(ValueError, match="to have signatures, but it has none"):
        tfxai.Saliency(tmp_path / "two")
    agree(tfxai.Saliency(tf.saved_model.load(str(tmp_path / "two")).__call__)(x, 1).values[..., 1], x[..., 1] / 128)


# What functions have inside


@pytest.mark.parametrize("signature", ["nested", "compiled", "loop", "condition", "lookup"])
def test_gradients_pass_calls_loops_and_conditions(loaded, zoo, signature, x):
    steps = {
        "nested": lambda h: 2 * h,
        "compiled": lambda h: h,
        "loop": lambda h: [h := h + tf.nn.relu(tf.sin(9 * h) - 0.2) for _ in range(3)][-1],
        "condition": lambda h: tf.nn.relu(tf.sin(9 * h)),
    }
    if signature == "lookup":  # the table's factor stands behind the softmax, so the probability is what is explained
        expected = gradient(lambda x: 2 * zoo.head(zoo.features(x)), x)
    else:
        expected = gradient(lambda x: logits(zoo)(steps[signature](zoo.features(x))), x)
    agree(tfxai.Saliency(loaded("zoo"), signature=signature)(x, 1).values, expected)


@pytest.mark.parametrize(("signature", "relus"), [("nested", 1), ("compiled", 1), ("loop", 2), ("condition", 2)])
def test_relus_are_bent_wherever_they_are(loaded, zoo, signature, relus, x):
    @tf.custom_gradient
    def guided(x):
        y = tf.nn.relu(x)
        return y, lambda g: tf.where(x > 0, tf.nn.relu(g), 0.0)

    def features(x):
        return guided(tf.nn.conv2d(x, zoo.kernel, 1, "SAME"))

    steps = {
        "nested": lambda h: 2 * h,
        "compiled": lambda h: h,
        "loop": lambda h: [h := h + guided(tf.sin(9 * h) - 0.2) for _ in range(3)][-1],
        "condition": lambda h: guided(tf.sin(9 * h)),
    }
    found = tfxai.GuidedBackprop(loaded("zoo"), signature=signature)(x, 1)
    assert found.facts["modified_relus"] == relus
    agree(found.values, gradient(lambda x: logits(zoo)(steps[signature](features(x))), x))


def test_custom_gradients_that_were_saved_are_used(exported, zoo, x):
    z = np.round(9 * x)
    expected = 9 * (9 * x) ** 2 * 3 * gradient(lambda z: logits(zoo)(zoo.features(z)), z)
    agree(tfxai.Saliency(exported / "custom")(x, 1).values, expected)


def test_silu_has_its_gradient(loaded, x):
    model = networks.known("shared")
    agree(tfxai.Saliency(loaded("shared"))(x).values, tfxai.Saliency(model)(x).values)


def test_custom_gradients_that_were_not_saved_are_refused(exported, x):
    model = saved_model_pb2.SavedModel.FromString((exported / "custom_unsaved" / "saved_model.pb").read_bytes())
    nodes = [node for body in model.meta_graphs[0].graph_def.library.function for node in body.node_def]
    names = {node.attr["_gradient_op_type"].s.decode() for node in nodes if "_gradient_op_type" in node.attr}
    assert len([name for name in names if name.startswith("CustomGradient-")]) == 2
    for name in names:  # names are numbers: let strangers in this process have taken them
        with contextlib.suppress(KeyError):
            tf.RegisterGradient(name)(lambda op, *signals: [tf.zeros_like(x) for x in op.inputs])
    with pytest.raises(ValueError, match=r"cannot be followed.*experimental_custom_gradients=True"):
        tfxai.Saliency(exported / "custom_unsaved")(x)
    for method in ("grad_cam", "occlusion"):  # the custom gradient lies below the last layer
        expected = tfxai.explain(exported / "custom", x, method)
        agree(tfxai.explain(exported / "custom_unsaved", x, method).values, expected.values)


def test_operations_without_gradient_are_named(exported, x):
    with pytest.raises(ValueError, match=r"cannot be differentiated: .*AdjustContrastv2"):
        tfxai.Saliency(exported / "no_gradient")(x)
    assert tfxai.RISE(exported / "no_gradient", masks=10)(x).values.shape == x.shape[:3]


def test_rounding_stops_gradients(loaded, x):
    with pytest.raises(ValueError, match="no gradient path"):
        tfxai.Saliency(loaded("zoo"), signature="rounding")(x)
    assert tfxai.GradCAM(loaded("zoo"), signature="rounding")(x).values.any()


def test_bytes_are_explained_by_layers_and_by_perturbation(loaded, zoo):
    x = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    model, options = loaded("zoo"), {"signature": "bytes"}
    noisy = tfxai.SmoothGrad(tfxai.GradCAM(model, **options), noise=1e-4, samples=2)  # less than rounding keeps
    np.testing.assert_allclose(noisy(x, 1).values, tfxai.GradCAM(model, **options)(x, 1).values, rtol=1e-5)
    as_floats = {"saliency": {}, "grad_cam": {}, "occlusion": {"fill": 100.0}, "rise": {"masks": 6}, "score_cam": {}}
    for method, more in as_floats.items():
        found = tfxai.explain(model, x, method, 1, **options, **more)
        # rounding to bytes is the only difference to the same network on floats
        expected = tfxai.explain(tf.function(lambda x: zoo.head(zoo.features(x / 255))), x, method, 1, **more)
        agree(found.values, expected.values, 0.02)


def test_strings_are_refused(loaded):
    with pytest.raises(TypeError, match=r"takes strings as input 'words'.*another signature"):
        tfxai.Occlusion(loaded("zoo"), signature="strings")(np.array(["a", "b"]))


def test_graphs_of_tensorflow_1(exported, zoo, x, rewritten):  # TensorFlow does not run these loops as they are
    model = exported / "tensorflow_1"
    agree(tfxai.Saliency(model, output="scores")(x, 1).values, gradient(lambda x: logits(zoo)(zoo.features(x)), x))
    assert tfxai.GradCAM(model, output="scores")(x).facts["layer"] == "Relu6"
    assert tfxai.GradCAM(model, output="scores", layer="Net/Relu6").reads == ("Net/Relu6",)
    assert tfxai.GuidedBackprop(model, output="scores")(x).facts["modified_relus"] == 1
    for method in (tfxai.Saliency, tfxai.GuidedBackprop, tfxai.GradCAM):
        with pytest.raises(ValueError, match="loops or conditions of TensorFlow 1"):
            method(model, output="looped")(x)
    drops = tfxai.Occlusion(model, output="looped", window=8, stride=8)(x, 1)
    fourth = tfxai.Occlusion(model, output="scores", score="probability", window=8, stride=8)
    covered = fourth(x, lambda p: p[:, 1] ** 4)
    agree(drops.values, covered.values)


# Paths


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no model file"):
        tfxai.Saliency(tmp_path / "absent")
    with pytest.raises(ValueError, match="folder of a SavedModel, got"):
        tfxai.Saliency(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="Cannot load the SavedModel"):
        tfxai.Saliency(tmp_path)


def test_views_hold_no_copy_of_the_weights(loaded):
    explainer = tfxai.GradCAM(loaded("residual"))
    explainer(np.zeros((1, 16, 16, 3), "f"))
    own = {id(v.handle) for v in loaded("residual").signatures["serving_default"].variables}
    step = next(iter(explainer._traces.values()))._step
    captured = [t for t in step.captured_inputs if t.dtype == tf.resource]
    assert {id(t) for t in captured} <= own
    big = [op for op in step.graph.get_operations() if op.type == "Const" and op.outputs[0].shape.num_elements() > 64]
    assert not big
