"""The PromQL that several panels share: counters are summed over processes, gauges of Redis are not."""

ACCOUNT = 'account=~"$account"'
RATE = "[$__rate_interval]"


def a_minute(metric: str, selectors: str = "", by: str = "") -> str:
    """The rate of a counter a minute, over all processes."""
    inside = f"{ACCOUNT}, {selectors}" if selectors else ACCOUNT
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{{{inside}}}{RATE})) * 60"


def of_all(metric: str, selectors: str = "", by: str = "") -> str:
    """A gauge of Redis, summed over the accounts.

    All dispatchers export the same values, so the maximum is taken first.
    """
    inside = f"{ACCOUNT}, {selectors}" if selectors else ACCOUNT
    labels = f"account, {by}" if by else "account"
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (max by ({labels}) ({metric}{{{inside}}}))"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """A quantile of a histogram of times."""
    labels = f"le, {by}" if by else "le"
    buckets = f"sum by ({labels}) (rate({histogram}_bucket{{{ACCOUNT}}}{RATE}))"
    return f"histogram_quantile({share}, {buckets})"
