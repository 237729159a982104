"""Reading weights: every form that CLIP comes in, and every way a file can be wrong."""

import hashlib
import http.server
import threading
import zipfile
from pathlib import Path

import pytest
import torch

from prompted_clip import BackboneSpec, load_backbone, weights
from prompted_clip.precision import resolve_precision
from tests.stubs import SHAPES, random_clip, random_images, random_rn_clip, save_jit_archive, save_state_dict


@pytest.fixture(scope="module")
def model():
    return random_clip(4)


def features(path, model, **options):
    return load_backbone(str(path), **options).encode_image(random_images(model, 2))


@pytest.fixture(scope="module")
def expected(model):
    with torch.no_grad():
        return model.encode_image(random_images(model, 2))


def test_state_dict(model, expected, tmp_path):
    found = features(save_state_dict(model, tmp_path / "weights.pt"), model)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_torchscript_archive_as_openai_publishes(model, expected, tmp_path):
    found = features(save_jit_archive(model, tmp_path / "archive.pt"), model)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_half_precision_weights_under_module_prefix(model, expected, tmp_path):
    half = {f"module.{k}": v.half() for k, v in model.state_dict().items()}
    torch.save({"state_dict": half, "epoch": 3}, tmp_path / "half.pt")
    found = features(tmp_path / "half.pt", model, precision="fp32")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_dimensions_are_read_from_the_weights(shape):
    options = SHAPES[shape]
    spec = BackboneSpec.from_state_dict(random_clip(**options).state_dict())
    assert spec.is_vit
    assert spec.embed_dim == options.get("embed_dim", 32)
    assert spec.resolution == options.get("image_resolution", 16)
    assert spec.vision_width == options.get("vision_width", 64)
    assert spec.vision_layers == options.get("vision_layers", 3)
    assert spec.patch_size == 8
    assert spec.text_width == options.get("text_width", 64)
    assert spec.text_layers == options.get("text_layers", 3)
    assert spec.context_length == options.get("context_length", 24)


def test_resnet_dimensions():
    spec = BackboneSpec.from_state_dict(random_rn_clip(vision_layers=(1, 2, 1, 1)).state_dict())
    assert not spec.is_vit
    assert (spec.vision_layers, spec.resolution) == ((1, 2, 1, 1), 32)


def broken(model, change):
    state = dict(model.state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("text_projection"), "not a CLIP's: the tensor 'text_projection' is missing"),
        (lambda s: s.pop("transformer.resblocks.1.ln_1.weight"), "missing.*resblocks.1.ln_1.weight"),
        (lambda s: s.update(extra=torch.zeros(1)), "unknown.*extra"),
        (lambda s: s.update({"ln_final.bias": torch.zeros(3)}), r"'ln_final.bias' has shape \(3,\): expected \(64,\)"),
        (lambda s: s.update({"token_embedding.weight": torch.zeros(10, 64)}), "has 10 rows"),
        (lambda s: s.update({"ln_final.weight": torch.zeros(60)}), "60 wide"),
    ],
)
def test_state_dicts_that_are_no_clip(model, tmp_path, change, message):
    torch.save(broken(model, change), tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=message) as caught:
        load_backbone(str(tmp_path / "bad.pt"))
    assert "bad.pt" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("save", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_weights_that_are_not_finite(model, tmp_path, value, save):
    state = {k: v.detach().clone().to(save) for k, v in model.state_dict().items()}
    state["visual.proj"][3, 1] = value
    torch.save(state, tmp_path / "broken.pt")
    with pytest.raises(ValueError, match=r"broken\.pt: the tensor 'visual.proj' has values that are not finite"):
        load_backbone(str(tmp_path / "broken.pt"))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None], ids=["empty", "html", "truncated"])
@pytest.mark.parametrize("save", [save_state_dict, save_jit_archive])
def test_damaged_files(model, tmp_path, content, save):
    path = tmp_path / "weights.pt"
    data = save(model, path).read_bytes()
    path.write_bytes(data[: len(data) // 2] if content is None else content)
    with pytest.raises(ValueError, match=r"weights.pt \(\d+ bytes\) cannot be read as CLIP weights"):
        load_backbone(str(path))


def pickled(*calls: bytes) -> bytes:
    return b"\x80\x02" + b"".join(calls) + b"."


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        pickled(b"K\x01"),  # a number where the module should be
        pickled(b"K\x01", b"Q"),  # a tensor whose storage is a number
        pickled(b"c__torch__\nModule\n", b")\x81", b"K\x01", b"b"),  # a module whose state is a number
        pickled(b"0"),  # takes from an empty stack
    ],
    ids=["absent", "empty", "number", "storage", "state", "stack"],
)
def test_archives_of_another_form(tmp_path, data):
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("archive/constants.pkl", pickled(b")"))
        if data is not None:
            archive.writestr("archive/data.pkl", data)
    with pytest.raises(ValueError, match=r"archive\.pt \(\d+ bytes\) cannot be read as CLIP weights") as caught:
        load_backbone(str(tmp_path / "archive.pt"))
    assert "\n" not in str(caught.value)


class Payload:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_carries_code_is_refused_unrun(tmp_path):
    torch.save({"text_projection": Payload(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="holds more than tensors"):
        load_backbone(str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


def test_other_objects_than_state_dicts(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds no state dict"):
        load_backbone(str(tmp_path / "list.pt"))


def test_names_and_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(ValueError, match="Unknown backbone 'ViT-B16': did you mean 'ViT-B/16'"):
        load_backbone("ViT-B16")
    with pytest.raises(FileNotFoundError, match=r"nothing.pt does not exist"):
        load_backbone(str(tmp_path / "nothing.pt"))


@pytest.fixture
def published(model, tmp_path, monkeypatch):
    """A server with one model, addressed as OpenAI addresses theirs."""
    served = tmp_path / "served"
    served.mkdir()
    data = save_state_dict(model, tmp_path / "model.pt").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    (served / digest).mkdir()
    (served / digest / "Tiny.pt").write_bytes(data)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(served))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/{digest}/Tiny.pt"
    monkeypatch.setattr(weights, "openai_urls", lambda: {"Tiny": address})
    yield served / digest / "Tiny.pt"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_is_checked_and_kept(model, expected, published, tmp_path):
    cache = tmp_path / "cache"
    torch.testing.assert_close(features("Tiny", model, cache_dir=cache), expected, atol=1e-5, rtol=0)
    published.unlink()  # the second time, the cache serves
    torch.testing.assert_close(features("Tiny", model, cache_dir=cache), expected, atol=1e-5, rtol=0)
    (cache / "Tiny.pt").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"is not OpenAI's Tiny: its SHA-256 begins"):
        load_backbone("Tiny", cache_dir=cache)


def test_a_download_with_a_wrong_checksum_leaves_nothing(published, tmp_path):
    published.write_bytes(b"<html>sorry</html>")
    with pytest.raises(OSError, match="could not be downloaded"):
        load_backbone("Tiny", cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_download_that_is_not_there(published, tmp_path):
    published.unlink()
    with pytest.raises(OSError, match="put it at"):
        load_backbone("Tiny", cache_dir=tmp_path / "cache")


def test_precision_names():
    assert resolve_precision("auto", "cpu").compute == torch.float32
    assert resolve_precision("auto", "cuda").compute == torch.float16
    amp = resolve_precision("amp", "cuda")
    assert (amp.compute, amp.residual, amp.scaled) == (torch.float16, torch.float32, True)
    with pytest.raises(ValueError, match="Unknown precision 'half'"):
        resolve_precision("half", "cpu")
