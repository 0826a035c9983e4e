"""What Ray costs and what it bears: the same engine with it and without, markers at speed, and deaths at random moments.

    python scripts/benchmarks/distributed.py [--part overhead|schedule|faults|memory] [--quick]

Overhead: half an hour of calls, transcribed by the embedded model on all cores, by `Transcriber` and by a local cluster with one
worker, in turns; the time until the worker is ready is printed apart. Schedule: inputs through an engine that does nothing, with
done-markers. Faults: on three nodes a worker, a node or the driver is killed at a random moment, the work is begun again, and the
result compared with that of a single machine. Memory: the most that driver and worker take for an hour of audio and for ten. The
last line is one JSON object; the exit code is 1 if a bar is missed.
"""

import argparse
import functools
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from idle_engines import Idle, Slow

from speechxfer import Transcriber
from speechxfer.distributed import transcribe_archive
from speechxfer.transcription import Recording, find_recordings, render

CALL = Path(str(files("speechxfer"))) / "assets" / "demo" / "call.flac"
OVERHEAD_PERCENT, SCHEDULED_PER_SECOND = 10.0, 1000.0
GROWTH_PERCENT, GROWTH_MB = 10.0, 100.0
FILES_A_BATCH = 8
KILLS = ("worker", "node", "driver")


def overhead(calls: int, rounds: int, work: Path) -> dict[str, float]:
    """Transcribe the same calls with Ray and without."""
    for number in range(calls):
        shutil.copy(CALL, work / f"{number:03}.flac")
    recordings = find_recordings([str(work)])
    plain, ray = [], []
    for turn in range(rounds):
        plain.append(apart(plainly, recordings))
        out = str(work.parent / f"out-{turn}")
        ray.append(apart(with_ray, recordings, out, functools.partial(Transcriber, "tiny")))
        print(
            f"plain {plain[-1]['seconds']:.1f} s; Ray {ray[-1]['seconds']:.1f} s, ready after {ray[-1]['ready']:.1f} s",
            flush=True,
        )
    best = {"plain": min(one["seconds"] for one in plain), "ray": min(one["seconds"] for one in ray)}
    return {
        "audio_minutes": plain[0]["audio"] / 60,
        "overhead_percent": round(100 * (best["ray"] / best["plain"] - 1), 2),
        "startup_seconds": min(one["ready"] for one in ray),
    }


def apart(measure: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Measure in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def plainly(recordings: list[Recording]) -> dict[str, float]:
    """Transcribe without Ray; the model is loaded before the clock runs."""
    transcriber = Transcriber("tiny")
    begin = time.time()
    results: Iterator[Any] = transcriber.transcribe_all(recording.path for recording in recordings)
    audio = sum(one.duration for one in results)
    return {"seconds": time.time() - begin, "audio": audio}


def with_ray(recordings: list[Recording], out: str, engine: Callable[[], Any]) -> dict[str, float]:
    """Transcribe with a local cluster; the clock runs from when its worker is ready."""
    summary = transcribe_archive(recordings, out, engine, output_format="jsonl", workers=1, batch_size=FILES_A_BATCH)
    return {"seconds": summary.seconds - summary.startup_seconds, "ready": summary.startup_seconds, "failed": summary.failed}


def schedule(count: int, work: Path) -> dict[str, float]:
    """Pass inputs through an engine that does nothing."""
    recordings = [Recording(f"{number}.wav", Path(f"{number}.wav")) for number in range(count)]
    begin = time.time()
    summary = transcribe_archive(recordings, str(work), Idle, output_format="jsonl", batch_size=500)
    spent = time.time() - begin - summary.startup_seconds
    return {"scheduled": count, "scheduled_per_second": round(count / spent, 1)}


def faults(seeds: int, work: Path) -> dict[str, float]:
    """Kill something at a random moment, begin again, and compare with what a single machine writes."""
    from ray.cluster_utils import Cluster

    lost = duplicated = different = 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    for seed in range(seeds):
        chance, out = random.Random(seed), work / str(seed)
        recordings = [Recording(f"{seed}/{number}.wav", Path(f"{number}.wav")) for number in range(40)]
        kill = KILLS[seed % len(KILLS)]
        driver = multiprocessing.get_context("spawn").Process(target=drive, args=(recordings, str(out), cluster.address))
        driver.start()
        wanted = chance.randrange(1, 9)
        while driver.is_alive() and len([*out.glob("_speechxfer/done/*")]) < wanted:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.5))
        if kill == "driver" and driver.pid:
            os.kill(driver.pid, signal.SIGKILL)
        elif kill == "node":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=1))
        else:
            kill_a_worker()
        driver.join()
        again = multiprocessing.get_context("spawn").Process(target=drive, args=(recordings, str(out), cluster.address))
        again.start()
        again.join()
        missing, twice, changed = compared(recordings, out)
        print(
            f"seed {seed}: {kill} killed after {wanted} batches; lost {missing}, twice {twice}, different {changed}", flush=True
        )
        lost, duplicated, different = lost + missing, duplicated + twice, different + changed
    cluster.shutdown()
    return {"fault_runs": seeds, "lost": lost, "duplicated": duplicated, "different": different}


