"""The methods of `FaxLine` that read: a job, a group, the end of either, the events."""

from typing import overload

from faxline.client.base import Blocking
from faxline.reading.consumer_groups import CLAIM_AFTER, RIGHT
from faxline.reading.event_iterators import Events
from faxline.reading.event_stream import open_events
from faxline.reading.group import Each, Group
from faxline.reading.job import Job
from faxline.reading.lookup import find_group, find_job
from faxline.sending.mailing import Mailing, Progress
from faxline.steps.drivers import translate_errors
from faxline.waiting.wait_one import wait_for


class Reading(Blocking):
    """Follow jobs and groups to their end."""

    def job(self, job: str) -> Job:
        """Return the record of a job. A queued job has a `forecast` of when it starts.

        Example:
            >>> line.job("invoice-77").state
            <JobState.DELIVERED: 'delivered'>

        Args:
            job: the id of the job.

        Raises:
            JobNotFound: there is no such job. A group is not a job: use `group(name)`.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(find_job(self._context, job))

    def group(self, name: str, *, each: Each | None = None) -> Group:
        """Return a group as it is now: the number of jobs in each state, the jobs, and the rejections.

        Example:
            >>> line.group("june").counts
            {<JobState.QUEUED: 'queued'>: 2, <JobState.DELIVERED: 'delivered'>: 98}

        Args:
            name: the name of the group.
            each: called with each job, in the order of their ids. The Group then holds no jobs, which saves
                memory in a mailing of a hundred thousand faxes.

        Raises:
            GroupNotFound: no job of the group is registered yet, or all records have expired.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(find_group(self._context, name, each))

    @overload
    def wait(
        self,
        job: Mailing | Group,
        timeout: float,
        *,
        progress: Progress | None = None,
        each: Each | None = None,
    ) -> Group: ...

    @overload
    def wait(
        self, job: str | Job, timeout: float, *, progress: Progress | None = None, each: Each | None = None
    ) -> Job: ...

    def wait(
        self,
        job: str | Job | Mailing,
        timeout: float,
        *,
        progress: Progress | None = None,
        each: Each | None = None,
    ) -> Job:
        """Wait until a job ends, or until all jobs of a group end, and return the Job or the Group.

        For what `send` with several numbers or `send_many` returned, all jobs are waited for, registered or
        not. So are those of a group that `send_many` pushed, if you give its name. Of any other group only
        the jobs registered before the last of them ends are waited for.

        Example:
            >>> job = line.send(to="+12345678901", files=["letter.pdf"])
            >>> line.wait(job, timeout=600).succeeded
            True

        Args:
            job: the id of a job, the name of a group, or what a push returned.
            timeout: seconds.
            progress: called with the number of ended jobs and their total whenever either changes.
            each: for several jobs, called with each job at the end. The Group then holds no jobs.

        Raises:
            JobRejected: intake rejected the entry. In a Mailing this ends nothing: `Group.rejected` has them.
            WaitTimeout: not all jobs ended in time. The message says what is missing.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(wait_for(self._context, job, timeout, progress, each))

    def events(
        self,
        *,
        after: str = "$",
        group: str | None = None,
        consumer: str | None = None,
        claim_after: float = CLAIM_AFTER,
        timeout: float | None = None,
    ) -> Events:
        """Follow the events from the moment of this call (not of the first `next`).

        The stream keeps about FAXLINE_EVENTS_CAP events. If it dropped some before you read them, iterating
        raises `EventsMissed` once: look up the jobs that matter, then iterate again.

        The readers of a consumer group share its events. An event counts as handled when you ask for the next
        one. Every event is delivered at least once: if a reader dies, another one gets its unhandled events
        after `claim_after` seconds, and up to a second of handled ones that were not acknowledged yet.

        Example:
            >>> for event in line.events(group="billing"):
            ...     print(event.name, event.job)

        Args:
            after: a stream id, `0` for all events that are kept, or `$` for those to come. Ignored with a
                group.
            group: read in this consumer group, from where it left off. A new group begins with all events
                that are kept.
            consumer: the name of this reader in the group; no other reader may have it. Default: made of
                host, process and a random part.
            claim_after: seconds; choose more than twice the time that you need for one event.
            timeout: seconds after which the iteration ends. Default: never.

        Raises:
            EventsMissed: while iterating, as above.
            NotAllowed: now or while iterating, if this Redis user may not read in a group.
            QueueUnavailable: likewise, if Redis does not answer.
        """
        right = RIGHT if group is not None else ""
        following = self._run(open_events(self._context, after, group, consumer, claim_after, timeout), right)
        return Events(self._client, translate_errors(following, right, self._context.place))
