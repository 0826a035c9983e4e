"""Each family's entry holds what it says: the cut at every height, company, LoRA, saving, one step; on small random models."""

import functools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torchaudio.models.wav2vec2.utils import import_huggingface_model
from transformers import AutoModelForAudioClassification, AutoModelForCTC

import speechxfer.auto  # noqa: F401 (for the families without a native class)
from speechxfer.data import Vocabulary
from speechxfer.errors import ModelError
from speechxfer.models import Cut, Features, SplitModel, collate, inject_lora, load_model, new_head, set_trainable
from speechxfer.recipe import Recipe
from speechxfer.training.preparation import model_under_new_head

NORMS = {"group": {"feat_extract_norm": "group"}, "layer": {"feat_extract_norm": "layer", "conv_bias": True}}
STABLE = {**NORMS["layer"], "do_stable_layer_norm": True}
CONFORMER = {"conv_depthwise_kernel_size": 5, "max_source_positions": 300}
SHAPES = {
    "hubert-group": ("Hubert", NORMS["group"]),
    "hubert-layer": ("Hubert", STABLE),
    "wavlm-group": ("WavLM", NORMS["group"]),
    "wavlm-layer": ("WavLM", STABLE),
    "unispeech": ("UniSpeech", NORMS["group"]),
    "unispeech-sat": ("UniSpeechSat", STABLE),
    "data2vec-audio": ("Data2VecAudio", {"conv_pos_kernel_size": 5, "num_conv_pos_embeddings": 3}),
    "sew": ("SEW", {**NORMS["group"], "squeeze_factor": 2}),
    "sew-projected": ("SEW", {**NORMS["layer"], "squeeze_factor": 3, "conv_dim": (16,) * 7}),
    "wav2vec2-conformer": ("Wav2Vec2Conformer", {**NORMS["layer"], **CONFORMER}),
    "wav2vec2-conformer-rotary": ("Wav2Vec2Conformer", {**NORMS["group"], **CONFORMER, "position_embeddings_type": "rotary"}),
    "wav2vec2-bert": ("Wav2Vec2Bert", CONFORMER),
    "moonshine": ("Moonshine", {"attention_bias": True}),
    "wav2vec2-bert-relative": ("Wav2Vec2Bert", {**CONFORMER, "position_embeddings_type": "relative"}),
}
EQUAL_LENGTH = {"data2vec-audio", "sew", "sew-projected", "wav2vec2-conformer", "wav2vec2-conformer-rotary", "moonshine"}
TRAINS = ("head", "top:1", "top:2", "encoder", "all")
LAYERS = 3

ONE_OF_EACH = ("hubert-group", "wavlm-layer", "unispeech", "unispeech-sat", "data2vec-audio", "sew")
ONE_OF_EACH += ("wav2vec2-conformer", "wav2vec2-bert", "moonshine")

each_shape = pytest.mark.parametrize("name", SHAPES)
each_family = pytest.mark.parametrize("name", ONE_OF_EACH)


@functools.cache
def _config(name):
    family, own = SHAPES[name]
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "layerdrop": 0.5,
        "initializer_range": 0.2,  # large enough for attention to be far from uniform, so that a wrong mask shows
    }
    if family == "Moonshine":
        shape = {f"encoder_{key}" if key.startswith("num_") else key: value for key, value in shape.items()}
        return transformers.MoonshineConfig(**shape, encoder_num_key_value_heads=2, vocab_size=20, pad_token_id=0, **own)
    if family == "Wav2Vec2Bert":
        return getattr(transformers, f"{family}Config")(**shape, **own)
    convolutions = {"conv_dim": (32,) * 7, "conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2)}
    positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    return getattr(transformers, f"{family}Config")(**{**shape, **convolutions, **positions, **own})


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """Give the directory of a small random encoder of a family."""

    @functools.cache
    def make(name) -> Path:
        directory = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        config = _config(name)
        model = getattr(transformers, f"{SHAPES[name][0]}Model")(config)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):  # as if it had been trained
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        model.save_pretrained(directory)
        if config.model_type == "wav2vec2-bert":
            transformers.SeamlessM4TFeatureExtractor().save_pretrained(directory)
        else:
            transformers.Wav2Vec2FeatureExtractor().save_pretrained(directory)
        return directory

    return make


