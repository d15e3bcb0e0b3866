"""The relay that most people would write first: FastAPI, one httpx client, a streaming response."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

UPSTREAM = os.environ["UPSTREAM"]

app = FastAPI()
client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=256))


@app.post("/{path:path}")
async def relay(path: str, request: Request) -> StreamingResponse:
    headers = {n: v for n, v in request.headers.items() if n not in ("host", "content-length", "connection")}
    outgoing = client.build_request("POST", f"{UPSTREAM}/{path}", headers=headers, content=await request.body())
    answer = await client.send(outgoing, stream=True)

    async def body() -> AsyncIterator[bytes]:
        try:
            async for data in answer.aiter_raw():
                yield data
        finally:
            await answer.aclose()

    kept = {n: v for n, v in answer.headers.items() if n not in ("content-length", "transfer-encoding", "connection")}
    return StreamingResponse(body(), status_code=answer.status_code, headers=kept)
