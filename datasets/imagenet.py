"""ImageNet: 1000 classes; the validation images serve as test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from dassl.records import Source

from .base import Benchmark
from .classes import select_classes
from .devkit import DEVKIT, sort_validation
from .facts import Counts, Download, Facts, Finding
from .fewshot import cached_fewshot, paths_digest
from .listing import cached_class_folders, image_files, subfolders, tree_fingerprint
from .sources import classnames_download
from .splits import Item, Split
from .wordnet import SHARED_NAMES, classnames_mistakes, items_by_wnid, read_classnames, tree_sources

_LOGIN = (
    "ImageNet asks for an account: sign in at https://image-net.org/download-images, choose ILSVRC2012, and download "
    "{what}; put it, unopened, into the dataset's folder (or name its folder with --archives) and run this again"
)


@DATASET_REGISTRY.register()
class ImageNet(Benchmark):
    """Deng, Dong, Socher, Li, Li and Fei-Fei: ImageNet (CVPR 2009), the ILSVRC 2012 images."""

    shared_names = SHARED_NAMES
    facts = Facts(
        stem="imagenet",
        folder="imagenet",
        images="images",
        image_folders=("images/train", "images/val"),
        counts=Counts(classes=1000, train=1_281_167, val=50_000, test=50_000),
        page="https://image-net.org/download.php",
        licence="non-commercial research; account needed",
        downloads=(
            Download(
                file="ILSVRC2012_devkit_t12.tar.gz",
                size=2_570_000,
                md5="fa75699e90414af021442c21a62c3abf",
                sha256="b59243268c0d266621fd587d2018f69e906fb22875aca0e295b48cafaa927953",
                moves=(("ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12"),),
                login=_LOGIN.format(what='"Development kit (Task 1 & 2)", ILSVRC2012_devkit_t12.tar.gz'),
            ),
            Download(
                file="ILSVRC2012_img_val.tar",
                size=6_745_000_000,
                md5="29b22e2961454d5413ddabcf34fc5622",
                sha256="c7e06a6c0baccf06d8dbeb6577d71efff84673a5dbdd50633ab44f8ea0456ae0",
                moves=((".", "images/val"),),
                login=_LOGIN.format(what='"Validation images (all tasks)", ILSVRC2012_img_val.tar'),
            ),
            Download(
                file="ILSVRC2012_img_train.tar",
                size=147_900_000_000,
                md5="1d675b47d978889d74fa0da5fadfb00e",
                sha256="b08200a27a8e34218a0e58fde36b0fe8f73bc377f4acea2d91602057c3ca45bb",
                moves=((".", "images/train"),),
                nested="*.tar",
                login=_LOGIN.format(what='"Training images (Task 1 & 2)", ILSVRC2012_img_train.tar'),
            ),
            classnames_download(),
        ),
        notes="Validation images are the test images, and the same list serves as validation. Few-shot samples follow "
        "the sorted file names, so they are the same on every machine; samples of code that takes the file system's "
        "order cannot be matched.",
    )

    @classmethod
    def needs(cls, download: Download, folder: Path) -> bool:
        """The development kit is there to sort the validation images: not needed once they are."""
        val = folder / "images" / "val"
        sorted_already = val.is_dir() and not image_files(val) and bool(subfolders(val))
        return super().needs(download, folder) and not (DEVKIT in download.file and sorted_already)

    @classmethod
    def arrange(cls, folder: Path) -> None:
        """Sort the validation images into class folders."""
        val = folder / "images" / "val"
        moved = sort_validation(val, folder / DEVKIT) if val.is_dir() else 0
        if moved:
            print(f"{cls.facts.stem}: {moved} validation images sorted into class folders")

    @classmethod
    def mistakes(cls, folder: Path) -> list[Finding]:
        """Flat validation images; another list of class names."""
        found = classnames_mistakes(cls.facts.stem, folder, ordered=False)
        val = folder / "images" / "val"
        flat = len(image_files(val)) if val.is_dir() else 0
        if flat:
            fix = f"python -m datasets prepare {cls.facts.stem} sorts them (it needs {DEVKIT}.tar.gz)"
            found.append(Finding(f"{flat} images lie flat in {val}, not in one folder per class", fix))
        return found

    def list_sources(self) -> list[Source]:
        """Both trees of class folders, by their folders' times, and the names."""
        return tree_sources(self.facts.folder, *self.facts.image_folders)

    @classmethod
    def read_lists(cls, folder: Path) -> Split:
        """Label = rank of the <wnid> folder; val and test are one list."""
        test = cls._part(folder, "val")
        return Split(cls._part(folder, "train"), test, test)

    @classmethod
    def _part(cls, folder: Path, part: str) -> list[Item]:
        where = folder / "images" / part
        files = cached_class_folders(where)
        if not files:
            raise ValueError(
                f"{where} has no class folders: images must lie in one folder per class; "
                f"run: python -m datasets check {cls.facts.stem}"
            )
        return items_by_wnid(files, read_classnames(cls.facts.stem, folder), f"{part}/", where)

    def _check_same_classes(self, folder: Path) -> None:
        """Labels are ranks among folders, so train and val must have the same ones."""
        train, val = (set(subfolders(folder / "images" / part)) for part in ("train", "val"))
        if train and val and train != val:
            odd = min(train ^ val)
            raise ValueError(
                f"{folder / 'images'}: train/ has {len(train)} class folders and val/ {len(val)}; {odd!r} is only in "
                f"{'train' if odd in train else 'val'}/; run: python -m datasets check {self.facts.stem}"
            )

    def chosen_lists(
        self, folder: Path, shots: int, seed: int, subsample: str
    ) -> tuple[Sequence[Item], Sequence[Item] | None, Sequence[Item]]:
        """Few-shot samples train only; with a stored sample the 1.3 million training names are not read at all."""
        self._check_same_classes(folder)
        test = self._part(folder, "val")
        if shots < 1:
            train = self._part(folder, "train")
        else:
            mark = tree_fingerprint(folder / "images" / "train")
            train, _ = cached_fewshot(
                self.generate_fewshot_dataset,
                f"{type(self).__name__}-{mark}",
                lambda: (self._part(folder, "train"), ()),
                shots=shots,
                seed=seed,
            )
            self.fewshot_digest = paths_digest(train)
        train, test = select_classes(subsample, train, test)
        return train, test, test
