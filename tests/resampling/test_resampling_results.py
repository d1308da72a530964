"""What is made of the scores of input resampling: selections, overlap, patches, ablation, files, pictures."""

import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from matplotlib.patches import Rectangle

import tfxai
from tfxai.models import open_model
from tfxai.models.overrides import Backward
from tfxai.resampling import Comparison, Resampling
from tfxai.resampling.overlap import overlap
from tfxai.resampling.patches import around
from tfxai.resampling.selection import ranked

LAYERS = ("relu1", "relu3", "relu4")


@pytest.fixture(scope="module")
def explainer(residual):
    return tfxai.InputResampling(
        residual, LAYERS, perturbation="additive", samples=8, activity=0, maps=True, permutations=4
    )


@pytest.fixture(scope="module")
def result(explainer, x):
    return explainer(x[:3], target=[2, 0, 1], verbose=0)


# selections


def test_missing_scores_are_last_and_equals_in_order():
    scores = np.array([[1, np.nan, 3, 3, 0], [np.nan] * 5, [-1, -2, -1, np.nan, -3]])
    assert ranked(scores, 3).tolist() == [[2, 3, 0], [-1] * 3, [0, 2, 1]]
    assert ranked(scores, 7).tolist() == [[2, 3, 0, 4, -1, -1, -1], [-1] * 7, [0, 2, 1, 4, -1, -1, -1]]


def test_top_and_sets(result):
    for metric, by_layer in result.scores.items():
        if metric.startswith("weight"):
            continue  # relu3 follows a sum
        for layer, scores in by_layer.items():
            top = result.top(metric, 3)[layer]
            np.testing.assert_allclose(np.take_along_axis(scores, top, 1), np.sort(scores, 1)[:, :-4:-1])
    with pytest.raises(ValueError, match="metric to be one of"):
        result.top("influence")
    with pytest.raises(ValueError, match="top to be a positive integer"):
        result.top("precision", 0)
    comparison = result.compare("correlation", "activation_sum", top=4)
    first, second = (result.top(metric, 4) for metric in ("correlation", "activation_sum"))
    for image, layer in itertools.product(range(3), LAYERS):
        a, b = set(first[layer][image].tolist()), set(second[layer][image].tolist())
        only_first, only_second, both = (set(one[layer]) for one in comparison.sets(image))
        assert (only_first, only_second, both) == (a - b, b - a, a & b)
        assert comparison.overlap(image, layer).jaccard == len(a & b) / len(a | b)
    assert comparison.mean().dice == pytest.approx(np.mean([comparison.overlap(i).dice for i in range(3)]))


def test_overlap_of_equal_and_disjoint_selections():
    channels = {"a": 10, "b": 6}
    some = {"a": [1, 2, 3], "b": [0]}
    equal = overlap(some, some, channels)
    assert (equal.jaccard, equal.dice, equal.legacy) == (1, 1, 0.5)
    apart = overlap(some, {"a": [4, 5], "b": [1, 2]}, channels)
    assert (apart.jaccard, apart.dice, apart.legacy) == (0, 0, 0)
    partly = overlap({"a": [1, 2, 3], "b": []}, {"a": [3, 4, 5], "b": [2]}, channels)
    assert (partly.jaccard, partly.dice, partly.legacy) == (1 / 6, 2 / 7, 1 / 7)
    assert np.isnan(overlap({"a": [], "b": []}, {"a": [], "b": []}, channels)).all()


def test_chance_levels_are_those_of_random_selections():
    random = np.random.default_rng(0)
    channels = {"a": 8, "b": 5}
    sizes = {"a": (3, 4), "b": (2, 2)}

    def drawn(which):
        return {k: random.choice(count, sizes[k][which], replace=False).tolist() for k, count in channels.items()}

    found = np.array([overlap(drawn(0), drawn(1), channels) for _ in range(4000)])
    np.testing.assert_allclose(found[:, 3:], np.broadcast_to(found[0, 3:], found[:, 3:].shape))
    np.testing.assert_allclose(found[:, :3].mean(0), found[0, 3:], atol=0.01)
    assert found[0, 4] == pytest.approx(2 * (3 * 4 / 8 + 2 * 2 / 5) / 11)  # E|A and B| = k k' / C in each layer


