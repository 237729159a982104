"""ImageNetSketch: ImageNet's classes as black and white drawings."""

from __future__ import annotations

from dassl.data.datasets import DATASET_REGISTRY

from .facts import Counts, Download, Facts
from .sources import classnames_download
from .wordnet import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetSketch(ImageNetVariant):
    """Wang, Ge, Lipton and Xing: Learning Robust Global Representations by Penalizing Local Predictive Power (2019)."""

    facts = Facts(
        stem="imagenet_sketch",
        folder="imagenet-sketch",
        images="images",
        counts=Counts(classes=1000, train=50_889, val=None, test=50_889),
        page="https://github.com/HaohanWang/ImageNet-Sketch",
        licence="MIT",
        downloads=(
            Download(
                file="ImageNet-Sketch.zip",
                urls=(
                    "https://huggingface.co/datasets/songweig/imagenet_sketch/resolve/main/data/ImageNet-Sketch.zip",
                    "gdrive:1Mj0i5HBthqH1p_yeXzsg22gZduvgoNeA",
                ),
                size=7_800_000_000,
                moves=(("sketch", "images"),),
            ),
            classnames_download(),
        ),
        notes="The archive's folder sketch is renamed to images.",
    )
