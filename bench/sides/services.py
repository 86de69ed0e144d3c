"""Participants in a process of their own: ``python -m bench.sides.services plain|served`` prints its URL, then serves.

``plain`` is the cheapest HTTP/1.1 server that asyncio allows: it answers every POST with its body. ``served`` is a service of
troth behind uvicorn, whose guarded steps do the same.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn

from troth import Troth

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "


class Echo(asyncio.Protocol):
    """One connection; requests are small and come whole or in two pieces."""

    def connection_made(self, transport: Any) -> None:
        """Keep where answers go."""
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:") + 15
            length = int(head[at : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None])
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.transport.write(HEAD + str(length).encode() + b"\r\n\r\n" + body)


def served() -> Any:
    """Two steps and a TCC class, as another service of troth serves them."""
    troth = Troth("memory://")

    @troth.step(guarded=True, name="reserve", compensate=None)
    async def reserve(text: str) -> dict[str, str]:
        return {"text": text}

    @troth.step(guarded=True, name="charge", compensate=None)
    async def charge(text: str) -> dict[str, str]:
        return {"text": text}

    @troth.tcc(guarded=True, name="hold")
    class Hold:
        async def try_(self, text: str) -> dict[str, str]:
            return {"text": text}

        async def confirm(self, hold: dict[str, str]) -> None:
            return None

        async def cancel(self, hold: dict[str, str] | None) -> None:
            return None

    return troth.routes()


async def main(kind: str) -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it only on sockets it makes itself
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(url, flush=True)
    if kind == "plain":
        server = await asyncio.get_running_loop().create_server(Echo, sock=listener)
        await server.serve_forever()
    config = uvicorn.Config(served(), log_level="error", access_log=False, loop="asyncio", lifespan="off")
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
