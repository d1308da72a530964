"""Image files: read them, and prepare them for a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from tfxai.choices import Mode
from tfxai.preprocessing import parse

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
IMAGENET_MEAN = np.array([123.68, 116.779, 103.939], np.float32)  # RGB, of pixels in 0..255
TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # RGB, of pixels in 0..1
TORCH_STD = np.array([0.229, 0.224, 0.225], np.float32)

MODES: dict[Mode, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda x: x,
    "0..1": lambda x: x / 255,
    "-1..1": lambda x: x / 127.5 - 1,
    "caffe": lambda x: (x - IMAGENET_MEAN)[..., ::-1],
    "torch": lambda x: (x / 255 - TORCH_MEAN) / TORCH_STD,
}


def read(path: str | PathLike, upright: bool = True) -> np.ndarray:
    """Read an image file as its viewer would show it: turned by its EXIF orientation, laid on white if transparent.

    Parameters
    ----------
    path : path
        A JPEG, PNG, WebP, BMP or TIFF file, in grey or colour.
    upright : bool
        Whether to turn it. If false, pixels are where the file has them, to which boxes of data sets refer.

    Returns
    -------
    ndarray
        uint8, (h, w, 3), RGB.

    Raises
    ------
    ValueError
        If the file is missing, damaged or not an image.

    Examples
    --------
    >>> import cv2, numpy as np, tempfile
    >>> from tfxai import images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = cv2.imwrite(f"{folder}/grey.png", np.full((2, 3), 7, np.uint8))
    ...     images.read(f"{folder}/grey.png").shape
    (2, 3, 3)
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no image file {str(path)!r}.")
    # OpenCV itself cannot open every path on every system
    return decode(np.fromfile(path, np.uint8), repr(str(path)), upright)


def decode(data: bytes | np.ndarray, what: str = "this one", upright: bool = True) -> np.ndarray:
    """The pixels of an encoded image, as `read` has them.

    Parameters
    ----------
    data : bytes or ndarray
        What an image file holds.
    what : str
        What errors call it.
    upright : bool
        As for `read`.

    Returns
    -------
    ndarray
        uint8, (h, w, 3), RGB.

    Raises
    ------
    ValueError
        If it is damaged or not an image.
    """
    data = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    if _truncated(data.tobytes()):
        raise ValueError(f"The image file {what} is damaged: its end is missing.")
    raw = _decode(data, cv2.IMREAD_UNCHANGED)
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    transparent = raw is not None and raw.ndim == 3 and raw.shape[-1] == 4 and raw.dtype.kind == "u"
    pixels = _on_white(raw) if raw is not None and transparent else _decode(data, flags)
    if pixels is None:
        raise ValueError(f"Expected an image file, but {what} is damaged or not an image.")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def prepare(
    images: Sequence[np.ndarray],
    size: tuple[int | None, int | None] | None = None,
    channels: int = 3,
    mode: str = "none",
) -> np.ndarray:
    """Make a batch for a network: resize, turn to grey if need be, and preprocess.

    Parameters
    ----------
    images : sequence of ndarray
        uint8, (h, w, 3), RGB, of any sizes, as `read` gives them.
    size : (int, int), optional
        Height and width; None, or None for either: that of the first image.
    channels : {3, 1}
        Colour or grey.
    mode : str
        What the network expects: pixels in 0..255 as they are (``"none"``), divided by 255 (``"0..1"``), or by 127.5
        minus 1 (``"-1..1"``); normalised by the colours of ImageNet, as BGR minus the mean (``"caffe"``), or as RGB
        with unit variance (``"torch"``); or the numbers, such as ``"mean=104,117,123 scale=0.017 bgr"``: pixels minus
        mean, times scale, in the order in which the network takes its channels.

    Returns
    -------
    ndarray
        float32, (n, h, w, channels).

    Raises
    ------
    ValueError
        If there are no images, or size, channels or mode are none of the above.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai import images
    >>> images.prepare([np.full((50, 40, 3), 255, np.uint8)], (8, 8), mode="-1..1")[0, 0, 0]
    array([1., 1., 1.], dtype=float32)
    """
    if not len(images):
        raise ValueError("Expected at least one image, got none.")
    preprocess = preprocessing(mode)
    if channels not in (1, 3):
        raise ValueError(f"Expected a network that takes 1 or 3 channels, got {channels}.")
    if channels == 1 and preprocess(np.zeros((1, 1, 1), np.float32)).shape[-1] != 1:
        raise ValueError(f"Expected a network that takes 3 channels for the preprocessing {mode!r}, got 1.")
    first = images[0].shape[:2]
    height, width = (own or given for own, given in zip(size or (None, None), first, strict=True))
    resized = [_resize(image, height, width) for image in images]
    if channels == 1:
        resized = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] for image in resized]
    return np.ascontiguousarray(preprocess(np.stack(resized).astype(np.float32)), np.float32)


