"""The command line: what it understands, and how it answers mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.cli import main, parser, split_options, wanted_from
from sweep.progress import duration
from sweep.slurm import parse_minutes, parse_options

from .world import ledger, sweep


def test_pairs_begin_at_the_first_key() -> None:
    words = ["base2new", "--methods", "IVLP", "VPT", "--seeds", "1", "2", "OPTIM.LR", "0.1", "DEVICE", "cpu"]
    assert split_options(words) == (words[:7], words[7:])
    words = ["xd", "--datasets", "digits", "--", "TRAINER.X", "y"]
    assert split_options(words) == (words[:3], words[4:])
    assert split_options(["dg"]) == (["dg"], [])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("base2new OPTIM.LR", "the config key OPTIM.LR has no value"),
        ("base2new OPTIM.LR 1 --jobs 2", "'--jobs' stands where a config key was expected"),
        ("base2new SEED 4", "SEED 4: a sweep sets this key itself; use --seeds"),
        ("base2new --methods Maple", "unknown method 'Maple': did you mean MaPLe"),
        ("base2new --gpus 0 --jobs 2", "--jobs is for the CPU, and there are GPUs (0)"),
        ("base2new --gpus 97", "--gpus 97: this machine has no GPU 97"),
        ("base2new --gpus none 97", "--gpus none: this machine has no GPU none"),
        ("base2new --slurm --gpus 0", "--gpus is for runs on this machine: leave it or --slurm out"),
        ("base2new --slurm --per-gpu 2", "--per-gpu is for runs on this machine"),
        ("base2new --gres gpu:1", "--gres is for runs on a SLURM cluster: give --slurm as well"),
        ("base2new --no-wait", "--no-wait is for runs on a SLURM cluster"),
        ("base2new --slurm-option account=x", "--slurm-option is for runs on a SLURM cluster"),
        ("base2new --slurm --time soon", "--time soon: expected minutes, HH:MM:SS or D-HH:MM:SS"),
        ("base2new --slurm --slurm-option x", "--slurm-option x: expected KEY=VALUE"),
    ],
)
def test_mistakes_are_one_sentence(
    words: str, sentence: str, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert main(words.split(), root) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and sentence in said


@pytest.mark.parametrize("words", ["", "nonsense", "base2new --seeds -1", "base2new --shots 0", "base2new --jobs 0"])
def test_wrong_usage(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert stop.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_the_least_numbers_are_understood() -> None:
    words = "fewshot --shots 1 --jobs 1 --per-gpu 1 --seeds 0 --retries 0"
    args = parser().parse_args(words.split())
    assert (args.shots, args.jobs, args.per_gpu, args.seeds, args.retries) == ([1], 1, 1, [0], 0)


def test_paths_from_elsewhere_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = parser().parse_args(["base2new", "--output", "out/", "--datasets", "digits", "my.yaml"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA", "pictures")
    wanted = wanted_from(args, [])
    assert wanted.output == str(tmp_path / "out")
    assert wanted.call.data == str(tmp_path / "pictures")
    assert wanted.datasets == ["digits", str(tmp_path / "my.yaml")]
    inside = wanted_from(args, [], root=tmp_path)
    assert (inside.output, inside.call.data, inside.datasets[1]) == ("out", "pictures", "my.yaml")


def test_dry_run_runs_nothing(root: Path) -> None:
    code, output = sweep(
        root, "xd", "--config", "quickstart", "--source", "digits", "--datasets", "mnist5k", "--dry-run"
    )
    assert code == 0
    assert "xd_test MaPLe mnist5k, seed 3: missing, after xd_train" in output
    assert not ledger(root) and not (root / "output").exists()


def test_data_are_checked_first(root: Path) -> None:
    (root / "datasets").mkdir()
    (root / "datasets" / "__init__.py").write_text("")
    program = root / "datasets" / "__main__.py"
    program.write_text("import sys; print('asked', *sys.argv[1:]); sys.exit('missing')")
    arguments = ["base2new", "--methods", "VPT", "--datasets", "digits", "dtd", "--config", "quickstart"]
    code, output = sweep(root, *arguments, "--data", "pictures", "--check-data", "--force")
    assert code == 2 and not ledger(root)
    assert "asked check digits dtd --root pictures" in output
    assert "error: not all datasets are ready (see above): python -m datasets prepare NAME" in output
    program.write_text("")
    assert sweep(root, *arguments, "--check-data")[0] == 0


def test_a_reader_that_has_seen_enough(root: Path) -> None:
    from .world import start_sweep

    process = start_sweep(root, "fewshot", "--dry-run")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) in (0, 141)


def test_table_is_made(root: Path) -> None:
    package = root / "reporting"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import sys; print('reported', *sys.argv[1:]); sys.exit(0)")
    arguments = ["base2new", "--methods", "VPT", "--datasets", "digits", "--config", "quickstart", "--seeds", "1"]
    code, output = sweep(root, *arguments, "--table")
    assert code == 0
    assert "table: python -m reporting base2new output/base2new\nreported base2new output/base2new" in output
    code, output = sweep(root, *arguments, "--table", "FAKE.STEPS", "2")
    assert code == 1 and "reported" not in output, "the records answer another question"
    assert "no table: there are results of other settings or data in output/base2new/train_base/digits/" in output
    (package / "__main__.py").write_text("raise SystemExit(1)")
    assert sweep(root, *arguments, "--table")[0] == 1


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("1:30:00", 90), ("30:10", 31), ("2-00", 2880), ("1-01:30", 1530), ("0-00:00:30", 1)],
)
def test_time_limits_as_slurm_writes_them(text: str, minutes: int) -> None:
    assert parse_minutes(text) == minutes


def test_slurm_options() -> None:
    assert parse_options(["account=vision", "--cpus-per-task=4", "comment=a=b"]) == {
        "account": "vision",
        "cpus_per_task": "4",
        "comment": "a=b",
    }
    with pytest.raises(ValueError, match="at least one minute"):
        parse_minutes("0:00:00")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.2, "3 s"), (100, "2 min"), (4000, "67 min"), (7500, "2 h 05 min"), (200_000, "2.3 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
