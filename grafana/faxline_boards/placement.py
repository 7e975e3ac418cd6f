"""Where the accounts are: the dispatchers that serve them, and the nodes of Redis that hold them."""

from typing import Any

from faxline_boards.panels import lines
from faxline_boards.parts import GREEN, RED, Query, fixed, place


def shares(instance: str, y: int) -> list[Any]:
    """How the dispatchers share the accounts, and the folders that a process cannot read.

    Args:
        instance: the selector of the chosen processes.
        y: the row of the grid.
    """
    return [
        lines(
            "Accounts, by dispatcher",
            "Each account is served by every dispatcher, or by two if there are three dispatchers and more. "
            "A line that changes: a dispatcher came or went. unowned: nobody serves these; it should be 0 "
            "again within 15 seconds. removed: their folders are gone, and faxes of theirs are under way.",
            place(0, y, 8, 8),
            [
                Query(f"fax_accounts_served{{{instance}}}", "{{instance}}"),
                Query("max(fax_accounts_unowned)", "unowned"),
                Query("count(max by (account) (fax_account_draining_seconds) > 0) or vector(0)", "removed"),
            ],
            "short",
            alerts=["FaxAccountsUnowned", "FaxAccountDraining"],
            overrides={"unowned": [fixed(RED)]},
        ),
        lines(
            "Account folders that cannot be read",
            "Folders of FAXLINE_ACCOUNTS_DIR, by process. Their accounts keep the settings that were read "
            "last; a new one is not served. `faxline-worker doctor` names them.",
            place(8, y, 8, 8),
            [
                Query(
                    f"max by (job, instance) (fax_account_folders_broken{{{instance}}})",
                    "{{job}} {{instance}}",
                )
            ],
            "short",
            alerts=["FaxAccountFoldersBroken"],
            steps={1: RED},
        ),
    ]


def nodes(y: int) -> list[Any]:
    """The memory, the disk and the durability of each node. One server is a node without a name.

    Args:
        y: the row of the grid.
    """
    return [
        lines(
            "Redis: memory in use, by node",
            "A cluster is full for an account when the account's node is. Far apart: move slots to another "
            "primary.",
            place(16, y, 8, 8),
            [Query("max by (node) (fax_redis_memory_bytes)", "{{node}}")],
            "bytes",
            alerts=["FaxRedisMemoryHigh"],
        ),
        lines(
            "Redis: memory in use, by node",
            "A node that reaches its maxmemory takes no new fax and no webhook.",
            place(0, y + 8, 8, 8),
            [Query("max by (node) (fax_redis_memory_bytes)", "{{node}}")],
            "bytes",
            alerts=["FaxRedisMemoryHigh"],
        ),
        lines(
            "Redis: append-only file, by node",
            "It grows until Redis rewrites it. The disk needs room for two.",
            place(8, y + 8, 8, 8),
            [Query("max by (node) (fax_redis_aof_bytes)", "{{node}}")],
            "bytes",
            alerts=["FaxRedisAofFailing"],
        ),
        lines(
            "Redis: nodes that keep what they accepted",
            "durable: the append-only file is on and nothing is evicted. AOF: its last write went well. Both "
            "should be the number of nodes; `faxline doctor` names those that lack it.",
            place(16, y + 8, 8, 8),
            [
                Query("sum(max by (node) (fax_redis_durable))", "durable"),
                Query("sum(max by (node) (fax_redis_aof_ok))", "AOF"),
                Query("count(max by (node) (fax_redis_durable))", "nodes"),
            ],
            "short",
            alerts=["FaxRedisNotDurable", "FaxRedisAofFailing"],
            overrides={"nodes": [fixed(GREEN)]},
        ),
    ]
