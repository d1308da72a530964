"""Image files, and a table of the boxes in them."""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from os import PathLike
from pathlib import Path

import numpy as np

from tfxai import images
from tfxai.evaluation.image_files import ImageFiles, checksum

CORNERS = ("xmin", "ymin", "xmax", "ymax")
CLASS = ("class", "class_index")

Boxes = dict[tuple[str, int], list[list[float]]]


def read_boxes(table: str | PathLike, limit: int | None = None) -> Boxes:
    """The boxes of a CSV file.

    Parameters
    ----------
    table : path
        With the columns file, class (or class_index), xmin, ymin, xmax, ymax, and a row for each box; other columns are
        ignored.
    limit : int, optional
        How many images to take; default: all.

    Returns
    -------
    dict
        (file, class) to boxes, in the order in which they first occur.

    Raises
    ------
    ValueError
        If the file is missing or empty, or columns are missing, or a row holds no box, with its line; or the limit is
        not positive.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"Expected a limit of 1 image or more, got {limit}.")
    if not Path(table).is_file():
        raise ValueError(f"There is no file {str(table)!r} with boxes.")
    found: Boxes = defaultdict(list)
    with open(table, newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        columns = rows.fieldnames or ()
        label = next((name for name in CLASS if name in columns), None)
        missing = [name for name in ("file", *CORNERS) if name not in columns]
        if label is None or missing:
            missing += [] if label else ["class"]
            raise ValueError(f"Expected {str(table)!r} to have the columns {missing} too, it has {list(columns)}.")
        for row in rows:
            try:
                class_id, box = int(row[label]), [float(row[name]) for name in CORNERS]
                if class_id < 0 or not (box[0] < box[2] and box[1] < box[3]):
                    raise ValueError
            except (TypeError, ValueError):
                raise ValueError(
                    f"Expected the number of a class, and xmin < xmax and ymin < ymax, in line {rows.line_num} of "
                    f"{str(table)!r}, got {label} {row[label]}, {', '.join(f'{name} {row[name]}' for name in CORNERS)}."
                ) from None
            found[row["file"], class_id].append(box)
    if not found:
        raise ValueError(f"There are no boxes in {str(table)!r}: expected one or more rows.")
    return dict(itertools.islice(found.items(), limit))


class BoxedImages(ImageFiles):
    """Images with boxes, checked, and read in batches as a network takes them.

    An image with boxes of several classes counts once for each of them.

    Parameters
    ----------
    folder : path
        Where the files are.
    boxes : dict
        (file, class) to boxes in pixels of the file as stored, half open, as `read_boxes` gives them.
    size, channels, mode
        As for `tfxai.images.prepare`.
    crop : float, optional
        Which share of each image is taken, as for `tfxai.images.centre`; boxes are cut with it. Default: all of it.

    Attributes
    ----------
    left_out : list of str
        Images without a box in the part that is taken.
    boxes : list of ndarray
        (k, 4) for each image, in pixels of the network's input.
    classes : ndarray
        (n,) int.
    keys : list of str
        What distinguishes an image from others, its pixels included.
    size : tuple of int
        Height and width of the network's input.

    Raises
    ------
    ValueError
        If the folder or a file is missing or damaged, or a box does not lie in its image.
    """

    def __init__(
        self,
        folder: str | PathLike,
        boxes: Boxes,
        size: tuple[int | None, int | None],
        channels: int = 3,
        mode: str = "none",
        crop: float | None = None,
    ):
        if not Path(folder).is_dir():
            raise ValueError(f"Expected a folder of images, and {str(folder)!r} is not one.")
        self._channels, self._mode = channels, mode
        self._upright, self._crop = False, crop
        self._files: list[Path] = []
        self.boxes: list[np.ndarray] = []
        self.keys: list[str] = []
        self.left_out: list[str] = []
        classes = []
        for (name, class_id), own in boxes.items():
            file = Path(folder) / name
            pixels = images.read(file, upright=False)
            height, width = pixels.shape[:2]
            if not self.boxes and not self.left_out:
                self.size = size[0] or height, size[1] or width
            scale = np.array([width, height] * 2)
            corners = np.array(own)
            outside = ((corners < 0) | (corners > scale)).any(1)
            if outside.any():
                raise ValueError(
                    f"The box {own[outside.argmax()]} lies outside {str(file)!r}, whose width and height are {width} "
                    f"and {height}. Expected xmin, ymin, xmax, ymax in pixels of the file as stored."
                )
            taken = (0, 0, width, height) if crop is None else images.middle((height, width), crop, self.size)
            inside = _cut(corners, taken)
            if not len(inside):
                self.left_out.append(str(file))
                continue
            scale = np.array([taken[2] - taken[0], taken[3] - taken[1]] * 2)
            self._files.append(file)
            classes.append(class_id)
            self.boxes.append(inside / scale * (self.size[::-1] * 2))
            self.keys.append(f"{name} {class_id} {checksum(pixels)}")

        if not self.boxes:
            raise ValueError(f"Expected boxes in the middle of images, which crop={crop} takes; all lie outside it.")
        self.classes = np.array(classes)

    def check_classes(self, count: int) -> None:
        """ValueError if there is a box of a class that a network with so many classes does not know."""
        if self.classes.max() >= count:
            file = self._files[self.classes.argmax()]
            raise ValueError(
                f"{str(file)!r} has boxes of class {self.classes.max()}, which is out of range: the model has {count} "
                f"classes, 0 to {count - 1}."
            )


def _cut(boxes: np.ndarray, taken: tuple[int, int, int, int]) -> np.ndarray:
    """What of boxes lies in a part of an image, from the corner of that part."""
    low, high = np.array(taken[:2] * 2), np.array(taken[2:] * 2)
    inside = np.clip(boxes, low, high) - low
    return inside[(inside[:, 2:] > inside[:, :2]).all(1)]
