"""Images made by a real network, judged by another one.

These need data that are not part of the package; `TFXAI_TEST_DATA` says where they are.
"""

import cv2
import keras
import numpy as np

import tfxai

GOLDFISH, FLAMINGO = 1, 130


def test_another_network_recognises_the_classes(data):
    """SqueezeNet draws a goldfish and a flamingo; MobileNet has them among its first five of a thousand classes."""
    maker, judge = (
        keras.models.load_model(data / "models" / f"{name}.keras", compile=False)
        for name in ("squeezenet_v1_0", "mobilenet_v2_224")
    )
    made = tfxai.ActivationMaximization(maker, [GOLDFISH, FLAMINGO], preprocess="caffe", steps=150)(verbose=0)
    assert (made.probability > 0.99).all()
    pixels = np.stack([cv2.resize(one, (224, 224), interpolation=cv2.INTER_AREA) for one in made.pixels])
    found = judge.predict(tfxai.images.prepare(list(pixels), mode="-1..1"), verbose=0)
    ranks = (found > found[[0, 1], [GOLDFISH, FLAMINGO]][:, None]).sum(1)
    assert (ranks < 5).all()
    assert not np.isin(
        [GOLDFISH, FLAMINGO],
        judge.predict(tfxai.images.prepare([np.full((224, 224, 3), 128, np.uint8)], mode="-1..1"), verbose=0)[
            0
        ].argsort()[-5:],
    ).any()
