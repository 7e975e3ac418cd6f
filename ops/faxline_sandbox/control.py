"""The control page of the tests, under `/sandbox`, without a token."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from faxline_sandbox.answers import JSON
from faxline_sandbox.causes import CAUSES
from faxline_sandbox.config import E164, ConfigError
from faxline_sandbox.faults import F, Fault, FaultError, FaultPlan, WebhookFault
from faxline_sandbox.inbound import InboundFax, transaction_id
from faxline_sandbox.ledger import tries
from faxline_sandbox.numbers import MAGIC_NUMBERS
from faxline_sandbox.outcomes import Outcome, check_order
from faxline_sandbox.sandbox import Sandbox

DRAIN_SECONDS = 60.0
NO_NUMBER = "number: must be E.164, such as +1234567890"

_CODES = {name: code for code, name in CAUSES.items()}


class Control:
    """The handlers of the control page.

    Args:
        sandbox: what is controlled.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """The page's addresses, below `/sandbox`."""
        return [
            Route("/ledger", self.ledger, methods=["GET"]),
            Route("/ledger/{job_id:int}", self.entry, methods=["GET"]),
            Route("/stats", self.stats, methods=["GET"]),
            Route("/arrivals", self.arrivals, methods=["GET"]),
            Route("/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/webhook-faults", self.webhook_faults, methods=["GET", "POST", "DELETE"]),
            Route("/numbers/{number}", self.number, methods=["GET", "PUT", "DELETE"]),
            Route("/numbers/{number}/lines", self.lines, methods=["PUT", "DELETE"]),
            Route("/accounts/{label}/tokens", self.tokens, methods=["PUT"]),
            Route("/accounts/{label}/webhook-secret", self.webhook_secret, methods=["PUT"]),
            Route("/accounts/{label}/webhook", self.webhook, methods=["PUT"]),
            Route("/accounts/{label}/plan", self.plan, methods=["PUT"]),
            Route("/accounts/{label}/inbound", self.inbound, methods=["GET", "POST"]),
            Route("/drain", self.drain, methods=["POST"]),
        ]

    async def ledger(self, request: Request) -> Response:
        """The faxes, all or those of the queries `subject` and `toNumber`."""
        query = request.query_params
        return JSON(self._sandbox.faxes(query.get("subject"), query.get("toNumber")))

    async def entry(self, request: Request) -> Response:
        """One fax; 404 without it."""
        entry = self._sandbox.ledger.find(request.path_params["job_id"])
        return _error("there is no such jobId", 404) if entry is None else JSON(entry.as_json())

    async def stats(self, request: Request) -> Response:
        """Every account's statistics by its label."""
        del request
        return JSON(self._sandbox.customers.stats())

    async def arrivals(self, request: Request) -> Response:
        """Every account's requests by its label."""
        del request
        return JSON(self._sandbox.customers.arrivals())

    async def faults(self, request: Request) -> Response:
        """Add faults (an object or a list of them), remove all, or only show the remaining ones."""
        return await _plan(request, self._sandbox.faults, Fault.read)

    async def webhook_faults(self, request: Request) -> Response:
        """The same for webhook faults."""
        return await _plan(request, self._sandbox.webhook_faults, WebhookFault.read)

    async def number(self, request: Request) -> Response:
        """Set the outcomes of a number (see `read_outcomes`), or restore its own; show them."""
        number = request.path_params["number"]
        if not E164.fullmatch(number):
            return _error(NO_NUMBER)
        if request.method != "GET":
            try:
                outcomes = () if request.method == "DELETE" else read_outcomes(await _json(request))
            except FaultError as error:
                return _error(str(error))
            self._sandbox.numbers.give(number, outcomes)
        return JSON(self._sandbox.number(number))

    async def lines(self, request: Request) -> Response:
        """Set how many faxes a number receives at once (0 means no limit), or restore the default."""
        number = request.path_params["number"]
        if not E164.fullmatch(number):
            return _error(NO_NUMBER)
        try:
            lines = None if request.method == "DELETE" else check_lines(await _json(request))
        except FaultError as error:
            return _error(str(error))
        self._sandbox.lines.give(number, lines)
        return JSON(self._sandbox.number(number))

    async def tokens(self, request: Request) -> Response:
        """Replace the tokens of an account."""
        try:
            tokens = await _json(request)
            if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
                return _error("tokens: must be a list of texts")
            self._sandbox.customers.give_tokens(request.path_params["label"], tokens)
        except (FaultError, ConfigError) as error:
            return _error(str(error))
        return JSON({"tokens": len(tokens)})

    async def webhook_secret(self, request: Request) -> Response:
        """Replace the secret that signs an account's webhooks."""
        try:
            secret = await _json(request)
            if not isinstance(secret, str):
                return _error("webhook_secret: must be a text")
            self._sandbox.customers.give_webhook_secret(request.path_params["label"], secret)
        except (FaultError, ConfigError) as error:
            return _error(str(error))
        return JSON({})

    async def webhook(self, request: Request) -> Response:
        """Send an account's webhooks to another URL, with a user and password, or unsigned."""
        try:
            form = await _json(request)
            if not isinstance(form, dict):
                return _error("webhook: must be an object")
            self._sandbox.customers.give_webhook_form(request.path_params["label"], form)
        except (FaultError, ConfigError) as error:
            return _error(str(error))
        return JSON({})

    async def plan(self, request: Request) -> Response:
        """Set whether an account's plan is active."""
        try:
            active = await _json(request)
            if not isinstance(active, bool):
                return _error("plan: must be true or false")
            self._sandbox.customers.give_plan(request.path_params["label"], active=active)
        except (FaultError, ConfigError) as error:
            return _error(str(error))
        return JSON({})

    async def inbound(self, request: Request) -> Response:
        """Let an account receive a fax, or show its received faxes with the tries of their webhooks."""
        if request.method == "GET":
            came = self._sandbox.received[request.path_params["label"]]
            return JSON([fax.fax_object() | {"webhooks": tries(fax.webhooks)} for fax in came])
        try:
            job_id = self._sandbox.ledger.next_job_id()
            fax = InboundFax.read(await _json(request), job_id, time.time())
            self._sandbox.receive(request.path_params["label"], fax)
        except (FaultError, ConfigError) as error:
            return _error(str(error))
        return JSON({"jobId": job_id, "transactionId": transaction_id(job_id)})

    async def drain(self, request: Request) -> Response:
        """Wait for every call and webhook, at most the query `timeout` (60 seconds)."""
        try:
            seconds = float(request.query_params.get("timeout", DRAIN_SECONDS))
        except ValueError:
            return _error("timeout: must be seconds")
        drained = await self._sandbox.calls.drain(seconds)
        return JSON({"drained": drained, "pending": self._sandbox.calls.pending})


