"""What an explanation is about: logits that are logits, outputs as the model gives them, numbers without a guess."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfxai
from tfxai.targets import Rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype("float32")
IMAGES = RNG.uniform(size=(4, 12, 12, 3)).astype("float32")


def pooled(*head):
    convolution = layers.Conv2D(4, 3, activation="relu")
    return keras.Sequential([keras.Input((12, 12, 3)), convolution, layers.GlobalAveragePooling2D(), *head])


def soft(classes):
    return layers.Dense(classes, activation="softmax")


def slopes(score, x):
    """Gradients of the scores, by a tape."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = tf.reduce_sum(score(x))
    return tape.gradient(found, x).numpy()


def divided(e):
    return e / ops.sum(e, -1, keepdims=True)


def by_hand(z):
    return divided(ops.exp(z))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return pooled(soft(5))


@pytest.fixture(scope="module")
def unit():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid")])


@pytest.fixture(scope="module")
def two():
    return keras.Sequential([keras.Input((4,)), soft(2)])


class Inside(layers.Layer):
    """The linear layer and its softmax, both within one function."""

    def __init__(self, dense):
        super().__init__()
        self.dense = dense

    @tf.function
    def call(self, x):
        return tf.nn.softmax(self.dense(x))


@tf.function(jit_compile=True)
def compiled_softmax(z):
    return tf.nn.softmax(z)


