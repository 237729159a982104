"""Every import that plugins use, from exactly the path they use."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

IN_USE = {
    "dassl.data.datasets": "DATASET_REGISTRY Datum DatasetBase build_dataset",
    "dassl.utils": (
        "mkdir_if_missing listdir_nohidden check_isfile read_json write_json read_image load_checkpoint "
        "save_checkpoint resume_from_checkpoint load_pretrained_weights count_num_param open_specified_layers "
        "open_all_layers init_network_weights setup_logger set_random_seed collect_env_info Registry "
        "check_availability AverageMeter "
        "MetricMeter tolist_if_not"
    ),
    "dassl.utils.tools": "mkdir_if_missing listdir_nohidden check_isfile read_json write_json tolist_if_not",
    "dassl.optim": "build_optimizer build_lr_scheduler",
    "dassl.optim.radam": "RAdam",
    "dassl.optim.lr_scheduler": "ConstantWarmupScheduler LinearWarmupScheduler",
    "dassl.metrics": "compute_accuracy",
    "dassl.engine": "TRAINER_REGISTRY build_trainer TrainerX TrainerBase SimpleTrainer",
    "dassl.engine.trainer": "TrainerX TrainerBase SimpleTrainer SummaryWriter MetricMeter AverageMeter",
    "dassl.config": "get_cfg_default clean_cfg",
    "dassl.data": "DataManager DatasetWrapper",
    "dassl.data.data_manager": "DataManager DatasetWrapper build_data_loader build_transform",
    "dassl.data.transforms": "build_transform INTERPOLATION_MODES",
    "dassl.data.transforms.transforms": "build_transform INTERPOLATION_MODES",
    "dassl.data.samplers": "build_sampler RandomDomainSampler SeqDomainSampler RandomClassSampler",
    "dassl.evaluation": "EVALUATOR_REGISTRY build_evaluator Classification",
}


@pytest.mark.parametrize("module", IN_USE)
def test_names_are_there(module: str) -> None:
    imported = importlib.import_module(module)
    missing = [name for name in IN_USE[module].split() if not hasattr(imported, name)]
    assert not missing


def test_unknown_name_of_the_trainer_module_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="SummaryReader"):
        _ = importlib.import_module("dassl.engine.trainer").SummaryReader


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(m for m in sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_config_comes_without_torch() -> None:
    assert "torch" not in loaded_by("import dassl.config")


def test_engine_comes_without_tensorboard_and_without_a_warning() -> None:
    assert "tensorboard" not in loaded_by("import dassl.engine, dassl.data, dassl.optim, dassl.evaluation")
