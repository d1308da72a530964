"""Whether a model scales pixels itself."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from tfxai.models import open_model
from tfxai.models.first import takes_pixels_unscaled


def network(*first):
    return keras.Sequential(
        [keras.Input((12, 12, 3)), *first, layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([], True),
        ([layers.ZeroPadding2D(1)], True),
        ([layers.Rescaling(1 / 255)], False),
        ([layers.Normalization(mean=[1.0, 2, 3], variance=[1.0, 1, 1])], False),
        ([layers.BatchNormalization()], False),
        ([layers.ZeroPadding2D(1), layers.Rescaling(1 / 127.5, -1)], False),
    ],
)
def test_what_comes_before_the_first_convolution(first, expected, tmp_path):
    model = network(*first)
    assert takes_pixels_unscaled(open_model(model)) == expected
    model.export(tmp_path / "saved", verbose=False)
    assert takes_pixels_unscaled(open_model(tmp_path / "saved")) == expected


def test_of_other_models_it_is_not_told():
    assert not takes_pixels_unscaled(open_model(lambda x: x))
    assert not takes_pixels_unscaled(open_model(keras.Sequential([keras.Input((4,)), layers.Dense(2)])))
    assert not takes_pixels_unscaled(open_model(keras.applications.EfficientNetB0(weights=None, classes=3)))
    assert takes_pixels_unscaled(open_model(tf.keras.applications.MobileNetV2(weights=None, classes=3)))
