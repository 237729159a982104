"""A repeated command: answered by the record only if it asks the same, else told in what it differs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import train
from dassl.records import lock_output_dir
from tests.command import call_train
from tests.stubs import random_clip, save_state_dict
from tests.trainers.conftest import SHAPE

HERE = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_state_dict(random_clip(11, **SHAPE), tmp_path_factory.mktemp("weights") / "clip.pt")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA", raising=False)


@pytest.fixture
def call(weights, root, tmp_path, capsys, monkeypatch):
    """call(*arguments, KEY VALUE…) → exit code, standard output, standard error of a zero-shot run, unless said."""

    def run(*words, trainer="ZeroshotCLIP", out="run", **flags):
        given = {"root": root, "backbone": weights, **flags}
        argv = ["--trainer", trainer, "--output-dir", str(tmp_path / out)]
        argv += [part for name, value in given.items() if value for part in (f"--{name}", str(value))]
        split = next((i for i, word in enumerate(words) if word[0].isupper()), len(words))
        argv += [*words[:split], "OPTIM.MAX_EPOCH", "1", "DATASET.NUM_SHOTS", "1", *words[split:]]
        return call_train(argv, monkeypatch, capsys)

    return run


@pytest.fixture
def slow(monkeypatch):
    """How often a config was built, which only the full comparison and a run do."""
    built = []
    original = train.build_config
    monkeypatch.setattr(train, "build_config", lambda args: (built.append(args), original(args))[1])
    return built


def assert_complete(answer):
    code, out, err = answer
    assert code == 0 and "is complete: nothing to do" in out and "accuracy" in out and not err
    assert "Evaluate on" not in out


def assert_refused(answer, *told):
    """The old figures are never shown."""
    code, out, err = answer
    assert code == 2 and "accuracy" not in out
    assert (
        err.startswith("error: ")
        and err.count("\n") == 1
        and "holds a complete run that answers another question" in err
    )
    assert "--force" in err and "FORCE=1" in err
    for words in told:
        assert words in err
    return err


@pytest.fixture
def own(tmp_path):
    """Three classes of one's own, five images each, in a format whose size does not depend on what is shown."""
    for number, name in enumerate(("ant", "bee", "cat")):
        for i in range(5):
            file = tmp_path / "own" / name / f"{i}.bmp"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (number * 80, i * 40, 0)).save(file)
    return tmp_path / "own"


def folder(own):
    return ["--dataset-config-file", str(HERE / "configs/datasets/folder.yaml"), "DATASET.PATH", str(own)]


def test_the_same_command_is_answered_without_comparing(call, slow):
    call()
    assert_complete(call())
    assert len(slow) == 1


def test_without_marks_the_comparison_is_made_and_they_are_there_again(call, slow, tmp_path):
    call()
    before = (tmp_path / "run" / "marks.json").read_bytes()
    (tmp_path / "run" / "marks.json").unlink()
    assert_complete(call())
    assert len(slow) == 2 and (tmp_path / "run" / "marks.json").read_bytes() == before
    assert_complete(call())
    assert len(slow) == 2


def test_another_order_of_words_asks_the_same(call, slow, tmp_path):
    call("--seed", "1", "VERBOSE", "False", "DATASET.SUBSAMPLE_CLASSES", "all")
    assert_complete(call("--seed", "1", "DATASET.SUBSAMPLE_CLASSES", "all", "VERBOSE", "True", "TRAIN.PRINT_FREQ", "3"))
    assert len(slow) == 2
    assert_refused(call("DATASET.SUBSAMPLE_CLASSES", "new"), "DATASET.SUBSAMPLE_CLASSES: all → new", "class")
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["data"]["classnames"]) == 10


def test_an_edited_config_file(call, tmp_path):
    mine = tmp_path / "mine.yaml"
    shutil.copy(HERE / "configs/trainers/MaPLe/quickstart.yaml", mine)
    options = {"trainer": "MaPLe", "config-file": mine}
    assert call(**options)[0] == 0
    text = mine.read_text()
    mine.write_text(text.replace("LR: 0.01", "LR: 0.1").replace("N_CTX: 2", "N_CTX: 3"))
    assert_refused(call(**options), "OPTIM.LR: 0.01 → 0.1", "TRAINER.MAPLE.N_CTX: 2 → 3")
    mine.write_text(text + "# a remark\n")
    assert_complete(call(**options))
    mine.write_text(text.replace("LR: 0.01", "LR: 0.1"))
    code, out, _ = call("--force", **options)
    assert code == 0 and "kept the earlier run as" in out and "Finish training" in out
    assert_complete(call(**options))


