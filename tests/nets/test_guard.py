"""A user's own Python: what only defines nets is imported, a script that trains is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors import ModelError
from edgecnn.nets.guard import check_import
from edgecnn.nets.scripts import deeds

pytest.importorskip("torch")

NET = """
import torch
from torch import nn

WIDTH = 8


class Net(nn.Module):
    def forward(self, x):
        return x

"""
TRAINING = """
for epoch in range(2):
    for batch in data:
        loss = net(batch).sum()
        loss.backward()
        optimizer.step()
"""
INDENTED = TRAINING.replace("\n", "\n    ")


def written(folder: Path, text: str, name: str = "my_net.py") -> Path:
    path = folder / name
    path.write_text(NET + text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TRAINING, r"line 13 loops over loss\.backward\(\) outside any function"),
        (
            f"with torch.enable_grad():{INDENTED}",
            "line 13 loops",
        ),
        (
            "def main():\n    loss.backward()\n\ndef go():\n    main()\n\ngo()\n",
            r"calls go\(\), which",
        ),
        ("trainer.fit(Net())\n", r"line 12 calls trainer\.fit\(\)"),
        ("while True:\n    opt.step()\n", r"loops over opt\.step\(\)"),
    ],
)
def test_a_script_that_trains_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ModelError, match=rf"my_net\.py trains when it is imported: .*{says}") as e:
        check_import(f"{path}:Net")
    assert 'under `if __name__ == "__main__":`' in e.value.remedy


def test_the_file_beside_that_trains_is_named(tmp_path: Path) -> None:
    written(tmp_path, TRAINING, "train.py")
    path = written(tmp_path, "from train import data\n")
    with pytest.raises(ModelError, match=r"train\.py trains when it is imported: line 13"):
        check_import(f"{path}:Net")


def test_a_package_that_trains_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "guarded_pack").mkdir()
    (tmp_path / "guarded_pack" / "__init__.py").touch()
    written(tmp_path / "guarded_pack", TRAINING, "net.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"net\.py trains when it is imported"):
        check_import("guarded_pack.net:Net")
    check_import("torch.nn:Linear")  # what is installed is not looked into
    check_import("no_such_package:Net")  # and importing says what is missing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "small = nn.Linear(WIDTH, 2)\ntorch.manual_seed(0)\n",
        f'if __name__ == "__main__":{INDENTED}',
        f"def train():{INDENTED}",
        "try:\n    import timm\nexcept ImportError:\n    timm = None\n",
    ],
)
def test_what_only_defines_does_nothing(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    assert deeds(path) == []
    check_import(f"{path}:Net")


def test_what_cannot_be_parsed_is_left_to_the_import(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("def (")
    check_import(f"{path}:Net")


def test_an_import_without_end_is_ended(tmp_path: Path) -> None:
    path = written(tmp_path, "import time\nwhile True:\n    time.sleep(1)\n")
    says = r"my_net\.py still ran 1 s after its import began.* Line 13 of my_net\.py loops"
    with pytest.raises(ModelError, match=says) as caught:
        check_import(f"{path}:Net", limit=1.0)
    assert "Put lines 13 to 14 of my_net.py" in caught.value.remedy


def test_a_crash_on_import_is_a_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, "import os\nos.abort()\n")
    with pytest.raises(ModelError, match=r"crashes Python when it is imported \(SIGABRT\)"):
        check_import(f"{path}:Net")


def test_a_call_that_ends_is_no_hazard(tmp_path: Path) -> None:
    check_import(f"{written(tmp_path, 'print(WIDTH)')}:Net")
