"""Segmentations of scikit-image: of each image a given number of regions of like colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from tfxai.checks import one_of, positive
from tfxai.segments import MOST, scikit_image

Algorithm: TypeAlias = Literal["slic", "quickshift", "felzenszwalb"]
ALGORITHMS = get_args(Algorithm)
FINER = 8  # how often an algorithm is asked for smaller regions, if it has found too few
COLOURS = (1, 3, 4)  # channels of pictures
INSTEAD = 'take groups="superpixels", or give an array with the number of the region of each pixel'


@dataclass(frozen=True)
class Segments:
    """Regions of like colour as players, for ``groups=``, of each image its own, by an algorithm of scikit-image.

    The algorithm is asked for smaller regions until there are enough; then the smallest is joined, again and again, to
    the neighbour whose colour is nearest, until as many are left as were requested. An image in which no algorithm
    finds as many has fewer; those that are missing have no values and change none. Regions are found in the image as it
    is shown (`tfxai.display.composite`), so they do not depend on the scale that the model takes, nor on other images.

    Parameters
    ----------
    algorithm : {"slic", "quickshift", "felzenszwalb"}
        Achanta et al. (2012); Vedaldi and Soatto (2008), with the kernel of lime, 4 pixels, or smaller ones;
        Felzenszwalb and Huttenlocher (2004).
    most : int
        How many regions an image has. Default 49; `ShapleyValues` takes at most 14.

    Raises
    ------
    ValueError
        For an algorithm that is not known.
    ImportError
        Without scikit-image.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=1)
    >>> groups = tfxai.coalitions.Segments("felzenszwalb", 9)  # doctest: +SKIP
    >>> explainer = tfxai.ShapleyValues(tfxai.datasets.flowers.load_model(), groups=groups)  # doctest: +SKIP
    >>> explainer(images).extras["players"].shape  # doctest: +SKIP
    (1, 9)
    """

    algorithm: Algorithm
    most: int = MOST

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, ALGORITHMS)
        positive("most", self.most)
        scikit_image(self.algorithm, INSTEAD)

    def of(self, images: np.ndarray) -> np.ndarray:
        """(n, h, w) int32 numbers of the regions of images, (n, h, w, c) or with channels first."""
        from tfxai.display import composite  # which loads matplotlib

        if images.ndim != 4:
            raise ValueError(f'Segments by "{self.algorithm}" need images, (n, h, w, c), got shape {images.shape}.')
        if images.shape[1] in COLOURS and images.shape[-1] not in COLOURS:
            images = np.moveaxis(images, 1, -1)
        shown = (composite(image[None])[0][0] for image in images)  # each alone: its range does not depend on others
        return np.stack([merged(self._fine(image), image, self.most) for image in shown])

    def _fine(self, image: np.ndarray) -> np.ndarray:
        """(h, w) at least as many regions as are wanted, if there are any."""
        for level in range(FINER):
            labels = np.unique(self._regions(image, level), return_inverse=True)[1].reshape(image.shape[:2])
            if labels.max() + 1 >= self.most:
                break
        return labels

    def _regions(self, image: np.ndarray, level: int) -> np.ndarray:
        by = scikit_image(self.algorithm, INSTEAD)
        if self.algorithm == "slic":
            return by.slic(image, n_segments=round(self.most * 1.25**level), start_label=0)
        if self.algorithm == "quickshift":
            return by.quickshift(image, kernel_size=max(1, 4 / 1.5**level), max_dist=200, ratio=0.2)
        least = max(1, image.shape[0] * image.shape[1] // (8 * self.most))  # of an eighth of the mean
        return by.felzenszwalb(image, scale=100 / 2**level, sigma=0.8, min_size=least)


def merged(labels: np.ndarray, image: np.ndarray, most: int) -> np.ndarray:
    """(h, w) int32 regions, of which the smallest have gone to the neighbour of nearest mean colour until few are left.

    ``labels``: (h, w), numbers from 0 of which none is left out; ``image``: (h, w, c).
    """
    count = labels.max() + 1
    flat = labels.ravel()
    areas = np.bincount(flat, minlength=count).astype(float)
    colours = np.stack([np.bincount(flat, channel, count) for channel in image.reshape(-1, image.shape[-1]).T], 1)
    beside: list[set[int]] = [set() for _ in range(count)]
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        for i, j in np.unique(np.stack([a[a != b], b[a != b]], 1), axis=0):
            beside[i].add(j)
            beside[j].add(i)
    goes_to = np.arange(count)
    for _ in range(count - most):
        small = int(areas.argmin())
        near = np.array(sorted(beside[small]))
        apart = colours[near] / areas[near, None] - colours[small] / areas[small]
        best = int(near[np.square(apart).sum(1).argmin()])
        areas[best] += areas[small]
        colours[best] += colours[small]
        areas[small] = np.inf
        goes_to[goes_to == small] = best
        beside[best] |= beside[small]
        for other in beside[small]:
            beside[other].discard(small)
            beside[other].add(best)
        beside[best].discard(best)
    return np.unique(goes_to[labels], return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
