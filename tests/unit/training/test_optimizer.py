"""Groups and rates, the schedule's shape, and the running average."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from speechxfer.models import SplitModel, new_head, set_trainable
from speechxfer.training.optimizer import WeightAverage, make_optimizer, make_schedule


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
