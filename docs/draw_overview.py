"""Draw `images/overview.png`: nine methods explain the network that comes with the package."""

from pathlib import Path

import tfxai
from tfxai.datasets import flowers

METHODS = {
    "saliency": {},
    "integrated_gradients": {"baseline": "mean"},
    "smooth_grad": {"samples": 25, "noise": 0.03},
    "guided_backprop": {},
    "grad_cam": {},
    "layer_cam": {},
    "guided_grad_cam": {},
    "occlusion": {"fill": "mean"},
    "rise": {"masks": 500},
}
SEED, SHOWN = 11, [1, 2, 0, 3]  # yellow, blue, cyan and magenta petals


def main() -> None:
    images, _, _ = flowers.make("single-6c", n=6, seed=SEED)
    model = flowers.load_model("single-6c")
    found = {
        name: tfxai.explain(model, images[SHOWN], name, classes=flowers.CLASSES["single-6c"], **options)
        for name, options in METHODS.items()
    }
    file = Path(__file__).parent / "images" / "overview.png"
    tfxai.plot_grid(found).savefig(file, dpi=60, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
