"""Automatic customer service: a caller says a command, or presses a key, and is put through to a queue.

    python examples/ivr_router.py

Enrols three commands of the package's demo from its training speakers, then lets a speaker it never heard call. Your own commands
come from `speechxfer commands enrol`, see the README; whoever is not understood within ten seconds reaches a person.
"""

from importlib.resources import files

import numpy as np

from speechxfer import CommandRecognizer, read_manifest
from speechxfer.calls import Batcher, CallSession, CommandHeard, Dtmf, Event
from speechxfer.commands import enrol
from speechxfer.data import encode_ulaw, load_audio
from speechxfer.transcription import Recogniser

QUEUES = {"call home": "technical support", "set a timer": "appointments", "pause": "billing"}
KEYS = {"1": "technical support", "2": "appointments", "3": "billing"}
PERSON, PATIENCE_SECONDS = "a person", 10.0
RATE, PACKET = 8_000, 160


def queue_for(event: Event) -> str | None:
    """Give the queue that an event asks for."""
    if isinstance(event, CommandHeard):
        return QUEUES[event.command]
    return KEYS.get(event.digit) if isinstance(event, Dtmf) else None


def route(session: CallSession, audio: bytes, keys: dict[float, str]) -> tuple[str, float]:
    """Listen until the caller has said where to; gives the queue and the second when it was known."""
    for first in range(0, len(audio), PACKET):
        time = first / RATE
        events = session.push("caller", audio[first : first + PACKET], time)
        if time in keys:
            events += session.dtmf("caller", keys[time], time)
        for event in events:
            if queue := queue_for(event):
                return queue, time
        if time >= PATIENCE_SECONDS:
            return PERSON, time
    found = (queue for event in session.finish() if (queue := queue_for(event)))
    return next(found, PERSON), len(audio) / RATE


def spoken(clip: np.ndarray) -> bytes:
    """Make a call of it: a second of silence, what is said, two seconds of silence."""
    quiet = np.random.default_rng(0).normal(0, 1e-4, RATE)
    return encode_ulaw((32767 * np.concatenate([quiet, clip, quiet, quiet])).astype(np.int16)).tobytes()


commands = f"{files('speechxfer') / 'assets/demo/commands.csv'}"
train, test = (read_manifest(f"{commands}[split={name}]") for name in ("train", "test"))
examples = train.select([row for row, clip in enumerate(train) if clip.label in QUEUES])
recognizer = CommandRecognizer(enrol(examples, "tiny"))
batcher = Batcher(Recogniser("tiny"))
calls = {clip.label: spoken(load_audio(clip, RATE)) for clip in test if clip.label in QUEUES}
calls["(nothing)"] = bytes([0xFF]) * 12 * RATE
for said, audio in calls.items():
    queue, time = route(CallSession(batcher, channels=("caller",), commands=recognizer), audio, {})
    print(f"{said!r}: put through to {queue} after {time:.1f} s")
queue, time = route(CallSession(batcher, channels=("caller",), commands=recognizer), calls["(nothing)"], {2.0: "3"})
print(f"key 3: put through to {queue} after {time:.1f} s")
batcher.close()
