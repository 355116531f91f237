"""What is wrong with manifests, for their author: problems, and the report of those that come and go.

`files` and `controllers` find problems, `checks` those between objects. `source` reports them: each is logged once when
it appears and once when it is resolved, counted in a metric while it lasts, and shown by /ready. None prevents serving.
"""

import logging
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Self

from clusterdns.cluster.api.store import skipped_objects
from clusterdns.cluster.objects import ObjectError, ObjectKey, shown_key
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.printable import one_line

MAX_LOGGED = 100  # lines of one reading, each way
_MAX_SHOWN = 3  # problems in the line at /ready

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Category(StrEnum):
    """The kind of a problem: the label `problem` of the metric."""

    FILE = "file"  # a file or folder cannot be read or parsed; its last good content is served
    EMPTY = "empty"  # a path of the Corefile has no object that can have names
    KIND = "kind"  # a kind that is not read
    SKIPPED = "skipped"  # an object cannot be used
    PART = "part"  # a part of an object cannot be used
    DUPLICATE = "duplicate"  # an object is written twice
    ENDPOINTS = "endpoints"  # a Service without pods, or endpoints without a Service


class Problem(NamedTuple):
    """One problem. `subject` is what it is about, without the line, so that an edit above it is no new problem."""

    category: Category
    subject: str
    location: str  # file:line, or a path
    text: str
    kind: str = ""  # the kind of the object

    @property
    def line(self) -> str:
        """The problem as one line of a log, whatever characters a manifest has in names."""
        return one_line(f"{self.location}: {self.text}")

    @classmethod
    def of_object(cls, category: Category, location: str, kind: str, key: ObjectKey, text: str) -> Self:
        """Make the problem of an object; one without a name is identified by its line."""
        file = location.rpartition(":")[0] if key[1] else location
        return cls(category, f"{file} {kind} {shown_key(key)}", location, f"{kind} {shown_key(key)}: {text}", kind)

    @classmethod
    def of_error(cls, location: str, error: ObjectError) -> Self:
        """Make the problem of an object that is skipped."""
        return cls.of_object(Category.SKIPPED, location, error.kind, error.key, f"{error.reason}; skipped")


class ProblemReport:
    """The problems of one source as last reported."""

    def __init__(self, registry: Registry) -> None:
        self._current: dict[tuple[Category, str, str], Problem] = {}
        self._gauge = registry.gauge("clusterdns_manifest_problems", "Problems with manifests at present.", "problem")
        self._skipped = skipped_objects(registry)

    @property
    def summary(self) -> str:
        """The first problems and the number of the others, for /ready; or empty."""
        found = list(self._current.values())
        texts = [problem.line for problem in found[:_MAX_SHOWN]]
        if len(found) > _MAX_SHOWN:
            texts.append(f"{len(found) - _MAX_SHOWN} more problems with manifests, which are in the log")
        return "; ".join(texts)

    def update(self, problems: Sequence[Problem]) -> None:
        """Report what has changed since the last call.

        A problem that is replaced by another of the same category and subject is not resolved.
        """
        found = {(one.category, one.subject, one.text): one for one in problems}
        new = [problem for key, problem in found.items() if key not in self._current]
        remaining = {key[:2] for key in found}
        gone = [problem for key, problem in self._current.items() if key not in found]
        resolved = [problem for problem in gone if (problem.category, problem.subject) not in remaining]
        for problem in gone:
            self._gauge.labels(problem.category).value -= 1
        for problem in new:
            self._gauge.labels(problem.category).value += 1
            if problem.category is Category.SKIPPED:
                self._skipped.labels(problem.kind).value += 1
        self._current = found
        _log_new(new)
        _log_resolved(resolved)

    def close(self) -> None:
        """Take the problems out of the metric: the source has stopped."""
        for problem in self._current.values():
            self._gauge.labels(problem.category).value -= 1
        self._current = {}


def _log_new(problems: Sequence[Problem]) -> None:
    for problem in problems[:MAX_LOGGED]:
        if problem.category is Category.FILE:
            log.error("%s; serving its last good content, if any", problem.line)
        else:
            log.warning("%s", problem.line)
    if len(problems) > MAX_LOGGED:
        log.warning("manifests: %d more warnings, not logged", len(problems) - MAX_LOGGED)


def _log_resolved(problems: Sequence[Problem]) -> None:
    for problem in problems[:MAX_LOGGED]:
        log.info("resolved: %s", problem.line)
    if len(problems) > MAX_LOGGED:
        log.info("manifests: %d more resolved, not logged", len(problems) - MAX_LOGGED)
