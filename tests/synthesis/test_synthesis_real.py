"""Images made by a real network, judged by another one.

These need data that are not part of the package; `TFXAI_TEST_DATA` says where they are.
"""

import cv2
import keras
import numpy as np
import pytest

import tfxai

GOLDFISH, FLAMINGO = 1, 130


@pytest.mark.parametrize("number", [GOLDFISH, pytest.param(FLAMINGO, marks=pytest.mark.nightly)])
def test_another_network_recognises_the_class(data, number):
    """SqueezeNet draws a class; MobileNet has it among its first five of a thousand classes, and not for grey."""
    maker, judge = (
        keras.models.load_model(data / "models" / f"{name}.keras", compile=False)
        for name in ("squeezenet_v1_0", "mobilenet_v2_224")
    )
    made = tfxai.ActivationMaximization(maker, [number], preprocess="caffe", steps=100)(verbose=0)
    assert made.probability > 0.99
    pixels = cv2.resize(made.pixels[0], (224, 224), interpolation=cv2.INTER_AREA)
    grey = np.full((224, 224, 3), 128, np.uint8)
    found, of_grey = judge.predict(tfxai.images.prepare([pixels, grey], mode="-1..1"), verbose=0)
    assert number in found.argsort()[-5:]
    assert number not in of_grey.argsort()[-5:]
