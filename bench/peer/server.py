"""The session server of solana-pay-kit (PyPI) behind one paid route, for `toll-bench paid-path --peer python`.

Reads one JSON document from stdin: the terms, and the channels that are open. Prints the port it listens on. The SDK
keeps channels in memory, its default; uvicorn serves, with httptools and uvloop where they are installed.

    pip install solana-pay-kit==0.10.0 uvicorn httptools uvloop
"""

import asyncio
import json
import socket
import sys
import time
from types import SimpleNamespace

import uvicorn
from solana_pay_kit.protocols.mpp.server.session_method import (
    SessionChallengeOptions,
    SessionOptions,
    new_session,
)
from solana_pay_kit.protocols.mpp.server.session_store import ChannelState, MemoryChannelStore

BLOCKHASH = "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM"


class Rpc:
    """Answers what a challenge quotes; nothing is opened here."""

    async def get_latest_blockhash(self, *_):
        return SimpleNamespace(value=SimpleNamespace(blockhash=BLOCKHASH), context=SimpleNamespace(slot=1_000))

    async def get_slot(self, *_):
        return 1_000


async def prepare(terms):
    store = MemoryChannelStore()
    for channel_id, signer in terms["channels"]:
        state = ChannelState(
            channel_id=channel_id,
            authorized_signer=signer,
            deposit=terms["deposit"],
            idle_timeout_seconds=86_400,
            last_activity_at=int(time.time() * 1000),
        )
        await store.update_channel(channel_id, lambda _, state=state: state)
    return new_session(
        SessionOptions(
            recipient=terms["payee"],
            amount=terms["price"],
            currency=terms["mint"],
            network="localnet",
            secret_key="k" * 32,
            realm="api.example.com",
            store=store,
            rpc=Rpc(),
        )
    )


def application(session, answer):
    async def serve(scope, _receive, send):
        if scope["type"] != "http":
            return
        authorization = next((value.decode() for name, value in scope["headers"] if name == b"authorization"), None)
        result = await session.handle(authorization, SessionChallengeOptions())
        body = answer if result.ok else json.dumps(result.body).encode()
        headers = [(name.lower().encode(), value.encode()) for name, value in result.headers.items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": result.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serve


def main():
    terms = json.load(sys.stdin)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    session = asyncio.run(prepare(terms))
    config = uvicorn.Config(
        application(session, terms["answer"].encode()), lifespan="off", access_log=False, log_level="warning"
    )
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