def test_another_template(call, own):
    assert call(*folder(own))[0] == 0
    assert_refused(call(*folder(own), "DATASET.TEMPLATE", "letter {}"), "DATASET.TEMPLATE: nothing → letter {}")


CHANGES = {
    "an image gone": (lambda own: (own / "ant" / "0.bmp").unlink(), ["images: "]),
    "another image": (lambda own: (own / "ant" / "0.bmp").rename(own / "ant" / "9.bmp"), ["or in another order"]),
    "a class renamed": (lambda own: (own / "bee").rename(own / "bat"), ["classes: bee → bat"]),
    "a class gone": (lambda own: shutil.rmtree(own / "cat"), ["classes gone: cat"]),
    "a class more": (lambda own: shutil.copytree(own / "cat", own / "dog"), ["new classes: dog"]),
    "names": (lambda own: (own / "classnames.txt").write_text("x\ny\nz\n"), ["classes: ant → x, bee → y, cat → z"]),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), CHANGES.values(), ids=CHANGES)
def test_images_of_ones_own_that_have_changed(call, own, change, told):
    words = [*folder(own), "DATASET.SUBSAMPLE_CLASSES", "all", "DATASET.NUM_SHOTS", "-1"]
    assert call(*words)[0] == 0
    change(own)
    assert_refused(call(*words), *told)


def test_an_edited_image_of_the_same_size(call, own):
    words = [*folder(own), "DATASET.SUBSAMPLE_CLASSES", "all", "DATASET.NUM_SHOTS", "-1"]
    call(*words)
    for image in own.rglob("*.bmp"):
        size = image.stat().st_size
        Image.new("RGB", (4, 4), (9, 9, 9)).save(image)
        assert image.stat().st_size == size
    assert_refused(call(*words), "other training images, or in another order", "other test images")


def test_images_that_were_only_touched_or_moved(call, own, slow, tmp_path):
    call(*folder(own))
    os.utime(own / "ant" / "0.bmp", ns=(0, 0))
    assert_complete(call(*folder(own)))
    assert len(slow) == 2
    own.rename(tmp_path / "elsewhere")
    assert_complete(call(*folder(tmp_path / "elsewhere")))
    assert_complete(call(*folder(tmp_path / "elsewhere")))
    assert len(slow) == 3


def test_a_csv_of_ones_own(call, own, slow, tmp_path):
    csv = tmp_path / "lists" / "own.csv"
    csv.parent.mkdir()
    rows = [f"../own/{name}/{i}.bmp,{name}" for name in ("ant", "bee", "cat") for i in range(5)]
    csv.write_text("\n".join(["path,label", *rows]))
    assert call(*folder(csv))[0] == 0
    assert_complete(call(*folder(csv)))
    assert len(slow) == 1
    csv.write_text("\n".join(["path,label", *rows[:-1]]))
    assert_refused(call(*folder(csv), "DATASET.SUBSAMPLE_CLASSES", "all"), "images")
    csv.write_text("\n".join(["path,label", *rows]))
    for image in own.rglob("*.bmp"):
        Image.new("RGB", (4, 4), (9, 9, 9)).save(image)
    assert_refused(call(*folder(csv)), "other training images")


def test_a_relative_path_from_another_working_folder(call, own, tmp_path, monkeypatch):
    words = folder("own")
    monkeypatch.chdir(tmp_path)
    assert call(*words)[0] == 0
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    code, out, err = call(*words)
    assert code == 2 and "there is neither" in err and "accuracy" not in out
    shutil.copytree(own, tmp_path / "other" / "own")
    assert_complete(call(*words))
    (tmp_path / "other" / "own" / "ant").rename(tmp_path / "other" / "own" / "ape")
    assert_refused(call(*words), "classes: ant → ape")
    monkeypatch.chdir(tmp_path)
    assert_complete(call(*words))


def test_the_same_data_elsewhere_and_other_data_elsewhere(call, slow, root, tmp_path):
    call()
    shutil.copytree(root / "digits", tmp_path / "copy" / "digits")
    assert_complete(call(root=tmp_path / "copy"))
    assert len(slow) == 1
    split = tmp_path / "copy" / "digits" / "split_maple_Digits.json"
    content = json.loads(split.read_text())
    content["test"] = content["test"][:-40]
    split.write_text(json.dumps(content))
    assert_complete(call(root=tmp_path / "copy"))  # of the base classes, all are there
    assert len(slow) == 2
    content["test"] = content["test"][40:]
    split.write_text(json.dumps(content))
    assert_refused(call(root=tmp_path / "copy"), "test images: ")
    assert_complete(call())


