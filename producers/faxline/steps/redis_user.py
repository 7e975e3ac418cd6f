"""Which Redis user this connection has."""

from typing import Any

from faxline.steps.commands import Command, Steps
from faxline.steps.redis_errors import is_refusal


def redis_user(*, pushing: bool = False) -> Steps[str]:
    """The Redis user that we are, for the audit; nothing where the server does not tell."""
    try:
        user: Any = yield Command(lambda client: client.acl_whoami(), pushing)
    except Exception as error:
        if not is_refusal(error):
            raise
        return ""
    return user.decode("utf-8", "replace") if isinstance(user, bytes) else str(user)
