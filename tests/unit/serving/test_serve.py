"""`speechxfer serve` as a process: it starts, logs no word, and on SIGTERM lets a call end; wrong use is told."""

import base64
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import soundfile
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from speechxfer.data import encode_ulaw


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_call_under_way_ends_before_the_server_does(clip):
    command = [sys.executable, "-m", "speechxfer", "serve", "--model", "tiny", "--port", "0", "--precision", "fp32"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"SPEECHXFER_API_KEYS": "secret"})
    try:
        url = process.stderr.readline().removeprefix("speechxfer: listening on ").strip()
        assert get(f"{url}/healthz") == (200, '{"status":"ok"}') and get(f"{url}/v1/models")[0] == 401
        samples, _ = soundfile.read(clip, dtype="int16", frames=4 * 8_000)
        payload = base64.b64encode(encode_ulaw(samples[:, 0].copy()).tobytes()).decode()
        with connect(url.replace("http", "ws") + "/v1/realtime/media") as socket:
            socket.send(json.dumps({"event": "start", "start": {"customParameters": {"api_key": "secret"}}, "streamSid": "MZ"}))
            socket.send(json.dumps({"event": "media", "media": {"track": "inbound", "payload": payload, "timestamp": "0"}}))
            said = [json.loads(socket.recv(timeout=30))]
            process.send_signal(signal.SIGTERM)
            while get(f"{url}/healthz")[0] != 503:
                assert process.poll() is None
            numbers = get(f"{url}/metrics")[1]
            assert "speechxfer_calls 1.0" in numbers and 'speechxfer_audio_seconds_total{source="call"} 4.0' in numbers
            socket.send('{"event": "stop"}')
            with pytest.raises(ConnectionClosedOK):
                while True:
                    said.append(json.loads(socket.recv(timeout=30)))
        assert any("good morning" in one["transcript"].get("segment", {}).get("text", "") for one in said)
        assert process.wait(20) == 0
        log = process.stderr.read()
        assert '"path": "/healthz", "status": 503' in log and "morning" not in log and "secret" not in log
    finally:
        process.kill()


def test_wrong_use(speechxfer, tmp_path):
    code, _, error = speechxfer("serve", "--model", tmp_path / "none", "--port", 0)
    assert code == 2 and "none" in error and "Traceback" not in error
    code, _, error = speechxfer("serve", "--model", "tiny", "--model", f"second={tmp_path / 'none'}", "--port", 0)
    assert code == 2 and "none" in error and "Traceback" not in error
    code, _, error = speechxfer("serve", "--model", "a/model", "--model", "b/model", "--port", 0)
    assert code == 2 and "several are called model" in error
    (tmp_path / "terms.txt").write_text("Q7\n")
    for name, what in (("gone.txt", "gone.txt"), ("terms.txt", "terms.txt:1")):
        code, _, error = speechxfer("serve", "--model", "tiny", "--hotwords", tmp_path / name, "--port", 0)
        assert code == 2 and what in error and "Traceback" not in error
    code, _, error = speechxfer("serve", "--model", "tiny", "--port", 99999)
    assert code == 2 and "cannot listen on 127.0.0.1:99999" in error
