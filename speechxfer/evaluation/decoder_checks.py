"""A model that writes with a decoder in; what fine-tuning may have done to it unseen, out.

How well it reads in the other context (plain transformers knows only 30 s), and whether it still says when something was said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from speechxfer.data import Manifest
from speechxfer.decoding import share_with_times
from speechxfer.evaluation.answering import as_items
from speechxfer.evaluation.scoring import evaluate
from speechxfer.features import FeatureSource
from speechxfer.models import SpeechModel, for_inference

_UTTERANCES = 60  # in 30 s each, which on a CPU take their time
_KEPT = 0.9


def check_decoder(speech_model: SpeechModel, test: Manifest, device: str = "auto") -> dict[str, Any]:
    """Check a model on some utterances of its test set.

    Parameters
    ----------
    speech_model
        Of task seq2seq.
    test
        Checked rows, with durations.
    device
        `auto`, or a torch device.

    Returns
    -------
    dict
        The `decoder` section of a report: `utterances`, `wer` by context, `share_with_times`, and `timestamps`, which are `kept`
        or `lost`.

    Raises
    ------
    ModelError
        If there is no such device.
    DataError, AudioError
        If a row can no longer be read.
    """
    assert speech_model.tokens
    rows = range(0, len(test), -(-len(test) // _UTTERANCES))
    part = test.select(list(rows))
    contexts = {name: replace(speech_model, frontend=speech_model.frontend.in_context(name)) for name in ("adaptive", "stock")}
    rates = {name: evaluate(model, part, device=device).rows.rate for name, model in contexts.items()}
    split, precision = for_inference(speech_model, device)
    features = FeatureSource(split, speech_model.frontend, None, precision).features(as_items(part))
    share = share_with_times(split, features, speech_model.tokens, precision)
    kept = "kept" if share >= _KEPT else "lost"
    return {"utterances": len(part), "wer": rates, "share_with_times": share, "timestamps": kept}
