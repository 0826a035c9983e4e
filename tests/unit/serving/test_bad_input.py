"""A thousand broken requests and streams: each is refused or served, none is an error of the server, and it goes on."""

import base64
import http.client
import json
import socket
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

EXAMPLES = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
STATUSES: Counter[int] = Counter()

NAMES = ["file", "model", "response_format", "language", "temperature", "stream", "prompt", "hotwords", "channels"]
NAMES += ["timestamp_granularities[]", "include[]", "", "file[]", "\x00"]
FILE_NAMES = [
    "../../../etc/passwd",
    "x.wav",
    "..\\..\\x",
    "/dev/zero",
    "",
    "a" * 5000,
    "x\x00.wav",
    "%00",
    "日本.wav",
    '"; name="model',
]
VALUES = st.one_of(
    st.sampled_from(["tiny", "json", "verbose_json", "srt", "true", "1e999", "-1", "nan", "word", "split", "en", "../..", "0"]),
    st.text(max_size=40),
)
PARTS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.one_of(st.none(), st.sampled_from(FILE_NAMES)),
        st.one_of(VALUES.map(lambda text: text.encode("utf-8", "replace")), st.binary(max_size=200), st.just(b"SILENCE")),
    ),
    max_size=8,
)
FIELDS = st.lists(
    st.tuples(st.sampled_from(NAMES[1:9]), st.none(), VALUES.map(lambda text: text.encode("utf-8", "replace"))), max_size=3
)
# A recording under any name, with fields that may be right; these get as far as the model.
RECORDINGS = st.builds(lambda name, fields: [("file", name, b"SILENCE"), *fields], st.sampled_from(FILE_NAMES), FIELDS)
CONTENT_TYPES = st.one_of(
    *[st.just("multipart/form-data; boundary=b")] * 4,
    st.sampled_from(
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=" + "b" * 300,
            "multipart/form-data; boundary=b; charset=utf-99",
            "multipart/form-data; charset=utf-16; boundary=b",
            "multipart/mixed; boundary=b",
            "application/json",
            "application/x-www-form-urlencoded",
            "",
        ]
    ),
)


def multipart(parts, silence):
    body = b""
    for name, file_name, content in parts:
        described = f'form-data; name="{name}"' + ("" if file_name is None else f'; filename="{file_name}"')
        body += b"--b\r\nContent-Disposition: " + described.encode() + b"\r\n\r\n"
        body += (silence if content == b"SILENCE" else content) + b"\r\n"
    return body + b"--b--\r\n"


def answer(address, method, path, body=b"", headers=()):
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    STATUSES[response.status] += 1
    return response.status, content


@settings(max_examples=650, **EXAMPLES)
@given(parts=st.one_of(PARTS, RECORDINGS), content_type=CONTENT_TYPES, cut=st.one_of(*[st.none()] * 4, st.integers(0, 300)))
def test_uploads(address, silence, parts, content_type, cut):
    body = multipart(parts, silence)[:cut]
    status, content = answer(address, "POST", "/v1/audio/transcriptions", body, [("Content-Type", content_type)])
    assert status in (200, 400, 404, 413), content
    if status != 200:
        assert json.loads(content)["error"]["message"]


@settings(max_examples=250, **EXAMPLES)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "NONSENSE"]),
    path=st.one_of(
        st.sampled_from(
            ["/", "/v1/models", "/v1/audio/transcriptions", "/healthz", "/metrics", "/page.js", "/v1/realtime/media"]
        ),
        st.sampled_from(["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page.js/..%2f..%2fapp.py", "//", "/v1/models/%00"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60).map(lambda text: f"/{text}"),
    ),
    body=st.binary(max_size=100),
)
def test_paths(address, method, path, body):
    status, content = answer(address, method, path, body)
    assert status < 500 and b"root:" not in content and b"import " not in content


