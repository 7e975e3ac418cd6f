"""What strangers may put into a request: odd methods, paths, headers, signatures and words."""

PATH = b"/webhooks/ifax/default"
"""The right one."""
ODD = (
    b"",
    b"\x00",
    b"\xff\xfe",
    "ü€😀".encode(),
    b"%00%ff%c3%28",
    b"../" * 9,
    b"A" * 5000,
    b"\t \x0b\x0c",
    b"'\";--<>{}",
    b"-1",
    b"1e999",
    b"NaN",
)
METHODS = (
    b"POST",
    b"GET",
    b"PUT",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"pOST",
    b"X",
)
PATHS = (
    *(b"/", b"/healthz", b"/readyz", b"/metrics", b"*", b"//", b"/webhooks/ifax/", b"/webhooks/ifax/nobody"),
    *(
        b"/webhooks/ifax/default/",
        b"/webhooks/ifax/DEFAULT",
        b"/webhooks/ifax/default%2f",
        b"/webhooks/ifax/%00",
    ),
    *(b"/webhooks/ifax/{default}", b"/webhooks/ifax/default:status", b"http://x/webhooks/ifax/default"),
)
HEADERS = (
    *(
        b"Content-Type",
        b"Content-Encoding",
        b"Transfer-Encoding",
        b"Connection",
        b"Expect",
        b"Host",
        b"Cookie",
    ),
    *(b"Upgrade", b"X-Forwarded-For", b"Authorization", b"Accept-Encoding", b"Content-Length", b"X-Odd"),
)
SIGNATURES = (b"", b"sha256=", b"0" * 64, b"g" * 64, b"sha256=" + b"f" * 63, "ü".encode() * 32, b"\xff" * 64)
