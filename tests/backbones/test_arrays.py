"""The formats npz and safetensors, read as numbers; AlexNet's arrays in the order of Keras."""

import io
import json

import numpy as np
import pytest

from headstart.backbones.arrays import ALEXNET_NAMES, alexnet, read_npz, read_safetensors

TYPES = {np.dtype("<f8"): "F64", np.dtype("<f4"): "F32", np.dtype("<f2"): "F16", np.dtype("<i8"): "I64"}


def safetensors(arrays, *, metadata=None, change=None):
    """Write the format as it is published; ``change`` may spoil the header."""
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, array in arrays.items():
        place = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": TYPES[array.dtype], "shape": list(array.shape), "data_offsets": place}
        data += array.tobytes()
    if change:
        change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {
        "a": random.standard_normal((3, 4)).astype("<f4"),
        "b": random.standard_normal((2, 1, 5)).astype("<f8"),
        "c": random.standard_normal(7).astype("<f2"),
        "d": np.array(2.5, "<f4"),
    }


def test_both_formats_give_the_arrays_as_float32(arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    stream.seek(0)
    for received in (read_npz(stream), read_safetensors(io.BytesIO(safetensors(arrays, metadata={"format": "pt"})))):
        assert list(received) == list(arrays)
        for name, array in received.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, arrays[name].astype(np.float32))


def test_safetensors_with_bfloat16_and_whole_numbers():
    values = np.array([1.0, -2.5, 0.15625], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    header = {
        "x": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
        "steps": {"dtype": "I64", "shape": [], "data_offsets": [6, 14]},
    }
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + upper.tobytes() + bytes(8)
    received = read_safetensors(io.BytesIO(content))
    assert list(received) == ["x"]
    np.testing.assert_array_equal(received["x"], values)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 10_000]}, "a lies outside the file"),
        ({"dtype": "F32", "shape": [3, 4], "data_offsets": [48, 0]}, "a lies outside the file"),
        ({"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 48]}, r"a has another size than its shape \(3, 5\)"),
        ({"dtype": "F32", "shape": [-3, -4], "data_offsets": [0, 48]}, "entry of a is not understood"),
        ({"dtype": "F32", "shape": [3, 4], "data_offsets": [-48, 0]}, "entry of a is not understood"),
        ({"dtype": "F32", "shape": [3, 4], "data_offsets": [0]}, "entry of a is not understood"),
        ({"dtype": "F32", "shape": 12, "data_offsets": [0, 48]}, "entry of a is not understood"),
        ({"dtype": "F32"}, "entry of a is not understood"),
        ([], "entry of a is not understood"),
    ],
)
def test_safetensors_with_a_spoiled_entry_are_refused(arrays, entry, message):
    content = safetensors(arrays, change=lambda header: header.update(a=entry))
    with pytest.raises(ValueError, match=message):
        read_safetensors(io.BytesIO(content))


@pytest.mark.parametrize(
    "content", [b"", b"short", (10**9).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]", b"\xff" * 64]
)
def test_what_is_no_safetensors_file_is_refused(content):
    with pytest.raises(ValueError, match=r"no safetensors file|no JSON object"):
        read_safetensors(io.BytesIO(content))


def test_a_cut_off_file_is_refused(arrays):
    with pytest.raises(ValueError, match="lies outside the file"):
        read_safetensors(io.BytesIO(safetensors(arrays)[:-1]))


def test_npz_with_python_objects_or_a_single_array_are_refused():
    for save, value in ((np.savez, np.array([{}], object)), (np.save, np.zeros(3))):
        stream = io.BytesIO()
        save(stream, value)
        stream.seek(0)
        with pytest.raises(ValueError, match=r"pickle|no npz archive"):
            read_npz(stream)


def test_the_dense_layer_of_alexnet_goes_from_channel_first_to_channel_last(torch_arrays):
    maps = np.random.default_rng(1).standard_normal((2, 256, 6, 6), np.float32)
    kernel, bias = alexnet(torch_arrays)["classifier_1"]
    expected = maps.reshape(2, -1) @ torch_arrays["classifier.1.weight"].T + torch_arrays["classifier.1.bias"]
    received = maps.transpose(0, 2, 3, 1).reshape(2, -1) @ kernel + bias
    np.testing.assert_allclose(received, expected, atol=1e-4)


def test_convolutions_of_alexnet_have_their_axes_in_the_order_of_keras(torch_arrays):
    kernel, _ = alexnet(torch_arrays)["convolution_2"]
    weight = torch_arrays["features.3.weight"]
    assert kernel.shape == (5, 5, 64, 192)
    assert kernel[1, 2, 3, 4] == weight[4, 3, 1, 2]


def test_missing_arrays_of_alexnet_are_named(torch_arrays):
    few = {name: array for name, array in torch_arrays.items() if name != "features.8.bias"}
    with pytest.raises(ValueError, match=r"it lacks features\.8\.bias; it holds features\.0\.weight"):
        alexnet(few)
    with pytest.raises(ValueError, match="it holds nothing"):
        alexnet({})
    with pytest.raises(ValueError, match=r"an array has the shape \(4, 5\)"):
        alexnet(torch_arrays | {"classifier.1.weight": np.zeros((4, 5), np.float32)})
    assert set(alexnet(torch_arrays)) == set(ALEXNET_NAMES)
