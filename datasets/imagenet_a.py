"""ImageNetA: photographs of 200 ImageNet classes that a ResNet-50 gets wrong."""

from __future__ import annotations

from dassl.data.datasets import DATASET_REGISTRY

from .facts import Counts, Download, Facts
from .sources import bundle, classnames_download
from .wordnet import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetA(ImageNetVariant):
    """Hendrycks, Zhao, Basart, Steinhardt and Song: Natural Adversarial Examples (CVPR 2021)."""

    facts = Facts(
        stem="imagenet_a",
        folder="imagenet-adversarial",
        images="imagenet-a",
        counts=Counts(classes=200, train=7500, val=None, test=7500),
        page="https://github.com/hendrycks/natural-adv-examples",
        licence="MIT",
        downloads=(
            Download(
                file="imagenet-a.tar",
                urls=("https://people.eecs.berkeley.edu/~hendrycks/imagenet-a.tar",),
                size=687_552_512,
                md5="c3e55429088dc681f30d81f4726b6595",
                moves=(("imagenet-a", "imagenet-a"),),
            ),
            classnames_download(),
        ),
        fallback=bundle("imagenet-adversarial.zip", 684_000_000, "imagenet-a"),
        notes="Labels count the 200 folders present; they are not ImageNet's 1000 labels.",
    )
