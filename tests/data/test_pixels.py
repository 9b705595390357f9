"""Decoding and geometry, against torchvision and against images whose pixels are known."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.functional import to_tensor

from bench.core.dataset import Sample
from bench.data.pixels import ImageProblem, geometry, image_size, load_image, map_boxes, open_image

TURNED = {1: [0, 1, 2, 3], 2: [1, 0, 3, 2], 3: [3, 2, 1, 0], 4: [2, 3, 0, 1],
          5: [0, 2, 1, 3], 6: [2, 0, 3, 1], 7: [3, 1, 2, 0], 8: [1, 3, 0, 2]}  # fmt: skip
"""EXIF 2.3, table of orientations: which quarter of the stored image (row-major) is shown in which quarter."""
QUARTERS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)]


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def quarters(width: int = 32, height: int = 16) -> Image.Image:
    image = Image.new("RGB", (width, height))
    for k, colour in enumerate(QUARTERS):
        image.paste(colour, (k % 2 * width // 2, k // 2 * height // 2, (k % 2 + 1) * width // 2, height))
    return image


def slow_resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Antialiased bilinear: a triangle of radius max(scale, 1) around each new pixel's centre, in float64."""

    def weights(old: int, new: int) -> np.ndarray:
        scale = old / new
        centres = (np.arange(new) + 0.5) * scale
        distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(scale, 1)
        triangle = np.clip(1 - distance, 0, None)
        return triangle / triangle.sum(1, keepdims=True)

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.stack([rows @ image[..., c] @ columns.T for c in range(3)], axis=-1)


@pytest.mark.parametrize("exif", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_orientation(tmp_path, exif, suffix):
    path = tmp_path / f"turned.{suffix}"
    tags = Image.Exif()
    tags[0x0112] = exif
    stored = quarters()
    stored.save(path, exif=tags, **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {}))
    shown = open_image(path)
    width, height = (32, 16) if exif < 5 else (16, 32)
    assert shown.size == image_size(path) == (width, height)
    for k, source in enumerate(TURNED[exif]):
        pixel = shown.getpixel((width * (1 + k % 2 * 2) // 4, height * (1 + k // 2 * 2) // 4))
        assert np.allclose(pixel, QUARTERS[source], atol=8), k


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("block", [b"II*\0\xff\xff\xff\xff", b"no header", b""])
def test_corrupt_exif_is_ignored(tmp_path, block):
    path = tmp_path / "a.jpg"
    quarters().save(path, exif=b"Exif\0\0" + block)
    assert open_image(path).size == image_size(path) == (32, 16)


def test_grey_is_three_equal_channels(tmp_path):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "grey.png")
    assert (np.asarray(open_image(tmp_path / "grey.png")) == values[:, :, None]).all()


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    path = tmp_path / f"deep.{suffix}"
    if suffix == "pgm":
        path.write_bytes(b"P5 256 256 65535\n" + ramp.astype(">u2").tobytes())
    else:
        Image.fromarray(ramp).save(path)
    shown = np.asarray(open_image(path)).astype(int)
    assert np.abs(shown - ramp[:, :, None] * (255 / 65535)).max() <= 0.5 + 1e-9


def test_cmyk(tmp_path):
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    ink.save(tmp_path / "ink.jpg", quality=100)
    assert np.allclose(np.asarray(open_image(tmp_path / "ink.jpg")), (255, 0, 0), atol=6)


def test_palette(tmp_path):
    flat = Image.new("P", (2, 1))
    flat.putpalette([10, 20, 30, 200, 100, 50])
    flat.putpixel((1, 0), 1)
    flat.save(tmp_path / "palette.png")
    assert np.asarray(open_image(tmp_path / "palette.png")).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_transparent_pixels_lie_on_black(tmp_path):
    glass = Image.new("RGBA", (3, 1), (200, 100, 50, 0))
    glass.putpixel((1, 0), (200, 100, 50, 255))
    glass.putpixel((2, 0), (200, 100, 50, 128))
    glass.save(tmp_path / "glass.png")
    assert np.asarray(open_image(tmp_path / "glass.png")).tolist() == [[[0, 0, 0], [200, 100, 50], [100, 50, 25]]]
    marked = Image.new("P", (1, 1))
    marked.putpalette([200, 100, 50])
    marked.save(tmp_path / "marked.png", transparency=0)
    assert open_image(tmp_path / "marked.png").getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("pixels", ["resize-crop", "fit-crop", "squash"])
def test_one_pixel(tmp_path, pixels):
    Image.new("RGB", (1, 1), (255, 51, 0)).save(tmp_path / "dot.png")
    tensor = load_image(Sample("dot", tmp_path / "dot.png"), pixels, 32, "bilinear")
    assert torch.allclose(tensor, torch.tensor([1, 0.2, 0])[:, None, None].expand(3, 32, 32))


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises width × height."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 10) + b"IDAT" + bytes(14)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("width", "height", "reason"), [(60000, 60000, "too large"), (14000, 13000, "too large"), (5000, 2, "elongated")]
)
def test_huge_images_are_refused_before_decoding(tmp_path, width, height, reason):
    path = tmp_path / "huge.png"
    path.write_bytes(png_of(width, height))
    with pytest.raises(ImageProblem, match=reason):
        open_image(path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: path.write_bytes(b""), "empty file"),
        (lambda path: path.write_text("no image"), "not an image"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "not found"),
        (lambda path: Image.fromarray(np.ones((4, 4), np.float32)).save(path, "TIFF"), "floating-point"),
        (lambda path: Image.fromarray(np.full((4, 4), 70000, np.int32)).save(path, "TIFF"), "32-bit"),
    ],
)
def test_problems_are_named(tmp_path, write, reason):
    write(tmp_path / "bad.jpg")
    with pytest.raises(ImageProblem, match=reason):
        open_image(tmp_path / "bad.jpg")