# From logits (n, k) to probabilities; and what the logits of these are.
ENDS = {
    "by hand": (3, by_hand, lambda z: z),
    "by hand, steady": (3, lambda z: divided(ops.exp(z - ops.max(z, -1, keepdims=True))), lambda z: z),
    "of logsumexp": (3, lambda z: ops.exp(z - ops.logsumexp(z, -1, keepdims=True)), lambda z: z),
    "with a temperature": (3, lambda z: by_hand(z / 2.5), lambda z: z / 2.5),
    "with a temperature behind": (3, lambda z: divided(ops.softmax(z) ** 0.5), lambda z: z / 2),
    "clipped": (3, lambda z: ops.clip(ops.softmax(z), 1e-7, 1 - 1e-7), lambda z: z),
    "compiled function": (3, layers.Lambda(compiled_softmax), lambda z: z),
    "one class of two": (2, lambda z: ops.softmax(z)[:, 1:], lambda z: z[:, 1:] - z[:, :1]),
    "sigmoid by hand": (3, lambda z: 1 / (1 + ops.exp(-z)), lambda z: z),
    "tanh": (3, lambda z: 0.5 * (1 + ops.tanh(z / 2)), lambda z: z),
    "tf.math in a Lambda": (3, layers.Lambda(lambda z: tf.clip_by_value(tf.math.sigmoid(z), 1e-6, 1)), lambda z: z),
    "a sigmoid and its rest": (
        1,
        lambda z: ops.concatenate([1 - ops.sigmoid(z), ops.sigmoid(z)], -1),
        lambda z: ops.concatenate([-z, z], -1),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_logits_are_found_behind_a_softmax_however_it_is_written(name):
    units, end, expected = ENDS[name]
    inputs = keras.Input((4,))
    z = layers.Dense(units, bias_initializer="ones")(inputs)
    model, logits = keras.Model(inputs, end(z)), keras.Model(inputs, expected(z))
    logit, probability = (tfxai.Saliency(model, score=score)(X, 1) for score in (None, "probability"))
    last = min(1, logits.output_shape[-1] - 1)
    np.testing.assert_allclose(logit.score, logits(X)[:, last], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(logit.values, slopes(lambda x: logits(x)[:, last], X), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(probability.score, model(X)[:, last], rtol=1e-5)
    assert (logit.facts["score"], probability.facts["score"]) == ("logit", "probability")


@pytest.mark.parametrize("kind", ["layer", "function", "saved"])
def test_logits_are_found_inside_functions(kind, tmp_path):
    dense = layers.Dense(3)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Inside(dense)(inputs) if kind == "layer" else by_hand(dense(inputs)))
    given = model
    if kind == "function":
        given = tf.function(lambda x: compiled_softmax(dense(x)))
    elif kind == "saved":
        model.export(tmp_path / "saved", verbose=False)
        given = tmp_path / "saved"
    np.testing.assert_allclose(tfxai.Saliency(given)(X, 2).score, dense(X)[:, 2], rtol=1e-4, atol=1e-5)


def test_each_step_of_a_series_has_its_logits():
    rng = np.random.default_rng(1)
    inputs = keras.Input((5, 4))
    dense = layers.Dense(3, activation="softmax")
    model = keras.Model(inputs, layers.TimeDistributed(dense)(inputs))
    x = rng.normal(size=(2, 5, 4)).astype("float32")
    found = tfxai.Saliency(model, score="logit")(x, lambda z: z[:, 4, 1])
    np.testing.assert_allclose(found.score, (x @ dense.kernel.numpy())[:, 4, 1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tfxai.Saliency(model)(x, lambda p: p[:, 4, 1]).score, model(x)[:, 4, 1], rtol=1e-5)


def average(mix):
    inputs = keras.Input((4,))
    members = [layers.Dense(3, activation="softmax")(inputs), by_hand(layers.Dense(3)(inputs))]
    return keras.Model(inputs, mix(members))


@pytest.mark.parametrize(
    "mix",
    [layers.Average(), lambda both: 0.2 * both[0] + 0.8 * ops.mean(ops.stack(both), 0)],
    ids=["Average", "weighted"],
)
def test_an_average_of_probabilities_is_one(mix):
    model = average(mix)
    for score in (None, "probability"):
        found = tfxai.Saliency(model, score=score)(X, 1)
        assert found.facts["score"] == "probability"
        np.testing.assert_allclose(found.score, model(X)[:, 1], rtol=1e-5)
    with pytest.raises(ValueError, match=r'score="logit" needs .* probabilities whose logits are not known'):
        tfxai.Saliency(model, score="logit")(X, 1)


@pytest.mark.parametrize(
    "end",
    [ops.relu, ops.tanh, ops.exp, ops.silu, lambda z: 100 * ops.softmax(z), lambda z: ops.clip(z, 0, 1)],
    ids=["relu", "tanh", "exp", "silu", "percent", "clip"],
)
def test_what_is_not_known_is_called_an_output(end):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, end(layers.Dense(3, bias_initializer="ones")(inputs)))
    found = tfxai.Saliency(model)(X, 1)
    assert found.facts["score"] == "output"
    np.testing.assert_allclose(found.score, model(X)[:, 1], rtol=1e-5)
    for score in ("logit", "probability"):
        with pytest.raises(ValueError, match=f'score="{score}" needs'):
            tfxai.Saliency(model, score=score)(X, 1)


@pytest.mark.parametrize(
    "end",
    [lambda z: z, layers.BatchNormalization(), layers.Rescaling(3.0, 1.0), lambda z: ops.reshape(z, (-1, 3))],
    ids=["linear", "normalised", "scaled", "reshaped"],
)
def test_a_linear_end_is_called_a_logit(end):
    inputs = keras.Input((4,))
    found = tfxai.Saliency(keras.Model(inputs, end(layers.Dense(3)(inputs))), score="logit")(X, 1)
    assert (found.facts["score"], found.facts["target"]) == ("logit", "output")


def test_inversion_of_an_average_goes_by_its_probabilities():
    rng = np.random.default_rng(1)
    inputs = keras.Input((16, 16, 3))
    maps = layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
    both = [soft(3)(layers.GlobalAveragePooling2D()(maps)) for _ in range(2)]
    x = rng.uniform(size=(1, 16, 16, 3)).astype("float32")
    options = {"stages": "target", "channels": "activations", "target_steps": 1, "layer": "maps"}
    one, same = (
        tfxai.GuidedFeatureInversion(keras.Model(inputs, end), **options)(x, 1).values
        for end in (both[0], layers.Average()([both[0], both[0]]))
    )
    np.testing.assert_allclose(one, same, atol=1e-4)
    with pytest.raises(ValueError, match="Say with head="):
        tfxai.GuidedFeatureInversion(keras.Model(inputs, ops.tanh(both[0])), **options)(x, 1)


class TestFunctions:
    """A function as target is given the outputs of the model."""

    @pytest.mark.parametrize("wrap", [lambda e: e, lambda e: tfxai.SmoothGrad(e, samples=2, noise=0)])
    def test_outputs_as_the_model_gives_them(self, model, wrap):
        found = wrap(tfxai.Saliency(model))(IMAGES, lambda p: p[:, 2])
        np.testing.assert_allclose(found.score, model(IMAGES)[:, 2], rtol=1e-5)
        np.testing.assert_allclose(found.values, slopes(lambda x: model(x)[:, 2], IMAGES), rtol=1e-3, atol=1e-7)
        assert (found.facts["score"], found.facts["target"]) == ("probability", "function")

    @pytest.mark.parametrize("method", ["guided_grad_cam", "rise", "deep_lift"])
    def test_for_every_method(self, model, method):
        options = {"rise": {"masks": 3}, "occlusion": {"window": 6, "stride": 6}}.get(method, {})
        found = tfxai.explain(model, IMAGES, method, lambda p: p[:, 2] - p[:, 3], **options)
        np.testing.assert_allclose(found.score, model(IMAGES)[:, 2] - model(IMAGES)[:, 3], rtol=1e-4)

    def test_logits_if_asked_for(self, model):
        expected = tf.math.log(model(IMAGES)[:, 2] / model(IMAGES)[:, 3])
        found = tfxai.Saliency(model, score="logit")(IMAGES, lambda z: z[:, 2] - z[:, 3])
        np.testing.assert_allclose(found.score, expected, rtol=1e-3, atol=1e-6)
        assert found.facts["score"] == "logit"
        with pytest.raises(ValueError, match='score="logit" needs'):
            tfxai.Saliency(average(layers.Average()), score="logit")(X, lambda z: z[:, 0])

    def test_log_probabilities_stay(self):
        model = pooled(layers.Dense(5, activation="log_softmax"))
        found = tfxai.Saliency(model)(IMAGES, lambda logs: logs[:, 2])
        np.testing.assert_allclose(found.score, model(IMAGES)[:, 2], rtol=1e-5)
        assert found.facts["score"] == "output"

    def test_every_spelling_of_a_model(self, model, tmp_path):
        model.export(tmp_path / "saved", verbose=False)
        for given in (tf.function(model), tmp_path / "saved"):
            found = tfxai.Saliency(given)(IMAGES, lambda p: p[:, 2])
            np.testing.assert_allclose(found.score, model(IMAGES)[:, 2], rtol=1e-5)

    def test_a_logarithm_of_nothing_is_told(self):
        with pytest.raises(ValueError, match=r"NaN.*target function"):
            tfxai.Saliency(pooled(layers.Dense(2)))(IMAGES, lambda z: tf.math.log(z[:, 0] - 99))

    def test_neurons_say_that_they_are_activations(self, model):
        neuron = tfxai.targets.Channel(model.layers[0].name, 1)
        assert tfxai.Saliency(model, score="logit")(IMAGES, neuron).facts["score"] == "activation"


def cross_entropy(p, labels):
    return -tf.math.log(tf.gather(p, labels, batch_dims=1))


class TestRows:
    """What a target needs to know of each input."""

    labels = np.array([2, 0, 4, 1])

    @pytest.mark.parametrize("method", ["smooth_grad", "integrated_gradients", "ablation_cam", "occlusion"])
    def test_each_input_has_its_own_whatever_the_batch(self, model, method):
        options = {
            "smooth_grad": {"samples": 3},
            "integrated_gradients": {"steps": 4},
            "occlusion": {"window": 6, "stride": 6},
        }.get(method, {})
        explainer = tfxai.methods("decision")[method](model, **options)
        whole = explainer(IMAGES, Rows(cross_entropy, self.labels))
        np.testing.assert_allclose(whole.score, cross_entropy(model(IMAGES), self.labels), rtol=1e-4)
        parts = explainer.explain(IMAGES, Rows(cross_entropy, self.labels), batch_size=3, verbose=0)
        np.testing.assert_allclose(parts.values, whole.values, rtol=1e-3, atol=1e-6)
        alone = explainer(IMAGES[2:3], Rows(cross_entropy, self.labels[2:3]))
        np.testing.assert_allclose(alone.values, whole.values[2:3], rtol=1e-3, atol=1e-6)
        assert (whole.target, whole.facts["target"]) == ("cross_entropy", "function")

    def test_streams_and_fixed_batches(self, model):
        expected = tfxai.Saliency(model)(IMAGES, Rows(cross_entropy, self.labels)).values
        stream = tf.data.Dataset.from_tensor_slices(IMAGES).batch(3)
        found = tfxai.Saliency(model).explain(stream, Rows(cross_entropy, self.labels), verbose=0)
        np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-6)
        inputs = keras.Input(batch_shape=(3, 12, 12, 3))
        found = tfxai.Saliency(keras.Model(inputs, model(inputs)))(IMAGES, Rows(cross_entropy, self.labels))
        np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-6)
        with pytest.raises(ValueError, match="each of the 4 inputs, got 3"):
            tfxai.Saliency(model)(IMAGES, Rows(cross_entropy, self.labels[:3]))

    def test_an_error_of_reconstruction(self):
        rng = np.random.default_rng(1)
        inputs = keras.Input((5, 3))
        model = keras.Model(inputs, layers.Dense(3)(layers.LSTM(4, return_sequences=True)(inputs)))
        x = rng.normal(size=(3, 5, 3)).astype("float32")
        error = Rows(lambda outputs, clean: tf.reduce_mean((outputs - clean) ** 2, [1, 2]), x)
        found = tfxai.IntegratedGradients(model, steps=8)(x, error)
        np.testing.assert_allclose(found.score, ((model(x) - x) ** 2).numpy().mean((1, 2)), rtol=1e-4)
        assert np.abs(found.extras["completeness_gap"]).max() < 1e-3

    def test_resampling(self, model):
        x = np.repeat(IMAGES, 2, 1).repeat(2, 2)[:, :12, :12]
        found = tfxai.InputResampling(model, samples=4, relative=True)(
            x[:2], Rows(cross_entropy, self.labels[:2]), verbose=0
        )
        np.testing.assert_allclose(found.score, cross_entropy(model(x[:2]), self.labels[:2]), rtol=1e-4)

    @pytest.mark.parametrize("method", ["smooth_grad", "saliency"])
    def test_a_function_that_holds_a_batch_is_told_how_to(self, model, method):
        def loss(p):
            return tf.reduce_sum((p - tf.one_hot(self.labels, 5)) ** 2, 1)

        explainer = tfxai.methods("decision")[method](model)
        with pytest.raises(ValueError, match=r"'loss'.*treat every row alike.*Rows") as raised:
            explainer.explain(IMAGES, loss, batch_size=3, verbose=0)
        assert len(str(raised.value)) < 500
        assert "\n" not in str(raised.value)
        with pytest.raises(ValueError, match=r"'loss'.*returns 4 scores"):
            explainer.explain(np.concatenate([IMAGES, IMAGES]), loss, batch_size=4, verbose=0)

    def test_a_function_that_does_not_fit_the_outputs_is_told(self, model):
        def wrong(p):
            return p @ tf.ones([3, 1])

        with pytest.raises(ValueError, match="The target function 'wrong' failed"):
            tfxai.Saliency(model)(IMAGES, wrong)

    def test_arrays_must_fit(self):
        with pytest.raises(ValueError, match="a row for each input"):
            Rows(cross_entropy, [1, 2], [1, 2, 3])
        with pytest.raises(TypeError, match="function"):
            Rows([1, 2])


class TestOneUnit:
    """One output unit is a class or a quantity, and its sign is not guessed."""

    names = ("no", "yes")

    @pytest.mark.parametrize(
        ("target", "method"), [(0, "saliency"), ([0] * 6, "smooth_grad"), ([[0]] * 6, "deep_lift")]
    )
    def test_zero_alone_is_refused(self, unit, method, target):
        with pytest.raises(ValueError, match=r'may mean class 0 .* classes=\("no", "yes"\).* target=1'):
            tfxai.explain(unit, X, method, target)

    @pytest.mark.parametrize("target", [None, 1])
    @pytest.mark.parametrize("score", [None, "probability"])
    def test_the_unit_itself(self, unit, target, score):
        found = tfxai.Saliency(unit, score=score)(X, target)
        p = unit(X)[:, 0].numpy()
        np.testing.assert_allclose(found.score, p if score else np.log(p / (1 - p)), rtol=1e-3, atol=1e-5)
        expected = slopes(lambda x: unit(x)[:, 0], X)
        assert (np.sum(found.values * expected, 1) > 0).all()
        assert found.facts["target"] == "only output"
        assert found.label(0) == "output"

    def test_named_classes_are_opposite_and_one_is_predicted(self, unit):
        explainer = tfxai.Saliency(unit, classes=self.names)
        yes, no, predicted = (explainer(X, target) for target in ("yes", 0, None))
        np.testing.assert_allclose(no.values, -yes.values)
        np.testing.assert_array_equal(predicted.target, unit(X)[:, 0] > 0.5)
        assert {one.facts["target"] for one in (yes, no, predicted)} == {"class"}

    def test_labels_tell_that_there_are_two_classes(self, unit):
        labels = np.array([0, 1, 1, 0, 1, 0])
        found = tfxai.Saliency(unit).explain(X, labels, batch_size=1, verbose=0)  # batches of zeros alone
        expected = np.where(labels, 1, -1)[:, None] * unit.layers[-1].kernel.numpy()[:, 0]
        np.testing.assert_allclose(found.values, expected, rtol=1e-5)
        assert found.facts["target"] == "class"

    def test_one_name_makes_it_an_output(self, unit):
        explainer = tfxai.Saliency(unit, score="probability", classes=("ripeness",))
        for target in (0, None, "ripeness"):
            np.testing.assert_allclose(explainer(X, target).score, unit(X)[:, 0], rtol=1e-5)

    def test_wrappers_and_parts_agree(self):
        model = pooled(layers.Dense(1, activation="sigmoid"))
        guided, smooth = (
            (kind(wrapped(model, classes=self.names)) if kind else wrapped(model, classes=self.names))
            for kind, wrapped in ((None, tfxai.GuidedGradCAM), (tfxai.SmoothGrad, tfxai.Saliency))
        )
        for explainer in (guided, smooth):
            zero, one = (explainer(IMAGES, target) for target in (0, 1))
            np.testing.assert_allclose(zero.score, -one.score)
        np.testing.assert_allclose(smooth(IMAGES, 0).values, -smooth(IMAGES, 1).values, rtol=1e-5)

    def test_a_linear_unit_is_two_classes_if_they_have_names(self):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
        z = model(X)[:, 0].numpy()
        explainer = tfxai.Saliency(model, classes=self.names)
        np.testing.assert_allclose(explainer(X, "no").score, -z, rtol=1e-5)
        np.testing.assert_array_equal(explainer(X).target, z > 0)
        np.testing.assert_allclose(tfxai.Saliency(model)(X, 0).score, z, rtol=1e-5)
        with pytest.raises(ValueError, match="1 is out of range"):
            tfxai.Saliency(model)(X, 1)

    def test_names_of_two_classes_need_a_logit_or_a_probability(self):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="tanh")])
        np.testing.assert_allclose(tfxai.Saliency(model)(X, 0).score, model(X)[:, 0], rtol=1e-5)
        with pytest.raises(ValueError, match="cannot tell"):
            tfxai.Saliency(model, classes=self.names)(X, 0)
        with pytest.raises(ValueError, match="two classes"):
            tfxai.Occlusion(lambda x: x[:, :1], classes=self.names, window=2)(X, 0)

    def test_averages_of_sigmoids(self):
        inputs = keras.Input((4,))
        members = [layers.Dense(1, activation="sigmoid")(inputs) for _ in range(2)]
        model = keras.Model(inputs, layers.Average()(members))
        with pytest.raises(ValueError, match="may mean class 0"):
            tfxai.Saliency(model)(X, 0)
        np.testing.assert_allclose(tfxai.Saliency(model)(X).score, model(X)[:, 0], rtol=1e-5)
        zero = tfxai.Saliency(model, classes=self.names)(X, 0)
        np.testing.assert_allclose(zero.score, 1 - model(X)[:, 0], rtol=1e-5)

    def test_images_that_show_the_class(self, unit):
        """There, numbers are classes by name."""
        rising, falling = (
            tfxai.ActivationMaximization(unit, tfxai.objectives.class_score(target), boxed="clip", seed=0)
            for target in (1, 0)
        )
        assert rising().score > 0
        assert falling().score > 0


