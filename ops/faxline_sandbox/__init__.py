"""An iFax to run: the whole documented API on this machine, for tests and demonstrations."""

from faxline_sandbox.app import create_app
from faxline_sandbox.config import Account, ConfigError, Limits, SandboxConfig
from faxline_sandbox.faults import Fault, FaultError, WebhookFault
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
