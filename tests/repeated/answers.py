"""What a repeated command says."""

from train import HERE


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


def folder(own):
    return ["--dataset-config-file", str(HERE / "configs/datasets/folder.yaml"), "DATASET.PATH", str(own)]
