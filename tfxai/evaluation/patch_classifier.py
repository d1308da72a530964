"""Can the class of an image be told from one patch of it? HOG, colours and a linear support vector machine."""

from __future__ import annotations

import cv2
import numpy as np
from sklearn.svm import LinearSVC

SIZE = 64  # pixels, to which pictures are brought
CELL, BINS = 8, 9  # pixels of a cell, and orientations: Dalal and Triggs (2005)
CUT = 0.2  # of the values of a block, before it is normalised again
SOFT = 0.01  # the C of the linear support vector machine, also theirs


def describe(image: np.ndarray) -> np.ndarray:
    """Histograms of gradients and, as these know no colours, the mean colour of each cell.

    Parameters
    ----------
    image : ndarray
        uint8, (h, w, 3).

    Returns
    -------
    ndarray
        (1956,) float32.
    """
    small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    cells = small.reshape(SIZE // CELL, CELL, SIZE // CELL, CELL, 3).mean((1, 3))
    return np.concatenate([gradient_histograms(small).ravel(), cells.ravel()])


def gradient_histograms(image: np.ndarray) -> np.ndarray:
    """HOG of Dalal and Triggs (2005): orientations of gradients in each cell, normalised in blocks of 2 x 2 cells.

    Written out, because OpenCV 5 has no `HOGDescriptor`, and nothing else here would need scikit-image.

    Parameters
    ----------
    image : ndarray
        (h, w, c) float32, sides that are multiples of 8; at each pixel the colour with the largest gradient counts.

    Returns
    -------
    ndarray
        (h / 8 - 1, w / 8 - 1, 36) float32.
    """
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    down, right = padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]
    sizes = np.hypot(down, right)
    strongest = sizes.argmax(-1)[..., None]
    size, down, right = (np.take_along_axis(x, strongest, 2)[..., 0] for x in (sizes, down, right))
    place = np.arctan2(down, right) % np.pi * BINS / np.pi - 0.5  # bin 0 is centred on half a bin
    low = np.floor(place).astype(int)
    votes = np.zeros((*size.shape, BINS), np.float32)
    for number, share in ((low, low + 1 - place), (low + 1, place - low)):  # a vote goes to the two nearest
        votes += (np.arange(BINS) == number[..., None] % BINS) * (size * share)[..., None]
    rows, columns = size.shape[0] // CELL, size.shape[1] // CELL
    cells = votes.reshape(rows, CELL, columns, CELL, BINS).sum((1, 3))
    corners = [cells[y : rows - 1 + y, x : columns - 1 + x] for y in (0, 1) for x in (0, 1)]
    return _unit(np.minimum(_unit(np.concatenate(corners, -1)), CUT))


def _unit(blocks: np.ndarray) -> np.ndarray:
    return blocks / np.sqrt((blocks**2).sum(-1, keepdims=True) + 1e-6)


def patch_accuracy(
    images: np.ndarray, labels: np.ndarray, boxes: np.ndarray, train: np.ndarray, seed: int = 0
) -> float:
    """Accuracy of a classifier that sees one patch, at its place, with zeros around it.

    Parameters
    ----------
    images : ndarray
        uint8, (n, h, w, 3).
    labels : ndarray
        (n,) classes.
    boxes : ndarray
        (n, k, 4) patches of each image, xmin, ymin, xmax, ymax; empty ones are left out.
    train : ndarray
        (n,) bool, of which images the patches are learned from; the others are tested.
    seed : int
        Seed of the solver.

    Raises
    ------
    ValueError
        If there are no patches to learn from, of at least two classes, or to test.
    """
    rows, numbers = np.nonzero(boxes[..., 2] > boxes[..., 0])
    found = np.array([describe(cut_out(images[row], boxes[row, k])) for row, k in zip(rows, numbers, strict=True)])
    learn = train[rows]
    if learn.all() or len(set(labels[rows[learn]])) < 2:
        raise ValueError("Expected patches of two classes or more to learn from, and others to test; take more images.")
    classifier = LinearSVC(C=SOFT, random_state=seed).fit(found[learn], labels[rows[learn]])
    return float(classifier.score(found[~learn], labels[rows[~learn]]))


def cut_out(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The image with zeros outside a box."""
    x0, y0, x1, y1 = box
    found = np.zeros_like(image)
    found[y0:y1, x0:x1] = image[y0:y1, x0:x1]
    return found
