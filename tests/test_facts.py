"""What an explanation says about how it was made: enough to make it again."""

import inspect

import numpy as np
import pytest

import tfxai


@pytest.mark.parametrize("name", tfxai.methods())
def test_no_option_of_a_method_is_one_of_explain(name):
    ours = set(inspect.signature(tfxai.explain).parameters) - {"model", "options"}
    assert not ours & set(inspect.signature(tfxai.methods()[name]).parameters)


def test_quadrature_can_be_chosen_by_name(residual, x):
    found = tfxai.explain(residual, x, "integrated_gradients", 1, steps=3, quadrature="trapezoid")
    expected = tfxai.IntegratedGradients(residual, steps=3, quadrature="trapezoid")(x, 1)
    np.testing.assert_array_equal(found.values, expected.values)
