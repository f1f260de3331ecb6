import hashlib
import subprocess
import sys
import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from headstart.data import decode
from headstart.data.decode import Resize
from headstart.errors import ImageError


def noise(height=20, width=30):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def jpeg(**options):
    return encoded(Image.fromarray(noise()), "JPEG", quality=95, **options)


def exif(**tags):
    data = Image.Exif()
    for tag, value in tags.items():
        data[int(tag.removeprefix("t"), 16)] = value
    return data


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_lossless_formats(kind):
    image = Image.fromarray(noise()).quantize(64) if kind == "GIF" else Image.fromarray(noise())
    content = encoded(image, kind)
    np.testing.assert_array_equal(decode.pixels(content), np.asarray(image.convert("RGB")))
    assert decode.inspect(content).format == kind


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats(kind):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    content = encoded(Image.fromarray(smooth).convert("RGB"), kind, quality=95)
    assert decode.inspect(content).format == kind
    np.testing.assert_allclose(decode.pixels(content)[:, :, 1], smooth, atol=8)


def test_animations_show_their_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode.pixels(content)[0, 0].tolist() == [255, 0, 0]


def test_an_mpo_of_a_camera_is_its_first_jpeg():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode.pixels(content)[8, 8], [254, 0, 0], atol=2)
    assert decode.inspect(content).format == "JPEG"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(orientation, kind):
    content = encoded(Image.fromarray(noise()), kind, exif=exif(t0112=orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(content))).convert("RGB"))
    assert expected.shape == ((30, 20, 3) if orientation > 4 else (20, 30, 3))
    np.testing.assert_array_equal(decode.pixels(content), expected)
    facts = decode.inspect(content)
    assert facts.rotated == (orientation > 1)
    assert (facts.height, facts.width) == expected.shape[:2]


def test_load_equals_pillow_on_a_rotated_photograph():
    content = jpeg(exif=exif(t0112=6))
    upright = ImageOps.exif_transpose(Image.open(BytesIO(content)))
    expected = np.asarray(upright.resize((11, 13), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode.load(content, Resize(13, 11)), expected)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_a_senseless_orientation_is_ignored(orientation):
    content = encoded(Image.fromarray(noise()), exif=exif(t0112=orientation))
    np.testing.assert_array_equal(decode.pixels(content), noise())


def test_damaged_exif_does_not_cost_the_image():
    content = jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert decode.pixels(content).shape == (20, 30, 3)
    assert decode.inspect(content).taken_at == ""


def test_shot_time_and_camera():
    data = exif(t010F="Canon\0", t0110="EOS 5D")
    data.get_ifd(0x8769).update({0x9003: "2024:05:01 12:30:59", 0x9291: "25"})
    facts = decode.inspect(jpeg(exif=data))
    assert (facts.taken_at, facts.camera) == ("2024-05-01T12:30:59.250000", "Canon EOS 5D")


def test_a_senseless_shot_time_is_unknown():
    data = exif()
    data.get_ifd(0x8769).update({0x9003: "0000:00:00 00:00:00"})
    assert decode.inspect(jpeg(exif=data)).taken_at == ""


def test_pixel_hash_is_over_shape_and_pixels():
    expected = hashlib.sha256(b"20x30:" + noise().tobytes()).hexdigest()
    found = {decode.inspect(encoded(Image.fromarray(noise()), kind)).pixel_sha256 for kind in ("PNG", "BMP", "TIFF")}
    assert found == {expected} == {decode.inspect(noise()).pixel_sha256}
    assert decode.inspect(noise().reshape(30, 20, 3)).pixel_sha256 != expected


def test_arrays_stand_for_decoded_images():
    grey = noise()[:, :, 0]
    np.testing.assert_array_equal(decode.pixels(grey), np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(decode.load(noise(), Resize(20, 30)), noise())
    facts = decode.inspect(grey)
    assert (facts.width, facts.height, facts.format) == (30, 20, "array")


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)])
def test_arrays_that_are_no_image(bad):
    with pytest.raises(ImageError, match="not an image: pixels of shape"):
        decode.load(bad, Resize(2, 2))


NOT_IMAGES = {
    b"": "empty file",
    b"just words, saved as photo.jpg": "text, not an image",
    "Grüße".encode(): "text, not an image",
    b"<?xml version='1.0'?><svg xmlns='x'/>": "SVG is a drawing",
    b"%PDF-1.7\n\0": "PDF",
    b"version https://git-lfs.github.com/spec/v1\n": "git lfs pull",
    b"PK\x03\x04\0\0\0\0": "not an image of an allowed format .JPEG, PNG",
    b"\0\0\x01\0\x01\0": "not an image of an allowed format",
    b"\xff\xd8\xff": "JPEG$",
    b"BMW is a car, not a bitmap": "damaged BMP|truncated BMP",
    b"II*\0\x08\0\0\0\xff\xff": "damaged TIFF|truncated TIFF",
}


