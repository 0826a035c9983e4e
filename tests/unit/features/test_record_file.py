"""The store on disk: what is there is whole, whoever was killed and whatever bit flipped."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from speechxfer.errors import StoreError
from speechxfer.features.record_file import RecordFile
from speechxfer.models import Features


def features(number: int) -> Features:
    random = torch.Generator().manual_seed(number)
    return Features(torch.randn(1 + number % 7, 5, generator=random), 100 + number)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def several(*numbers: int) -> dict[bytes, Features]:
    return {key(number): features(number) for number in numbers}


def filled(directory, count=10, dtype="float32") -> RecordFile:
    store = RecordFile(directory, dtype)
    for first in range(0, count, 4):
        store.put(several(*range(first, min(first + 4, count))))
    return store


def assert_holds(store, numbers, dtype=torch.float32):
    for number in numbers:
        assert key(number) in store
        got, put = store.get(key(number)), features(number)
        assert torch.equal(got.frames, put.frames.to(dtype)) and got.input_length == put.input_length


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_is_put_is_there_at_once_and_after_reopening(tmp_path, dtype):
    store = filled(tmp_path, dtype=dtype)
    assert_holds(store, range(10), getattr(torch, dtype))
    store.close()
    again = RecordFile(tmp_path, dtype)
    assert (
        len(again) == 10
        and again.num_bytes == sum(features(n).frames.numel() for n in range(10)) * getattr(torch, dtype).itemsize
    )
    assert_holds(again, range(10), getattr(torch, dtype))
    assert key(10) not in again


def test_features_are_copies(tmp_path):
    store = filled(tmp_path)
    store.get(key(1)).frames.zero_()
    assert_holds(store, [1])


def test_files_are_their_owner_s(tmp_path):
    filled(tmp_path / "store")
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "store", *(tmp_path / "store").iterdir()))


def test_a_second_process_reads_what_the_first_writes(tmp_path):
    writer = filled(tmp_path)
    code = (
        "import sys; from speechxfer.features.record_file import RecordFile; s = RecordFile(sys.argv[1], 'float32');"
        "print(s.is_writer, len(s), flush=True); input(); print((10).to_bytes(32, 'big') in s, len(s))"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout.readline().split() == ["False", "10"]
    writer.put(several(10))
    assert reader.communicate("\n")[0].split() == ["True", "11"]
    writer.close()
    assert RecordFile(tmp_path, "float32").is_writer


@pytest.mark.parametrize("file", ["index", "features-0.bin"])
@pytest.mark.parametrize("lost", [1, 30])
def test_a_torn_end_costs_what_was_torn_and_no_more(tmp_path, file, lost):
    filled(tmp_path).close()
    path = tmp_path / file
    os.truncate(path, path.stat().st_size - lost)
    store = RecordFile(tmp_path, "float32")
    held = [number for number in range(10) if key(number) in store]
    assert held == [*range(len(held))] and 8 <= len(held) < 10
    assert_holds(store, held)
    store.put(several(*range(len(held), 12)))
    store.close()
    assert_holds(RecordFile(tmp_path, "float32"), range(12))


def test_a_flipped_bit_is_a_miss_and_is_mended_by_putting_again(tmp_path):
    filled(tmp_path).close()
    data = bytearray((tmp_path / "features-0.bin").read_bytes())
    at = sum(features(n).frames.numel() * 4 for n in range(3)) + 2  # in the fourth
    data[at] ^= 1
    (tmp_path / "features-0.bin").write_bytes(data)
    store = RecordFile(tmp_path, "float32")
    assert store.damaged() == [key(3)]
    assert key(3) not in store
    store.put(several(3))
    store.close()
    again = RecordFile(tmp_path, "float32")
    assert_holds(again, range(10))
    assert again.damaged() == []


def test_frames_that_are_gone_are_misses(tmp_path):
    filled(tmp_path).close()
    (tmp_path / "features-0.bin").unlink()
    store = RecordFile(tmp_path, "float32")
    assert len(store.damaged()) == 10 and key(3) not in store
    store.put(several(3))
    store.close()
    again = RecordFile(tmp_path, "float32")
    assert_holds(again, [3])
    assert key(4) not in again


def test_a_file_that_a_killed_prune_left_is_removed(tmp_path):
    filled(tmp_path).close()
    (tmp_path / "features-7.bin").write_bytes(b"left over")
    assert_holds(RecordFile(tmp_path, "float32"), range(10))
    assert [path.name for path in tmp_path.glob("features-*")] == ["features-0.bin"]


def test_a_flipped_bit_in_the_index_ends_it_there(tmp_path):
    filled(tmp_path).close()
    index = bytearray((tmp_path / "index").read_bytes())
    record = (len(index) - 20) // 10
    index[20 + 4 * record + 25] ^= 1
    (tmp_path / "index").write_bytes(index)
    store = RecordFile(tmp_path, "float32")
    assert len(store) == 4
    assert_holds(store, range(4))


@pytest.mark.parametrize("content", [b"", b"something else entirely, of some length"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path, content):
    (tmp_path / "index").write_bytes(content)
    with pytest.raises(StoreError, match="not the index of a feature store"):
        RecordFile(tmp_path, "float32")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be read or written"):
        RecordFile(tmp_path / "file", "float32")


def test_prune_frees_the_disk_and_keeps_the_rest(tmp_path):
    store = filled(tmp_path)
    before = store.num_bytes
    freed = store.prune({key(2), key(5), key(99)})
    assert len(store) == 2 and freed == before - store.num_bytes > 0
    assert_holds(store, [2, 5])
    store.put(several(7))
    store.close()
    assert_holds(RecordFile(tmp_path, "float32"), [2, 5, 7])
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("features-*")}
    assert sizes == {"features-1.bin": sum(features(n).frames.numel() * 4 for n in (2, 5, 7))}


def test_a_reader_goes_on_while_the_store_is_pruned(tmp_path):
    writer = filled(tmp_path)
    reader = RecordFile(tmp_path, "float32")
    assert not reader.is_writer
    writer.prune({key(2)})
    assert_holds(reader, range(10))
    assert key(11) not in reader


def test_a_writer_killed_at_any_moment_leaves_whole_records(tmp_path):
    code = (
        "import sys, torch; from speechxfer.features.record_file import RecordFile; from speechxfer.models import Features\n"
        "s = RecordFile(sys.argv[1], 'float32'); print('ready', flush=True); n = len(s)\n"
        "def made(n):\n"
        "    g = torch.Generator().manual_seed(n)\n"
        "    return Features(torch.randn(1 + n % 7, 5, generator=g), 100 + n)\n"
        "while True:\n"
        "    s.put({m.to_bytes(32, 'big'): made(m) for m in range(n, n + 3)}); n += 3\n"
    )
    chance, counts = random.Random(0), [0]
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout.readline()
        time.sleep(chance.uniform(0.01, 0.2))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        store = RecordFile(tmp_path, "float32")
        assert store.is_writer and store.damaged() == []
        counts.append(len(store))
        assert_holds(store, range(len(store)))
        store.close()
    assert counts == sorted(counts) and counts[-1] > counts[1]


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    store = filled(tmp_path)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"No space left.*store.directory"):
            store.put(several(10, 11))
    assert key(10) not in store
    store.put(several(12))
    store.close()
    again = RecordFile(tmp_path, "float32")
    assert_holds(again, [*range(10), 12])
    assert len(again) == 11
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"No space left.*store.directory"):
            again.prune([key(1)])
    assert_holds(again, [*range(10), 12])


def test_a_reader_that_opens_while_another_process_prunes_looks_again(tmp_path, monkeypatch):
    writer = filled(tmp_path)
    original = RecordFile._read_number

    def pruned_just_after(store):
        number = original(store)
        if number == 0 and not store.is_writer:
            writer.prune([key(3)])
        return number

    monkeypatch.setattr(RecordFile, "_read_number", pruned_just_after)
    reader = RecordFile(tmp_path, "float32")
    assert not reader.is_writer and list(reader) == [key(3)]
    assert_holds(reader, [3])
