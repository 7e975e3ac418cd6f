"""How a Redis server of ours lets its users in: by the ACL file of ops/redis, and by TLS.

Standard library only, as the embedded server's file.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

ADMIN = "admin"
_USER = re.compile(r"^user (\w+) .*#<\1>", re.MULTILINE)
_COMMENT = re.compile(r"^(#.*)?\n", re.MULTILINE)


@dataclass(frozen=True)
class Tls:
    """The files of a server that speaks TLS.

    Attributes:
        certificate, key: the server's own.
        authority: the certificate of the authority that signed it, which clients trust.
    """

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class Access:
    """The users of a server, and whether it is spoken to by TLS.

    Attributes:
        rules: the lines of an ACL file.
        passwords: of each user.
        tls: its files, or None for a plain connection.
    """

    rules: str
    passwords: Mapping[str, str]
    tls: Tls | None = None

    @classmethod
    def of(cls, template: str, tls: Tls | None = None) -> "Access":
        """Give each user of a template (ops/redis/users.acl) a random password."""
        passwords = {user: secrets.token_hex(32) for user in _USER.findall(template)}
        rules = _COMMENT.sub("", template)
        for user, password in passwords.items():
            rules = rules.replace(f"#<{user}>", f"#{hashlib.sha256(password.encode()).hexdigest()}")
        return cls(rules, passwords, tls)

    def options(self, port: int, rules: Path) -> dict[str, str]:
        """What the server is started with.

        Args:
            port: where it listens.
            rules: the ACL file with `rules`.
        """
        found = {"port": str(port), "aclfile": str(rules)}
        if self.tls is None:
            return found
        return found | {
            "port": "0",
            "tls-port": str(port),
            "tls-cert-file": str(self.tls.certificate),
            "tls-key-file": str(self.tls.key),
            "tls-ca-cert-file": str(self.tls.authority),
            "tls-auth-clients": "no",
            "tls-replication": "yes",
        }

    def url(self, user: str, place: str, db: int) -> str:
        """The URL of one user.

        Args:
            user: one of the template.
            place: `host:port`.
            db: the logical database.
        """
        scheme, options = "redis", ""
        if self.tls is not None:
            scheme, options = "rediss", f"?ssl_ca_certs={quote(str(self.tls.authority), safe='/')}"
        return f"{scheme}://{user}:{self.passwords[user]}@{place}/{db}{options}"
