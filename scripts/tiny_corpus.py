"""What the embedded model `tiny` reads aloud and hears in pretraining: texts and voices, and which of both it must never meet.

Texts are those of WordNet's usage examples and definitions (Debian's `wordnet-base`) that are made of frequent words, sentences
of call centres, numbers, spelled names and lists of words. A tenth of WordNet's sentences, chosen by their hash, all sentences
with a product's name, whole accents and some voices are kept for the demo and for measuring.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
MAX_WORDS = 9
MIN_COUNT = 10  # of each word, in all of WordNet; some 7,000 words remain

ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
HELD_OUT_ACCENTS = ("en-gb-scotland", "en-029")
VARIANTS = tuple(
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Mike Nguyen Reed RicishayMax "
    "RicishayMax2 Storm Tweaky adam anika announcer antonio aunty benjamin boris caleb ed edward edward2 f1 f3 f4 fast grandma "
    "grandpa gustave ian iven2 iven3 iven4 john kaukovalta klatt klatt3 klatt4 klatt5 klatt6 m1 m3 m4 m6 m7 marcelo max michel "
    "miguel mike2 norbert pablo pedro quincy rob robert robosoft2 robosoft6 sandro shelby steph steph3 victor zac".split()
)
HELD_OUT_VARIANTS = tuple("Michael belinda david f2 f5 klatt2 linda m2 m5 m8 paul steph2 travis".split())

PRODUCT_TERMS = tuple(
    "zelvaro quintapay brixomax luminet corvanta trelloplan ostrafix vendoria pulzara mirabond kestracard novaquil "
    "fenwicom dalverix sorbelink yotapass grandexa hublanto wexford jalomira".split()
)
"""Names of products for the vocabulary demo; in no text of the pretraining."""

_NAMES = (
    "smith jones taylor brown wilson evans thomas roberts johnson walker wright green hall wood clarke jackson harris lewis "
    "martin cooper king lee baker young allen scott moore anderson mary john susan peter linda david karen paul anna mark"
).split()
_DEPARTMENTS = "billing,technical support,sales,customer service,accounts,returns,shipping,complaints,the front desk".split(",")
_THINGS = (
    "order,invoice,password,account,contract,phone number,address,bill,delivery,payment,credit card,refund,booking,parcel,"
    "subscription,appointment,router,internet connection,mobile phone,ticket,receipt,warranty,insurance policy,reservation"
).split(",")
_PROBLEMS = (
    "is not working,has not arrived,was charged twice,is too expensive,has been cancelled,is missing,does not switch on,is wrong,"
    "needs to be changed,keeps dropping out,expired last week,was sent to the wrong place,looks different from last month"
).split(",")
_TIMES = "today,tomorrow,yesterday,this morning,this afternoon,on monday,on friday,next week,last month,in two days".split(",")
_TEMPLATES = (
    "hello this is {name} speaking",
    "good morning how can i help you",
    "thank you for calling {department}",
    "could you please hold the line",
    "i would like to speak to {department}",
    "my {thing} {problem}",
    "can you check my {thing}",
    "the {thing} {problem}",
    "i am calling about my {thing}",
    "i need a new {thing} {time}",
    "please send the {thing} {time}",
    "your {thing} number is {digits}",
    "my name is {name} and my {thing} {problem}",
    "could you spell your name please",
    "it is spelled {letters}",
    "let me transfer you to {department}",
    "what is your {thing} number",
    "i paid {number} pounds {time}",
    "that will be {number} dollars and {number} cents",
    "is there anything else i can do for you",
    "we will call you back {time}",
    "no that is not correct",
    "yes that is right thank you",
    "i want to cancel my {thing}",
    "when will my {thing} be ready",
    "i have been waiting since {number} o'clock",
    "can i change the date of my {thing}",
    "you should receive it {time}",
    "i am sorry about the trouble with your {thing}",
    "my phone number is {digits}",
)
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def texts(count: int, chance: random.Random, *, held_out: bool = False) -> list[str]:
    """Give this many texts of 1 to 9 words; WordNet's sentences are all held out, or none is."""
    sentences = [sentence for sentence in frequent_sentences() if is_held_out(sentence) == held_out]
    words = sorted({word for sentence in sentences for word in sentence.split() if len(word) > 1})
    kinds = {
        lambda: chance.choice(sentences): 60,
        lambda: _call(chance): 16,
        lambda: _number(chance): 8,
        lambda: _digits(chance): 4,
        lambda: _letters(chance): 4,
        lambda: " ".join(chance.choices(words, k=chance.randint(1, 5))): 8,
    }
    return [make() for make in chance.choices([*kinds], [*kinds.values()], k=count)]


@cache
def frequent_sentences() -> tuple[str, ...]:
    """Give WordNet's usage examples and short definitions that are made of frequent words, those held out too."""
    sentences = sorted({sentence for gloss in _glosses() for sentence in _plain(_parts(gloss))})
    counts = Counter(word for sentence in sentences for word in sentence.split())
    return tuple(sentence for sentence in sentences if all(counts[word] >= MIN_COUNT for word in sentence.split()))


def is_held_out(sentence: str) -> bool:
    """Tell whether a sentence is kept for the demo and for measuring."""
    if not set(PRODUCT_TERMS).isdisjoint(sentence.split()):
        return True
    return hashlib.blake2b(sentence.encode(), digest_size=1).digest()[0] % 10 == 0


def _glosses() -> Iterator[str]:
    for part in ("adj", "adv", "noun", "verb"):
        for line in (WORDNET / f"data.{part}").read_text(encoding="utf-8").splitlines():
            yield line.partition("|")[2]


def _parts(gloss: str) -> list[str]:
    """Take a gloss apart: definitions, then usage examples in quotation marks."""
    return [*re.split(r"[;(]", gloss.partition('"')[0]), *re.findall(r'"([^"]+)"', gloss)]


def _plain(candidates: list[str]) -> Iterator[str]:
    """Keep what is nothing but words; give it in lower case."""
    for candidate in candidates:
        sentence = candidate.strip(" .,!?").lower().replace(",", "").replace("`", "'")
        if re.fullmatch(r"[a-z]+('[a-z]+)?( [a-z]+('[a-z]+)?)*", sentence) and 2 <= len(sentence.split()) <= MAX_WORDS:
            yield sentence


def _call(chance: random.Random) -> str:
    return chance.choice(_TEMPLATES).format(
        name=chance.choice(_NAMES),
        department=chance.choice(_DEPARTMENTS),
        thing=chance.choice(_THINGS),
        problem=chance.choice(_PROBLEMS),
        time=chance.choice(_TIMES),
        number=_number(chance),
        digits=_digits(chance),
        letters=_letters(chance),
    )


def _number(chance: random.Random) -> str:
    """Say a number below a million, small ones more often."""
    number = int(10 ** chance.uniform(0, 6))
    if number < 1000:
        return _below_1000(number)
    rest = _below_1000(number % 1000) if number % 1000 else ""
    return f"{_below_1000(number // 1000)} thousand {rest}".strip()


def _below_1000(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    rest = f" {_below_1000(number % 100)}" if number % 100 else ""
    return f"{_ONES[number // 100]} hundred{rest}"


def _digits(chance: random.Random) -> str:
    zero = chance.choice(("zero", "oh"))
    return " ".join(_ONES[digit] if digit else zero for digit in chance.choices(range(10), k=chance.randint(1, 7)))


def _letters(chance: random.Random) -> str:
    """Spell a name, or letters that spell nothing."""
    if chance.random() < 0.5:
        return " ".join(chance.choice(_NAMES))
    return " ".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(1, 6)))
