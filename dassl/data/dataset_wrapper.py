"""A list of items as a torch dataset of dicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms as T

from dassl.utils.images import read_image
from dassl.utils.rng import SeededIndex, kept_cpu_state, seed_cpu

from .transforms.transforms import input_size, interpolation_mode, normalization


class DatasetWrapper(Dataset):
    """Reads and transforms items.

    Args:
        cfg: a config; INPUT and DATALOADER are read.
        data_source: items with impath, label, domain.
        transform: a callable on PIL images; a list of them, for ``img``, ``img2``, ...; or None, for PIL images.
        is_train: K_TRANSFORMS views are made, and decoded images are kept in memory up to `cache_bytes`.

    Raises:
        ValueError: several views are asked for, but there is no transform.
    """

    #: Memory for decoded images. `build_data_loader` shares DATALOADER.CACHE_MB out among its worker processes.
    cache_bytes: int = 0
    #: What to do about an image that cannot be read; ends the error message. `DataManager` takes it from the dataset.
    repair_hint: str = ""
    #: Images are turned as their EXIF orientation says. `DataManager` takes it from the dataset.
    upright: bool = False

    def __init__(
        self,
        cfg: Any,
        data_source: Sequence[Any],
        transform: Any = None,
        is_train: bool = False,
    ) -> None:
        self.cfg = cfg
        self.data_source = data_source
        self.transform = transform
        self.is_train = is_train
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm > 1 and transform is None:
            raise ValueError(f"DATALOADER.K_TRANSFORMS is {self.k_tfm}, but there is no transform to make views with")
        self._cache: dict[str, Image.Image] = {}
        self._cached = 0
        steps: list[Any] = [T.Resize(input_size(cfg), interpolation=interpolation_mode(cfg.INPUT)), T.ToTensor()]
        if "normalize" in cfg.INPUT.TRANSFORMS:
            steps.append(normalization(cfg.INPUT))
        self.to_tensor = T.Compose(steps)

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """One sample.

        Returns:
            ``label``, ``domain``, ``impath``, ``index``, and: ``img`` (a tensor (3, H, W), a list of K of them, or a
            PIL image), ``img2``, ... for further transforms, ``img0`` when RETURN_IMG0 is set.

        Raises:
            OSError: the image cannot be read; the message names it.
        """
        item = self.data_source[idx]
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": int(idx)}
        img0 = self._read(item.impath)
        if self.transform is None:
            output["img"] = img0
        elif isinstance(self.transform, (list, tuple)):
            for number, transform in enumerate(self.transform, 1):
                output["img" if number == 1 else f"img{number}"] = self._transform_image(transform, img0)
        else:
            output["img"] = self._transform_image(self.transform, img0)
        if self.return_img0:
            output["img0"] = self.to_tensor(img0)
        return output

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The samples of one batch (torch's data loader calls this).

        Each sample is made under the seed that its index carries, so that it is the same whatever was loaded before
        and by whichever process. The generators are put back afterwards.
        """
        if not any(isinstance(index, SeededIndex) for index in indices):
            return [self[index] for index in indices]
        samples = []
        with kept_cpu_state():
            for index in indices:
                if isinstance(index, SeededIndex):
                    seed_cpu(index.seed)
                samples.append(self[index])
        return samples

    def _transform_image(self, transform: Callable, img0: Image.Image) -> Any:
        views = [transform(img0) for _ in range(self.k_tfm)]
        return views if len(views) > 1 else views[0]

    def _read(self, path: str) -> Image.Image:
        cached = self._cache.get(path)
        if cached is not None:
            return cached.copy()  # a transform may work in place
        try:
            image = read_image(path, upright=self.upright)
        except OSError as error:
            if not self.repair_hint:
                raise
            raise type(error)(f"{error}; {self.repair_hint}") from None
        size = image.width * image.height * 3
        if self.is_train and self._cached + size <= self.cache_bytes:
            self._cache[path] = image.copy()
            self._cached += size
        return image

    def __getstate__(self) -> dict[str, Any]:
        # copies, be they in memory or in another process, fill a cache of their own
        return {**self.__dict__, "_cache": {}, "_cached": 0}


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """torch's own collation, which leaves PIL images in a list (INPUT.NO_TRANSFORM)."""
    pil = [key for key, value in samples[0].items() if isinstance(value, Image.Image)]
    if not pil:
        return torch.utils.data.default_collate(samples)
    rest = torch.utils.data.default_collate([{k: v for k, v in s.items() if k not in pil} for s in samples])
    return {**rest, **{key: [sample[key] for sample in samples] for key in pil}}
