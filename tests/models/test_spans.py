"""What units see along one axis, against windows that are moved by hand."""

from fractions import Fraction

import pytest
import tensorflow as tf

from tfxai.models.spans import Span, along_axis, enlarged, joined, shifted, together


def seen(span):
    """First and last position of each unit."""
    return [(span.low + unit * span.step, span.high + unit * span.step) for unit in range(int(span.units))]


PAIRS = Span(Fraction(-1), Fraction(2), Fraction(2), axis=1, units=4)  # as of a window of 4 with stride 2 and padding 1


def test_all_units_together_see_what_any_of_them_does():
    whole = together(PAIRS)
    assert whole.fixed
    assert (whole.low, whole.high) == (min(low for low, _ in seen(PAIRS)), max(high for _, high in seen(PAIRS)))


@pytest.mark.parametrize("by", [-1, 0, 2])
def test_shifted_units_are_what_others_were(by):
    assert seen(shifted(PAIRS, by, 4))[max(-by, 0) : 4 - max(by, 0)] == seen(PAIRS)[max(by, 0) : 4 + min(by, 0)]


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_each_of_the_places_that_a_unit_got_sees_at_least_what_the_unit_does(factor):
    found = seen(enlarged(PAIRS, factor, 4 * factor))
    for place, (low, high) in enumerate(found):
        own_low, own_high = seen(PAIRS)[place // factor]
        assert low <= own_low
        assert high >= own_high


def test_branches_that_move_alike_are_joined_unit_by_unit_others_as_a_whole():
    wide = PAIRS._replace(low=Fraction(-3), high=Fraction(0))
    pairs = zip(seen(PAIRS), seen(wide), strict=True)
    assert seen(joined([PAIRS, wide])) == [(min(a, b), max(c, d)) for (a, c), (b, d) in pairs]
    slow = PAIRS._replace(step=Fraction(1))
    assert joined([PAIRS, slow]) == Span(Fraction(-1), Fraction(8))


def test_units_lie_along_an_axis_of_their_size_only():
    assert along_axis(PAIRS, tf.zeros([1, 4, 3])) == PAIRS
    assert along_axis(PAIRS, tf.zeros([1, 5, 3])).fixed
    merged = PAIRS._replace(inner=2)
    assert along_axis(merged, tf.zeros([1, 8, 3])).units == 8
