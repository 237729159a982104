"""parse_test_res.py on logs as the public code writes them, and on run records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import parse_test_res
from reporting.logs import read_experiment, read_seed
from tests.reporting.trees import write_run


def result(accuracy: float, total: str = "1,549", correct: str = "1,254") -> str:
    return (
        f"=> result\n* total: {total}\n* correct: {correct}\n* accuracy: {accuracy:.1f}%\n"
        f"* error: {100 - accuracy:.1f}%\n* macro_f1: {accuracy - 1:.1f}%\n"
    )


def train_log(accuracy: float, marker: str = "Finish training") -> str:
    return (
        "Loading trainer: MaPLe\nepoch [5/5] batch [20/20] loss 0.5 (0.6)\n"
        f"{marker}\nDeploy the last-epoch model\nEvaluate on the *test* set\n{result(accuracy)}Elapsed: 0:02:32\n"
    )


def write_log(folder: Path, text: str, name: str = "log.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_mean_and_spread_over_three_seeds_with_either_end_marker(tmp_path: Path, capsys) -> None:
    for seed, accuracy, marker in (
        (1, 80.0, "Finish training"),
        (2, 82.0, "Finished training"),
        (10, 84.0, "Finish training"),
    ):
        write_log(tmp_path / f"seed{seed}", train_log(accuracy, marker))
    assert parse_test_res.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "* accuracy: 82.00% +- 1.63%" in out
    assert out.index("seed2: accuracy: 82.00% (log.txt)") < out.index("seed10: accuracy: 84.00% (log.txt)")


def test_ci95_is_196_deviations_over_root_n(tmp_path: Path, capsys) -> None:
    for seed, accuracy in ((1, 80.0), (2, 84.0)):
        write_log(tmp_path / f"seed{seed}", train_log(accuracy))
    assert parse_test_res.main([str(tmp_path), "--ci95"]) == 0
    assert f"* accuracy: 82.00% +- {1.96 * 2 / 2**0.5:.2f}%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keyword", "line"),
    [
        ("error", "* error: 19.00% +- 0.00%"),
        ("macro_f1", "* macro_f1: 80.00% +- 0.00%"),
        ("total", "* total: 1549.00 +- 0.00"),
        ("correct", "* correct: 1254.00 +- 0.00"),
    ],
)
def test_other_keywords_and_thousands_separators(tmp_path: Path, capsys, keyword: str, line: str) -> None:
    write_log(tmp_path / "seed1", train_log(81.0))
    assert parse_test_res.main([str(tmp_path), "--keyword", keyword]) == 0
    assert line in capsys.readouterr().out


def test_only_what_follows_the_last_end_of_training_counts(tmp_path: Path) -> None:
    log = "Evaluate on the *val* set\n" + result(99.0) + train_log(50.0) + train_log(81.0)
    assert read_seed(write_log(tmp_path / "seed1", log)).value == 81.0


def test_a_rotated_log_counts_once_the_newest(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "seed1", train_log(70.0))
    write_log(folder, train_log(75.0), "log.txt-2024-03-01-09-00-00")
    write_log(folder, train_log(81.0), "log.txt-2024-03-02-08-00-00")
    experiment = read_experiment(tmp_path)
    assert [(seed.value, seed.source) for seed in experiment.seeds] == [(81.0, "log.txt-2024-03-02-08-00-00")]


def test_a_crashed_seed_is_named_and_left_out_of_the_mean(tmp_path: Path, capsys) -> None:
    write_log(tmp_path / "seed1", train_log(80.0))
    write_log(tmp_path / "seed2", "Loading trainer: MaPLe\nRuntimeError: out of memory\n")
    write_log(tmp_path / "seed3", train_log(84.0).split("=> result")[0])
    (tmp_path / "seed4").mkdir()
    assert parse_test_res.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "seed2: NO RESULT: log.txt has no end of training" in out
    assert "seed3: NO RESULT: log.txt has no line '* accuracy: …' after the training's end" in out
    assert "seed4: NO RESULT: neither run.json nor log.txt" in out
    assert "* accuracy: 80.00% +- 0.00%" in out and "over 1 seed(s), 3 without a result" in out


@pytest.mark.parametrize("accuracy", ["250.0", "100.1", "1,000"])
def test_what_is_no_percentage_is_refused(tmp_path: Path, capsys, accuracy: str) -> None:
    write_log(tmp_path / "seed1", train_log(81.0).replace("accuracy: 81.0%", f"accuracy: {accuracy}%"))
    write_log(tmp_path / "seed2", train_log(100.0))
    record = json.loads(write_run(tmp_path / "seed3", "MaPLe", "Digits", 80.0).read_text())
    record["metrics"]["test"]["macro_f1"] = 250
    (tmp_path / "seed3" / "run.json").write_text(json.dumps(record))
    assert parse_test_res.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"seed1: NO RESULT: log.txt says accuracy {float(accuracy.replace(',', '')):g}%, which is no percent" in out
    assert "seed3: NO RESULT: " in out and "'metrics.test.macro_f1' is 250, not a percentage" in out
    assert "* accuracy: 100.00% +- 0.00%" in out


def test_a_log_that_cannot_be_read_is_one_seed_without_a_result(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path / "seed1", train_log(80.0))
    write_log(tmp_path / "seed2", train_log(80.0))
    read_text = Path.read_text

    def refusing(path: Path, **more: str) -> str:
        if path.parent.name == "seed2":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, **more)

    monkeypatch.setattr(Path, "read_text", refusing)
    assert parse_test_res.main([str(tmp_path)]) == 1
    assert "seed2: NO RESULT: [Errno 13] Permission denied" in capsys.readouterr().out


def test_folders_with_numbers_that_are_no_digits(tmp_path: Path) -> None:
    for name in ("²", "seed1"):
        write_log(tmp_path / name, train_log(80.0))
    assert len(read_experiment(tmp_path).seeds) == 2


def test_a_rerun_that_crashed_is_not_covered_by_the_older_log(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "seed1", train_log(80.0))
    write_log(folder, "Loading trainer: MaPLe\n", "log.txt-2024-03-01-09-00-00")
    seed = read_seed(folder)
    assert seed.value is None and "log.txt-2024-03-01-09-00-00 has no end of training" in seed.reason


def test_logs_of_runs_that_only_tested(tmp_path: Path, capsys) -> None:
    write_log(tmp_path / "seed1", "Evaluate on the *test* set\n" + result(81.0))
    assert parse_test_res.main([str(tmp_path)]) == 2
    assert "if it only tested, give --test-log" in capsys.readouterr().out
    assert parse_test_res.main([str(tmp_path), "--test-log"]) == 0
    assert "* accuracy: 81.00% +- 0.00%" in capsys.readouterr().out


def test_several_experiments(tmp_path: Path, capsys) -> None:
    for experiment, accuracies in (("a", (80.0, 82.0)), ("b", (90.0, 92.0))):
        for seed, accuracy in enumerate(accuracies, 1):
            write_log(tmp_path / experiment / f"seed{seed}", train_log(accuracy))
    assert parse_test_res.main([str(tmp_path), "--multi-exp"]) == 0
    out = capsys.readouterr().out
    assert "* accuracy: 81.00% +- 1.00%" in out and "* accuracy: 91.00% +- 1.00%" in out
    assert "Average over 2 of 2 experiments: * accuracy: 86.00%" in out


def test_record_and_log_agree_to_a_decimal_and_the_record_comes_first(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "seed1", train_log(81.2))
    from_log = read_seed(folder)
    write_run(folder, "MaPLe", "Digits", 81.2345)
    from_record = read_seed(folder)
    assert (from_log.source, from_record.source) == ("log.txt", "run.json")
    assert from_record.value == 81.2345 and round(from_record.value, 1) == from_log.value


def test_a_record_answers_all_keywords_of_a_log(tmp_path: Path) -> None:
    write_run(tmp_path, "MaPLe", "Digits", 80.0)
    values = {k: read_seed(tmp_path, k).value for k in ("accuracy", "error", "macro_f1", "total", "correct")}
    assert values == {"accuracy": 80.0, "error": 20.0, "macro_f1": 79.5, "total": 1000.0, "correct": 800.0}
    assert "has no 'speed' of split 'test', it has: accuracy" in read_seed(tmp_path, "speed").reason


def test_a_damaged_record_is_not_replaced_by_the_log(tmp_path: Path, capsys) -> None:
    folder = write_log(tmp_path / "seed1", train_log(81.0))
    (folder / "run.json").write_text("{")
    assert parse_test_res.main([str(tmp_path)]) == 2
    assert "seed1: NO RESULT" in (out := capsys.readouterr().out) and "damaged run record" in out


def test_runs_set_aside_are_no_seeds(tmp_path: Path) -> None:
    write_log(tmp_path / "seed1", train_log(81.0))
    write_log(tmp_path / "seed1.old-20240301-090000", train_log(10.0))
    assert read_experiment(tmp_path).mean == 81.0


def test_a_single_run_folder_may_be_given(tmp_path: Path) -> None:
    write_log(tmp_path / "seed1", train_log(81.0))
    assert read_experiment(tmp_path / "seed1").mean == 81.0


def test_wrong_folders_say_what_to_give(tmp_path: Path, capsys) -> None:
    write_log(tmp_path / "exp" / "seed1", train_log(81.0))
    for arguments, said in (
        ([str(tmp_path)], "one folder deeper, give --multi-exp"),
        ([str(tmp_path / "exp"), "--multi-exp"], "leave --multi-exp out"),
        ([str(tmp_path / "none")], "no such folder"),
        ([str(tmp_path / "none"), "--multi-exp"], "no such folder"),
    ):
        assert parse_test_res.main(arguments) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert parse_test_res.main([str(tmp_path / "empty")]) == 2
    assert parse_test_res.main([str(tmp_path / "empty"), "--multi-exp"]) == 2
