"""Models of KerasHub, tiny and with random weights. They are run where it is installed: ``pip install ".[hub]"``."""

import importlib.util
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfxai
from tfxai.targets import Box, Region, Token

if importlib.util.find_spec("keras_hub") is None:
    pytest.skip("keras_hub is not installed; the extra hub has it", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the packages say that it imports
    from keras_hub import layers, models
    from keras_hub.src.models.retinanet.retinanet_label_encoder import RetinaNetLabelEncoder

pytestmark = pytest.mark.filterwarnings("default")

WORDS, STEPS = 20, 7
IDS = np.random.default_rng(0).integers(1, WORDS, (2, STEPS)).astype("int32")
MASK = np.ones((2, STEPS), "int32")
SHORT = IDS.copy()
SHORT[1, -2:] = 0
SHORT_MASK = (SHORT > 0).astype("int32")
SEGMENTS = np.zeros((2, STEPS), "int32")
SIZE = {"vocabulary_size": WORDS, "num_layers": 2, "hidden_dim": 8, "intermediate_dim": 16}
BERT = SIZE | {"num_heads": 2, "max_sequence_length": STEPS}
GROUPED = SIZE | {"num_query_heads": 2, "num_key_value_heads": 1}
PADDED = {"token_ids": SHORT, "padding_mask": SHORT_MASK}
WHOLE = {"token_ids": IDS, "padding_mask": MASK}
GEMMA = GROUPED | {"head_dim": 4, "image_size": 16, "vision_encoder": None}
T5 = {
    "encoder_token_ids": SHORT,
    "encoder_padding_mask": SHORT_MASK,
    "decoder_token_ids": IDS[:, ::-1].copy(),
    "decoder_padding_mask": MASK,
}
CLASSIFIERS = {
    "bert": lambda: models.BertTextClassifier(models.BertBackbone(**BERT), 3),
    "roberta": lambda: models.RobertaTextClassifier(models.RobertaBackbone(**BERT), 3, hidden_dim=8),
    "distil_bert": lambda: models.DistilBertTextClassifier(models.DistilBertBackbone(**BERT), 3, hidden_dim=8),
    "deberta_v3": lambda: models.DebertaV3TextClassifier(
        models.DebertaV3Backbone(**BERT, bucket_size=4), 3, hidden_dim=8
    ),
    "f_net": lambda: models.FNetTextClassifier(models.FNetBackbone(**SIZE, max_sequence_length=STEPS), 3),
}
LANGUAGE = {
    "gpt2": lambda: models.GPT2CausalLM(models.GPT2Backbone(**BERT)),
    "gemma3": lambda: models.Gemma3CausalLM(backbone=models.Gemma3Backbone(**GEMMA), preprocessor=None),
    "llama3": lambda: models.Llama3CausalLM(models.Llama3Backbone(**GROUPED)),
    "qwen3": lambda: models.Qwen3CausalLM(models.Qwen3Backbone(**GROUPED, head_dim=4)),
}


def of_t5(outputs):
    return tf.reduce_sum(outputs[:, 0, :3], -1)


@pytest.fixture(scope="module", params=[*CLASSIFIERS, *LANGUAGE, "t5"])
def case(request):
    """Model, inputs, target, options, and the score from all outputs."""
    keras.utils.set_random_seed(0)
    name = request.param
    if name == "t5":
        model = models.T5Backbone(**SIZE, num_heads=2)
        key = "decoder_sequence_output"
        return model, T5, of_t5, {"output": key}, lambda outputs: of_t5(outputs[key])
    if name in LANGUAGE:
        return LANGUAGE[name](), WHOLE, Token(3), {}, lambda outputs: outputs[:, -1, 3]
    inputs = {"token_ids": IDS, "segment_ids": SEGMENTS} if name == "f_net" else PADDED
    inputs = inputs | {"segment_ids": SEGMENTS} if name == "bert" else inputs
    return CLASSIFIERS[name](), inputs, 1, {}, lambda outputs: outputs[:, 1]


def embeddings(model):
    """The layer that looks tokens up."""
    return next(layer for layer in model._flatten_layers() if layer.name == "token_embedding")


def by_tape(model, inputs, score):
    """Gradient and embedding, (n, steps, width), for each call of the layer that embeds."""
    layer, seen = embeddings(model), []
    call = layer.call

    def noting(ids, *args, **options):
        found = call(ids, *args, **options)
        if not options.get("reverse") and True not in args:
            seen.append(found)
        return found

    layer.call = noting
    try:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(score(model({name: tf.constant(x) for name, x in inputs.items()}, training=False)))
    finally:
        layer.call = call
    return [(g.numpy(), x.numpy()) for g, x in zip(tape.gradient(total, seen), seen, strict=True)]


def test_gradients_and_token_sums_are_those_of_a_tape(case):
    model, inputs, target, options, score = case
    gradients = tfxai.Saliency(model, **options)(inputs, target)
    products = tfxai.GradientXInput(model, **options)(inputs, target)
    names = [name for name in inputs if name.endswith("token_ids")]
    assert list(gradients.values) == list(products.values) == names
    for name, (gradient, embedded) in zip(names, by_tape(model, inputs, score), strict=True):
        near = 1e-4 * np.abs(gradient).max()
        np.testing.assert_allclose(gradients.values[name], gradient, rtol=1e-3, atol=near)
        product = gradient * embedded
        np.testing.assert_allclose(products.tokens(name), product.sum(-1), rtol=1e-3, atol=1e-4 * np.abs(product).max())
        assert near > 0


def test_relevance_runs(case):
    model, inputs, target, options, _ = case
    for values in tfxai.LRP(model, composite="epsilon", **options)(inputs, target).values.values():
        assert np.isfinite(values).all()
        assert values.any()


def test_integrated_gradients_are_complete(case):
    model, inputs, target, options, score = case
    pad = tfxai.baselines.Token(0)
    steps = 1000 if "distil_bert" in model.name else 100  # it normalizes small vectors, by 1e-12 and their variance
    found = tfxai.IntegratedGradients(model, baseline=pad, steps=steps, **options)(inputs, target)
    empty = {name: np.zeros_like(x) if name in found.values else x for name, x in inputs.items()}
    change = score(model(inputs, training=False)) - score(model(empty, training=False))
    total = sum(values.sum((1, 2)) for values in found.values.values())
    np.testing.assert_allclose(total, change, atol=1e-3 * np.abs(change).max())


def test_occlusion_is_the_drop_without_a_token(case):
    model, inputs, target, options, score = case
    name = next(name for name in inputs if name.endswith("token_ids"))
    found = tfxai.Occlusion(model, window=1, fill=2, input=name, **options)(inputs, target)
    changed = inputs[name].copy()
    changed[:, 1] = 2
    drop = score(model(inputs, training=False)) - score(model(inputs | {name: changed}, training=False))
    np.testing.assert_allclose(found.values[:, 1], drop, atol=1e-5)


IMAGES = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype("float32")
INSIDE = np.zeros((64, 64), bool)
INSIDE[16:32, 16:32] = True
RESNET = {
    "input_conv_filters": [8],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 64, 64, 64],
    "stackwise_num_blocks": [1, 1, 1, 1],
    "stackwise_num_strides": [1, 2, 2, 2],
    "block_type": "bottleneck_block",
    "image_shape": (64, 64, 3),
}
MIT = {
    "layerwise_depths": [1, 1, 1, 1],
    "hidden_dims": [8, 16, 32, 64],
    "num_layers": 4,
    "layerwise_num_heads": [1, 1, 2, 2],
    "layerwise_sr_ratios": [8, 4, 2, 1],
    "max_drop_path_rate": 0.1,
    "layerwise_patch_sizes": [7, 3, 3, 3],
    "layerwise_strides": [4, 2, 2, 2],
    "image_shape": (64, 64, 3),
}
DEEPLAB = {
    "low_level_feature_key": "P2",
    "spatial_pyramid_pooling_key": "P4",
    "dilation_rates": [6, 12, 18],
    "upsampling_size": 4,
    "projection_filters": 8,
    "spatial_pyramid_pooling_channels": 16,
    "image_shape": (64, 64, 3),
}
VIT = {
    "hidden_size": 16,
    "num_layers": 2,
    "intermediate_dim": 32,
    "num_heads": 2,
    "global_attention_layer_indices": [1],
    "patch_size": 16,
    "num_output_channels": 8,
    "window_size": 2,
    "image_shape": (64, 64, 3),
}
PROMPTS = {"hidden_size": 8, "image_embedding_size": (4, 4), "input_image_size": (64, 64), "mask_in_channels": 4}
MASKS = {"num_layers": 2, "hidden_size": 8, "intermediate_dim": 16, "num_heads": 2, "embedding_dim": 8}
MASKS |= {"num_multimask_outputs": 3, "iou_head_depth": 2, "iou_head_hidden_dim": 8}