def centre(image: np.ndarray, share: float, size: tuple[int | None, int | None] = (None, None)) -> np.ndarray:
    """The middle of a photograph, in the shape of what a network takes.

    Networks of ImageNet are evaluated on such parts: 0.875 gives the 224 x 224 pixels in the middle of a photograph
    whose shorter side was made 256 pixels long.

    Parameters
    ----------
    image : ndarray
        (h, w, 3).
    share : float
        How much of the largest part of that shape in the photograph is taken: above 0, at most 1.
    size : (int, int), optional
        Height and width of the input, for its shape. Default: a square.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If the share is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai import images
    >>> images.centre(np.zeros((256, 400, 3), np.uint8), 0.875).shape
    (224, 224, 3)
    """
    left, top, right, bottom = middle(image.shape[:2], share, size)
    return image[top:bottom, left:right]


def middle(
    shape: tuple[int, int], share: float, size: tuple[int | None, int | None] = (None, None)
) -> tuple[int, int, int, int]:
    """Where `centre` cuts a photograph of this height and width: xmin, ymin, xmax, ymax, half open."""
    if not 0 < share <= 1:
        raise ValueError(f"Expected the share of a photograph to be above 0 and at most 1, got {share!r}.")
    wanted = np.array([1 if None in size else side for side in size], float)
    largest = (np.array(shape) / wanted).min() * wanted
    height, width = np.maximum(1, np.round(share * largest)).astype(int).tolist()
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    return left, top, left + width, top + height


def preprocessing(mode: str) -> Callable[[np.ndarray], np.ndarray]:
    """What a preprocessing makes of pixels in 0..255, RGB, as `prepare` takes it.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai import images
    >>> images.preprocessing("mean=1,2,3 scale=2 bgr")(np.array([10, 20, 30], np.float32))
    array([58., 36., 14.], dtype=float32)
    """
    known = parse(mode)
    if isinstance(known, str):
        return MODES[known]
    mean, scale = np.array(known.mean, np.float32), np.array(known.scale, np.float32)
    return lambda x: ((x[..., ::-1] if known.bgr else x) - mean) * scale


def is_bgr(mode: str) -> bool:
    """Whether a preprocessing turns the channels around."""
    known = parse(mode)
    return known == "caffe" if isinstance(known, str) else known.bgr


def _decode(data: np.ndarray, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(data, flags)
    except cv2.error:  # an empty file
        return None


def _on_white(bgra: np.ndarray) -> np.ndarray:
    """uint8 colours of a transparent picture of any depth."""
    bgra = bgra / np.iinfo(bgra.dtype).max
    opacity = bgra[..., 3:]
    return np.round(255 * (bgra[..., :3] * opacity + 1 - opacity)).astype(np.uint8)


def _truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG file stops before its end marker: OpenCV would fill the rest with grey or black.

    Our own, as Pillow's ``verify`` lets most cut JPEG files pass, and its ``load``, which decodes a second time, PNG
    files that have lost their last 20 bytes. In other formats OpenCV notices it.
    """
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")  # no end of image after the last start of a scan
    return data.startswith(b"\x89PNG") and b"IEND" not in data[-4096:]


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Average where the image shrinks, interpolate where it grows, each axis on its own."""
    smaller = (min(width, image.shape[1]), min(height, image.shape[0]))
    return cv2.resize(
        cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), (width, height), interpolation=cv2.INTER_LINEAR
    )
