"""Two processes train what one trains with the same batch, and only the first one writes."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from speechxfer import finetune, load_model
from speechxfer.errors import TrainingError
from speechxfer.recipe import Recipe
from speechxfer.training import fill_store

SCRIPT = Path(__file__).parents[3] / "scripts/finetune.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
TWO = [*TORCHRUN, "--standalone", "--nproc_per_node", "2", str(SCRIPT)]


@pytest.fixture(scope="module")
def recipe(small_models, tones, tmp_path_factory):
    """Return a run without dropout, whose steps have an odd number of batches at the end of an epoch."""
    model = tmp_path_factory.mktemp("calm") / "pretrained"
    shutil.copytree(small_models["wav2vec2-layer"], model)
    config = json.loads((model / "config.json").read_text())
    calm = {name: 0.0 for name in config if name.endswith("dropout")} | {"layerdrop": 0.0}
    (model / "config.json").write_text(json.dumps(config | calm))
    stages = [{"train": "head", "epochs": 2, "head_learning_rate": 2e-2}, {"train": "top:1", "epochs": 2}]
    return Recipe.model_validate(
        {
            "task": "ctc",
            "model": {"path": str(model)},
            "data": {"train": str(tones)},
            "training": {"batch_seconds": 2, "precision": "fp32", "device": "cpu", "stages": stages},
        }
    )


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory):
    """Return what one process learns with as large a batch."""
    directory = tmp_path_factory.mktemp("alone") / "run"
    training = recipe.training.model_copy(update={"accumulation": 2})
    report = finetune(recipe.model_copy(update={"training": training}), directory)
    losses = [one["loss"] for one in map(json.loads, (directory / "log.jsonl").open()) if one["event"] == "epoch"]
    return {"wer": report["sets"]["test"]["wer"], "losses": losses, "weights": load_model(directory).model.state_dict()}


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[1])}


def by_two(recipe, out, *flags):
    file = out.parent / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    return subprocess.Popen(
        [*TWO, str(file), "--out", str(out), "--quiet", *flags],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_two_processes_learn_what_one_learns(recipe, alone, tmp_path):
    process = by_two(recipe, tmp_path / "two")
    printed, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert printed.count("model: ") == 1, "one of them talks"
    events = [json.loads(line) for line in (tmp_path / "two/log.jsonl").read_text().splitlines()]
    assert [event["processes"] for event in events if event["event"] == "stage"] == [2, 2]
    assert [event["loss"] for event in events if event["event"] == "epoch"] == pytest.approx(alone["losses"], rel=1e-4)
    assert json.loads((tmp_path / "two/report.json").read_text())["sets"]["test"]["wer"] == alone["wer"]
    weights = load_model(tmp_path / "two").model.state_dict()
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-4, atol=1e-5, msg=name)


def test_two_processes_that_are_killed_go_on(recipe, alone, tmp_path):
    process = by_two(recipe, tmp_path / "killed")
    deadline = time.monotonic() + 100
    while not (tmp_path / "killed/checkpoints/stage1-start.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        one.kill()
    process.communicate()
    again = by_two(recipe, tmp_path / "killed", "--resume")
    _, errors = again.communicate(timeout=200)
    assert again.returncode == 0, errors
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(
            load_model(tmp_path / "killed").model.state_dict()[name], weight, rtol=1e-4, atol=1e-5, msg=name
        )


@pytest.fixture
def machines():
    """Return, for each of two machines, what its commands begin with, its address and its network interface.

    They are network namespaces joined by a cable, where those may be made; otherwise both are this machine.
    """
    if os.geteuid() or not shutil.which("ip"):
        yield [([], "127.0.0.1", "lo")] * 2
        return
    tag = f"{os.getpid():x}"[-6:]
    spaces, ends = ([f"{kind}{tag}{number}" for number in (1, 2)] for kind in ("sx", "sxv"))
    addresses = ["10.98.76.1", "10.98.76.2"]
    commands = [f"netns add {space}" for space in spaces]
    commands += [f"link add {ends[0]} netns {spaces[0]} type veth peer name {ends[1]} netns {spaces[1]}"]
    for space, end, address in zip(spaces, ends, addresses, strict=True):
        commands += [f"-n {space} addr add {address}/24 dev {end}", f"-n {space} link set {end} up", f"-n {space} link set lo up"]
    try:
        made = all(subprocess.run(["ip", *command.split()], check=False).returncode == 0 for command in commands)
        inside = [["ip", "netns", "exec", space] for space in spaces]
        yield [*zip(inside, addresses, ends, strict=True)] if made else [([], "127.0.0.1", "lo")] * 2
    finally:
        for space in spaces:
            subprocess.run(["ip", "netns", "del", space], check=False)


def test_two_machines_that_share_a_store_learn_what_one_learns(recipe, alone, machines, tmp_path):
    store = recipe.store.model_copy(update={"directory": str(tmp_path / "store"), "dtype": "float32"})
    fill_store(recipe.model_copy(update={"store": store}))
    filled = (tmp_path / "store/index").read_bytes()
    (tmp_path / "recipe.yaml").write_text(recipe.model_copy(update={"store": store}).to_yaml())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank, (inside, address, interface) in enumerate(machines):
        group = ["--nnodes", "2", "--node_rank", str(rank), "--nproc_per_node", "1", "--local_addr", address]
        group += ["--master_addr", machines[0][1], "--master_port", str(port)]
        script = [str(SCRIPT), str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"), "--quiet"]
        given = {**environment(), "GLOO_SOCKET_IFNAME": interface}
        started = subprocess.Popen([*inside, *TORCHRUN, *group, *script], env=given, stderr=subprocess.PIPE, text=True)
        processes.append(started)
    for process in processes:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert (tmp_path / "store/index").read_bytes() == filled, "both read what was there"
    events = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [event["processes"] for event in events if event["event"] == "stage"] == [2, 2]
    assert [event["loss"] for event in events if event["event"] == "epoch"] == pytest.approx(alone["losses"], rel=1e-4)
    assert json.loads((tmp_path / "run/report.json").read_text())["sets"]["test"]["wer"] == alone["wer"]


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_sharded_models_are_refused(recipe, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(Accelerator, "distributed_type", property(lambda self: DistributedType[kind]))
    with pytest.raises(TrainingError, match=rf"asks for {kind}, which shards weights"):
        finetune(recipe, tmp_path / "run")