def seg_former():
    encoder = models.MiTBackbone(**MIT)
    return models.SegFormerImageSegmenter(models.SegFormerBackbone(encoder, projection_filters=16), 3)


def deep_lab():
    backbone = models.DeepLabV3Backbone(models.ResNetBackbone(**RESNET), **DEEPLAB)
    return models.DeepLabV3ImageSegmenter(backbone, 3)


def retina_net():
    encoder = models.ResNetBackbone(**RESNET)
    backbone = models.RetinaNetBackbone(encoder, min_level=3, max_level=5, use_p5=False, image_shape=(64, 64, 3))
    levels = {"min_level": 3, "max_level": 5, "num_scales": 3, "aspect_ratios": [0.5, 1.0, 2.0], "anchor_size": 4.0}
    anchors = layers.AnchorGenerator(bounding_box_format="yxyx", **levels)
    labels = RetinaNetLabelEncoder(anchors, bounding_box_format="yxyx")
    return models.RetinaNetObjectDetector(
        backbone=backbone,
        label_encoder=labels,
        anchor_generator=anchors,
        num_classes=3,
        bounding_box_format="yxyx",
    )


def sam():
    return models.SAMImageSegmenter(
        models.SAMBackbone(
            models.ViTDetBackbone(**VIT), layers.SAMPromptEncoder(**PROMPTS), layers.SAMMaskDecoder(**MASKS)
        )
    )


