"""The command ``tfxai explain``."""

from __future__ import annotations

import argparse

from tfxai.cli.explaining import add_image_options, add_result_options, add_target_options, explain_files
from tfxai.cli.options import add_method_options, add_model_options, chosen_methods
from tfxai.plotting import plot_grid

NAME = "explain"
HELP = "Explain a model's predictions for image files."
EXAMPLES = """examples:
  tfxai explain model.keras cat.jpg
  tfxai explain saved_model/ cat.jpg --signature serve
  tfxai explain model.keras photos/ --preprocess -1..1 --classes names.txt --output out
  tfxai explain model.keras "photos/*.jpg" --method grad_cam rise:masks=500,cells=9 --layer conv5 --target "tabby cat"
  tfxai explain model.keras cat.jpg --method "smooth_grad(guided_backprop):samples=20" relevant_features:features=f.npz
  tfxai explain model.keras cat.jpg --custom-objects my_layers:Scale

The class that is explained is the predicted one, or --target for all images. Each image gives a figure, each method
a .npz file with the raw values of all images: tfxai.Explanation.load(FILE). Both are written as the work goes on, as is
the page of --html. A file that cannot be read is reported and left out, and the exit status is then 1.

--preprocess is what was done to the pixels, 0 to 255, when the model was trained:
  none    nothing, or the model does it itself      0..1   divided by 255
  -1..1   divided by 127.5, minus 1 (MobileNet)     caffe  BGR, minus the mean of ImageNet (VGG, ResNet of Keras)
  torch   0..1, then normalised by the mean and standard deviation of ImageNet (torchvision, DenseNet)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai explain`` to its parser."""
    add_model_options(parser)
    add_image_options(parser)
    add_method_options(parser)
    add_target_options(parser)
    add_result_options(parser, "tfxai-output")


def run(arguments: argparse.Namespace) -> int:
    """Explain the images; 1 if some of the files were no images, else 0."""
    methods = chosen_methods(arguments)
    return explain_files(
        arguments,
        list(methods),
        lambda view, names: [method.make(view, classes=names) for method in methods.values()],
        lambda found, photograph: plot_grid(found, [photograph]),
    )
