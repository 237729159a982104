"""UCF101: 101 human actions, one frame a video."""

from __future__ import annotations

import random
import re
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import Benchmark, required_file
from .facts import Counts, Download, Facts
from .sources import bundle, split_download
from .splits import Item, Split, carve_val
from .text import read_text


@DATASET_REGISTRY.register()
class UCF101(Benchmark):
    """Soomro, Zamir and Shah: UCF101 (2012), the middle frame of every video."""

    template = "a photo of a person doing {}."
    facts = Facts(
        stem="ucf101",
        folder="ucf101",
        images="UCF-101-midframes",
        split_file="split_zhou_UCF101.json",
        counts=Counts(classes=101, train=7639, val=1898, test=3783),
        page="https://www.crcv.ucf.edu/data/UCF101.php",
        licence="not stated; see the page",
        downloads=(
            Download(
                file="UCF-101-midframes.zip",
                urls=("gdrive:10Jqome3vtUA2keJkNanAiFpgbyC9Hc2O",),
                moves=(("UCF-101-midframes", "UCF-101-midframes"),),
            ),
            split_download(
                "split_zhou_UCF101.json",
                "1I0S0q91hJfsV9Gf4xDIjgDq4AqBNJb1y",
                size=1_557_485,
                md5="3a70ae2e43036a21111f3692a43fc839",
                sha256="d78cb834f7c5792ceaff2c5ee2d7c76a9e4086e48a3a6b01232989d29cbefdd8",
            ),
        ),
        fallback=bundle("ucf101.zip", 0, "UCF-101-midframes"),
        raw=(
            Download(
                file="UCF101TrainTestSplits-RecognitionTask.zip",
                urls=("https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",),
                sha256="5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
                moves=(("ucfTrainTestlist", "ucfTrainTestlist"),),
            ),
        ),
        notes="Validation shares its video groups with training, so validation accuracy is optimistic. Frames cut anew "
        "from the videos are not the same images.",
    )

    @classmethod
    def make_split(cls, folder: Path, rng: random.Random) -> Split:
        """Official split 01; 20 percent of its training list as val. Labels follow classInd.txt, not the alphabet."""
        lists = folder / "ucfTrainTestlist"
        stem = cls.facts.stem
        labels = {}
        for line in read_text(required_file(stem, lists / "classInd.txt", raw=True)).split("\n"):
            if line.strip():
                number, action = line.split()
                labels[action] = int(number) - 1
        train, test = (
            _read_list(required_file(stem, lists / f"{part}list01.txt", raw=True), labels) for part in ("train", "test")
        )
        return Split(*carve_val(train, rng), test)


def spaced(action: str) -> str:
    """ "ApplyEyeMakeup" → "Apply_Eye_Makeup": name of the class and of its folder."""
    return "_".join(re.findall("[A-Z][^A-Z]*", action))


def _read_list(file: Path, labels: dict[str, int]) -> list[Item]:
    items = []
    for line in read_text(file).splitlines():
        if not line.strip():
            continue
        # train lists have a number behind the video, which repeats the class
        action, _, video = line.split(" ")[0].strip().partition("/")
        if action not in labels:
            raise ValueError(f"{file}: {line!r} is of class {action!r}, which classInd.txt does not have")
        # files keep the video's spelling, not always the folder's: v_HandStandPushups_... in Handstand_Pushups
        items.append(Item(f"{spaced(action)}/{video.replace('.avi', '.jpg')}", labels[action], spaced(action)))
    return items
