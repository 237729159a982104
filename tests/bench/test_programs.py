"""Names, files, tables and refusals of the benchmark programs, and one program from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import methods, results, runner, scale, startup, step
from bench.job import Job
from bench.names import class_names
from bench.pairs import cells
from bench.runner import Difference, Line
from tests import stubs

MACHINE = {"cpu": "Some CPU (R) 3000", "cores": 2, "threads": 2, "gpu": None, "torch": "2", "gpu_memory_bytes": None}


def row(classes: int, *, line: bool = False, refused: str | None = None, precision: str = "fp32") -> dict:
    seconds = 1.0 + classes / 100
    usual = {"seconds": 10 * seconds, "peak_bytes": 40e6 * classes}
    if not line:
        usual |= {"flops": 8e12, "images_per_second": 1.0}
    return {
        "classes": classes,
        "batch": 4,
        "dims": "vit_b16",
        "precision": precision,
        "ours": {
            "seconds": seconds,
            "peak_bytes": 5e6 * classes,
            "flops": 1e12,
            "share_of_gemm": 0.9,
            "share_of_our_call": 0.8,
        },
        "usual": usual,
        "difference": None if line else {"logits": 1e-6, "logits_relative": 1e-7, "gradient": 2e-6},
        "refused": refused,
        "line": [50, 100] if line else None,
        "speedup": None if refused else 10.0,
        "memory_ratio": None if refused else 8.0,
    }


def test_names_are_of_imagenets_lengths() -> None:
    names = class_names(1000)
    assert len(set(names)) == 1000 and class_names(50) == names[:50]
    lengths = [len(stubs.tokenizer().encode(f"{name}.")) + 1 for name in names]
    assert min(lengths) == 3 and max(lengths) <= 13
    assert np.mean(lengths) == pytest.approx(4.2, abs=0.1)
    with pytest.raises(ValueError, match="1 to 1400"):
        class_names(1401)


@pytest.mark.parametrize(
    ("apart", "precision", "refused"),
    [
        (Difference(9e-5, 1, 9e-5), "fp32", False),
        (Difference(2e-4, 0, 0), "fp32", True),
        (Difference(0, 0, 2e-4), "fp32", True),
        (Difference(float("nan"), 0, 0), "fp32", True),
        (Difference(0, 0, float("nan")), "fp32", True),
        (Difference(1, 1e-2, 1), "bf16", False),
        (Difference(0, 3e-2, 0), "fp16", True),
        (Difference(0, float("nan"), 0), "amp", True),
    ],
)
def test_refusals(apart: Difference, precision: str, refused: bool) -> None:
    assert (apart.refusal(precision) is not None) is refused


def test_difference_of_files(tmp_path: Path) -> None:
    one = {"logits": np.array([[3.0, 4.0]]), "gradient:a": np.array([2.0]), "gradient:b": np.array([4.0])}
    np.savez(tmp_path / "one.npz", **one)
    np.savez(tmp_path / "two.npz", **one | {"logits": np.array([[3.0, 4.5]]), "gradient:b": np.array([5.0])})
    np.savez(tmp_path / "nan.npz", **one | {"gradient:b": np.array([np.nan])})
    np.savez(tmp_path / "less.npz", logits=one["logits"])
    assert runner.difference(tmp_path / "one.npz", tmp_path / "two.npz") == Difference(0.5, 0.1, 0.25)
    assert np.isnan(runner.difference(tmp_path / "one.npz", tmp_path / "nan.npz").gradient)
    with pytest.raises(RuntimeError, match="different tensors"):
        runner.difference(tmp_path / "one.npz", tmp_path / "less.npz")


def test_line_goes_through_its_points() -> None:
    line = Line.fit({50: 12.0, 100: 23.0, 200: 45.0})
    assert line.at(500) == pytest.approx(111.0) and line.through == (50, 100, 200)
    with pytest.raises(ValueError, match="two measured sizes"):
        Line.fit({50: 12.0})


def test_usual_side_is_not_run_where_it_does_not_fit() -> None:
    job = Job("usual", classes=500)
    assert not runner.usual_fits(job, 24 * 10**9) and runner.usual_fits(job, 80 * 10**9)
    assert runner.usual_fits(job.with_(classes=200), 24 * 10**9)


class FakePairs:
    """Answers with numbers on a line instead of running anything."""

    def __init__(self) -> None:
        self.usual_sizes: list[int] = []

    def usual(self, job: Job) -> tuple[dict, Path]:
        self.usual_sizes.append(job.classes)
        return {"seconds": 0.2 * job.classes + 2, "peak_cuda_bytes": None, "peak_rss_bytes": 40e6 * job.classes}, Path()

    def pair(self, job: Job, usual_precision: str, *, share: bool) -> dict:
        return row(job.classes)

    def against_line(self, job: Job, seconds: Line, memory: Line, *, share: bool) -> dict:
        return {"seconds": seconds.at(job.classes), "bytes": memory.at(job.classes), "line": seconds.through}


def test_a_line_stands_for_what_does_not_fit() -> None:
    pairs = FakePairs()
    rows = step.measure_rows(pairs, [Job("ours", classes=n) for n in (50, 500)], 24 * 10**9)
    assert rows[0]["line"] is None and pairs.usual_sizes == [50, 100, 200]
    assert rows[1]["seconds"] == pytest.approx(102) and rows[1]["bytes"] == pytest.approx(20e9)


def test_cells_mark_lines_and_refusals() -> None:
    measured, lined, refused = (cells(r) for r in (row(50), row(500, line=True), row(50, refused="they disagree")))
    assert measured["ratio"] == "10.0" and measured["logits differ"] == "1e-06"
    assert cells(row(50, precision="bf16"))["logits differ"] == "1e-07 rel."
    assert lined["ratio"] == "~10.0" and lined["usual s/step"] == "~60" and lined["usual TFLOP"] == "–"
    assert refused["ratio"] == refused["memory ratio"] == "refused"


def test_summary_and_report(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(100), row(200), row(500, line=True), row(100, precision="bf16") | {"refused": "they disagree"}]
    rows[3]["ours"]["seconds"] = 1.0
    figures = step.summary(rows)
    assert figures["ours_bytes_per_class"] == pytest.approx(5e6)
    assert figures["usual_bytes_per_class"] == pytest.approx(40e6)
    assert figures["ours_500_over_100_classes"] == pytest.approx(3.0)
    step.report(rows, figures, "cpu")
    printed = capsys.readouterr().out
    assert "target 5.5 times at 100 classes: 10.0, reached" in printed
    assert "target 14 times at 500 classes: 10.0, missed" in printed
    assert "bf16 over our fp32, 100 classes: 2.00" in printed
    assert step.refusals(rows) == 1 and "they disagree" in capsys.readouterr().err
    assert step.refusals(rows[:3]) == 0


def test_results_are_added_to_the_days_file(tmp_path: Path) -> None:
    path = results.write(tmp_path, MACHINE, "step", [row(50)])
    assert results.write(tmp_path, MACHINE, "cocoop", [row(100)], target=8.0) == path
    assert path.name.startswith("some-cpu-3000-2-cores-20")
    runs = json.loads(path.read_text())["runs"]
    assert [run["benchmark"] for run in runs] == ["step", "cocoop"] and runs[1]["target"] == 8.0
    assert list(tmp_path.iterdir()) == [path]
    path.write_text('{"rows": []}')
    with pytest.raises(ValueError, match="not a file of benchmark results"):
        results.write(tmp_path, MACHINE, "step", [row(50)])
    assert path.read_text() == '{"rows": []}'


def test_plot_is_written(tmp_path: Path) -> None:
    scale.plot([row(10), row(100), row(500, line=True)], MACHINE, tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").read_bytes()[:4] == b"\x89PNG"


def test_a_failed_measurement_is_one_sentence() -> None:
    with pytest.raises(RuntimeError, match="matrix products failed: ZeroDivisionError"):
        runner.measure(Job("gemm", products=()))


def test_programs_end_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise ValueError("no such size")

    for main, code in ((fails, 2), (lambda: 1, 1)):
        with pytest.raises(SystemExit) as stopped:
            results.run_program(main)
        assert stopped.value.code == code
    assert capsys.readouterr().err == "bench: no such size\n"


def test_step_from_end_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.step", "--dims", "tiny", "--threads", "1", "--classes", "5"]
    command += ["--steps", "1", "--warmup", "0", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=runner.ROOT, capture_output=True, text=True, check=True)
    (path,) = tmp_path.iterdir()
    run = json.loads(path.read_text())["runs"][0]
    (measured,) = run["rows"]
    assert run["command"].startswith("python -m bench.step --dims tiny")
    assert measured["speedup"] > 0 and measured["ours"]["peak_bytes"] > 0
    assert measured["ours"]["share_of_gemm"] > 0
    assert "| 5 " in done.stdout and path.name in done.stdout


def test_profile_from_end_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.profile", "--dims", "tiny", "--threads", "1", "--classes", "5"]
    command += ["--steps", "2", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=runner.ROOT, capture_output=True, text=True, check=True)
    (path,) = tmp_path.iterdir()
    (measured,) = json.loads(path.read_text())["runs"][0]["rows"]
    assert sum(measured["kinds"].values()) == pytest.approx(measured["seconds"])
    assert all(seconds > 0 for seconds in measured["kinds"].values())
    assert "products with weights" in done.stdout


@pytest.mark.parametrize("setting", methods.SETTINGS)
def test_every_setting_takes_steps(setting: str) -> None:
    job = Job("ours", "method", setting, "tiny", classes=5, batch=2, warmup=0, steps=1)
    result = methods.run_method(job)
    assert result["seconds"] > 0 and result["parameters"] > 0


def test_settings_are_those_that_the_table_of_methods_names() -> None:
    table = (runner.ROOT / "docs" / "methods.md").read_text()
    assert all(f"`{setting}`" in table for setting in methods.SETTINGS)


def test_startup_wants_a_step(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"before its first step: error: .*nowhere\.pt"):
        startup.seconds_to_first_step(tmp_path / "data", tmp_path / "run", str(tmp_path / "nowhere.pt"))
