"""Methods as text: ``occlusion:window=16,fill=mean``, and one around another, ``smooth_grad(guided_backprop)``."""

from __future__ import annotations

import ast
import itertools
import re
from typing import Any, NamedTuple

FORM = "METHOD:OPTION=VALUE,OPTION=VALUE or METHOD(METHOD INSIDE):OPTION=VALUE"


class Spelled(NamedTuple):
    """What a text says.

    Attributes
    ----------
    name : str
        Of the method.
    options : dict
        Values are Python literals, or else strings.
    given : str
        The options as they were written.
    inside : str, optional
        The method inside.
    """

    name: str
    options: dict[str, Any]
    given: str = ""
    inside: str | None = None


def spelled(text: str) -> Spelled:
    """Take a text apart; ValueError if it is not of the form, or has unequal numbers of parentheses."""
    if text.count("(") != text.count(")"):
        raise ValueError(f"The parentheses of {text!r} are not balanced. Expected {FORM}.")
    name, inside = re.split("[:()]", text, maxsplit=1)[0], None
    rest = text[len(name) :]
    if rest.startswith("("):
        inside = rest[1 : _closing(rest)]
        rest = rest[len(inside) + 2 :]
    if rest and not rest.startswith(":"):
        raise ValueError(f"Expected {FORM}, got {text!r}.")
    return Spelled(name.strip(), _options(rest[1:], text), rest[1:], inside)


def _closing(text: str) -> int:
    """Where the parenthesis is closed that a balanced text begins with."""
    depth = itertools.accumulate((letter == "(") - (letter == ")") for letter in text)
    return list(depth).index(0)


def _options(given: str, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for part in re.split(r",(?=\w+=)", given) if given else []:
        option, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"Expected options as NAME:OPTION=VALUE,OPTION=VALUE, got {text!r}.")
        try:
            options[option] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[option] = value
    return options
