"""Painted flowers whose discriminative part is known, and small networks that tell them apart.

Every image shows one flower before a cluttered background. One part of it carries the colour that is the class;
all else is painted in nearly grey, neutral colours. The visible pixels of that part are the ground truth for a
heat-map. In the set ``single-6c`` the part is always the petals (six colours, six classes); in ``double-12c`` it
is the petals or the leaves with the stem, so a network must recognise part and colour (twelve classes).

The sets stand in for an8Flower of Oramas, Wang and Tuytelaars, "Visual Explanation by Interpretation: Improving
Visual Feedback Capabilities of Deep Neural Networks", ICLR 2019. They are drawn here from scratch and share no
picture with it.
"""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import get_args

import cv2
import keras
import numpy as np

from tfxai.checks import one_of
from tfxai.choices import Architecture
from tfxai.choices import FlowerSet as Name
from tfxai.datasets import vision_transformer

COLOURS = {"red": 0.0, "yellow": 55.0, "green": 120.0, "cyan": 180.0, "blue": 230.0, "magenta": 300.0}
"""Hue of each class colour in degrees; neighbours are at least 50 degrees apart."""
PARTS: dict[Name, tuple[str, ...]] = {"single-6c": ("petals",), "double-12c": ("petals", "leaves")}
"""Parts of the flower that carry the class, for each set."""
CLASSES: dict[Name, tuple[str, ...]] = {
    name: tuple(f"{hue} {part}" for part in parts for hue in COLOURS) for name, parts in PARTS.items()
}
"""Readable names of the classes of each set, in the order of the labels."""
SHIPPED: dict[Architecture, tuple[Name, ...]] = {"cnn": ("single-6c", "double-12c"), "vit": ("single-6c",)}
"""Sets for which a network of each architecture is shipped."""
WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped weights."""

HUE_JITTER = 6.0  # degrees: far less than half the distance between two class colours
SUPERSAMPLE = 4  # shapes are painted at this multiple of the size and averaged down, which anti-aliases them
SUBPIXEL_BITS = 4  # fractional bits of the coordinates given to OpenCV
LABEL_STREAM, IMAGE_STREAM = 0, 1  # keys that keep the random numbers of labels and of images apart

# Positions along a spine, dense at its ends, where the outlines of petals and pebbles curve most.
T = ((1 - np.cos(np.linspace(0, np.pi, 14))) / 2).astype(np.float32)
ROUND = np.sqrt(np.clip(T * (1 - T), 0, None)) * 2  # half-widths along the spine: an ellipse
PETAL = np.abs(np.sin(np.pi * T**1.4)) ** 0.8  # widest past the middle
LEAF = np.abs(np.sin(np.pi * T**0.8)) ** 1.2  # widest before the middle, with a pointed tip
BLADE = 1 - 0.9 * T  # tapering
STEM = 1 - 0.35 * T


def make(name: Name = "single-6c", n: int = 600, size: int = 112, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Paint flowers, with their classes and the pixels that decide the class.

    Each image depends only on the set, the size, the seed and its own index: a larger ``n`` continues the same
    sequence, and another size shows the same scenes. Every block of 6 or 12 images holds each class once.

    Parameters
    ----------
    name : {"single-6c", "double-12c"}, default "single-6c"
        The set: coloured petals (6 classes), or coloured petals or leaves with stem (12 classes).
    n : int, default 600
        Number of images, at least 1.
    size : int, default 112
        Height and width of the images in pixels, at least 16.
    seed : int, default 0
        Seed of the sequence, not negative.

    Returns
    -------
    images : ndarray of uint8, shape (n, size, size, 3)
        RGB images.
    labels : ndarray of int64, shape (n,)
        Classes; ``CLASSES[name][label]`` is the readable name.
    masks : ndarray of bool, shape (n, size, size)
        Pixels at least half covered by the visible (not occluded) discriminative part.

    Raises
    ------
    TypeError, ValueError
        If ``name`` is not a string or another argument is not an integer; if there is no such set or a number is
        below its minimum.

    Examples
    --------
    >>> from tfxai.datasets import flowers
    >>> images, labels, masks = flowers.make("double-12c", n=24, size=64)
    >>> images.shape, masks.shape
    ((24, 64, 64, 3), (24, 64, 64))
    >>> flowers.CLASSES["double-12c"][7]
    'yellow leaves'
    """
    _check_name(name)
    n, size, seed = _check_int("n", n, 1), _check_int("size", size, 16), _check_int("seed", seed, 0)
    labels = _labels(name, n, seed)
    images = np.empty((n, size, size, 3), np.uint8)
    masks = np.empty((n, size, size), bool)
    for i, label in enumerate(labels):
        images[i], masks[i] = _paint(_random(name, seed, IMAGE_STREAM, i), name, int(label), size)
    return images, labels, masks


