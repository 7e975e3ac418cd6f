"""The checks of settings that are addresses: Redis, the broker, iFax, the collector of traces."""

from urllib.parse import unquote, urlsplit, urlunsplit

from faxline.contract.connections.cluster_url import cluster_url
from faxline.contract.connections.redis_url import connect, sentinel_url
from faxline.contract.environment import PREFIX
from faxline_worker.ifax.route import Proxy, is_loopback


def check_url(setting: str, url: str, schemes: tuple[str, ...] = ("http", "https")) -> None:
    """Check that a setting is a URL of one of these schemes, with a host.

    Raises:
        ValueError: it is not. The message begins with the setting's name.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{setting} is not a URL: its port is not a number") from None
    if parts.scheme not in schemes or not (parts.netloc or parts.path) or port == 0:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"{setting} must be a URL that starts with {allowed}")
    if parts.scheme != "unix" and not parts.hostname:
        raise ValueError(f"{setting} names no host")
    if parts.scheme.startswith("redis") and parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise ValueError(f"{setting} must end in a database number, such as /0")


def check_redis_url(setting: str, url: str) -> None:
    """Check that a setting is a URL of Redis, of its Sentinels or of a cluster.

    Raises:
        ValueError: it is not. The message begins with the setting's name.
    """
    try:
        if sentinel_url(url) is not None or cluster_url(url) is not None:
            return
        check_url(setting, url, ("redis", "rediss", "unix"))
        connect(url).close()  # checks its options, and connects at the first command
    except ValueError as error:
        told = str(error)
        raise ValueError(told if told.startswith(setting) else f"{setting}: {told}") from None


def check_broker(broker_url: str, redis_url: str) -> None:
    """Check that the broker is one server, and apart from the state.

    Raises:
        ValueError: it is not.
    """
    if cluster_url(broker_url) is not None:
        raise ValueError("BROKER_URL must name one server: a worker waits for several lists at once")
    if broker_url == redis_url:
        raise ValueError(
            "BROKER_URL must name another database than REDIS_URL, to keep wake-ups apart from the state"
        )


def check_ifax_url(url: str, proxy: Proxy | None, *, insecure: bool) -> None:
    """Check where iFax is called.

    Args:
        url: IFAX_URL.
        proxy: the proxy before iFax.
        insecure: whether the token may cross a network without TLS.

    Raises:
        ValueError: the URL cannot be used, or shows the token to the network.
    """
    check_url("IFAX_URL", url)
    ifax = urlsplit(url)
    if "@" in ifax.netloc or "?" in url or "#" in url:
        raise ValueError("IFAX_URL must have no user, query or fragment: the key is the account's TOKEN")
    hosts = [ifax.hostname, proxy.host if proxy is not None else None]
    if ifax.scheme == "http" and not insecure and not all(is_loopback(host) for host in hosts if host):
        raise ValueError(
            "IFAX_URL must start with https://: http:// shows the API key and every fax to the network; "
            f"{PREFIX}IFAX_INSECURE=true allows it all the same"
        )


def broker_beside(redis_url: str) -> str:
    """The broker's URL where none is set: database 1 of the state's server, or 2 where the state is in 1.

    Raises:
        ValueError: the state is in a cluster, which has one database.
    """
    if cluster_url(redis_url) is not None:
        raise ValueError(
            "BROKER_URL must be set, because FAXLINE_REDIS_URL is a cluster's and a cluster has one database "
            "only: give the broker a small Redis server of its own (docs/redis.md)"
        )
    if (sentinels := sentinel_url(redis_url)) is not None:
        place = redis_url.split("/")
        _, mark, options = redis_url.partition("?")
        database = "2" if sentinels.database == 1 else "1"
        return "/".join([*place[:3], sentinels.service, database]) + mark + options
    parts = urlsplit(redis_url)
    return urlunsplit(parts._replace(path="/1" if parts.path != "/1" else "/2"))


def passwords_in(redis_url: str) -> list[str]:
    """The passwords in a URL of Redis, also as they are without the URL's quoting."""
    if (cluster := cluster_url(redis_url)) is not None:
        passwords = [cluster.password]
    elif (sentinels := sentinel_url(redis_url)) is not None:
        passwords = [sentinels.password, sentinels.sentinel_password]
    else:
        written = urlsplit(redis_url).password or ""
        passwords = [written, *([unquote(written)] if "%" in written else [])]
    return [password for password in passwords if password]
