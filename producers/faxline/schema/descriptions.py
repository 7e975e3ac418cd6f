"""What each member of an entry means, for the schema. The models name the rules; these are the words.

Those of the fax are the API documentation's (ifax-api, Request Parameters and Fax Data Array), with what
Faxline adds. They stand here because the models are loaded with every `import faxline`, and they are not.
"""

from collections.abc import Mapping

_ID = "1 to 128 of A-Z a-z 0-9 . _ : -"
_PRIORITY = "Which job goes first; among equals the oldest."
_BY = "Who orders it, for the audit."
_USER = "That one's Redis user, for the audit."
_METADATA = "The producer's own, echoed in every event: at most 4096 bytes as compact JSON, 32 levels deep."

DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "SendEntry": {
        "id": "The job's id and the idempotency key: the same entry again is ignored, the same id with "
        f"other content is rejected. {_ID}.",
        "fax": "The request of fax-send.",
        "priority": _PRIORITY,
        "expires_at": "ISO 8601 with Z or an offset: a job not submitted by then fails, reason expired.",
        "in_doubt": "What happens when the wait of a job in doubt is over; the account's setting by default.",
        "attempts": "The most deliveries that are tried; the account's setting by default.",
        "group": f"A name that this job shares with others, such as a mailing's: {_ID}. Not with a list of "
        "numbers, which is a group of its own, named by the id.",
        "group_size": "How many faxes are pushed with this group's name, where the producer knows: until so "
        "many are taken or rejected, the group has not ended. It is no part of the fax's content.",
        "metadata": _METADATA,
    },
    "FaxRequest": {
        "faxNumber": "Recipient fax number (E.164 format: +1234567890), possible in its country, without "
        "the 0 that is dialled there; or up to 15 of them: a job each, with the ids ID.1, ID.2 and so on.",
        "callerId": "Caller ID as From number; the account's by default, also for an empty text.",
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
        "document": "A document by its SHA-256 digest; it is uploaded with this entry, or was with another.",
        "upload": "Where the document's bytes are: NAME of fax:{account}:upload:NAME, drawn at random.",
        "pages": "Page selection, e.g. 1-5, 2, 1-10: each from 1, and the first no later than the last.",
    },
    "CancelEntry": {"id": "The job that is not wanted any more.", "by": _BY, "user": _USER},
    "ResendEntry": {
        "id": f"The new job's id and the idempotency key: {_ID}.",
        "of": "The job that is repeated; iFax must have taken it.",
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
"""A model's name to its members to their description."""
