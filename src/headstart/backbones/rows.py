"""The rows of the catalogue, by family.

Sources. Published scores: the table of the Keras documentation, page Keras Applications, unless a row says otherwise.
Licences of weights: the same documentation's notes on each network (up to Keras 2.4), the repositories that they name
(tensorflow/models, tensorflow/tpu, google/automl, facebookresearch/ConvNeXt), and pytorch/vision for AlexNet.
Counts and sizes are measured on Keras 3.15; the tests measure them again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from headstart.backbones.backbone import (
    AS_THEY_ARE,
    CAFFE,
    MINUS_ONE_TO_ONE,
    TORCH,
    ZERO_TO_ONE,
    Backbone,
    Preprocessing,
    Published,
)

KERAS_TABLE = "Keras documentation, page Keras Applications"
NO_TOP = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"


@dataclass(frozen=True, slots=True)
class _Family:
    """What networks of one family share. ``cached_as`` has a gap for Keras' own name of the network."""

    preprocessing: Preprocessing
    licence: str
    origin: str
    cached_as: str = NO_TOP
    data: str = "ImageNet-1k"
    default_size: int = 224
    minimum_size: int = 32
    rgb_only: bool = False

    def row(
        self,
        name: str,
        title: str,
        counts: tuple[int, int, int],
        published: Published,
        *,
        cached: str = "",
        md5: str = "",
        size: int = 0,
    ) -> Backbone:
        """Return one row; ``counts`` are channels, parameters and layers, ``cached`` is Keras' name of the network."""
        return Backbone(
            name=name,
            title=title,
            builder=title,
            channels=counts[0],
            parameters=counts[1],
            layers=counts[2],
            default_size=size or self.default_size,
            minimum_size=self.minimum_size,
            preprocessing=self.preprocessing,
            published=published,
            licence=self.licence,
            weights_source=f"Keras Applications, from {self.origin}; trained on {self.data}",
            cached_as=self.cached_as.format(cached or name),
            cached_md5=md5,
            rgb_only=self.rgb_only,
        )


def _scores(
    size_mb: float, top_1: float, top_5: float | None, parameters: float, depth: int | None = None
) -> Published:
    """Return a line of Keras' table: size in MB, percent, percent, million parameters, depth."""
    share_5 = None if top_5 is None else round(top_5 / 100, 5)
    return Published(size_mb, round(top_1 / 100, 5), share_5, round(parameters * 1e6), depth, KERAS_TABLE)


def _mobilenets() -> tuple[Backbone, ...]:
    google = "Google's TensorFlow models"
    family = _Family(MINUS_ONE_TO_ONE, "Apache-2.0", google, "mobilenet_{}_no_top.h5")
    third = _Family(AS_THEY_ARE, "Apache-2.0", google, "weights_mobilenet_v3_{}_224_1.0_float_no_top_v2.h5")
    # Keras' table leaves MobileNetV3 out; its documentation of the function has parameters and top-1 alone
    source = "Keras documentation of MobileNetV3"
    return (
        family.row(
            "mobilenet",
            "MobileNet",
            (1024, 3_228_864, 86),
            _scores(16, 70.4, 89.5, 4.3, 55),
            cached="1_0_224_tf",
        ),
        family.row(
            "mobilenet_v2",
            "MobileNetV2",
            (1280, 2_257_984, 154),
            _scores(14, 71.3, 90.1, 3.5, 105),
            cached="v2_weights_tf_dim_ordering_tf_kernels_1.0_224",
        ),
        third.row(
            "mobilenet_v3_small",
            "MobileNetV3Small",
            (576, 939_120, 157),
            Published(None, 0.681, None, 2_900_000, None, source),
            cached="small",
            md5="d3e8ec802a04aa4fc771ee12a9a9b836",
        ),
        third.row(
            "mobilenet_v3_large",
            "MobileNetV3Large",
            (960, 2_996_352, 187),
            Published(None, 0.756, None, 5_400_000, None, source),
            cached="large",
            md5="07fb09a5933dd0c8eaafa16978110389",
        ),
    )


