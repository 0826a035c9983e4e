"""From two-channel calls to one JSON row each: who said what and when, and which products, wishes and commands were named.

    python examples/call_center_pipeline.py [--model MODEL] [--commands COMMANDS] [CALL...] > calls.jsonl

Without arguments: the call and the model that come with the package. A term is listened for as it is spoken, and written as you
like. COMMANDS are what `speechxfer commands enrol` wrote: they are found by their sound, not in the text.
"""

import argparse
import json
import sys
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from speechxfer import CommandRecognizer, Transcriber
from speechxfer.commands import spot_commands
from speechxfer.errors import AudioError
from speechxfer.transcript import Transcript

ROLES = ("agent", "customer")
TERMS = {
    "product": ["router", "small package => Small Package", "telephone number", "internet connection"],
    "wish": ["cancel => cancellation", "refund", "technician", "nine one one => 911"],
}


def row(call: Transcript) -> dict[str, Any]:
    """Give what is kept of a call."""
    named = {kind: [term.rpartition("=> ")[2] for term in terms] for kind, terms in TERMS.items()}
    return {
        "call": Path(call.audio).name,
        "seconds": call.duration,
        "turns": [{"start": turn.start, "who": turn.role, "text": turn.text} for turn in call.segments],
        "found": [
            {"kind": kind, "term": term, "who": turn.role, "at": turn.start}
            for turn in call.segments
            for kind, terms in named.items()
            for term in terms
            if f" {term} " in f" {turn.text} "
        ],
        "problems": call.problems,
    }


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("calls", nargs="*", default=[str(Path(str(files("speechxfer"))) / "assets" / "demo" / "call.flac")])
parser.add_argument("--model", default="tiny")
parser.add_argument("--commands")
given = parser.parse_args()

hotwords = [term for terms in TERMS.values() for term in terms]
transcriber = Transcriber(given.model, channels="split", roles=ROLES, hotwords=hotwords)
recognizer = CommandRecognizer.from_pretrained(given.commands) if given.commands else None
for call in transcriber.transcribe_all(given.calls):
    if isinstance(call, AudioError):
        print(call, file=sys.stderr)
        continue
    commands = [asdict(one) for one in spot_commands(recognizer, call.audio, "split", ROLES)] if recognizer else []
    print(json.dumps(row(call) | {"commands": commands}), flush=True)