@pytest.fixture
def make(pretrained):
    def build(name, task="ctc", train="head", **options):
        torch.manual_seed(1)
        vocabulary, labels = (Vocabulary(("a", "b", "c")), ()) if task == "ctc" else (None, ("x", "y", "z"))
        made = new_head(pretrained(name), task, vocabulary=vocabulary, labels=labels, **options)
        set_trainable(made.model, made.family, train)
        made.model.eval()
        return made, SplitModel(made.model, made.family)

    return build


def inputs_of(made, clips):
    return [Features(part, len(part)) for part in map(made.frontend, clips)]


def plain(made, inputs):
    """Run the whole model on one clip alone, without padding and without mask, as its makers would."""
    with torch.no_grad():
        return made.model(**{made.model.main_input_name: inputs.frames[None]}).logits[0]


def step(split, features):
    optimizer = torch.optim.AdamW((p for p in split.parameters() if p.requires_grad), lr=1e-2)
    split.train_suffix()
    for _ in range(3):  # an adapter's first matrix gets no gradient in the first step
        optimizer.zero_grad()
        split(collate(features)).log_softmax(-1)[..., 0].sum().backward()
        optimizer.step()


@each_shape
@pytest.mark.parametrize(
    ("task", "train"), [*(("ctc", train) for train in TRAINS), ("classification", "head"), ("classification", "top:2")]
)
def test_suffix_of_prefix_is_the_plain_forward_alone_and_in_a_batch(make, clips, name, task, train):
    made, split = make(name, task, train)
    above_stem = Cut("stem") if split.family.above_stem else Cut("layer", 0)
    lowest = above_stem if split.family.stem else Cut("input")
    assert split.cut == [Cut("end"), Cut("layer", 2), Cut("layer", 1), lowest, Cut("input")][TRAINS.index(train)]
    company = [*clips, clips[2][::-1].copy()]  # two of the same length
    inputs = inputs_of(made, company)
    features = split.prefix(collate(inputs))
    with torch.no_grad():
        together = split(collate(features))
    for samples, clip, part, logits in zip(company, inputs, features, together, strict=True):
        alone = plain(made, clip)
        if task == "ctc":
            assert len(alone) == made.num_frames(len(samples))
            logits = logits[: len(alone)]
        torch.testing.assert_close(logits, alone, atol=5e-5, rtol=1e-4)
        frames = tuple(part.frames.shape) if part.frames.ndim == 2 else (len(part.frames), 1)
        assert split.feature_shape(clip.input_length) == frames


@each_shape
def test_frames_beside_the_means_are_those_that_another_head_reads(make, clips, name):
    (made, pooling), (_, reading) = make(name, "classification"), make(name, "ctc")
    inputs = collate(inputs_of(made, [*clips, clips[2][::-1].copy()]))  # two of the same length
    means, frames = zip(*pooling.prefix_with_frames(inputs), strict=True)
    for found, split in ((means, pooling), (frames, reading)):
        for one, other in zip(found, split.prefix(inputs), strict=True):
            assert one.input_length == other.input_length
            torch.testing.assert_close(one.frames, other.frames, atol=0, rtol=0)
    assert not pooling._encoder._forward_hooks


@each_shape
def test_padding_class_is_the_one_measured(make, clips, name):
    """Run the native model on a padded batch with mask: an entry may say `masked` only where that is exact, stem aside."""
    made, split = make(name, train="all")
    split._equal_lengths = False
    split._stem_sees_padding = len(split.family.stem) == 1  # exact, whatever its norm
    inputs = inputs_of(made, clips[1:])
    with torch.no_grad():
        together = split(collate(inputs))
    alone = [plain(made, clip) for clip in inputs]
    differences = [(logits[: len(own)] - own).abs().max() for logits, own in zip(together, alone, strict=True)]
    assert (max(differences) > 1e-3) == (name in EQUAL_LENGTH) == (made.family.padding == "equal_length")


