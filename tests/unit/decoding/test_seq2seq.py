"""What a decoder writes does not depend on company; loops are cut; times come from where it looks."""

from dataclasses import replace

import pytest
import torch

from speechxfer.decoding import join_written, write
from speechxfer.decoding.answers import Answer, believed, without_loop
from speechxfer.decoding.cross_attention import attention_to_frames, token_times
from speechxfer.models import Features, SplitModel, collate, load_model
from speechxfer.transcript import Segment, Word


def prepare(directory, clips, context="adaptive"):
    speech_model = load_model(directory)
    split = SplitModel(speech_model.model.requires_grad_(False), speech_model.family).eval()
    frontend = speech_model.frontend.in_context(context)
    inputs = [frontend(clip) for clip in clips]
    features = split.prefix(collate([Features(part, len(part)) for part in inputs]))
    return split, features, speech_model.tokens


@pytest.mark.parametrize("num_beams", [1, 3])
def test_an_utterance_alone_is_written_as_in_a_batch(small_writer, clips, num_beams):
    split, features, tokens = prepare(small_writer, clips)
    together = write(split, features, tokens, num_beams=num_beams, times=True)
    alone = [write(split, [one], tokens, num_beams=num_beams, times=True)[0] for one in features]
    assert [segment.text for segment in together] == [segment.text for segment in alone]
    assert len({segment.text for segment in together}) > 1
    for one, other in zip(together, alone, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=2e-3)
        assert [word.start for word in one.words] == [word.start for word in other.words]
    again = write(split, features, tokens, num_beams=num_beams, times=True)
    assert again == together


def test_a_language_that_is_not_given_is_heard(small_polyglot, clips):
    split, features, tokens = prepare(small_polyglot, clips)
    with torch.no_grad():
        logits = split(collate(features[1:2]), torch.tensor([[tokens.start]]))[0, 0]
    heard = max(tokens.languages, key=lambda name: logits[tokens.languages[name]].item())
    assert write(split, features[1:2], tokens) == write(split, features[1:2], replace(tokens, language=heard))
    others = [write(split, features[1:2], replace(tokens, language=name)) for name in tokens.languages if name != heard]
    assert any(other != write(split, features[1:2], tokens) for other in others)
    assert [segment.language for segment in write(split, features[1:2], tokens)] == [heard]
    assert [segment.language for segment in write(split, features, tokens, language="ro")] == ["ro"] * len(clips)
    assert write(split, features, tokens, language="ro") == write(split, features, replace(tokens, language="ro"))


def test_an_only_language_is_not_told(small_writer, clips):
    split, features, tokens = prepare(small_writer, clips[1:2])
    assert [segment.language for segment in write(split, features, tokens, language="en")] == [None]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([9, 1, 2, 1, 2, 1, 2], [9, 1, 2]),
        ([5, 5, 5, 5], [5]),
        ([1, 2, 1, 2], [1, 2, 1, 2]),
        ([3, 3, 4], [3, 3, 4]),
        ([], []),
    ],
)
def test_what_is_said_over_and_over_at_the_end_is_left_once(answer, expected):
    assert without_loop(answer) == expected


class Scripted:
    """A writer that answers as it is told: first, then warmer and warmer."""

    def __init__(self, *answers):
        self.answers = answers
        self.temperatures = []

    def limit(self, row):
        return 12

    def generate(self, rows, temperature=0.0):
        self.temperatures.append(temperature)
        return [self.answers[min(len(self.temperatures), len(self.answers)) - 1][0]]

    def read(self, rows, answers):
        known = {tuple(tokens): log_prob for tokens, log_prob in self.answers}
        return [Answer(tokens, [known.get(tuple(tokens), -0.5)] * (len(tokens) + 1), []) for tokens in answers]


@pytest.mark.parametrize(
    ("answers", "expected", "draws"),
    [
        ([([1, 2, 3], -0.2)], [1, 2, 3], 1),
        ([([1, 2, 3], -1.5), ([4, 5], -0.9)], [4, 5], 2),  # doubted
        ([([7] * 12, -0.1), ([4, 5], -0.9)], [4, 5], 2),  # came to no end
        ([([1, 2, 3], -1.5), ([4, 5], -1.9)], [1, 2, 3], 6),  # all doubted: the likeliest
        ([([9, *[7] * 11], -0.1)], [9, 7], 6),  # without its loop
        ([([*range(1, 13)], -0.1)], [], 6),  # goes on for ever, and repeats nothing
    ],
)
def test_what_is_believed(small_writer, answers, expected, draws):
    writer = Scripted(*answers)
    (found,) = believed(writer, load_model(small_writer).tokens, 1)
    assert found.tokens == expected
    assert len(writer.temperatures) == draws
    assert writer.temperatures == sorted(writer.temperatures)


def test_times_are_where_heads_begin_to_look_at_a_token():
    begins = [0, 6, 20, 31]
    weights = torch.full((2, 6, 40), 0.001)
    for token, (first, last) in enumerate(zip(begins, [*begins[1:], 40], strict=True)):
        weights[:, token + 1, first:last] = 1.0 / (last - first)
    found = token_times(weights, slice(1, 5))
    assert all(abs(frame - expected) <= 1 for frame, expected in zip(found, begins, strict=True))
    assert found == sorted(found)


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_times_of_more_tokens_than_frames_stay_within(frames):
    found = token_times(torch.rand(2, 9, frames).softmax(dim=-1), slice(1, 9))
    assert len(found) == 8
    assert all(0 <= frame < frames for frame in found)


def test_kept_attention_is_that_of_the_decoder_itself(small_writer, clips):
    split, features, _ = prepare(small_writer, clips[2:3])
    given = torch.tensor([[257, 259, 72, 101]])
    lengths = torch.tensor([len(features[0].frames)])
    split.model.set_attn_implementation("eager")
    with torch.no_grad(), attention_to_frames(split.model, [(1, 0), (2, 1)], lengths) as attention:
        native = split.model(
            encoder_outputs=(features[0].frames[None],), decoder_input_ids=given, output_attentions=True, use_cache=False
        ).cross_attentions
    expected = torch.stack([native[1][0, 0], native[2][0, 1]])
    torch.testing.assert_close(attention.of(0), expected, atol=1e-5, rtol=1e-4)


def test_windows_that_overlap_lose_no_word_and_double_none():
    def window(*words):
        made = tuple(Word(text, start, start + 0.5, 0.9) for text, start in words)
        return Segment(" ".join(word.text for word in made), 0.0, 10.0, 0.9, made)

    first = window(("one", 0.0), ("two", 8.2), ("three", 8.8), ("thr", 9.6))
    second = window(("wo", 0.1), ("three", 0.8), ("four", 1.6), ("five", 5.0))
    joined = join_written([replace(first, language="ro"), second], [0.0, 8.0], 2.0)
    assert joined.language == "ro"
    assert joined.text == "one two three four five"
    assert [word.start for word in joined.words] == [0.0, 8.2, 8.8, 9.6, 13.0]
    assert joined.end == 18.0
    assert join_written([first], [0.0], 2.0) == first
