import functools

import pytest

from headstart.backbones import architectures, catalog
from headstart.errors import UsageError
from headstart.evaluation.results import ParameterCounts
from headstart.recipe import Candidate, Head, Phase, Training
from headstart.training.layers import layer_table, parameter_counts


@functools.cache
def network(backbone, size):
    return architectures.build(catalog.find(backbone), image_size=size)


def candidate(backbone="small_cnn", head=None, **training):
    return Candidate(backbone, head=head or Head(), train=Training(**training))


LAST_FOUR = Head(layers=("dense 1024", "dense 1024"))
HAND_MADE = Head("max", layers=("dropout 0.3", "dense 64", "dropout 0.1"))
TWO_LAYERS = Head(layers=("dense 100", "dense 50"))
WITH_L2 = Head(layers=("dense 512 l2 0.01", "dropout 0.5", "dense 128 l2 0.01", "dropout 0.5"))
FROM_130 = (Phase(3, "from 130"),)
# As published: backbone, image size, classes, head, training, trainable, not trainable.
ROWS = {
    "mobilenet": ("mobilenet", 224, 5, Head(), {}, 5_125, 3_228_864),
    "resnet50 last 4": ("resnet50", 256, 5, LAST_FOUR, {"trainable": "last 4"}, 4_207_621, 22_532_992),
    "hand-made": ("flower_cnn", 224, 5, HAND_MADE, {"trainable": "all"}, 406_149, 960),
    "resnet50 two layers": ("resnet50", 224, 5, TWO_LAYERS, {}, 210_205, 23_587_712),
    "resnet50 augmented": ("resnet50", 224, 5, WITH_L2, {}, 1_115_397, 23_587_712),
    "resnet50 whole": ("resnet50", 50, 8, Head("flatten"), {"trainable": "all"}, 23_600_136, 53_120),
    "mobilenet_v2": ("mobilenet_v2", 160, 10, Head(layers=("dense 64",)), {"phases": FROM_130}, 82_634, 2_257_984),
    "vgg16": ("vgg16", 32, 10, Head(layers=("dropout 0.5",)), {"trainable": "all"}, 14_719_818, 0),
    "resnet50 digits": ("resnet50", 32, 10, Head(layers=("dropout 0.5",)), {"trainable": "all"}, 23_555_082, 53_120),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_parameter_counts_of_the_reports(row):
    backbone, size, classes, head, training, trainable, fixed = row
    model = network(backbone, size)
    counts = parameter_counts(model, candidate(backbone, head, **training), classes)
    assert (counts.trainable, counts.non_trainable, counts.total) == (trainable, fixed, trainable + fixed)
    per_phase = (trainable, 1_442_634) if "phases" in training else (trainable,)
    assert counts.per_phase == per_phase
    table = layer_table(model, candidate(backbone, head, **training), classes)
    assert sum(one.parameters for one in table.rows) == counts.total
    assert [one.trainable for one in table.phases] == list(per_phase)


def test_the_table_names_every_layer_of_backbone_and_head():
    model = network("small_cnn", 8)
    head = Head("average", ("dropout 0.3", "dense 6 tanh"), "sigmoid")
    rows = layer_table(model, candidate(head=head), 3).rows
    assert [one.name for one in rows] == [
        *(layer.name for layer in model.layers),
        *("average_pooling", "dropout_1", "dense_1", "output"),
    ]
    assert [one.kind for one in rows[:3]] == ["InputLayer", "Conv2D", "BatchNormalization"]
    assert rows[0].output_shape == (None, 8, 8, 3)
    pooling, _, dense, output = rows[-4:]
    assert (pooling.kind, pooling.output_shape, pooling.parameters) == ("GlobalAveragePooling2D", (None, 128), 0)
    assert (dense.output_shape, dense.parameters) == ((None, 6), 129 * 6)
    assert (output.output_shape, output.parameters) == ((None, 3), 7 * 3)


@pytest.mark.parametrize(("pooling", "inputs"), [("average", 128), ("max", 128), ("flatten", 4 * 4 * 128)])
def test_pooling_decides_how_many_values_the_head_takes(pooling, inputs):
    counts = parameter_counts(network("small_cnn", 8), candidate(head=Head(pooling)), 3)
    trainable = (inputs + 1) * 3
    assert counts == ParameterCounts(trainable, 98_160, trainable + 98_160, (trainable,))


def test_counts_do_not_depend_on_what_trained_before():
    model, settings = network("small_cnn", 8), candidate(trainable="last 3")
    expected = parameter_counts(model, settings, 3)
    for layer in model.layers[:-1]:
        layer.trainable = False
    assert parameter_counts(model, settings, 3) == expected


def test_a_layer_that_is_not_there():
    with pytest.raises(UsageError, match=r"train\.trainable = 'from relu_9'.*Did you mean 'relu_"):
        layer_table(network("small_cnn", 8), candidate(trainable="from relu_9"), 3)
