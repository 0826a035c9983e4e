"""A run's report in; a Hugging Face model card out, whose `model-index` any tool can read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from speechxfer.data import write_whole
from speechxfer.report.schema import MEASURES, measures_of, with_interval

_TASKS = {
    "ctc": "automatic-speech-recognition",
    "classification": "audio-classification",
    "seq2seq": "automatic-speech-recognition",
}


def write_card(path: Path, report: Mapping[str, Any], base_model: str, training_data: str, test_data: str) -> None:
    """Write the card.

    Parameters
    ----------
    path
        `README.md` in the model's directory.
    report
        As in `report.json`.
    base_model, training_data, test_data
        As the recipe names them; of a path only the last part is told.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    task, scores = _TASKS[report["task"]], report["sets"]["test"]
    results = [
        EvalResult(
            task_type=task,
            dataset_type="private",
            dataset_name=Path(test_data).name,
            metric_type="f1" if measure == "macro_f1" else measure,
            metric_name=name,
            metric_value=round(scores[measure], 4),
        )
        for measure, name in MEASURES.items()
        if scores.get(measure) is not None
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=task,
        tags=["speechxfer"],
        model_name=Path(report["model"]).parent.name or "model",
        eval_results=results,
    )
    verdict = report.get("proof", {}).get("test", {}).get("sentence")
    lines = [
        "---",
        data.to_yaml(),
        "---",
        f"# {data.model_name}",
        "",
        f"Fine-tuned by speechxfer from `{Path(base_model).name}` on `{Path(training_data).name}`.",
        "",
        f"| on `{Path(test_data).name}`, {scores['utterances']} utterances | |",
        "|---|---|",
        *(f"| {MEASURES[measure]} | {with_interval(scores, measure)} |" for measure in measures_of([scores])),
        "",
        *([f"Against its starting point: {verdict}.", ""] if verdict else []),
        "Limits: these figures hold for speech like that of the test set. Other speakers, rooms, microphones and words may do",
        "worse; `speechxfer evaluate` tells.",
        "",
    ]
    write_whole(str(path), "\n".join(lines))