def build_model(classes: int, name: str = "flowers") -> keras.Model:
    """Build the untrained network: five convolutions, global average pooling, one dense layer.

    It takes images of any size as float32 in 0..255, ``(batch, height, width, 3)``. The last spatial layer,
    ``"block5_relu"``, has an eighth of the input's resolution (14 x 14 for 112 pixels) and feeds the ``"logits"``
    through nothing but an average, so that plain class activation maps apply. There is no batch normalisation.
    The last two convolutions are 1 x 1: every unit sees but 22 x 22 pixels, and so lies near what excites it.

    Parameters
    ----------
    classes : int
        Number of classes, at least 1.
    name : str, default "flowers"
        Name of the model.

    Returns
    -------
    keras.Model
        Functional model from images to probabilities of shape ``(batch, classes)``.

    Raises
    ------
    TypeError, ValueError
        If ``classes`` is not an integer, or is below 1.

    Examples
    --------
    >>> from tfxai.datasets import flowers
    >>> flowers.build_model(6).output_shape
    (None, 6)
    """
    classes = _check_int("classes", classes, 1)
    inputs = keras.Input((None, None, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
    for block, (filters, kernel) in enumerate([(16, 3), (24, 3), (48, 3), (64, 1), (64, 1)], start=1):
        x = keras.layers.Conv2D(filters, kernel, padding="same", name=f"block{block}_conv")(x)
        x = keras.layers.ReLU(name=f"block{block}_relu")(x)
        if block <= 3:
            x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = keras.layers.Dense(classes, name="logits")(keras.layers.GlobalAveragePooling2D(name="average")(x))
    return keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x), name=name)


def new_model(name: Name = "single-6c", architecture: Architecture = "cnn") -> keras.Model:
    """Build an untrained network for a set.

    Parameters
    ----------
    name : {"single-6c", "double-12c"}, default "single-6c"
        The set.
    architecture : {"cnn", "vit"}, default "cnn"
        Convolutions, see `build_model`, or a vision transformer, see `tfxai.datasets.vision_transformer`.

    Returns
    -------
    keras.Model
        Functional model from images to probabilities.

    Raises
    ------
    TypeError, ValueError
        If ``name`` is not a string; if there is no such set, or no such architecture.
    """
    _check_name(name)
    one_of("architecture", architecture, get_args(Architecture))
    build = build_model if architecture == "cnn" else vision_transformer.build
    return build(len(CLASSES[name]), name=f"flowers_{stem(name, architecture).replace('-', '_')}")


def load_model(name: Name = "single-6c", architecture: Architecture = "cnn") -> keras.Model:
    """Load the network that was trained on a set and is shipped with the package.

    Parameters
    ----------
    name : {"single-6c", "double-12c"}, default "single-6c"
        The set.
    architecture : {"cnn", "vit"}, default "cnn"
        Convolutions, or a vision transformer, which there is for ``"single-6c"`` only.

    Returns
    -------
    keras.Model
        See `build_model` and `tfxai.datasets.vision_transformer`. It was trained on images of 112 pixels; the
        transformer takes no others.

    Raises
    ------
    TypeError, ValueError
        If ``name`` is not a string; if there is no such set, no such architecture, or none that was trained on the set.

    Examples
    --------
    >>> from tfxai.datasets import flowers
    >>> images, labels, masks = flowers.make(n=6)
    >>> flowers.load_model().predict(images.astype("float32"), verbose=0).shape
    (6, 6)
    """
    model = new_model(name, architecture)
    if name not in SHIPPED[architecture]:
        raise ValueError(
            f"Expected name to be {' or '.join(SHIPPED[architecture])} for the architecture {architecture!r}, "
            f"got {name!r}. Train one: tfxai.datasets.train_flowers.train({name!r}, architecture={architecture!r})."
        )
    model.load_weights(WEIGHTS / f"{stem(name, architecture)}.weights.h5")
    return model


