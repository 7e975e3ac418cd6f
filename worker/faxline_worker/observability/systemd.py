"""What systemd is told by a process of its own, where it started it: sd_notify(3)."""

import os
import socket


def notify(text: str) -> None:
    """Tell systemd something, such as `WATCHDOG=1`; nothing where it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError:  # it will restart us, if it waited for the word
        return