def read_outcomes(value: Any) -> Sequence[Outcome]:
    """The outcomes of a value, one or a list of them.

    One is an `Outcome`, its members as an object, the four digits of a magic number, or the name of a cause.

    Raises:
        FaultError: the value is something else.
    """
    several = value if isinstance(value, list | tuple) else [value]
    return check_order([one if isinstance(one, Outcome) else _read_outcome(one) for one in several])


def check_lines(value: Any) -> int:
    """Check a number of lines.

    Raises:
        FaultError: it is not a whole number, or less than 0.
    """
    if type(value) is not int or value < 0:
        raise FaultError("lines: must be 0 (endless) or more")
    return value


def _read_outcome(value: Any) -> Outcome:
    if not isinstance(value, str):
        return Outcome.read(value)
    if value in _CODES:
        return Outcome.read({"status": "failed", "code": _CODES[value]})
    if value not in MAGIC_NUMBERS:
        raise FaultError("outcome: must be an object, a cause's name, or the digits of a magic number")
    return MAGIC_NUMBERS[value]


async def _plan(request: Request, plan: FaultPlan[F], read: Callable[[Any], F]) -> Response:
    if request.method == "DELETE":
        plan.clear()
    elif request.method == "POST":
        try:
            value = await _json(request)
            faults = [read(one) for one in (value if isinstance(value, list) else [value])]
        except FaultError as error:
            return _error(str(error))
        for fault in faults:
            plan.add(fault)
    return JSON(plan.as_json())


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        raise FaultError("the body must be JSON") from None


def _error(message: str, status: int = 400) -> Response:
    return JSON({"error": message}, status)
