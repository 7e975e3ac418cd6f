"""The settings of what an account may do: iFax's limits, the ceilings of its backlog, faxes to one number."""

from datetime import timedelta

from pydantic import Field

from faxline.contract.pdf.reader import MEMORY, TIMEOUT
from faxline_worker.config.values import Count, Part, PositiveSeconds


class Limits(Part):
    """What iFax allows one account (docs/ifax.md, Limits). 0 turns a limit off."""

    requests: Count = 1000
    window: PositiveSeconds = timedelta(hours=1)
    concurrency: Count = 20
    burst: Count = 50


class AccountLimits(Part):
    """An account's own limits. For what is not set, the general limit holds."""

    requests: Count | None = None
    window: PositiveSeconds | None = None
    concurrency: Count | None = None
    burst: Count | None = None


class Ceilings(Part):
    """The most that one account may keep: jobs that have not ended, and their bytes. 0 means no ceiling.

    Past a ceiling an entry is rejected with `backlog_full`. A million jobs take some 2.2 GB of Redis' memory
    and six weeks at iFax's limits; nobody means to queue more on one account.
    """

    jobs: Count = 1_000_000
    bytes: Count = 0


class AccountCeilings(Part):
    """An account's own ceilings. For what is not set, the general ceiling holds."""

    jobs: Count | None = None
    bytes: Count | None = None


class Numbers(Part):
    """How many faxes may be on their way to one number at the same time; 0 means any number.

    Attributes:
        concurrent: faxes at the same time.
        lease: the longest time that one fax holds its number. It ends a hold whose receipt is lost.
    """

    concurrent: Count = 1
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
