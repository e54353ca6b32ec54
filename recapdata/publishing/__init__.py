"""Publishing a dataset folder as a version on a Hub: look (survey), plan (pure), send, commit, tag.

survey.py    what the folder and the repository hold
plan.py      pure: what would be sent and why it may not be (gate.py: the audit's word)
run.py       carries a plan out, the only code that uploads
published.py the layout on the Hub and its data shards; card.py what is written last
"""

from typing import TYPE_CHECKING

from recapdata.lazy import lazy_names

if TYPE_CHECKING:
    from recapdata.publishing.plan import PublishPlan
    from recapdata.publishing.run import PublishSummary, plan_publication, publish

__all__ = ["PublishPlan", "PublishSummary", "plan_publication", "publish"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "PublishPlan": f"{__name__}.plan",
        **dict.fromkeys(["PublishSummary", "plan_publication", "publish"], f"{__name__}.run"),
    },
)
