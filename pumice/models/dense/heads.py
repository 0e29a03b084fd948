"""Every head: a new one is one line in this table."""

from pumice.models.dense.aspp import ASPPPlan
from pumice.models.dense.heatmap import HeatmapPlan
from pumice.models.dense.light_head import LightHeadPlan
from pumice.models.dense.lraspp import LRASPPPlan
from pumice.models.dense.micro_heatmap import MicroHeatmapPlan
from pumice.models.dense.mraspp import MRASPPPlan
from pumice.models.dense.plan import HeadPlan
from pumice.models.dense.raspp import RASPPPlan
from pumice.models.dense.ssd import SSD, SSDLite

HEADS: dict[str, type[HeadPlan]] = {
    "ssd": SSD,
    "ssdlite": SSDLite,
    "lighthead": LightHeadPlan,
    "aspp": ASPPPlan,
    "raspp": RASPPPlan,
    "lraspp": LRASPPPlan,
    "mraspp": MRASPPPlan,
    "heatmap": HeatmapPlan,
    "micro_heatmap": MicroHeatmapPlan,
}