def _resnets() -> tuple[Backbone, ...]:
    one = _Family(CAFFE, "MIT", "Kaiming He's Caffe models")
    two = _Family(MINUS_ONE_TO_ONE, "BSD-3-Clause", "Facebook's Torch models of pre-activation ResNets")
    return (
        one.row(
            "resnet50",
            "ResNet50",
            (2048, 23_587_712, 175),
            _scores(98, 74.9, 92.1, 25.6, 107),
            md5="4d473c1dd8becc155b73f8504c6f6626",
        ),
        one.row(
            "resnet101",
            "ResNet101",
            (2048, 42_658_176, 345),
            _scores(171, 76.4, 92.8, 44.7, 209),
            md5="88cf7a10940856eca736dc7b7e228a21",
        ),
        one.row(
            "resnet152",
            "ResNet152",
            (2048, 58_370_944, 515),
            _scores(232, 76.6, 93.1, 60.4, 311),
            md5="ee4c566cf9a93f14d82f913c2dc6dd0c",
        ),
        two.row(
            "resnet50_v2",
            "ResNet50V2",
            (2048, 23_564_800, 190),
            _scores(98, 76.0, 93.0, 25.6, 103),
            cached="resnet50v2",
            md5="fac2f116257151a9d068a22e544a4917",
        ),
        two.row(
            "resnet101_v2",
            "ResNet101V2",
            (2048, 42_626_560, 377),
            _scores(171, 77.2, 93.8, 44.7, 205),
            cached="resnet101v2",
            md5="c0ed64b8031c3730f411d2eb4eea35b5",
        ),
        two.row(
            "resnet152_v2",
            "ResNet152V2",
            (2048, 58_331_648, 564),
            _scores(232, 78.0, 94.2, 60.4, 307),
            cached="resnet152v2",
            md5="ed17cf2e0169df9d443503ef94b23b33",
        ),
    )


def _vggs() -> tuple[Backbone, ...]:
    family = _Family(CAFFE, "CC-BY-4.0", "the Visual Geometry Group's Caffe models")
    return (
        family.row(
            "vgg16",
            "VGG16",
            (512, 14_714_688, 19),
            _scores(528, 71.3, 90.1, 138.4, 16),
            md5="6d6bbae143d832006294945121d1f1fc",
        ),
        family.row(
            "vgg19",
            "VGG19",
            (512, 20_024_384, 22),
            _scores(549, 71.3, 90.0, 143.7, 19),
            md5="253f8cb515780f3b799900260a226db6",
        ),
    )


def _inceptions() -> tuple[Backbone, ...]:
    xception = _Family(MINUS_ONE_TO_ONE, "MIT", "its author", default_size=299, minimum_size=71)
    family = _Family(MINUS_ONE_TO_ONE, "Apache-2.0", "Google's TensorFlow models", default_size=299, minimum_size=75)
    return (
        xception.row(
            "xception",
            "Xception",
            (2048, 20_861_480, 132),
            _scores(88, 79.0, 94.5, 22.9, 81),
            md5="b0042744bf5b25fce3cb969f33bebb97",
        ),
        family.row(
            "inception_v3",
            "InceptionV3",
            (2048, 21_802_784, 311),
            _scores(92, 77.9, 93.7, 23.9, 189),
            md5="bcbd6486424b2319ff4ef7d526e38f63",
        ),
        family.row(
            "inception_resnet_v2",
            "InceptionResNetV2",
            (1536, 54_336_736, 780),
            _scores(215, 80.3, 95.3, 55.9, 449),
            md5="d19885ff4a710c122648d3b5c3b684e4",
        ),
    )


def _densenets() -> tuple[Backbone, ...]:
    family = _Family(TORCH, "BSD-3-Clause", "its authors' Torch models")
    return (
        family.row(
            "densenet121",
            "DenseNet121",
            (1024, 7_037_504, 427),
            _scores(33, 75.0, 92.3, 8.1, 242),
            md5="30ee3e1110167f948a6b9946edeeb738",
        ),
        family.row(
            "densenet169",
            "DenseNet169",
            (1664, 12_642_880, 595),
            _scores(57, 76.2, 93.2, 14.3, 338),
            md5="b8c4d4c20dd625c148057b9ff1c1176b",
        ),
        family.row(
            "densenet201",
            "DenseNet201",
            (1920, 18_321_984, 707),
            _scores(80, 77.3, 93.6, 20.2, 402),
            md5="c13680b51ded0fb44dff2d8f86ac8bb1",
        ),
    )


