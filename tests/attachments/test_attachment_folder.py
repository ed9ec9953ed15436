"""The folder of attachments: what is kept, what is refused, what goes when there is no room, what a crash leaves."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.attachments import Attachments, NotTaken, sniff

JPEG = b"\xff\xd8\xff\xe0"
PNG = b"\x89PNG\r\n\x1a\n"


def picture(number: int, size: int = 20_000, head: bytes = JPEG) -> bytes:
    return head + hashlib.shake_256(b"%d" % number).digest(size - len(head))


def attachments(folder: Path, max_bytes: int = 1_000_000, largest: int = 500_000) -> Attachments:
    return Attachments(folder / "records.db.attachments", max_bytes=max_bytes, largest=largest)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\xef\xbb\xbf%PDF-1.4\n", "application/pdf"),
        (b"GIF89a", None),
        (b"<svg xmlns=", None),
        (b"MZ", None),
        (b"", None),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
    ],
)
def test_the_type_is_what_the_bytes_say(head: bytes, media_type: str | None, tmp_path: Path) -> None:
    assert sniff(head) == media_type
    kept = attachments(tmp_path)
    if media_type is None:
        with pytest.raises(NotTaken) as refused:
            kept.keep(head)
        assert refused.value.code == "unknown-type"
        assert kept.counts()["bytes"] == 0
    else:
        assert kept.keep(head).media_type == media_type


def test_the_same_bytes_are_kept_once_and_come_back_whole(tmp_path: Path) -> None:
    data = picture(1)
    kept = attachments(tmp_path)
    found = kept.keep(data)
    assert found == kept.keep(data)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert (kept.counts()["waiting"], kept.counts()["bytes"]) == (1, len(data))
    assert kept.read(found.sha256) == data
    assert kept.read(found.sha256, 100, 50) == data[100:150]
    assert kept.find("0" * 64) is None
    assert kept.read("../records.db") is None
    again = attachments(tmp_path)
    assert again.every() == [found]


def test_a_damaged_file_is_written_anew_when_its_bytes_come_again(tmp_path: Path) -> None:
    data = picture(1)
    kept = attachments(tmp_path)
    name = kept.keep(data).sha256
    (kept.folder / "waiting" / name).write_bytes(data[:-1] + b"\x00")
    kept.keep(data)
    assert kept.read(name) == data


def test_the_oldest_delivered_go_first_and_what_waits_never(tmp_path: Path) -> None:
    kept = attachments(tmp_path, max_bytes=100_000)
    names = [kept.keep(picture(n)).sha256 for n in range(5)]
    with pytest.raises(NotTaken) as refused:
        kept.keep(picture(5))
    assert refused.value.code == "no-room"
    kept.delivered(names[3])
    kept.delivered(names[1])
    sixth = kept.keep(picture(5)).sha256
    assert [name for name, _ in kept.waiting()] == [names[0], names[2], names[4], sixth]
    assert kept.find(names[3]) is None  # delivered first, so it went first
    assert kept.find(names[1]) is not None
    kept.refused(names[0])
    kept.keep(picture(6))
    assert kept.find(names[1]) is None
    with pytest.raises(NotTaken):
        kept.keep(picture(7))
    assert kept.counts() == {"waiting": 4, "delivered": 0, "refused": 1, "bytes": 100_000, "waiting_bytes": 80_000}
    assert kept.requeue() == 1


def test_what_is_shown_stays_after_its_delivery_within_half_of_the_room(tmp_path: Path) -> None:
    kept = attachments(tmp_path, max_bytes=100_000)
    shown: set[str] = set()
    kept.shown = lambda: shown
    names = [kept.keep(picture(n)).sha256 for n in range(5)]
    for name in names:
        kept.delivered(name)
    shown.update(names[:2])
    for n in range(5, 8):
        kept.delivered(kept.keep(picture(n)).sha256)
    assert [kept.find(name) is not None for name in names] == [True, True, False, False, False]
    # A third one is more than half of the room: the newest of them stay.
    shown.add(kept.keep(picture(7)).sha256)
    for n in range(8, 12):
        kept.delivered(kept.keep(picture(n)).sha256)
    assert [kept.find(name) is not None for name in names[:2]] == [False, True]
    assert kept.find(hashlib.sha256(picture(7)).hexdigest()) is not None
    # What is not shown any more goes as all others do.
    shown.clear()
    for n in range(12, 17):
        kept.keep(picture(n))
    assert kept.counts()["delivered"] == 0


def test_states_survive_and_half_written_files_do_not(tmp_path: Path) -> None:
    kept = attachments(tmp_path)
    first, second, third = (kept.keep(picture(n)).sha256 for n in range(3))
    kept.delivered(first)
    kept.refused(second)
    (kept.folder / "waiting" / f"{'a' * 64}.part").write_bytes(b"half")
    look = Attachments(kept.folder, max_bytes=1, owner=False)
    assert {each.sha256: each.state for each in look.every()} == {
        first: "delivered",
        second: "refused",
        third: "waiting",
    }
    assert list(kept.folder.glob("*/*.part"))  # somebody who only looks removes nothing
    assert {each.state for each in attachments(tmp_path).every()} == {"delivered", "refused", "waiting"}
    assert not list(kept.folder.glob("*/*.part"))


def test_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotTaken) as refused:
        attachments(tmp_path).keep(picture(1, 500_001))
    assert refused.value.code == "too-large"


def test_pictures_leave_the_records_their_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Attachments(tmp_path / "a", max_bytes=10_000_000, spare_bytes=8_000_000)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage._replace(free=16_000_000))
    with pytest.raises(NotTaken) as refused:
        kept.keep(picture(1))
    assert (refused.value.code, "disk is full" in str(refused.value)) == ("no-room", True)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A real file system of 1 MiB that fills up in the middle of a file."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.fail(f"cannot mount a small file system: {done.stderr.decode()}; run as root")
    try:
        kept = Attachments(place / "a", max_bytes=10_000_000)
        kept._spare = -10_000_000  # so that the disk itself says no
        name = kept.keep(picture(1, 400_000)).sha256
        with pytest.raises(OSError, match="No space left"):
            kept.keep(picture(2, 900_000))
        assert [each.sha256 for each in kept.every()] == [name]
        assert not list(kept.folder.glob("*/*.part"))
    finally:
        subprocess.run(["umount", str(place)], check=True)


KILLED = """
import os, sys
from pathlib import Path
from edge_agent.attachments import Attachments
kept = Attachments(Path(sys.argv[1]), max_bytes=10**9)
number = 0
while True:
    data = b"\\xff\\xd8\\xff" + number.to_bytes(4, "big") * 40_000
    print(kept.keep(data).sha256, flush=True)
    number += 1
"""


def test_what_was_said_to_be_kept_is_whole_after_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = [process.stdout.readline().decode().strip() for _ in range(8)]
    os.kill(process.pid, 9)
    told += process.stdout.read().decode().split()
    process.wait(10)
    kept = Attachments(folder, max_bytes=10**9)
    for name in told:
        data = kept.read(name)
        assert data is not None
        assert hashlib.sha256(data).hexdigest() == name
    assert kept.counts()["waiting"] in (len(told), len(told) + 1)


def test_bytes_are_synchronised_before_their_name_and_the_name_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = attachments(tmp_path)
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def spy(fd: int) -> None:
        fsync(fd)
        done.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)

    def spy_rename(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", spy)
    monkeypatch.setattr(Path, "rename", spy_rename)
    kept.changed = lambda: done.append("told")
    name = kept.keep(picture(1)).sha256
    assert done == [f"{name}.part", "rename", "waiting", "records.db.attachments", tmp_path.name, "told"]
