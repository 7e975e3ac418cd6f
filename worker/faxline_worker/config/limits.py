"""The settings of what an account may do: iFax's limits, the ceilings of its backlog, faxes to one number."""

from datetime import timedelta

from pydantic import Field

from faxline.contract.pdf.reader import MEMORY, TIMEOUT
from faxline_worker.config.values import Part, PositiveSeconds


class Limits(Part):
    """What iFax allows one account (docs/ifax.md, Limits). 0 turns a limit off."""

    requests: int = Field(1000, ge=0)
    window: PositiveSeconds = timedelta(hours=1)
    concurrency: int = Field(20, ge=0)
    burst: int = Field(50, ge=0)


class AccountLimits(Part):
    """An account's own limits. For what is not set, the general limit holds."""

    requests: int | None = Field(None, ge=0)
    window: PositiveSeconds | None = None
    concurrency: int | None = Field(None, ge=0)
    burst: int | None = Field(None, ge=0)


class Ceilings(Part):
    """The most that one account may keep: jobs that have not ended, and their bytes. 0 means no ceiling.

    Past a ceiling an entry is rejected with `backlog_full`. A million jobs take some 2.2 GB of Redis' memory
    and six weeks at iFax's limits; nobody means to queue more on one account.
    """

    jobs: int = Field(1_000_000, ge=0)
    bytes: int = Field(0, ge=0)


class AccountCeilings(Part):
    """An account's own ceilings. For what is not set, the general ceiling holds."""

    jobs: int | None = Field(None, ge=0)
    bytes: int | None = Field(None, ge=0)


class Numbers(Part):
    """How many faxes may be on their way to one number at the same time; 0 means any number.

    Attributes:
        concurrent: faxes at the same time.
        lease: the longest time that one fax holds its number. It ends a hold whose receipt is lost.
    """

    concurrent: int = Field(1, ge=0)
    lease: PositiveSeconds = timedelta(minutes=30)


class Starvation(Part):
    """How much goes to the oldest job, whatever its priority.

    Attributes:
        after: how long a job must have waited.
        share: the part of the permits that goes to the oldest of these.
    """

    after: PositiveSeconds = timedelta(minutes=15)
    share: float = Field(0.1, ge=0, le=1)


class Pdf(Part):
    """What opening the PDFs of one entry may take.

    Attributes:
        timeout: processor time.
        memory: bytes of memory.
    """

    timeout: PositiveSeconds = timedelta(seconds=TIMEOUT)
    memory: int = Field(MEMORY, ge=64 * 1024 * 1024)
