"""Signatures in the form of the Standard Webhooks specification."""

from __future__ import annotations

import base64

import pytest

from troth.wire.signing import BadSecret, NotSigned, Signer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret of thirty-two by.").decode()
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIME = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_vector_is_signed_as_published() -> None:
    """The specification's own example comes out to the letter, and verifies."""
    signer = Signer(SECRET)
    headers = signer.headers(ID, BODY, TIME)
    assert headers == {"webhook-id": ID, "webhook-timestamp": str(TIME), "webhook-signature": SIGNATURE}
    assert signer.verify(headers, BODY, TIME) == ID


def test_a_secret_may_come_without_its_prefix() -> None:
    """``whsec_`` says what it is, and is no part of it."""
    assert Signer(SECRET.removeprefix("whsec_")).sign(ID, TIME, BODY) == SIGNATURE


def test_secrets_rotate() -> None:
    """While a secret is changed each side may know the old one, the new one, or both; they understand one another."""
    both, old, new = Signer((OTHER, SECRET)), Signer(SECRET), Signer(OTHER)
    headers = both.headers(ID, BODY, TIME)
    assert headers["webhook-signature"].split(" ")[1] == SIGNATURE
    for reader in (both, old, new):
        assert reader.verify(headers, BODY, TIME) == ID
    assert both.verify(old.headers(ID, BODY, TIME), BODY, TIME) == ID


def test_signatures_of_other_versions_are_passed_over() -> None:
    """A sender may add signatures of another kind."""
    signer = Signer(SECRET)
    headers = {**signer.headers(ID, BODY, TIME), "webhook-signature": f"v1a,hnO3f9T8Ytu9 {SIGNATURE}"}
    assert signer.verify(headers, BODY, TIME) == ID


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"webhook-id": "other"}, "match"),
        ({"webhook-timestamp": str(TIME + 1)}, "match"),
        ({"webhook-signature": "v1,AAAA"}, "match"),
        ({"webhook-signature": "v2," + SIGNATURE[3:]}, "match"),
        ({"webhook-signature": "v1,é"}, "match"),
        ({"webhook-signature": ""}, "not signed"),
        ({"webhook-id": ""}, "not signed"),
        ({"webhook-timestamp": "soon"}, "no number"),
        ({"webhook-timestamp": "-1"}, "no number"),
        ({"webhook-timestamp": "1" * 40}, "no number"),
    ],
)
def test_what_was_changed_is_not_signed(change: dict[str, str], why: str) -> None:
    """Every part that is signed counts, and nonsense is refused as such."""
    signer = Signer(SECRET)
    with pytest.raises(NotSigned, match=why):
        signer.verify({**signer.headers(ID, BODY, TIME), **change}, BODY, TIME)


def test_another_body_or_secret_is_not_signed() -> None:
    """Neither a changed body nor a stranger's secret passes."""
    headers = Signer(SECRET).headers(ID, BODY, TIME)
    with pytest.raises(NotSigned):
        Signer(SECRET).verify(headers, BODY + b" ", TIME)
    with pytest.raises(NotSigned):
        Signer(OTHER).verify(headers, BODY, TIME)


@pytest.mark.parametrize(("late", "ok"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_old_and_future_requests_are_turned_away(late: int, ok: bool) -> None:
    """A request counts for five minutes either way of the receiver's clock."""
    signer = Signer(SECRET)
    headers = signer.headers(ID, BODY, TIME)
    if ok:
        assert signer.verify(headers, BODY, TIME + late) == ID
    else:
        with pytest.raises(NotSigned, match="clock"):
            signer.verify(headers, BODY, TIME + late)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "whsec_%%%", "whsec_" + "A" * 100, [], 7])
def test_what_is_no_secret_is_refused_without_showing_it(secret: object) -> None:
    """A wrong secret is named as wrong where it is given, and is not repeated in the message."""
    with pytest.raises(BadSecret) as raised:
        Signer(secret)  # type: ignore[arg-type]
    assert "whsec_s" not in str(raised.value) and "%%%" not in str(raised.value)
