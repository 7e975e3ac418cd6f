"""The endpoints as ASGI apps. Their steps: arrival, limits, body, faults, work, answer."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from faxline_sandbox.accounts import Customer
from faxline_sandbox.answers import JSON, RATE_LIMITED, FieldRefusal, Refusal
from faxline_sandbox.bodies import Fields, read_body, read_fields
from faxline_sandbox.connection import EXTENSION, Connection
from faxline_sandbox.faults import Endpoint, Fault
from faxline_sandbox.sandbox import Sandbox

Work = Callable[[Customer, Fields], Awaitable[dict[str, Any]]]

OK = 200
SCRIPTED = {"status": -1, "message": "A scripted fault"}
GARBAGE = "<html><body>upstream connect error</body></html>"


class EndpointApp:
    """One endpoint, `POST /v1/customer/{name}`.

    Args:
        sandbox: the sandbox.
        name: its name, such as fax-send.
        work: carries out a request. It returns the answer's body or raises `Refusal`.
    """

    def __init__(self, sandbox: Sandbox, name: Endpoint, work: Work) -> None:
        self._sandbox = sandbox
        self.name = name
        self._work = work
        self._random = random.Random(f"{sandbox.config.seed}:{name}")  # noqa: S311 - no secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        connection: Connection | None = scope.get("extensions", {}).get(EXTENSION)
        at = connection.arrived if connection else self._sandbox.clock()
        try:
            customer = self._admit(headers, at)
        except Refusal as refusal:
            await refusal.answer()(scope, receive, send)
            return
        try:
            await self._serve(customer, headers, scope, receive, send)
        except ClientDisconnect:
            pass  # the client disconnected before the end of its request
        finally:
            customer.leave()

    def _admit(self, headers: dict[bytes, bytes], at: int) -> Customer:
        customer = self._sandbox.customers.of(headers.get(b"accesstoken", b"").decode("latin-1"))
        excess = customer.arrive(at, self.name)
        if excess is not None:
            detail = f"{excess.limit}, try again in {excess.retry_after} s"
            raise Refusal(detail, code=RATE_LIMITED, retry_after=excess.retry_after)
        return customer

    async def _serve(
        self, customer: Customer, headers: dict[bytes, bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        fields: Fields = {}
        refusal = None
        try:
            _check_permission(customer, scope["method"])
            if self._sandbox.config.in_field and not customer.account.plan:
                raise FieldRefusal(12004)
            body = await read_body(receive, headers.get(b"content-length", b"").decode("latin-1"))
            fields = read_fields(body, headers.get(b"content-type", b"").decode("latin-1"))
        except Refusal as caught:
            refusal = caught
        fault = self._fault(customer, fields)
        if fault is not None:
            customer.faults[fault.action] += 1
        answer: JSON | None = None
        if fault is None or not fault.before:
            answer = await self._carry_out(customer, fields, refusal)
        least, most = self._sandbox.config.answer_seconds
        await self._pause(self._random.uniform(least, most))
        response = answer if fault is None else await self._strike(fault, answer, scope, receive)
        if response is not None:
            await response(scope, receive, send)

    def _fault(self, customer: Customer, fields: Fields) -> Fault | None:
        marks = self._sandbox.marks(customer, fields)
        fault = self._sandbox.faults.take(marks, lambda fault: fault.endpoint in {None, self.name})
        number = marks.get("toNumber")
        if fault is None and self.name in {"fax-send", "fax-resend"} and isinstance(number, str):
            fault = self._sandbox.numbers.outcome(number).fault
            if fault is not None and fault.before:  # no call will use this outcome
                self._sandbox.numbers.take(number)
        return fault

    async def _carry_out(self, customer: Customer, fields: Fields, refusal: Refusal | None) -> JSON:
        try:
            if refusal is not None:
                raise refusal
            return JSON(await self._work(customer, fields))
        except Refusal as caught:
            customer.refused[caught.counted_as] += 1
            return caught.answer()

    async def _strike(
        self, fault: Fault, answer: JSON | None, scope: Scope, receive: Receive
    ) -> Response | None:
        """The answer under a fault; None if the connection was cut instead."""
        response: Response | None = None
        match fault.action:
            case "reset_before" | "reset_after":
                await _cut(scope, receive)
            case "hang_before" | "hang_after":
                await _wait_any(fault.seconds, _gone(receive), self._sandbox.stopping.wait())
                await _cut(scope, receive)
            case "status":
                headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                body = SCRIPTED if fault.body is None else fault.body
                response = (
                    Response(None, fault.status or 500, headers)
                    if body == ""
                    else JSON(body, fault.status or 500, headers)
                )
            case "garbage":
                text = GARBAGE if fault.body is None else fault.body
                response = Response(text, fault.status or OK, media_type="text/html")
            case "slow":
                await self._pause(fault.seconds or 0)
                response = answer
            case "no_job_id":
                response = _changed(answer, data={})
            case "status_zero":
                response = _changed(answer, status=0, message="Fax processing started")
        return response

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await _wait_any(seconds, self._sandbox.stopping.wait())


def _check_permission(customer: Customer, method: str) -> None:
    if method != "POST":
        raise Refusal(f"the method must be POST, not {method}", status=-1, http=405)
    if not customer.account.primary:
        raise Refusal(code=-3007)


def _changed(answer: JSON | None, **members: Any) -> JSON | None:
    """Change some members of a success. An error is not changed."""
    if answer is None or answer.status_code != OK:
        return answer
    return JSON(json.loads(bytes(answer.body)) | members)


async def _cut(scope: Scope, receive: Receive) -> None:
    connection: Connection | None = scope.get("extensions", {}).get(EXTENSION)
    if connection is None:
        raise RuntimeError("a connection can only be cut under serve() or SandboxServer")
    connection.cut()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait_any(seconds: float | None, *awaited: Any) -> None:
    """Wait for the first of some coroutines, at most this many seconds."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