def test_the_data_root_of_the_environment(call, root, tmp_path, monkeypatch):
    call()
    (tmp_path / "copy").mkdir()
    shutil.copytree(root / "digits", tmp_path / "copy" / "digits")
    split = tmp_path / "copy" / "digits" / "split_maple_Digits.json"
    content = json.loads(split.read_text())
    content["test"].reverse()
    split.write_text(json.dumps(content))
    monkeypatch.setenv("DATA", str(tmp_path / "copy"))
    assert_refused(call(root=""), "other test images, or in another order")


def test_data_that_are_gone_answer_nothing(call, own):
    call(*folder(own))
    shutil.rmtree(own)
    code, out, err = call(*folder(own))
    assert code == 2 and "accuracy" not in out and "there is neither" in err


def test_weights_that_were_trained_again(call, tmp_path):
    test = ["--eval-only", "--model-dir", str(tmp_path / "run"), "DATASET.SUBSAMPLE_CLASSES", "new"]
    assert call(trainer="MaPLe")[0] == 0
    assert call(*test, trainer="MaPLe", out="new")[0] == 0
    assert_complete(call(*test, trainer="MaPLe", out="new"))
    call("--force", "OPTIM.LR", "0.5", "OPTIM.WARMUP_EPOCH", "-1", trainer="MaPLe")
    assert_refused(call(*test, trainer="MaPLe", out="new"), "the weights model.pth.tar-1 have changed")
    assert call(*test, trainer="MaPLe", out="newer")[0] == 0
    shutil.copytree(tmp_path / "run", tmp_path / "moved")
    moved = [word.replace(str(tmp_path / "run"), str(tmp_path / "moved")) for word in test]
    assert_complete(call(*moved, trainer="MaPLe", out="newer"))
    trained = tmp_path / "moved" / "MultiModalPromptLearner"
    shutil.copy(trained / "model.pth.tar-1", trained / "model-best.pth.tar")
    assert_complete(call(*moved, trainer="MaPLe", out="newer"))  # the same weights by another name
    assert_refused(call(trainer="MaPLe", out="newer"), "eval_only: True → False")


def test_another_backbone_file(call, weights, tmp_path):
    mine = tmp_path / "clip.pt"
    shutil.copy(weights, mine)
    call(backbone=mine)
    shutil.copy(weights, tmp_path / "same.pt")
    assert_complete(call(backbone=tmp_path / "same.pt"))
    save_state_dict(random_clip(12, **SHAPE), mine)
    assert_refused(call(backbone=mine), f"MODEL.BACKBONE.NAME: the file {mine} has changed")
    save_state_dict(random_clip(12, **SHAPE), tmp_path / "same.pt")
    assert_refused(call(backbone=tmp_path / "same.pt"), f"MODEL.BACKBONE.NAME: {mine} → {tmp_path / 'same.pt'}")


def as_of_old(folder, **changes):
    """Take from a record what older versions did not write."""
    record = json.loads((folder / "run.json").read_text())
    for key in ("weights", "files"):
        del record[key]
    del record["data"]["digests"]
    del record["config"]["MODEL"]["TEXT_CHUNK"]  # a key of a later version
    (folder / "run.json").write_text(json.dumps({**record, **changes}))
    (folder / "marks.json").unlink()


def test_records_of_older_versions_are_compared_in_what_they_say(call, own, slow, tmp_path):
    call(*folder(own))
    as_of_old(tmp_path / "run")
    assert_complete(call(*folder(own)))
    assert len(slow) == 2
    assert_complete(call(*folder(own)))
    assert len(slow) == 2  # nothing has changed since
    assert_refused(call(*folder(own), "MODEL.TEXT_CHUNK", "2"), "MODEL.TEXT_CHUNK: nothing → 2")
    (own / "bee").rename(own / "bat")
    assert_refused(call(*folder(own)), "classes: bee → bat")


