"""Pages to explore, read back."""

import base64
import json
import re
from typing import Any

import cv2
import numpy as np


def items(html: str) -> list[dict[str, Any]]:
    """What a page says of each of its inputs."""
    return [json.loads(one) for one in re.findall(r'class="tfxai-item"[^>]*>(.*?)</script>', html)]


def values(packed: dict[str, Any]) -> np.ndarray:
    """The values of a map, by OpenCV."""
    codes = cv2.imdecode(np.frombuffer(base64.b64decode(packed["png"]), np.uint8), cv2.IMREAD_UNCHANGED)
    steps = codes.astype(np.float64) - packed["zero"]
    return np.sign(steps) * np.abs(steps) ** packed["power"] * packed["scale"]


def picture(address: str) -> np.ndarray:
    """The pixels of a data address, red first."""
    data = base64.b64decode(address.split("base64,")[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
