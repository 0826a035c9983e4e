"""Manifests for clusters: of the shape their operators ask for, and with command lines that this program understands."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field
from typer.main import get_command

from speechxfer.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/distributed"


class Strict(BaseModel):
    """What stands in a manifest: nothing that its operator does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Container(Strict):
    name: str
    image: str
    command: list[str] = []
    args: list[str] = []
    resources: dict[str, dict[str, str]]
    envFrom: list[dict[str, dict[str, str]]] = []  # noqa: N815
    volumeMounts: list[dict[str, str | bool]]  # noqa: N815


class PodSpec(Strict):
    containers: list[Container] = Field(min_length=1)
    volumes: list[dict[str, str | dict[str, str | bool]]]


class Template(Strict):
    spec: PodSpec


class HeadGroup(Strict):
    rayStartParams: dict[str, str]  # noqa: N815
    template: Template


class WorkerGroup(HeadGroup):
    groupName: str  # noqa: N815
    replicas: int
    minReplicas: int  # noqa: N815
    maxReplicas: int  # noqa: N815


class RayCluster(Strict):
    rayVersion: str  # noqa: N815
    headGroupSpec: HeadGroup  # noqa: N815
    workerGroupSpecs: list[WorkerGroup]  # noqa: N815


class RayJob(Strict):
    entrypoint: str
    shutdownAfterJobFinishes: bool  # noqa: N815
    rayClusterSpec: RayCluster  # noqa: N815


class Replica(Strict):
    replicas: int
    restartPolicy: str = Field(pattern="^(Always|OnFailure|Never|ExitCode)$")  # noqa: N815
    template: Template


class PyTorchJob(Strict):
    nprocPerNode: str  # noqa: N815
    pytorchReplicaSpecs: dict[str, Replica]  # noqa: N815


def read(name, kind, version):
    tree = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    assert (tree["kind"], tree["apiVersion"], sorted(tree)) == (kind, version, ["apiVersion", "kind", "metadata", "spec"])
    return tree["spec"]


def understood(words):
    """Let the command line be parsed, and do nothing."""
    command = get_command(app)
    context = command.make_context("speechxfer", list(words), resilient_parsing=False)
    name, verb, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    parsed = verb.make_context(name, rest, parent=context)
    return {key: str(value) for key, value in parsed.params.items() if value is not None}


def check_pods(pods):
    for pod in pods:
        volumes = {volume["name"] for volume in pod.volumes}
        assert {mount["name"] for container in pod.containers for mount in container.volumeMounts} == volumes


def test_ray_job():
    job = RayJob.model_validate(read("transcribe-rayjob.yaml", "RayJob", "ray.io/v1"))
    cluster = job.rayClusterSpec
    check_pods([cluster.headGroupSpec.template.spec, *(group.template.spec for group in cluster.workerGroupSpecs)])
    parsed = understood(shlex.split(job.entrypoint)[1:])
    assert int(parsed["workers"]) == sum(group.replicas for group in cluster.workerGroupSpecs)
    assert f"ray=={cluster.rayVersion}\n" in (ROOT / "constraints.txt").read_text()


def test_pytorch_job():
    job = PyTorchJob.model_validate(read("finetune-pytorchjob.yaml", "PyTorchJob", "kubeflow.org/v1"))
    assert set(job.pytorchReplicaSpecs) == {"Master", "Worker"} and job.pytorchReplicaSpecs["Master"].replicas == 1
    check_pods([replica.template.spec for replica in job.pytorchReplicaSpecs.values()])
    for replica in job.pytorchReplicaSpecs.values():
        (container,) = replica.template.spec.containers
        assert container.name == "pytorch", "the operator looks for a container of this name"
        assert container.resources["limits"]["nvidia.com/gpu"] == job.nprocPerNode
        script, *words = container.args
        assert (ROOT / "scripts" / Path(script).name).is_file() and (ROOT / "configs" / Path(words[0]).name).is_file()
        understood(["finetune", *words])


@pytest.mark.parametrize("name", ["finetune.sbatch", "transcribe.sbatch"])
def test_slurm_scripts(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(FOLDER / name)], check=True)
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", text, re.MULTILINE))
    line = text.replace("\\\n", " ").strip().splitlines()[-1]
    if name.startswith("finetune"):
        words = shlex.split(line.partition("scripts/finetune.py ")[2])
        assert (ROOT / words[0]).is_file() and f"--nproc_per_node {options['gpus-per-node']} " in line
        understood(["finetune", *words])
    else:
        assert understood(shlex.split(line.partition("speechxfer ")[2]))["workers"] == options["nodes"]
