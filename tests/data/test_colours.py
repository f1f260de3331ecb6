from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from headstart.data import colours, decode


def encoded(image, kind="PNG", **options):
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def three(grey):
    return np.repeat(np.asarray(grey, np.uint8)[:, :, None], 3, axis=2)


def over_white(colour, alpha):
    share = alpha[:, :, None] / 255
    return colour * share + 255 * (1 - share)


def test_rgb_and_grey_are_unchanged():
    colour, grey = noise(6, 7, 3), noise(6, 7)
    np.testing.assert_array_equal(decode.pixels(encoded(Image.fromarray(colour))), colour)
    np.testing.assert_array_equal(decode.pixels(encoded(Image.fromarray(grey))), three(grey))


def test_black_and_white_becomes_0_and_255():
    bits = noise(5, 9) > 127
    np.testing.assert_array_equal(decode.pixels(encoded(Image.fromarray(bits))), three(bits * 255))


def test_palette():
    image = Image.fromarray(noise(8, 8, 3)).quantize(16)
    np.testing.assert_array_equal(decode.pixels(encoded(image)), np.asarray(image.convert("RGB")))


def test_alpha_lies_on_white():
    array = noise(8, 8, 4)
    expected = over_white(array[:, :, :3], array[:, :, 3])
    np.testing.assert_allclose(decode.pixels(encoded(Image.fromarray(array))), expected, atol=1)


def test_grey_with_alpha_lies_on_white():
    array = noise(8, 8, 2)
    expected = over_white(three(array[:, :, 0]), array[:, :, 1])
    image = Image.frombytes("LA", (8, 8), array.tobytes())
    np.testing.assert_allclose(decode.pixels(encoded(image)), expected, atol=1)


def test_transparent_palette_entry_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    expected = [[[255, 255, 255], [40, 50, 60]]]
    for kind in ("PNG", "GIF"):
        np.testing.assert_array_equal(decode.pixels(encoded(image, kind, transparency=0)), expected)


def test_palette_with_alpha_in_bytes():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 40, 50, 60])
    image.putpixel((1, 0), 1)
    found = decode.pixels(encoded(image, transparency=bytes([128, 255])))
    np.testing.assert_allclose(found, [[[127, 127, 127], [40, 50, 60]]], atol=1)


def test_transparent_colour_of_an_rgb_png_is_white():
    array = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    found = decode.pixels(encoded(Image.fromarray(array), transparency=(1, 2, 3)))
    np.testing.assert_array_equal(found, [[[255, 255, 255], [4, 5, 6]]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind):
    values = np.array([[0, 128, 129, 257, 1000, 32768, 65278, 65535]], np.uint16)
    found = decode.pixels(encoded(Image.fromarray(values), kind))
    np.testing.assert_array_equal(found, three(np.floor(values / 257 + 0.5)))


def test_big_endian_16_bit_grey():
    image = Image.frombytes("I;16B", (2, 1), bytes([0x80, 0x00, 0xFF, 0xFF]))
    np.testing.assert_array_equal(decode.pixels(encoded(image, "TIFF")), three([[128, 255]]))


def test_32_bit_grey_is_clipped_to_16_bit():
    image = Image.fromarray(np.array([[-5, 257, 70_000]], np.int32))
    np.testing.assert_array_equal(decode.pixels(encoded(image, "TIFF")), three([[0, 1, 255]]))


def test_floating_point_grey():
    unit = Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    wide = Image.fromarray(np.array([[-3.0, 99.6, 300.0, np.nan]], np.float32))
    np.testing.assert_array_equal(decode.pixels(encoded(unit, "TIFF")), three([[0, 128, 255]]))
    np.testing.assert_array_equal(decode.pixels(encoded(wide, "TIFF")), three([[0, 100, 255, 0]]))


def test_cmyk_of_a_camera_jpeg_is_not_inverted():
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        np.testing.assert_allclose(decode.pixels(encoded(red, kind))[4, 4], [255, 0, 0], atol=3)


def test_ycbcr():
    image = Image.fromarray(noise(8, 8, 3)).convert("YCbCr")
    found = decode.pixels(encoded(image, "TIFF"))
    np.testing.assert_allclose(found, np.asarray(image.convert("RGB")), atol=1)


def test_lab():
    colour = Image.new("RGB", (4, 4), (200, 40, 90))
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(colour, transform)
    np.testing.assert_allclose(decode.pixels(encoded(lab, "TIFF"))[0, 0], [200, 40, 90], atol=3)


def modes():
    """Return an image of noise in every mode that is converted, 23 pixels high."""
    grey, words = noise(23, 31), noise(23, 31, 2).view(np.uint16)[:, :, 0]
    palette = Image.fromarray(noise(23, 31, 3)).quantize(16)
    palette.info["transparency"] = 3
    seen = {"P": Image.fromarray(noise(23, 31, 3)).quantize(16), "P transparent": palette}
    seen |= {"I;16": Image.fromarray(words), "I": Image.fromarray(words.astype(np.int32) - 200)}
    # only the last row of the second is above 1
    unit = grey / np.float32(255)
    mixed = unit + np.eye(23, 31, -22, dtype=np.float32)
    seen |= {"F": Image.fromarray(unit), "F mixed": Image.fromarray(mixed), "1": Image.fromarray(grey > 127)}
    for mode, channels in {"RGBA": 4, "LA": 2, "CMYK": 4, "YCbCr": 3, "LAB": 3}.items():
        seen[mode] = Image.frombytes(mode, (31, 23), noise(23, 31, channels).tobytes())
    seen["I;16B"] = Image.frombytes("I;16B", (31, 23), words.tobytes())
    return seen


@pytest.mark.parametrize("mode", modes())
def test_a_large_image_is_converted_in_strips_to_the_same(mode, monkeypatch):
    image = modes()[mode]
    whole = colours.grey_or_rgb(image)
    monkeypatch.setattr(colours, "_STRIP_PIXELS", 5 * 31)
    strips = colours.grey_or_rgb(image)
    assert strips.mode == whole.mode
    np.testing.assert_array_equal(np.asarray(strips), np.asarray(whole))
