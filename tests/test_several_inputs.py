"""Models with several inputs: which of them is hidden, mapped onto or masked, and gradients of all."""

import keras
import numpy as np
import pytest
from keras import layers

import tfxai

RNG = np.random.default_rng(0)


def several(kind):
    """A model of an image beside another one that the same layers see, words or a table; and two rows of both."""
    image = keras.Input((8, 8, 3), name="image")
    see = keras.Sequential([layers.Conv2D(4, 3, activation="relu", name="conv"), layers.GlobalAveragePooling2D()])
    x = RNG.normal(size=(2, 8, 8, 3)).astype("float32")
    if kind == "image":
        other = keras.Input((8, 8, 3), name="other")
        model = keras.Model([image, other], layers.Dense(2)(layers.Subtract()([see(image), see(other)])))
        return model, {"image": x, "other": x[::-1].copy()}
    words = kind == "words"
    other = keras.Input((7,), name="other", dtype="int32" if words else "float32")
    beside = layers.Flatten()(layers.Embedding(9, 3)(other)) if words else other
    model = keras.Model([image, other], layers.Dense(2)(layers.Concatenate()([see(image), beside])))
    return model, {"image": x, "other": RNG.integers(1, 9, (2, 7)) if words else RNG.normal(size=(2, 7))}


@pytest.mark.parametrize("kind", ["image", "words", "table"])
def test_which_of_several_inputs_is_meant(kind):
    model, x = several(kind)
    alike = kind == "image"  # then one must say which is meant
    gradients = tfxai.Saliency(model)(x, 0).values
    assert list(gradients) == ["image", "other"]
    assert all(one.any() for one in gradients.values())
    hidden = x | {"image": x["image"].copy()}
    hidden["image"][:, :4, :4] = 0
    drops = tfxai.Occlusion(model, window=4, stride=4, **({"input": "image"} if alike else {}))(x, 0)
    np.testing.assert_allclose(drops.values[:, 0, 0], (model(x) - model(hidden))[:, 0], atol=1e-5)
    assert drops.heatmaps(input="image").shape == (2, 8, 8)
    assert tfxai.RISE(model, masks=6, input="other")(x, 0).values.shape == ((2, 8, 8) if alike else (2, 7))
    runs = [one.name for one in tfxai.layers(model) if one.name.endswith("conv#1")]
    layer = runs[0] if alike else None  # the run that sees the other image
    assert list(tfxai.GradCAM(model, layer)(x, 0).places) == (["other"] if alike else ["image"])
    masked = {"meaningful_perturbation": {"steps": 2}, "guided_feature_inversion": {"target_steps": 2, "layer": layer}}
    for method, options in masked.items() if kind != "table" else ():  # which is left alone as words are
        found = tfxai.explain(model, x, method, 0, input="other" if alike else "image", **options)
        assert found.values.shape == (2, 8, 8)
        if method == "meaningful_perturbation" and alike:
            np.testing.assert_array_equal(found.inputs["image"], x["image"])
            assert found.heatmaps(input="other").shape == (2, 8, 8)
    with pytest.raises(ValueError, match=r"Expected input= to be one of \['image', 'other'\], got 'third'"):
        tfxai.Occlusion(model, input="third")(x, 0)
