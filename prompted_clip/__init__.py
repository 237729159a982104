"""CLIP encoders that accept prompts. Knows nothing of configs, trainers or datasets."""

from prompted_clip.backbone import Backbone, BackboneSpec, load_backbone
from prompted_clip.classnames import ClassPrompts, class_prompts, encode_words, text_prompts
from prompted_clip.prompts import Prompts

__all__ = [
    "Backbone",
    "BackboneSpec",
    "ClassPrompts",
    "Prompts",
    "class_prompts",
    "encode_words",
    "load_backbone",
    "text_prompts",
]
