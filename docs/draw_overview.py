"""Draw `images/overview.png`: the four pictures with which `tfxai demo` begins, on one sheet."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from tfxai.evaluation.shipped import Shipped
from tfxai.evaluation.showcase import showcase

COLUMNS = [["inversion", "resampling", "classes"], ["features"]]
WIDTH, TITLE, GAP = 7.0, 0.5, 0.3  # inches, of a picture, above it, and between columns
DPI, COLOURS = 100, 256


def main() -> None:
    pictures = {picture.name: picture for picture in showcase(Shipped())}
    drawn = {name: _pixels(picture.figure) for name, picture in pictures.items()}
    heights = {name: WIDTH * pixels.height / pixels.width for name, pixels in drawn.items()}
    width, height = WIDTH * 2 + GAP, max(sum(heights[name] + TITLE for name in column) for column in COLUMNS)
    sheet = plt.figure(figsize=(width, height))
    for left, column in zip((0, WIDTH + GAP), COLUMNS, strict=True):
        top = height
        for name in column:
            sheet.text(left / width, (top - TITLE / 2) / height, pictures[name].title, fontsize=13, va="center")
            top -= TITLE + heights[name]
            axes = sheet.add_axes((left / width, top / height, WIDTH / width, heights[name] / height))
            axes.imshow(drawn[name], interpolation="antialiased")
            axes.axis("off")
    file = Path(__file__).parent / "images" / "overview.png"
    _pixels(sheet, DPI).quantize(COLOURS).save(file, optimize=True)


def _pixels(figure, dpi=2 * DPI):
    stream = io.BytesIO()
    figure.savefig(stream, dpi=dpi)
    plt.close(figure)
    return Image.open(stream).convert("RGB")


if __name__ == "__main__":
    main()
