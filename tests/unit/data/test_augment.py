"""Views: a pure function of seed, view and id; the speed and the noise that were asked for; the input untouched."""

import numpy as np
import pytest
import soundfile

from speechxfer.data import WaveformAugmenter, read_manifest
from speechxfer.data.effects import in_room, num_packets, over_telephone
from speechxfer.recipe import AugmentSection, CodecSection, GainSection, NoiseSection, PitchSection, RoomSection, TelephoneSection

RATE = 16_000


@pytest.fixture
def noise(tmp_path) -> str:
    """Write a manifest of one noise file, longer than the clips."""
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(1).normal(0, 0.1, 5 * RATE), RATE, subtype="FLOAT")
    (tmp_path / "noise.csv").write_text("audio\nnoise.wav\n")
    return str(tmp_path / "noise.csv")


def augmenter(section: AugmentSection, seed: int = 0) -> WaveformAugmenter:
    noises, rooms = (read_manifest(part.manifest) if part else () for part in (section.noise, section.room))
    return WaveformAugmenter(section, RATE, seed, noises, rooms)


@pytest.fixture
def clip() -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def test_a_view_is_a_function_of_seed_view_and_id(noise, clip):
    section = AugmentSection(views=4, speed=[0.9, 1.0, 1.1], noise=NoiseSection(manifest=noise, probability=0.9))

    def view(seed=0, name="a", number=0):
        return augmenter(section, seed)(clip, name, number)

    for number in range(4):
        np.testing.assert_array_equal(view(number=number), view(number=number))
    # 0 and 3 have the same speed, yet not the same noise.
    for other in (view(seed=1), view(name="b"), view(number=3)):
        assert other.shape == view().shape
        assert not np.array_equal(other, view())


def test_the_order_of_calls_does_not_matter(noise, clip):
    section = AugmentSection(noise=NoiseSection(manifest=noise, probability=0.5))
    first, second = augmenter(section), augmenter(section)
    names = [f"u{number}" for number in range(8)]
    forth = {name: first(clip, name, 0) for name in names}
    back = {name: second(clip, name, 0) for name in reversed(names)}
    for name in names:
        np.testing.assert_array_equal(forth[name], back[name])
    # Half of them, roughly, are left without noise.
    assert 0 < sum(np.array_equal(samples, clip) for samples in forth.values()) < len(names)


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25])
def test_speed_changes_length_and_pitch_by_its_factor(clip, factor):
    views = augmenter(AugmentSection(speed=[1.0, factor]))
    assert [views.speed(view) for view in range(4)] == [1.0, factor, 1.0, factor]
    np.testing.assert_array_equal(views(clip, "a", 0), clip)
    fast = views(clip, "a", 1)
    assert len(fast) == pytest.approx(len(clip) / factor, abs=1)
    peak = np.abs(np.fft.rfft(fast * np.hanning(len(fast)))).argmax() * RATE / len(fast)
    assert peak == pytest.approx(440 * factor, abs=1)


def test_gain_has_a_probability_that_leaves_levels_and_noise_as_they_are(noise, clip):
    always, sometimes = AugmentSection(gain_db=(-20, 10)), AugmentSection(gain_db=GainSection(range=(-20, 10), probability=0.5))
    assert always.gain_db == GainSection(range=(-20, 10), probability=1)
    names = [f"u{number}" for number in range(40)]
    levels = [augmenter(always)(clip, name, 0) for name in names]
    views = [augmenter(sometimes)(clip, name, 0) for name in names]
    plain = [np.array_equal(view, clip) for view in views]
    assert 10 <= sum(plain) <= 30
    assert all(is_plain or np.array_equal(view, level) for is_plain, view, level in zip(plain, views, levels, strict=True))
    keys = {augmenter(section).causes("a", 0) for section in (always, sometimes)}
    assert len(keys) == 2 and any("(-20.0, 10.0)" in key and "probability" not in key for key in keys)  # old stores stay valid
    heard = NoiseSection(manifest=noise, probability=1, snr_db=(10, 10))
    never = always.model_copy(update={"noise": heard, "gain_db": GainSection(range=(-20, 10), probability=0)})
    gain = augmenter(always.model_copy(update={"noise": heard}))(clip, "a", 0)
    np.testing.assert_allclose(gain / levels_of(gain), (quiet := augmenter(never)(clip, "a", 0)) / levels_of(quiet), atol=1e-3)