class TestLabels:
    """Labels that are no class ids."""

    @pytest.mark.parametrize("kind", [int, np.uint8, float, bool])
    @pytest.mark.parametrize("classes", [2, 3])
    def test_one_hot_rows_are_refused(self, kind, classes):
        model = keras.Sequential([keras.Input((4,)), soft(classes)])
        labels = np.eye(classes, dtype=kind)[[0, 1, 1, 0, 1, 1]]
        with pytest.raises((TypeError, ValueError), match=r"argmax\(axis=1\)"):
            tfxai.Saliency(model)(X, labels)

    def test_also_of_one_unit_and_by_resampling(self):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid")])
        with pytest.raises(ValueError, match=r"argmax\(axis=1\).*target=0 and target=1"):
            tfxai.Saliency(model, classes=("no", "yes"))(X, [[0, 1]] * 6)
        with pytest.raises(ValueError, match=r"argmax\(axis=1\)"):
            tfxai.InputResampling(pooled(soft(2)), samples=3)(IMAGES, np.eye(2, dtype=int)[[0, 1, 1, 0]], verbose=0)

    def test_several_classes_stay_possible(self):
        model = keras.Sequential([keras.Input((4,)), soft(3)])
        for classes in ([0, 1], [2, 0, 1]):
            found = tfxai.Saliency(model)(X, [classes] * 6)
            assert found.target.tolist() == classes * 6

    @pytest.mark.parametrize("labels", [np.ones(9999), np.ones(9999, bool), np.ones((9999, 1))])
    def test_numbers_of_another_type_are_told_to_be_cast(self, two, labels):
        with pytest.raises(TypeError, match=r"labels.astype\(int\)") as raised:
            tfxai.Saliency(two)(X, labels)
        assert len(str(raised.value)) < 250

    def test_arrays_are_not_printed(self, two):
        with pytest.raises(TypeError, match=r"float64 of shape \(9999,\)") as raised:
            tfxai.Saliency(two)(X, np.full(9999, 0.5))
        assert "astype" not in str(raised.value)