def test_older_tests_of_a_model_that_was_trained_again(call, slow, tmp_path):
    test = ["--eval-only", "--model-dir", str(tmp_path / "run"), "DATASET.SUBSAMPLE_CLASSES", "new"]
    call(trainer="CoOp")
    call(*test, trainer="CoOp", out="new")
    as_of_old(tmp_path / "new")
    for _ in range(2):
        assert_complete(call(*test, trainer="CoOp", out="new"))
    assert len(slow) == 3
    shutil.copytree(tmp_path / "run", tmp_path / "moved")
    moved = [word.replace(str(tmp_path / "run"), str(tmp_path / "moved")) for word in test]
    assert_complete(call(*moved, trainer="CoOp", out="new"))  # the same run's record is there
    (tmp_path / "moved" / "run.json").unlink()
    assert_refused(call(*moved, trainer="CoOp", out="new"), "model_dir: ")
    assert_refused(call("--load-epoch", "7", *test, trainer="CoOp", out="new"), "epoch: 1 → 7")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "end_utc": "9999-01-01T00:00:00+00:00"}))
    assert_refused(call(*test, trainer="CoOp", out="new"), "was trained again since")


def test_a_changed_default_of_a_method_is_seen(call, monkeypatch, tmp_path):
    """Where the file that sets defaults has changed, the settings are compared."""
    call(trainer="CoOp")
    content = json.loads((tmp_path / "run" / "marks.json").read_text())
    (mark,) = [mark for mark in content["marks"] if mark["path"] == "trainers/coop.py"]
    mark["found"], mark["stamp"] = "what it was before", [0, 0]
    (tmp_path / "run" / "marks.json").write_text(json.dumps(content))
    original = train.default_config

    def other():
        cfg = original()
        cfg.MODEL.TEXT_CHUNK = 3
        return cfg

    monkeypatch.setattr(train, "default_config", other)
    assert_refused(call(trainer="CoOp"), "MODEL.TEXT_CHUNK: 0 → 3")


def test_defaults_of_other_methods_do_not_count(call, monkeypatch, tmp_path):
    call(trainer="CoOp")
    (tmp_path / "run" / "marks.json").unlink()
    original = train.default_config

    def other():
        cfg = original()
        cfg.TRAINER.COCOOP.N_CTX = 7
        return cfg

    monkeypatch.setattr(train, "default_config", other)
    assert_complete(call(trainer="CoOp"))


def test_a_run_without_a_fixed_seed_draws_another_sample_each_time(call, tmp_path):
    call("SEED", "-1")
    (tmp_path / "run" / "marks.json").unlink()
    assert_complete(call("SEED", "-1"))
    assert_refused(call("SEED", "2"), "SEED: -1 → 2")


@pytest.mark.parametrize("content", ["[]", '{"status": "complete"}', "[" * 100_000, '{"status": "comp'])
def test_a_record_of_another_form_is_one_sentence(call, tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(content)
    code, out, err = call()
    assert code == 2 and "run.json is damaged" in err and err.count("\n") == 1 and "accuracy" not in out
    code, out, _ = call("--force")
    assert code == 0 and "kept the earlier run as" in out


@pytest.mark.parametrize("data", [{"classnames": 5}, {"digests": []}, {"digests": {"test": 1}, "classnames": "ab"}])
def test_a_record_of_another_form_inside(call, tmp_path, data):
    call()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "data": data}))
    code, out, err = call()
    assert err.count("\n") <= 1 and "Traceback" not in err
    assert code == 2 or "is complete" in out


def test_force_leaves_a_running_run_its_folder(call, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    program = (
        "import sys; from dassl.records import lock_output_dir; lock_output_dir(sys.argv[1]);"
        " print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    ) as runner:
        assert runner.stdout.readline() == b"ready\n"
        code, _, err = call("--force")
        runner.stdin.close()
    assert code == 2 and f"another run (process {runner.pid}) is using the output folder" in err
    assert not list(tmp_path.glob("run.old-*")) and (tmp_path / "run" / "run.json").is_file()


def test_another_process_that_ends_just_now_has_the_answer(call, tmp_path, monkeypatch):
    call(out="done")

    def lock(folder):
        shutil.copytree(tmp_path / "done", folder, dirs_exist_ok=True)
        return lock_output_dir(folder)

    monkeypatch.setattr(train, "lock_output_dir", lock)
    assert_complete(call())


def test_the_quick_answer_loads_no_torch(weights, root, tmp_path):
    words = [
        "--trainer",
        "ZeroshotCLIP",
        "--backbone",
        str(weights),
        "--root",
        str(root),
        "--output-dir",
        str(tmp_path),
    ]
    words += ["DATASET.NUM_SHOTS", "1"]
    program = (
        "import sys, train; code = train.main(sys.argv[1:]); print(code, 'torch' in sys.modules, 'yacs' in sys.modules)"
    )
    for expected in ("0 True True", "0 False False"):
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=HERE,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)},
        )
        assert done.stdout.splitlines()[-1] == expected, done.stderr
    assert "is complete: nothing to do" in done.stdout
