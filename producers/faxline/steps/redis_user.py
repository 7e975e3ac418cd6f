"""The Redis user of a connection."""

from typing import Any

from faxline.steps.commands import Command, Steps
from faxline.steps.redis_errors import is_refusal


def redis_user(*, pushing: bool = False) -> Steps[str]:
    """Read the name of our Redis user, for the audit; empty if the server does not say."""
    try:
        user: Any = yield Command(lambda client: client.acl_whoami(), pushing)
    except Exception as error:
        if not is_refusal(error):
            raise
        return ""
    return user.decode("utf-8", "replace") if isinstance(user, bytes) else str(user)