def in_region(outputs):
    return tf.einsum("nhwc,hw->nc", outputs, INSIDE.astype("float32"))


def first_mask(outputs):
    return tf.reduce_mean(outputs[:, 0], [1, 2])


SEEING = {
    "seg_former": (
        seg_former,
        Region(INSIDE, 1) - Region(INSIDE, 0),
        {},
        lambda y: in_region(y)[:, 1] - in_region(y)[:, 0],
    ),
    "deep_lab": (deep_lab, Region(INSIDE, 1), {}, lambda y: in_region(y)[:, 1]),
    "retina_net": (retina_net, Box(5, 1), {"output": "cls_logits"}, lambda y: y["cls_logits"][:, 5, 1]),
    "sam": (sam, first_mask, {"output": "masks"}, lambda y: first_mask(y["masks"])),
}


@pytest.fixture(scope="module", params=SEEING)
def seeing(request):
    """Model, inputs, target, options, the score from all outputs, and the name of the input that is an image."""
    keras.utils.set_random_seed(0)
    make, target, options, score = SEEING[request.param]
    if request.param != "sam":
        return make(), IMAGES, target, options, score, None
    prompts = {"points": np.full((2, 1, 2), 20, "float32"), "labels": np.ones((2, 1), "float32")}
    none = {"boxes": np.zeros((2, 0, 2, 2), "float32"), "masks": np.zeros((2, 0, 16, 16, 1), "float32")}
    return make(), {"images": IMAGES} | prompts | none, target, options, score, "images"


def with_images(inputs, images):
    return tf.nest.map_structure(tf.constant, inputs | {"images": images}) if isinstance(inputs, dict) else images


def test_gradients_of_what_sees_are_those_of_a_tape(seeing):
    model, inputs, target, options, score, name = seeing
    found = tfxai.Saliency(model, **options)(inputs, target)
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(score(model(with_images(inputs, images), training=False)))
    expected = tape.gradient(total, images).numpy()
    np.testing.assert_allclose(found.of(name)[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_windows_that_are_hidden(seeing):
    model, inputs, target, options, score, name = seeing
    found = tfxai.Occlusion(model, window=32, stride=32, input=name, **options)(inputs, target)
    hidden = IMAGES.copy()
    hidden[:, :32, 32:] = 0
    drop = score(model(inputs, training=False)) - score(model(with_images(inputs, hidden), training=False))
    np.testing.assert_allclose(found.values[:, 3, 60], drop, atol=1e-4 * np.abs(found.score).max())


def test_maps_of_a_layer(seeing):
    model, inputs, target, options, _, name = seeing
    layer = None
    if name:  # all prompts join the image, so one says which of its layers is meant: the last of the encoder
        layer = [one.name for one in tfxai.layers(model) if one.shape == (None, 4, 4, 8)][-1]
    found = tfxai.GradCAM(model, layer, **options)(inputs, target)
    assert found.heatmaps(input=name).shape == (2, 64, 64)
    assert found.values.any()
