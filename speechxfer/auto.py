"""`import speechxfer.auto` lets transformers' auto classes load the models that speechxfer saves in its own format.

Encoders of families that other packages add are made known with it.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModelForAudioClassification, AutoModelForCTC

from speechxfer.models import EncoderHeadConfig, EncoderHeadModel, known_families

known_families()
AutoConfig.register(EncoderHeadConfig.model_type, EncoderHeadConfig)
AutoModelForCTC.register(EncoderHeadConfig, EncoderHeadModel)
AutoModelForAudioClassification.register(EncoderHeadConfig, EncoderHeadModel)