VALUES_OF_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
MEDIA = st.fixed_dictionaries(
    {},
    optional={
        "track": st.one_of(st.sampled_from(["inbound", "outbound"]), VALUES_OF_JSON),
        "timestamp": st.one_of(st.integers(-10, 10**12).map(str), VALUES_OF_JSON),
        "payload": st.one_of(st.binary(max_size=400).map(lambda raw: base64.b64encode(raw).decode()), VALUES_OF_JSON),
    },
)
START = st.fixed_dictionaries(
    {},
    optional={
        "mediaFormat": VALUES_OF_JSON,
        "tracks": VALUES_OF_JSON,
        "customParameters": st.one_of(
            VALUES_OF_JSON,
            st.fixed_dictionaries(
                {}, optional={"model": VALUES_OF_JSON, "hotwords": st.text(max_size=30), "api_key": VALUES_OF_JSON}
            ),
        ),
    },
)
MESSAGE = st.one_of(
    st.fixed_dictionaries({"event": st.just("media"), "media": st.one_of(MEDIA, MEDIA, MEDIA, VALUES_OF_JSON)}),
    st.fixed_dictionaries({"event": st.just("dtmf"), "dtmf": VALUES_OF_JSON}),
    st.fixed_dictionaries({"event": st.just("start"), "start": st.one_of(START, VALUES_OF_JSON)}),
    st.fixed_dictionaries({"event": VALUES_OF_JSON}),
    VALUES_OF_JSON,
).map(json.dumps)


@settings(max_examples=150, **EXAMPLES)
@given(
    begins=st.booleans(),
    messages=st.lists(st.one_of(MESSAGE, MESSAGE, MESSAGE, st.text(max_size=20), st.binary(max_size=20)), max_size=6),
    how=st.sampled_from(["stop", "vanish", "close"]),
)
def test_streams(address, begins, messages, how):
    beginning = [json.dumps({"event": "start", "start": {}})] if begins else []
    socket_ = connect(f"ws://{address}/v1/realtime/media")
    try:
        for message in [*beginning, *messages]:
            socket_.send(message)
        if how == "vanish":
            socket_.socket.close()
            return
        if how == "close":
            socket_.close()
            return
        socket_.send('{"event": "stop"}')
        while True:
            socket_.recv(timeout=20)
    except ConnectionClosed as closed:
        # 1011 would be an error of the server.
        assert closed.rcvd and closed.rcvd.code in (1000, 1003, 1008), closed


@pytest.mark.parametrize(
    "frame",
    [
        b"\x83\x80\x00\x00\x00\x00",  # a reserved opcode
        b"\xf1\x80\x00\x00\x00\x00",  # reserved bits
        b"\x81\x05hello",  # not masked
        b"\x89\xfe\x00\xff" + b"\x00" * 259,  # a ping that is too long
        b"\x81\xff" + b"\xff" * 8 + b"\x00" * 4,  # a frame of 16 exabytes
        b"\x81\x82\x00\x00\x00\x00\xff\xfe",  # text that is not UTF-8
    ],
)
def test_broken_frames_close_the_connection(address, frame):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(
            b"GET /v1/realtime/media HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b"101" in raw.recv(4096)
        raw.sendall(frame)
        received = b"".join(iter(lambda: raw.recv(4096), b""))  # ends: the server hangs up
        assert received[:1] == b"\x88"


def test_slow_clients_keep_nobody_out(address, silence):
    host, port = address.split(":")
    slow = [socket.create_connection((host, int(port)), timeout=20) for _ in range(60)]
    for number, one in enumerate(slow):
        request = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        one.sendall(request + (b"" if number % 2 else b"X-Slow: "))
    parts = [("file", "x.wav", b"SILENCE")]
    content_type = [("Content-Type", "multipart/form-data; boundary=b")]
    assert answer(address, "POST", "/v1/audio/transcriptions", multipart(parts, silence), content_type)[0] == 200
    for one in slow:
        one.close()


def test_it_still_works_and_nothing_is_under_way(served, silence):
    address, app = served
    parts = [("file", "../../x.wav", b"SILENCE"), ("model", None, b"tiny")]
    content_type = [("Content-Type", "multipart/form-data; boundary=b")]
    status, content = answer(address, "POST", "/v1/audio/transcriptions", multipart(parts, silence), content_type)
    assert (status, json.loads(content)["text"]) == (200, "")
    assert app.state.server.access.under_way == 0
    assert STATUSES[500] == 0 and STATUSES[200] > 20 and STATUSES[400] > 200, STATUSES
