"""The books of an archive: a batch counts once its marker stands; what is left without one is done again."""

import json

import pytest

from speechxfer.data import list_files, read_text, write_whole
from speechxfer.distributed.archive import batches_left
from speechxfer.distributed.ledger import Attempts, Batch, Done, Input, Ledger
from speechxfer.errors import StorageError

BATCH = Batch(3, (Input("calls/a.wav", "a.wav"), Input("calls/b.wav", "b.wav")))
MADE = {"model": "M", "format": "json"}
DONE = [Done("calls/a.wav", 2.5), Done("calls/b.wav", 0.0, "no such file")]


@pytest.fixture(params=["disk", "memory"])
def ledger(request, tmp_path, memory):
    return Ledger(str(tmp_path / "out") if request.param == "disk" else "memory://bucket/out/")


def test_what_is_committed_is_known_to_whoever_opens_the_books(ledger):
    assert ledger.open(MADE) == {} and ledger.find(BATCH) is None
    ledger.commit(BATCH, {"a.wav.json": "{}\n"}, ["{}\n"], DONE)
    assert read_text(f"{ledger.out}/a.wav.json") == "{}\n"
    assert ledger.find(BATCH) == DONE
    again = Ledger(ledger.out)
    assert again.open(MADE) == {one.path: one for one in DONE} and (ledger.run, again.run) == (1, 2)
    with pytest.raises(StorageError, match="made with format 'json', not 'srt', model 'M', not 'N'; give another --out"):
        Ledger(ledger.out).open({"model": "N", "format": "srt"})


def test_what_failed_is_another_batch_in_the_next_run_and_its_outcome_counts(ledger):
    ledger.open(MADE)
    ledger.commit(BATCH, {}, ["{}\n"], DONE)
    ledger.open(MADE)
    # Files before it are gone, so that it has a lower number than when it failed.
    again = Batch(0, BATCH.inputs[1:], ledger.run)
    assert ledger.find(again) is None
    ledger.commit(again, {}, ['{"text": "a\u2028b"}\n'], [Done("calls/b.wav", 1.0)])
    assert ledger.open(MADE) == {"calls/a.wav": DONE[0], "calls/b.wav": Done("calls/b.wav", 1.0)}
    assert [*ledger.shards()] == [[{}], [{"text": "a\u2028b"}]]


def test_a_shard_without_its_marker_does_not_count(ledger, monkeypatch):
    ledger.open(MADE)
    wrote = []

    def dies_before_the_marker(name, text):
        if "/done/" in name:
            raise KeyboardInterrupt
        wrote.append(name)
        original(name, text)

    from speechxfer.distributed import ledger as module

    original = module.write_whole
    monkeypatch.setattr(module, "write_whole", dies_before_the_marker)
    with pytest.raises(KeyboardInterrupt):
        ledger.commit(BATCH, {"a.wav.json": "{}\n"}, ["{}\n"], DONE)
    monkeypatch.undo()
    assert any("/shards/" in name for name in wrote)
    assert ledger.open(MADE) == {}
    assert not any("/shards/" in name for name in list_files(ledger.out))


def test_what_a_worker_was_writing_when_it_ended_is_passed_over(tmp_path, monkeypatch):
    ledger = Ledger(str(tmp_path))
    ledger.commit(BATCH, {}, ["{}\n"], DONE)
    monkeypatch.setattr("speechxfer.data.storage.os.fsync", lambda number: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_whole(f"{ledger.out}/_speechxfer/done/{BATCH.name}.jsonl", '{"path": "cal')
    monkeypatch.undo()
    assert len([*(tmp_path / "_speechxfer/done").iterdir()]) == 2, "what was being written is left"
    assert ledger.open(MADE) == {one.path: one for one in DONE}


def test_a_driver_that_begins_again_has_the_batches_that_workers_of_the_one_before_may_still_be_at():
    wanted = [Input(f"{number}.wav", f"{number}.wav") for number in range(11)]
    first = batches_left(wanted, {}, 4, 1)
    assert [len(batch.inputs) for batch in first] == [4, 4, 3]
    known = {one.path: Done(one.path, 1.0) for one in first[0].inputs} | {"2.wav": Done("2.wav", 0.0, "no audio")}
    *again, failed = batches_left(wanted, known, 4, 2)
    assert [batch.name for batch in again] == [batch.name for batch in first[1:]]
    assert failed.inputs == (wanted[2],) and failed.name not in {batch.name for batch in first}
    assert batches_left(wanted, known, 4, 3)[-1].name != failed.name


def test_a_shard_that_a_driver_removes_while_it_is_committed_is_written_again(ledger, monkeypatch):
    from speechxfer.distributed import ledger as module

    original = module.write_whole

    def removed_in_between(name, text):
        original(name, text)
        if "/shards/" in name and not list_files(f"{ledger.out}/_speechxfer/done"):
            Ledger(ledger.out).open(MADE)

    monkeypatch.setattr(module, "write_whole", removed_in_between)
    ledger.commit(BATCH, {}, ["{}\n"], DONE)
    assert [*ledger.shards()] == [[{}]] and ledger.find(BATCH) == DONE


def test_a_batch_is_named_by_its_inputs_in_the_order_of_the_archive():
    names = [Batch(number, BATCH.inputs).name for number in (2, 10, 100)]
    assert names == sorted(names)
    assert Batch(3, BATCH.inputs[:1]).name != BATCH.name
    assert Batch.from_row(BATCH.to_row()) == BATCH


def test_who_ends_a_worker_is_counted(ledger):
    ledger.open(MADE)
    assert ledger.begin(BATCH) == Attempts(0)
    assert ledger.begin(BATCH) == Attempts(1), "nobody is suspected while all were at work"
    for strike in (1, 2):
        ledger.note(BATCH, Attempts(2, 1, {"calls/b.wav": strike - 1} if strike > 1 else {}))
        assert ledger.begin(BATCH).strikes == {"calls/b.wav": strike}


def test_the_end_is_written_down(ledger):
    ledger.close(DONE[1:], {"inputs": 2})
    assert json.loads(read_text(f"{ledger.out}/failures.jsonl")) == {"input": "calls/b.wav", "error": "no such file"}
    assert json.loads(read_text(f"{ledger.out}/summary.json")) == {"inputs": 2}
