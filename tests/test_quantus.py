"""What the metrics of Quantus call, called as they do: channels first and last, one input alone, tables."""

import networks
import numpy as np
import pytest

import tfxai
from tfxai.metrics.given import maps_of
from tfxai.quantus import explain_func


@pytest.mark.parametrize("method", ["saliency", "grad_cam"])
def test_channels_may_stand_first(method, small, x):
    targets = np.array([1, 2, 0, 1])
    expected = maps_of(tfxai.explain(small, x, method, targets))[:, None]
    assert expected.shape == (4, 1, 16, 16)
    first = np.moveaxis(x, -1, 1)
    for inputs in (x, first):
        found = explain_func(model=small, inputs=inputs, targets=targets, method=method, device=None)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(explain_func(small, first[1], 2, method=method), expected[1], rtol=1e-4, atol=1e-6)


def test_tables_and_options():
    rows, model = networks.oracle("table_inputs")["x"], networks.known("table_classes")
    found = explain_func(model, rows, np.zeros(len(rows), int), "integrated_gradients", steps=5)
    assert found.shape == rows.shape


def test_inputs_that_fit_in_no_order(small):
    with pytest.raises(ValueError, match="or these with channels first"):
        explain_func(small, np.zeros((2, 4, 16, 16)), [0, 0])


@pytest.mark.filterwarnings("ignore")  # those of Quantus
def test_the_metrics_of_quantus_call_it():
    quantus = pytest.importorskip("quantus", reason='Quantus is not installed: pip install ".[quantus]"')
    images, labels, masks = tfxai.datasets.flowers.make(n=3)
    model = tfxai.datasets.flowers.load_model()
    maps = tfxai.explain(model, images, "grad_cam", labels)

    def of(metric, **more):
        asked = {"explain_func": explain_func, "explain_func_kwargs": {"method": "grad_cam"}, "channel_first": False}
        return metric(disable_warnings=True)(model, images.astype("float32"), labels, **asked, **more)

    np.testing.assert_allclose(of(quantus.Sparseness), tfxai.metrics.sparseness(maps), rtol=1e-4)
    shares = tfxai.metrics.rank_accuracy(maps, masks)
    np.testing.assert_allclose(of(quantus.RelevanceRankAccuracy, s_batch=masks[:, None]), shares, atol=1e-3)
    last = list(of(quantus.MPRT).values())[-1]  # all weights are random
    assert np.shape(last) == (3,)
    assert np.max(last) < 0.95