@each_family
@pytest.mark.parametrize("train", ["top:1", "all"])
def test_what_trains_moves_and_what_is_frozen_does_not(make, clips, name, train):
    made, split = make(name, train=train)
    features = split.prefix(collate(inputs_of(made, clips[1:])))
    before = {key: parameter.detach().clone() for key, parameter in made.model.named_parameters()}
    buffers = {key: buffer.clone() for key, buffer in made.model.named_buffers() if "running" in key}
    step(split, features)
    for key, parameter in made.model.named_parameters():
        assert torch.equal(parameter, before[key]) != parameter.requires_grad, key
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in made.model.named_buffers() if key in buffers)


@each_family
def test_adapters_change_logits_and_train_from_the_stem_on(make, clips, name):
    made, split = make(name)
    inputs = collate(inputs_of(made, [clips[1], -clips[1][::-1].copy()]))
    with torch.no_grad():
        before = split(collate(split.prefix(inputs)))
    inject_lora(made.model, made.family, 2)
    set_trainable(made.model, made.family, "lora:2")
    adapted = SplitModel(made.model, made.family)
    targets = {key.split(".lora_")[0].rsplit(".", 1)[1] for key, _ in made.model.named_parameters() if ".lora_" in key}
    assert targets == set(made.family.lora_targets)
    features = adapted.prefix(inputs)
    with torch.no_grad():
        torch.testing.assert_close(adapted.eval()(collate(features)), before, atol=1e-5, rtol=1e-4)
    step(adapted, features)
    for key, parameter in made.model.named_parameters():
        if ".lora_B" in key:
            assert parameter.abs().max() > 0, key
    with torch.no_grad():
        assert (adapted.eval()(collate(features)) - before).abs().max() > 1e-3


@each_family
@pytest.mark.parametrize("task", ["ctc", "classification"])
def test_saved_model_is_native_where_there_is_a_class_and_reloads_with_equal_logits(make, clips, tmp_path, name, task):
    made, _ = make(name, task)
    made.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.is_native == (task in made.family.native_heads)
    assert (loaded.family, loaded.task) == (made.family, task)
    auto = AutoModelForCTC if task == "ctc" else AutoModelForAudioClassification
    elsewhere = auto.from_pretrained(tmp_path).eval()
    assert type(elsewhere).__name__ == made.family.native_heads.get(task, "EncoderHeadModel")
    (inputs,) = inputs_of(made, clips[2:3])
    assert torch.equal(inputs.frames, loaded.frontend(clips[2]))
    expected = plain(made, inputs)
    assert torch.equal(plain(loaded, inputs), expected)
    with torch.no_grad():
        assert torch.equal(elsewhere(**{made.model.main_input_name: inputs.frames[None]}).logits[0], expected)


@each_family
def test_a_weighted_layer_sum_is_the_plain_forward_or_refused(make, clips, name):
    if name.startswith("sew"):
        with pytest.raises(ModelError, match="fewer frames between its layers"):
            make(name, "classification", weighted_layer_sum=True)
        return
    made, split = make(name, "classification", weighted_layer_sum=True)
    with torch.no_grad():
        owner = made.model if made.is_native else made.model.head
        owner.layer_weights.copy_(torch.randn(LAYERS + 1))
    inputs = inputs_of(made, clips)
    features = split.prefix(collate(inputs))
    assert all(item.frames.shape == (LAYERS + 1, 32) for item in features)
    with torch.no_grad():
        together = split(collate(features))
    for clip, logits in zip(inputs, together, strict=True):
        torch.testing.assert_close(logits, plain(made, clip), atol=5e-5, rtol=1e-4)


@each_family
def test_a_blstm_head_stands_on_every_family(make, clips, name):
    made, split = make(name, train="top:1", head="blstm", head_hidden_size=8)
    inputs = inputs_of(made, clips)
    with torch.no_grad():
        together = split(collate(split.prefix(collate(inputs))))
    for clip, logits in zip(inputs, together, strict=True):
        alone = plain(made, clip)
        torch.testing.assert_close(logits[: len(alone)], alone, atol=5e-5, rtol=1e-4)


