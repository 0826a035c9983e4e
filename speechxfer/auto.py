"""`import speechxfer.auto` lets transformers' auto classes load the models that speechxfer saves in its own format."""

from __future__ import annotations

from transformers import AutoConfig, AutoModelForAudioClassification, AutoModelForCTC

from speechxfer.models import EncoderHeadConfig, EncoderHeadModel

AutoConfig.register(EncoderHeadConfig.model_type, EncoderHeadConfig)
AutoModelForCTC.register(EncoderHeadConfig, EncoderHeadModel)
AutoModelForAudioClassification.register(EncoderHeadConfig, EncoderHeadModel)
