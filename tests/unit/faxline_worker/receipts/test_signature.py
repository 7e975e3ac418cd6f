import hashlib
import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline_worker.receipts.signature import sign, verify

BODY = b'{"event":"fax.completed","data":{"jobId":12345,"faxStatus":"delivered"}}'
SECRET = b"a made-up secret"
OTHER = b"another made-up secret"
BLANKS = st.text(" \t\r\n", max_size=3)
AROUND = st.tuples(BLANKS, BLANKS)


def documented_signature(body: str, webhook_secret: str) -> str:
    """The example of iFax's documentation of its signature, word for word."""
    return hmac.new(webhook_secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def test_a_signature_is_the_documented_one() -> None:
    assert sign(BODY, SECRET) == documented_signature(BODY.decode(), SECRET.decode())


def test_a_signature_is_a_published_hmac_sha256() -> None:
    # RFC 4231, test case 2.
    assert (
        sign(b"what do ya want for nothing?", b"Jefe")
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@given(body=st.binary(max_size=200), secret=st.binary(min_size=1, max_size=80), around=AROUND)
@pytest.mark.parametrize("prefix", ["", "sha256=", "SHA256="])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_digits_of_either_case_a_prefix_and_blanks_are_accepted(
    prefix: str, case: Callable[[str], str], body: bytes, secret: bytes, around: tuple[str, str]
) -> None:
    header = (prefix + case(sign(body, secret))).join(around)
    assert verify(body, header, [secret])


@pytest.mark.parametrize("secrets", [[SECRET, OTHER], [OTHER, SECRET]])
def test_every_secret_of_the_account_is_tried(secrets: list[bytes]) -> None:
    assert verify(BODY, sign(BODY, SECRET), secrets)


def test_every_secret_is_compared_also_after_one_has_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []
    compare = hmac.compare_digest

    def count(given: bytes, expected: bytes) -> bool:
        compared.append(expected)
        return compare(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", count)
    assert verify(BODY, sign(BODY, SECRET), [SECRET, OTHER, b"a third"])
    assert len(compared) == 3


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        sign(BODY, OTHER),
        sign(BODY + b" ", SECRET),
        sign(BODY, SECRET)[:-1],
        sign(BODY, SECRET) + "0",
        "sha256=sha256=" + sign(BODY, SECRET),
        "sha1=" + sign(BODY, SECRET),
        "\N{FULLWIDTH DIGIT ONE}" + sign(BODY, SECRET)[1:],
    ],
)
def test_a_wrong_or_missing_signature_is_refused(header: str | None) -> None:
    assert not verify(BODY, header, [SECRET])


def test_without_secrets_nothing_is_accepted() -> None:
    assert not verify(BODY, sign(BODY, SECRET), [])


def test_an_empty_secret_accepts_nothing() -> None:
    assert not verify(BODY, sign(BODY, b""), [b""])
    assert verify(BODY, sign(BODY, SECRET), [b"", SECRET])


@given(header=st.text(st.characters(exclude_categories=[])))  # lone surrogates too
def test_no_header_text_raises(header: str) -> None:
    assert not verify(BODY, header, [SECRET, OTHER])
