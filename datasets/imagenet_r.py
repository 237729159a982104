"""ImageNetR: paintings, toys, cartoons and other renditions of 200 ImageNet classes."""

from __future__ import annotations

from dassl.data.datasets import DATASET_REGISTRY

from .facts import Counts, Download, Facts
from .sources import bundle, classnames_download
from .wordnet import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetR(ImageNetVariant):
    """Hendrycks and others: The Many Faces of Robustness (ICCV 2021)."""

    facts = Facts(
        stem="imagenet_r",
        folder="imagenet-rendition",
        images="imagenet-r",
        counts=Counts(classes=200, train=30_000, val=None, test=30_000),
        page="https://github.com/hendrycks/imagenet-r",
        licence="MIT",
        downloads=(
            Download(
                file="imagenet-r.tar",
                urls=("https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar",),
                size=2_190_000_000,
                md5="a61312130a589d0ca1a8fca1f2bd3337",
                moves=(("imagenet-r", "imagenet-r"),),
            ),
            classnames_download(),
        ),
        fallback=bundle("imagenet-rendition.zip", 2_100_000_000, "imagenet-r"),
        notes="Labels count the 200 folders present; they are not ImageNet's 1000 labels. The 200 classes are not "
        "those of ImageNetA.",
    )
