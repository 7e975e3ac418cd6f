"""Notifications to systemd, where it started the process: sd_notify(3)."""

import os
import socket


def notify(text: str) -> None:
    """Send systemd a notification, such as `WATCHDOG=1`. Without systemd, do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifications:
            notifications.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError:  # if systemd waits for it, it restarts us
        return
