"""What a program goes through before it is written; each pass computes the same as before.

maps.py      a map into the map that reads it
after.py     a map into the layer before it
before.py    a map into the convolution behind it
pads.py      padding into the convolution behind it
image.py     a copy of the image where it cannot be read in place
dead.py      drops what nobody reads
links.py     who makes and who reads each plane
"""

from pumice.native.ir import Program
from pumice.native.passes.after import merge_after
from pumice.native.passes.before import merge_before
from pumice.native.passes.dead import drop_dead
from pumice.native.passes.image import copy_image
from pumice.native.passes.maps import merge_maps
from pumice.native.passes.pads import merge_pads

PASSES = {
    "pads": merge_pads,
    "maps": merge_maps,
    "after": merge_after,
    "before": merge_before,
    "image": copy_image,
    "dead": drop_dead,
}
"""By name, in the order in which they run; `image` must run, the others only make a program faster."""


def optimise(program: Program) -> Program:
    """All passes, on the program itself."""
    drop_dead(program)
    for run in PASSES.values():
        run(program)
    return program
