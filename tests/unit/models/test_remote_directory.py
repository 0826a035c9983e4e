"""A model that lies elsewhere is fetched once, as it is now, and without what nobody should open."""

import datetime
import json

import pytest
import torch

from speechxfer.data import storage
from speechxfer.errors import ModelError
from speechxfer.models import load_model, new_head


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/speechxfer/fetched"


@pytest.fixture
def run(small_whisper, memory, tmp_path):
    """Put a run with its model, its log and a pickle into memory://."""
    new_head(small_whisper, "classification", labels=("no", "yes")).save(tmp_path / "saved")
    for file in (tmp_path / "saved").iterdir():
        memory.pipe_file(f"/calls/run/model/{file.name}", file.read_bytes())
    memory.pipe_file("/calls/run/log.jsonl", b"{}\n")
    memory.pipe_file("/calls/run/model/pytorch_model.bin", b"not to be opened")
    return "memory://calls/run"


def test_it_is_fetched_once_and_again_when_it_changed(run, cache, tmp_path, memory, monkeypatch):
    loaded, local = load_model(run), load_model(tmp_path / "saved")
    for name, tensor in local.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)
    (folder,) = cache.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert sorted(file.name for file in folder.iterdir()) == sorted(file.name for file in (tmp_path / "saved").iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(storage, "_filesystem", refusing(storage._filesystem, "get_file"))
        assert load_model(f"{run}/model/").labels == ("no", "yes")
    config = json.loads(memory.cat_file("/calls/run/model/config.json"))
    config["id2label"] = {"0": "nay", "1": "yes"}
    memory.pipe_file("/calls/run/model/config.json", json.dumps(config).encode())
    memory.store["/calls/run/model/config.json"].created += datetime.timedelta(seconds=1)
    assert load_model(run).labels == ("nay", "yes")


def refusing(make, method):
    """Give file systems one of whose methods fails."""

    def made(name):
        filesystem = make(name)

        class Refusing:
            def __getattr__(self, asked):
                if asked == method:
                    raise AssertionError(f"{method} is called")
                return getattr(filesystem, asked)

        return Refusing()

    return made


@pytest.mark.parametrize("url", ["memory://calls/nowhere", "memory://calls/run/model/log"])
def test_what_is_no_model_is_named(run, cache, url):
    with pytest.raises(ModelError, match=f"{url}: not a model directory, config.json is missing"):
        load_model(url)


def test_a_cache_that_cannot_be_written_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="file/speechxfer/fetched: Not a directory"):
        load_model(run)


def test_the_command_line_takes_urls(run, cache, tones, speechxfer):
    code, said, _ = speechxfer("info", run)
    assert code == 0 and "labels: no, yes" in said
    code, said, _ = speechxfer("transcribe", tones.parent / "0.wav", "--model", run)
    assert code == 0 and said.strip() in {"no", "yes"}
