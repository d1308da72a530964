"""From inputs and heat-maps to pixels."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap

MAX_PIXELS = 1024  # longest side of what is drawn: a cell of a grid shows no more, and photographs may be huge
LINE, GAP = 18, 4  # pixels: a line of text and the space between pictures of a sheet
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue as bright as an eye sees it
PALEST, DARKEST = 255, 60  # of an image that has turned grey: dark colours are seen on it
AGAINST_TO_FOR = LinearSegmentedColormap.from_list(
    "against_to_for", ["#0b3c8c", "#1f77e6", "#5aa5f5", "#e8e8e8", "#f57f5e", "#e31a1c", "#8b0000"]
)
RISE = {False: 1.0, True: 0.6}  # how fast colours become opaque, signed or not: weak ones of both signs are pale
FADE = {False: 0.5, True: 1.0}  # how grey the image becomes: of blue and red, all must be those of the heat-map
INK = "#333333"  # of text and lines
COLOURS: dict[bool, str | Colormap] = {
    False: "viridis",
    True: AGAINST_TO_FOR,
}  # of heat-maps, signed or not, as on pages


def overlay(
    image: np.ndarray,
    heatmap: np.ndarray,
    alpha: float = 0.5,
    cmap: str | Colormap | None = None,
    signed: bool = False,
) -> np.ndarray:
    """Lay a heat-map over an image.

    Parameters
    ----------
    image : ndarray
        (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), uint8 or floats as `to_display` takes them.
    heatmap : ndarray
        (h, w) in [0, 1], signed in [-1, 1]; of another size, it is resized to the image's.
    alpha : float
        Opacity of the heat-map: 0 shows the image, 1 the heat-map only. In between, it is the more visible the stronger
        it is, and the image shines through everywhere.
    cmap : str or matplotlib Colormap, optional
        Colours of the heat-map. Default ``"viridis"``, and signed from blue (-1) to red (1): even steps to the eye,
        which the colour-blind tell apart.
    signed : bool
        Whether zero is the middle of the colours. The image then turns a light grey, so that all colours are those of
        the heat-map; else it keeps half of its colour.

    Returns
    -------
    ndarray
        uint8, (h, w, 3). The opacity is ``alpha * (2 - alpha) * abs(heatmap) ** ((1 - alpha) / alpha)``, signed
        with 0.6 times that exponent (ours).

    Raises
    ------
    ValueError
        If shapes do not fit, the heat-map or ``alpha`` leaves its range, or there is no such colour map.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.display import overlay
    >>> overlay(np.zeros((1, 2), np.uint8), np.array([[0.0, 1.0]]), cmap="gray", alpha=1)[0]
    array([[  0,   0,   0],
           [255, 255, 255]], dtype=uint8)
    >>> overlay(np.full((1, 2), 90, np.uint8), np.array([[0.0, -1.0]]), signed=True)[0]
    array([[129, 129, 129],
           [ 40,  77, 137]], dtype=uint8)
    """
    image, heatmap = to_display(np.asarray(image)[None])[0], np.asarray(heatmap, np.float32)
    low = -1 if signed else 0
    if heatmap.ndim != 2 or not heatmap.size:
        raise ValueError(f"Expected a heat-map of shape (h, w), got {heatmap.shape}.")
    if not (heatmap.min() >= low and heatmap.max() <= 1):
        hint = "" if signed else "; signed=True takes one in [-1, 1]"
        raise ValueError(f"Expected a heat-map in [{low}, 1], as Explanation.heatmaps() gives it{hint}.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"Expected alpha between 0 and 1, got {alpha!r}.")
    if heatmap.shape != image.shape[:2]:
        smaller = image.shape[0] <= heatmap.shape[0] and image.shape[1] <= heatmap.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        heatmap = np.clip(cv2.resize(heatmap, image.shape[1::-1], interpolation=how), low, 1)  # rounding
    colours = _colours(heatmap, cmap, signed)
    grey = DARKEST + (PALEST - DARKEST) / 255 * (image @ GREY)[..., None]
    faded = image + FADE[signed] * min(1, 2 * alpha) * (grey - image)
    strength = np.abs(heatmap)[..., None] ** (RISE[signed] * (1 - alpha) / alpha) if alpha else 0
    opacity = alpha * (2 - alpha) * strength
    return np.round(faded + opacity * (colours - faded)).astype(np.uint8)


def palette(cmap: str | Colormap | None, signed: bool) -> np.ndarray:
    """(n, 3) colours of a colour map, 0 to 255; None: that of heat-maps."""
    cmap = COLOURS[signed] if cmap is None else cmap
    return _named_palette(cmap) if isinstance(cmap, str) else _palette(cmap)


def _colours(heatmap: np.ndarray, cmap: str | Colormap | None, signed: bool) -> np.ndarray:
    colours = palette(cmap, signed)
    share = (heatmap + 1) / 2 if signed else heatmap
    return colours[np.minimum(share * len(colours), len(colours) - 1).astype(int)]  # as matplotlib rounds


@functools.cache
def _named_palette(cmap: str) -> np.ndarray:
    return _palette(matplotlib.colormaps.get_cmap(cmap))  # which makes it anew each time


def _palette(cmap: Colormap) -> np.ndarray:
    return 255 * cmap(np.arange(cmap.N))[:, :3]


def to_display(x: np.ndarray) -> np.ndarray:
    """Bring images in whatever range a model takes to one that a screen shows.

    Parameters
    ----------
    x : ndarray
        (n, h, w), (n, h, w, 1), (n, h, w, 3), or (n, h, w, 4) with opacity, which is drawn on white. The range is
        guessed from the whole batch: uint8, and whole numbers from 0 to 255 of any type, are shown as they are; floats
        in [0, 1] are multiplied by 255; in anything else, each image is stretched from its minimum to its maximum.

    Returns
    -------
    ndarray
        uint8, (n, h, w, 3).

    Raises
    ------
    ValueError
        If these are not images, or hold NaN or infinite values.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.display import to_display
    >>> to_display(np.array([[[-1.0, 0.0, 1.0]]]))[0, 0, :, 0]
    array([  0, 128, 255], dtype=uint8)
    """
    x = np.asarray(x)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 3, 4) or not x.size:
        raise ValueError(f"Expected images of shape (n, h, w) or (n, h, w, channels) with 1, 3 or 4, got {x.shape}.")
    if x.dtype != np.uint8:
        x = _to_bytes(x.astype(np.float32))
    if x.shape[-1] == 4:
        opacity = x[..., 3:] / np.float32(255)
        x = np.round(opacity * x[..., :3] + 255 * (1 - opacity)).astype(np.uint8)
    return np.repeat(x, 3, -1) if x.shape[-1] == 1 else x


def composite(x: np.ndarray) -> tuple[np.ndarray, str]:
    """Images with any number of channels as pictures.

    Parameters
    ----------
    x : ndarray
        (n, h, w) or (n, h, w, channels). One or three are shown as `to_display` does it, four as well if the last looks
        like opacity: in the range of pixels, and nearly everywhere 0 or full. With any other number (bands of a
        satellite, frames of a game) the mean of the channels, each stretched by itself, is shown in grey.

    Returns
    -------
    tuple of ndarray and str
        uint8, (n, h, w, 3); and what was done, in words: empty if nothing was.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.display import composite
    >>> composite(np.zeros((2, 8, 8, 13)))[1]
    'mean of 13 channels'
    """
    x = np.asarray(x)
    channels = x.shape[-1] if x.ndim == 4 else 1
    if x.ndim not in (3, 4) or channels in (1, 3):
        return to_display(x), ""
    if channels == 4 and _has_opacity(x):
        return to_display(x), "opacity drawn on white"
    return to_display(_stretched(x.astype(np.float32), (1, 2)).mean(-1)), f"mean of {channels} channels"


def in_range_of(inputs: np.ndarray, images: np.ndarray) -> np.ndarray:
    """What was made of inputs, such as blurred copies, as pictures in the range in which `composite` shows the inputs.

    Parameters
    ----------
    inputs, images : ndarray
        (n, h, w, channels).

    Returns
    -------
    ndarray
        uint8, (n, h, w, 3); numbers beyond the range are cut.
    """
    inputs, images = np.asarray(inputs), np.asarray(images, np.float32)
    if images.shape[-1] not in (1, 3):
        return composite(images)[0]
    low, high = inputs.min((1, 2, 3), keepdims=True), inputs.max((1, 2, 3), keepdims=True)
    if full := 255 if inputs.dtype == np.uint8 else _full(inputs):
        low, high = np.zeros_like(low), np.full_like(high, full)
    shown = (images - low) / np.where(high > low, high - low, 1).astype(np.float32)
    return to_display(np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8))


def channels_last(inputs: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A batch of inputs with channels after the positions, whose number along each axis is that of a heat-map."""
    first = inputs.ndim == len(size) + 2 and inputs.shape[1:-1] != size and inputs.shape[2:] == size
    return np.moveaxis(inputs, 1, -1) if first else inputs


