"""The seam for several processes: who writes, and who evaluates what."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from dassl.config import get_cfg_default
from dassl.engine import TrainerBase, distributed
from dassl.evaluation import Classification

FORK = multiprocessing.get_context("fork")


def test_alone() -> None:
    assert (distributed.get_rank(), distributed.get_world_size()) == (0, 1) and distributed.is_main_process()
    items = [1, 2]
    assert distributed.gather_list(items) is items
    distributed.barrier()


def _member(rank: int, folder: Path, answers: Any) -> None:
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    judge = Classification(get_cfg_default(), lab2cname={0: "a", 1: "b"})
    judge.process(torch.eye(2)[[rank, rank]], torch.tensor([0, 1]))
    result = judge.evaluate()
    trainer = TrainerBase()
    trainer.register_model("net", torch.nn.Linear(1, 1))
    trainer.save_model(0, str(folder / f"rank{rank}"))
    distributed.barrier()
    answers.put((rank, distributed.is_main_process(), result["accuracy"], judge.full_result["total"]))  # type: ignore[index]
    dist.destroy_process_group()


def test_two_processes(tmp_path: Path) -> None:
    answers = FORK.Queue()
    members = [FORK.Process(target=_member, args=(rank, tmp_path, answers)) for rank in range(2)]
    for member in members:
        member.start()
    told = sorted(answers.get(timeout=60) for _ in members)
    for member in members:
        member.join()
    assert told == [(0, True, 50.0, 4), (1, False, 50.0, 4)]  # both judge all images
    assert os.path.exists(tmp_path / "rank0" / "net" / "model.pth.tar-1") and not (tmp_path / "rank1").exists()


def test_of_several_gpus_one_is_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from dassl.engine import SimpleTrainer

    chosen = []
    for name, value in {"is_available": True, "device_count": 4, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    cfg = get_cfg_default()
    cfg.DEVICE = "cuda:2"
    assert SimpleTrainer._select_device(cfg) == torch.device("cuda:2") and chosen == [torch.device("cuda:2")]
    assert "Using cuda:2 of 4 GPUs: one process uses one" in capsys.readouterr().out
