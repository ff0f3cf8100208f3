"""Files that a user names as a place for results."""

from __future__ import annotations

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgecnn.disk import prove_writable, temporary_folder, write_atomically
from edgecnn.errors import InputError


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has pipes with a name")
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for write in (prove_writable, lambda path: write_atomically(path, b"report")):
        with pytest.raises(InputError, match="it is no ordinary file"):
            write(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "latest.json", tmp_path / "there" / "report.json"
    link.symlink_to(target)
    prove_writable(link)
    assert not target.exists()
    write_atomically(link, b"report")
    assert link.is_symlink()
    assert target.read_bytes() == b"report"


def test_threads_may_write_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: write_atomically(path, b"%d" % number), range(80)))
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_folder_is_gone_even_if_its_removal_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove, calls = shutil.rmtree, list[object]()

    def interrupted_once(path: Path, ignore_errors: bool = False) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", interrupted_once)
    with pytest.raises(KeyboardInterrupt), temporary_folder() as folder:
        (folder / "half.onnx").write_bytes(b"half")
    assert len(calls) == 2
    assert not folder.exists()
