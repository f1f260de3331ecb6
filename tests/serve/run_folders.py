"""A run folder with photographs of one colour each, for the pages that show and review runs."""

import dataclasses
import hashlib
import io
import shutil

from PIL import Image

from ..report.conftest import Builder, Sample

COLOURS = {"daisy": "white", "dandelion": "gold", "roses": "crimson", "sunflowers": "orange", "tulips": "purple"}
CONFLICT = ("roses/00004.jpg", "tulips/00009.jpg")
COPIES = ("daisy/00001.jpg", "daisy/00002.jpg")
NEAR = ("sunflowers/00001.jpg", "sunflowers/00002.jpg", "sunflowers/00003.jpg")
DOUBTS = tuple(f"daisy/{number:05d}.jpg" for number in range(15))
SHOWN = (*CONFLICT, *COPIES, *NEAR, *DOUBTS)


def photograph(colour, size=(60, 40)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG")
    return stream.getvalue()


def build_reviewable(path, photographs, classifier=None, **sample):
    """Build a run of 300 images: 15 doubts (one settled), a pair with two labels, two copies, three near copies."""
    folder = Builder(
        path, Sample(**{"evidence": True, "backbones": ("mobilenet",), "rates": (1e-2,), **sample})
    ).build()
    contents = {}
    for name in SHOWN:
        contents[name] = photograph(COLOURS[name.partition("/")[0]])
        file = photographs / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents[name])
    rows = [
        dataclasses.replace(row, sha256=hashlib.sha256(contents[row.path]).hexdigest(), width=60, height=40)
        if row.path in contents
        else row
        for row in folder.images()
    ]
    folder.write_images(rows)
    folder.write_audit(dataclasses.replace(folder.audit(), near_duplicates=(NEAR,)))
    summary = folder.summary()
    dataset = dataclasses.replace(summary.dataset, path=str(photographs))
    folder.write_summary(dataclasses.replace(summary, dataset=dataset))
    folder.write_report("<!doctype html><title>Report</title><h1>The report</h1>")
    if classifier:
        shutil.copytree(classifier, folder.classifier, dirs_exist_ok=True)
    return folder