def test_the_error_about_several_outputs_names_the_way_to_a_score_of_all():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"age": layers.Dense(1)(inputs), "sex": soft(2)(inputs)})
    with pytest.raises(ValueError, match="Concatenate"):
        tfxai.Saliency(model)(X)
    joined = keras.Model(inputs, layers.Concatenate()(list(model.output.values())))
    both = tfxai.Saliency(joined)(X, lambda y: y[:, 0] + y[:, 1])
    assert both.facts["score"] == "output"


class TestProbability:
    """It is told beside a logit where the model is known to make it of that, whatever the model ends in."""

    def test_softmax(self, model):
        found = tfxai.GradCAM(model)(IMAGES)
        expected = model.predict(IMAGES, verbose=0)[np.arange(4), found.target]
        np.testing.assert_allclose(found.extras["probability"], expected, rtol=1e-5)
        assert found.probability(2) == pytest.approx(expected[2], rel=1e-5)
        other = tfxai.Saliency(model)(IMAGES, target=3)
        np.testing.assert_allclose(other.extras["probability"], model.predict(IMAGES, verbose=0)[:, 3], rtol=1e-5)
        assert other[1:3].probability(0) == pytest.approx(other.probability(1))

    def test_both_classes_of_a_sigmoid(self, unit):
        p = unit.predict(X, verbose=0)[:, 0]
        for target, expected in ((0, 1 - p), (1, p)):
            found = tfxai.Saliency(unit, classes=("no", "yes"))(X, target)
            np.testing.assert_allclose(found.extras["probability"], expected, rtol=1e-5)

    def test_linear_outputs_are_logits_only_if_they_have_names(self):
        linear = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
        assert tfxai.Saliency(linear)(X).probability(0) is None
        found = tfxai.Saliency(linear, classes=list("abc"))(X)
        expected = ops.softmax(linear(X)).numpy().max(-1)
        np.testing.assert_allclose(found.extras["probability"], expected, rtol=1e-5)
        one = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
        named = tfxai.Saliency(one, classes=("no", "yes"))(X, 1)
        np.testing.assert_allclose(named.extras["probability"], ops.sigmoid(one(X)).numpy()[:, 0], rtol=1e-5)

    def test_of_what_is_no_class_it_is_not_known(self, model):
        assert tfxai.Saliency(model)(IMAGES, lambda y: y[:, 0] - y[:, 1]).probability(0) is None
        scored = tfxai.Saliency(model, score="probability")(IMAGES, lambda y: y[:, 0] - y[:, 1])
        assert scored.probability(0) is None
        own = tfxai.Saliency(model, score="probability")(IMAGES)
        assert own.probability(0) == pytest.approx(float(own.score[0]))
        assert "probability" not in own.extras
