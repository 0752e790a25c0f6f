"""Every error a person can meet: what happened, why, and what to do next, with its exit code."""

from __future__ import annotations

import errno

_ROOM = "Free some disk space; what was done until then is kept."


class MlInternError(Exception):
    """Base of all expected failures.

    `what` happened, `why` (may be empty), and what to do `next` (may be empty). `exit_code` is the process's.
    """

    exit_code = 1

    def __init__(self, what: str, why: str = "", next: str = "") -> None:
        self.what, self.why, self.next = what, why, next
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"Why: {self.why}")
        if self.next:
            lines.append(f"Next: {self.next}")
        return "\n".join(lines)


def of_the_system(error: OSError) -> MlInternError:
    """A full disk, a broken one, a folder of somebody else: no fault of the program's, and its words for it."""
    where = f"{error.filename}: " if error.filename else ""
    next = _ROOM if error.errno in (errno.ENOSPC, errno.EDQUOT) else "See to that; what was done until then is kept."
    return MlInternError("The computer could not do what was asked of it.", f"{where}{error.strerror or error}", next)


def in_words(error: Exception) -> MlInternError:
    """Any error as one that a person can be told of: itself, of the computer, or by the name that its class has."""
    if isinstance(error, MlInternError):
        return error
    return of_the_system(error) if isinstance(error, OSError) else MlInternError(f"{type(error).__name__}: {error}")


class InputError(MlInternError):
    """Bad usage or input: a paper that cannot be read, a plan that is not valid (exit code 2)."""

    exit_code = 2


class PaperError(InputError):
    """The paper could not be fetched or read."""


class PlanError(InputError):
    """A plan is not valid; the message names the place and what is allowed. `place`: the keys and positions that lead
    to it in plan.yaml, from the top."""

    def __init__(self, what: str, why: str = "", next: str = "", place: tuple[str | int, ...] = ()) -> None:
        super().__init__(what, why, next)
        self.place = place


class BudgetExhausted(MlInternError):
    """Iterations, money or time are used up (exit code 3)."""

    exit_code = 3


class DoomLoop(MlInternError):
    """The same failure came back more often than the cap allows (exit code 4)."""

    exit_code = 4


class ApprovalRefused(MlInternError):
    """A person said no, or nobody was there to say yes (exit code 5)."""

    exit_code = 5


class RunError(MlInternError):
    """A run could not be started or supervised (not: a script that failed, which is a result)."""


class SessionError(MlInternError):
    """The session log cannot be written, or is damaged."""


class ModelError(MlInternError):
    """A language model could not be reached or answered with nothing usable. `unclear`: the call may have been carried
    out, and paid for, all the same. `wait`: seconds until the provider takes calls again, where it said so and that is
    too long to sit out. `kind`: the fault in a word or two, like `rate limit`. Tokens and dollars are what the provider
    reported of a reply that broke off (dollars None: the price is not known)."""

    unclear = False
    wait: float | None = None
    kind: str = ""
    input_tokens = 0
    output_tokens = 0
    cost_usd: float | None = 0.0


class InvalidAnswer(ModelError):
    """A structured answer did not become valid, not by repair either."""


class ContextOverflow(ModelError):
    """The prompt is longer than the model takes; a shorter one may do. `model`: which of several refused it; empty
    where there is but one."""

    model = ""
