"""From files to utterances, samples, texts and batches; knows nothing of models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "RECORDING_SUFFIXES": "speechxfer.data.suffixes",
    "AudioSource": "speechxfer.data.stream",
    "AudioInfo": "speechxfer.data.audio",
    "Manifest": "speechxfer.data.manifest",
    "SPOKEN_RATE": "speechxfer.data.synthesis",
    "STANDARD_COLUMNS": "speechxfer.data.manifest",
    "StreamResampler": "speechxfer.data.stream",
    "Samples": "speechxfer.data.audio",
    "Part": "speechxfer.data.spread",
    "Result": "speechxfer.data.spread",
    "SpeechRequest": "speechxfer.data.synthesis",
    "Spread": "speechxfer.data.spread",
    "TARGET_COLUMN": "speechxfer.data.check",
    "VAD_FRAME": "speechxfer.data.vad",
    "VAD_RATE": "speechxfer.data.vad",
    "VoiceActivity": "speechxfer.data.vad",
    "Utterance": "speechxfer.data.utterance",
    "Vocabulary": "speechxfer.data.vocabulary",
    "Waveform": "speechxfer.data.utterance",
    "WaveformAugmenter": "speechxfer.data.augment",
    "dataset_columns": "speechxfer.data.formats.hub",
    "decode_alaw": "speechxfer.data.g711",
    "decode_ulaw": "speechxfer.data.g711",
    "draw_stretches": "speechxfer.data.stretches",
    "encode_alaw": "speechxfer.data.g711",
    "encode_ulaw": "speechxfer.data.g711",
    "check_sets": "speechxfer.data.check",
    "exists": "speechxfer.data.storage",
    "fetch": "speechxfer.data.storage",
    "is_remote": "speechxfer.data.storage",
    "list_files": "speechxfer.data.storage",
    "load_audio": "speechxfer.data.audio",
    "match_files": "speechxfer.data.storage",
    "named_sets": "speechxfer.data.splits",
    "has_words_apart": "speechxfer.data.text",
    "normalise": "speechxfer.data.text",
    "normalise_answer": "speechxfer.data.text",
    "normaliser_of": "speechxfer.data.text",
    "parse_manifest": "speechxfer.data.manifest",
    "plan_batches": "speechxfer.data.batching",
    "probe": "speechxfer.data.audio",
    "read_manifest": "speechxfer.data.manifest",
    "read_sentences": "speechxfer.data.sentences",
    "read_sets": "speechxfer.data.splits",
    "read_text": "speechxfer.data.storage",
    "refuse": "speechxfer.data.check",
    "remove": "speechxfer.data.storage",
    "resample": "speechxfer.data.audio",
    "sift_sets": "speechxfer.data.check",
    "split_manifest": "speechxfer.data.splits",
    "source_name": "speechxfer.data.stream",
    "speak": "speechxfer.data.synthesis",
    "stream_audio": "speechxfer.data.stream",
    "write_whole": "speechxfer.data.storage",
    "write_manifest": "speechxfer.data.manifest",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.data.audio import AudioInfo as AudioInfo
    from speechxfer.data.audio import Samples as Samples
    from speechxfer.data.audio import load_audio as load_audio
    from speechxfer.data.audio import probe as probe
    from speechxfer.data.audio import resample as resample
    from speechxfer.data.augment import WaveformAugmenter as WaveformAugmenter
    from speechxfer.data.batching import plan_batches as plan_batches
    from speechxfer.data.check import TARGET_COLUMN as TARGET_COLUMN
    from speechxfer.data.check import check_sets as check_sets
    from speechxfer.data.check import refuse as refuse
    from speechxfer.data.check import sift_sets as sift_sets
    from speechxfer.data.formats.hub import dataset_columns as dataset_columns
    from speechxfer.data.g711 import decode_alaw as decode_alaw
    from speechxfer.data.g711 import decode_ulaw as decode_ulaw
    from speechxfer.data.g711 import encode_alaw as encode_alaw
    from speechxfer.data.g711 import encode_ulaw as encode_ulaw
    from speechxfer.data.manifest import STANDARD_COLUMNS as STANDARD_COLUMNS
    from speechxfer.data.manifest import Manifest as Manifest
    from speechxfer.data.manifest import parse_manifest as parse_manifest
    from speechxfer.data.manifest import read_manifest as read_manifest
    from speechxfer.data.manifest import write_manifest as write_manifest
    from speechxfer.data.sentences import read_sentences as read_sentences
    from speechxfer.data.splits import named_sets as named_sets
    from speechxfer.data.splits import read_sets as read_sets
    from speechxfer.data.splits import split_manifest as split_manifest
    from speechxfer.data.spread import Part as Part
    from speechxfer.data.spread import Result as Result
    from speechxfer.data.spread import Spread as Spread
    from speechxfer.data.storage import exists as exists
    from speechxfer.data.storage import fetch as fetch
    from speechxfer.data.storage import is_remote as is_remote
    from speechxfer.data.storage import list_files as list_files
    from speechxfer.data.storage import match_files as match_files
    from speechxfer.data.storage import read_text as read_text
    from speechxfer.data.storage import remove as remove
    from speechxfer.data.storage import write_whole as write_whole
    from speechxfer.data.stream import AudioSource as AudioSource
    from speechxfer.data.stream import StreamResampler as StreamResampler
    from speechxfer.data.stream import source_name as source_name
    from speechxfer.data.stream import stream_audio as stream_audio
    from speechxfer.data.stretches import draw_stretches as draw_stretches
    from speechxfer.data.suffixes import RECORDING_SUFFIXES as RECORDING_SUFFIXES
    from speechxfer.data.synthesis import SPOKEN_RATE as SPOKEN_RATE
    from speechxfer.data.synthesis import SpeechRequest as SpeechRequest
    from speechxfer.data.synthesis import speak as speak
    from speechxfer.data.text import has_words_apart as has_words_apart
    from speechxfer.data.text import normalise as normalise
    from speechxfer.data.text import normalise_answer as normalise_answer
    from speechxfer.data.text import normaliser_of as normaliser_of
    from speechxfer.data.utterance import Utterance as Utterance
    from speechxfer.data.utterance import Waveform as Waveform
    from speechxfer.data.vad import VAD_FRAME as VAD_FRAME
    from speechxfer.data.vad import VAD_RATE as VAD_RATE
    from speechxfer.data.vad import VoiceActivity as VoiceActivity
    from speechxfer.data.vocabulary import Vocabulary as Vocabulary


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
