"""A real S3 server on the loopback that refuses some requests and cuts others short: everything arrives all the same."""

import itertools
import shutil
import threading
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("moto")
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

import speechxfer
from speechxfer.data import list_files, read_text, remove, stream_audio, write_whole
from speechxfer.distributed.ledger import Batch, Input, Ledger
from speechxfer.distributed.worker import ArchiveWorker, Job
from speechxfer.errors import ModelError, StorageError
from speechxfer.models import load_model
from speechxfer.transcript import Segment, Transcript
from speechxfer.transcription import find_recordings

BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Flaky:
    """Passes requests on, but answers each fifth with 503 and breaks off the body of each seventh."""

    def __init__(self, application):
        self._application = application
        self._count = itertools.count(1)
        self.refused = self.cut = 0

    def __call__(self, environ, start_response):
        number = next(self._count)
        if number % 5 == 0:
            self.refused += 1
            return Response(BUSY, HTTPStatus.SERVICE_UNAVAILABLE)(environ, start_response)
        body = self._application(environ, start_response)
        if number % 7 or environ["REQUEST_METHOD"] != "GET":
            return body
        self.cut += 1
        return self._broken_off(body)

    @staticmethod
    def _broken_off(body):
        whole = b"".join(body)
        yield whole[: len(whole) // 2]
        raise ConnectionResetError


@pytest.fixture(scope="module")
def server():
    application = Flaky(DomainDispatcherApplication(create_backend_app))
    made = make_server("127.0.0.1", 0, application, threaded=True)
    made.log_startup = lambda: None
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("calls")
        yield application
        s3fs.S3FileSystem.clear_instance_cache()
    made.shutdown()
    thread.join()


class Listener:
    """Says how much of a recording arrived."""

    def transcribe_all(self, recordings):
        for path in recordings:
            samples = np.concatenate([*stream_audio(path, 16_000)])
            text = f"{len(samples)} {np.abs(samples).sum():.1f}"
            yield Transcript("", len(samples) / 16_000, (Segment(text, 0.0, len(samples) / 16_000, 1.0),))


def test_text_is_written_listed_read_and_removed(server):
    for number in range(8):
        write_whole(f"s3://calls/notes/{number}.txt", f"ț{number}" * 1000)
    assert list_files("s3://calls/notes") == [f"s3://calls/notes/{number}.txt" for number in range(8)]
    assert [read_text(f"s3://calls/notes/{number}.txt")[:2] for number in range(8)] == [f"ț{number}" for number in range(8)]
    remove("s3://calls/notes/0.txt")
    assert len(list_files("s3://calls/notes")) == 7
    with pytest.raises(StorageError, match=r"0\.txt: no such file"):
        read_text("s3://calls/notes/0.txt")
    with pytest.raises(StorageError, match="s3://nobodys/x"):
        write_whole("s3://nobodys/x", "")
    assert server.refused and server.cut


def test_recordings_are_transcribed_from_and_to_it(server, tmp_path):
    import s3fs

    expected = {}
    for number in range(4):
        tone = np.random.default_rng(number).normal(0, 0.1, 400_000).clip(-1, 1)
        soundfile.write(tmp_path / f"{number}.flac", tone, 16_000)
        write_patiently(s3fs.S3FileSystem(), f"calls/in/{number}.flac", (tmp_path / f"{number}.flac").read_bytes())
        expected[f"{number}.flac"] = next(Listener().transcribe_all([str(tmp_path / f"{number}.flac")])).text
    recordings = find_recordings(["s3://calls/in"])
    batch = Batch(0, tuple(Input(str(one.path), str(one.place)) for one in recordings))
    Ledger("s3://calls/out").open({})
    worker = ArchiveWorker(Job(Listener, "s3://calls/out", "txt"))
    first = worker(batch.to_row())
    assert (first["inputs"], first["failed"]) == (4, 0)
    assert {name: read_text(f"s3://calls/out/{name}.txt").strip() for name in expected} == expected
    assert worker(batch.to_row())["seconds"] == first["seconds"], "what is done is not done again"
    assert set(Ledger("s3://calls/out").open({})) == {one.path for one in batch.inputs}


def test_a_model_is_fetched_from_it(server, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    local, refused, cut = load_model("tiny"), server.refused, server.cut
    for file in (Path(speechxfer.__file__).parent / "assets/tiny").iterdir():
        write_patiently(s3fs.S3FileSystem(), f"calls/model/{file.name}", file.read_bytes())
    for _ in range(4):
        fetched = load_model("s3://calls/model").model.state_dict()
        assert all(torch.equal(fetched[name], tensor) for name, tensor in local.model.state_dict().items())
        shutil.rmtree(tmp_path / "speechxfer")
    assert server.refused > refused and server.cut > cut
    with pytest.raises(ModelError, match=r"s3://calls/nowhere: not a model directory, config\.json is missing"):
        load_model("s3://calls/nowhere")


def write_patiently(filesystem, name, data):
    for _ in range(3):
        try:
            return filesystem.pipe_file(name, data)
        except OSError:
            continue
    raise AssertionError(name)
