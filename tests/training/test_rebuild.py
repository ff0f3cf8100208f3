from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle import open_bundle
from edgecnn.errors import ModelError

torch = pytest.importorskip("torch")


def test_a_bundles_net_is_made_again(make_recipe: Any, tmp_path: Path, shades: Path) -> None:
    from edgecnn.training import rebuild, train

    report = train(make_recipe(), output=tmp_path / "own", epochs=1)
    net = rebuild(open_bundle(tmp_path / "own"))
    assert not net.training
    data = np.load(shades)
    pixels = torch.tensor(data["x_test"] / 255, dtype=torch.float32)
    inputs = (pixels - torch.tensor([0.5, 0.4, 0.3])) / 0.3
    answers = net(inputs.permute(0, 3, 1, 2)).argmax(1).numpy()
    right = int((answers == data["y_test"]).sum())
    assert right == sum(entry.correct for entry in report.classes)


def test_a_changed_or_missing_file_is_refused(make_recipe: Any, tmp_path: Path) -> None:
    from edgecnn.training import rebuild, train

    train(make_recipe(), output=tmp_path / "own", epochs=1)
    bundle, file = open_bundle(tmp_path / "own"), tmp_path / "my_net.py"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ModelError, match=r"my_net\.py was changed after .*own was made"):
        rebuild(bundle)
    file.unlink()
    with pytest.raises(ModelError, match=r"my_net\.py, which defines the model .* is missing"):
        rebuild(bundle)


def test_weights_that_are_no_weights_are_refused(make_recipe: Any, tmp_path: Path) -> None:
    from edgecnn.bundle import WEIGHTS, create
    from edgecnn.training import rebuild, train

    train(make_recipe(), output=tmp_path / "own", epochs=1)
    whole = open_bundle(tmp_path / "own")
    for content in (b"", b"no weights at all", whole.read(WEIGHTS)[:100]):
        spoilt = create(whole.folder, whole.manifest, {WEIGHTS: content}, force=True)
        with pytest.raises(ModelError, match=r"weights\.safetensors holds no weights: .*\."):
            rebuild(spoilt)


def test_rebuilding_leaves_the_random_numbers_alone(make_recipe: Any, tmp_path: Path) -> None:
    from edgecnn.training import rebuild, train

    train(make_recipe(), output=tmp_path / "own", epochs=1)
    before = torch.get_rng_state()
    rebuild(open_bundle(tmp_path / "own"))
    assert torch.equal(torch.get_rng_state(), before)