def saturate(heatmaps: np.ndarray, percentile: float = 99.0) -> np.ndarray:
    """Let heat-maps reach 1 at a percentile, so that a few extreme pixels do not hide all others.

    Parameters
    ----------
    heatmaps : ndarray
        (n, ...) in [0, 1]; or in [-1, 1], where the percentile is that of the magnitudes.
    percentile : float
        Above 0 and at most 100, which changes nothing.

    Returns
    -------
    ndarray
        Each heat-map over its percentile, cut off at 1 and -1; as it was where that percentile is 0.

    Raises
    ------
    ValueError
        If ``percentile`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.display import saturate
    >>> saturate(np.array([[0.0, 0.25, 1.0]]), percentile=50)
    array([[0., 1., 1.]])
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"Expected percentile to be above 0 and at most 100, got {percentile!r}.")
    return np.clip(heatmaps / last_colour(heatmaps, percentile), -1, 1)


def last_colour(heatmaps: np.ndarray, percentile: float) -> np.ndarray:
    """(n, 1, ...) where each of the heat-maps reaches its last colour: at its percentile, or at 1 where that is 0."""
    top = np.percentile(np.abs(heatmaps), percentile, tuple(range(1, heatmaps.ndim)), keepdims=True)
    return np.where(top > 0, top, 1)


def photographs(images: Any, *inputs: np.ndarray) -> tuple[list[np.ndarray], str]:
    """What is drawn for each input: the photographs that users give, or else the inputs; and what was done to these.

    ``inputs`` are batches; within one all have the same size.
    """
    if images is None:
        pictures, done = zip(*map(composite, inputs), strict=True)
        return [one for batch in pictures for one in batch], done[0]
    count = sum(map(len, inputs))
    if len(images) != count:
        raise ValueError(f"Expected one image for each of the {count} inputs, got {len(images)}.")
    if isinstance(images, np.ndarray) and images.dtype != object:
        images = to_display(images)
    return [_shrink(to_display(np.asarray(one)[None])[0]) for one in images], ""


def sheet(rows: Sequence[tuple[str, Sequence[np.ndarray], Sequence[str]]]) -> np.ndarray:
    """Lay pictures out in rows, by OpenCV, which takes milliseconds where a matplotlib figure takes seconds.

    Parameters
    ----------
    rows : sequence of (title, pictures, captions)
        The pictures are uint8 (h, w, 3), of any size; a caption for each. Text is cut off at the end of its place.

    Returns
    -------
    ndarray
        uint8, (height, width, 3), on white: title over and captions under each row.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.display import sheet
    >>> sheet([("petals", [np.zeros((90, 60, 3), np.uint8)] * 2, ["red", "blue"])]).shape
    (134, 132, 3)
    """
    height, width = np.max([one.shape[:2] for _, pictures, _ in rows for one in pictures], axis=0)
    step = width + GAP
    heights = [height + LINE * (1 + any(captions)) + GAP for _, _, captions in rows]
    canvas = np.full((GAP + sum(heights), GAP + step * max(len(row[1]) for row in rows), 3), 255, np.uint8)

    def text(content: str, top: int, left: int, right: int | None = None) -> None:
        place = canvas[top : top + LINE, left:right]
        cv2.putText(place, content, (1, LINE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (51, 51, 51), 1, cv2.LINE_AA)

    tops = GAP + np.cumsum([0, *heights[:-1]])
    for top, (title, pictures, captions) in zip(tops, rows, strict=True):
        text(title, top, GAP)
        for left, picture, caption in zip(range(GAP, canvas.shape[1], step), pictures, captions, strict=False):
            canvas[top + LINE :, left:][: picture.shape[0], : picture.shape[1]] = picture
            text(caption, top + LINE + height, left, left + width)
    return canvas


def _to_bytes(x: np.ndarray) -> np.ndarray:
    if not np.isfinite(x).all():
        raise ValueError("Expected images without NaN or infinite values.")
    full = _full(x)
    return np.round(255 * (x / full if full else _stretched(x, (1, 2, 3)))).astype(np.uint8)


def _full(x: np.ndarray) -> float | None:
    """What stands for white if the range is that of pixels."""
    low, high = x.min(), x.max()
    if low >= 0 and high <= 1 and x.dtype != np.uint8:
        return 1
    return 255 if low >= 0 and high <= 255 and (x == np.round(x)).all() else None


def _stretched(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Each image from its minimum to its maximum, 0 to 1."""
    low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
    return (x - low) / np.where(high > low, high - low, 1)


def _has_opacity(x: np.ndarray) -> bool:
    full, last = _full(x), x[..., 3]
    return full is not None and bool((last == full).any() and np.isin(last, (0, full)).mean() > 0.9)


def _shrink(image: np.ndarray) -> np.ndarray:
    factor = MAX_PIXELS / max(image.shape)
    return image if factor >= 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
