"""What holds something until it is closed: used in a `with`, or closed by hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

_Own = TypeVar("_Own", bound="Closing")


class Closing(ABC):
    """Closes itself at the end of a `with`."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds."""

    def __enter__(self: _Own) -> _Own:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
