"""The pretraining tool end to end on one font, and the weights that the project carries."""

from pathlib import Path

import clip
import pretrain_mini_clip
import pytest
import torch
from mini_clip.evaluation import accuracy, class_features, load_clip
from mini_clip.images import ImageSampler, normalise
from mini_clip.training import VOCABULARY_SIZE

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "mini_clip" / "mini_clip.pt"


@pytest.fixture(scope="module")
def written(tmp_path_factory, dejavu):
    """Two files of the same seed."""
    folder = tmp_path_factory.mktemp("pretrain")
    files = [folder / "first.pt", folder / "second.pt"]
    for file in files:
        options = ["--out", str(file), "--steps", "3", "--batch-size", "8", "--fonts", str(dejavu)]
        assert pretrain_mini_clip.main([*options, "--seed", "5", "--skip-evaluation", "--precision", "fp32"]) == 0
    return files


def test_same_seed_same_bytes_and_nothing_left_over(written):
    first, second = written
    assert first.read_bytes() == second.read_bytes()
    assert sorted(first.parent.iterdir()) == [first, second]


def test_file_is_a_complete_openai_state_dict(written):
    state = torch.load(written[0], weights_only=True)
    model = load_clip(written[0])  # load_state_dict is strict
    assert set(state) == set(model.state_dict())
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    assert state["token_embedding.weight"].shape == (VOCABULARY_SIZE, 128)
    assert written[0].stat().st_size < 8_000_000


def test_rows_of_unseen_tokens_are_one_row(written):
    table = torch.load(written[0], weights_only=True)["token_embedding.weight"]
    unseen, also_unseen = (int(clip.tokenize(word)[0, 1]) for word in ("airplane", "giraffe"))
    seen = int(clip.tokenize("seven")[0, 1])
    assert torch.equal(table[unseen], table[also_unseen])
    assert not torch.equal(table[unseen], table[seen])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps is 0; expected 1 or more"),
        (["--lr", "3"], "--lr is 3.0; expected a learning rate"),
        (["--held-out", "1"], "--held-out is 1.0; expected a share"),
        (["--seed", "-1"], "--seed is -1; expected 0 to"),
        (["--fonts", "no/such/folder"], "font path no/such/folder does not exist"),
    ],
)
def test_bad_settings_are_refused_in_one_line(tmp_path, capsys, options, message):
    assert pretrain_mini_clip.main(["--out", str(tmp_path / "x.pt"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_bad_output_place_is_refused(tmp_path, capsys):
    assert pretrain_mini_clip.main(["--out", str(tmp_path / "absent" / "x.pt")]) == 2
    assert "absent does not exist; create it first" in capsys.readouterr().err
    assert pretrain_mini_clip.main(["--out", str(tmp_path)]) == 2
    assert "is a folder; name a file" in capsys.readouterr().err


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "mini.pt"
    target.write_bytes(b"old")
    with pytest.raises(AttributeError):
        pretrain_mini_clip.save_deflated({"a": lambda: None}, target)  # cannot be pickled
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_carried_weights_read_rendered_digits(bank):
    assert WEIGHTS.stat().st_size < 8_000_000
    model = load_clip(WEIGHTS)
    digits = bank.select(bank.characters < 10)
    batch = ImageSampler(digits, torch.Generator().manual_seed(0), digit_share=1.0).draw(300)
    with torch.no_grad():
        features = torch.nn.functional.normalize(model.encode_image(normalise(batch.pixels)), dim=1)
    text = class_features(model, "a photo of a {}.")
    assert accuracy(features, batch.characters, text, range(10)) > 85
