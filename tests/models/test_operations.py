"""The vocabulary of operations: that they exist, do what their sets say, and that those who ask know all of them."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

import tfxai
from tfxai.models import open_model, operations
from tfxai.models.blocks import default_layers
from tfxai.models.signs import is_nonnegative

SETS = {name: value for name, value in vars(operations).items() if isinstance(value, frozenset)}
RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, size=(4, 6)).astype("float32")
IMAGES = RNG.normal(size=(2, 8, 8, 3)).astype("float32")
KERNEL = RNG.normal(size=(3, 3, 3, 4)).astype("float32")
WEIGHTS = np.tile(RNG.normal(size=(1, 4, 5)), (2, 1, 1)).astype("float32")  # the same for each row
OF_ONE_KIND = operations.ARITHMETIC - operations.FAKE_QUANTIZATIONS - {"AddN", "BiasAdd"}


@pytest.mark.parametrize("name", SETS)
def test_tensorflow_has_all_operations(name):
    assert [one for one in SETS[name] if op_def_registry.get(one) is None] == []


def run(name, *inputs, **attributes):
    """The first output of an operation."""

    @tf.function(autograph=False)
    def computed(*inputs):
        types = {key: tf.as_dtype(value).as_datatype_enum for key, value in attributes.items()}
        attrs = {key: tf.compat.v1.AttrValue(type=value) for key, value in types.items()}
        return tf.compat.v1.get_default_graph().create_op(name, list(inputs), attrs=attrs).outputs[0]

    return computed(*map(tf.constant, inputs)).numpy()


@pytest.mark.parametrize("name", sorted(OF_ONE_KIND))
def test_elementwise_operations_take_each_number_by_itself(name):
    count = len(op_def_registry.get(name).input_arg)
    order = np.random.default_rng(0).permutation(X.size)
    rest = [X[::-1].copy()] * (count - 1) if name != "ClipByValue" else [np.float32(0.2), np.float32(0.5)]
    shuffled = [x.ravel()[order].reshape(X.shape) if x.ndim else x for x in (X, *rest)]
    np.testing.assert_array_equal(run(name, *shuffled).ravel(), run(name, X, *rest).ravel()[order])


@pytest.mark.parametrize("name", sorted(operations.PASSING | operations.HANDING_ON - {"IdentityN"}))
def test_passing_operations_hand_on_their_first_input(name):
    beside = {"ExpandDims": [np.int32(1)], "Reshape": [np.int32([6, 4])], "Transpose": [np.int32([0, 1])]}.get(name, [])
    types = {"SrcT": tf.float32, "DstT": tf.float64} if name == "Cast" else {}
    if name == "EnsureShape":
        assert tf.raw_ops.EnsureShape(input=X, shape=[4, None]).numpy().tolist() == X.tolist()
    else:
        np.testing.assert_array_equal(run(name, X, *beside, **types).ravel(), X.ravel())


def scored(images, product):
    """A classifier: a convolution, a ReLU and what the tests vary."""
    maps = tf.nn.relu(tf.nn.conv2d(images, KERNEL, 2, "VALID"))
    return product(tf.reshape(maps, [2, 9, 4]))


def multiplied(kind, a):
    types = {"Tout": tf.float32} if kind == "BatchMatMulV3" else {}
    return getattr(tf.raw_ops, kind)(x=a, y=tf.constant(WEIGHTS), **types)


@pytest.mark.parametrize("kind", ["BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"])
def test_products_of_all_versions_are_blocks_and_share_relevance(kind):
    signature = [tf.TensorSpec([2, 8, 8, 3])]

    def model(kind):
        return tf.function(lambda x: tf.reduce_mean(scored(x, partial(multiplied, kind)), 1), input_signature=signature)

    found, expected = (tfxai.LRP(model(one))(IMAGES, 1, verbose=0).values for one in (kind, "BatchMatMulV2"))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)

    def deeper(x):
        hidden = scored(x, lambda a: tf.nn.relu(multiplied(kind, a)))
        return tf.matmul(tf.reduce_mean(hidden, 1), np.eye(5, 3, dtype="float32"))

    deep = open_model(tf.function(deeper, input_signature=signature))
    kinds = {layer.name: layer.kind for layer in deep.layers()}
    assert [kinds[name] for name in default_layers(deep, IMAGES)] == ["Relu", "Relu"]


@pytest.mark.parametrize("method", [tfxai.LRP, tfxai.DeepLift])
def test_poolings_of_all_versions_share_relevance(method):
    def model(pool):
        def call(x):
            pooled = pool(input=tf.nn.conv2d(x, KERNEL, 1, "VALID"), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1])
            return tf.matmul(tf.reshape(pooled, [-1, 36]), np.ones((36, 3), "float32"))

        return tf.function(call, input_signature=[tf.TensorSpec([None, 8, 8, 3])])

    pools = (partial(pool, padding="VALID") for pool in (tf.raw_ops.MaxPoolV2, tf.raw_ops.MaxPool))
    found, expected = (method(model(pool))(IMAGES, 1, verbose=0).values for pool in pools)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])
def test_norms_of_all_versions_belong_to_their_block(kind):
    ones = np.ones(4, "float32")

    def call(x):
        z = tf.nn.conv2d(x, KERNEL, 1, "VALID")
        z = getattr(tf.raw_ops, kind)(x=z, scale=ones, offset=ones, mean=ones, variance=ones, is_training=False)[0]
        return tf.reduce_mean(tf.nn.relu(z), [1, 2]) @ np.ones((4, 3), "float32")

    view = open_model(tf.function(call, input_signature=[tf.TensorSpec([None, 8, 8, 3])]))
    kinds = {layer.name: layer.kind for layer in view.layers()}
    assert [kinds[name] for name in default_layers(view, IMAGES)] == ["Relu"]


def test_rounding_by_channel_keeps_the_place():
    def call(x):
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(x, [-1.0] * 3, [1.0] * 3)
        return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(rounded, KERNEL, 1, "VALID")), [1, 2])

    function = tf.function(call, input_signature=[tf.TensorSpec([None, 8, 8, 3])])
    assert tfxai.receptive_field(function, "Relu").size == (3, 3)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=1.0), True),
        (lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-1.0), False),
        (lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "VALID")[0], True),
        (lambda x: tf.split(tf.stop_gradient(x), 2, 1)[1], True),
        (lambda x: tf.nn.depth_to_space(tf.gather(x, [0, 0, 1, 2], axis=3), 2), True),
        (lambda x: tf.reduce_prod(x, 1), True),
        (lambda x: tf.image.resize(x, [16, 16], "bicubic"), False),
        (lambda x: x - 1, False),
        (lambda x: tf.nn.tanh(x), False),
    ],
)
def test_what_keeps_numbers_from_being_negative(made, expected):
    said = []

    @tf.function(autograph=False)
    def look(x):
        said.append(is_nonnegative(made(tf.nn.relu(x))))

    look.get_concrete_function(tf.TensorSpec([2, 8, 8, 3]))
    assert said == [expected]
