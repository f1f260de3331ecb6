import numpy as np
import pytest

from headstart.backbones.engine import keras_module
from headstart.errors import UsageError
from headstart.features.cut import crossing, crossing_shapes, segment_model, tail_model, tail_variables, trunk_model

SIDE = 8


def residual_network():
    """Two residual blocks; one adds by an operation that is no layer, one by a layer."""
    keras = keras_module()
    layers = keras.layers
    image = values = keras.Input((SIDE, SIDE, 3), name="image")
    values = layers.Conv2D(4, 3, padding="same", name="stem")(values)
    for block in (1, 2):
        before = values
        values = layers.Conv2D(4, 3, padding="same", name=f"convolution_{block}")(values)
        values = layers.BatchNormalization(name=f"normalization_{block}")(values)
        values = values + before if block == 1 else layers.Add(name="add_2")([values, before])
        values = layers.ReLU(name=f"relu_{block}")(values)
    return keras.Model(image, values)


@pytest.fixture(scope="module")
def network():
    return residual_network()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(3, SIDE, SIDE, 3)).astype(np.float32)


def names(network):
    return [layer.name for layer in network.layers]


def run(model, inputs):
    """Return the outputs as a list."""
    outputs = model(inputs, training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return [np.array(keras_module().ops.convert_to_numpy(one)) for one in outputs]


def test_tail_after_trunk_is_the_network_wherever_it_is_cut(network, images):
    [expected] = run(network, images)
    for start in range(len(network.layers) + 1):
        crossed = run(trunk_model(network, start), images)
        assert [array.shape[1:] for array in crossed] == list(crossing_shapes(network, start))
        [output] = run(tail_model(network, start), crossed)
        assert output.tobytes() == expected.tobytes(), start


def test_segments_chain(network, images):
    last, middle = len(network.layers), names(network).index("normalization_1")
    for between in (middle + 1, middle + 3, last):
        crossed = run(trunk_model(network, middle), images)
        further = run(segment_model(network, middle, between), crossed)
        for array, expected in zip(further, run(trunk_model(network, between), images), strict=True):
            assert array == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("layer", "makers"),
    [
        ("image", ["image"]),
        ("stem", ["image"]),
        ("convolution_1", ["stem"]),
        ("normalization_1", ["stem", "convolution_1"]),
        ("convolution_2", ["relu_1"]),
        ("add_2", ["relu_1", "normalization_2"]),
        ("relu_2", ["add_2"]),
    ],
)
def test_what_crosses_comes_in_the_order_of_its_makers(network, layer, makers):
    tensors = crossing(network, names(network).index(layer))
    assert [tensor._keras_history.operation.name for tensor in tensors] == makers


def test_the_ends(network):
    assert crossing_shapes(network, 0) == ((SIDE, SIDE, 3),)
    assert crossing_shapes(network, len(network.layers)) == ((SIDE, SIDE, 4),)
    assert tail_variables(network, len(network.layers)) == []
    assert [id(one) for one in tail_variables(network, 0)] == [id(one) for one in network.weights]


def test_tail_variables_are_those_of_the_tail_in_order(network):
    start = names(network).index("normalization_1")
    expected = [weight for layer in network.layers[start:] for weight in layer.weights]
    assert [id(one) for one in tail_variables(network, start)] == [id(one) for one in expected]
    assert {id(one) for one in tail_model(network, start).weights} == {id(one) for one in expected}


def test_models_made_from_the_network_do_not_change_its_cuts(network):
    start = names(network).index("add_2")
    before = [id(tensor) for tensor in crossing(network, start)]
    tail_model(network, start), trunk_model(network, start)
    network(keras_module().Input((SIDE, SIDE, 3)))
    assert [id(tensor) for tensor in crossing(network, start)] == before


def test_known_networks():
    keras = keras_module()
    resnet = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(256, 256, 3))
    assert crossing_shapes(resnet, len(resnet.layers) - 4) == ((8, 8, 2048), (8, 8, 512))
    mobilenet = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(160, 160, 3))
    assert crossing_shapes(mobilenet, 130) == ((5, 5, 160), (5, 5, 960))


def test_a_network_used_as_a_layer_is_one_layer(images):
    keras = keras_module()
    stem = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()], name="stem")
    image = keras.Input((SIDE, SIDE, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 3, name="last")(stem(image)))
    assert names(network)[1:] == ["stem", "last"]
    [expected] = run(network, images)
    for start in range(4):
        crossed = run(trunk_model(network, start), images)
        assert run(tail_model(network, start), crossed)[0].tobytes() == expected.tobytes()
    assert len(tail_variables(network, 1)) == 8


def test_a_layer_used_twice_may_not_lie_on_both_sides(images):
    keras = keras_module()
    image = keras.Input((SIDE, SIDE, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", name="twice")
    middle = keras.layers.ReLU(name="middle")(twice(image))
    network = keras.Model(image, keras.layers.ReLU(name="last")(twice(middle)))
    assert names(network)[1:] == ["twice", "middle", "last"]
    with pytest.raises(UsageError, match="'twice' is used several times"):
        crossing(network, 2)
    [expected] = run(network, images)
    for start in (1, 3, 4):
        crossed = run(trunk_model(network, start), images)
        assert run(tail_model(network, start), crossed)[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize("start", [-1, 100])
def test_there_is_no_such_cut(network, start):
    with pytest.raises(UsageError, match=f"between 0 and {len(network.layers)}. Received: {start}"):
        crossing(network, start)
