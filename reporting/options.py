"""What a report is asked for, in one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reporting.paper import Paper
from reporting.records import Run


@dataclass(frozen=True)
class Options:
    """What to show and how.

    Attributes:
        methods: methods to show, in this order; None for all, in their places.
        datasets: datasets to show and average over; None for all.
        split: the split whose metrics count.
        metric: accuracy or macro_f1.
        hm_of: the HM of an average row: "averages" (of the averaged base and the averaged new, as the paper) or
            "datasets" (the mean of the datasets' HMs).
        source: the source dataset of cross-dataset evaluations whose record and folders do not tell.
        paper: the paper's figures, to stand beside ours.
    """

    methods: Sequence[str] | None = None
    datasets: Sequence[str] | None = None
    split: str = "test"
    metric: str = "accuracy"
    hm_of: str = "averages"
    source: str | None = None
    paper: Paper | None = None

    def wants(self, run: Run) -> bool:
        """Whether the run's method and dataset were asked for."""
        return self.wants_method(run) and (not self.datasets or run.dataset in self.datasets)

    def wants_method(self, run: Run) -> bool:
        """Whether the run's method was asked for."""
        return not self.methods or run.method in self.methods

    @property
    def restriction(self) -> str:
        """The end of "there is no run ..." where only some were asked for."""
        return " for the asked methods and datasets" if self.methods or self.datasets else ""
