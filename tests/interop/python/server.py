"""Sells one resource with the servers of solana-pay-kit.

server.py session|charge CONFIG

CONFIG is JSON: rpc, mint, program, treasury (owners of the localnet build), payee (key file), and for sessions
voucherSigner and price in base units; for charges price in tokens, push, splits, externalId. Prints its port, then serves
until it is ended.
"""

import asyncio
import json
import sys
from types import SimpleNamespace

from solana_pay_kit._paycore import paymentchannels
from solana_pay_kit._paycore.errors import PaymentError, payment_required_response
from solana_pay_kit._paycore.rpc import SolanaRpc
from solana_pay_kit._paycore.store import MemoryStore
from solana_pay_kit.protocols.mpp.core.headers import (
    format_receipt,
    format_www_authenticate,
    parse_authorization,
)
from solana_pay_kit.protocols.mpp.intents.charge import ChargeRequest
from solana_pay_kit.protocols.mpp.server import (
    ChargeOptions,
    Config,
    Mpp,
    SessionChallengeOptions,
    SessionOptions,
    new_session,
)
from solana_pay_kit.signer import Signer
from solders.pubkey import Pubkey

SECRET = "a secret of thirty-two bytes or so"
served = 0


class Rpc(SolanaRpc):
    """Their client of a node. Their session server asks it for an account the way that solana-py would be asked."""

    async def get_account_info(self, address, commitment="confirmed"):
        found = await super().get_account_info(str(address), commitment)
        return SimpleNamespace(value=found and SimpleNamespace(data=found[0], owner=found[1]))


def session_gate(config):
    """The session server; its program is built for another treasury than the one it was written for."""
    paymentchannels.treasury_owner = lambda: Pubkey.from_string(config["treasury"])
    payee = Signer.file(config["payee"])
    session = new_session(
        SessionOptions(
            recipient=payee.pubkey(),
            amount=int(config["price"]),
            currency=config["mint"],
            network="localnet",
            secret_key=SECRET,
            realm="localhost",
            channel_program=Pubkey.from_string(config["program"]),
            suggested_deposit=10 * int(config["price"]),
            fee_payer=True,
            voucher_signer=config.get("voucherSigner", "client"),
            rpc=Rpc(config["rpc"]),
            signer=payee,
        )
    )

    async def gate(headers):
        key = headers.get("idempotency-key", "")
        answer = await session.handle(
            headers.get("authorization"), SessionChallengeOptions(), idempotency_key=key
        )
        return answer.status, answer.headers, answer.body

    return gate


def charge_gate(config):
    """The charge server, with the payee as sponsor unless payments are pushed."""
    payee = Signer.file(config["payee"])
    push = config.get("push", False)
    mpp = Mpp(
        Config(
            recipient=payee.pubkey(),
            currency=config["mint"],
            decimals=6,
            network="localnet",
            rpc_url=config["rpc"],
            secret_key=SECRET,
            realm="localhost",
            accept_push_mode=push,
            fee_payer_signer=None if config.get("selfPaid", push) else payee.keypair,
            rpc=Rpc(config["rpc"]),
            store=MemoryStore(),
        )
    )
    options = ChargeOptions(splits=config.get("splits", []), external_id=config.get("externalId", ""))

    async def gate(headers):
        challenge = mpp.charge_with_options(config["price"], options)
        problem = PaymentError("Payment required", code="payment_invalid")
        if "authorization" in headers:
            try:
                credential = parse_authorization(headers["authorization"])
                expected = ChargeRequest.from_dict(challenge.decode_request())
                receipt = await mpp.verify_credential_with_expected(credential, expected)
                return 200, {"payment-receipt": format_receipt(receipt)}, None
            except PaymentError as error:
                problem = error
        answer = payment_required_response(
            str(problem), code=problem.code or "", challenge_header=format_www_authenticate(challenge)
        )
        return answer["status_code"], answer["headers"], answer["body"]

    return gate


async def serve(gate):
    async def connection(reader, writer):
        global served
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")[1:]
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            try:
                status, answer, problem = await gate(headers)
            except Exception as error:
                print(f"{error!r}", file=sys.stderr, flush=True)
                status, answer, problem = 500, {}, {"detail": repr(error)}
            if status == 200:
                served += 1
                body = f"{served}\n".encode()
            else:
                print(f"{status} {problem}", file=sys.stderr, flush=True)
                body = json.dumps(problem).encode()
            text = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", "connection: close"]
            text += [f"{name}: {value}" for name, value in answer.items()]
            writer.write("\r\n".join(text).encode("latin-1") + b"\r\n\r\n" + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    gates = {"session": session_gate, "charge": charge_gate}
    asyncio.run(serve(gates[sys.argv[1]](json.loads(sys.argv[2]))))
