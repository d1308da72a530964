"""Activation maximization: closed forms, its three forms against each other, what stops it and what it keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

import tfxai
from tfxai.descent import adam

o, p = tfxai.objectives, tfxai.priors


def linear(shape=(6,), classes=3):
    """A linear model, and its weights (*shape, classes)."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layers.Dense(classes, name="dense")(layers.Flatten()(inputs)))
    return model, model.get_layer("dense").get_weights()[0].reshape(*shape, classes)


def maximize(model, objective, preprocess=None, n=None, **options):
    given = {"parameterization": "pixel", "transforms": (), "steps": 20} | options
    if "generator" in given:
        del given["parameterization"]
    return tfxai.ActivationMaximization(model, objective, preprocess=preprocess, **given)(n, verbose=0)


class TestClosedForms:
    def test_a_linear_model_with_an_l2_prior(self):
        """argmax w.x - lambda |x - c|^2 is c + w / (2 lambda)."""
        model, w = linear()
        center = np.linspace(-1, 1, 6)
        found = maximize(model, [0, 1, 2], priors=p.L2(0.5, center), steps=600, learning_rate=0.02)
        np.testing.assert_allclose(found.images, center + w.T, atol=2e-3)
        np.testing.assert_allclose(found.score, model.predict(found.images, verbose=0).diagonal(), rtol=1e-5)

    def test_a_strong_prior_gives_its_center(self, small):
        center = np.random.default_rng(0).uniform(-1, 1, (16, 16, 3))
        found = maximize(small, 3, priors=p.L2(1e4, center), steps=400, learning_rate=0.02)
        np.testing.assert_allclose(found.images[0], center, atol=5e-3)

    def test_weight_decay_is_a_prior_of_the_numbers_that_are_sought(self):
        model, w = linear()
        found = maximize(model, 1, weight_decay=0.25, steps=600, learning_rate=0.02)
        np.testing.assert_allclose(found.images[0], 2 * w[:, 1], atol=2e-3)
        assert set(found.history) == {"objective", "weight_decay", "total"}

    def test_the_bounds_of_a_linear_model(self):
        """Without prior the image lies in the corner of the box; clipping reaches it, a sigmoid comes near."""
        model, w = linear((4, 5, 3))
        corner = np.where(w[..., 0] > 0, [7, 8, 9], [-1, -2, -3])
        for boxed, tolerance in (("clip", 1e-5), ("sigmoid", 0.1)):
            options = {"boxed": boxed, "learning_rate": 0.2, "steps": 150}
            found = maximize(model, 0, ((-1, -2, -3), (7, 8, 9)), **options)
            np.testing.assert_allclose(found.images[0], corner, atol=tolerance)
            drawn = maximize(model, 0, ((-1, -2, -3), (7, 8, 9)), **options | {"parameterization": "fourier"})
            assert (drawn.images >= np.float32([-1, -2, -3]) - 1e-4).all()
            assert (drawn.images <= np.float32([7, 8, 9]) + 1e-4).all()
            assert drawn.score[0] > 0.5 * (w[..., 0] * corner).sum()

    def test_steps_are_those_of_adam(self):
        """The first steps by hand, with the gradient of the model by a tape."""
        model, w = linear()
        x = np.zeros((1, 6), np.float32)
        moments = tf.zeros([1, 6]), tf.zeros([1, 6])
        path = [x]
        for number in range(1, 4):
            change, moments = adam(tf.constant(w[None, :, 2] - 2 * 0.3 * path[-1]), moments, number)
            path.append(path[-1] + 0.1 * change.numpy())
        options = {"priors": p.L2(0.3), "start": x[0], "learning_rate": 0.1, "steps": 3, "frames": 1, "keep": "last"}
        found = maximize(model, 2, **options)
        np.testing.assert_allclose(found.frames[:, 0], np.concatenate(path), atol=1e-6)
        objective = [float(x[0] @ w[:, 2]) for x in path]
        np.testing.assert_allclose(found.history["objective"][0], objective[:3], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.history["l2"][0], [-0.3 * (x**2).sum() for x in path[:3]], rtol=1e-4)
        np.testing.assert_allclose(found.score, objective[3], rtol=1e-4)

    def test_a_rate_of_zero_changes_nothing(self, small, x):
        for parameterization, boxed in (("pixel", "clip"), ("fourier", "sigmoid")):
            options = {"parameterization": parameterization, "boxed": boxed, "learning_rate": 0.0, "steps": 2}
            found = maximize(small, 1, (-5, 5), start=x, **options)
            np.testing.assert_allclose(found.images, np.clip(x, -5, 5), atol=1e-3)


