"""The official OpenAI client, and curl, against the server: every format, streaming, and what goes wrong."""

import asyncio
import json
import shutil
import subprocess

import openai
import pytest

from speechxfer import Transcriber
from speechxfer.transcription import render
from tests.unit.serving.conftest import running


@pytest.fixture(scope="module")
def client(address):
    with openai.OpenAI(base_url=f"http://{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def expected(clip):
    return Transcriber("tiny", precision="fp32").transcribe(clip)


def ask(client, clip, **options):
    with clip.open("rb") as file:
        return client.audio.transcriptions.create(file=file, **{"model": "tiny"} | options)


def test_text_of_every_format(client, clip, expected):
    assert ask(client, clip).text == expected.text != ""
    assert ask(client, clip, response_format="text").strip() == expected.text
    assert ask(client, clip, response_format="srt") == render(expected, "srt")
    assert ask(client, clip, response_format="vtt") == render(expected, "vtt")


def test_segments_and_words_have_times(client, clip, expected):
    heard = ask(
        client, clip, response_format="verbose_json", language="en", temperature=0, timestamp_granularities=["segment", "word"]
    )
    assert (heard.text, heard.language, heard.duration) == (expected.text, "en", pytest.approx(8.0, abs=0.05))
    assert [(one.text, one.start, one.end) for one in heard.segments] == [(s.text, s.start, s.end) for s in expected.segments]
    words = [word for segment in expected.segments for word in segment.words]
    assert [(one.word, one.start, one.end) for one in heard.words] == [(word.text, word.start, word.end) for word in words]
    assert ask(client, clip, response_format="verbose_json").words is None


def test_streamed_pieces_are_the_whole(client, clip, expected):
    events = [*ask(client, clip, stream=True)]
    assert [event.type for event in events[:-1]] == ["transcript.text.delta"] * len(expected.segments)
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == expected.text
    assert events[-1].type == "transcript.text.done"


def test_many_at_once_by_the_asyncio_client(address, clip, expected):
    async def main():
        async with openai.AsyncOpenAI(base_url=f"http://{address}/v1", api_key="none", max_retries=0) as client:
            content = clip.read_bytes()
            create = client.audio.transcriptions.create
            heard = await asyncio.gather(*(create(file=("clip.wav", content), model=name) for name in ["tiny", "other"] * 2))
            stream = await create(file=("clip.wav", content), model="tiny", stream=True)
            return [one.text for one in heard] + [event.text async for event in stream if event.type.endswith("done")]

    assert asyncio.run(main()) == [expected.text] * 5


def test_each_channel_by_itself_and_terms(client, clip):
    own = {"channels": "split", "hotwords": "good morning => Good Morning"}
    heard = ask(client, clip, response_format="verbose_json", extra_body=own)
    assert {segment.channel for segment in heard.segments} == {0, 1} and "Good Morning" in heard.text
    assert "internet connection" in ask(client, clip, prompt="Internet connection, xyz123").text


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["tiny", "other"]
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.models.retrieve("../../etc/passwd")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "gpt-4o-transcribe"}, openai.NotFoundError, "there are tiny, other"),
        ({"response_format": "diarized_json"}, openai.BadRequestError, "expected json, text, srt, verbose_json, vtt"),
        ({"temperature": 7}, openai.BadRequestError, "from 0 to 1"),
        ({"language": "en; drop"}, openai.BadRequestError, "a code such as en"),
        ({"timestamp_granularities": ["word"]}, openai.BadRequestError, "needs response_format verbose_json"),
        ({"stream": True, "response_format": "srt"}, openai.BadRequestError, "stream needs"),
        ({"extra_body": {"hotwords": "naïve 日本"}}, openai.BadRequestError, "cannot spell"),
    ],
)
def test_wrong_values_are_named(client, clip, options, error, message):
    with pytest.raises(error, match=message):
        ask(client, clip, **options)


def test_what_is_no_audio_is_refused(client):
    for content in (b"", b"no audio at all", b"RIFF\xff\xff\xff\xffWAVEfmt "):
        with pytest.raises(openai.BadRequestError):
            client.audio.transcriptions.create(file=("../../x.wav", content), model="tiny")
    with pytest.raises(openai.BadRequestError):
        [*client.audio.transcriptions.create(file=("x.wav", b"no audio"), model="tiny", stream=True)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
def test_curl(address, clip, expected):
    url = f"http://{address}/v1/audio/transcriptions"
    done = subprocess.run(["curl", "-sS", url, "-F", f"file=@{clip}", "-F", "model=tiny"], capture_output=True, check=True)
    assert json.loads(done.stdout)["text"] == expected.text


def test_keys_limits_and_redaction(clip, expected):
    limits = {"max_upload_mb": 0.5, "max_seconds": 9.0, "max_requests_per_client": 1}
    with running(api_keys=frozenset({"right"}), redact=True, **limits) as (address, app):
        url = f"http://{address}/v1"
        with pytest.raises(openai.AuthenticationError, match="no valid API key"):
            ask(openai.OpenAI(base_url=url, api_key="wrong", max_retries=0), clip)
        client = openai.OpenAI(base_url=url, api_key="right", max_retries=0)
        too_large = ("x.wav", b"0" * 600_000)
        with pytest.raises(openai.APIStatusError, match=r"larger than 0\.5 MB") as refused:
            client.audio.transcriptions.create(file=too_large, model="tiny")
        assert refused.value.status_code == 413
        with app.state.server.access.request("right"), pytest.raises(openai.RateLimitError, match="more than 1 requests"):
            ask(client, clip)
        app.state.server.access.draining = True
        with pytest.raises(openai.InternalServerError, match="about to stop"):
            ask(client, clip)
        app.state.server.access.draining = False
        assert ask(client, clip).text
        assert app.state.server.access.under_way == 0


def test_a_recording_that_is_too_long_is_refused(clip):
    with running(max_seconds=5.0) as (address, _):
        client = openai.OpenAI(base_url=f"http://{address}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.APIStatusError, match="expected at most 5 s") as refused:
            ask(client, clip)
        assert refused.value.status_code == 413
