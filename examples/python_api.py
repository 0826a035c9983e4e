"""The Python road from a manifest to a model in use: generated tones, a small random model, some seconds."""

import tempfile
from pathlib import Path

from speechxfer import Transcriber, evaluate, finetune, read_manifest, read_recipe
from speechxfer.cli.demo_data import make_demo

with tempfile.TemporaryDirectory() as directory:
    recipe_file, clip = make_demo(Path(directory))

    recipe = read_recipe(recipe_file, ["training.epochs=4"])
    report = finetune(recipe, Path(directory) / "run")
    print("accuracy on test:", report["sets"]["test"]["accuracy"])

    test = read_manifest(f"{directory}/manifest.csv[split=test]")
    scores = evaluate(report["model"], test).scores
    print("the saved model says the same:", scores["accuracy"] == report["sets"]["test"]["accuracy"])

    print(clip.name, "is heard as", Transcriber(report["model"]).transcribe(clip).text)
