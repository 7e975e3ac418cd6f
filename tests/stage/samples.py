"""The sample request of iFax' documentation, without its files."""

from typing import Any

NUMBER = "+12345678901"
SAMPLE: dict[str, Any] = {
    "faxNumber": NUMBER,
    "callerId": NUMBER,
    "templateId": "0000",
    "smartDocumentId": "0000",
    "subject": "test subject",
    "from_name": "abc",
    "to_name": "xyz",
    "message": "sample fax",
    "send_at": "2019-11-14T00:55:31.820Z",
    "faxQuality": "Standard",
}
FILES: list[dict[str, Any]] = [
    {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf", "pages": ["1-5", "2", "1-10"]},
    {"fileName": "b.pdf", "fileData": "JVBERi0xLjQK"},
    {"fileName": "c.pdf", "document": "sha256:" + "0" * 64},
]