@pytest.mark.parametrize("content", NOT_IMAGES)
def test_what_is_no_image_is_named(content):
    for read in (decode.inspect, decode.pixels, lambda bad: decode.load(bad, Resize(4, 4))):
        with pytest.raises(ImageError, match=NOT_IMAGES[content]):
            read(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "GIF"])
def test_a_truncated_file_is_refused(kind):
    image = Image.fromarray(noise(100, 100))
    content = encoded(image.quantize(200) if kind == "GIF" else image, kind)
    with pytest.raises(ImageError, match=rf"^(truncated|damaged) {kind}$"):
        decode.inspect(content[: len(content) // 2])


def test_damage_anywhere_is_an_image_error_or_an_image():
    generator = np.random.default_rng(3)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        whole = np.frombuffer(encoded(Image.fromarray(noise()), kind), np.uint8)
        for _ in range(40):
            broken = whole.copy()
            broken[generator.integers(0, len(broken), 3)] = generator.integers(0, 256, 3)
            try:
                assert decode.load(broken.tobytes(), Resize(4, 4)).shape == (4, 4, 3)
            except ImageError as error:
                assert len(str(error)) < 150


def test_the_pixel_limit_is_read_from_the_header():
    with pytest.raises(ImageError, match=r"too large: 30 x 20 pixels; the limit is 599"):
        decode.inspect(encoded(Image.fromarray(noise())), pixel_limit=599)
    assert decode.pixels(encoded(Image.fromarray(noise())), pixel_limit=600).shape == (20, 30, 3)


@pytest.mark.parametrize(("side", "reason"), [(13_400, "limit is 178,000,000"), (60_000, "limit is 178,000,000")])
def test_a_decompression_bomb_is_refused_before_decoding(side, reason):
    header = encoded(Image.new("L", (1, 1)), "BMP")
    bomb = header[:18] + side.to_bytes(4, "little") + side.to_bytes(4, "little") + header[26:]
    with pytest.raises(ImageError, match=reason):
        decode.inspect(bomb)


def test_large_but_allowed_images_raise_no_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode.pixels(encoded(Image.fromarray(noise()))).shape == (20, 30, 3)


def test_heic_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for brand in (b"heic", b"mif1", b"hevc"):
        with pytest.raises(ImageError, match=r"HEIC needs: pip install 'headstart\[heic\]'"):
            decode.inspect(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(40))


def test_heic_with_its_package():
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif (the extra heic) is not installed")
    heif.register_heif_opener()
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    content = encoded(Image.fromarray(smooth).convert("RGB"), "HEIF", quality=95)
    assert decode.inspect(content).format == "HEIF"
    np.testing.assert_allclose(decode.pixels(content)[:, :, 1], smooth, atol=8)


def test_avif_without_support_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    with pytest.raises(ImageError, match="AVIF needs Pillow"):
        decode.inspect(b"\0\0\0\x18ftypavif" + bytes(40))


def test_out_of_memory_is_a_reason(monkeypatch):
    def fail(self):
        raise MemoryError

    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", fail)
    with pytest.raises(ImageError, match=decode.OUT_OF_MEMORY):
        decode.inspect(jpeg())


def test_importing_the_room_loads_no_heavy_package():
    code = (
        "import sys, headstart.data.decode, headstart.data.images, headstart.data.split, headstart.data.audit\n"
        "print(sorted({'PIL', 'sklearn', 'scipy', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_load_and_show_is_load_and_the_whole_image_made_smaller(kind):
    content = encoded(Image.fromarray(noise(50, 90)), kind, exif=exif(t0112=6))
    seen, shown = decode.load_and_show(content, Resize(16, 20, "crop"), largest=45)
    np.testing.assert_array_equal(seen, decode.load(content, Resize(16, 20, "crop")))
    np.testing.assert_array_equal(shown, decode.load(content, Resize(45, 25)))


def test_load_and_show_enlarges_nothing_and_gives_reasons():
    content = encoded(Image.fromarray(noise()).convert("L"))
    np.testing.assert_array_equal(decode.load_and_show(content, Resize(4, 4), largest=30)[1], decode.pixels(content))
    with pytest.raises(ImageError, match="too large: 30 x 20 pixels; the limit is 599"):
        decode.load_and_show(content, Resize(4, 4), largest=30, pixel_limit=599)
    with pytest.raises(ImageError, match="truncated PNG"):
        decode.load_and_show(content[:200], Resize(4, 4), largest=30)
