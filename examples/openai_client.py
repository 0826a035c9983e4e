"""The official OpenAI client against your own model: `pip install openai 'speechxfer[serve]'`.

    python examples/openai_client.py [ADDRESS [FILE]]

Without arguments it starts a server with the model of the package, for as long as it takes. Any program that asks OpenAI for
transcripts does the same once its `base_url` is changed.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from openai import OpenAI


@contextmanager
def server() -> Iterator[str]:
    """Start `speechxfer serve`; gives its address."""
    command = [sys.executable, "-m", "speechxfer", "serve", "--model", "tiny", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().split()[-1]
        finally:
            process.terminate()


def transcribe(address: str, file: Path) -> None:
    """Ask for subtitles, and for the text as it comes."""
    client = OpenAI(base_url=f"{address}/v1", api_key="none")
    model = client.models.list().data[0].id
    print(client.audio.transcriptions.create(model=model, file=file, response_format="srt")[:400])
    for event in client.audio.transcriptions.create(model=model, file=file, stream=True, extra_body={"channels": "split"}):
        if event.type == "transcript.text.delta":
            print(event.delta, flush=True)


address, file = [*sys.argv[1:], None, None][:2]
recording = Path(file or str(files("speechxfer") / "assets/demo/call.flac"))
if address:
    transcribe(address, recording)
else:
    with server() as started:
        transcribe(started, recording)