def test_selections_of_nothing_agree_on_nothing():
    empty = {"a": np.full((2, 3), -1)}
    comparison = Comparison(("correlation", "precision"), (empty, empty), {"a": 5})
    assert np.isnan(comparison.mean()).all()
    assert comparison.sets(0).both == {"a": []}


# patches


def test_boxes_around_what_is_not_zero():
    maps = np.zeros((3, 6, 8))
    maps[0, 2:5, 3] = 1
    maps[1, 0, 7] = -1
    assert around(maps).tolist() == [[3, 2, 4, 5], [7, 0, 8, 1], [0, 0, 0, 0]]


@pytest.fixture(scope="module")
def open_network():
    """Every kernel is positive, so that nothing stops a signal on its way back."""
    keras.utils.set_random_seed(0)
    positive = {"kernel_initializer": keras.initializers.RandomUniform(0.1, 1), "padding": "same"}
    inputs = x = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="one", **positive)(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(6, 3, activation="relu", name="two", **positive)(x)
    x = layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    images = np.random.default_rng(0).random((8, 32, 32, 3)) + 0.5
    return tfxai.InputResampling(model, ["one", "two"], samples=4)(images, target=0, verbose=0)


def test_the_faithful_box_is_the_receptive_field(open_network):
    seen = open_network.patches("correlation", top=3)
    sent = open_network.patches("correlation", top=3, projection="deconvnet_upsample")
    for layer in ("one", "two"):
        np.testing.assert_array_equal(sent[layer], seen[layer])
    sides = seen["one"][..., 2:] - seen["one"][..., :2]
    assert sides.max() == 3
    assert (seen["two"][..., 2:] - seen["two"][..., :2]).max() == 8
    for projection in ("guided", "deconvnet_switch"):
        inside = open_network.patches("correlation", top=3, projection=projection)["two"]
        assert (inside[..., :2] >= seen["two"][..., :2]).all()
        assert (inside[..., 2:] <= seen["two"][..., 2:]).all()
        assert (inside != seen["two"]).any()  # a maximum leaves parts of its window out


def test_boxes_lie_around_the_strongest_unit(result, residual, x):
    boxes = result.patches("activation_sum", top=2)
    maps = keras.Model(residual.input, residual.get_layer("relu1").output).predict(x[:3], verbose=0)
    for image, number in itertools.product(range(3), range(2)):
        channel = result.top("activation_sum", 2)["relu1"][image, number]
        y, z = np.unravel_index(maps[image, ..., channel].argmax(), (16, 16))
        expected = np.clip([z - 1, y - 1, z + 2, y + 2], 0, 16)
        assert boxes["relu1"][image, number].tolist() == expected.tolist()
    for found in boxes.values():
        assert found.min() >= 0
        assert found.max() <= 16
    with pytest.raises(ValueError, match="projection to be one of"):
        result.patches("precision", top=2, projection="gradient")


def test_projection_is_the_gradient_of_the_strongest_unit(result, residual, x):
    found = result.project("relu4", [[3], [5], [3]], projection="guided")
    assert [found.label(row) for row in range(3)] == ["channel 3", "channel 5", "channel 3"]
    guided = tfxai.GuidedBackprop(residual)
    for row, channel in enumerate((3, 5, 3)):
        target = tfxai.targets.Channel("relu4", channel, "max")
        expected = guided(x[row : row + 1], target=target).values
        np.testing.assert_allclose(found.values[row], expected[0], atol=1e-5)
    with pytest.raises(ValueError, match="layer to be one of"):
        result.project("relu2", 0)


def test_unpooling_by_repetition():
    inputs = keras.Input((7, 6, 2))
    rule: Backward = "repeat"
    for size, stride, padding in ((2, 2, "valid"), (3, 2, "same"), (3, 2, "valid"), (2, 1, "valid")):
        view = open_model(keras.Model(inputs, layers.MaxPooling2D(size, stride, padding)(inputs)))
        signal = np.random.default_rng(0).normal(size=(1, *view.model.output_shape[1:])).astype(np.float32)

        @tf.function
        def back(x, view=view, signal=signal):
            return tf.gradients(view.forward(x, backward=rule).outputs, x, signal)[0]

        found = back(tf.ones([1, 7, 6, 2])).numpy()
        rows, columns = signal.shape[1:3]
        pads = [
            max((n - 1) * stride + size - m, 0) // 2 if padding == "same" else 0 for n, m in ((rows, 7), (columns, 6))
        ]
        for y, z in itertools.product(range(7), range(6)):
            i, j = y + pads[0], z + pads[1]
            within = i < (rows - 1) * stride + size and j < (columns - 1) * stride + size
            expected = signal[0, min(i // stride, rows - 1), min(j // stride, columns - 1)] if within else 0
            np.testing.assert_allclose(found[0, y, z], expected, err_msg=f"{size} {stride} {padding} {y} {z}")


# ablation


def test_ablation_by_hand(result, residual, x):
    top = result.top("correlation", 2)
    found = result.ablate(("correlation", "activation_sum"), top=2, controls=3, layers=("relu4",), batch_size=2)
    head = keras.Model(residual.get_layer("relu4").output, residual.output)
    maps = keras.Model(residual.input, residual.get_layer("relu4").output).predict(x[:3], verbose=0)
    for image, target in enumerate([2, 0, 1]):
        without = maps[image : image + 1].copy()
        without[..., top["relu4"][image]] = 0
        change = result.score[image] - head.predict(without, verbose=0)[0, target]
        assert found.changes["correlation"][image] == pytest.approx(change, abs=1e-4)
        pairs = itertools.combinations(range(maps.shape[-1]), 2)
        possible = []
        for pair in pairs:
            without = maps[image].copy()
            without[..., list(pair)] = 0
            possible.append(without)
        scores = head.predict(np.array(possible), verbose=0)[:, target]
        for control in found.random["correlation"][image]:
            assert np.abs(result.score[image] - scores - control).min() < 1e-4
    assert found.size("correlation") == pytest.approx(np.abs(found.changes["correlation"]).mean())
    assert np.ptp(found.random["correlation"], 1).min() > 0  # the controls differ
    assert "correlation" in str(found)


def test_ablation_of_several_layers_and_other_targets(explainer, residual, x):
    neuron = explainer(x[:2], target=tfxai.targets.Neuron("dense", (1,)), verbose=0)
    plain = explainer(x[:2], target=1, verbose=0)
    for one in (neuron, plain):
        assert one.ablate(top=8, controls=1, layers=("relu1",)).size("correlation") > 0
    np.testing.assert_allclose(
        neuron.ablate(controls=2).changes["precision"], plain.ablate(controls=2).changes["precision"], atol=1e-4
    )
    with pytest.raises(ValueError, match="layer to be one of"):
        plain.ablate(layers=("relu2",))


def test_ablation_of_units_by_hand(residual, x):
    explainer = tfxai.InputResampling(
        residual, ["relu4"], perturbation="additive", samples=8, spatial="peak", sites=None
    )
    result = explainer(x[:2], target=[2, 0], verbose=0)
    found = result.ablate(("correlation",), top=2, units=True, controls=1)
    head = keras.Model(residual.get_layer("relu4").output, residual.output)
    maps = keras.Model(residual.input, residual.get_layer("relu4").output).predict(x[:2], verbose=0)
    for image, target in enumerate([2, 0]):
        without = maps[image : image + 1].copy()
        for channel in result.top("correlation", 2)["relu4"][image]:
            without[0, *result.peaks["relu4"][image, channel], channel] = 0
        change = result.score[image] - head.predict(without, verbose=0)[0, target]
        assert found.changes["correlation"][image] == pytest.approx(change, abs=1e-4)
    with pytest.raises(ValueError, match=r"effect=True"):
        result.top("effect")


def test_units_need_scores_of_units(result):
    with pytest.raises(ValueError, match=r'spatial="peak", sites=None.*spatial=\'mean\', sites=256'):
        result.ablate(units=True)


# files and tables


def test_save_and_load(result, residual, tmp_path):
    result.save(tmp_path / "scores")
    loaded = Resampling.load(tmp_path / "scores.npz")
    assert loaded.settings == result.settings
    assert loaded.channels == result.channels
    for name, group in result.found.items():
        for layer, array in group.items():
            np.testing.assert_array_equal(loaded.found[name][layer], array)
    np.testing.assert_array_equal(loaded.inputs, result.inputs)
    np.testing.assert_array_equal(loaded.target, result.target)
    with pytest.raises(ValueError, match="needs the model"):
        loaded.patches("precision")
    with pytest.raises(ValueError, match="needs the model"):
        loaded.ablate()
    again = Resampling.load(tmp_path / "scores.npz", tfxai.InputResampling(residual))
    np.testing.assert_array_equal(again.patches("precision")["relu3"], result.patches("precision")["relu3"])
    np.testing.assert_allclose(
        again.ablate(controls=1).changes["precision"], result.ablate(controls=1).changes["precision"]
    )
    np.testing.assert_allclose(again.project("relu4", 3).values, result.project("relu4", 3).values)
    (tmp_path / "other.npz").write_bytes(b"nothing")
    for name in ("other.npz", "missing"):
        with pytest.raises(ValueError, match="holds no result of input resampling"):
            Resampling.load(tmp_path / name)


def test_parts_of_a_result(result):
    assert len(result) == 3
    part = result[1]
    assert len(part) == 1
    np.testing.assert_array_equal(part.scores["precision"]["relu3"], result.scores["precision"]["relu3"][1:2])
    np.testing.assert_array_equal(result[-1].target, result.target[2:])
    with pytest.raises(IndexError, match="none has the number 3"):
        result[3]


def test_a_table_of_scores(result):
    pytest.importorskip("pandas", reason="pandas is not installed, which only tables need")
    table = result.to_dataframe()
    assert len(table) == 3 * sum(result.channels.values())
    row = table[(table.image == 1) & (table.layer == "relu3") & (table.channel == 2)].iloc[0]
    assert row.correlation == result.scores["correlation"]["relu3"][1, 2]
    assert row.p_correlation == result.p_values["correlation"]["relu3"][1, 2]


def test_a_table_without_pandas(result, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.to_dataframe()


# pictures


def rectangles(figure):
    return [len([p for p in cell.patches if isinstance(p, Rectangle)]) for cell in figure.axes]


def test_pictures(result, x):
    figure = result.plot_patches(1, top=2, images=np.zeros((3, 64, 64, 3), np.uint8))
    assert rectangles(figure) == [6, 6]
    box = result[1].patches("correlation", top=2)["relu1"][0, 0]
    corner = figure.axes[0].patches[0].get_xy()
    np.testing.assert_allclose(corner, 4 * box[:2] - 0.5)  # in pixels of the photograph
    photographs = np.repeat(np.uint8([0, 90, 180]), 32 * 32 * 3).reshape(3, 32, 32, 3)
    figure = result.plot_patches(-1, layers=["relu4"], images=photographs)
    assert rectangles(figure) == [5, 5]
    assert np.unique(figure.axes[0].images[0].get_array()) == 180
    sets = result.compare(top=2).sets(1)
    expected = [sum(map(len, one.values())) for one in (sets.only_first, sets.both, sets.only_second)]
    assert rectangles(result.plot_sets(1, top=2)) == expected
    figure = result.plot_scores("relu4", top=3)
    points = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(points[:, 1], result.scores["correlation"]["relu4"][0])
    np.testing.assert_allclose(points[:, 0], result.scores["precision"]["relu4"][0])
    assert sum(len(cell.images) for cell in figure.axes) == 6
    comparison = result.compare(top=2)
    figure = comparison.plot()
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, [comparison.mean(layer).jaccard for layer in LAYERS])
    heights = [bar.get_height() for bar in comparison.plot(image=1).axes[0].patches]
    np.testing.assert_allclose(heights, [comparison.overlap(1, layer).jaccard for layer in LAYERS])
    with pytest.raises(ValueError, match="one of 3 images, got number 3"):
        comparison.plot(image=3)
    plt.close("all")


def test_influential_channels_of_a_trained_network_matter_more_than_precise_ones():
    images, labels, _ = tfxai.datasets.flowers.make(n=12, seed=5)
    explainer = tfxai.InputResampling(
        tfxai.datasets.flowers.load_model(), perturbation="mask_superpixel", sigma=0.3, relative=True
    )
    result = explainer(images, target=labels, verbose=0)
    for layer in result.layers:
        found = result.ablate(layers=(layer,), controls=2)
        assert found.size("correlation") > 2 * found.size("precision")
        assert found.random_size("correlation") > 2 * found.size("precision")