def test_moonshine_is_its_makers_encoder_with_the_frames_they_count(make, pretrained, clips):
    made, _ = make("moonshine")
    theirs = transformers.AutoModel.from_pretrained(pretrained("moonshine")).get_encoder().eval()
    (inputs,) = inputs_of(made, clips[2:3])
    with torch.no_grad():
        expected = theirs(inputs.frames[None]).last_hidden_state
        assert torch.equal(made.model.encoder(inputs.frames[None]).last_hidden_state, expected)
    for num_samples in range(made.family.min_samples, 4000):
        assert made.num_frames(num_samples) == theirs._get_feat_extract_output_lengths(num_samples)
    assert made.num_frames(made.family.min_samples) == 1 and theirs._get_feat_extract_output_lengths(894) == 0
    assert made.num_frames(5) == 1  # padded with silence


@pytest.fixture
def many_languages(tmp_path):
    """Give a small MMS: one encoder, whose layers have adapters, and those of two languages beside it."""
    shape = _config("hubert-layer").to_dict() | {"adapter_attn_dim": 4, "vocab_size": 5}
    model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**{**shape, "model_type": "wav2vec2", "architectures": None}))
    model.save_pretrained(tmp_path)
    for seed, language in enumerate(("fra", "ron")):
        torch.manual_seed(seed)
        tensors = {name: torch.randn_like(tensor) for name, tensor in model._get_adapters().items()}
        save_file(tensors, tmp_path / f"adapter.{language}.safetensors")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    return tmp_path


def adapters(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items() if ".adapter_layer." in name}


def test_a_language_adapter_is_loaded_switched_trained_and_saved(many_languages, clips, tmp_path):
    made = {
        lang: new_head(many_languages, "ctc", vocabulary=Vocabulary(("a", "b")), target_lang=lang)
        for lang in (None, "fra", "ron")
    }
    base, french, romanian = (adapters(item.model) for item in made.values())
    assert len(base) == 6 * LAYERS
    stored = load_file(many_languages / "adapter.ron.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in romanian.items())
    assert not any(torch.equal(french[name], romanian[name]) or torch.equal(base[name], french[name]) for name in base)
    tuned = made["ron"]
    before = {name: tensor.clone() for name, tensor in tuned.model.state_dict().items()}
    set_trainable(tuned.model, tuned.family, "adapter")
    split = SplitModel(tuned.model, tuned.family)
    assert split.cut == Cut("stem")
    step(split, split.prefix(collate(inputs_of(tuned, clips[1:]))))
    for name, tensor in tuned.model.state_dict().items():
        assert torch.equal(tensor, before[name]) != (".adapter_layer." in name or name.startswith("lm_head.")), name
    tuned.model.eval()
    tuned.save(tmp_path / "saved")
    assert load_model(tmp_path / "saved").target_lang == "ron"
    (inputs,) = inputs_of(tuned, clips[2:3])
    elsewhere = transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path / "saved", target_lang="ron").eval()
    with torch.no_grad():
        assert torch.equal(elsewhere(inputs.frames[None]).logits[0], plain(tuned, inputs))


@pytest.fixture
def complete_mms(many_languages):
    """Give the same with heads and vocabularies of two and three letters, set to French."""
    symbols = {"fra": "é|a", "ron": "ș|"}
    for language, letters in symbols.items():
        file = many_languages / f"adapter.{language}.safetensors"
        width = (stored := load_file(file))["lm_head.weight"].shape[1]
        head = {"lm_head.weight": torch.randn(len(letters) + 1, width), "lm_head.bias": torch.randn(len(letters) + 1)}
        save_file(stored | head, file)
    numbers = {name: {"<pad>": 0} | {letter: n for n, letter in enumerate(letters, 1)} for name, letters in symbols.items()}
    (many_languages / "vocab.json").write_text(json.dumps(numbers))
    (many_languages / "tokenizer_config.json").write_text(json.dumps({"target_lang": "fra"}))
    return many_languages


