"""CLIP encoders that accept prompts. Knows nothing of configs, trainers or datasets."""

from prompted_clip.adapters import Adapters, BlockAdapter
from prompted_clip.backbone import Backbone, BackboneSpec, load_backbone
from prompted_clip.classnames import ClassPrompts, class_prompts, encode_words, text_prompts
from prompted_clip.prompts import LateTokens, Prompts, TowerOutput

__all__ = [
    "Adapters",
    "Backbone",
    "BackboneSpec",
    "BlockAdapter",
    "ClassPrompts",
    "LateTokens",
    "Prompts",
    "TowerOutput",
    "class_prompts",
    "encode_words",
    "load_backbone",
    "text_prompts",
]
