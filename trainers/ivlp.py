"""Independent vision-language prompting and deep language prompting (MaPLe's ablations, arXiv 2210.03117, table 1)."""

from __future__ import annotations

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from prompted_clip import Backbone, Prompts
from trainers.base import PromptLearner, PromptTrainer, init_context
from trainers.vpt import VisionPrompts


def add_config(cfg: CfgNode) -> None:
    """IVLP's keys; vision depth 0 is deep language prompting."""
    cfg.TRAINER.IVLP = CfgNode()
    cfg.TRAINER.IVLP.N_CTX_VISION = 2  # b_v, vision prompt tokens
    cfg.TRAINER.IVLP.N_CTX_TEXT = 2  # b, context tokens
    cfg.TRAINER.IVLP.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random
    cfg.TRAINER.IVLP.PREC = "auto"  # auto (fp16 on CUDA, else fp32), fp32, fp16, bf16, amp
    cfg.TRAINER.IVLP.PROMPT_DEPTH_VISION = 9  # layers with vision prompts; 0 for none
    cfg.TRAINER.IVLP.PROMPT_DEPTH_TEXT = 9  # layers with text prompts, at least 1
