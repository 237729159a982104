"""What one measurement is: a `Job`, run in its own process by `bench.worker`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Dims:
    """Dimensions of a CLIP with a ViT; heads are width / 64."""

    embed_dim: int
    resolution: int
    patch_size: int
    vision_width: int
    vision_layers: int
    text_width: int
    text_layers: int
    context_length: int
    vocabulary: int = 49408

    @property
    def patches(self) -> int:
        return (self.resolution // self.patch_size) ** 2


#: Sizes that can be measured. ViT-B/16 is the paper's backbone; tiny is there to try the programs out.
DIMS: dict[str, Dims] = {
    "vit_b16": Dims(512, 224, 16, 768, 12, 512, 12, 77),
    "tiny": Dims(64, 32, 8, 128, 4, 64, 4, 77),
}


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        side: "usual" (the baseline), "ours", "gemm" (matrix products alone) or "describe" (the machine).
        task: "step" (training steps), "evaluate" (logits of `images` images), "profile" (steps, by operation)
            or "method" (steps of any trainer).
        method: "maple" or "cocoop"; for "method" a setting under configs/trainers/.
        dims: a key of `DIMS`.
        precision: fp32, bf16, fp16, and for our side amp.
        device: "cpu" or "cuda".
        threads: CPU threads.
        classes, batch, n_ctx, depth: the size of the work; CoCoOp has no depth.
        warmup, steps: steps before the clock starts, and steps measured.
        images: images to evaluate.
        chunk, recompute, compiled: our side's memory and compile switches.
        seed: of weights, parameters and images.
        products: for "gemm": (rows, in, out, count, with backward) of each matrix product.
        save: file for logits and gradients (npz), or "".
    """

    side: str
    task: str = "step"
    method: str = "maple"
    dims: str = "vit_b16"
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    classes: int = 50
    batch: int = 4
    n_ctx: int = 2
    depth: int = 9
    warmup: int = 1
    steps: int = 3
    images: int = 0
    chunk: int = 0
    recompute: bool = False
    compiled: bool = False
    seed: int = 0
    products: tuple[tuple[int, int, int, int, bool], ...] = ()
    save: str = ""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @staticmethod
    def read(path: Path) -> Job:
        values: dict[str, Any] = json.loads(path.read_text())
        values["products"] = tuple(tuple(product) for product in values["products"])
        return Job(**values)

    def with_(self, **changes: Any) -> Job:
        return replace(self, **changes)

    def size(self) -> Dims:
        return DIMS[self.dims]