def memory(calls: int, work: Path) -> dict[str, float]:
    """Transcribe ten times so many calls, and see what the processes took at most until the first tenth was done, and in all.

    In one run, because two of them differ by more than either grows: each process has its own luck with fragments of its heap.
    """
    for number in range(10 * calls):
        (work / f"{number:04}.flac").symlink_to(CALL)
    found = apart(with_peaks, find_recordings([str(work)]), work.parent / "out", functools.partial(Transcriber, "tiny"))
    print(f"{10 * calls} calls: {found}", flush=True)
    growth = {who: found[f"{who}_rss_mb"] - found[f"{who}_rss_mb_of_a_tenth"] for who in ("driver", "worker")}
    within = all(
        grown <= max(GROWTH_MB, found[f"{who}_rss_mb_of_a_tenth"] * GROWTH_PERCENT / 100) for who, grown in growth.items()
    )
    grown = {f"{who}_growth_mb": round(grown, 1) for who, grown in growth.items()}
    return {**grown, "audio_hours": found["hours"], "memory_flat": int(within)}


def with_peaks(recordings: list[Recording], out: Path, engine: Callable[[], Any]) -> dict[str, float]:
    """Transcribe with a local cluster, while the memory of this process and of the worker is watched."""
    import psutil

    whole, done = dict.fromkeys(("driver", "worker"), 0.0), threading.Event()
    tenth: dict[str, float] = {}

    def watch() -> None:
        own = psutil.Process()
        while not done.wait(0.5):
            with suppress(psutil.NoSuchProcess):
                workers = [one for one in own.children(recursive=True) if any("MapWorker" in word for word in one.cmdline())]
                for who, processes in (("driver", [own]), ("worker", workers)):
                    whole[who] = max([whole[who], *(one.memory_info().rss / 2**20 for one in processes)])
            if not tenth and FILES_A_BATCH * len([*out.glob("_speechxfer/done/*")]) >= len(recordings) / 10:
                tenth.update(whole)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        summary = transcribe_archive(recordings, str(out), engine, output_format="jsonl", workers=1, batch_size=FILES_A_BATCH)
    finally:
        done.set()
        watcher.join()
    peaks = {f"{who}_rss_mb": round(value, 1) for who, value in whole.items()}
    peaks |= {f"{who}_rss_mb_of_a_tenth": round(value, 1) for who, value in tenth.items()}
    return {**peaks, "hours": summary.audio_hours, "seconds": summary.seconds}


def drive(recordings: list[Recording], out: str, address: str) -> None:
    """Be a driver."""
    transcribe_archive(recordings, out, functools.partial(Slow, 0.05), cluster=address, batch_size=4)


def kill_a_worker() -> None:
    """Kill a process in which Ray runs an engine, if there is one."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        if any("MapWorker" in word for word in process.info["cmdline"] or []):
            process.kill()
            return


def compared(recordings: list[Recording], out: Path) -> tuple[int, int, int]:
    """Count inputs that are missing, stand there twice, or differ from a single machine's."""
    lines = [line for shard in sorted(out.glob("_speechxfer/shards/*")) for line in shard.read_text().splitlines()]
    expected = []
    for one, result in zip(recordings, Slow(0).transcribe_all(str(one.path) for one in recordings), strict=True):
        expected.append({**json.loads(render(result, "jsonl")), "audio": str(one.path)})
    found = [json.loads(line) for line in lines]
    names = [one["audio"] for one in found]
    missing = sum(one["audio"] not in names for one in expected)
    return missing, len(names) - len(set(names)), int(found != expected)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("overhead", "schedule", "faults", "memory"))
    parser.add_argument("--quick", action="store_true", help="4 minutes of calls once, 5,000 inputs, 3 deaths, 40 minutes")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # Ray's workers import the engines from here
    calls, rounds, count, seeds, hour = (2, 1, 5_000, 3, 2) if arguments.quick else (16, 2, 100_000, 20, 31)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        parts = {
            "overhead": lambda work: overhead(calls, rounds, work),
            "schedule": lambda work: apart(schedule, count, work),
            "faults": lambda work: faults(seeds, work),
            "memory": lambda work: memory(hour, work),
        }
        for name in [arguments.part] if arguments.part else parts:
            work = Path(directory) / name / "work"
            work.mkdir(parents=True)
            figures |= parts[name](work)
    bars: dict[str, list[float | bool]] = {}
    if "overhead_percent" in figures:
        bars["overhead_percent"] = [
            figures["overhead_percent"],
            OVERHEAD_PERCENT,
            figures["overhead_percent"] <= OVERHEAD_PERCENT,
        ]
    if "scheduled_per_second" in figures:
        speed = figures["scheduled_per_second"]
        bars["scheduled_per_second"] = [speed, SCHEDULED_PER_SECOND, speed >= SCHEDULED_PER_SECOND]
    if "memory_flat" in figures:
        bars["memory_flat"] = [figures["memory_flat"], 1, figures["memory_flat"] == 1]
    for name in ("lost", "duplicated", "different"):
        if name in figures:
            bars[name] = [figures[name], 0, figures[name] == 0]
    print(json.dumps({"benchmark": "distributed", "figures": figures, "bars": bars}))
    return 0 if all(met for *_, met in bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
