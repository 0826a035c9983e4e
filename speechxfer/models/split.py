"""The found cut: a model in two halves, neither of which rewrites the family's own forward.

    prefix: inputs (log-mel or waveform, padded) -> `Features` per utterance, frozen, computed once
    suffix: features (padded), and for a model with a decoder the tokens before -> logits, what trains

Below the cut nothing trains. Whatever trains is found from `requires_grad`, on the order of the forward pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from speechxfer.models.cut import (
    decoder_of,
    encoder_of,
    existing,
    find_cut,
    forward_order,
    frame_lengths,
    refuse_a_lost_layer,
)
from speechxfer.models.families import Family
from speechxfer.models.features import FeatureBatch, Features, unpad
from speechxfer.models.heads import PooledClassificationHead
from speechxfer.models.padding import in_equal_lengths, in_order, rows_of_equal_length, sees_padding
from speechxfer.models.stand_ins import replaced_forward, zeros
from speechxfer.models.whisper import attending_to_own_frames

# What a native class keeps in the same configuration as its encoder, though no frozen layer depends on it.
_OF_THE_HEAD = {
    *("architectures", "_name_or_path", "dtype", "transformers_version", "speechxfer", "id2label", "label2id", "vocab_size"),
    *("problem_type", "pad_token_id", "bos_token_id", "eos_token_id", "use_weighted_layer_sum", "classifier_proj_size"),
    *("final_dropout", "ctc_loss_reduction", "ctc_zero_infinity"),
}


class _Stop(Exception):  # noqa: N818 (it ends a forward, it is no error)
    def __init__(self, hidden: Tensor) -> None:
        self.hidden = hidden


class SplitModel(nn.Module):
    """A native model with its cut; calling it runs the suffix.

    Parameters
    ----------
    model
        The whole model; its parameters' `requires_grad` decide where the cut lies.
    family
        Its entry.
    masked
        Whether features will be masked in time, which their means cannot be.
    keep_deviations
        Whether standard deviations over time are kept with the means, for whoever uses the features without the head.
    """

    def __init__(self, model: PreTrainedModel, family: Family, *, masked: bool = False, keep_deviations: bool = False) -> None:
        super().__init__()
        self.model = model
        self.family = family
        self.cut = find_cut(model, family)
        self._pools_all_layers = bool(getattr(model.config, "use_weighted_layer_sum", False))
        # The mean over time may come first, since whatever a pooling head does before it is linear.
        self._keeps_means = self.cut.kind == "end" and (self._pools_all_layers or (_pools_over_time(model) and not masked))
        self._keeps_deviations = self._keeps_means and keep_deviations
        self._equal_lengths = family.padding == "equal_length"
        # Whisper's log-mel is padded with the zeros that its convolutions pad with themselves.
        measured = family.inputs == "waveform" and not self._equal_lengths
        self._stem_sees_padding = measured and sees_padding(self._stem)

    @property
    def _encoder(self) -> PreTrainedModel:
        return encoder_of(self.model)

    @property
    def _stem(self) -> nn.Module:
        return self._encoder.get_submodule(self.family.stem[-1])

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def frame_seconds(self) -> float:
        """Time between two frames at the head."""
        return self.family.samples_per_frame / self.family.sampling_rate

    @property
    def frame_seconds_at_cut(self) -> float:
        """Time between two frames of the features."""
        if self.cut.kind == "input":
            return self.family.samples_per_input / self.family.sampling_rate
        return self.frame_seconds * (self.family.squeeze_factor if self.cut.kind == "layer" else 1)

    def frame_lengths(self, input_lengths: Tensor) -> Tensor:
        """Give the frames at the head `[batch]` of utterances with so many input positions `[batch]`."""
        return frame_lengths(self.model, input_lengths)

    def feature_shape(self, input_length: int) -> tuple[int, int]:
        """Give frames and width of the features of an utterance with so many input positions, without computing them."""
        config: Any = self._encoder.config
        if self.cut.kind == "input":
            return input_length, getattr(config, self.family.input_width) if self.family.input_width else 1
        if self._keeps_means:
            return self._kept_layers * (2 if self._keeps_deviations else 1), config.hidden_size
        width = config.conv_dim[-1] if self.cut.kind == "stem" else config.hidden_size
        return int(self._frame_lengths_at_cut(torch.tensor(input_length))), width

    def _frame_lengths_at_cut(self, input_lengths: Tensor) -> Tensor:
        frames = self.frame_lengths(input_lengths)
        return frames // self.family.squeeze_factor if self.cut.kind == "layer" else frames

    @property
    def _kept_layers(self) -> int:
        config: Any = self._encoder.config
        return int(config.num_hidden_layers) + 1 if self._pools_all_layers else 1

    @torch.no_grad()
    def prefix(self, inputs: FeatureBatch) -> list[Features]:
        """Run the frozen part in evaluation mode.

        Parameters
        ----------
        inputs
            `frames` `[batch, input positions, width]` or `[batch, samples]`.

        Returns
        -------
        list of Features
            One per utterance, on the model's device, each cut to its own length.
        """
        if self.cut.kind == "input":
            return unpad(inputs.frames, inputs.lengths, inputs.input_lengths)
        was_training = self.model.training
        self.model.eval()
        features = in_order((rows, self._features(part)) for rows, part in self._parts(inputs))
        if was_training:
            self.train_suffix()
        return features

    def prefix_with_frames(self, inputs: FeatureBatch) -> list[tuple[Features, Features]]:
        """Run the frozen part once, for what `prefix` gives and for the frames of the encoder's last layer.

        Parameters
        ----------
        inputs
            As for `prefix`, of a model that is cut behind the encoder.

        Returns
        -------
        list of tuple of Features
            Of each utterance both: the second are its features under a head that reads frames.
        """
        heard: list[Tensor] = []
        with ExitStack() as undo:
            listening = self._encoder.register_forward_hook(lambda _, __, output: heard.append(output.last_hidden_state))
            undo.callback(listening.remove)
            features = self.prefix(inputs)
        frames = in_order(
            (rows, unpad(hidden, self.frame_lengths(part.input_lengths), part.input_lengths))
            for (rows, part), hidden in zip(self._parts(inputs), heard, strict=True)
        )
        return [*zip(features, frames, strict=True)]

    def _parts(self, batch: FeatureBatch) -> list[tuple[Tensor, FeatureBatch]]:
        """Give what may share a forward, with its rows in the batch."""
        if not self._equal_lengths:
            return [(torch.arange(len(batch.frames)), batch)]
        return [(rows, batch.rows(rows)) for rows in rows_of_equal_length(batch.input_lengths)]

    def _features(self, inputs: FeatureBatch) -> list[Features]:
        lengths = self._frame_lengths_at_cut(inputs.input_lengths)
        if self._keeps_means:
            hidden = self._means(inputs, lengths)
            return unpad(hidden, torch.full_like(lengths, hidden.shape[1]), inputs.input_lengths)
        return unpad(self._run_to_cut(inputs), lengths, inputs.input_lengths)

    def _run_to_cut(self, inputs: FeatureBatch) -> Tensor:
        with ExitStack() as undo:
            undo.enter_context(self._exact_stem(inputs.input_lengths))
            undo.enter_context(self._stopping_at_cut())
            try:
                return self._encoder(**self._native_inputs(inputs.frames, inputs.input_lengths)).last_hidden_state
            except _Stop as stopped:
                return stopped.hidden

    def _means(self, inputs: FeatureBatch, lengths: Tensor) -> Tensor:
        with self._exact_stem(inputs.input_lengths):
            native = self._native_inputs(inputs.frames, inputs.input_lengths)
            encoded = self._encoder(**native, output_hidden_states=self._pools_all_layers)
        layers = encoded.hidden_states if self._pools_all_layers else (encoded.last_hidden_state,)
        means = PooledClassificationHead.pool(layers, lengths)
        if not self._keeps_deviations:
            return means
        squares = ((layer.float() - means[:, [number]]) ** 2 for number, layer in enumerate(layers))
        return torch.cat([means, PooledClassificationHead.pool([*squares], lengths).sqrt()], dim=1)

    @contextmanager
    def _stopping_at_cut(self) -> Iterator[None]:
        def stop_before(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> None:
            raise _Stop(args[0])

        def stop_behind(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            raise _Stop(output.transpose(1, 2))

        with ExitStack() as undo:
            if self.cut.kind == "layer":
                layer = self._encoder.get_submodule(f"{self.family.layers}.{self.cut.layer}")
                undo.callback(layer.register_forward_pre_hook(stop_before, with_kwargs=True).remove)
            elif self.cut.kind == "stem":
                undo.callback(self._stem.register_forward_hook(stop_behind).remove)
            yield

    def forward(self, features: FeatureBatch, decoder_input_ids: Tensor | None = None) -> Tensor:
        """Run the suffix.

        Parameters
        ----------
        features
            At the cut.
        decoder_input_ids
            int64 `[batch, tokens]`, for a model with a decoder.

        Returns
        -------
        torch.Tensor
            Logits: `[batch, frames, vocabulary]`, `[batch, labels]`, or of the next token `[batch, tokens, vocabulary]`.
        """
        if decoder_input_ids is None:
            # Above the encoder nothing sees padding.
            if self.cut.kind == "end":
                return self._run_from_cut(self.model, features).logits
            parts = [(rows, self._run_from_cut(self.model, part).logits) for rows, part in self._parts(features)]
            return parts[0][1] if len(parts) == 1 else pad_sequence(in_order(parts), batch_first=True)
        encoded = BaseModelOutput(last_hidden_state=self.encode(features))
        with attending_to_own_frames(self.model, self.frame_lengths(features.input_lengths)):
            return self.model(encoder_outputs=encoded, decoder_input_ids=decoder_input_ids, use_cache=False).logits

    def encode(self, features: FeatureBatch) -> Tensor:
        """Run what of the encoder lies above the cut: `[batch, frames, width]`; rows beyond a clip's own length mean nothing."""
        hidden: Tensor = self._run_from_cut(self._encoder, features).last_hidden_state
        return hidden

    def native_forward(self, features: FeatureBatch, **others: Any) -> Any:
        """Let the model's own forward start at the cut.

        Parameters
        ----------
        features
            At the cut.
        **others
            What else that forward takes, such as `labels`.

        Returns
        -------
        transformers.utils.ModelOutput
            What that forward gives, such as `loss` and `logits`.

        Raises
        ------
        ModelError
            If layers are skipped at random or run twice, which the one at the cut must not be.
        """
        if self.cut.kind == "layer" and self.model.training:
            refuse_a_lost_layer(self._encoder, self.cut)
        return self._run_from_cut(self.model, features, **others)

    def is_frozen_below_cut(self) -> bool:
        """Tell whether nothing below the cut trains, as when the cut was found."""
        return not any(parameter.requires_grad for module in self._below_cut() for parameter in module.parameters())

    @contextmanager
    def attending_to(self, lengths: Tensor) -> Iterator[None]:
        """For one call, let the decoder attend to each clip's own frames only, of which it has so many, `[batch]`."""
        with attending_to_own_frames(self.model, lengths):
            yield

    def _run_from_cut(self, module: nn.Module, features: FeatureBatch, **others: Any) -> Any:
        if self.cut.kind == "input":
            with self._exact_stem(features.input_lengths):
                return module(**self._native_inputs(features.frames, features.input_lengths), **others)
        longest = int(features.input_lengths.max())
        # Nothing is computed from these: only the mask that the native forward derives from them counts.
        shape_only = features.frames.new_zeros(1).expand(len(features.frames), longest)
        if self.family.inputs != "waveform":
            shape_only = shape_only[..., None]
        native = self._native_inputs(shape_only, features.input_lengths)
        if self._keeps_means:
            # A mean is a sequence of one frame, which needs no mask.
            native["attention_mask"] = None
        with self._starting_at_cut(features.frames, self.frame_lengths(features.input_lengths)):
            return module(**native, **others)

    def train_suffix(self) -> None:
        """Put what trains into training mode and everything below the cut into evaluation mode."""
        self.model.train()
        for module in self._encoder.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()  # the statistics of pretraining hold; those of a small batch would depend on its company
        for _, modules in forward_order(self.model, self.family):
            if not any(parameter.requires_grad for module in modules for parameter in module.parameters()):
                for module in modules:
                    module.eval()
        if self.cut.kind == "end":
            self._encoder.eval()
        if decoder := decoder_of(self.model):
            decoder.train(any(parameter.requires_grad for parameter in decoder.parameters()))

    def prefix_digest(self) -> str:
        """Give a hash of all weights below the cut and of the configuration that shapes them."""
        statistics = f"{self._kept_layers}{' and deviations' if self._keeps_deviations else ''}" if self._keeps_means else ""
        kept = f"{self.cut}{statistics}{self.family}"
        config: Any = self._encoder.config
        shape = {name: value for name, value in config.to_dict().items() if name not in _OF_THE_HEAD}
        digest = hashlib.blake2b(f"{kept}{sorted(shape.items())}".encode(), digest_size=16)
        for module in self._below_cut():
            for name, tensor in module.state_dict().items():
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def _below_cut(self) -> list[nn.Module]:
        if self.cut.kind == "end":
            return [self._encoder]
        order = forward_order(self.model, self.family)
        below = order[: [cut for cut, _ in order].index(self.cut)]
        return [module for _, modules in below for module in modules]

    def _native_inputs(self, values: Tensor, input_lengths: Tensor) -> dict[str, Tensor | None]:
        positions = torch.arange(values.shape[1], device=values.device)
        native = values.transpose(1, 2) if self.family.inputs == "log_mel" else values  # the one that takes channels first
        mask = (positions < input_lengths.to(values.device)[:, None]).long()
        return {str(self._encoder.main_input_name): native, "attention_mask": mask}

    @contextmanager
    def _exact_stem(self, input_lengths: Tensor) -> Iterator[None]:
        """For one call, let a stem that sees padding run on clips of equal length."""
        with ExitStack() as undo:
            if self._stem_sees_padding:
                native = self._stem.forward
                undo.enter_context(replaced_forward(self._stem, lambda samples: in_equal_lengths(native, samples, input_lengths)))
            yield

    @contextmanager
    def _starting_at_cut(self, hidden: Tensor, lengths: Tensor) -> Iterator[None]:
        """For one call, let the model's own forward start at the cut with these hidden states; the head sees `lengths` frames."""
        encoder = self._encoder
        with ExitStack() as undo:
            if self.cut.kind == "end":
                layers = tuple(hidden[:, [layer]] for layer in range(self._kept_layers)) if self._keeps_means else None
                output = BaseModelOutput(last_hidden_state=layers[-1] if layers else hidden, hidden_states=layers)
                undo.enter_context(replaced_forward(encoder, lambda *_, **__: output))
            elif self.cut.kind == "stem":
                undo.enter_context(replaced_forward(self._stem, lambda *_: hidden.transpose(1, 2)))
            else:
                for path, module in existing(encoder, [*self.family.stand_ins]).items():
                    stand_in = zeros(self.family.stand_ins[path], hidden, int(lengths.max()))
                    undo.enter_context(replaced_forward(module, stand_in))
                undo.enter_context(self._layers_from_cut(hidden))
            yield

    @contextmanager
    def _layers_from_cut(self, hidden: Tensor) -> Iterator[None]:
        parent, _, name = self.family.layers.rpartition(".")
        owner = self._encoder.get_submodule(parent)
        layers = getattr(owner, name)
        make = self.family.extra_inputs
        extra = make(self._encoder, hidden) if make else {}

        def hand_in(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return (hidden, *args[1:]), {**kwargs, **extra}

        handle = layers[self.cut.layer].register_forward_pre_hook(hand_in, with_kwargs=True)
        setattr(owner, name, layers[self.cut.layer :])
        try:
            yield
        finally:
            setattr(owner, name, layers)
            handle.remove()


def _pools_over_time(model: Any) -> bool:
    """Tell whether the head takes the mean over time of what is linear in the frames, as ours and the native ones do."""
    return isinstance(getattr(model, "head", None), PooledClassificationHead) or hasattr(model, "projector")
