"""Signatures of webhooks, against the example of the standard."""

from tasks.deliver.signature import headers
from tasks.settings.delivery import webhook_keys
from tests.support.servers.receiver import SECRET

BODY = b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_that_of_the_standards_example():
    signed = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY, webhook_keys(SECRET))
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNED,
    }


def test_a_second_secret_signs_too_while_receivers_change_over():
    other = "whsec_" + SECRET.removeprefix("whsec_")[::-1]
    keys = webhook_keys(f"{other} {SECRET}")
    signed = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY, keys)["webhook-signature"].split()
    assert (len(signed), signed[1]) == (2, SIGNED)
