"""Texts: strings on their way to a model, and the pieces of text for which it has integers."""

from __future__ import annotations

import codecs
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from tfxai.models.view import ModelView
from tfxai.words import Pieces

Explained = TypeVar("Explained", bound=Any)  # an Explanation, which imports this module

CONTINUES = "##"  # how WordPiece begins a piece inside a word
SENTENCE_PIECE, BYTES = "▁", "Ġ"  # how SentencePiece and byte-level BPE begin a word
SPECIAL = re.compile(r"<[^<>]+>|\[[^\[\]]+\]")  # such as [CLS] and </s>: words of their own


class Reader:
    """What a model takes, of whatever is handed in: strings go through a preprocessor, and are kept.

    Parameters
    ----------
    view : ModelView
        The model, which may have a preprocessor for texts, or for columns; without, strings stay as they are, which the
        checks of inputs do not let pass.
    """

    def __init__(self, view: ModelView):
        self._preprocessor, self._columns = view.preprocessor, view.columns
        self._texts: deque[str] = deque()

    def __call__(self, data: Any) -> Any:
        """The model's inputs."""
        if self._columns is not None:
            return self._columns(data)
        if self._preprocessor is None:
            return data
        if isinstance(data, str | bytes):
            raise TypeError("Expected a list of strings, got one string. Give [text].")
        texts = strings(data)
        if texts is None:
            return data
        found = self._preprocessor(texts)
        found = found[0] if isinstance(found, tuple) else found
        for x in found.values() if isinstance(found, Mapping) else [found]:
            rows = x.shape[0] if hasattr(x, "shape") else len(x)
            if rows != len(texts):
                raise ValueError(
                    f"Expected the preprocessor to make {len(texts)} rows from as many strings, got {rows}."
                )
        self._texts.extend(texts)
        return found

    def texts(self, count: int) -> np.ndarray | tuple[()]:
        """Those of the next inputs that were not asked for yet; () if they were no strings."""
        return np.array([self._texts.popleft() for _ in range(count)], object) if self._texts else ()


def strings(data: Any) -> list[str] | None:
    """A batch of strings as a list; None if it is anything else."""
    if tf.is_tensor(data) and data.dtype == tf.string:
        data = data.numpy()
    if isinstance(data, np.ndarray) and data.dtype.kind in "USO":
        data = (data[:, 0] if data.ndim == 2 and data.shape[1] == 1 else data).tolist()
    if not isinstance(data, list | tuple) or not data or not all(isinstance(x, str | bytes) for x in data):
        return None
    return [x.decode() if isinstance(x, bytes) else str(x) for x in data]


def with_pieces(explanation: Explained, preprocessor: Any) -> Explained:
    """An explanation that knows the pieces for which it has values, if its preprocessor tells them."""
    try:
        ids = explanation.of()[1]
    except ValueError:  # several inputs
        return explanation
    found = pieces(explanation.inputs, ids, preprocessor)
    return explanation if found is None else replace(explanation, pieces=found)


def pieces(inputs: Any, ids: np.ndarray, preprocessor: Any) -> Pieces | None:
    """What the integers of one of the inputs stand for, if the preprocessor tells."""
    tokenizer = getattr(preprocessor, "tokenizer", preprocessor)
    spell = _spelling(tokenizer)
    if spell is None or ids.ndim != 2 or (ids != np.round(ids)).any():
        return None
    kept = _kept(inputs, ids, tokenizer)
    tokens = [
        [spell(int(one)) if keep else None for one, keep in zip(*row, strict=True)]
        for row in zip(ids, kept, strict=True)
    ]
    mark = _mark(_vocabulary(tokenizer) or [token for row in tokens for token in row if token is not None])
    return tuple(tuple(_as_text(row, mark)) for row in tokens)


def _spelling(tokenizer: Any) -> Callable[[int], str] | None:
    """From integers to pieces, as KerasHub, other tokenizers and TextVectorization tell them."""
    for name in ("id_to_token", "convert_ids_to_tokens"):
        if _implements(tokenizer, name):
            return getattr(tokenizer, name)
    vocabulary = _vocabulary(tokenizer)
    if vocabulary:
        return vocabulary.__getitem__
    return (lambda one: _plain(tokenizer.detokenize([one]))) if hasattr(tokenizer, "detokenize") else None


def _implements(tokenizer: Any, name: str) -> bool:
    """Whether a tokenizer has a method, and not only the name of one that its base class leaves open."""
    try:
        getattr(tokenizer, name)(0)
    except (AttributeError, NotImplementedError):
        return False
    except LookupError:  # it knows no 0, but others
        return True
    return True


def _plain(text: Any) -> str:
    """One text, in whatever a tokenizer gives it."""
    text = text.numpy() if tf.is_tensor(text) else text
    text = np.asarray(text).ravel()[0]
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _vocabulary(tokenizer: Any) -> list[str]:
    return [str(one) for one in tokenizer.get_vocabulary()] if hasattr(tokenizer, "get_vocabulary") else []


def _kept(inputs: Any, ids: np.ndarray, tokenizer: Any) -> np.ndarray:
    """Where there is no padding: by a mask that is an input, or else by the tokenizer's integer."""
    for name, x in inputs.items() if isinstance(inputs, dict) else ():
        if "mask" in name and x.shape == ids.shape:
            return x.astype(bool)
    pad = 0 if isinstance(tokenizer, keras.layers.TextVectorization) else getattr(tokenizer, "pad_token_id", None)
    return np.ones(ids.shape, bool) if pad is None else ids != pad


def _mark(tokens: Sequence[str]) -> str:
    """How a tokenizer marks words; empty if each token is a word. Markdown's ## may be a token of any of them."""
    marks = (CONTINUES, SENTENCE_PIECE, BYTES)
    counts = Counter(mark for token in tokens for mark in marks if token.startswith(mark))
    return counts.most_common(1)[0][0] if counts else ""


def _as_text(tokens: Sequence[str | None], mark: str) -> Iterator[str | None]:
    """Tokens as pieces of text, words with a space before."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may be in two tokens
    apart = True
    for token in tokens:
        if token is None:
            yield None
            continue
        special = SPECIAL.fullmatch(token) is not None
        begins = token.startswith(mark) != (mark == CONTINUES)
        text = token.removeprefix(mark)
        if mark == BYTES and not special:
            text = decoder.decode(b"".join(_BYTES.get(letter, letter.encode()) for letter in text))
        yield f" {text}" if begins or apart or special else text
        apart = special


def _byte_letters() -> dict[str, bytes]:
    """The letters by which byte-level BPE writes bytes: themselves, or where they are not seen those from 256 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(code): bytes([byte]) for code, byte in [*zip(seen, seen, strict=True), *enumerate(hidden, 256)]}


_BYTES = _byte_letters()
