"""The same command on other data is another question, and on the same data elsewhere it is not."""

import json
import os
import shutil

import pytest
from PIL import Image

from .answers import assert_complete, assert_refused, folder


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
    (tmp_path / "elsewhere").mkdir()
    moved = own.rename(tmp_path / "elsewhere" / own.name)
    assert_complete(call(*folder(moved)))
    assert_complete(call(*folder(moved)))
    assert len(slow) == 3
    renamed = moved.rename(tmp_path / "named")  # the record's name is what tables would show
    assert_refused(call(*folder(renamed)), f"DATASET.TITLE: {own.name} → named")


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
    assert code == 2 and "accuracy" not in out and "there is no" in err


def test_a_run_without_a_fixed_seed_draws_another_sample_each_time(call, tmp_path):
    call("SEED", "-1")
    (tmp_path / "run" / "marks.json").unlink()
    assert_complete(call("SEED", "-1"))
    assert_refused(call("SEED", "2"), "SEED: -1 → 2")
