"""Twilio's messages, as a real stream sends them, replayed over a WebSocket; and streams that go wrong."""

import base64
import itertools
import json
import time
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from speechxfer.data import encode_ulaw
from tests.unit.serving.conftest import DEMO, running

SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
TRACKS = ("outbound", "inbound")  # the agent is outbound, the customer inbound


def start(**parameters):
    described = {
        "accountSid": "AC00000000000000000000000000000000",
        "streamSid": SID,
        "callSid": "CA00000000000000000000000000000000",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
    }
    yield {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    yield {"event": "start", "sequenceNumber": "1", "start": described, "streamSid": SID}


@pytest.fixture(scope="module")
def media():
    """Return 8 s of the package's call as Twilio's media messages, with a key pressed and a mark."""
    samples, _ = soundfile.read(DEMO / "call.flac", dtype="int16", frames=8 * 8_000)
    messages, number = [], itertools.count(2)
    for chunk, first in enumerate(range(0, len(samples), 160), start=1):
        for track, channel in zip(TRACKS, samples[first : first + 160].T, strict=True):
            payload = base64.b64encode(encode_ulaw(np.ascontiguousarray(channel)).tobytes()).decode()
            packet = {"track": track, "chunk": str(chunk), "timestamp": str(first // 8), "payload": payload}
            messages.append({"event": "media", "sequenceNumber": str(next(number)), "media": packet, "streamSid": SID})
    keys = {"event": "dtmf", "streamSid": SID, "sequenceNumber": "5", "dtmf": {"track": "inbound_track", "digit": "1"}}
    mark = {"event": "mark", "sequenceNumber": "4", "streamSid": SID, "mark": {"name": "my label"}}
    return [*messages[:400], keys, mark, *messages[400:]]


STOP = {"event": "stop", "sequenceNumber": "5", "stop": {"accountSid": "AC0", "callSid": "CA0"}, "streamSid": SID}


def replay(address, messages, pause=0.0):
    """Send messages, with a pause after each; gives what was said until the server closed, and its code and reason."""
    said = []
    with connect(f"ws://{address}/v1/realtime/media", max_size=None) as socket:
        with suppress(ConnectionClosed):
            for message in messages:
                socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
                time.sleep(pause)
        with suppress(ConnectionClosed):
            while True:
                said.append(json.loads(socket.recv(timeout=30)))
        return said, (socket.protocol.close_code, socket.protocol.close_reason)


def is_left(app):
    """Tell whether the server comes to have no call; a message that is too long is closed before the server hears of it."""
    for _ in range(100):
        if not app.state.server.access.calls:
            return True
        time.sleep(0.1)
    return False


def test_a_recorded_stream_is_heard(address, media):
    said, closed = replay(address, [*start(), *media, STOP], pause=0.004)  # nothing partial is said while there is more to hear
    assert closed == (1000, "") and {(one["event"], one["streamSid"]) for one in said} == {("transcript", SID)}
    told = [one["transcript"] for one in said]
    finals = {one["channel"]: one["segment"]["text"] for one in reversed(told) if one["type"] == "final"}
    assert finals["outbound"].startswith("good morning") and "internet" in finals["inbound"]
    assert {"type": "dtmf", "channel": "inbound", "digit": "1"}.items() <= next(o for o in told if o["type"] == "dtmf").items()
    assert {one["type"] for one in told} >= {"final", "partial", "end_of_turn"}


def test_parameters_name_model_and_terms(address, media):
    said, _ = replay(address, [*start(model="other", hotwords="good morning => Good Morning"), *media, STOP])
    assert any("Good Morning" in str(one) for one in said)


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (["{"], 1003, "not JSON"),
        (["[1]"], 1003, "no JSON object"),
        ([b"\xff\xfe"], 1003, "not JSON"),
        (["[" * 50_000], 1003, "not JSON"),
        ([{"event": "media"}], 1003, "expected connected, then start"),
        ([{"event": "start"}], 1003, "start is None; expected an object"),
        ([{"event": "start", "start": {"mediaFormat": {"encoding": "opus"}}}], 1003, "expected audio/x-mulaw"),
        ([*start(model="gpt")], 1008, "no model 'gpt'"),
        ([*start(hotwords="日本")], 1008, "problem"),
        ([*start(), {"event": "hello"}], 1003, "expected media, dtmf, mark or stop"),
        ([*start(), {"event": "media", "media": {"payload": "%%%"}}], 1003, "base64"),
        ([*start(), {"event": "media", "media": {"payload": "", "timestamp": {}}}], 1003, "milliseconds"),
        ([*start(), {"event": "media", "media": {"payload": "", "timestamp": "nan"}}], 1003, "milliseconds"),
        ([*start(), {"event": "media", "media": {"track": "both", "payload": ""}}], 1003, "expected inbound, outbound"),
        ([*start(), {"event": "media", "media": {"payload": "A" * 140_000}}], 1009, None),
    ],
)
def test_a_stream_that_goes_wrong_is_closed_and_told_why(served, messages, code, reason):
    address, app = served
    said, closed = replay(address, messages)
    assert closed[0] == code and (reason is None or reason in closed[1]), closed
    assert said == [] and is_left(app)


def test_a_model_that_fails_ends_the_call_and_says_so(served, media, monkeypatch):
    address, app = served

    def fail(*_, **__):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(app.state.server.shelf.get("tiny")._recogniser, "answers", fail)
    _, closed = replay(address, [*start(), *media])  # and no stop: the client would go on for hours
    assert closed == (1011, "the server failed; what was said since is lost")
    assert is_left(app)


def test_a_caller_who_vanishes_leaves_nothing_behind(served, media):
    address, app = served
    socket = connect(f"ws://{address}/v1/realtime/media")
    for message in [*start(), *media[:300]]:
        socket.send(json.dumps(message))
    socket.socket.close()  # no closing handshake
    assert is_left(app)


def test_keys_numbers_of_calls_and_redaction(media):
    with running(api_keys=frozenset({"right"}), max_calls=1, redact=True) as (address, _):
        assert replay(address, start(api_key="wrong"))[1][0] == 1008
        with connect(f"ws://{address}/v1/realtime/media") as first:
            for message in start(api_key="right"):
                first.send(json.dumps(message))
            first.send(json.dumps({"event": "mark"}))
            for _ in range(50):
                code, _ = replay(address, [*start(api_key="right"), STOP])[1]
                if code == 1013:
                    break
            assert code == 1013
            first.send(json.dumps(STOP))
            with pytest.raises(ConnectionClosed):
                first.recv(timeout=20)
        said, _ = replay(address, [*start(api_key="right"), *media, STOP])
        assert all(one["transcript"]["stable"] == "" for one in said if one["transcript"]["type"] == "partial")


def test_who_says_nothing_is_not_waited_for(media):
    with running(body_seconds=0.5) as (address, app):
        assert replay(address, start())[1] == (1008, "nothing came for too long")
        assert app.state.server.access.calls == 0