def test_a_complete_model_of_many_languages_speaks_the_one_asked_for(complete_mms, clips, tmp_path):
    made = {None: load_model(complete_mms), "ron": load_model(complete_mms, target_lang="ron")}
    assert [(one.target_lang, one.vocabulary.symbols) for one in made.values()] == [("fra", ("é", " ", "a")), ("ron", ("ș", " "))]
    for one in made.values():
        theirs = transformers.Wav2Vec2ForCTC.from_pretrained(
            complete_mms, target_lang=one.target_lang, ignore_mismatched_sizes=True
        ).eval()
        (inputs,) = inputs_of(one, clips[2:3])
        with torch.no_grad():
            assert torch.equal(theirs(inputs.frames[None]).logits[0], plain(one, inputs))
    made["ron"].save(tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    assert (again.target_lang, again.vocabulary) == ("ron", made["ron"].vocabulary)
    tree = {"task": "ctc", "model": {"path": str(complete_mms), "vocabulary": "keep", "target_lang": "ron"}}
    given = Recipe.model_validate(tree | {"data": {"train": "t.csv", "normaliser": "none"}})
    assert model_under_new_head(given, {}).vocabulary == again.vocabulary
    with pytest.raises(ModelError, match="no adapters for the language 'deu'"):
        load_model(complete_mms, target_lang="deu")
    with pytest.raises(ModelError, match="target_lang 'fra': it has one vocabulary"):
        load_model(tmp_path / "saved", target_lang="fra")


def test_a_language_without_adapters_is_named_with_those_there_are(many_languages, pretrained):
    with pytest.raises(ModelError, match=r"'deu' \(adapter\.deu\.safetensors\); languages there: fra, ron"):
        new_head(many_languages, "ctc", vocabulary=Vocabulary(("a",)), target_lang="deu")
    made = new_head(pretrained("hubert-layer"), "ctc", vocabulary=Vocabulary(("a",)))
    with pytest.raises(ModelError, match="no language adapters as MMS has"):
        set_trainable(made.model, made.family, "adapter")


def test_torchaudio_imports_what_is_saved(small_models, clips, tmp_path):
    """Its bundles and ours meet in transformers' format."""
    made = new_head(small_models["wav2vec2-layer"], "ctc", vocabulary=Vocabulary(("a", "b")))
    made.save(tmp_path)
    imported = import_huggingface_model(transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path)).eval()
    (inputs,) = inputs_of(replace(made, model=made.model.eval()), clips[2:3])
    with torch.no_grad():
        logits, _ = imported(inputs.frames[None])
    torch.testing.assert_close(logits[0], plain(made, inputs), atol=1e-4, rtol=1e-4)


def test_filterbanks_are_those_of_the_makers_processor(pretrained, clips):
    """A last window without a partner makes no input, and the makers mask it."""
    made = new_head(pretrained("wav2vec2-bert"), "ctc", vocabulary=Vocabulary(("a",)))
    extractor = transformers.SeamlessM4TFeatureExtractor()
    for samples in (clips[1], clips[2], clips[3]):
        native = extractor(samples, sampling_rate=16_000, return_tensors="pt")
        real = native["input_features"][0, : int(native["attention_mask"].sum())]
        torch.testing.assert_close(made.frontend(samples), real.float(), atol=1e-5, rtol=1e-5)
        assert made.frontend.num_inputs(len(samples)) == len(real)
    assert len(made.frontend(clips[0])) == made.frontend.num_inputs(len(clips[0])) == 1


def test_an_encoder_that_shortens_its_frames_is_refused(pretrained, tmp_path):
    config = _config("wavlm-layer").to_dict() | {"add_adapter": True}
    transformers.WavLMConfig(**config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="add_adapter shortens the frames"):
        new_head(tmp_path, "ctc", vocabulary=Vocabulary(("a",)))


@pytest.mark.parametrize("head", ["linear", "blstm"])
def test_a_checkpoint_in_half_precision_is_taken_in_fp32(pretrained, tmp_path, head):
    shutil.copytree(pretrained("hubert-layer"), tmp_path / "half")
    config = json.loads((tmp_path / "half/config.json").read_text()) | {"dtype": "float16"}
    (tmp_path / "half/config.json").write_text(json.dumps(config))
    made = new_head(tmp_path / "half", "ctc", vocabulary=Vocabulary(("a",)), head=head)
    assert {parameter.dtype for parameter in made.model.parameters()} == {torch.float32}
