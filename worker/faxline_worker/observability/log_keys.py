"""The keys of a log line. Whatever has another key is dropped, so a new kind of value is a decision."""

ALLOWED_KEYS = frozenset(
    {
        # the line itself
        "event",  # what happened, a fixed phrase
        "timestamp",  # when it was logged, UTC, ISO 8601
        "level",  # debug, info, warning, error, critical
        "logger",  # who wrote it, such as faxline_worker.dispatcher.dispatcher or httpx
        "role",  # dispatcher, worker, webhook, sandbox, demo
        "exception",  # the frames, without locals
        "stack",  # where it was logged, if asked for
        "dropped",  # the names of the keys that are not in this list
        # which fax
        "account",  # the iFax account's name
        "job",  # the job's id, the producer's
        "group",  # the id that the jobs of one list of numbers share
        "of",  # the job that a resend repeats
        "jobId",  # iFax's own number of the job
        "attempt",  # the attempt's number, from 1
        "priority",  # urgent, normal, bulk
        "state",  # the job's state after the event
        "to",  # the recipient, masked: …1234
        "pages",  # how many pages
        "transferred",  # how many of them arrived
        # what was decided, and why
        "decision",  # the answer of admission or of a script
        "result",  # how a submission or a webhook ended
        "outcome",  # how a job ended
        "reason",  # the fixed name of a reason
        "kind",  # which control call: status, cancel
        "order",  # what an operator ordered
        "how",  # and how: accepted, resend, fail
        "by",  # and who it was
        "user",  # who signed in to a console or out
        "retried",  # the delivery failed and is tried again
        "code",  # iFax's number of an error
        "status",  # the HTTP status
        "stage",  # intake, submission, delivery
        "limit",  # concurrency, window, burst, paused
        "member",  # the member of a job or a setting that is wrong
        "settings",  # those that differ, with their values
        "digest",  # a document's SHA-256
        "root",  # of the tree that an archive signed, hexadecimal
        "error",  # one line about a failure
        # when and how much
        "seconds",  # how long it took
        "retry_in",  # seconds until the next try
        "at",  # a time in milliseconds since 1970
        "count",  # how many
        "size",  # bytes
        # where
        "entry",  # a stream entry's id
        "stream",  # a stream's key
        "users",  # the Redis users that could have done it
        "queue",  # a Dramatiq queue
        "actor",  # a Dramatiq actor
        "message_id",  # a Dramatiq message's id
        "method",  # the HTTP method
        "path",  # the path of an HTTP request to us, without its query
        "reference",  # of a page that failed, as it is shown to the person
        "host",  # a host we listen on or talk to
        "address",  # from where somebody signed in or tried to
        "port",  # its port
        "proxy",  # the host and port of a proxy before iFax
        "pid",  # a process id
        "version",  # of Faxline, a server, a library
        "signal",  # the signal that ends a process
    }
)
"""The keys a line may have; others are dropped and named under `dropped`."""

ID_KEYS = frozenset({"job", "group", "of", "jobId", "entry", "message_id", "stream", "digest", "root"})
"""Keys whose values are ids: here only a run of digits *with a leading +* is taken for a phone number.

A job id is the producer's choice. One that is a bare phone number is logged as it is; intake allows no `+` in
an id, so producers are asked not to use numbers as ids.
"""

MEASURE_KEYS = frozenset({"timestamp", "at", "seconds", "retry_in", "count", "size", "port", "pid"})
"""Keys whose values, when they are numbers, are measures and never phone numbers."""
