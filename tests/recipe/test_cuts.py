"""Where the tail begins."""

import pytest

from headstart.recipe.cuts import first_layer, is_cut

NAMES = ("input", "conv_1", "relu_1", "conv_2", "pool")

CUTS = [
    ("none", 5),
    ("all", 0),
    ("last 1", 4),
    ("last 4", 1),
    ("last 5", 0),
    ("from 0", 0),
    ("from 3", 3),
    ("from 4", 4),
    ("from input", 0),
    ("from conv_2", 3),
    ("from pool", 4),
]


@pytest.mark.parametrize(("trainable", "first"), CUTS)
def test_the_layers_from_the_first_one_train(trainable, first):
    assert is_cut(trainable)
    assert first_layer(trainable, len(NAMES), NAMES) == first
    if trainable.removeprefix("from ") not in NAMES:
        assert first_layer(trainable, len(NAMES)) == first


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        ("last 6", "5 layers: last 1 to last 5"),
        ("last 0", "5 layers: last 1 to last 5"),
        ("from 5", "5 layers: from 0 to from 4"),
        ("from conv_3", "no layer 'conv_3'. Did you mean 'conv_"),
        ("from xyz", "no layer 'xyz'."),
    ],
)
def test_a_cut_outside_the_network_says_what_it_has(trainable, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        first_layer(trainable, len(NAMES), NAMES)


@pytest.mark.parametrize(
    "text", ["", "some", "last", "last four", "from", "from a b", "last -1", "All", "last 4 ", "4"]
)
def test_other_texts_are_no_cuts(text):
    assert not is_cut(text)
