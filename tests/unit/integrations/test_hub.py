"""Models to and from the Hugging Face Hub: what is sent, what is taken, and what a user reads when it fails."""

import shutil

import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from speechxfer import load_model
from speechxfer.data import Vocabulary
from speechxfer.errors import ModelError
from speechxfer.integrations import pull, push
from speechxfer.models import new_head

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def saved(small_models, tmp_path):
    """Return a saved model with a file beside it that is none of its own."""
    new_head(small_models["wav2vec2-layer"], "ctc", vocabulary=Vocabulary(("a", "b"))).save(tmp_path / "run/model")
    (tmp_path / "run/model/calls.csv").write_text("secret")
    return tmp_path / "run"


@pytest.fixture
def cached(saved, tmp_path, monkeypatch):
    """Lay the model into the Hub's own cache, as if downloaded before, and take the network away."""
    snapshot = tmp_path / "cache/models--someone--calls/snapshots" / COMMIT
    shutil.copytree(saved / "model", snapshot)
    (snapshot / "pytorch_model.bin").write_bytes(b"a pickle")
    (snapshot / "modeling.py").write_text("raise SystemExit")
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def test_a_model_goes_up_alone_and_privately(saved, monkeypatch):
    sent = {}
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda hub, name, **given: sent.update(made=name, **given))

    def upload(hub, *, repo_id, folder_path, allow_patterns, **_):
        files = sorted(path.name for path in folder_path.iterdir())
        sent["files"] = [*huggingface_hub.utils.filter_repo_objects(files, allow_patterns=allow_patterns)]
        return f"hub://{repo_id}"

    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    assert push(saved, "someone/calls") == "hub://someone/calls"
    assert (sent["made"], sent["private"], sent["exist_ok"]) == ("someone/calls", True, True)
    assert {"model.safetensors", "config.json", "preprocessor_config.json"} <= {*sent["files"]}
    assert "calls.csv" not in sent["files"]
    push(saved, "someone/calls", public=True)
    assert sent["private"] is False


def test_a_model_comes_down_as_it_went_up_and_without_what_could_run(cached, saved, tmp_path):
    out = pull("someone/calls", tmp_path / "mine")
    assert not [*out.glob("*.py"), *out.glob("*.bin")]
    first, second = (load_model(path).model.state_dict() for path in (saved, out))
    assert first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


def test_what_goes_wrong_is_one_line(saved, tmp_path, monkeypatch, speechxfer):
    def refuse(*_, **__):
        raise RepositoryNotFoundError(
            "404\n\nNot found: someone/calls", response=type("Response", (), {"headers": {}, "request": None})()
        )

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    code, _, said = speechxfer("push", saved, "someone/calls")
    assert code == 1 and "someone/calls: " in said and "Not found" in said and "Traceback" not in said
    with pytest.raises(ModelError, match=r"^someone/calls: .*Not found"):
        pull("someone/calls", tmp_path / "new")
    with pytest.raises(ModelError, match="give another --out"):
        pull("someone/calls", saved)
    with pytest.raises(ModelError, match="no such model directory"):
        push(tmp_path / "nowhere", "someone/calls")
    monkeypatch.undo()
    with pytest.raises(ModelError, match="expected OWNER/NAME"):
        pull("not a name/at/all", tmp_path / "new")
