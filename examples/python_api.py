"""The Python road from a manifest to a model in use: ten spoken commands, learned from five examples each."""

import tempfile
from importlib.resources import files
from pathlib import Path

from speechxfer import Transcriber, evaluate, finetune, read_manifest, read_recipe
from speechxfer.data import Waveform, load_audio

demo = Path(str(files("speechxfer"))) / "assets" / "demo"
sets = [f"data.{name}={demo / 'commands.csv'}[split={name}]" for name in ("train", "dev", "test")]

with tempfile.TemporaryDirectory() as directory:
    report = finetune(read_recipe(demo / "commands.yaml", sets), Path(directory) / "run")
    print("right on test:", report["sets"]["test"]["accuracy"])

    test = read_manifest(f"{demo / 'commands.csv'}[split=test]")
    scores = evaluate(report["model"], test).scores
    print("the saved model says the same:", scores["accuracy"] == report["sets"]["test"]["accuracy"])

    clip = Waveform(load_audio(test[0], 16_000), 16_000)
    print(test[0].text, "is heard as", Transcriber(report["model"]).transcribe(clip).text)
