"""An archive on a cluster of three nodes on this machine: whatever dies, nothing is lost and nothing stands there twice."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")

from speechxfer.distributed import Ledger, transcribe_archive
from speechxfer.distributed.archive import _wer
from speechxfer.distributed.cluster import connect
from speechxfer.distributed.ledger import Batch
from speechxfer.errors import ClusterError
from speechxfer.transcription import find_recordings, render
from tests.unit.distributed.engines import OnFullDisk, Reader, SlowOnOneNode

ROOT = Path(__file__).parents[3]


@pytest.fixture
def archive(tmp_path):
    """Return a directory of recordings, named by what becomes of them."""

    def make(*names):
        for name in names:
            (tmp_path / "calls" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "calls" / name).write_text(f"this is {name}")
        return find_recordings([str(tmp_path / "calls")])

    return make


def shards(out):
    lines = [line for file in sorted((out / "_speechxfer/shards").iterdir()) for line in file.read_text().splitlines()]
    return [json.loads(line)["audio"] for line in lines]


def check_whole(out, recordings, failed=()):
    """Compare with what a single machine writes; each input once, in order, and failures beside."""
    good = [one for one in recordings if one.path.name not in failed]
    for one, result in zip(good, Reader().transcribe_all(str(one.path) for one in good), strict=True):
        written = json.loads((out / one.transcript("json")).read_text())
        assert written == {**json.loads(render(result, "json")), "audio": str(one.path)}
    assert shards(out) == [str(one.path) for one in good]
    failures = [json.loads(line)["input"] for line in (out / "failures.jsonl").read_text().splitlines()]
    assert sorted(Path(name).name for name in failures) == sorted(failed)


def test_files_that_are_bad_and_files_that_end_their_worker_do_not_keep_the_others_from_it(cluster, archive, tmp_path):
    recordings = archive(*(f"{number:02}.wav" for number in range(20)), "a/bad.wav", "a/07-poison.wav")
    heard = []
    summary = transcribe_archive(
        recordings, str(tmp_path / "out"), Reader, cluster=cluster.address, batch_size=4, progress=lambda *one: heard.append(one)
    )
    check_whole(tmp_path / "out", recordings, {"bad.wav", "07-poison.wav"})
    assert (summary.inputs, summary.failed, summary.done_before) == (22, 2, 0)
    assert sum(count for count, _ in heard) == 22 and sum(seconds for _, seconds in heard) == 20
    assert "ended its worker 2 times" in (tmp_path / "out/failures.jsonl").read_text()
    (tmp_path / "calls/a/bad.wav").rename(tmp_path / "calls/a/good.wav")
    later = transcribe_archive(archive("21.wav"), str(tmp_path / "out"), Reader, cluster=cluster.address, batch_size=4)
    assert (later.inputs, later.failed, later.done_before) == (23, 1, 20)


def test_a_node_that_dies_costs_nothing_but_its_work_in_flight(cluster, archive, tmp_path):
    recordings = archive(*(f"{number:02}.wav" for number in range(24)))
    doomed, killed = cluster.add_node(num_cpus=1), []

    def kill_once(count, seconds):
        if not killed:
            killed.append(cluster.remove_node(doomed, allow_graceful=False))

    make = functools.partial(Reader, 0.1)
    transcribe_archive(
        recordings, str(tmp_path / "out"), make, cluster=cluster.address, workers=3, batch_size=2, progress=kill_once
    )
    assert killed
    check_whole(tmp_path / "out", recordings)


def test_a_node_that_died_just_now_does_not_keep_work_from_beginning_again(cluster, archive, tmp_path):
    recordings = archive(*(f"{number:02}.wav" for number in range(4)))
    connect(cluster.address)
    doomed = cluster.add_node(num_cpus=1)
    cluster.remove_node(doomed, allow_graceful=False)  # Ray takes some twenty seconds to notice
    transcribe_archive(recordings, str(tmp_path / "out"), Reader, cluster=cluster.address, batch_size=2)
    check_whole(tmp_path / "out", recordings)


def test_a_driver_that_is_killed_is_followed_by_one_that_goes_on(cluster, archive, tmp_path):
    recordings = archive(*(f"{number:02}.wav" for number in range(16)))
    out = tmp_path / "out"
    program = (
        "import functools, sys; from speechxfer.distributed import Ledger, transcribe_archive;"
        "from speechxfer.transcription import find_recordings; from tests.unit.distributed.engines import Reader;"
        "transcribe_archive(find_recordings([sys.argv[1]]), sys.argv[2], functools.partial(Reader, 0.3),"
        " cluster=sys.argv[3], batch_size=2)"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "calls"), str(out), cluster.address]
    with (tmp_path / "driver.log").open("w") as log:
        driver = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 300  # 120 were once not enough, on two busy cores
    while len([*out.glob("_speechxfer/done/*")]) < 2 and time.monotonic() < deadline:
        assert driver.poll() is None, (tmp_path / "driver.log").read_text()
        time.sleep(0.1)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = len([*out.glob("_speechxfer/done/*")])
    assert 2 <= before < 8
    summary = transcribe_archive(recordings, str(out), Reader, cluster=cluster.address, batch_size=2)
    assert summary.done_before >= 2 * before
    check_whole(out, recordings)


def test_a_slow_node_does_less_and_holds_nobody_up(cluster, archive, tmp_path):
    import ray

    recordings = archive(*(f"{number:02}.wav" for number in range(40)))
    (tmp_path / "by").mkdir()
    slow = next(node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))
    make = functools.partial(SlowOnOneNode, slow, str(tmp_path / "by"))
    transcribe_archive(recordings, str(tmp_path / "out"), make, cluster=cluster.address, workers=2, batch_size=1)
    check_whole(tmp_path / "out", recordings)
    done = {path.name: len(path.read_text()) for path in (tmp_path / "by").iterdir()}
    assert sum(done.values()) == 40 and done.get(slow, 0) < 15


def test_a_full_disk_is_named_and_the_work_goes_on_once_there_is_room(cluster, archive, tmp_path):
    recordings = archive(*(f"{number:02}.wav" for number in range(12)))
    full = tmp_path / "full"
    full.touch()
    make = functools.partial(OnFullDisk, str(full))
    with pytest.raises(ClusterError, match=r"No space left on device; the same command goes on where it was$"):
        transcribe_archive(recordings, str(tmp_path / "out"), make, cluster=cluster.address, workers=1, batch_size=2)
    full.unlink()
    summary = transcribe_archive(recordings, str(tmp_path / "out"), make, cluster=cluster.address, workers=1, batch_size=2)
    assert 0 < summary.done_before < 12
    check_whole(tmp_path / "out", recordings)


def test_the_wer_is_that_of_all_recordings_whose_text_is_known(memory):
    ledger = Ledger("memory://bucket/out")
    lines = [json.dumps({"audio": name, "text": text}) + "\n" for name, text in (("a", "One two"), ("b", "three"), ("c", "x"))]
    ledger.commit(Batch(0, ()), {}, lines[:1], [])
    ledger.commit(Batch(1, ()), {}, lines[1:], [])
    assert _wer({"a": "one, two!", "b": "four"}, ledger, "basic") == pytest.approx(1 / 3)
    assert _wer({}, ledger, "basic") is None


def test_what_is_not_ready_is_said_before_work_begins(cluster, archive, tmp_path):
    recordings = archive("1.wav")
    with pytest.raises(ClusterError, match=r"node .*nowhere: no such model directory"):
        transcribe_archive(recordings, str(tmp_path / "out"), Reader, cluster=cluster.address, model="nowhere")
