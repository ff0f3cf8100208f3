"""Golden vectors: raw images with their float64 outputs, and each variant's own expected outputs.

They are NumPy's npz files without compression and with fixed times, so that the same arrays are
the same bytes. Outputs are numbered there (`output_0`, …), and `output_names` says what they are
called: a name may hold a slash.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.bundle import GOLDEN, Bundle
from edgecnn.errors import BundleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.spec import Variant

UNLABELLED = -1
# What NumPy raises on a file that is none of its own; a shape that is a lie asks for the memory.
_BROKEN = (ValueError, KeyError, TypeError, EOFError, OSError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False)
class Golden:
    """Raw images and what the model truly answers.

    Attributes:
        images: uint8 [N, height, width, channels].
        labels: int64 [N], indices into the contract's labels; -1 where unknown.
        outputs: Every output by its name, float64 [N, ...], computed in float64 throughout.
        stand_in: The images are stand-ins, not from the data that the model is made for.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    outputs: dict[str, NDArray[np.float64]]
    stand_in: bool = False

    @property
    def what(self) -> str:
        """What the images are, for people."""
        return "golden vectors (stand-in images)" if self.stand_in else "golden vectors"


@dataclass(frozen=True, eq=False)
class Expected:
    """What one variant answered to the golden images when it was made.

    Attributes:
        outputs: Every output by its name, [N, ...], in the dtype that the variant gives.
        runtime: The runtime that computed them.
        provider: Where it computed them.
    """

    outputs: dict[str, NDArray[Any]]
    runtime: str
    provider: str


def golden(bundle: Bundle) -> Golden:
    """Read a bundle's golden vectors, checked against their digest and the input contract.

    Raises:
        BundleError: The bundle has none, or they are not what was written.
    """
    if GOLDEN not in bundle.files:
        raise BundleError(
            f"{bundle.folder} has no golden vectors yet.",
            f"They come with the first variant: `edgecnn export {bundle.folder}`.",
        )
    kinds = {"images": "uint8", "labels": "int64", "stand_in": "bool"}
    arrays, outputs = _read(bundle, GOLDEN, kinds)
    found = Golden(arrays["images"], arrays["labels"], outputs, bool(arrays["stand_in"]))
    count = len(found.labels)
    fits = found.images.shape == (count, *bundle.manifest.contract.pixel_shape)
    whole = all(
        output.shape[:1] == (count,) and output.dtype == "float64" for output in outputs.values()
    )
    if not (fits and whole and count and found.labels.ndim == 1):
        raise _unreadable(bundle, GOLDEN, "its arrays do not fit together")
    return found


def expected(bundle: Bundle, variant: Variant) -> Expected:
    """Read what a variant answered to the golden images when it was made.

    Raises:
        BundleError: The variant has no such file, or it is not what was written.
    """
    if variant.golden is None:
        raise BundleError(
            f"The variant '{variant.name}' of {bundle.folder} has no expected outputs of its own.",
            f"Make it anew with `{variant.made_by or 'edgecnn export'} {bundle.folder}`.",
        )
    arrays, outputs = _read(bundle, variant.golden, {"runtime": "", "provider": ""})
    return Expected(outputs, str(arrays["runtime"]), str(arrays["provider"]))


def make_golden(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    outputs: Mapping[str, NDArray[np.float64]],
    *,
    stand_in: bool = False,
) -> bytes:
    """Give the bytes of `golden.npz`.

    Args:
        images: uint8 [N, height, width, channels].
        labels: int64 [N]; -1 where unknown.
        outputs: Every output by its name, float64 [N, ...], computed in float64 throughout.
        stand_in: The images are stand-ins.
    """
    import numpy as np

    assert images.dtype == np.uint8
    assert images.ndim == 4
    assert labels.shape == images.shape[:1]
    assert all(output.dtype == np.float64 for output in outputs.values())
    assert {len(output) for output in outputs.values()} == {len(images)}
    facts: dict[str, NDArray[Any]] = {
        "images": images,
        "labels": labels.astype(np.int64),
        "stand_in": np.array(stand_in),
    }
    return make_npz({**facts, **_numbered(outputs)})


def make_expected(outputs: Mapping[str, NDArray[Any]], *, runtime: str, provider: str) -> bytes:
    """Give the bytes of a variant's own golden file.

    Args:
        outputs: Every output by its name, [N, ...] for the golden images, in the dtype that the
            variant gives.
        runtime: The runtime that computed them.
        provider: Where it computed them.
    """
    import numpy as np

    facts = {"runtime": np.array(runtime), "provider": np.array(provider)}
    return make_npz({**facts, **_numbered(outputs)})


def make_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Give the bytes of an npz file; the same arrays give the same bytes."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(
                content, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False
            )
            archive.writestr(_entry(name), content.getvalue())
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


def _numbered(outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    import numpy as np

    named = {"output_names": np.array(list(outputs))}
    return named | {f"output_{i}": output for i, output in enumerate(outputs.values())}


def _read(
    bundle: Bundle, file: str, kinds: Mapping[str, str]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    import numpy as np

    content = io.BytesIO(bundle.read(file))
    try:
        with np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in kinds}
            names = [str(name) for name in archive["output_names"]]
            outputs = {name: archive[f"output_{i}"] for i, name in enumerate(names)}
    except _BROKEN as error:
        raise _unreadable(bundle, file, str(error).strip("'\"")) from error
    for name, kind in kinds.items():
        if kind and arrays[name].dtype != kind:
            raise _unreadable(bundle, file, f"'{name}' is {arrays[name].dtype}, not {kind}")
    if not outputs:
        raise _unreadable(bundle, file, "it holds no output")
    return arrays, outputs


def _unreadable(bundle: Bundle, file: str, why: str) -> BundleError:
    return BundleError(
        f"{bundle.folder / file} cannot be read as golden vectors: {why}.",
        "Copy the bundle anew, or make it again.",
    )
