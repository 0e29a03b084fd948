"""Every head: a new one is one line in this table."""

from pumice.models.dense.plan import HeadPlan

HEADS: dict[str, type[HeadPlan]] = {}