class TestForms:
    def test_a_gaussian_expert_is_the_l2_prior_step_by_step(self, small):
        mean = np.random.default_rng(0).uniform(-0.5, 0.5, (16, 16, 3))
        a = maximize(small, [0, 3], priors=p.L2(0.03, mean), frames=1)
        expert = tfxai.GaussianExpert.of(mean, 0.1 / (2 * 0.03))
        b = maximize(small, [0, 3], expert=expert, expert_weight=0.1, frames=1)
        np.testing.assert_allclose(a.frames, b.frames, atol=1e-5)
        constant = b.history["expert"] - a.history["l2"]
        np.testing.assert_allclose(constant, constant[0, 0], rtol=1e-5)

    def test_an_expert_alone_leads_to_its_mode(self, small):
        data = np.random.default_rng(0).normal(0.3, 1, (30, 16, 16, 3))
        expert = tfxai.GaussianExpert(rank=5).fit(data)
        found = maximize(small, 0 * o.class_score(0), expert=expert, steps=600, learning_rate=0.02)
        np.testing.assert_allclose(found.images[0], data.mean(0), atol=0.02)

    def test_a_score_serves_as_well_as_a_log_density(self, small):
        class Score:
            def score(self, x):
                return -2 * 0.03 * x

        a = maximize(small, 3, priors=p.L2(0.03), keep="last", frames=1)
        b = maximize(small, 3, expert=Score(), frames=1)
        np.testing.assert_allclose(a.frames, b.frames, atol=1e-5)
        assert "expert" not in b.history

    def test_an_identity_generator_is_the_general_form(self, small, x):
        """Codes are the image over its half-width."""
        codes = keras.Input((16, 16, 3))
        identity = keras.Model(codes, layers.Activation("linear")(codes))
        options = {"learning_rate": 0.01, "frames": 1}
        a = maximize(small, 3, (-4, 8), start=x, boxed="clip", **options)
        options |= {"generator": identity, "generator_range": (-1, 1), "weight_decay": 0}
        b = maximize(small, 3, (-4, 8), start=(x - 2) / 6, **options)
        np.testing.assert_allclose(a.frames, b.frames, atol=1e-4)

    def test_codes(self):
        """A linear generator before a linear model: its codes have a closed form."""
        model, w = linear((4,))
        keras.utils.set_random_seed(1)
        codes = keras.Input((3,))
        generator = keras.Model(codes, layers.Dense(4, name="g")(codes))
        kernel = generator.get_layer("g").get_weights()[0]
        found = maximize(model, 1, generator=generator, generator_range="input", weight_decay=0.25, steps=800, n=3)
        np.testing.assert_allclose(found.codes, np.broadcast_to(kernel @ w[:, 1] / (2 * 0.25), (3, 3)), atol=0.01)
        np.testing.assert_allclose(found.images, generator.predict(found.codes, verbose=0), atol=1e-5)
        starts = maximize(model, 1, generator=generator, generator_range="input", learning_rate=0.0, n=200).codes
        assert abs(starts.std() - 1) < 0.1


