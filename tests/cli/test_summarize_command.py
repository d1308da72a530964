"""tfxai summarize, as it is typed: a planted watermark is seen on the page."""

import re

import cv2
import pytest
import watermark
from explored import picture

import tfxai
from tfxai.cli import main

pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Explanations of one class as files, of which a third has the stamp."""
    folder = tmp_path_factory.mktemp("summarized")
    (folder / "photos").mkdir()
    for row, (image, has) in enumerate(zip(*watermark.photographs(20), strict=True)):
        name = f"{'stamped' if has else 'clean'}-{row:03}.png"
        cv2.imwrite(str(folder / "photos" / name), image[..., ::-1])
    watermark.network().save(folder / "model.keras")
    options = {"target": watermark.CLASS, "classes": tfxai.datasets.flowers.CLASSES["single-6c"], "verbose": 0}
    tfxai.explain_dataset(folder / "model.keras", folder / "photos", "saliency", folder / "out", **options)
    return folder


def test_groups_and_their_pictures(results, capsys):
    assert main(["summarize", str(results / "out")]) == 0
    said = capsys.readouterr().out
    groups = re.findall(r"group \d+: (\d+)%, such as (.+)", said)
    assert len(groups) > 1
    assert any(names.count("stamped") == 3 and int(share) == 33 for share, names in groups)
    assert all(names.count("stamped") in (0, 3) for _, names in groups)

    html = (results / "out" / "summary.html").read_text("utf-8")
    assert tfxai.datasets.flowers.CLASSES["single-6c"][watermark.CLASS] in html
    assert "http" not in html
    assert "<script" not in html
    shown = dict(re.findall(r'<img src="([^"]+)" alt="[^"]*"><figcaption>([^<]+)</figcaption>', html))
    (own,) = (picture(data) for data, caption in list(shown.items())[:1])  # the mean of all
    assert own.std() > 0
    members = [picture(data) for data, caption in shown.items() if caption.startswith("stamped-")]
    corner = slice(int(0.86 * 224), None)
    assert min(one[corner, corner].std() for one in members) > 1.5 * max(one[:30, :30].std() for one in members)


def test_heat_maps_stand_alone_where_images_are_gone(results, capsys, tmp_path):
    moved = results / "photos"
    moved.rename(results / "elsewhere")
    try:
        assert main(["summarize", str(results / "out"), "--html", str(tmp_path / "page.html")]) == 0
    finally:
        (results / "elsewhere").rename(moved)
    assert "heat-maps are shown alone" in capsys.readouterr().err
    assert (tmp_path / "page.html").read_text("utf-8").count("<img") > 5


def test_what_is_wrong_is_told(results, capsys, tmp_path):
    assert main(["summarize", str(tmp_path)]) == 2
    assert main(["summarize", str(results / "out"), "--method", "lrp"]) == 2
    assert "Expected method= to be one of ['saliency'], got 'lrp'" in capsys.readouterr().err
