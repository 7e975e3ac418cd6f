"""Any one proof that is configured lets a webhook in, nothing else does, and trying tells no secret."""

import base64
import hmac
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline_worker.ifax.webhook_access import Refusal, WebhookSecrets, check_basic, check_path_secret
from faxline_worker.receipts.signature import sign
from faxline_worker.receipts.webhook_proofs import LARGEST, Examination, Verdict, basic_header

BODY = b'{"jobId":12345,"faxStatus":"delivered"}'
KEY, OLD_KEY = b"a key of signatures", b"the key before it"
USER, OLD_USER = "ifax:pass:wörd %41".encode(), b"ifax:the-old-password"
PATH, OLD_PATH = b"secret-of-the-path", b"the-path-before-it"
ALL = WebhookSecrets([KEY, OLD_KEY], [USER, OLD_USER], [PATH, OLD_PATH])
SIGNED, BASIC, BY_PATH = (
    WebhookSecrets([KEY]),
    WebhookSecrets(basic=[USER]),
    WebhookSecrets(path_secret=[PATH]),
)


def judge(
    secrets: WebhookSecrets,
    *,
    signature: str | None = None,
    basic: str | bytes | None = None,
    path: str | None = None,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> Verdict:
    headers = [(b"content-type", b"application/json")]
    if signature is not None:
        headers.append((b"x-ifax-signature", signature.encode()))
    if basic is not None:
        headers.append((b"authorization", basic if isinstance(basic, bytes) else basic.encode("latin-1")))
    examination = Examination(secrets, [*headers, *more], path)
    examination.feed(BODY[:10])
    examination.feed(BODY[10:])
    return examination.verdict()


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_the_new_and_the_old_key_of_the_signature_let_in(key: bytes) -> None:
    assert judge(ALL, signature=f"sha256={sign(BODY, key)}").by == ("signature",)


@pytest.mark.parametrize("user", [USER, OLD_USER])
def test_the_new_and_the_old_user_let_in(user: bytes) -> None:
    assert judge(ALL, basic=basic_header(user)).by == ("basic",)


@pytest.mark.parametrize("secret", [PATH, OLD_PATH])
def test_the_new_and_the_old_secret_of_the_path_let_in(secret: bytes) -> None:
    assert judge(ALL, path=secret.decode()).by == ("path_secret",)


def test_a_right_proof_lets_in_whatever_else_is_wrong_and_that_is_told() -> None:
    found = judge(ALL, signature="ab" * 32, basic=basic_header(USER), path="another")
    assert found == Verdict(("basic",), ("signature", "path_secret"), None)


ENCODED = base64.b64encode(USER).decode()


@pytest.mark.parametrize(
    ("secrets", "given", "refusal"),
    [
        (WebhookSecrets(), {"signature": sign(BODY, b"")}, "nothing_configured"),
        (WebhookSecrets([b""], [b""], [b""]), {"basic": "Basic ", "path": ""}, "nothing_configured"),
        (WebhookSecrets([b""], [b""], [b""]), {"signature": sign(BODY, b"")}, "nothing_configured"),
        (ALL, {}, "no_proof"),
        (SIGNED, {}, "no_proof"),
        (SIGNED, {"signature": ""}, "wrong_signature"),
        (SIGNED, {"signature": "ü" * 64}, "wrong_signature"),
        (SIGNED, {"signature": sign(BODY, KEY)[:-1]}, "wrong_signature"),
        (SIGNED, {"basic": basic_header(KEY)}, "unexpected_basic"),
        (SIGNED, {"path": KEY.decode()}, "unexpected_path_secret"),
        (BASIC, {"signature": sign(BODY, USER)}, "unexpected_signature"),
        (BASIC, {"basic": basic_header(OLD_USER)}, "wrong_basic"),
        (BASIC, {"basic": basic_header(b"")}, "wrong_basic"),
        (BASIC, {"basic": basic_header(b":")}, "wrong_basic"),
        (BASIC, {"basic": basic_header(b"ifax")}, "wrong_basic"),
        (BASIC, {"basic": basic_header(b"ifax:pass:w?rd %41")}, "wrong_basic"),
        (BASIC, {"basic": ""}, "wrong_basic"),
        (BASIC, {"basic": "Basic"}, "wrong_basic"),
        (BASIC, {"basic": f"Bearer {ENCODED}"}, "wrong_basic"),
        (BASIC, {"basic": f"Basic {ENCODED[:-3]}"}, "wrong_basic"),
        (BASIC, {"basic": f"Basic {ENCODED}===="}, "wrong_basic"),
        (BASIC, {"basic": f"Basic {ENCODED[:4]} {ENCODED[4:]}"}, "wrong_basic"),
        (BASIC, {"basic": f"Basic {ENCODED}, Basic {ENCODED}"}, "wrong_basic"),
        (BASIC, {"basic": b"Basic \xff\xfe\x00"}, "wrong_basic"),
        (BASIC, {"basic": f"Basic {ENCODED}" + " " * LARGEST}, "wrong_basic"),
        (BASIC, {"basic": basic_header(USER + b"x" * 1_000_000)}, "wrong_basic"),
        (BY_PATH, {"path": ""}, "wrong_path_secret"),
        (BY_PATH, {"path": "Secret-of-the-path"}, "wrong_path_secret"),
        (BY_PATH, {"path": "secret-of-the-path\udcff"}, "wrong_path_secret"),
        (BY_PATH, {"path": "é" * 1_000_000}, "wrong_path_secret"),
    ],
)
def test_what_proves_nothing_is_refused_and_the_reason_told(
    secrets: WebhookSecrets, given: dict[str, str], refusal: Refusal
) -> None:
    found = judge(secrets, **given)  # type: ignore[arg-type]
    assert (found.by, found.refusal) == ((), refusal)


@pytest.mark.parametrize(
    "spelled",
    [
        basic_header(USER),
        basic_header(USER).replace("Basic", "basic"),
        basic_header(USER).replace(" ", "  "),
        basic_header(USER.decode().encode("latin-1")),
    ],
)
def test_a_user_is_known_however_its_client_spells_it(spelled: str) -> None:
    assert judge(BASIC, basic=spelled).refusal is None


def test_a_header_that_came_twice_proves_nothing() -> None:
    right = basic_header(USER).encode()
    assert judge(BASIC, basic=right, more=[(b"authorization", right)]).refusal == "wrong_basic"
    signature = sign(BODY, KEY)
    more = [(b"x-ifax-signature", signature.encode())]
    assert judge(SIGNED, signature=signature, more=more).refusal == "wrong_signature"


def test_a_user_may_be_empty() -> None:
    assert judge(WebhookSecrets(basic=[b":a-password"]), basic=basic_header(b":a-password")).by == ("basic",)


@given(
    header=st.binary(max_size=200), path=st.none() | st.text(max_size=50), signature=st.binary(max_size=99)
)
def test_no_text_of_a_stranger_raises_or_lets_in(header: bytes, path: str | None, signature: bytes) -> None:
    found = judge(ALL, basic=b"Basic " + header, path=path, more=[(b"x-ifax-signature", signature)])
    assert found.by == ()


def test_every_value_is_compared_whatever_came(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def count(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", count)
    judge(ALL, path=PATH.decode())
    without = len(compared)
    judge(ALL, basic=basic_header(USER), path="x")
    assert len(compared) == 2 * without >= 2 * 5
    assert {lengths for lengths in compared if lengths[1] == 32} == {(32, 32)}


@pytest.mark.parametrize("text", ["no-colon-at-all", "ifax:", "ifax:a\npassword", "ifax:a\0password"])
def test_a_user_and_password_that_can_come_in_no_header_are_no_setting(text: str) -> None:
    with pytest.raises(ValueError, match="user"):
        check_basic(text)


@pytest.mark.parametrize(
    "text", ["a/b-secret", "a%41-secret", "a secret!", "geheimnis-ä", "........", "a?b=c-secret"]
)
def test_a_secret_that_a_path_may_spell_in_two_ways_is_no_setting(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        check_path_secret(text)
