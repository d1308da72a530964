"""The command ``tfxai explain``."""

from __future__ import annotations

import argparse

from tfxai.cli.options import (
    add_image_options,
    add_look_options,
    add_method_options,
    add_model_options,
    add_result_options,
    add_table_options,
    add_target_options,
    add_text_options,
)

NAME = "explain"
HELP = "Explain a model's predictions for image files, texts or the rows of a table."
EXAMPLES = """examples:
  tfxai explain model.keras cat.jpg
  tfxai explain saved_model/ cat.jpg --signature serve
  tfxai explain model.keras photos/ --preprocess -1..1 --classes names.txt --output out
  tfxai explain model.keras "photos/*.jpg" --method grad_cam rise:masks=500,cells=9 --layer conv5 --target "tabby cat"
  tfxai explain model.keras cat.jpg --method "smooth_grad(guided_backprop):samples=20" relevant_features:features=f.npz
  tfxai explain model.keras photos/ --html page.html
  tfxai explain model.keras cat.jpg --custom-objects my_layers:Scale
  tfxai explain model.keras --text reviews.txt --classes names.txt
  echo "a film without a dull minute" | tfxai explain model.keras --text - --preprocessor my_words:numbers
  tfxai explain model.keras --table rows.csv --without label --groups colour=red,green,blue --method occlusion

The class that is explained is the predicted one, or --target for all. Each image or text gives a figure, each method a
.npz file with all raw values: tfxai.Explanation.load(FILE). They are written as the work goes on, as is the page of
--html. In place of images, --text takes lines, and --table rows: for a table, each method gives a figure of the first
rows, one of all rows, and a .csv file of values by name. An image that cannot be read is reported and left out, and
the exit status is then 1.

--preprocess is what was done to the pixels, 0 to 255, when the model was trained:
  none    nothing, or the model does it itself      0..1   divided by 255
  -1..1   divided by 127.5, minus 1 (MobileNet)     caffe  BGR, minus the mean of ImageNet (VGG, ResNet of Keras)
  torch   0..1, then normalised by the mean and standard deviation of ImageNet (torchvision, DenseNet)
or its numbers, minus the mean and times the scale in the model's order of channels: 'mean=104,117,123 scale=0.017 bgr'
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai explain`` to its parser."""
    add_model_options(parser)
    images = add_image_options(parser)
    add_text_options(parser, images)
    add_table_options(parser, images)
    add_method_options(parser)
    add_target_options(parser)
    add_look_options(parser)
    add_result_options(parser, "tfxai-output")
