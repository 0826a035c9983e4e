"""A model in, a directory for another runtime out: what that runs, and the small files that say how to use it.

For CTranslate2 that is a folder which others read too. For ONNX Runtime it is `model.onnx`, whose graph takes what the model's
class in transformers takes, `input_values` `[batch, samples]` or `input_features` `[batch, mels, mel frames]`, and
`attention_mask`, 1 on what is real; it gives `logits`. Batch and time are free, and no clip's logits depend on its company. For
sherpa-onnx the graph takes `samples` alone, all of them real.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speechxfer.errors import ModelError
from speechxfer.models.ct2_runtime import CT2_FOLDER, QUANTISATION, import_ctranslate2
from speechxfer.models.families import Family
from speechxfer.models.padding import sees_padding
from speechxfer.models.runtimes import ONNX_FILE
from speechxfer.models.save_load import SpeechModel
from speechxfer.models.sherpa_runtime import SHERPA_EPSILON, write_sherpa_tokens

OPSET = 18
_TRACED_SECONDS = 1.0
_NORM_EPSILON = 1e-7  # of `Wav2Vec2FeatureExtractor`


def export_onnx(speech_model: SpeechModel, directory: Path, precision: str = "fp32") -> None:
    """Write a directory that `load_model` loads and ONNX Runtime runs.

    Parameters
    ----------
    speech_model
        A CTC or classification model.
    directory
        Exists, and is empty.
    precision
        `fp32`; or `int8`: the encoder's linear layers multiply 8-bit integers (the head does not).

    Raises
    ------
    ModelError
        If the model cannot be exported exactly, there is no such precision, or int8 lacks the package `onnx`.
    """
    _refuse_what_is_not_exact(speech_model)
    _check(precision)
    file = directory / ONNX_FILE
    _write_graph(speech_model, file)
    if precision == "int8":
        _quantise_encoder(file, str(speech_model.model.base_model_prefix))
    speech_model.save_beside_exported(directory, to="onnx", precision=precision, opset=OPSET)


def export_ctranslate2(speech_model: SpeechModel, directory: Path, precision: str = "fp32") -> None:
    """Write a directory that `load_model` loads and CTranslate2 runs.

    Parameters
    ----------
    speech_model
        Of task seq2seq.
    directory
        Exists, and is empty.
    precision
        `fp32` or `int8`.

    Raises
    ------
    ModelError
        If it is no such model, there is no such precision, or CTranslate2 is missing.
    """
    if speech_model.is_exported or not speech_model.tokens:
        what = "is exported already" if speech_model.is_exported else f"is one of task {speech_model.task}; take --to onnx"
        raise ModelError(f"--to ctranslate2 is for a Whisper with its decoder; this model {what}")
    _check(precision)
    converters = import_ctranslate2().converters
    with tempfile.TemporaryDirectory() as whole:
        speech_model.save(Path(whole))
        converter = converters.TransformersConverter(whole, copy_files=["tokenizer.json", "preprocessor_config.json"])
        converter.convert(str(directory / CT2_FOLDER), quantization=QUANTISATION[precision])
    speech_model.save_beside_exported(directory, to="ctranslate2", precision=precision)


def export_sherpa_onnx(speech_model: SpeechModel, directory: Path, precision: str = "fp32") -> None:
    """Write `model.onnx` and `tokens.txt` for sherpa-onnx: `OfflineRecognizer.from_omnilingual_asr_ctc`.

    Parameters
    ----------
    speech_model
        A CTC model that takes the waveform, normalised.
    directory
        Exists, and is empty.
    precision
        `fp32`; or `int8`: the encoder's linear layers multiply 8-bit integers (the head does not).

    Raises
    ------
    ModelError
        If it is no such model or cannot be exported exactly, there is no such precision, or int8 lacks the package `onnx`.
    """
    _refuse_what_is_not_exact(speech_model)
    _check(precision)
    if not speech_model.vocabulary or not speech_model.frontend.normalises_waveform:
        what = f"a {speech_model.family.name} model of task {speech_model.task}"
        hint = "sherpa-onnx gives no other model its input as it was trained on; take --to onnx"
        raise ModelError(f"--to sherpa-onnx is for CTC models that take a normalised waveform, and this is {what}: {hint}")
    file = directory / ONNX_FILE
    samples = torch.randn(1, round(_TRACED_SECONDS * speech_model.frontend.sampling_rate))
    axes = {"samples": {0: "batch", 1: "time"}, "logits": {0: "batch", 1: "frames"}}
    _trace(_TracedAlone(speech_model), {"samples": samples}, file, axes)
    if precision == "int8":
        _quantise_encoder(file, str(speech_model.model.base_model_prefix))
    write_sherpa_tokens(speech_model.vocabulary, directory)


def _check(precision: str) -> None:
    if precision not in QUANTISATION:
        raise ModelError(f"precision {precision!r}: expected {' or '.join(QUANTISATION)}")


def _refuse_what_is_not_exact(speech_model: SpeechModel) -> None:
    if speech_model.is_exported:
        raise ModelError("this model is exported already; export the model it came from")
    if speech_model.tokens:
        raise ModelError("--to onnx is for CTC and classification models; a Whisper with its decoder goes --to ctranslate2")
    if speech_model.family.padding != "masked":
        what = f"a {speech_model.family.name} model cannot be exported: its answers in a batch would depend on padding"
        raise ModelError(what)


class _Traced(nn.Module):
    """The model from native inputs to logits, with a stem that knows what is real."""

    def __init__(self, speech_model: SpeechModel) -> None:
        super().__init__()
        self.model = speech_model.model
        self._family: Family = speech_model.family
        # In a list, since it is registered as part of the model.
        self._stem = [self.model.base_model.get_submodule(path) for path in self._family.stem[-1:]]
        self._masks_norm = self._family.inputs == "waveform" and sees_padding(self._stem[0])

    def forward(self, inputs: Tensor, attention_mask: Tensor) -> Tensor:
        name = str(self.model.base_model.main_input_name)
        native = {name: inputs, "attention_mask": attention_mask}
        if not self._masks_norm:
            return self.model(**native).logits
        with _group_norm_of_true_frames(self._stem[0], attention_mask.sum(dim=-1)):
            return self.model(**native).logits


class _TracedAlone(_Traced):
    """The model from one waveform, all of it real, to logits."""

    def forward(self, samples: Tensor) -> Tensor:  # type: ignore[override]
        # Of a recording of variance v, sherpa-onnx makes one of w = v / (v + e), where the model knows v / (v + f): quiet ones
        # feel that. The root of (v + e) / (v + f) turns one into the other, and is that of 1 / (w + (1 - w) f / e).
        variance = samples.square().mean(dim=-1, keepdim=True)
        known = samples * torch.rsqrt(variance + (1 - variance) * (_NORM_EPSILON / SHERPA_EPSILON))
        return super().forward(known, torch.ones_like(samples, dtype=torch.long))


@contextmanager
def _group_norm_of_true_frames(stem: nn.Module, lengths: Tensor) -> Iterator[None]:
    """For one call, let the group norm of a stem look at clips of so many samples, `[batch]`, without their padding."""
    layer: Any = stem.get_submodule("conv_layers.0")
    conv, norm = layer.conv, layer.layer_norm
    if not isinstance(norm, nn.GroupNorm) or norm.num_groups != norm.num_channels:
        raise ModelError("the convolutional stem sees padding by other means than a group norm over time; it cannot be exported")

    def normalised(_: nn.Module, args: tuple[Tensor], __: Tensor) -> Tensor:
        (hidden,) = args  # [batch, channels, frames]
        frames = ((lengths - conv.kernel_size[0]) // conv.stride[0] + 1)[:, None]
        real = torch.arange(hidden.shape[-1], device=hidden.device) < frames
        # A product with shares of a mean reads the largest tensor of the model once, and writes none of its size.
        shares = (real.to(hidden.dtype) / frames)[..., None]
        centred = hidden - hidden @ shares
        variance = (centred * centred) @ shares
        return centred * (norm.weight[:, None] * torch.rsqrt(variance + norm.eps)) + norm.bias[:, None]

    handle = norm.register_forward_hook(normalised)
    try:
        yield
    finally:
        handle.remove()


def _write_graph(speech_model: SpeechModel, file: Path) -> None:
    """Trace the model. Whatever the trace would keep of its example (lengths, that nothing is padded) is not in the graph."""
    samples = round(_TRACED_SECONDS * speech_model.frontend.sampling_rate)
    rows = [
        speech_model.frontend(torch.randn(size, generator=torch.Generator().manual_seed(0)).numpy())
        for size in (samples, samples // 2)
    ]
    mask = torch.zeros(len(rows), len(rows[0]), dtype=torch.long)
    inputs = torch.zeros(len(rows), *rows[0].shape)
    for row, clip in enumerate(rows):
        inputs[row, : len(clip)] = clip
        mask[row, : len(clip)] = 1
    name, time = str(speech_model.model.base_model.main_input_name), 1
    if speech_model.family.inputs == "log_mel":
        time, inputs = 2, inputs.transpose(1, 2)
    axes = {name: {0: "batch", time: "time"}, "attention_mask": {0: "batch", 1: "time"}, "logits": {0: "batch"}}
    if speech_model.task == "ctc":
        axes["logits"][1] = "frames"
    _trace(_Traced(speech_model), {name: inputs, "attention_mask": mask}, file, axes)


def _trace(model: nn.Module, inputs: dict[str, Tensor], file: Path, axes: dict[str, dict[int, str]]) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is constant in a trace: tests run other sizes
        # Through torch.export the same graph takes three times as long, most of it for sizes behind seven convolutions.
        torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=[*inputs],
            output_names=["logits"],
            dynamic_axes=axes,
        )


def _quantise_encoder(file: Path, encoder: str) -> None:
    """Replace the graph by one whose encoder multiplies integers, weights per channel, activations scaled at each call.

    Layers that narrow stay exact, as in `for_inference`.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError:
        raise ModelError("int8 needs the package onnx; install it with: pip install 'speechxfer[onnx]'") from None
    graph = onnx.load(file, load_external_data=False).graph
    weights = {one.name: one.dims for one in graph.initializer}
    layers = [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and node.name.startswith(f"/model/{encoder}/") and node.input[1] in weights
        if weights[node.input[1]][0] <= weights[node.input[1]][1]
    ]
    exact = file.with_name("exact.onnx")
    file.rename(exact)
    with _no_advice():
        quantize_dynamic(
            exact,
            file,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=layers,
        )
    exact.unlink()


@contextmanager
def _no_advice() -> Iterator[None]:
    """Silence what ONNX Runtime tells the root logger: to run a preparation that changes nothing here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
