"""The descriptions of the members of an entry, for the schema. The models have the rules.

The members of the fax are described as in iFax's documentation (docs/ifax.md, Calls), with Faxline's
additions. They are in a module of their own because `import faxline` loads the models.
"""

from collections.abc import Mapping

_ID = "1 to 128 of A-Z a-z 0-9 . _ : -"
_PRIORITY = "Which job goes first. Among equals, the oldest does."
_BY = "Who asks for it, for the audit."
_USER = "The Redis user who asks for it, for the audit."
_METADATA = (
    "The producer's own data, repeated in every event: at most 4096 bytes as compact JSON, 32 levels deep."
)

DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "SendEntry": {
        "id": "The job's id and the idempotency key: the same entry again is ignored, the same id with "
        f"other content is rejected. {_ID}.",
        "fax": "The request of fax-send.",
        "priority": _PRIORITY,
        "expires_at": "ISO 8601 with Z or an offset. A job not submitted by then fails, reason expired.",
        "in_doubt": "What happens at the end of the wait of a job in doubt. Default: the daemon's setting.",
        "attempts": "The most deliveries to try. Default: the daemon's setting.",
        "group": f"The name of the job's group, such as a mailing: {_ID}. Not with a list of numbers, which "
        "makes its own group, named by the id.",
        "group_size": "How many faxes are pushed with this group's name, if the producer knows. The group "
        "has not ended until so many are registered or rejected. It is not part of the fax's content.",
        "metadata": _METADATA,
    },
    "FaxRequest": {
        "faxNumber": "Recipient fax number (E.164 format: +1234567890), possible in its country, without "
        "the 0 that is dialled there; or up to 15 numbers, which make the jobs ID.1, ID.2 and so on.",
        "callerId": "Caller ID as From number. Default, also for an empty text: the account's.",
        "templateId": "Template ID from Webapp.",
        "smartDocumentId": "Smart document ID from Webapp.",
        "subject": "Subject on cover page.",
        "from_name": "Sender Name on cover page.",
        "to_name": "Recipient Name on cover page.",
        "message": "Comment on cover page.",
        "send_at": "UTC date/time to schedule delivery (ISO 8601 format), with Z or an offset.",
        "faxQuality": "Fax quality: Low, Standard (default), or HD.",
        "faxData": "File attachments: at least one and at most 20, of 200 pages and 20 MB as sent in all.",
    },
    "FaxFile": {
        "fileName": "File name.",
        "fileUrl": "HTTP/HTTPS accessible URL (preferred). iFax fetches it; Faxline does not.",
        "fileData": "Base64 encoded file data.",
        "document": "A document by its SHA-256 digest. It is uploaded with this entry, or was with another.",
        "upload": "Where the document's bytes are: the random NAME of fax:{account}:upload:NAME.",
        "pages": "Page selection, e.g. 1-5, 2, 1-10: each from 1, and the first no later than the last.",
    },
    "CancelEntry": {"id": "The job to cancel.", "by": _BY, "user": _USER},
    "ResendEntry": {
        "id": f"The new job's id and the idempotency key: {_ID}.",
        "of": "The job to repeat. iFax must have taken it.",
        "faxNumber": "New recipient number (if different), in E.164.",
        "priority": _PRIORITY,
        "metadata": _METADATA,
        "by": _BY,
        "user": _USER,
    },
    "SealedEntry": {
        "id": "As in the sealed content.",
        "sealed": "The whole entry, sealed by the Python library: the key's id, a colon, and base64 "
        "(docs/data-protection.md).",
    },
}
"""The descriptions, by model and member."""
