"""The settings of what the processes listen on and export to: webhook, metrics, traces."""

from datetime import timedelta

from pydantic import Field, PositiveInt

from faxline_worker.config.values import Part, PositiveSeconds


class Webhook(Part):
    """Where the webhook listens, and how long it waits for a caller.

    Attributes:
        host, port: what it listens on.
        url: where iFax reaches it: what stands before /webhooks/ifax.
        connections: the most at one time. Beyond it the connection that has waited longest makes room.
        header_timeout, body_timeout: how long a request's headers and its body may take.
        idle_timeout: how long an unused connection stays open. It is longer than what proxies keep (nginx and
            most others 60 s), so that no connection is closed here while a proxy takes it up again.
    """

    host: str = "0.0.0.0"  # noqa: S104 - the contract's default: iFax calls from outside
    port: int = Field(8080, ge=0, le=65535)
    url: str = ""
    connections: PositiveInt = 500
    header_timeout: PositiveSeconds = timedelta(seconds=10)
    body_timeout: PositiveSeconds = timedelta(seconds=10)
    idle_timeout: PositiveSeconds = timedelta(seconds=75)


class Metrics(Part):
    """The ports of /metrics, /healthz and /readyz.

    Attributes:
        dispatcher_port, worker_port, webhook_port, archive_port, console_port: one for each role.
        failures_from_zero: whether every label set of `fax_failures_total` is exported from the start. There
            are 150 an account, four fifths of what a dispatcher exports. With many accounts, turn it off:
            each set then appears with its first failure.
    """

    dispatcher_port: int = Field(9101, ge=0, le=65535)
    worker_port: int = Field(9102, ge=0, le=65535)
    webhook_port: int = Field(9103, ge=0, le=65535)
    archive_port: int = Field(9104, ge=0, le=65535)
    console_port: int = Field(9105, ge=0, le=65535)
    failures_from_zero: bool = True


class Traces(Part):
    """Where OTLP over HTTP is taken, such as http://127.0.0.1:4318/v1/traces. Empty means no traces."""

    endpoint: str = ""
