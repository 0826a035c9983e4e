"""Make the demo's audio: a new accent, new words, commands, and a call, all spoken by eSpeak NG.

    python scripts/make_demo_audio.py --out speechxfer/assets/demo

Each set is one Ogg file whose manifest cuts it into utterances, so that some hundred clips stay small. What the test sets hold,
voices and sentences, is in no training set, neither here nor in the pretraining of `tiny` (see `tiny_corpus.py`).
"""

import argparse
import csv
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tiny_corpus import HELD_OUT_VARIANTS, PRODUCT_TERMS, VARIANTS

from speechxfer.data import SPOKEN_RATE, SpeechRequest, resample, speak

RATE, CALL_RATE = 16_000, 8_000
DIALECT = "en-gb-scotland"
ACCENT = "en-us"
TRAIN_VOICES, DEV_VOICES, TEST_VOICES = VARIANTS[:24], HELD_OUT_VARIANTS[:4], HELD_OUT_VARIANTS[4:]
GAP_SECONDS = 0.2
MAX_LETTERS_PER_SECOND = 25
BITRATE_LEVEL = 0.95  # libsndfile's `compression_level`; Opus takes some 16 kbit/s there

_WORDS = {
    "who": ("my brother,the driver,our teacher,the young woman,a friend,the old man,the manager,her doctor,my sister,the farmer"),
    "did": ("bought,lost,found,carried,washed,sold,painted,repaired,forgot,borrowed,cleaned,opened,wanted,broke,brought"),
    "thing": (
        "a loaf of bread,the kitchen door,both gloves,a small boat,the garden fence,a wooden chair,the front window,"
        "the heavy box,the dirty car,some flowers,warm clothes,the blue plate,a bottle of water,the whole book,three horses"
    ),
    "where": "near the harbour,at the corner,in the north,on the hill,by the river,in town,behind the church,at home",
    "when": ("before breakfast,on sunday,after work,last winter,at noon,in the evening,every summer,two days ago,at midnight"),
}
_SENTENCES = {
    "train": (
        "{who} {did} {thing},{who} {did} {thing} {when},{who} {did} {thing} {where},{when} {who} {did} {thing},"
        "{who} was {where} {when},{thing} was {where},i think {who} {did} {thing},{who} and {who} {did} {thing}"
    ).split(","),
    "dev": ["{where} {who} {did} {thing}", "they say {who} {did} {thing} {when}"],
    "test": [
        "{when} {thing} was {where}",
        "{who} {did} {thing} and {thing}",
        "{who} said that {who} {did} {thing}",
        "{where} {who} {did} {thing} {when}",
    ],
}
_CARRIERS = {
    "train": (
        "please order {term} for me,i have a question about {term},the price of {term} went up,{term} does not start,"
        "we sell {term} in every shop,how do i install {term},my sister uses {term} at work,where can i buy {term},"
        "{term} is out of stock,do you have a new version of {term},i paid for {term} last week,send me the bill for {term},"
        "our office runs on {term},is there a manual for {term},i would like to cancel {term},{term} is too slow today,"
        "who can repair {term},it says that {term} has expired,you should try {term},what does {term} cost"
    ).split(","),
    "dev": ["is {term} available here", "they recommend {term} to everyone"],
    "test": ["can you tell me more about {term}", "{term} stopped working again", "she wants to return {term} today"],
}
_TRAIN_CARRIERS = 8  # for each term
COMMANDS = "volume up,volume down,next song,pause,lights on,lights off,call home,open the door,set a timer,good night".split(",")
OTHER_WORDS = (
    "banana,yellow river,seven bridges,maybe later,cold soup,window seat,green pencil,far away,thank you,happy birthday,"
    "long division,paper bag,rainy season,wooden spoon,quiet please,morning coffee"
).split(",")
_CALL = (
    ("agent", "good morning you are speaking with karen how can i help you"),
    ("customer", "hello my internet connection keeps dropping out since monday"),
    ("agent", "i am sorry about the trouble could you please give me your account number"),
    ("customer", "yes it is four seven two nine one one eight"),
    ("agent", "thank you and could you spell your last name for me"),
    ("customer", "it is spelled w a l k e r"),
    ("agent", "thank you mister walker is the light on your router green or red"),
    ("customer", "it is red and i have already switched it off and on again twice"),
    ("agent", "in that case i will run a short test on your line please hold on"),
    ("customer", "all right i will wait"),
    ("agent", "the test shows a problem with the cable outside of your house"),
    ("customer", "how long will it take to repair that"),
    ("agent", "a technician can visit you on thursday between nine and eleven"),
    ("customer", "i work on thursday can somebody come on friday afternoon"),
    ("agent", "friday at three o'clock is still free shall i book that for you"),
    ("customer", "yes please and i do not want to pay for this month"),
    ("agent", "i understand you will receive a refund of twenty four dollars with your next bill"),
    ("customer", "that is very kind thank you for your help"),
    ("agent", "is there anything else i can do for you"),
    ("customer", "there is one more thing my mother wants to move her telephone number to your company"),
    ("agent", "that is no problem does she still have a contract with somebody else"),
    ("customer", "yes she has but it ends at the end of next month"),
    ("agent", "then she only needs to sign our form and we will cancel the old contract for her"),
    ("customer", "can she keep the same number she has had it for thirty years"),
    ("agent", "of course she can keep it and the change takes about two days"),
    ("customer", "and what would she have to pay every month"),
    ("agent", "the small package costs fifteen dollars and calls inside the country are free"),
    ("customer", "that sounds better than what she pays today please send me the form"),
    ("agent", "i will send it by mail to your address in river street is that still correct"),
    ("customer", "no we moved in april the new address is number eight park lane"),
    ("agent", "thank you i have changed that in your account"),
    ("customer", "now that was really everything have a good day"),
    ("agent", "thank you for calling and goodbye"),
)


