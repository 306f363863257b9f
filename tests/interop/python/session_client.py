"""Pays for requests with the session client of solana-pay-kit, and closes the channel.

session_client.py KEYPAIR URL COUNT DEPOSIT

The challenge says who signs vouchers. One JSON document on stdout tells what the server answered.
"""

import json
import sys

import httpx
from solana_pay_kit.protocols.mpp.client.payment_channels import (
    PaymentChannelOpenOptions,
    PaymentChannelSessionOpenOptions,
    create_payment_channel_session_opener,
    derive_payment_channel_open,
    generate_authorized_signer,
    unique_salt,
)
from solana_pay_kit.protocols.mpp.client.session import parse_session_challenge, serialize_session_credential
from solana_pay_kit.protocols.mpp.core.headers import parse_receipt, parse_www_authenticate_all
from solana_pay_kit.protocols.mpp.intents.session import (
    ClosePayload,
    SessionAction,
    sign_session_authentication,
)
from solders.keypair import Keypair


def session_header(response):
    """The one `WWW-Authenticate` value that offers a session."""
    for value in response.headers.get_list("www-authenticate"):
        if any(challenge.intent == "session" for challenge in parse_www_authenticate_all([value])):
            return value
    raise SystemExit(f"no session is offered: {response.headers}")


def main(keypair, url, count, deposit):
    payer = Keypair.from_bytes(bytes(json.load(open(keypair))))
    http = httpx.Client(timeout=60)
    report = {"vouchers": []}

    asked = http.get(url)
    report["unpaid"] = asked.status_code
    challenge, request = parse_session_challenge(session_header(asked))
    operated = request.method_details.voucher_signer == "operator"
    report["signer"] = request.method_details.voucher_signer
    price = int(request.amount)

    vouchers = generate_authorized_signer()
    terms = PaymentChannelOpenOptions(salt=unique_salt(), deposit=deposit)
    proof = None
    if operated:
        from solders.pubkey import Pubkey

        operator = Pubkey.from_string(request.method_details.operator)
        channel = derive_payment_channel_open(request, payer.pubkey(), operator, terms)
        proof = sign_session_authentication(challenge.id, str(channel.channel_id), payer)
    opened = create_payment_channel_session_opener(
        request,
        payer,
        vouchers,
        options=PaymentChannelSessionOpenOptions(open=terms, authentication=proof, expires_at=0),
    )
    session = opened.session
    report["channel"] = session.channel_id_string

    def send(action, key):
        headers = {"authorization": serialize_session_credential(challenge, action), "idempotency-key": key}
        response = http.get(url, headers=headers)
        answer = {"status": response.status_code, "body": response.text}
        if "payment-receipt" in response.headers:
            receipt = parse_receipt(response.headers["payment-receipt"])
            answer["receipt"] = {
                "status": receipt.status,
                "channel": receipt.reference,
                "accepted": receipt.accepted_cumulative,
                "spent": receipt.spent,
                "refunded": receipt.refunded,
            }
        return answer

    report["open"] = send(opened.action, "open")
    last = None
    for number in range(count):
        if operated:
            action = session.use_action(proof)
        else:
            action = session.voucher_action(price)
            last = action.voucher.voucher
        report["vouchers"].append(send(action, f"request-{number}"))
    close = ClosePayload(channel_id=session.channel_id_string, voucher=last, authentication=proof)
    report["close"] = send(SessionAction.close_action(close), "close")
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
