"""The question that a record answers: settings, class names, data and weights as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .data import changed_data
from .settings import DATA_PATH, NOT_THE_RESULT, WEIGHT_FILES, changed_settings, flat
from .weights import changed_weights, trained_since

_SHOWN = 6


@dataclass
class Question:
    """What is asked for now.

    Attributes:
        config: the settings, as nested dicts.
        defaults: the settings before any was given.
        data: of the lists as they are now, from `dassl.records.data.data_of`.
        nodes: nodes of TRAINER that the method reads; None where that is not known.
        files: setting → SHA-256 of the file that it names, where it names one.
        eval_only: a model is tested, none is trained.
        model_dir: the model's folder, or "".
        load_epoch: the epoch of the model to test, or None.
    """

    config: Mapping[str, Any]
    defaults: Mapping[str, Any]
    data: Mapping[str, Any]
    nodes: Collection[str] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    eval_only: bool = False
    model_dir: str = ""
    load_epoch: int | None = None

    def differences(self, record: Mapping[str, Any]) -> Iterator[str]:
        """Yield in what a complete record answers another question; nothing where it answers this one.

        Records of older versions say less, and are compared in what they say.

        Args:
            record: from `dassl.records.folder.read_complete_record`.
        """
        files = record.get("files") or {}
        told = [key for key in WEIGHT_FILES if key in files and key in self.files]
        told += [DATA_PATH] if record["data"].get("digests") else []
        free = (*NOT_THE_RESULT, *told)
        for key, old, new in changed_settings(record["config"], self.config, free, self.defaults, self.nodes):
            yield f"{key}: {_value(old)} → {_value(new)}"
        for key in told:
            if key in files and files[key] != self.files[key]:
                old, new = (dict(flat(config)).get(key) for config in (record["config"], self.config))
                yield f"{key}: {old} → {new}" if old != new else f"{key}: the file {new} has changed"
        yield from changed_data(record["data"], self.data, drawn_anew=self.config["SEED"] < 0)
        yield from self._other_model(record)

    def _other_model(self, record: Mapping[str, Any]) -> Iterator[str]:
        protocol, weights = record["protocol"], record.get("weights")
        if bool(protocol.get("eval_only")) != self.eval_only:
            yield f"eval_only: {bool(protocol.get('eval_only'))} → {self.eval_only}"
        elif weights and self.model_dir:
            yield from changed_weights(weights, self.model_dir, self.load_epoch)
        elif self.eval_only:
            if (protocol.get("model_dir") or "") != self.model_dir:
                yield f"model_dir: {protocol.get('model_dir') or 'none'} → {self.model_dir or 'none'}"
            elif self.model_dir and trained_since(record, self.model_dir):
                yield f"the model in {self.model_dir} was trained again since"
            if self.load_epoch is not None and protocol.get("epoch_loaded") not in (None, self.load_epoch):
                yield f"epoch: {protocol.get('epoch_loaded')} → {self.load_epoch}"


def _value(value: Any) -> str:
    return "nothing" if value is None or value == "" else str(value)


def refusal(folder: str, differences: list[str]) -> str:
    """The sentence for a record that answers another question."""
    told = "; ".join(differences[:_SHOWN])
    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return (
        f"{folder} holds a complete run that answers another question ({told}{more}): choose another --output-dir"
        " (OUTPUT for the scripts), or --force (FORCE=1 for the scripts) to keep it aside and run again."
    )
