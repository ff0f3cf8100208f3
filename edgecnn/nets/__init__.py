"""Nets: from a model's description to a torch module, and back from a bundle."""

import os

# OpenMP reads this when torch is imported. Its threads wait by spinning otherwise, and on a machine
# that has something else to do each then waits for one that is not running: resnet8 on 2 threads
# learned 200 to 280 images a second beside one busy process, and 540 to 790 with this.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from edgecnn.nets.factories import Factory, find_factory
from edgecnn.nets.making import check_net, make_net, parameter_count, plain_state
from edgecnn.nets.naming import short_name
from edgecnn.nets.pixels import PixelNet, pixel_net
from edgecnn.nets.rebuilding import rebuild

__all__ = [
    "Factory",
    "PixelNet",
    "check_net",
    "find_factory",
    "make_net",
    "parameter_count",
    "pixel_net",
    "plain_state",
    "rebuild",
    "short_name",
]
