"""Models to and from the Hugging Face Hub: what is sent, what is taken, and what a user reads when it fails."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

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
def hub(saved, monkeypatch):
    """Serve the model as the Hub does, with files beside it that could run code; gives the paths that were asked for."""
    files = {path.name: path.read_bytes() for path in (saved / "model").iterdir()}
    files |= {"pytorch_model.bin": b"a pickle", "modeling.py": b"raise SystemExit"}
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.partition("?")[0]
            asked.append(name)
            if name == "/api/models/someone/calls/revision/main":
                self.answer(json.dumps({"id": "someone/calls", "sha": COMMIT, "siblings": []}).encode())
            elif name == f"/api/models/someone/calls/tree/{COMMIT}":
                self.answer(
                    json.dumps(
                        [
                            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                            for name, content in files.items()
                        ]
                    ).encode()
                )
            elif name.startswith(f"/someone/calls/resolve/{COMMIT}/") and (content := files.get(name.rpartition("/")[2])):
                self.answer(content)
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def answer(self, content):
            self.send_response(200)
            for header, value in (
                ("Content-Length", len(content)),
                ("ETag", f'"{hashlib.sha1(content).hexdigest()}"'),
                ("X-Repo-Commit", COMMIT),
                ("Content-Type", "application/json"),
            ):
                self.send_header(header, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address, constants = f"http://127.0.0.1:{server.server_port}", huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield asked
    server.shutdown()
    server.server_close()


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


def test_a_model_comes_down_as_it_went_up_and_without_what_could_run(hub, saved, tmp_path):
    out = pull("someone/calls", tmp_path / "mine")
    assert not [*out.glob("*.py"), *out.glob("*.bin")]
    assert not [path for path in hub if path.endswith((".py", ".bin"))]
    first, second = (load_model(path).model.state_dict() for path in (saved, out))
    assert first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


def test_what_goes_wrong_is_one_line(hub, saved, tmp_path, monkeypatch, speechxfer):
    code, _, said = speechxfer("pull", "someone/else", "--out", tmp_path / "new")
    assert code == 2 and said.startswith("speechxfer: someone/else: ") and "404" in said and "Traceback" not in said
    code, _, said = speechxfer("push", saved, "someone/calls")
    assert code == 2 and said.startswith("speechxfer: someone/calls: ") and "Traceback" not in said
    with pytest.raises(ModelError, match="give another --out"):
        pull("someone/calls", saved)
    with pytest.raises(ModelError, match="no such model directory"):
        push(tmp_path / "nowhere", "someone/calls")
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported/config.json").write_text((saved / "model/config.json").read_text())
    with pytest.raises(ModelError, match="push the one that it was exported from"):
        push(tmp_path / "exported", "someone/calls")
    with pytest.raises(ModelError, match="expected OWNER/NAME"):
        pull("not a name/at/all", tmp_path / "new")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"^someone/calls: "):
        pull("someone/calls", tmp_path / "new")