class TestProgress:
    @pytest.mark.parametrize("parameterization", ["pixel", "fourier"])
    def test_the_best_is_returned(self, residual, parameterization):
        """The highest total of the way, its end included; at a rate far too high, that is not the last."""
        options = {"learning_rate": 3.0, "steps": 30, "parameterization": parameterization, "priors": p.L2(0.1)}
        totals = {}
        for keep in ("best", "last"):
            found = maximize(residual, [0, 1, 2], (-3, 3), keep=keep, **options)
            totals[keep] = found.score - 0.1 * (found.images**2).sum((1, 2, 3))
        expected = np.maximum(found.history["total"].max(1), totals["last"])
        np.testing.assert_allclose(totals["best"], expected, rtol=1e-4)
        assert (totals["last"] < totals["best"] - 1).any()

    def test_the_score_rises(self, residual):
        found = maximize(residual, [0, 1, 2, 3, 4], (-2, 2), transforms=None, parameterization="fourier", steps=80)
        assert (found.history["objective"][:, -1] > found.history["objective"][:, 0] + 1).all()
        assert (found.probability > 0.9).all()

    def test_each_image_stops_by_itself(self, residual):
        options = {"threshold": 0.99, "steps": 120, "learning_rate": 0.02, "parameterization": "pixel"}
        maximization = tfxai.ActivationMaximization(residual, [0, 1, 2, 3, 4], preprocess=(-2, 2), **options)
        together = maximization(verbose=0)
        assert (together.probability >= 0.99).all()
        assert len(set(together.steps)) > 1
        assert together.steps.max() < 120
        for row, steps in enumerate(together.steps):
            objective = together.history["objective"][row]
            np.testing.assert_array_equal(objective[steps:], objective[steps])
            assert (np.diff(objective[: steps + 1]) != 0).all()
        alone = maximization(objective=0, verbose=0)
        np.testing.assert_allclose(alone.images[0], together.images[0], atol=1e-4)
        np.testing.assert_allclose(alone.score, together.score[:1], rtol=1e-4)

    def test_what_is_not_finite_stops(self, small):
        """A prior that breaks down on the way: the best image before that is kept."""

        def fragile(x):
            size = tf.reduce_max(tf.abs(x), [1, 2, 3])
            return tf.where(size > 0.5, np.float32(np.nan), 0.0) * size

        found = maximize(small, 2, priors=fragile, steps=30, learning_rate=0.05, noise=0.01)
        assert np.abs(found.images).max() <= 0.5
        assert np.isfinite(found.images).all()
        assert found.steps[0] < 30
        assert set(found.history) == {"objective", "fragile", "total"}
        with pytest.raises(ValueError, match="not finite"):
            maximize(small, 2, priors=lambda x: tf.reduce_sum(x, [1, 2, 3]) * np.inf)

    def test_pieces_make_no_difference(self, small):
        """Steps run in pieces, as long as two looks at the progress or two frames are apart."""
        options = {"parameterization": "fourier", "transforms": None, "steps": 37}
        whole = maximize(small, [1, 4], (-2, 2), **options)
        again = maximize(small, [1, 4], (-2, 2), frames=10, **options)
        np.testing.assert_allclose(again.images, whole.images, atol=1e-4)
        np.testing.assert_allclose(again.history["total"], whole.history["total"], rtol=1e-3, atol=1e-3)
        assert again.frame_steps == [0, 10, 20, 30, 37]
        np.testing.assert_allclose(again.frames[-1], whole.images, atol=1e-4)

    def test_an_interruption_keeps_what_there_is(self, small, monkeypatch):
        maximization = tfxai.ActivationMaximization(small, 1, preprocess=(-2, 2), steps=20, frames=5, keep="last")
        whole, compiled = maximization(verbose=0), maximization._ascent(maximization.objective)
        ascend, calls = compiled.ascend, []

        def interrupted(*given):
            calls.append(given)
            if len(calls) > 2:
                raise KeyboardInterrupt
            return ascend(*given)

        monkeypatch.setattr(compiled, "ascend", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            maximization(verbose=0)
        partial = caught.value.partial
        assert partial.steps.tolist() == [10]
        np.testing.assert_allclose(partial.images, whole.frames[2], atol=1e-5)
        np.testing.assert_allclose(partial.history["total"], whole.history["total"][:, :10], rtol=1e-4)

    def test_progress_bar(self, small, capsys):
        maximization = tfxai.ActivationMaximization(small, 1, preprocess=(-2, 2), steps=50)
        maximization(verbose=1)
        assert "2 of 2 parts" in capsys.readouterr().out
        maximization(verbose=0)
        assert not capsys.readouterr().out


class TestBatches:
    def test_images_do_not_depend_on_the_batch(self, small):
        maximization = tfxai.ActivationMaximization(small, [2, 2, 4], preprocess=(-2, 2), steps=15)
        together, alone = maximization(verbose=0), maximization(objective=2, verbose=0)
        np.testing.assert_allclose(together.images[:1], alone.images, atol=1e-4)
        assert np.abs(together.images[0] - together.images[1]).max() > 0.1  # another start

    def test_seeds(self, small):
        maximization = tfxai.ActivationMaximization(small, 1, preprocess=(-2, 2), steps=5, seed=3)
        first, again = maximization(verbose=0), maximization(verbose=0)
        np.testing.assert_array_equal(first.images, again.images)
        maximization.seed = 4
        assert np.abs(maximization(verbose=0).images - first.images).max() > 0.01
        other = tfxai.ActivationMaximization(small, 1, preprocess=(-2, 2), steps=5, seed=4)
        np.testing.assert_array_equal(other(verbose=0).images, maximization(verbose=0).images)

    def test_diversity_makes_images_differ(self, small):
        """With the term, the images of one channel have less in common than without."""

        def likeness(images):
            found = keras.Model(small.inputs[0], small.get_layer("relu1").output).predict(images, verbose=0)
            grams = np.einsum("nhwc,nhwd->ncd", found, found).reshape(len(found), -1)
            grams /= np.linalg.norm(grams, axis=1, keepdims=True)
            return (grams @ grams.T)[np.triu_indices(3, 1)].mean()

        objective = o.channel("relu2", 3)
        options = {"n": 3, "steps": 60, "parameterization": "fourier"}
        alike = maximize(small, objective, (-2, 2), **options)
        diverse = maximize(small, objective + 20 * o.diversity("relu1"), (-2, 2), **options)
        assert likeness(diverse.images) < likeness(alike.images) - 0.1

    def test_another_class_is_not_traced_again(self, small):
        traced = []

        def counting(x):
            traced.append(1)
            return 0 * tf.reduce_sum(x, [1, 2, 3])

        maximization = tfxai.ActivationMaximization(
            small, 0.5 * o.class_score(1), preprocess=(-2, 2), priors=counting, steps=3
        )
        results = [maximization(verbose=0).images]
        count = len(traced)
        for objective in (0.5 * o.class_score(2), 0.7 * o.class_score([3, 4, 0])):
            results.append(maximization(objective=objective, verbose=0).images)
        maximization.learning_rate, maximization.seed = 0.5, 8
        maximization.steps = 2
        maximization(n=4, verbose=0)
        assert len(traced) == count
        maximization(objective=o.class_score(2), verbose=0)
        assert len(traced) > count
        assert np.abs(results[0] - results[1]).max() > 0.01


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestModels:
    def test_saved_models(self, small, tmp_path):
        small.export(tmp_path, verbose=False)
        objective = o.class_score([0, 3]) + 0.3 * o.channel("relu1", 2)
        options = {"parameterization": "fourier", "transforms": None, "steps": 10}
        ours, theirs = (maximize(model, objective, (-2, 2), **options) for model in (small, tmp_path))
        np.testing.assert_allclose(ours.images, theirs.images, atol=1e-3)
        np.testing.assert_allclose(ours.probability, theirs.probability, atol=1e-4)

    def test_functions(self, small):
        function = tf.function(lambda x: small(x, training=False), autograph=False)
        ours = maximize(small, 2, (-2, 2))
        theirs = maximize(function, 2, (-2, 2), shape=(16, 16, 3))
        np.testing.assert_allclose(ours.images, theirs.images, atol=1e-4)

    def test_xla(self, small):
        """All but what is drawn, as XLA has a generator of its own."""
        options = {"steps": 10, "start": np.zeros((2, 16, 16, 3)), "priors": [p.L2(0.1), p.TotalVariation(0.1)]}
        moves = [tfxai.transforms.scale(1.1, 1.1), tfxai.transforms.rotate(10, 10)]
        options |= {"parameterization": "fourier", "transforms": moves, "keep": "last"}
        plain, compiled = (maximize(small, [1, 3], (-2, 2), jit_compile=jit, **options) for jit in (False, True))
        np.testing.assert_allclose(plain.images, compiled.images, atol=1e-3)
        np.testing.assert_allclose(plain.history["total"], compiled.history["total"], rtol=1e-3)

    @pytest.mark.parametrize("shape", [(8, 31, 1), (5, 5, 2)])
    def test_odd_sizes_and_channels(self, shape):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, None, shape[-1]))
        maps = layers.Conv2D(4, 3, activation="relu")(inputs)
        model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(maps)))
        found = maximize(model, 1, (0, 1), parameterization="fourier", transforms=None, shape=shape)
        assert found.images.shape == (1, *shape)
        assert found.history["objective"][0, -1] > found.history["objective"][0, 0]

    def test_fixed_batches(self, small):
        inputs = keras.Input(batch_shape=(2, 16, 16, 3))
        model = keras.Model(inputs, small(inputs))
        assert maximize(model, [0, 3], steps=2).images.shape == (2, 16, 16, 3)
        with pytest.raises(ValueError, match=r"batches of 2, got n=1"):
            maximize(model, 0)

    def test_the_model_is_not_changed(self, small):
        before = [w.copy() for w in small.get_weights()]
        maximize(small, o.channel("relu2", 1), steps=3)
        for a, b in zip(before, small.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


class TestPriors:
    def test_by_hand(self, x):
        given, center = tf.constant(x), x[0] / 2
        square = ((x - center) ** 2).sum((1, 2, 3))
        np.testing.assert_allclose(p.L2(0.3, center)(given), 0.3 * square, rtol=1e-5)
        np.testing.assert_allclose(p.L2(0.3, center, squared=False)(given), 0.3 * np.sqrt(square), rtol=1e-5)
        np.testing.assert_allclose(p.AlphaNorm(2.0, 3)(given), 2 * (np.abs(x) ** 3).sum((1, 2, 3)), rtol=1e-4)
        for beta in (1, 2):
            expected = sum((np.abs(np.diff(x, axis=axis)) ** beta).sum((1, 2, 3)) for axis in (1, 2))
            np.testing.assert_allclose(p.TotalVariation(0.7, beta)(given), 0.7 * expected, rtol=1e-4)

    def test_total_variation_smooths(self, small):
        rough, smooth = (maximize(small, 1, (-2, 2), priors=priors).images for priors in ((), p.TotalVariation(0.05)))
        assert np.abs(np.diff(smooth, axis=1)).mean() < 0.5 * np.abs(np.diff(rough, axis=1)).mean()

    def test_namesakes_are_numbered(self, small):
        found = maximize(small, 1, priors=[p.L2(0.1), p.L2(0.2, 1.0), p.TotalVariation(0.1)], steps=1)
        assert set(found.history) == {"objective", "l2", "l2 2", "total_variation", "total"}

    @pytest.mark.parametrize(
        "make", [lambda: p.L2(-1), lambda: p.AlphaNorm(1, 0.5), lambda: p.TotalVariation(1)(tf.zeros([2, 3]))]
    )
    def test_bad_values(self, make):
        with pytest.raises(ValueError):
            make()


class TestResult:
    def test_files_and_figures(self, small, tmp_path):
        found = maximize(small, [0, 3], "-1..1", frames=5, priors=p.L2(0.1))
        found.save(tmp_path / "made")
        again = tfxai.Synthesis.load(tmp_path / "made.npz")
        for name in ("images", "score", "probability", "frames", "pixels", "steps"):
            np.testing.assert_array_equal(getattr(found, name), getattr(again, name))
        assert again.labels == ["class 0", "class 3"]
        assert again.codes is None
        np.testing.assert_array_equal(again.history["l2"], found.history["l2"])
        assert len(found.plot().axes) == 2
        assert [axis.get_title() for axis in found.plot_history().axes] == ["objective", "l2", "total"]
        found.save_gif(tmp_path / "made.gif")
        with Image.open(tmp_path / "made.gif") as gif:
            assert gif.n_frames == 5
            assert gif.size == (32, 16)
            last = np.asarray(gif.convert("RGB").resize((32, 16))) if gif.seek(4) is None else None
        np.testing.assert_allclose(last.astype(int), np.hstack(list(found.pixels)), atol=60)
        with pytest.raises(ValueError, match="frames="):
            maximize(small, 0, steps=1).save_gif(tmp_path / "none.gif")
        with pytest.raises(ValueError, match="not a saved synthesis"):
            tfxai.Synthesis.load(tmp_path / "made.gif")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"threshold": 1.5}, "threshold"),
        ({"objective": o.layer("relu2"), "threshold": 0.9}, "class_score"),
        ({"keep": "first"}, "keep"),
        ({"parameterization": "wavelet"}, "parameterization"),
        ({"preprocess": "vgg"}, "preprocess"),
        ({"boxed": "mod", "preprocess": (0, 1)}, "boxed"),
        ({"shape": (8, 8, 3)}, r"\(16, 16, 3\), got shape=\(8, 8, 3\)"),
        ({"jit_compile": "maybe"}, "jit_compile"),
        ({"start": "black"}, "start"),
        ({"start": np.zeros((8, 8, 3))}, r"start of shape \(16, 16, 3\)"),
        ({"start": np.zeros((3, 16, 16, 3)), "objective": [0, 1]}, "one for each of 3 images|made for 2 images"),
        ({"n": 3, "objective": [0, 1]}, "made for 2 images, got 3"),
        ({"generator": keras.Sequential([keras.Input((3,)), layers.Dense(4)])}, "generator_range"),
    ],
)
def test_bad_options(small, options, message):
    with pytest.raises(ValueError, match=message):
        maximize(small, **{"objective": 0} | options)


def test_models_that_cannot_be_maximized(small):
    keras.utils.set_random_seed(0)
    numbers = keras.Input((4,), dtype="int32")
    with pytest.raises(ValueError, match="integers"):
        maximize(keras.Model(numbers, layers.Dense(2)(layers.Flatten()(layers.Embedding(5, 2)(numbers)))), 0)
    a, b = keras.Input((4,)), keras.Input((4,))
    with pytest.raises(ValueError, match="one input"):
        maximize(keras.Model([a, b], layers.Dense(2)(a + b)), 0)
    with pytest.raises(ValueError, match=r"tf\.function\(f\)"):
        maximize(lambda x: x, 0)
    with pytest.raises(ValueError, match="shape="):
        maximize(tf.function(lambda x: x), 0)
    with pytest.raises(ValueError, match="no gradient path"):
        maximize(tf.function(lambda x: tf.round(tf.reduce_sum(x, [1, 2]))), 0, shape=(4, 4, 3))
    with pytest.raises(TypeError, match="expert"):
        maximize(small, 0, expert=object())
    with pytest.raises(TypeError, match="priors"):
        maximize(small, 0, priors=[3])
    with pytest.raises(ValueError, match="parameterization"):
        maximize(linear()[0], 0, parameterization="fourier")
