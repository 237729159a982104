"""Our training step of every method at its paper setting's batch and prompts: `python -m bench.methods`.

No baseline: MaPLe's is in `bench.step`, CoCoOp's in `bench.cocoop`.
"""

from __future__ import annotations

from typing import Any

from bench.job import Job
from bench.results import base_job, describe_machine, parser, run_program, show, write
from bench.runner import ROOT, measure

#: Settings under configs/trainers/, those of docs/methods.md that train by steps.
SETTINGS = (
    "CoOp/vit_b16_ep50_ctxv1",
    "CoCoOp/vit_b16_c4_ep10_batch1_ctxv1",
    "VPT/vit_b16_c2_ep5_batch4_4",
    "IVLP/vit_b16_c2_ep5_batch4_4ctx_language_only",
    "IVLP/vit_b16_c2_ep5_batch4_2+2ctx",
    "MaPLe/vit_b16_c2_ep5_batch4_2ctx",
)


def settings_of(setting: str, layers: int) -> Any:
    """The config of a setting, everything else at its default; prompt depths at most `layers`, the model's."""
    import datasets
    import trainers
    from dassl.config import get_cfg_default
    from dassl.engine import TRAINER_REGISTRY

    cfg = get_cfg_default()
    datasets.add_config(cfg)
    trainers.add_config(cfg)
    cfg.merge_from_file(str(ROOT / "configs" / "trainers" / f"{setting}.yaml"))
    node = cfg.TRAINER[TRAINER_REGISTRY.get(setting.split("/")[0]).node]
    for key in [key for key in node if key.startswith("PROMPT_DEPTH")]:
        node[key] = min(node[key], layers)
    return cfg


def run_method(job: Job) -> dict[str, Any]:
    """Training steps of the registered trainer that `job.method`, a setting, names."""
    import torch

    from bench import weights
    from bench.names import class_names
    from bench.worker import timed_steps, training_step
    from dassl.engine import TRAINER_REGISTRY
    from prompted_clip import Backbone
    from trainers.common.cached_features import CachedFeatures

    cfg = settings_of(job.method, job.size().text_layers)
    kind = TRAINER_REGISTRY.get(job.method.split("/")[0])
    trainer = kind.__new__(kind)  # without data, folders and logs: what a step needs is set here
    trainer.cfg, trainer.device = cfg, torch.device(job.device)
    trainer._features, trainer._models = CachedFeatures(), {}
    state = weights.openai_clip(job.size(), job.seed).state_dict()
    trainer.backbone = Backbone(state, precision=job.precision, device=job.device)
    trainer.learner = trainer.build_learner(cfg.TRAINER[kind.node], class_names(job.classes)).to(job.device)
    trainer.learner.classes = trainer.learner.classes.to(job.device)
    parameters = sum(p.numel() for p in trainer.learner.parameters())
    step = training_step(job, trainer.learner, trainer.model_inference)
    return timed_steps(job, step) | {"parameters": parameters}


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--classes", type=int, default=100)
    options.add_argument("--settings", nargs="+", default=SETTINGS, metavar="METHOD/CONFIG")
    chosen = options.parse_args()
    job = base_job(chosen, task="method", classes=chosen.classes)
    machine = describe_machine(job)
    rows, table = [], []
    for setting in chosen.settings:
        batch = settings_of(setting, job.size().text_layers).DATALOADER.TRAIN_X.BATCH_SIZE
        for precision in chosen.precision:
            result = measure(job.with_(method=setting, batch=batch, precision=precision))
            size = {"batch": batch, "classes": chosen.classes, "precision": precision}
            rows.append({"setting": setting} | size | result)
            table.append(
                {
                    "setting": setting,
                    "precision": precision,
                    "batch": str(batch),
                    "trains": f"{result['parameters']:,}",
                    "s/step": f"{result['seconds']:.3g}",
                    "ms/image": f"{1000 * result['seconds'] / batch:.0f}",
                    "GB": f"{result['peak_rss_bytes'] / 1e9:.2f}",
                }
            )
    show(f"Our training step, {chosen.classes} classes", machine, table)
    print(f"written: {write(chosen.output, machine, 'methods', rows)}")
    return 0


if __name__ == "__main__":
    run_program(main)