def test_truncated_jpeg(tmp_path):
    photo(64, 64).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageProblem, match="truncated"):
        open_image(tmp_path / "cut.jpg")


SHAPES = [(61, 40), (40, 61), (50, 50), (33, 129), (300, 171), (171, 300), (17, 16)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [28, 37])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_equal_to_torchvision(tmp_path, shape, size, interpolation):
    image = photo(*shape)
    image.save(tmp_path / "a.png")
    mode = v2.InterpolationMode(interpolation)
    recipes = {
        "resize-crop": [v2.Resize(round(size * 256 / 224), mode), v2.CenterCrop(size)],
        "fit-crop": [v2.Resize(size, mode), v2.CenterCrop(size)],
        "squash": [v2.Resize([size, size], mode)],
    }
    for pixels, steps in recipes.items():
        ours = load_image(Sample("a", tmp_path / "a.png"), pixels, size, interpolation)
        assert ours.dtype == torch.float32
        assert ours.shape == (3, size, size)
        assert torch.equal(ours, to_tensor(v2.Compose(steps)(image)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pixels", ["resize-crop", "fit-crop", "squash"])
def test_equal_to_slow_resize(tmp_path, shape, pixels):
    photo(*shape).save(tmp_path / "a.png")
    ours = load_image(Sample("a", tmp_path / "a.png"), pixels, 28, "bilinear")
    to = geometry(*shape, pixels, 28)
    slow = slow_resize(np.asarray(photo(*shape)) / 255, to.width, to.height)
    slow = slow[to.top : to.top + 28, to.left : to.left + 28].transpose(2, 0, 1)
    assert np.abs(ours.numpy() - slow).max() < 1.5 / 255  # Pillow rounds to 8 bits after each of its two passes


def test_papers_sizes():
    assert geometry(500, 375, "resize-crop", 224)[:4] == (341, 256, round((341 - 224) / 2), 16)
    assert geometry(375, 500, "fit-crop", 224)[:4] == (224, 298, 0, 37)
    assert geometry(500, 375, "squash", 224)[:4] == (224, 224, 0, 0)
    assert geometry(400, 400, "resize-crop", 299)[:2] == (342, 342)  # torchvision's Inception recipe


@pytest.mark.parametrize("shape", [(640, 400), (400, 640), (350, 350), (90, 47)])
@pytest.mark.parametrize("pixels", ["resize-crop", "fit-crop", "squash"])
def test_boxes_go_where_a_drawn_rectangle_goes(tmp_path, shape, pixels):
    width, height = shape
    x0, y0, x1, y1 = width * 3 // 8, height * 2 // 5, width * 5 // 8, height * 3 // 5
    image = Image.new("RGB", shape)
    image.paste("white", (x0, y0, x1, y1))
    image.save(tmp_path / "a.png")
    shown = load_image(Sample("a", tmp_path / "a.png"), pixels, 64, "bilinear")[0].double()
    # A linear filter keeps the white mass and its centre, so they give both edges to a fraction of a pixel.
    profile_x, profile_y = shown.max(0).values, shown.max(1).values
    expected = []
    for profile in (profile_x, profile_y):
        mass = profile.sum()
        middle = (profile * (torch.arange(64) + 0.5)).sum() / mass
        expected.append((middle - mass / 2, middle + mass / 2))
    (left, right), (top, bottom) = expected
    box = map_boxes([(x0, y0, x1, y1)], shape, pixels, 64)[0]
    assert torch.allclose(box.double(), torch.stack([left, top, right, bottom]), atol=0.1)


def test_boxes_are_not_clipped_and_may_be_none():
    assert map_boxes([], (10, 10), "squash", 28).shape == (0, 4)
    whole = map_boxes([(0, 0, 448, 224)], (448, 224), "fit-crop", 224)
    assert whole.tolist() == [[-112, 0, 336, 224]]
    whole = map_boxes([(0, 0, 448, 224)], (448, 224), "resize-crop", 224)
    assert whole.tolist() == [[-144, -16, 368, 240]]
