"""Registry, meters, files, images, logger, devices, models."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dassl import utils
from dassl.config import get_cfg_default
from dassl.utils import AverageMeter, MetricMeter, Registry
from dassl.utils.logger import Logger, log_line
from dassl.utils.rng import SeededIndex, kept_cpu_state, mix, seed_cpu, seeded_indices


def test_registry() -> None:
    registry = Registry("THING")

    @registry.register()
    class Maple: ...

    class Oak: ...

    registry.register(Oak)
    assert registry.get("Maple") is Maple and registry.registered_names() == ["Maple", "Oak"] and "Oak" in registry
    with pytest.raises(KeyError, match=r"'Maple' is already registered in THING .*\['Maple', 'Oak'\]"):
        registry.register(Maple)
    registry.register(Maple, force=True)
    with pytest.raises(KeyError, match=r"'maple' is not registered in THING; there are .*did you mean 'Maple'"):
        registry.get("maple")
    with pytest.raises(KeyError, match=r"there are \['Maple', 'Oak'\]\"$"):
        registry.get("zzzzzz")


def test_check_availability() -> None:
    utils.check_availability("cosine", ["cosine", "single_step"])
    with pytest.raises(ValueError, match=r"'cosin' is not available; expected one of .*did you mean 'cosine'"):
        utils.check_availability("cosin", ["cosine", "single_step"])


def test_meters() -> None:
    meter = AverageMeter()
    meter.update(2.0)
    meter.update(torch.tensor([5.0]), n=2)
    assert (meter.val, meter.avg, meter.sum, meter.count) == (5.0, 4.0, 12.0, 3)
    smooth = AverageMeter(ema=True)
    smooth.update(1.0)
    smooth.update(2.0)
    assert smooth.avg == pytest.approx(1.1)
    meters = MetricMeter(delimiter=" | ")
    meters.update({"loss": torch.tensor(1.0), "acc": 50})
    meters.update({"loss": 3.0, "acc": 100.0})
    meters.update(None)
    assert str(meters) == "loss 3.0000 (2.0000) | acc 100.0000 (75.0000)"
    assert meters.meters["loss"].avg == 2.0
    copy = MetricMeter(delimiter=" | ")
    copy.load_state_dict(meters.state_dict())
    copy.update({"loss": 5.0})
    assert copy.meters["loss"].avg == 3.0
    with pytest.raises(TypeError, match="dict of numbers"):
        meters.update([1.0])  # type: ignore[arg-type]


def test_folders_and_json(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "a" / "b"
    utils.mkdir_if_missing(str(folder))
    utils.mkdir_if_missing(str(folder))
    for name in ("z", ".hidden", "a"):
        (folder / name).write_text("")
    assert utils.listdir_nohidden(str(folder), sort=True) == ["a", "z"]
    assert set(utils.listdir_nohidden(str(folder))) == {"a", "z"}
    assert utils.check_isfile(str(folder / "a")) and not utils.check_isfile(str(folder / "q"))
    assert str(folder / "q") in capsys.readouterr().out
    utils.write_json({"x": [1, 2]}, str(tmp_path / "new" / "x.json"))
    assert utils.read_json(str(tmp_path / "new" / "x.json")) == {"x": [1, 2]}
    (tmp_path / "bad.json").write_text('{"a": 1,\n oops}')
    with pytest.raises(ValueError, match=r"bad\.json is not valid JSON .*line 2, column 2"):
        utils.read_json(str(tmp_path / "bad.json"))
    assert utils.tolist_if_not("a") == ["a"] and utils.tolist_if_not(["a"]) == ["a"]


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    utils.write_json([1], str(tmp_path / "x.json"))
    with pytest.raises(RuntimeError, match="midway"), utils.atomic_path(tmp_path / "x.json") as temporary:
        temporary.write_text("half")
        raise RuntimeError("midway")
    assert utils.read_json(str(tmp_path / "x.json")) == [1]
    with pytest.raises(TypeError):
        utils.write_json({1, 2}, str(tmp_path / "x.json"))
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*file/x\.json: .*; nothing was written"):
        utils.write_json([1], str(tmp_path / "file" / "x.json"))


def test_stale_temporaries(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / ".saving-abc").write_text("half")
    (tmp_path / "net" / "keep").write_text("whole")
    utils.remove_stale_temporaries(tmp_path)
    assert [p.name for p in (tmp_path / "net").iterdir()] == ["keep"]


def test_logger_mirrors_and_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    utils.setup_logger(None)
    utils.setup_logger(str(tmp_path))
    print("first")
    log_line("file only", console=False)
    utils.setup_logger(str(tmp_path))  # a second logger replaces the first
    print("second")
    utils.setup_logger(str(tmp_path))
    print("third")
    stdout = sys.stdout
    assert isinstance(stdout, Logger) and not stdout.isatty() and not isinstance(stdout.console, Logger)
    assert stdout.encoding is not None
    with stdout:
        pass
    assert not isinstance(sys.stdout, Logger)
    assert (tmp_path / "log.txt").read_text() == "first\nfile only\n"
    others = sorted(p.read_text() for p in tmp_path.glob("log.txt-*"))
    assert others == ["second\n", "third\n"]
    utils.setup_logger(str(tmp_path / "named.log"))
    sys.stdout.close()
    assert (tmp_path / "named.log").exists()


def test_environment_report() -> None:
    report = utils.collect_env_info()
    assert torch.__version__ in report and "CPU" in report and "CUDA" in report


def test_random_state_round_trip(tmp_path: Path) -> None:
    utils.set_random_seed(0)
    random.random(), np.random.randn(), torch.rand(1)
    state = utils.get_random_state()
    torch.save(state, tmp_path / "s.pt")
    first = (random.random(), np.random.randn(), np.random.randn(), torch.rand(2).tolist())
    utils.set_random_state(torch.load(tmp_path / "s.pt", weights_only=True))
    assert (random.random(), np.random.randn(), np.random.randn(), torch.rand(2).tolist()) == first


def test_seed_zero_is_a_seed() -> None:
    utils.set_random_seed(0)
    first = torch.rand(1)
    utils.set_random_seed(0)
    assert torch.equal(first, torch.rand(1))


def test_kept_cpu_state() -> None:
    utils.set_random_seed(3)
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    utils.set_random_seed(3)
    with kept_cpu_state():
        seed_cpu(99)
        random.random(), np.random.rand(), torch.rand(1)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_seeded_indices() -> None:
    torch.manual_seed(1)
    whole = list(seeded_indices([5, 6, 7]))
    torch.manual_seed(1)
    rest = list(seeded_indices([5, 6, 7], skip=1))
    assert whole == [5, 6, 7] and rest == [6, 7] and isinstance(rest[0], SeededIndex)
    assert [i.seed for i in whole[1:]] == [i.seed for i in rest]
    assert len({mix(0, n) for n in range(1000)} | {mix(1, n) for n in range(1000)}) == 2000
    assert all(0 <= mix(2**62, n) < 2**63 for n in range(100))


@pytest.mark.parametrize(
    ("options", "kind"),
    [(("USE_CUDA", False), "cpu"), (("DEVICE", "cpu"), "cpu"), (("USE_CUDA", False, "DEVICE", "cuda:1"), "cpu")],
)
def test_cpu_is_chosen(options: tuple, kind: str) -> None:
    cfg = get_cfg_default()
    cfg.merge_from_list(list(options))
    assert utils.select_device(cfg).type == kind


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "cpu:1", "cuda0"])
def test_unknown_device(wanted: str) -> None:
    cfg = get_cfg_default()
    cfg.DEVICE = wanted
    with pytest.raises(ValueError, match=f"DEVICE is '{wanted}'; expected auto, cpu, cuda, cuda:N or mps"):
        utils.select_device(cfg)


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    cfg = get_cfg_default()
    assert utils.select_device(cfg).type == "cpu"
    for wanted in ("cuda", "mps"):
        cfg.DEVICE = wanted
        with pytest.raises(RuntimeError, match=f"DEVICE is {wanted}, but this PyTorch finds no"):
            utils.select_device(cfg)


def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    cfg = get_cfg_default()
    for wanted, device in (("auto", "cuda:0"), ("cuda", "cuda:0"), ("CUDA:1", "cuda:1"), ("mps", "mps")):
        cfg.DEVICE = wanted
        assert utils.select_device(cfg) == torch.device(device)
    cfg.DEVICE = "cuda:2"
    with pytest.raises(RuntimeError, match="there are 2 CUDA devices, cuda:0 to cuda:1"):
        utils.select_device(cfg)


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.head = nn.Linear(2, 3)


def test_layers_are_opened() -> None:
    model = Parts()
    utils.open_specified_layers(model, "head")
    assert [p.requires_grad for p in model.parameters()] == [False] * 4 + [True] * 2
    assert not model.body.training and model.head.training
    utils.open_all_layers(model)
    assert all(p.requires_grad for p in model.parameters()) and model.body.training
    with pytest.raises(ValueError, match=r"no layer 'haed'.*did you mean 'head'"):
        utils.open_specified_layers(model, ["haed"])


def test_parameters_are_counted() -> None:
    model = Parts()
    assert utils.count_num_param(model) == 18 + 2 + 4 + 9
    assert utils.count_num_param(params=model.head.parameters()) == 9
    assert utils.count_num_param(params=[{"params": list(model.head.parameters())}]) == 9
    assert utils.count_num_param(params=torch.zeros(2, 3)) == 6
    with pytest.raises(ValueError, match="needs a model"):
        utils.count_num_param()


@pytest.mark.parametrize("kind", ["normal", "xavier", "kaiming", "orthogonal"])
def test_initialisation(kind: str) -> None:
    model = Parts()
    before = model.head.weight.clone()
    utils.init_network_weights(model, kind, gain=0.5)
    assert not torch.equal(before, model.head.weight)
    assert torch.equal(model.head.bias, torch.zeros(3)) and torch.equal(model.body[1].weight, torch.ones(2))


def test_unknown_initialisation() -> None:
    with pytest.raises(ValueError, match="expected normal, xavier, kaiming or orthogonal"):
        utils.init_network_weights(Parts(), "magic")


def test_signals_are_not_watched_outside_of_the_main_thread() -> None:
    from dassl.utils import interrupt

    seen = []

    def work() -> None:
        with interrupt.watched():
            seen.append(interrupt.pending_signal())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
