"""What is done to pixels before a model takes them, in words: the name of a mode, or the numbers themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, get_args

from tfxai.choices import Mode

WORDS = '"mean=104,117,123 scale=0.017 bgr", of which each may be left out'

# Networks of keras.applications that scale no pixels themselves, by the names that they have there.
APPLICATIONS: dict[str, Mode] = {
    r"vgg(16|19)|resnet(50|101|152)": "caffe",
    r"resnet(50|101|152)v2|mobilenet(v2)?_\d\.\d+_\d+|inception_v3|inception_resnet_v2|xception|NASNet": "-1..1",
    r"densenet(121|169|201)": "torch",
}


class Affine(NamedTuple):
    """``(pixels - mean) * scale``, one number each, or one for each channel in the model's order."""

    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    bgr: bool = False


def parse(text: str) -> Mode | Affine:
    """Read a preprocessing.

    Parameters
    ----------
    text : str
        ``"none"``, ``"0..1"``, ``"-1..1"``, ``"caffe"``, ``"torch"``; or words such as ``"mean=104,117,123 scale=0.017
        bgr"``.

    Returns
    -------
    str or Affine
        The mode, or the numbers.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> from tfxai.preprocessing import parse
    >>> parse("mean=104,117,123 bgr").mean
    (104.0, 117.0, 123.0)
    """
    if text in get_args(Mode):
        return text  # type: ignore[return-value]
    given: dict[str, tuple[float, ...] | bool] = {}
    for word in text.split():
        name, _, numbers = word.partition("=")
        if word == "bgr" and name not in given:
            given[name] = True
        elif name in ("mean", "scale") and name not in given:
            given[name] = _numbers(numbers, text)
        else:
            raise _unknown(text)
    if not given:
        raise _unknown(text)
    return Affine(**given)  # type: ignore[arg-type]


def _numbers(text: str, whole: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise _unknown(whole) from error
    if len(numbers) not in (1, 3):
        raise ValueError(f"Expected one number, or one for each of three channels, got {text!r}.")
    return numbers


def _unknown(text: str) -> ValueError:
    return ValueError(f"Expected the preprocessing to be one of {', '.join(get_args(Mode))}, or {WORDS}; got {text!r}.")


def of_application(names: Iterable[str]) -> tuple[str, Mode] | None:
    """The first of some names by which keras.applications calls a network, and what pixels become for it there.

    Examples
    --------
    >>> from tfxai.preprocessing import of_application
    >>> of_application(["functional", "mobilenetv2_1.00_224"])
    ('mobilenetv2_1.00_224', '-1..1')
    """
    found = ((name, mode) for name in names for known, mode in APPLICATIONS.items() if re.fullmatch(known, name))
    return next(found, None)
