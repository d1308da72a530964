"""Image files and preprocessing."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from tfxai import images

PHOTO = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def write(path, pixels, suffix=".png"):
    """OpenCV itself cannot write every path on every system."""
    path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())
    return path


def test_colours_come_back_in_rgb(tmp_path):
    np.testing.assert_array_equal(images.read(write(tmp_path / "größe 图.png", PHOTO[..., ::-1])), PHOTO)


def test_grey_becomes_rgb(tmp_path):
    grey = PHOTO[..., 0]
    np.testing.assert_array_equal(images.read(write(tmp_path / "grey.png", grey)), np.dstack([grey] * 3))


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_transparent_pictures_lie_on_white(tmp_path, depth):
    top = np.iinfo(depth).max
    bgra = np.zeros((1, 3, 4), depth)
    bgra[0, :, 2] = top  # red
    bgra[0, :, 3] = [0, top // 2 + 1, top]
    read = images.read(write(tmp_path / "a.png", bgra))
    np.testing.assert_allclose(read[0], [[255, 255, 255], [255, 127, 127], [255, 0, 0]], atol=1)


def test_exif_orientation_is_applied(tmp_path):
    jpeg = cv2.imencode(".jpg", np.zeros((8, 16, 3), np.uint8))[1].tobytes()
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)  # 6: turn clockwise
    block = b"Exif\0\0" + tiff
    file = tmp_path / "turned.jpg"
    file.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:])
    assert images.read(file).shape == (16, 8, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("part", [0, 0.5, 0.98])
def test_damaged_files_are_errors(tmp_path, suffix, part):
    file = write(tmp_path / f"a{suffix}", np.tile(PHOTO, (20, 20, 1)), suffix)
    data = file.read_bytes()
    file.write_bytes(data[: int(part * len(data))])
    with pytest.raises(ValueError, match="damaged"):
        images.read(file)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("WEBP", {}), ("BMP", {})],
)
def test_files_cut_at_any_place_are_errors(tmp_path, kind, options):
    whole, file = io.BytesIO(), tmp_path / "a"
    Image.fromarray(PHOTO).save(whole, kind, **options)
    for end in range(len(whole.getvalue())):
        file.write_bytes(whole.getvalue()[:end])
        with pytest.raises(ValueError, match="damaged"):
            images.read(file)


def test_missing_files_and_other_files_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r"There is no image file .*a\.png"):
        images.read(tmp_path / "a.png")
    with pytest.raises(ValueError, match="There is no image file"):
        images.read(tmp_path)
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(ValueError, match="Expected an image file"):
        images.read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", [255, 51, 0]),
        ("0..1", [1, 0.2, 0]),
        ("-1..1", [1, -0.6, -1]),
        ("caffe", [-103.939, 51 - 116.779, 255 - 123.68]),
        ("torch", [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, -0.406 / 0.225]),
    ],
)
def test_modes(mode, expected):
    batch = images.prepare([np.array([[[255, 51, 0]]], np.uint8)], mode=mode)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, 0, 0], expected, rtol=1e-6)


def test_shrinking_averages_and_growing_interpolates():
    stripes = np.zeros((2, 4, 3), np.uint8)
    stripes[:, ::2] = 200
    np.testing.assert_array_equal(images.prepare([stripes], (1, 2))[..., 0], [[[100, 100]]])
    edge = np.array([[[0] * 3, [100] * 3]], np.uint8)
    np.testing.assert_array_equal(images.prepare([edge], (1, 4))[..., 0], [[[0, 25, 75, 100]]])
    both = images.prepare([stripes], (4, 1))  # grows one way, shrinks the other
    np.testing.assert_array_equal(both, np.full((1, 4, 1, 3), 100))


def test_free_sizes_are_those_of_the_first_image():
    large = np.zeros((20, 30, 3), np.uint8)
    assert images.prepare([PHOTO, large]).shape == (2, 6, 9, 3)
    assert images.prepare([PHOTO, large], (None, 5)).shape == (2, 6, 5, 3)


def test_grey_models_get_luminance():
    batch = images.prepare([np.array([[[255, 0, 0]]], np.uint8)], channels=1)
    assert batch.shape == (1, 1, 1, 1)
    assert batch[0, 0, 0, 0] == round(0.299 * 255)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([], {}, "at least one image"),
        ([PHOTO], {"mode": "vgg"}, "none, 0..1, -1..1, caffe, torch, .*; got 'vgg'"),
        ([PHOTO], {"channels": 4}, "1 or 3 channels, got 4"),
        ([PHOTO], {"channels": 1, "mode": "caffe"}, "3 channels"),
    ],
)
def test_prepare_tells_what_is_wrong(given, options, message):
    with pytest.raises(ValueError, match=message):
        images.prepare(given, **options)
