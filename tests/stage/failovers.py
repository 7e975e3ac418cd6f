"""The sandbox and the settings of runs in which a primary is lost."""

SANDBOX = (
    *("--call-seconds", "0.2", "--page-seconds", "0.02", "--answer-seconds", "0.05", "0.1"),
    *("--time-scale", "0.005", "--window", "60", "--burst", "2000", "--requests", "5000"),
)
SETTINGS = {
    "LIMITS__WINDOW": "60",
    "LIMITS__BURST": "2000",
    "LIMITS__REQUESTS": "5000",
    "WAKE_LEASE": "2",
    "HTTP_TIMEOUT": "5",
    "LEASE_GRACE": "2",
    "SWEEP": "2",
    "REDIS_REPLICAS": "1",
}
