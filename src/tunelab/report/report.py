"""A study in words and figures: what every form of a report is made of.

Everything comes from the files of the run directories; nothing is trained, loaded or guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunelab.report.advice import advise
from tunelab.report.beside import beside_document
from tunelab.report.comparing import Comparison, compare_all, not_compared
from tunelab.report.ledger import Account, ledger_document, read_ledger
from tunelab.report.looking import not_looked_at
from tunelab.report.precisions import precision_sentences
from tunelab.report.reasons import reasons_document
from tunelab.report.recommendation import Advice, Limits
from tunelab.report.study import Study
from tunelab.report.table import Row, make_row, metrics_of

FEW_METHODS = 4
"""Of so many, verdicts on two metrics can still be read."""


@dataclass(frozen=True, slots=True)
class Report:
    """A study's recommendation, table and verdicts."""

    study: Study
    rows: list[Row]
    comparisons: list[Comparison]
    advice: list[Advice]
    ledger: list[Account]
    """What was gained and forgotten; empty unless the recipe asks for it."""

    @property
    def verdicts(self) -> list[str]:
        """The sentences on the primary metric and, for few methods, the others of the headline.

        All the others are in comparisons.json.
        """
        few = len(self.rows) <= FEW_METHODS
        told = [each for each in self.comparisons if each.primary or (few and each.headline)]
        return [each.sentence for each in told]

    @property
    def headline(self) -> list[str]:
        """The spoken names of the metrics that come first, in the order of the table."""
        found = [row.method.measured for row in self.rows if row.method.measured]
        wanted = {name for each in found for name in each.headline}
        return [spoken for name, spoken in metrics_of(self.rows).items() if name in wanted]

    @property
    def not_compared(self) -> list[str]:
        """Which pairs have no verdict, and why."""
        return [*not_compared(self.study.methods), *not_looked_at(self.study)]

    @property
    def problems(self) -> list[str]:
        """What became of the runs that did not finish."""
        return [
            f"{run.directory.path.name}: {run.status}" + (f": {run.message}" if run.message else "")
            for method in (*self.study.methods, *self.study.precisions)
            for run in method.runs
            if run.status != "ok"
        ]

    def document(self) -> dict[str, Any]:
        """comparisons.json."""
        return {
            "schema_version": 1,
            "study": self.study.name,
            "recommendation": [
                {"topic": each.topic, "sentence": each.sentence, "runs": list(each.runs)}
                for each in self.advice
            ],
            "looks": self.study.looks and self.study.looks.model_dump(mode="json"),
            "comparisons": [comparison.document() for comparison in self.comparisons],
            "not_compared": self.not_compared,
            "precisions": precision_sentences(self.study),
            "beside": beside_document(self.study.methods),
            **reasons_document(self.study.methods),
            "forgetting": ledger_document(self.ledger),
        }


def make_report(study: Study, limits: Limits) -> Report:
    """All figures and sentences of a study."""
    rows = [make_row(method) for method in study.methods]
    comparisons = compare_all(study.methods, study.looks)
    advice = advise(study, rows, comparisons, limits)
    return Report(study, rows, comparisons, advice, read_ledger(study))
