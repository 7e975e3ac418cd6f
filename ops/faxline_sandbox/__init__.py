"""An iFax to run: the whole documented API on this machine, for tests and demonstrations."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from faxline_sandbox.config import Account, ConfigError, Limits, SandboxConfig
from faxline_sandbox.faults import Fault, FaultError, WebhookFault

if TYPE_CHECKING:
    from faxline_sandbox.app import create_app
    from faxline_sandbox.numbers import MAGIC_NUMBERS
    from faxline_sandbox.outcomes import Outcome
    from faxline_sandbox.server import SandboxServer, serve

__all__ = [
    "MAGIC_NUMBERS",
    "Account",
    "ConfigError",
    "Fault",
    "FaultError",
    "Limits",
    "Outcome",
    "SandboxConfig",
    "SandboxServer",
    "WebhookFault",
    "create_app",
    "serve",
]

# Imported at the first use: the web server, without which a configuration can be made and checked.
_LATER = {
    "MAGIC_NUMBERS": "faxline_sandbox.numbers",
    "Outcome": "faxline_sandbox.outcomes",
    "SandboxServer": "faxline_sandbox.server",
    "create_app": "faxline_sandbox.app",
    "serve": "faxline_sandbox.server",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