def levels_of(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize("snr", [0.0, 5.0, 20.0])
@pytest.mark.parametrize("factor", [1.0, 0.9])
def test_noise_has_the_asked_level(noise, clip, snr, factor):
    plain = augmenter(AugmentSection(speed=[factor]))(clip, "a", 0)
    section = AugmentSection(speed=[factor], noise=NoiseSection(manifest=noise, probability=1, snr_db=(snr, snr)))
    for name in "abc":
        added = augmenter(section)(clip, name, 0) - plain
        got = 10 * np.log10(np.mean(plain**2) / np.mean(added**2))
        assert got == pytest.approx(snr, abs=0.5)


def test_noise_levels_lie_in_the_asked_range(noise, clip):
    noisy = augmenter(AugmentSection(noise=NoiseSection(manifest=noise, probability=1, snr_db=(5, 20))))
    added = [noisy(clip, str(number), 0) - clip for number in range(30)]
    levels = [10 * np.log10(np.mean(clip**2) / np.mean(part**2)) for part in added]
    assert 4.5 < min(levels) < 9
    assert 16 < max(levels) < 20.5


def test_gain_lies_in_the_asked_range_and_noise_keeps_its_ratio(noise, clip):
    loud = augmenter(AugmentSection(gain_db=(-20, 10)))
    gains = [20 * np.log10(np.abs(loud(clip, str(number), 0)).max() / np.abs(clip).max()) for number in range(40)]
    assert -20 <= min(gains) < -15 and 5 < max(gains) <= 10
    both = augmenter(AugmentSection(gain_db=(-20, -20), noise=NoiseSection(manifest=noise, probability=1, snr_db=(10, 10))))
    added = both(clip, "a", 0) - clip / 10
    assert 10 * np.log10(np.mean((clip / 10) ** 2) / np.mean(added**2)) == pytest.approx(10, abs=0.1)


def test_a_noise_shorter_than_the_clip_is_repeated(tmp_path, clip):
    soundfile.write(tmp_path / "n.wav", np.random.default_rng(1).normal(0, 0.1, 1000), RATE, subtype="FLOAT")
    (tmp_path / "n.csv").write_text("audio\nn.wav\n")
    section = AugmentSection(noise=NoiseSection(manifest=str(tmp_path / "n.csv"), probability=1))
    added = augmenter(section)(clip, "a", 0) - clip
    np.testing.assert_allclose(added[:1000], added[1000:2000], atol=1e-6)
    assert np.abs(added[-1000:]).max() > 0


def test_a_silent_stretch_of_noise_changes_nothing(tmp_path, clip):
    soundfile.write(tmp_path / "n.wav", np.zeros(RATE), RATE)
    (tmp_path / "n.csv").write_text("audio\nn.wav\n")
    section = AugmentSection(noise=NoiseSection(manifest=str(tmp_path / "n.csv"), probability=1))
    np.testing.assert_array_equal(augmenter(section)(clip, "a", 0), clip)


@pytest.mark.parametrize("speed", [1.0, 0.9])
def test_the_input_stays_and_the_result_is_a_copy(noise, clip, speed):
    before = clip.copy()
    for section in (
        AugmentSection(speed=[speed]),
        AugmentSection(speed=[speed], noise=NoiseSection(manifest=noise, probability=1)),
    ):
        changed = augmenter(section)(clip, "a", 0)
        assert changed.dtype == np.float32
        changed[:] = 7
        np.testing.assert_array_equal(clip, before)


def test_noise_that_is_asked_for_must_be_there(noise):
    with pytest.raises(ValueError, match="no noises are given"):
        WaveformAugmenter(AugmentSection(noise=NoiseSection(manifest=noise)), RATE, 0)


def test_silence_stays_finite(noise):
    section = AugmentSection(noise=NoiseSection(manifest=noise, probability=1))
    assert np.isfinite(augmenter(section)(np.zeros(RATE, dtype=np.float32), "a", 0)).all()


@pytest.fixture
def room(tmp_path) -> str:
    """Write a manifest of one response: the direct sound and an echo."""
    response = np.zeros(3_000)
    response[[10, 1_610]] = 1.0, 0.5
    soundfile.write(tmp_path / "room.wav", response, RATE, subtype="FLOAT")
    (tmp_path / "room.csv").write_text("audio\nroom.wav\n")
    return str(tmp_path / "room.csv")


def effect(name, room, probability=1.0):
    sections = {
        "pitch": PitchSection(semitones=(1, 2), probability=probability),
        "room": RoomSection(manifest=room, probability=probability),
        "codec": CodecSection(names=["gsm", "mp3"], probability=probability),
        "telephone": TelephoneSection(packet_loss=(0.2, 0.2), probability=probability),
    }
    return AugmentSection(**{name: sections[name]})


EFFECTS = ["pitch", "room", "codec", "telephone"]


@pytest.mark.parametrize("name", EFFECTS)
def test_each_effect_has_a_probability_and_is_a_function_of_seed_view_and_id(clip, room, name):
    always, sometimes = augmenter(effect(name, room)), augmenter(effect(name, room, 0.5))
    changed = always(clip, "a", 0)
    assert changed.shape == clip.shape and changed.dtype == np.float32 and np.isfinite(changed).all()
    assert not np.array_equal(changed, clip)
    np.testing.assert_array_equal(augmenter(effect(name, room))(clip, "a", 0), changed)
    chosen = [not np.array_equal(sometimes(clip, str(number), 0), clip) for number in range(24)]
    assert 5 <= sum(chosen) <= 19
    assert chosen == [not np.array_equal(augmenter(effect(name, room, 0.5))(clip, str(n), 0), clip) for n in range(24)]
    # Another seed or view chooses others, so their causes differ; what nothing changes has the same cause in every view.
    assert len({augmenter(effect(name, room), seed).causes("a", view) for seed in (0, 1) for view in (0, 1)}) == 4
    assert always.changes(0) and not augmenter(AugmentSection()).changes(0)


def test_effects_draw_apart_and_follow_each_other_on_the_way_to_the_recogniser(noise, clip, room):
    """Speech in a room, then noise, then the telephone; what one draws does not depend on the others."""
    noisy = AugmentSection(noise=NoiseSection(manifest=noise, probability=1))
    both = noisy.model_copy(update={"room": RoomSection(manifest=room, probability=1)})
    line = TelephoneSection(laws=["a"], packet_loss=(0, 0), probability=1)
    all_three = augmenter(both.model_copy(update={"telephone": line}))(clip, "a", 0)
    (response,) = augmenter(both)._rooms
    expected = augmenter(noisy)(in_room(clip, response), "a", 0)
    np.testing.assert_array_equal(augmenter(both)(clip, "a", 0), expected)
    np.testing.assert_array_equal(all_three, over_telephone(expected, RATE, "a", np.zeros(num_packets(len(clip), RATE), bool)))


def test_rooms_that_are_asked_for_must_be_there(room):
    with pytest.raises(ValueError, match="no responses are given"):
        WaveformAugmenter(effect("room", room), RATE, 0)
