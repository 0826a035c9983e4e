"""Keys: whatever features depend on, changed alone, is a miss; what they do not depend on is a hit."""

import os
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from speechxfer.data import Utterance, Vocabulary, WaveformAugmenter
from speechxfer.errors import AudioError, StoreError
from speechxfer.features import Item, keys
from speechxfer.features.keys import AudioContents, FeatureKeys
from speechxfer.models import SplitModel, new_head, set_trainable
from speechxfer.recipe import AugmentSection

RATE = 16_000


@pytest.fixture
def clip(tmp_path):
    """Write a stereo clip that is old enough to be trusted."""
    path = tmp_path / "clip.wav"
    write(path, 0)
    return path


def write(path, seed, age=10.0):
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, (RATE, 2)), RATE, subtype="PCM_16")
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


@pytest.fixture
def key(small_models, clip, tmp_path):
    """Give a function from changes to the key of one item."""
    noise = tmp_path / "noise.wav"
    write(noise, 9)

    def make(
        *,
        name="wav2vec2-layer",
        task="ctc",
        train="head",
        change=lambda model: None,
        precision="fp32",
        dtype="float16",
        view=None,
        augment=None,
        seed=0,
        **fields,
    ):
        vocabulary = Vocabulary(("a", "b")) if task == "ctc" else None
        made = new_head(small_models[name], task, vocabulary=vocabulary, labels=("x", "y"))
        change(made.model)
        set_trainable(made.model, made.family, train)
        split = SplitModel(made.model, made.family)
        section = AugmentSection.model_validate({"views": 3, "speed": [1.0, 0.9]} | (augment or {}))
        augmenter = WaveformAugmenter(section, RATE, seed, [Utterance("noise", str(noise))] if section.noise else [])
        contents = AudioContents(tmp_path / "audio.sqlite")
        utterance = replace(Utterance("clip", str(clip)), **fields)
        result = FeatureKeys(split, made.frontend, precision, getattr(torch, dtype), augmenter, contents)(
            Item(utterance, 1.0, view)
        )
        contents.close()
        return result

    return make


def other_weights(model):
    with torch.no_grad():
        model.base_model.feature_projection.projection.bias[0] += 1e-6


def other_eps(model):
    model.base_model.config.layer_norm_eps *= 2


def other_heads(model):
    model.base_model.config.num_attention_heads = 4


def other_kernel(model):
    model.config._attn_implementation = "eager" if model.config._attn_implementation != "eager" else "sdpa"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "wav2vec2-group"},
        {"name": "whisper"},
        {"change": other_weights},
        {"change": other_eps},
        {"change": other_heads},
        {"change": other_kernel},
        {"train": "top:1"},
        {"train": "top:2"},
        {"precision": "bf16"},
        {"dtype": "float32"},
        {"channel": 0},
        {"channel": 1},
        {"start": 0.25},
        {"end": 0.5},
        {"view": 1},
    ],
)
def test_each_cause_changed_alone_is_a_miss(key, changes):
    assert key(**changes) != key()


def test_what_features_do_not_depend_on_is_a_hit(key):
    assert key() == key() == key(id="another name", text="another text", label="z")
    # The head and its labels lie above the cut; below it, all that counts is whether the head takes means.
    assert key(task="classification", train="top:1") == key(train="top:1")
    assert key(task="classification") != key()
    assert key(view=0) == key(view=0, seed=5) == key(view=0, id="another name")  # a speed is not chance
    assert key(end=0.5) == key(end=0.5 + 1e-9)  # the same samples


def test_chance_and_the_content_of_noises_belong_to_a_view(key, tmp_path):
    noisy = {"view": 0, "augment": {"noise": {"manifest": "not read here"}}}
    first = key(**noisy)
    assert first == key(**noisy) != key(view=0)
    assert len({first, key(**noisy, seed=1), key(**noisy, id="another"), key(**{**noisy, "view": 2})}) == 4
    assert first != key(view=0, augment={"noise": {"manifest": "not read here", "snr_db": [0, 5]}})
    write(tmp_path / "noise.wav", 10)
    assert first != key(**noisy)


def test_another_library_or_other_code_is_a_miss(key, monkeypatch):
    before = key()
    with monkeypatch.context() as patched:
        patched.setattr(keys, "version", lambda package: "0.0" if package == "torchaudio" else "1")
        other = key()
        patched.setattr(keys, "version", lambda package: "1")
        assert len({before, other, key()}) == 3
    monkeypatch.setattr(keys, "_code_digest", lambda: b"changed")
    assert key() != before


def test_a_changed_file_is_a_miss_however_alike_it_looks(key, clip):
    before, status = key(), clip.stat()
    write(clip, 1)
    os.utime(clip, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert clip.stat().st_size == status.st_size and clip.stat().st_mtime_ns == status.st_mtime_ns
    assert key() != before
    write(clip, 0)
    assert key() == before  # the content is what counts
    shutil.move(clip, clip.with_name("moved.wav"))
    assert key(audio=str(clip.with_name("moved.wav"))) == before
    with pytest.raises(AudioError, match=r"[Nn]o such file"):
        key()


def test_only_files_that_cannot_have_changed_unseen_are_remembered(clip, tmp_path, monkeypatch):
    reads = []
    real = keys._hash_file
    monkeypatch.setattr(keys, "_hash_file", lambda *given: reads.append(given) or real(*given))
    contents, utterance = AudioContents(tmp_path / "audio.sqlite"), Utterance("clip", str(clip))
    later = keys.time.time() + 60
    for expected in (1, 2):  # its change is younger than two seconds
        contents.digest(utterance, RATE)
        assert len(reads) == expected
    monkeypatch.setattr(keys.time, "time", lambda: later)
    digests = {contents.digest(utterance, RATE) for _ in range(3)}
    assert len(digests) == 1 and len(reads) == 3
    contents.close()
    again = AudioContents(tmp_path / "audio.sqlite")
    assert again.digest(utterance, RATE) in digests and len(reads) == 3
    assert sqlite3.connect(tmp_path / "audio.sqlite").execute("SELECT count(*) FROM contents").fetchone() == (1,)


def test_a_long_recording_is_read_once_for_all_its_stretches(clip, tmp_path, monkeypatch):
    reads = []
    real = keys._hash_file
    monkeypatch.setattr(keys, "_hash_file", lambda *given: reads.append(given) or real(*given))
    later = keys.time.time() + 60
    monkeypatch.setattr(keys.time, "time", lambda: later)
    contents = AudioContents(tmp_path / "audio.sqlite")
    stretches = [Utterance("clip", str(clip), start=number / 10, end=number / 10 + 0.1) for number in range(9)]
    assert len({contents.digest(one, RATE) for one in stretches}) == 9 and len(reads) == 1
    write(clip, 1)
    assert contents.digest(stretches[0], RATE) != AudioContents(tmp_path / "other.sqlite").digest(stretches[1], RATE)
    assert len(reads) == 3


def test_a_damaged_memory_of_contents_is_named(clip, tmp_path):
    (tmp_path / "audio.sqlite").write_bytes(b"not a database, but long enough to look at" * 30)
    with pytest.raises(StoreError, match=r"audio.sqlite: .*remove it"):
        AudioContents(tmp_path / "audio.sqlite")
    with pytest.raises(StoreError, match=r"audio.sqlite"):
        AudioContents(tmp_path / "nowhere/audio.sqlite")
