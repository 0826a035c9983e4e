"""Groups and rates, the schedule's shape, and the running average."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from speechxfer import finetune, load_model
from speechxfer.models import SplitModel, new_head, set_trainable
from speechxfer.recipe import Recipe
from speechxfer.training.optimizer import StartingPointPull, WeightAverage, make_optimizer, make_schedule


def test_each_parameter_that_trains_is_in_one_group_with_its_rate(small_whisper):
    made = new_head(small_whisper, "classification", labels=("a", "b"))
    set_trainable(made.model, made.family, "top:1")
    optimizer = make_optimizer(SplitModel(made.model, made.family), 1e-2, 1e-4, 0.1)
    held = [(id(p), group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]]
    names = {id(parameter): (name, parameter) for name, parameter in made.model.named_parameters()}
    assert sorted(i for i, _, _ in held) == sorted(i for i, (_, p) in names.items() if p.requires_grad)
    for i, rate, decay in held:
        name, parameter = names[i]
        assert rate == (1e-2 if name.startswith("head.") else 1e-4), name
        assert decay == (0.1 if parameter.ndim > 1 else 0.0), name


def test_schedule_warms_up_then_falls_to_zero():
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimizer, warmup_steps=4, total_steps=20)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0 and all(before > after for before, after in pairwise(rates[4:]))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)


def test_average_is_applied_and_taken_back():
    layer = nn.Linear(1, 1, bias=False)
    average = WeightAverage(layer, decay=0.5)
    expected = layer.weight.item()
    for step, value in enumerate((1.0, 2.0, 3.0), start=1):
        layer.weight.data.fill_(value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        assert layer.weight.item() == pytest.approx(expected)
    assert layer.weight.item() == 3.0


def test_no_decay_keeps_the_raw_weights():
    layer = nn.Linear(1, 1)
    average = WeightAverage(layer, decay=0.0)
    layer.weight.data.fill_(5.0)
    average.update()
    with average.applied():
        assert layer.weight.item() == 5.0


def test_the_pull_is_towards_the_start_and_leaves_the_head_alone(small_whisper):
    made = new_head(small_whisper, "classification", labels=("a", "b"))
    set_trainable(made.model, made.family, "top:1")
    split = SplitModel(made.model, made.family)
    optimizer = make_optimizer(split, 1e-2, 1e-4, 0.0)
    start = {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}
    pull = StartingPointPull(split, optimizer, strength=2_500.0)  # times the encoder's rate: a quarter of the way
    with torch.no_grad():
        for parameter in made.model.parameters():
            if parameter.requires_grad:
                parameter += 1.0
    pull()
    for name, parameter in made.model.named_parameters():
        moved = 0.0 if not parameter.requires_grad else 1.0 if name.startswith("head.") else 0.75
        torch.testing.assert_close(parameter.detach(), start[name] + moved)


def test_a_stronger_pull_ends_nearer_to_the_start(small_whisper, tones, tmp_path):
    def distance(strength):
        tree = {
            "task": "classification",
            "model": {"path": str(small_whisper), "train": "top:1"},
            "data": {"train": str(tones)},
            "training": {"epochs": 2, "batch_seconds": 4, "encoder_learning_rate": 1e-3, "l2_sp": strength},
        }
        out = tmp_path / str(strength)
        finetune(Recipe.model_validate(tree), out)
        tuned = load_model(out).model.base_model.state_dict()
        began = new_head(small_whisper, "classification", labels=("a", "b")).model.base_model.state_dict()
        return sum((tuned[name] - began[name]).square().sum().item() for name in tuned)

    assert distance(0.0) > 2 * distance(100.0) > 0
    assert distance(1e6) == 0