def _nasnets() -> tuple[Backbone, ...]:
    family = _Family(MINUS_ONE_TO_ONE, "Apache-2.0", "Google's TensorFlow models", "{}_no_top.h5")
    return (
        family.row(
            "nasnet_mobile",
            "NASNetMobile",
            (1056, 4_269_716, 769),
            _scores(23, 74.4, 91.9, 5.3, 389),
            md5="1ed92395b5b598bdda52abe5c0dbfd63",
        ),
        family.row(
            "nasnet_large",
            "NASNetLarge",
            (4032, 84_916_818, 1039),
            _scores(343, 82.5, 96.0, 88.9, 533),
            md5="d81d89dc07e6e56530c4e77faddd61b5",
            size=331,
        ),
    )


def _efficientnets() -> tuple[Backbone, ...]:
    family = _Family(
        AS_THEY_ARE, "Apache-2.0", "Google's TensorFlow models for TPUs", "efficientnet{}_notop.h5", rgb_only=True
    )
    # size, channels, parameters, layers, scores, MD5
    table = (
        (224, 1280, 4_049_571, 238, _scores(29, 77.1, 93.3, 5.3, 132), "50bc09e76180e00e4465e1a485ddc09d"),
        (240, 1280, 6_575_239, 340, _scores(31, 79.1, 94.4, 7.9, 186), "74c4e6b3e1f6a1eea24c589628592432"),
        (260, 1408, 7_768_569, 340, _scores(36, 80.1, 94.9, 9.2, 186), "111f8e2ac8aa800a7a99e3239f7bfb39"),
        (300, 1536, 10_783_535, 385, _scores(48, 81.6, 95.7, 12.3, 210), "af6d107764bb5b1abb91932881670226"),
        (380, 1792, 17_673_823, 475, _scores(75, 82.9, 96.4, 19.5, 258), "ebc24e6d6c33eaebbd558eafbeedf1ba"),
        (456, 2048, 28_513_527, 577, _scores(118, 83.6, 96.7, 30.6, 312), "38879255a25d3c92d5e44e04ae6cec6f"),
        (528, 2304, 40_960_143, 667, _scores(166, 84.0, 96.8, 43.3, 360), "9ecce42647a20130c1f39a5d4cb75743"),
        (600, 2560, 64_097_687, 814, _scores(256, 84.3, 97.0, 66.7, 438), "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    )
    return tuple(
        family.row(
            f"efficientnet_b{number}",
            f"EfficientNetB{number}",
            (channels, parameters, layers),
            scores,
            cached=f"b{number}",
            md5=md5,
            size=size,
        )
        for number, (size, channels, parameters, layers, scores, md5) in enumerate(table)
    )


def _efficientnets_v2() -> tuple[Backbone, ...]:
    family = _Family(AS_THEY_ARE, "Apache-2.0", "Google's AutoML repository", "efficientnetv2-{}_notop.h5")
    # variant, size, channels, parameters, layers, scores, MD5
    table = (
        ("B0", 224, 1280, 5_919_312, 270, _scores(29, 78.7, 94.3, 7.2), "893217f2bb855e2983157299931e43ff"),
        ("B1", 240, 1280, 6_931_124, 334, _scores(34, 79.8, 95.0, 8.2), "0e80663031ca32d657f9caa404b6ec37"),
        ("B2", 260, 1408, 8_769_374, 349, _scores(42, 80.5, 95.1, 10.2), "1dfe2e7a5d45b6632553a8961ea609eb"),
        ("B3", 300, 1536, 12_930_622, 409, _scores(59, 82.0, 95.8, 14.5), "f6abf7b5849ac99a89b50dd3fd532856"),
        ("S", 384, 1280, 20_331_360, 513, _scores(88, 83.9, 96.7, 21.6), "af0682fb74e8c54910f2d4393339c070"),
        ("M", 480, 1280, 53_150_388, 740, _scores(220, 85.3, 97.4, 54.4), "1b8dc055df72dde80d614482840fe342"),
        ("L", 480, 1280, 117_746_848, 1028, _scores(479, 85.7, 97.5, 119.0), "b0b66b5c863aef5b46e8608fe1711615"),
    )
    return tuple(
        # S, M and L scale all channels alike; B0 to B3 normalise each with its own mean
        dataclasses.replace(family, rgb_only=variant.startswith("B")).row(
            f"efficientnet_v2_{variant.lower()}",
            f"EfficientNetV2{variant}",
            (channels, parameters, layers),
            scores,
            cached=variant.lower(),
            md5=md5,
            size=size,
        )
        for variant, size, channels, parameters, layers, scores, md5 in table
    )


def _convnexts() -> tuple[Backbone, ...]:
    small = _Family(AS_THEY_ARE, "MIT", "Facebook's repository facebookresearch/ConvNeXt", "{}_notop.h5", rgb_only=True)
    large = dataclasses.replace(small, data="ImageNet-21k, then ImageNet-1k")
    return (
        small.row(
            "convnext_tiny",
            "ConvNeXtTiny",
            (768, 27_820_128, 133),
            _scores(109.42, 81.3, None, 28.6),
            md5="d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
        small.row(
            "convnext_small",
            "ConvNeXtSmall",
            (768, 49_454_688, 259),
            _scores(192.29, 82.3, None, 50.2),
            md5="6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        ),
        large.row(
            "convnext_base",
            "ConvNeXtBase",
            (1024, 87_566_464, 259),
            _scores(338.58, 85.3, None, 88.5),
            md5="40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        ),
        large.row(
            "convnext_large",
            "ConvNeXtLarge",
            (1536, 196_230_336, 259),
            _scores(755.07, 86.3, None, 197.7),
            md5="96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
        ),
        large.row(
            "convnext_xlarge",
            "ConvNeXtXLarge",
            (2048, 348_147_968, 259),
            _scores(1310, 86.7, None, 350.1),
            md5="de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
        ),
    )


ALEXNET = Backbone(
    name="alexnet",
    title="AlexNet",
    builder="alexnet",
    channels=4096,
    parameters=40_222_528,
    layers=20,
    default_size=224,
    minimum_size=63,
    preprocessing=TORCH,
    published=Published(233.1, 0.56522, 0.79066, 61_100_840, None, "torchvision documentation, page alexnet"),
    licence="BSD-3-Clause",
    weights_source="torchvision, AlexNet_Weights.IMAGENET1K_V1; trained on ImageNet-1k",
)

# The flower report's code gives its network the pixels without any preprocessing layer, so they stay 0..255.
FLOWER_CNN = Backbone(
    name="flower_cnn",
    title="Flower CNN",
    builder="flower_cnn",
    channels=256,
    parameters=390_336,
    layers=18,
    default_size=224,
    minimum_size=27,
    preprocessing=AS_THEY_ARE,
    published=None,
    licence="Apache-2.0",
)

VGG16_HIGHWAY = Backbone(
    name="vgg16_highway",
    title="VGG16 with highway connections",
    builder="vgg16_highway",
    channels=512,
    parameters=16_180_224,
    layers=55,
    default_size=224,
    minimum_size=32,
    preprocessing=CAFFE,
    published=None,
    licence="Apache-2.0",
)

SMALL_CNN = Backbone(
    name="small_cnn",
    title="Small CNN",
    builder="small_cnn",
    channels=128,
    parameters=98_160,
    layers=16,
    default_size=64,
    minimum_size=8,
    preprocessing=ZERO_TO_ONE,
    published=None,
    licence="Apache-2.0",
)

ROWS: tuple[Backbone, ...] = (
    *_mobilenets(),
    *_resnets(),
    *_vggs(),
    *_inceptions(),
    *_densenets(),
    *_nasnets(),
    *_efficientnets(),
    *_efficientnets_v2(),
    *_convnexts(),
    ALEXNET,
    VGG16_HIGHWAY,
    FLOWER_CNN,
    SMALL_CNN,
)