def stem(name: Name, architecture: Architecture) -> str:
    """What the file of a network's weights is called, without its ending."""
    return name if architecture == "cnn" else f"{architecture}-{name}"


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"Expected name to be a string, one of {', '.join(CLASSES)}, got {type(name).__name__}.")
    if name not in CLASSES:
        raise ValueError(f"Expected name to be one of {', '.join(CLASSES)}, got {name!r}.")


def _check_int(what: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"Expected {what} to be an integer, got {value!r}.")
    if value < least:
        raise ValueError(f"Expected {what} to be at least {least}, got {value}.")
    return int(value)


def _random(name: Name, seed: int, stream: int, index: int) -> np.random.Generator:
    """Random numbers that depend on nothing but these keys."""
    return np.random.default_rng((seed, list(CLASSES).index(name), stream, index))


def _labels(name: Name, n: int, seed: int) -> np.ndarray:
    """Every block of consecutive images holds each class once, in an order of its own."""
    classes = len(CLASSES[name])
    blocks = [_random(name, seed, LABEL_STREAM, block).permutation(classes) for block in range(-(-n // classes))]
    return np.concatenate(blocks)[:n].astype(np.int64)


# A group of shapes is a tuple of outlines (m, points, 2) in units of the image's side, x before y and y downwards,
# and of their colours (m, 3) as hue in degrees, saturation and value. Later shapes hide earlier ones.


def _paint(rng: np.random.Generator, name: Name, label: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """One image and its mask."""
    colour, part = CLASSES[name][label].split()
    hue = COLOURS[colour] + rng.uniform(-HUE_JITTER, HUE_JITTER)
    light = rng.uniform(0.35, 0.8)
    vivid = (hue, rng.uniform(0.68, 0.98), rng.uniform(0.78, 1.0))
    plain = _neutral(rng, light + (0.33 if light < 0.55 else -0.33))
    greens = _greens(rng, vivid if part == "leaves" else plain)
    petals = _petals(rng, vivid if part == "petals" else plain)
    groups = [_clutter(rng, light), *_place(rng, [greens, petals, _disc(rng)])]
    chosen = np.repeat([False, part == "leaves", part == "petals", False], [len(colours) for _, colours in groups])
    outlines, colours = (np.concatenate(arrays) for arrays in zip(*groups, strict=True))
    return _rasterise(outlines, colours, chosen, _background(rng, light, size))


def _neutral(rng: np.random.Generator, value: float) -> tuple[float, float, float]:
    """A nearly grey colour: whatever its hue, it cannot pass for the colour of a class."""
    return rng.uniform(0, 360), rng.uniform(0.02, 0.16), value


def _strips(start, bend, end, width, profile) -> np.ndarray:
    """Outlines along quadratic Bezier curves: control points (m, 2), widths (m,) -> (m, 2 * len(T), 2)."""
    start, bend, end = (np.asarray(p, np.float32)[:, None] for p in (start, bend, end))
    t = T[:, None]
    spine = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    tangent = (1 - t) * (bend - start) + t * (end - bend)
    normal = tangent[..., ::-1] * (-1, 1) / (np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-6)
    side = normal * (np.asarray(width, np.float32)[:, None] / 2 * profile)[..., None]
    return np.concatenate([spine + side, (spine - side)[:, ::-1]], axis=1)


def _shades(colour, values, saturations=1.0) -> np.ndarray:
    """The colour at multiples of its value and saturation, same hue: (m, 3)."""
    hue, saturation, value = colour
    return np.stack(np.broadcast_arrays(hue, saturation * saturations, value * np.asarray(values)), axis=-1)


def _polar(angle, radius) -> np.ndarray:
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=-1)


def _petals(rng: np.random.Generator, colour) -> tuple[np.ndarray, np.ndarray]:
    """Five to nine petals around the origin, each a dark rim, a face, and a darker streak along its middle."""
    n = int(rng.integers(5, 10))
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(n) / n + rng.normal(0, 0.05, n)
    lengths = rng.uniform(0.25, 0.3) * rng.uniform(0.92, 1.06, n)
    widths = lengths * min(rng.uniform(0.42, 0.62), 4.2 / n)
    axes, bends = _polar(angles, lengths), _polar(angles + rng.uniform(-0.25, 0.25), 0.5 * lengths)
    spans = (0.05, 1.0, 1.0), (0.12, 0.94, 0.8), (0.15, 0.72, 0.16)  # begin, end and width, relative to the petal
    layers = [_strips(begin * axes, bends, end * axes, width * widths, PETAL) for begin, end, width in spans]
    light = rng.uniform(0.92, 1.0, n)
    colours = [_shades(colour, light * value, s) for value, s in [(0.72, 1.0), (1.0, 0.94), (0.82, 1.0)]]
    return np.stack(layers, 1).reshape(3 * n, -1, 2), np.stack(colours, 1).reshape(3 * n, 3)


def _greens(rng: np.random.Generator, colour) -> tuple[np.ndarray, np.ndarray]:
    """A stem from below the picture up to the origin, and a leaf with a midrib on either side."""
    foot, knee = np.array([rng.normal(0, 0.08), 0.95]), np.array([rng.normal(0, 0.1), 0.4])
    stem = _strips([foot], [knee], [(0, 0)], [rng.uniform(0.04, 0.055)], STEM)
    t = rng.uniform(0.4, 0.55, 2)[:, None]
    joint = (1 - t) ** 2 * foot + 2 * t * (1 - t) * knee
    rise = rng.uniform(0.1, 0.75, 2)  # radians above the horizontal
    reach = _polar(rise, rng.uniform(0.27, 0.36, 2)) * ((-1, -1), (1, -1))
    sag = joint + 0.5 * reach + rng.uniform(-0.07, 0.02, (2, 1)) * (0, 1)
    widths = np.linalg.norm(reach, axis=-1) * rng.uniform(0.36, 0.5, 2)
    leaf = [_strips(joint, sag, joint + r * reach, w, LEAF) for r, w in [(1, widths), (0.95, widths * 0.8)]]
    rib = _strips(joint, sag, joint + 0.9 * reach, widths * 0.1, BLADE)
    outlines = np.concatenate([stem, *np.stack([*leaf, rib], 1)])
    return outlines, _shades(colour, (0.8, 0.74, 1.0, 0.8, 0.74, 0.96, 0.78))


def _disc(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The middle of the flower: a neutral rim and face, with seeds in a sunflower spiral."""
    radius = rng.uniform(0.075, 0.1)
    turn = rng.uniform(0, 2 * np.pi) + 2.39996 * np.arange(12)  # the golden angle
    centres = np.concatenate([np.zeros((2, 2)), _polar(turn, 0.78 * radius * np.sqrt((np.arange(12) + 0.5) / 12))])
    radii = np.concatenate([[radius, 0.86 * radius], np.full(12, 0.13 * radius)])
    face, seed = rng.permutation([rng.uniform(0.2, 0.32), rng.uniform(0.62, 0.8)])
    return _ellipses(centres, radii, radii), _shades(_neutral(rng, 1.0), [0.7 * face, face, *[seed] * 12])


def _ellipses(centres, radii, heights, angle=0.0) -> np.ndarray:
    axis = _polar(np.broadcast_to(angle, radii.shape), radii)
    return _strips(centres - axis, centres, centres + axis, 2 * heights, ROUND)


def _clutter(rng: np.random.Generator, light: float) -> tuple[np.ndarray, np.ndarray]:
    """Pebbles, fallen leaves and blades of grass, all neutral, anywhere in the picture."""
    pebbles, fallen, blades = rng.integers(4, 9), rng.integers(2, 5), rng.integers(3, 8)
    radii, tilts = rng.uniform(0.02, 0.09, pebbles), rng.uniform(0, np.pi, pebbles)
    stones = _ellipses(rng.uniform(0, 1, (pebbles, 2)), radii, radii * rng.uniform(0.5, 1, pebbles), tilts)
    at, reach = rng.uniform(0, 1, (fallen, 2)), _polar(rng.uniform(0, 2 * np.pi, fallen), rng.uniform(0.1, 0.3, fallen))
    bend = at + reach / 2 + rng.normal(0, 0.03, (fallen, 2))
    leaves = _strips(at, bend, at + reach, rng.uniform(0.04, 0.12, fallen), LEAF)
    foot = np.stack([rng.uniform(0, 1, blades), np.full(blades, 1.02)], -1)
    rise = np.stack([rng.normal(0, 0.15, blades), -rng.uniform(0.2, 0.8, blades)], -1)
    grass = _strips(foot, foot + rise * (0, 0.5), foot + rise, rng.uniform(0.01, 0.035, blades), BLADE)
    outlines = np.concatenate([stones, leaves, grass])
    values = np.clip(light + rng.normal(0, 0.09, len(outlines)), 0.15, 0.95)
    colours = np.stack([*rng.uniform((0, 0.02), (360, 0.16), (len(outlines), 2)).T, values], -1)
    order = rng.permutation(len(outlines))
    return outlines[order], colours[order]


def _place(rng: np.random.Generator, groups: list) -> list:
    """Scale, tilt and shift a flower drawn around the origin to its place in the picture."""
    scale, tilt = rng.uniform(0.7, 1.1), rng.uniform(-0.35, 0.35)
    turn = scale * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    # The turn goes round a point on the stem, so that a tilted flower stays in the picture.
    pivot, middle = np.array([0, 0.14]), np.array([0.5, 0.52]) + rng.uniform(-0.1, 0.1, 2)
    return [((outlines - pivot) @ turn.T + middle, colours) for outlines, colours in groups]


def _background(rng: np.random.Generator, light: float, size: int) -> np.ndarray:
    """A gradient in a random direction between two neutral colours, with soft blotches: float32 RGB in 0..255."""
    spread = rng.uniform(0.05, 0.2)
    ends = _rgb(np.array([_neutral(rng, light - spread), _neutral(rng, light + spread)]))
    direction = _polar(rng.uniform(0, 2 * np.pi), 0.7)
    blotches = rng.normal(0.5, 0.18, (6, 6)).astype(np.float32)
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    mix = cv2.resize(blotches, (size, size), interpolation=cv2.INTER_CUBIC)
    mix += np.float32(direction[0]) * ramp + np.float32(direction[1]) * ramp[:, None]
    return ends[0] + mix.clip(0, 1)[..., None] * (ends[1] - ends[0])


def _rgb(hsv: np.ndarray) -> np.ndarray:
    """Colours (m, 3) from hue in degrees, saturation, value to float32 RGB in 0..255."""
    hsv = np.concatenate([hsv[:, :1] % 360, hsv[:, 1:].clip(0, 1)], axis=1)
    return cv2.cvtColor(hsv[None].astype(np.float32), cv2.COLOR_HSV2RGB)[0] * 255


def _rasterise(outlines, colours, chosen, background) -> tuple[np.ndarray, np.ndarray]:
    """Paint the shapes over the background; the mask is where chosen shapes remain visible."""
    # Both are averages of one large canvas of shape numbers, so that the mask agrees with the image at every edge.
    size, large = len(background), len(background) * SUPERSAMPLE
    # OpenCV puts the centre of a pixel at whole coordinates: the canvas begins at -0.5.
    points = np.rint((outlines * large - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
    canvas = np.zeros((large, large), np.uint8)
    for number, outline in enumerate(points, start=1):
        cv2.fillPoly(canvas, [outline], number, shift=SUBPIXEL_BITS)

    tables = np.zeros((5, 256), np.uint8)  # what a number stands for: red, green, blue, painted at all, chosen
    painted = np.full(len(colours), 255)
    tables[:, 1 : 1 + len(colours)] = [*np.rint(_rgb(colours)).T, painted, painted * chosen]
    means = [cv2.resize(cv2.LUT(canvas, table), (size, size), interpolation=cv2.INTER_AREA) for table in tables]
    uncovered = 1 - means[3] * np.float32(1 / 255)
    image = cv2.merge(means[:3]) + uncovered[..., None] * background
    return np.rint(image).clip(0, 255).astype(np.uint8), means[4] >= 128
