"""A fax as the producer gives it, and the checked entry and documents that it becomes."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Required, TypedDict
from uuid import uuid4

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.phone_numbers import EXAMPLE, MEMBER, normalize_number, number_in
from faxline.contract.states import JobState
from faxline.contract.texts import mask_number
from faxline.reading.job import Job
from faxline.sending.documents import Documents
from faxline.sending.files import File, items_of


class FaxParameters(TypedDict, total=False):
    """Further parameters of iFax's fax-send, by their documented names. Times are ISO 8601."""

    callerId: str
    templateId: str
    smartDocumentId: str
    subject: str
    from_name: str
    to_name: str
    message: str
    send_at: str
    faxQuality: Literal["Low", "Standard", "HD"]


class Fax(FaxParameters, total=False):
    """One fax for `send_many`: the keyword arguments of `FaxLine.send`.

    Example:
        >>> Fax(to="+12345678901", files=["a.pdf"], id="invoice-77")
    """

    to: Required[str | Sequence[str]]
    files: Required[File | Sequence[File]]
    id: str | None
    priority: str
    expires_at: str | None
    in_doubt: str | None
    attempts: int | None
    group: str | None
    metadata: Mapping[str, Any] | None


def fax_of(  # noqa: PLR0917 - in the order of `send`
    to: str | Sequence[str],
    files: File | Sequence[File],
    id: str | None,  # noqa: A002 - the contract's name
    priority: str,
    expires_at: str | None,
    in_doubt: str | None,
    attempts: int | None,
    group: str | None,
    metadata: Mapping[str, Any] | None,
    parameters: FaxParameters,
) -> Fax:
    """Collect the arguments of `send` in a Fax."""
    return {
        "to": to,
        "files": files,
        "id": id,
        "priority": priority,
        "expires_at": expires_at,
        "in_doubt": in_doubt,
        "attempts": attempts,
        "group": group,
        "metadata": metadata,
        **parameters,
    }


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fax that is ready for the push.

    Attributes:
        job: the Job that the push returns, without the stream id of the entry.
        text: the entry, as JSON.
        documents: the names of the documents that it needs.
    """

    job: Job
    text: str
    documents: tuple[str, ...]


def prepare(
    fax: Mapping[str, Any], account: str, documents: Documents, *, region: str | None = None
) -> Prepared:
    """Check a fax against all rules, and add its documents to `documents`.

    Args:
        fax: the keyword arguments of `FaxLine.send`, and parameters of fax-send.
        account: the name of the account.
        documents: the documents of this call.
        region: the country of numbers without a country code.

    Raises:
        EntryRejected: the fax breaks a rule.
        OSError: a file cannot be read.
    """
    # pydantic and the models take a third of the time of all imports, and reading needs none of them.
    from faxline.contract import entries, entry_reader, fax_rules  # noqa: PLC0415

    prepared = compose(fax, account, documents, region=region)
    parsed = entry_reader.parse_entry("send", prepared.text)
    assert isinstance(parsed, entries.SendEntry)  # noqa: S101 - what its kind means
    fax_rules.check_send(parsed, documents.opened)
    return prepared


def compose(
    fax: Mapping[str, Any],
    account: str,
    documents: Documents,
    *,
    region: str | None = None,
    size: int | None = None,
) -> Prepared:
    """Build the entry of a fax without checking it.

    Args:
        fax: as in `prepare`.
        account: the name of the account.
        documents: the documents of this call.
        region: the country of numbers without a country code.
        size: how many faxes of its group are pushed, if known.

    Raises:
        OSError: a file cannot be read.
    """
    parameters = {name: value for name, value in fax.items() if name not in _OWN}
    if "to" in fax:
        parameters["faxNumber"] = _numbers(fax["to"], region)
    if isinstance(fax.get("callerId"), str):
        # Written as a receipt's fromNumber is, which may settle a doubt.
        parameters["callerId"] = number_in(fax["callerId"], region) or fax["callerId"]
    parameters["faxData"] = items_of(fax.get("files", ()), documents)
    group, numbers = fax.get("group"), parameters.get("faxNumber")
    entry: dict[str, Any] = {
        "id": fax.get("id") or str(uuid4()),
        "priority": fax.get("priority") or "normal",
        "expires_at": fax.get("expires_at"),
        "in_doubt": fax.get("in_doubt"),
        "attempts": fax.get("attempts"),
        "group": group,
        "group_size": size,
        "metadata": fax.get("metadata") or None,
        "fax": parameters,
    }
    text = text_of(entry)
    several = isinstance(numbers, list)
    job = Job(
        id=entry["id"],
        account=account,
        state=JobState.INTAKE,
        priority=str(entry["priority"]),
        group=entry["id"] if several else group,
        to=mask_number(numbers) if isinstance(numbers, str) else None,
        size=len(numbers) if isinstance(numbers, list) else None,
    )
    needed = dict.fromkeys(file["document"] for file in parameters["faxData"] if "document" in file)
    return Prepared(job, text, tuple(needed))


_OWN = Fax.__annotations__.keys() - FaxParameters.__annotations__.keys()


def _numbers(to: Any, region: str | None) -> str | list[str]:
    """The numbers of `to`, in E.164."""
    if isinstance(to, str):
        return normalize_number(to, region)
    if not isinstance(to, Collection) or isinstance(to, bytes | bytearray):  # an iterator is read twice
        raise EntryRejected(
            MEMBER, Rejection.BAD_VALUE, f'to is text, such as "{EXAMPLE}", or a list of them'
        )
    return [normalize_number(one, region, f"{MEMBER}[{i}]") for i, one in enumerate(to)]


def text_of(entry: Mapping[str, Any]) -> str:
    """Write an entry as JSON, without the members that are None.

    Raises:
        EntryRejected: JSON has no such value (bad_value).
    """
    given = {name: value for name, value in entry.items() if value is not None}
    try:
        return json.dumps(given, ensure_ascii=False, allow_nan=False, default=_written)
    except (TypeError, ValueError, RecursionError):
        raise EntryRejected(_unwritable(given), Rejection.BAD_VALUE, _AS_JSON) from None


_AS_JSON = (
    "JSON has no such value; give text, numbers, true, false, lists and objects, and a time as ISO 8601"
)


def _written(value: object) -> object:
    """Turn a value that json does not know into one that it does."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _unwritable(value: Any, path: str = "") -> str:
    """The path of the member that cannot be written as JSON."""
    for name, inner in value.items():
        try:
            json.dumps(inner, allow_nan=False, default=_written)
        except (TypeError, ValueError, RecursionError):
            return _unwritable(inner, f"{name}.") if name == "fax" else f"{path}{name}"
    return path.rstrip(".")
