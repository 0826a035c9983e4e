"""A speech model in, ready to answer on its device, out: nothing trains, weights as exact as asked."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import nn
from transformers import PreTrainedModel

from speechxfer.errors import ModelError
from speechxfer.models.compute import choose_device, choose_precision
from speechxfer.models.ct2_runtime import Ct2Inference, Ct2Model
from speechxfer.models.runtimes import InferenceModel, OnnxModel, WholeModel
from speechxfer.models.save_load import SpeechModel
from speechxfer.models.split import SplitModel


def for_inference(
    speech_model: SpeechModel, device: str = "auto", precision: str = "auto", *, keep_deviations: bool = False
) -> tuple[InferenceModel, str]:
    """Make a model ready.

    Parameters
    ----------
    speech_model
        Its parameters are frozen.
    device
        `auto`, or a torch device.
    precision
        `auto`, `fp32`, `bf16`, or `int8`: linear layers, but those that narrow, multiply 8-bit integers, scaled for each batch
        (CPU only). An exported model has the one it was exported with.
    keep_deviations
        See `SplitModel`.

    Returns
    -------
    InferenceModel
        All of it prefix, but for the head; of an exported model the head too. For int8 a copy.
    str
        The precision of everything else: `fp32` or `bf16`.

    Raises
    ------
    ModelError
        If there is no such device or precision, the device does not know int8, or the model was exported for others.
    """
    if isinstance(speech_model.model, OnnxModel | Ct2Model):
        return _exported(speech_model, speech_model.model, device, precision), "fp32"
    where = choose_device(device)
    speech_model.model.requires_grad_(False)
    family, kept = speech_model.family, {"keep_deviations": keep_deviations}
    if precision != "int8":
        return SplitModel(speech_model.model, family, **kept).to(where), choose_precision(precision, where)
    if where.type != "cpu":
        raise ModelError(f"precision int8 works on the CPU only, and this is {where}; take bf16")
    return SplitModel(_with_integers(speech_model.model), family, **kept), "fp32"


def _with_integers(model: PreTrainedModel) -> PreTrainedModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecation: its successor needs a compiler
        # The head stays as it is: it is small, and a BLSTM would hand on its errors from frame to frame. So does what leads back
        # from a feed-forward's inner width: a few of its inputs are so large that one scale for all leaves the others nothing.
        quantised = copy.deepcopy(model.cpu())
        chosen = {
            name: torch.ao.quantization.default_dynamic_qconfig
            for name, module in quantised.base_model.named_modules()
            if isinstance(module, nn.Linear) and module.in_features <= module.out_features
        }
        torch.ao.quantization.quantize_dynamic(quantised.base_model, chosen, dtype=torch.qint8, inplace=True)
    return quantised


def _exported(speech_model: SpeechModel, model: OnnxModel | Ct2Model, device: str, precision: str) -> InferenceModel:
    if device not in ("auto", "cpu"):
        raise ModelError(f"device {device!r}: an exported model runs on the CPU; take the model it was exported from")
    if precision not in ("auto", model.precision):
        what = f"precision {precision!r}: this model was exported as {model.precision}"
        raise ModelError(f"{what}; take auto, or export it with another --precision")
    if isinstance(model, Ct2Model):
        return Ct2Inference(model, speech_model.family)
    return WholeModel(model, speech_model.family, speech_model.task)
