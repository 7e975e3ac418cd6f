"""The users and the TLS of an embedded Redis server, by the ACL file of ops/redis.

Uses only the standard library, like redis_server.py.
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
        certificate, key: the server's certificate and key.
        authority: the certificate of the authority that signed it, which clients trust.
    """

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class Access:
    """The users of a server, and its TLS.

    Attributes:
        rules: the lines of the ACL file.
        passwords: the passwords by user.
        tls: the TLS files; None for plain connections.
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
        """The server's options.

        Args:
            port: the port to listen on.
            rules: the path of the ACL file.
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
        """The URL for one user.

        Args:
            user: a user of the template.
            place: `host:port`.
            db: the logical database.
        """
        scheme, options = "redis", ""
        if self.tls is not None:
            scheme, options = "rediss", f"?ssl_ca_certs={quote(str(self.tls.authority), safe='/')}"
        return f"{scheme}://{user}:{self.passwords[user]}@{place}/{db}{options}"
