from __future__ import annotations

import hashlib
import pickle
import sys
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.data import load_dataset
from edgecnn.errors import DataError, UnavailableError
from edgecnn.spec import InputContract

CONTRACT = InputContract(32, 32)
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every request to a port of this machine on which nothing listens."""
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers the proxies


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_other_choices_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="could not be downloaded") as error:
        load_dataset("cifar10", CONTRACT, data_dir=tmp_path / "data")
    assert str(tmp_path / "data") in error.value.problem
    for choice in ("--data synthetic", "--data DIR", "--data-dir"):
        assert choice in error.value.remedy
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(
        DataError, match=r"could not be downloaded: .*(File exists|Not a directory)"
    ):
        load_dataset("cifar10", CONTRACT, data_dir=tmp_path / "file")


def test_without_torchvision_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(UnavailableError, match="needs torchvision") as error:
        load_dataset("cifar10", CONTRACT)
    assert "pip install" in error.value.remedy


def images(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client hangs up early: the tests look at what edgecnn prints."""


@pytest.fixture
def local_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the test's folder on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(urllib.request, "_opener", None)
    handler = partial(_Quiet, directory=str(tmp_path))
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def small_archive(tmp_path: Path, local_site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an archive in CIFAR-10's own layout, ten images to a file, where torchvision looks."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    digests = {}
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for seed, name in enumerate(names):
        planes = images(seed).transpose(0, 3, 1, 2).reshape(10, -1)
        (folder / name).write_bytes(pickle.dumps({"data": planes, "labels": list(range(10))}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": CLASSES}))
    for path in folder.iterdir():
        digests[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    archive = tmp_path / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, CIFAR10.base_folder)
    meta = {**CIFAR10.meta, "md5": digests["batches.meta"]}
    monkeypatch.setattr(CIFAR10, "url", f"{local_site}/{archive.name}")
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(CIFAR10, "train_list", [[name, digests[name]] for name in names[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[names[5], digests[names[5]]]])
    monkeypatch.setattr(CIFAR10, "meta", meta)


@pytest.mark.usefixtures("small_archive")
def test_it_is_downloaded_once_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = load_dataset("cifar10", CONTRACT)
    assert (data.name, data.source, data.labels) == ("cifar10", "cifar10", tuple(CLASSES))
    assert data.reference().data_dir == str(tmp_path / "data")
    train = np.concatenate([images(seed) for seed in range(5)])
    np.testing.assert_array_equal(data.train.images, train)
    np.testing.assert_array_equal(data.test.images, images(5))
    assert data.train.labels.tolist() == list(range(10)) * 5
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    again = load_dataset("cifar10", CONTRACT, data_dir=tmp_path / "data")
    assert again.reference() == data.reference()
    assert load_dataset("cifar10", InputContract(16, 24)).test.images.shape == (10, 16, 24, 3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("small_archive")
def test_a_damaged_download_is_not_read(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-9])
    with pytest.raises(DataError, match="could not be downloaded: File not found or corrupted"):
        load_dataset("cifar10", CONTRACT, data_dir=tmp_path / "data")
