"""Every head: a new one is one line in this table."""

from pumice.models.dense.light_head import LightHeadPlan
from pumice.models.dense.plan import HeadPlan
from pumice.models.dense.ssd import SSD, SSDLite

HEADS: dict[str, type[HeadPlan]] = {
    "ssd": SSD,
    "ssdlite": SSDLite,
    "lighthead": LightHeadPlan,
}
