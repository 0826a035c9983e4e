"""`speechxfer lm build`: what it writes, what it says, and what it refuses."""

import json

from speechxfer.data import Vocabulary
from speechxfer.models import new_head


def test_build(tmp_path, speechxfer):
    texts, out = tmp_path / "t.txt", tmp_path / "models" / "x.arpa"
    texts.write_text("Turn the lights on.\nTurn the music OFF!\n", encoding="utf-8")
    code, said, _ = speechxfer("lm", "build", texts, "--out", out, "--order", "3")
    assert code == 0
    assert "8 words in 2 sentences" in said and "usual" in said
    assert "\tturn the music\n" in out.read_text()
    code, said, _ = speechxfer("lm", "build", texts, "--out", out, "--prune", "0,1", "--json")
    assert code == 0
    assert json.loads(said)["sizes"] == [9, 2, 1, 0]


def test_wrong_use(tmp_path, speechxfer):
    texts, out = tmp_path / "t.txt", tmp_path / "x.arpa"
    for words, expected in (
        (["--prune", "1"], "begin with 0"),
        (["--normaliser", "french"], "basic:ro"),
        ([], "t.txt: cannot read the text: "),
    ):
        code, _, error = speechxfer("lm", "build", texts, "--out", out, *words)
        assert (code, expected in error) == (2, True), error
    texts.write_text("...\n", encoding="utf-8")
    code, _, error = speechxfer("lm", "build", texts, "--out", out)
    assert (code, "no words" in error, out.exists()) == (2, True, False)


def test_texts_are_normalised_as_a_models_are(tmp_path, speechxfer, small_models):
    made = new_head(
        small_models["whisper"], "ctc", vocabulary=Vocabulary.from_texts(["a"]), normaliser='[["lights", "lamps"]] basic'
    )
    made.save(tmp_path / "model")
    texts, out = tmp_path / "t.txt", tmp_path / "x.arpa"
    texts.write_text("Turn the lights on.\n", encoding="utf-8")
    assert speechxfer("lm", "build", texts, "--out", out, "--normaliser", tmp_path / "model")[0] == 0
    assert "\tlamps\t" in out.read_text() and "lights" not in out.read_text()
