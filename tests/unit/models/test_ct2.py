"""A decoder that CTranslate2 runs writes what it wrote before, and says what it cannot do."""

from dataclasses import replace

import pytest

from speechxfer import Transcriber
from speechxfer.data import Vocabulary
from speechxfer.decoding import share_with_times, write
from speechxfer.errors import ModelError
from speechxfer.evaluation.answering import Recogniser
from speechxfer.models import (
    Features,
    collate,
    export_ctranslate2,
    export_onnx,
    for_inference,
    load_model,
    new_head,
)


@pytest.fixture(scope="module")
def exported(small_writer, tmp_path_factory):
    directory = tmp_path_factory.mktemp("exported")
    model = load_model(small_writer)
    export_ctranslate2(replace(model, frontend=model.frontend.in_context("adaptive"), normaliser="basic"), directory)
    return directory


def prepare(speech_model, clips):
    model, precision = for_inference(speech_model, "cpu", "auto" if speech_model.is_exported else "fp32")
    inputs = [speech_model.frontend(clip) for clip in clips]
    return model, model.prefix(collate([Features(one, len(one)) for one in inputs])), precision


@pytest.mark.parametrize("num_beams", [1, 3])
def test_it_writes_what_torch_writes_clips_of_all_lengths(small_writer, exported, clips, num_beams):
    ours = load_model(small_writer)
    ours = replace(ours, frontend=ours.frontend.in_context("adaptive"))
    theirs = load_model(exported)
    assert (theirs.frontend.context, theirs.normaliser, theirs.is_exported) == ("adaptive", "basic", True)
    texts = []
    for speech_model in (ours, theirs):
        model, features, precision = prepare(speech_model, clips)
        written = write(model, features, speech_model.tokens, precision, num_beams=num_beams, redraws=False)
        texts.append([one.text for one in written])
    assert len(set(texts[0])) > 1
    for ours_text, theirs_text in zip(*texts, strict=True):
        # Beams end by rules of their own; the likeliest token after token is the same, as long as there is room for the end.
        assert theirs_text
        assert num_beams > 1 or ours_text.startswith(theirs_text)


def test_words_have_times_within_the_clip(exported, clips):
    speech_model = load_model(exported)
    model, features, precision = prepare(speech_model, clips[2:])
    written = write(model, features, speech_model.tokens, precision, redraws=False)
    assert written == write(model, features, speech_model.tokens, precision, redraws=False)
    for segment in written:
        starts = [word.start for word in segment.words]
        assert starts == sorted(starts)
        assert all(0 <= word.start <= word.end <= segment.end + 0.02 for word in segment.words)
        assert all(0 < word.confidence <= 1 for word in segment.words)
    assert 0 <= share_with_times(model, features, speech_model.tokens) <= 1


def test_what_it_cannot_do_is_said(exported, small_writer, small_whisper, tmp_path):
    ctc = new_head(small_whisper, "ctc", vocabulary=Vocabulary(("a",)))
    with pytest.raises(ModelError, match="one of task ctc; take --to onnx"):
        export_ctranslate2(ctc, tmp_path)
    with pytest.raises(ModelError, match="goes --to ctranslate2"):
        export_onnx(load_model(small_writer), tmp_path)
    with pytest.raises(ModelError, match="exported already"):
        export_ctranslate2(load_model(exported), tmp_path)
    with pytest.raises(ModelError, match="expected fp32 or int8"):
        export_ctranslate2(load_model(small_writer), tmp_path, "int4")
    with pytest.raises(ModelError, match="exported as fp32"):
        for_inference(load_model(exported), precision="int8")
    with pytest.raises(ModelError, match="runs on the CPU"):
        for_inference(load_model(exported), device="cuda")


def test_a_damaged_export_is_named(exported, tmp_path):
    for file in exported.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(exported)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes()[: 1000 if file.name == "model.bin" else None])
    with pytest.raises(ModelError, match="CTranslate2 cannot open it"):
        load_model(tmp_path)


def test_whoever_wants_hotwords_is_told_before_anything_is_heard(exported):
    for engine in (Transcriber, Recogniser):
        with pytest.raises(ModelError, match="an exported model cannot listen for hotwords"):
            engine(exported, hotwords=["tone"])