@dataclass(frozen=True)
class Clip:
    """What one row of a manifest is made from."""

    request: SpeechRequest
    split: str
    label: str = ""


def main() -> None:
    """Make all sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    write_set(out / "dialect", dialect(chance))
    write_set(out / "vocabulary", vocabulary(chance))
    write_set(out / "commands", commands(chance))
    write_call(out / "call")


def dialect(chance: random.Random) -> list[Clip]:
    """Give sentences in the held-out accent: the sets share words, but neither voices nor sentences nor their patterns."""
    clips = []
    for split, count, voices in (("train", 240, TRAIN_VOICES), ("dev", 40, DEV_VOICES), ("test", 80, TEST_VOICES)):
        for number in range(count):
            text = _filled(chance.choice(_SENTENCES[split]), chance)
            clips.append(Clip(request(chance, text, DIALECT, voices[number % len(voices)]), split))
    return clips


def _filled(pattern: str, chance: random.Random) -> str:
    """Put words into a pattern, other ones each time."""
    return re.sub(r"{(\w+)}", lambda slot: chance.choice(_WORDS[slot[1]].split(",")), pattern)


def vocabulary(chance: random.Random) -> list[Clip]:
    """Give the product terms in carrier sentences, which differ between the sets as the voices do."""
    clips = []
    for split, voices in (("train", TRAIN_VOICES), ("dev", DEV_VOICES), ("test", TEST_VOICES)):
        for term in PRODUCT_TERMS:
            for carrier in chance.sample(_CARRIERS[split], min(_TRAIN_CARRIERS, len(_CARRIERS[split]))):
                clips.append(Clip(request(chance, carrier.format(term=term), ACCENT, chance.choice(voices)), split, term))
    return clips


def commands(chance: random.Random) -> list[Clip]:
    """Give five examples of each command to learn from, and other voices to test with, also with words that are no command."""
    clips = []
    for split, voices in (("train", TRAIN_VOICES[:5]), ("dev", DEV_VOICES[:2]), ("test", TEST_VOICES)):
        clips += [Clip(request(chance, text, ACCENT, voice), split, text) for text in COMMANDS for voice in voices]
    others = [request(chance, text, ACCENT, voice) for text in OTHER_WORDS for voice in TEST_VOICES[:3]]
    return clips + [Clip(other, "other", "") for other in others]


def request(chance: random.Random, text: str, accent: str, variant: str) -> SpeechRequest:
    """Ask for a text at a speed and a pitch of the moment."""
    return SpeechRequest(text, f"{accent}+{variant}", chance.randint(140, 200), chance.randint(35, 65), chance.randint(35, 65))


def write_set(path: Path, clips: Sequence[Clip]) -> None:
    """Speak all clips into one file, with a gap after each, and write where each begins and ends."""
    gap = np.zeros(round(GAP_SECONDS * RATE), np.float32)
    pieces, rows, position = [], [], 0
    for clip, samples in zip(clips, spoken([clip.request for clip in clips], RATE), strict=True):
        if len(clip.request.text) > MAX_LETTERS_PER_SECOND * len(samples) / RATE:
            continue  # a voice that rushes so leaves too few frames for its letters
        start, end = position / RATE, (position + len(samples)) / RATE
        speaker = clip.request.voice.partition("+")[2]
        rows.append((f"{path.name}.ogg", f"{start:.4f}", f"{end:.4f}", clip.request.text, clip.label, speaker, clip.split))
        pieces += [samples, gap]
        position += len(samples) + len(gap)
    file, samples = path.with_suffix(".ogg"), np.concatenate(pieces)
    soundfile.write(file, samples, RATE, format="OGG", subtype="OPUS", compression_level=BITRATE_LEVEL)
    write_manifest(path.with_suffix(".csv"), ("audio", "start", "end", "text", "label", "speaker", "split"), rows)


def write_call(path: Path) -> None:
    """Write a call as a telephone system records it: 8 kHz, the agent on the left channel, the customer on the right."""
    voices = {"agent": f"{ACCENT}+linda", "customer": "en-gb-x-rp+m5"}
    requests = [SpeechRequest(text, voices[role], 165) for role, text in _CALL]
    lines: dict[str, list[np.ndarray]] = {"agent": [], "customer": []}
    rows, position = [], 0
    for (role, text), samples in zip(_CALL, spoken(requests, CALL_RATE), strict=True):
        pause = np.zeros(round(0.6 * CALL_RATE), np.float32)
        for line, pieces in lines.items():
            pieces += [samples if line == role else np.zeros_like(samples), pause]
        times = (f"{position / CALL_RATE:.4f}", f"{(position + len(samples)) / CALL_RATE:.4f}")
        rows.append((f"{path.name}.flac", *times, str(list(lines).index(role)), text, role))
        position += len(samples) + len(pause)
    both = np.stack([np.concatenate(pieces) for pieces in lines.values()], axis=1)
    noise = np.random.default_rng(0).normal(0, 0.0005, both.shape)
    soundfile.write(path.with_suffix(".flac"), both + noise, CALL_RATE)
    write_manifest(path.with_suffix(".csv"), ("audio", "start", "end", "channel", "text", "speaker"), rows)


def spoken(requests: Sequence[SpeechRequest], rate: int) -> list[np.ndarray]:
    """Speak at a rate, at half of full scale."""
    made = [resample(samples.astype(np.float32) / np.float32(32768), SPOKEN_RATE, rate) for samples in speak(requests)]
    return [0.5 * samples / np.abs(samples).max() for samples in made]


def write_manifest(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)


if __name__ == "__main__":
    main()
