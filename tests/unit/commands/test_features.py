"""Statistics of all layers: against the encoder's own hidden states, and the same alone and in a batch."""

import numpy as np
import pytest
import torch

from speechxfer.commands import speech_in
from speechxfer.data import Utterance, Waveform
from speechxfer.features import StatisticsEncoder
from speechxfer.models import new_head

RATE = 16_000


def in_memory(clip):
    return Utterance(str(len(clip)), Waveform(clip, RATE), end=len(clip) / RATE)


def test_mean_and_deviation_of_every_layer(small_whisper, clips):
    (found,) = StatisticsEncoder(small_whisper, device="cpu", precision="fp32")([in_memory(clips[2])])
    model = new_head(small_whisper, "classification", labels=("any",), weighted_layer_sum=True)
    with torch.no_grad():
        inputs = model.frontend(clips[2]).T[None]
        states = model.model.base_model.eval()(inputs, output_hidden_states=True).hidden_states
    expected = [np.concatenate([one[0].mean(dim=0), one[0].std(dim=0, correction=0)]) for one in states]
    assert found == pytest.approx(np.stack(expected), abs=1e-4)


@pytest.mark.parametrize("name", ["whisper", "wav2vec2-group", "wav2vec2-layer"])
def test_a_clip_alone_equals_a_clip_in_a_batch(small_models, clips, name):
    encoder = StatisticsEncoder(small_models[name], device="cpu", precision="fp32")
    together = encoder([in_memory(clip) for clip in clips[1:]])
    alone = np.concatenate([encoder([in_memory(clip)]) for clip in clips[1:]])
    assert together == pytest.approx(alone, abs=1e-4)


def test_pauses_are_cut_and_silence_is_left_whole(sound_is_speech):
    sound = np.concatenate([np.zeros(RATE), np.full(RATE // 2, 0.3), np.zeros(RATE)]).astype(np.float32)
    cut = speech_in(in_memory(sound))
    assert 0.7 <= cut.start <= 0.8 and 1.7 <= cut.end <= 1.8
    whole = speech_in(in_memory(np.zeros(RATE, dtype=np.float32)))
    assert (whole.start, whole.end) == (0.0, 1.0)


def test_speech_in_the_background_is_cut(sound_is_speech):
    command, behind, quiet = np.full(RATE // 2, 0.9), np.full(RATE, 0.07), np.full(RATE // 4, 0.1)
    heard = speech_in(in_memory(np.concatenate([behind, command, behind]).astype(np.float32)))
    assert 0.7 <= heard.start <= 0.8 and 1.7 <= heard.end <= 1.8
    consonant = speech_in(in_memory(np.concatenate([np.zeros(RATE), command, quiet, np.zeros(RATE)]).astype(np.float32)))
    assert 0.7 <= consonant.start <= 0.8 and 1.9 <= consonant.end <= 2.0
