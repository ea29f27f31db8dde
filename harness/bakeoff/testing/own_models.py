"""The promises of a trainer that owns its model, checked on made-up rows of each kind of task that it supports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import SkipTest

from bakeoff.contracts.own_model import Answer, Example
from bakeoff.errors import BakeoffError
from bakeoff.files import temporary_folder
from bakeoff.kinds import KINDS
from bakeoff.testing.contract import Contract
from bakeoff.testing.own_job import MadeJob, made_job
from bakeoff.text.words import first_line, quoted
from bakeoff.training.answers import read_answers

SAME = 1e-4
"""How far two numbers may differ that should be equal: libraries sum in another order if there are more rows."""

Answers = Mapping[int, Answer]
"""A row's id -> the answer to it."""


class OwnModelContract(Contract):
    """Tests that every OwnModelTrainer must pass, on rows with one text and with two."""

    def test_it_answers_every_row_as_its_kind_of_task_asks(self) -> None:
        for job in self.jobs():
            model = self.trained(job)
            for rows in job.splits.values():
                if wrong := self.asked(model, job, rows)[1]:
                    self.broken(wrong)

    def test_the_same_job_gives_the_same_answers(self) -> None:
        for job, again in zip(self.jobs(), self.jobs(), strict=True):
            if self.answers(job) != self.answers(again):
                self.broken(
                    f"the same job gives other answers the second time ({job}); keep no state in the trainer, and take "
                    "`job.seed` for random numbers"
                )

    def test_it_depends_on_the_seed_only_if_it_says_so(self) -> None:
        for job, other in zip(self.jobs(), self.jobs(seed=1), strict=True):
            if not self.component.depends_on_seed(job.recipe, self.chosen()) and self.answers(job) != self.answers(other):
                self.broken(
                    f"another seed gives other answers ({job}), and `depends_on_seed` says that it does not: it would "
                    "run once, and its variance over seeds would pass for 0"
                )

    def test_an_answer_depends_on_its_own_row_alone(self) -> None:
        """Asks about the rows in reverse order, and about every second one."""
        for job in self.jobs():
            rows = job.splits["test"]
            whole, *others = self.several_answers(job, rows, rows[::-1], rows[::2])
            for part in others:
                if (wrong := next((row for row in part if not alike(part[row], whole[row])), None)) is not None:
                    told = f"{quoted(whole[wrong].answer)} and {quoted(part[wrong].answer)}"
                    self.broken(
                        f"a row is answered {told}, depending on the rows that are asked with it ({job}); answer each by itself"
                    )

    def test_it_trains_without_a_labelled_dev(self) -> None:
        for job in self.jobs():
            job.has_dev = False
            self.answers(job)

    def test_it_trains_where_all_rows_have_one_label(self) -> None:
        """A small `train_examples` may draw such rows."""
        for job in self.jobs():
            job.train = [row for row in job.train if row.label == job.train[0].label]
            self.answers(job)

    # --- what the tests share --------------------------------------------------------------------------------------------

    def jobs(self, *, seed: int = 0) -> Iterator[MadeJob]:
        """Yields jobs: for each kind of task that the trainer supports, one whose rows have one text and one whose rows have
        two."""
        self.ready()
        supported = self.component.supports.kinds
        for kind in KINDS.values():
            if supported is None or kind.name in supported:
                for texts in (1, 2):
                    with temporary_folder() as folder:
                        yield made_job(kind, folder, texts=texts, seed=seed, uses_model=self.component.uses_model)

    def trained(self, job: MadeJob) -> Any:
        """Trains: returns what `fit_own` returns. Fails the test if it raises an error."""
        try:
            return self.component.fit_own(job, self.chosen())
        except Exception as error:  # an author's code
            self.broken(f"`fit_own` raises {type(error).__name__}: {first_line(error)} ({job})")

    def answers(self, job: MadeJob) -> Answers:
        """Trains, and returns the answers to the rows of test."""
        return self.several_answers(job, job.splits["test"])[0]

    def several_answers(self, job: MadeJob, *asked: Sequence[Example]) -> list[Answers]:
        """Trains, and returns the answers to each of these lists of rows. Skips the test if an answer is impossible, because
        another test then fails."""
        model = self.trained(job)
        found = []
        for rows in asked:
            answers, wrong = self.asked(model, job, rows)
            if wrong:
                raise SkipTest(wrong)
            found.append(answers)
        return found

    def asked(self, model: Any, job: MadeJob, rows: Sequence[Example]) -> tuple[Answers, str]:
        """The answers of a trained model to these rows, and ""; or no answers, and what is wrong with the first impossible
        one."""
        given = self.component.predict_own(model, rows, job, self.chosen())
        try:
            read_answers(given, [row.id for row in rows], job.kind, job.labels, of=f"`predict_own` ({job})")
        except BakeoffError as error:
            return {}, str(error)
        return {answer.id: answer for answer in given}, ""


def alike(one: Answer, other: Answer) -> bool:
    """Whether two answers to a row are equal except for rounding. With equal scores, the answers may be different labels."""
    if one.scores is not None and other.scores is not None:
        return all(math.isclose(score, other.scores[label], abs_tol=SAME) for label, score in one.scores.items())
    if isinstance(one.answer, float) and isinstance(other.answer, float):
        return math.isclose(one.answer, other.answer, rel_tol=SAME, abs_tol=SAME)
    return one.answer == other.answer
