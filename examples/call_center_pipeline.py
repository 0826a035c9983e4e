"""From two-channel calls to one JSON row each: who said what and when, and which products and wishes were named.

    python examples/call_center_pipeline.py MODEL CALL... > calls.jsonl

Without arguments: the call and the model that come with the package. A term is listened for as it is spoken, and written as you
like.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

from speechxfer import Transcriber
from speechxfer.errors import AudioError
from speechxfer.transcript import Transcript

TERMS = {
    "product": ["router", "small package => Small Package", "telephone number", "internet connection"],
    "wish": ["cancel => cancellation", "refund", "technician", "nine one one => 911"],
}


def row(call: Transcript) -> dict:
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


model, *calls = sys.argv[1:] or ["tiny", str(Path(str(files("speechxfer"))) / "assets" / "demo" / "call.flac")]
hotwords = [term for terms in TERMS.values() for term in terms]
transcriber = Transcriber(model, channels="split", roles=("agent", "customer"), hotwords=hotwords)
for call in transcriber.transcribe_all(calls):
    if isinstance(call, AudioError):
        print(call, file=sys.stderr)
    else:
        print(json.dumps(row(call)), flush=True)
