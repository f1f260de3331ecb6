"""The networks that Keras lacks, each without its classifier: plain layers of Keras with readable names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.engine import keras_module

if TYPE_CHECKING:
    import keras

SMALL_CNN_CHANNELS = (16, 32, 64, 128)
FLOWER_CNN_CHANNELS = (32, 64, 128, 256)
# Convolutions of VGG16's five blocks and their channels.
VGG16_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
# Bias of the gates at the start: they let 12 % of the convolution through, the rest of the signal passes unchanged.
GATE_BIAS = -2.0


def small_cnn(input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the small CNN: four blocks of 3 x 3 convolution, batch normalisation and ReLU.

    The side is halved down to 4 pixels, but four times at most: by the first convolution's stride when all four halve,
    else by pooling before the later blocks. So the parameters are the same at every image size.
    """
    layers = keras_module().layers
    halvings = _halvings(input_shape[0])
    blocks = len(SMALL_CNN_CHANNELS)
    image = layers.Input(input_shape, name="image")
    values = image
    for block, channels in enumerate(SMALL_CNN_CHANNELS, start=1):
        halve = block > blocks - halvings
        if halve and block > 1:
            # overlapping windows: 3 to 5 points better on photographs of flowers than strided convolutions
            values = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool_{block}")(values)
        stride = 2 if halve and block == 1 else 1
        values = layers.Conv2D(
            channels, 3, strides=stride, padding="same", use_bias=False, name=f"convolution_{block}"
        )(values)
        # momentum for training sets of a few hundred images: 0.99 lags for the first three epochs
        values = layers.BatchNormalization(momentum=0.9, name=f"normalization_{block}")(values)
        values = layers.ReLU(name=f"relu_{block}")(values)
    return keras_module().Model(image, values, name="small_cnn")


def _halvings(side: int) -> int:
    """Return how often a side can be halved and keep at least 4 pixels, between 1 and 4."""
    return min(max(side.bit_length() - 3, 1), len(SMALL_CNN_CHANNELS))


