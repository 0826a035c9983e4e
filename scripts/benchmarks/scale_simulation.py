"""Simulate how long an archive takes on many workers, with measured service times: stragglers, lost nodes, one driver.

    python scripts/benchmarks/scale_simulation.py --real-time-factor 60 --tasks-per-second 8 [--hours 100000]

Batches of 32 calls go to whichever worker is free. A batch takes its audio over the real-time factor of a worker: these differ
by 10 %, one batch in a hundred takes four times as long. Nodes of eight workers are lost at 1 % an hour; their batches are begun
again when that is noticed, and the node is back after ten minutes. The driver hands out so many batches a second at most
(`distributed.py` measures that). Printed: the whole time, what an even share without any of this would take, what was done twice,
and how long workers waited for the driver. The last line printed is one JSON object.
"""

import argparse
import bisect
import heapq
import json
import random

CALLS, CALL_MINUTES = 32, 6.0
NODE_WORKERS = 8
SPREAD, STRAGGLERS, STRAGGLING = 0.10, 0.01, 4.0
LOSS_PER_HOUR, NOTICED_SECONDS, BACK_SECONDS = 0.01, 30.0, 600.0


def simulate(workers: int, batches: int, service: float, per_second: float, seed: int = 0) -> dict[str, float]:
    """Give what became of so many batches of so many seconds of service."""
    chance = random.Random(seed)
    pace = [chance.lognormvariate(0, SPREAD) for _ in range(workers)]
    nodes = -(-workers // NODE_WORKERS)
    losses = [losses_of_node(chance, 3 * batches * service / workers + 36_000) for _ in range(nodes)]
    free = [(0.0, worker) for worker in range(workers)]
    heapq.heapify(free)
    handed_out = waited = again = end = 0.0
    left = batches
    while left:
        at, worker = heapq.heappop(free)
        begin = max(at, handed_out)
        waited += begin - at
        handed_out = begin + 1 / per_second
        took = service * pace[worker] * (STRAGGLING if chance.random() < STRAGGLERS else 1)
        own = losses[worker // NODE_WORKERS]
        loss = own[bisect.bisect(own, begin)]
        if begin + took > loss:
            again += loss - begin
            heapq.heappush(free, (loss + NOTICED_SECONDS + BACK_SECONDS, worker))
            continue
        left -= 1
        end = max(end, begin + took)
        heapq.heappush(free, (begin + took, worker))
    even = batches * service / workers
    return {
        "hours": round(end / 3600, 2),
        "even_hours": round(even / 3600, 2),
        "efficiency": round(even / end, 3),
        "done_twice_percent": round(100 * again / (batches * service), 3),
        "waited_for_driver_percent": round(100 * waited / (end * workers), 2),
    }


def losses_of_node(chance: random.Random, seconds: float) -> list[float]:
    """Give when a node is lost, up to a time and the first time after it."""
    found = [0.0]
    while found[-1] < seconds:
        found.append(found[-1] + chance.expovariate(LOSS_PER_HOUR / 3600))
    return [*found[1:], float("inf")]


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-time-factor", type=float, required=True, help="seconds of audio in a second of one worker")
    parser.add_argument("--tasks-per-second", type=float, required=True, help="that one driver hands out")
    parser.add_argument("--hours", type=float, default=100_000)
    arguments = parser.parse_args()
    service = CALLS * CALL_MINUTES * 60 / arguments.real_time_factor
    batches = max(1, round(arguments.hours * 60 / CALL_MINUTES / CALLS))
    figures = {}
    print(f"{arguments.hours:,.0f} hours of calls: {batches:,} batches of {service:.0f} s\n")
    print("| workers | hours | evenly | efficiency | done twice | waiting for the driver |\n|---|---|---|---|---|---|")
    for workers in (10, 100, 1000):
        found = simulate(workers, batches, service, arguments.tasks_per_second)
        figures[str(workers)] = found
        print("| " + " | ".join(map(str, (workers, *found.values()))) + " |")
    print(json.dumps({"benchmark": "scale_simulation", "figures": figures, "bars": {}}))


if __name__ == "__main__":
    main()
