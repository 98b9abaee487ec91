"""A connection to a database server that breaks at its COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Breaking:
    """Forwards to a port; once armed, the next COMMIT reaches the server and its answer nobody."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.armed = False
        self.broken = 0
        self._to = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        answers = asyncio.create_task(self._forward(there, writer))
        try:
            while data := await reader.read(65536):
                if self.armed and b"COMMIT" in data.replace(b"READ COMMITTED", b""):
                    self.armed = False
                    self.broken += 1
                    answers.cancel()
                    await asyncio.wait({answers})
                    back.write(data)
                    await there.read(1)  # the server has done it
                    writer.transport.abort()
                    break
                back.write(data)
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            back.close()
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()


@contextlib.asynccontextmanager
async def breaking(port: int) -> AsyncIterator[Breaking]:
    made = Breaking(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
