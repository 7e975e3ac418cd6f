"""The sandbox itself: its accounts, ledger, calls and faults, and what each endpoint does with them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from faxline_sandbox import answers
from faxline_sandbox.accounts import Customer
from faxline_sandbox.answers import Refusal
from faxline_sandbox.bodies import Fields
from faxline_sandbox.calls import Calls
from faxline_sandbox.config import SandboxConfig
from faxline_sandbox.customers import Customers
from faxline_sandbox.faults import Endpoint, Fault, FaultPlan, WebhookFault
from faxline_sandbox.inbound import InboundFax
from faxline_sandbox.ledger import Entry, Ledger
from faxline_sandbox.lines import Lines
from faxline_sandbox.numbers import Numbers
from faxline_sandbox.restrictions import PageCounter, check_job_id, check_resend, check_send
from faxline_sandbox.webhooks import WebhookSender, fax_object


@dataclass(frozen=True)
class _Order:
    """A fax to be sent, by fax-send or fax-resend."""

    endpoint: Endpoint
    original: int | None
    to_number: str
    from_number: str
    subject: str | None
    digest: str
    files: int
    pages: int
    quality: str
    send_at: float | None


class Sandbox:
    """One sandbox. It works inside one event loop, between `open` and `close`.

    Args:
        config: the configuration.
        clock: returns monotonic nanoseconds, for the limits if the server does not stamp requests.
    """

    def __init__(self, config: SandboxConfig, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.config = config
        self.clock = clock
        self.ledger = Ledger(config.first_job_id)
        self.received: defaultdict[str, list[InboundFax]] = defaultdict(list)
        """The received faxes, by the account's label."""
        self.customers = Customers(config)
        self.numbers = Numbers()
        self.lines = Lines(config.lines)
        self.faults: FaultPlan[Fault] = FaultPlan()
        self.webhook_faults: FaultPlan[WebhookFault] = FaultPlan()
        self.stopping = asyncio.Event()
        """Set when the sandbox is about to end, so that nothing waits any longer."""
        self.loop: asyncio.AbstractEventLoop
        self.calls: Calls
        self._sender: WebhookSender
        self._pages = PageCounter(config.pages_per_url)

    async def open(self) -> None:
        """Start in the running event loop."""
        self.loop = asyncio.get_running_loop()
        self._sender = WebhookSender(self.config)
        self.calls = Calls(self.config, self.numbers, self.lines, self.webhook_faults, self._sender)

    async def close(self) -> None:
        """Cancel the calls and webhooks."""
        self.stopping.set()
        await self.calls.close()
        await self._sender.close()

    def receive(self, label: str, fax: InboundFax) -> None:
        """Let an account receive a fax, and send its webhook.

        Raises:
            ConfigError: there is no such account.
        """
        customer = self.customers.labelled(label)
        self.received[label].append(fax)
        self.calls.receive(fax, customer)

    def faxes(self, subject: str | None = None, number: str | None = None) -> list[dict[str, Any]]:
        """The ledger, all of it or the faxes with a subject or a recipient."""
        return [
            entry.as_json()
            for entry in self.ledger
            if subject in {None, entry.subject} and number in {None, entry.to_number}
        ]

    def number(self, number: str) -> dict[str, Any]:
        """The state of a number: its lines, how many are taken, and the coming outcomes."""
        return {
            "number": number,
            "lines": self.lines.of(number),
            "taken": self.lines.taken(number),
            "outcomes": self.numbers.as_json(number),
        }

    def marks(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """The members by which a fault is matched: the request's, or those of the fax of its jobId."""
        entry = self._find(customer, fields.get("jobId"))
        marks = dict(entry.marks) if entry else {"jobId": fields.get("jobId"), "account": customer.label}
        for mark, name in (("subject", "subject"), ("toNumber", "faxNumber")):
            if name in fields:
                marks[mark] = fields[name]
        return marks

    async def send(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out fax-send.

        Raises:
            Refusal: it is not accepted.
        """
        request = check_send(fields, self._pages)
        order = _Order(
            endpoint="fax-send",
            original=None,
            to_number=request.number,
            from_number=request.caller_id or customer.account.caller_id,
            subject=request.subject,
            digest=request.digest,
            files=request.files,
            pages=request.pages,
            quality=request.quality,
            send_at=request.send_at,
        )
        return answers.sent(await self._accept(customer, order))

    async def resend(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out fax-resend.

        Raises:
            Refusal: it is not accepted.
        """
        request = check_resend(fields)
        original = self._existing(customer, request.job_id)
        if original.state not in {"delivered", "failed"}:
            raise Refusal(
                f"jobId {original.job_id}: is {original.state}; only a fax that was sent can be resent"
            )
        order = _Order(
            endpoint="fax-resend",
            original=original.job_id,
            to_number=request.number or original.to_number,
            from_number=original.from_number,
            subject=original.subject,
            digest=request.digest,
            files=original.files,
            pages=original.pages,
            quality=original.quality,
            send_at=None,
        )
        return answers.resent(await self._accept(customer, order), original.job_id)

    async def cancel(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out fax-cancel.

        Raises:
            Refusal: there is nothing to cancel.
        """
        entry = self._existing(customer, check_job_id(fields))
        if not self.calls.cancel(entry, customer):
            raise Refusal(f"jobId {entry.job_id}: is {entry.state}; only a scheduled fax can be canceled")
        customer.canceled += 1
        customer.refund(entry.pages)
        return answers.canceled(entry.job_id)

    async def status(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out fax-status, which iFax does not document: the fax object as it stands.

        Raises:
            Refusal: there is no such fax.
        """
        entry = self._existing(customer, check_job_id(fields))
        return {"status": 1, "message": "Fax status", "data": fax_object(entry, field=self.config.in_field)}

    async def _accept(self, customer: Customer, order: _Order) -> int:
        outcome = self.numbers.outcome(order.to_number)
        if outcome.refusal is not None:
            self.numbers.take(order.to_number)
            retry_after = 1 if outcome.refusal == answers.RATE_LIMITED else None
            raise Refusal("by the number's outcome", code=outcome.refusal, retry_after=retry_after)
        customer.pay(order.pages)
        job_id = self.ledger.next_job_id()
        entry = Entry(job_id=job_id, account=customer.label, accepted_at=time.time(), **vars(order))
        self.ledger.add(entry)
        customer.accepted += 1
        # An outcome about this answer belongs to this fax. Any other is decided when the call begins.
        concerned = outcome.fault is not None or outcome.early
        decided = self.numbers.take(order.to_number) if concerned else None
        await self.calls.start(entry, customer, decided)
        return job_id

    def _find(self, customer: Customer, job_id: Any) -> Entry | None:
        entry = self.ledger.find(job_id) if isinstance(job_id, int) else None
        return entry if entry and entry.account == customer.label else None

    def _existing(self, customer: Customer, job_id: int) -> Entry:
        entry = self._find(customer, job_id)
        if entry is None:
            raise answers.not_found(job_id)
        return entry
