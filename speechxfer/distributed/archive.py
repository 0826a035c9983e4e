"""An archive of recordings in, the transcript of each beside the others out: Ray Data carries batches to workers and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from speechxfer.data import normalise, normalise_answer
from speechxfer.distributed.cluster import check_nodes, connect, device_count
from speechxfer.distributed.ledger import Batch, Done, Input, Ledger
from speechxfer.distributed.spreading import done_by_workers
from speechxfer.distributed.worker import ArchiveWorker, Engine, Job
from speechxfer.errors import ClusterError
from speechxfer.evaluation import ErrorCounts, total, word_errors
from speechxfer.transcription import Recording, refuse_same_places

_BATCH = 32


@dataclass(frozen=True)
class Summary:
    """What became of an archive.

    Attributes
    ----------
    inputs, failed, done_before
        How many there are; how many of them failed; how many an earlier run had done.
    audio_hours
        That were transcribed, earlier runs included.
    wer
        Of the recordings whose text a manifest tells, after the model's normaliser; None without.
    device_seconds
        That this run took its workers' devices for, without the time until they were ready.
    startup_seconds, seconds
        Of this run: until a worker was ready, and altogether.
    """

    inputs: int
    failed: int
    done_before: int
    audio_hours: float
    wer: float | None
    device_seconds: float
    startup_seconds: float
    seconds: float


def transcribe_archive(
    recordings: Sequence[Recording],
    out: str,
    make_engine: Callable[[], Engine],
    *,
    output_format: str = "json",
    cluster: str = "local",
    model: str = "tiny",
    workers: int | None = None,
    batch_size: int = _BATCH,
    normaliser: str = "basic",
    options: Mapping[str, str] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Summary:
    """Transcribe recordings on every device of a cluster; what an earlier run did is not done again.

    Parameters
    ----------
    recordings
        What `find_recordings` found; every node must be able to read them.
    out
        Directory or URL that every node can write to.
    make_engine
        Loads what transcribes, on each worker.
    output_format
        Of the file for each recording, see `speechxfer.transcription.render`; with `jsonl` there are shards of many recordings
        and nothing else.
    cluster
        See `connect`.
    model
        Directory that every node must have, which is asked before work begins.
    workers
        None is one for each GPU, or for each node without.
    batch_size
        Recordings that are done, and marked as done, together.
    normaliser
        Of the texts that are compared, where recordings have one.
    options
        What transcripts depend on beside model and format, by name. An `out` with transcripts made by others is refused.
    progress
        Called with the recordings and the seconds of audio that were done since the last call.

    Returns
    -------
    Summary
        Also in `summary.json`; what failed is in `failures.jsonl`.

    Raises
    ------
    ClusterError
        If there is no cluster, or it is not ready, or the work cannot go on.
    StorageError
        If `out` cannot be written, or holds what was made in another way.
    DataError
        If two recordings would be written to the same place, or the normaliser of texts that are compared lacks a package.
    """
    begin = time.time()
    if output_format != "jsonl":
        refuse_same_places(recordings)
    ledger = Ledger(out)
    known = ledger.open({"model": model, "format": output_format, **(options or {})})
    wanted = [Input(str(one.path), str(one.place)) for one in recordings]
    batches = batches_left(wanted, known, batch_size, ledger.run)
    connect(cluster)
    check_nodes(model)
    device_seconds, ready = 0.0, time.time()
    rows = [batch.to_row() for batch in batches]
    job = Job(make_engine, out, output_format)
    try:
        for row in done_by_workers(ArchiveWorker, job, rows, workers or device_count(), in_order=False):
            ready = min(ready, row["begun"]) if device_seconds else row["begun"]
            device_seconds += row["device_seconds"]
            if progress:
                progress(row["inputs"], row["seconds"])
    except ClusterError as error:
        raise ClusterError(f"{error}; the same command goes on where it was") from None
    asked = {one.path for one in wanted}
    results = {one.path: one for one in ledger.all_done() if one.path in asked}
    failures = [one for one in results.values() if one.error]
    summary = Summary(
        inputs=len(wanted),
        failed=len(failures),
        done_before=len(wanted) - sum(len(batch.inputs) for batch in batches),
        audio_hours=round(sum(one.seconds for one in results.values()) / 3600, 4),
        wer=_wer({str(one.path): one.text for one in recordings if one.text}, ledger, normaliser),
        device_seconds=round(device_seconds, 2),
        startup_seconds=round(ready - begin, 2),
        seconds=round(time.time() - begin, 2),
    )
    ledger.close(failures, asdict(summary))
    return summary


def batches_left(wanted: Sequence[Input], known: Mapping[str, Done], size: int, run: int) -> list[Batch]:
    """Part what is left to do: what is new into the same batches as the runs before, whose workers may still be at them.

    Parameters
    ----------
    wanted
        All inputs, in order.
    known
        What became of inputs so far, by path.
    size
        Inputs of a batch, at most.
    run
        Which one this is: what failed before it is tried again in batches of its own.

    Returns
    -------
    list of Batch
        In order; what failed comes last.
    """
    new = [one for one in enumerate(wanted) if one[1].path not in known]
    failed = [one for one in enumerate(wanted) if one[1].path in known and known[one[1].path].error]
    return [*_batches(new, size, 0), *_batches(failed, size, run)]


def _wer(references: dict[str, str], ledger: Ledger, normaliser: str) -> float | None:
    """Score what stands in the shards, one shard in memory at a time; of what stands in two, the later counts."""
    counts: dict[str, ErrorCounts] = {}
    for transcripts in ledger.shards() if references else ():
        answers = {one["audio"]: one["text"] for one in transcripts if one["audio"] in references}
        said = [normalise(references[name], normaliser) for name in answers]
        heard = [normalise_answer(text, normaliser) for text in answers.values()]
        counts |= zip(answers, word_errors(said, heard), strict=True)
    return total([*counts.values()]).rate if counts else None


def _batches(inputs: Sequence[tuple[int, Input]], size: int, run: int) -> Iterator[Batch]:
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        yield Batch(part[0][0], tuple(one for _, one in part), run)
