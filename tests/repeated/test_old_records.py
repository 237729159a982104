"""Records of older versions, and files that are none."""

import json
import shutil

import pytest

from .answers import assert_complete, assert_refused, folder


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
