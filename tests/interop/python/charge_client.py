"""Pays for one request with the charge client of solana-pay-kit.

charge_client.py KEYPAIR URL RPC pull

One JSON document on stdout tells what the server answered.
"""

import asyncio
import json
import sys

import httpx
from solana_pay_kit._paycore.rpc import SolanaRpc
from solana_pay_kit.protocols.mpp.client.charge import build_credential_header
from solana_pay_kit.protocols.mpp.core.headers import parse_receipt, parse_www_authenticate_all
from solders.keypair import Keypair


async def main(keypair, url, rpc):
    payer = Keypair.from_bytes(bytes(json.load(open(keypair))))
    async with httpx.AsyncClient(timeout=60) as http:
        asked = await http.get(url)
        challenges = parse_www_authenticate_all(asked.headers.get_list("www-authenticate"))
        challenge = next(challenge for challenge in challenges if challenge.intent == "charge")
        header = await build_credential_header(
            payer, SolanaRpc(rpc), challenge, max_amount_base_units=1_000, expected_network="localnet"
        )
        paid = await http.get(url, headers={"authorization": header})
    report = {"status": paid.status_code, "body": paid.text}
    if "payment-receipt" in paid.headers:
        receipt = parse_receipt(paid.headers["payment-receipt"])
        report["receipt"] = {"status": receipt.status, "reference": receipt.reference}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
