"""The ASGI app: the API under `/v1`, the control page under `/sandbox`."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from faxline_sandbox.answers import Refusal
from faxline_sandbox.config import SandboxConfig
from faxline_sandbox.control import Control
from faxline_sandbox.endpoints import EndpointApp
from faxline_sandbox.listing import Listing
from faxline_sandbox.sandbox import Sandbox

BASE_PATH = "/v1"


def create_app(config: SandboxConfig, *, clock: Callable[[], int] = time.monotonic_ns) -> Starlette:
    """Make the sandbox as an ASGI app; its lifespan must be run. `app.state.sandbox` is the `Sandbox`.

    Under `serve` or `SandboxServer` a request's arrival is stamped by the server. Elsewhere (an ASGI
    transport, another server) the app stamps it, and the faults that cut a connection do not work.

    Args:
        config: the configuration.
        clock: returns monotonic nanoseconds, for the limits if the server does not stamp requests.
    """
    sandbox = Sandbox(config, clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        await sandbox.open()
        try:
            yield
        finally:
            await sandbox.close()

    status = EndpointApp(sandbox, "fax-status", sandbox.status)
    app = Starlette(
        routes=[
            Route(f"{BASE_PATH}/customer/fax-send", EndpointApp(sandbox, "fax-send", sandbox.send)),
            Route(f"{BASE_PATH}/customer/fax-cancel", EndpointApp(sandbox, "fax-cancel", sandbox.cancel)),
            Route(f"{BASE_PATH}/customer/fax-resend", EndpointApp(sandbox, "fax-resend", sandbox.resend)),
            *([Route(f"{BASE_PATH}/customer/fax-status", status)] if config.has_status_call else []),
            *_listing(sandbox),
            Mount("/sandbox", routes=Control(sandbox).routes()),
        ],
        exception_handlers={404: _no_such_address},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return app


def _listing(sandbox: Sandbox) -> list[Route]:
    """The listing endpoints. The two that prove a key are in both profiles, because the doctor calls them."""
    listing = Listing(sandbox)
    apps = [
        EndpointApp(sandbox, "fax-lists", listing.faxes),
        EndpointApp(sandbox, "inbound/number-list", listing.numbers),
    ]
    if sandbox.config.in_field:
        apps += [
            EndpointApp(sandbox, "fax-list-all", listing.received),
            EndpointApp(sandbox, "fax-download", listing.download),
        ]
    return [Route(f"{BASE_PATH}/customer/{app.name}", app) for app in apps]


async def _no_such_address(request: Request, error: Exception) -> Response:
    del request, error
    return Refusal("there is no such address", status=-5).answer()
