"""MicroNet's weights: the authors', whose own order is that of execution.

Their release keeps the channel indices of Dynamic Shift-Max out of its files, so nothing is to be dropped.
"""

from pumice.models.conversion.rule import BILINEAR, Conversion, Settings

CONVERSIONS = {
    "official": Conversion(Settings(preprocess=BILINEAR), sign=r"features\.0\.stem\.0\.conv\.0\.weight"),
}
