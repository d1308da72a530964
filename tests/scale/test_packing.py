"""Maps in 8 or 16 bits are those that were given, within what the format promises, whatever their scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfxai.scale.packing import pack, unpack

MAPS = arrays(np.float32, (3, 2, 4), elements=st.floats(-1, 1, width=32))


@given(MAPS, st.integers(-120, 120), st.booleans())
def test_float16(maps, power, positive):
    maps = np.ldexp(np.abs(maps) if positive else maps, power)
    top = np.abs(maps).max((1, 2), keepdims=True)
    found = unpack(*pack(maps, "float16"))
    assert (np.abs(found - maps) <= np.maximum(2.0**-11 * np.abs(maps), 2.0**-24 * top)).all()
    assert (found[maps == 0] == 0).all()


@given(MAPS, st.integers(-120, 120), st.booleans())
def test_uint8(maps, power, positive):
    maps = np.ldexp(np.abs(maps) if positive else maps, power)
    top = np.abs(maps).max((1, 2), keepdims=True)
    found = unpack(*pack(maps, "uint8"))
    steps = np.where(maps.min((1, 2), keepdims=True) < 0, 127, 255)
    assert (np.abs(found - maps) <= top / steps * (0.5 + 1e-5) + 1e-44).all()
    assert (np.abs(found[maps == 0]) <= 1e-44).all()


@given(MAPS, st.integers(-120, 120))
def test_float32(maps, power):
    maps = np.ldexp(maps, power)
    np.testing.assert_array_equal(unpack(*pack(maps, "float32")), maps)


@pytest.mark.parametrize(("store", "bytes"), [("float16", 2), ("uint8", 1), ("float32", 4)])
def test_size(store, bytes):
    assert pack(np.ones((2, 3, 5), np.float32), store).codes.nbytes == 30 * bytes