def flower_cnn(input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the hand-made CNN of the flower report, up to the last activation before its global max pooling.

    Four blocks of 3 x 3 convolution (L2 penalty of 0.001 on the kernel), batch normalisation and ReLU; between them
    max pooling over 3 x 3 with stride 3, and dropout of 0.3 before the third and the fourth.
    """
    keras = keras_module()
    layers = keras.layers
    image = layers.Input(input_shape, name="image")
    values = image
    for block, channels in enumerate(FLOWER_CNN_CHANNELS, start=1):
        if block > 1:
            values = layers.MaxPooling2D(3, strides=3, padding="same", name=f"pool_{block - 1}")(values)
        if block > 2:
            values = layers.Dropout(0.3, name=f"dropout_{block - 1}")(values)
        values = layers.Conv2D(
            channels, 3, padding="same", kernel_regularizer=keras.regularizers.L2(0.001), name=f"convolution_{block}"
        )(values)
        values = layers.BatchNormalization(name=f"normalization_{block}")(values)
        values = layers.ReLU(name=f"relu_{block}")(values)
    return keras.Model(image, values, name="flower_cnn")


def alexnet(input_shape: tuple[int, int, int]) -> keras.Model:
    """Return AlexNet as torchvision has it, up to its first dense layer and ReLU: output ``(n, 4096)``.

    Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014: 64, 192, 384, 256 and 256
    channels. Adaptive average pooling to 6 x 6 lets in any image of at least 63 pixels; at 224 it changes nothing.
    """
    layers = keras_module().layers
    image = layers.Input(input_shape, name="image")
    values = layers.ZeroPadding2D(2, name="padding_1")(image)
    values = _convolution(values, 1, 64, size=11, stride=4)
    values = layers.MaxPooling2D(3, strides=2, name="pool_1")(values)
    values = _convolution(values, 2, 192, size=5)
    values = layers.MaxPooling2D(3, strides=2, name="pool_2")(values)
    for number, channels in ((3, 384), (4, 256), (5, 256)):
        values = _convolution(values, number, channels, size=3)
    values = layers.MaxPooling2D(3, strides=2, name="pool_5")(values)
    values = _adaptive_average_pool(values, 6, "average_pool")
    values = layers.Flatten(name="flatten")(values)
    values = layers.Dropout(0.5, name="dropout_1")(values)
    values = layers.Dense(4096, name="classifier_1")(values)
    values = layers.ReLU(name="classifier_1_relu")(values)
    return keras_module().Model(image, values, name="alexnet")


def _convolution(
    values: keras.KerasTensor, number: int, channels: int, *, size: int, stride: int = 1
) -> keras.KerasTensor:
    """Convolve and rectify; with a stride, the caller has padded (Keras' own padding would be lopsided)."""
    layers = keras_module().layers
    padding = "same" if stride == 1 else "valid"
    values = layers.Conv2D(channels, size, strides=stride, padding=padding, name=f"convolution_{number}")(values)
    return layers.ReLU(name=f"relu_{number}")(values)


def _adaptive_average_pool(values: keras.KerasTensor, side: int, name: str) -> keras.KerasTensor:
    """Average maps of any size to ``side`` by ``side`` as torch's AdaptiveAvgPool2d: each output over its own window.

    Keras' own layer refuses the unknown sizes with which OpenVINO traces a network; two products of matrices do not.
    """
    layers, ops = keras_module().layers, keras_module().ops
    rows, columns = (averaging(number, side) for number in values.shape[1:3])

    class AdaptiveAveragePool(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
            return ops.einsum("jw,niwc->nijc", columns, ops.einsum("ih,nhwc->niwc", rows, inputs))

    return AdaptiveAveragePool(name=name)(values)


def averaging(inputs: int, outputs: int) -> NDArray[np.float32]:
    """Return the matrix ``(outputs, inputs)`` of adaptive average pooling along one axis.

    Output i is the mean of the inputs from ``floor(i * inputs / outputs)`` up to ``ceil((i + 1) * inputs / outputs)``.
    """
    first = np.arange(outputs) * inputs // outputs
    last = -(-np.arange(1, outputs + 1) * inputs // outputs)
    places = np.arange(inputs)
    inside: NDArray[np.float32] = ((places >= first[:, None]) & (places < last[:, None])).astype(np.float32)
    shares: NDArray[np.float32] = inside / inside.sum(axis=1, keepdims=True)
    return shares


def vgg16_highway(input_shape: tuple[int, int, int]) -> keras.Model:
    """Return VGG16 whose convolutions with as many channels out as in are highway layers.

    Srivastava, Greff and Schmidhuber, Highway Networks, 2015: ``y = H(x) T(x) + x (1 - T(x))``, here computed as
    ``x + T(x) (H(x) - x)``. H is VGG16's own convolution with ReLU, under VGG16's name; T, the gate, is a 1 x 1
    convolution with sigmoid whose bias starts at -2.
    """
    layers = keras_module().layers
    image = layers.Input(input_shape, name="image")
    values = image
    for block, (convolutions, channels) in enumerate(VGG16_BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            values = _highway(values, channels, f"block{block}", number)
        values = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(values)
    return keras_module().Model(image, values, name="vgg16_highway")


def _highway(values: keras.KerasTensor, channels: int, block: str, number: int) -> keras.KerasTensor:
    layers, initializers = keras_module().layers, keras_module().initializers
    changed = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"{block}_conv{number}")(values)
    if values.shape[-1] != channels:
        return changed
    gate = layers.Conv2D(
        channels,
        1,
        activation="sigmoid",
        bias_initializer=initializers.Constant(GATE_BIAS),
        name=f"{block}_gate{number}",
    )(values)
    difference = layers.Subtract(name=f"{block}_difference{number}")([changed, values])
    let_through = layers.Multiply(name=f"{block}_multiply{number}")([gate, difference])
    return layers.Add(name=f"{block}_add{number}")([values, let_through])


NETWORKS = {
    "alexnet": alexnet,
    "flower_cnn": flower_cnn,
    "small_cnn": small_cnn,
    "vgg16_highway": vgg16_highway,
}
