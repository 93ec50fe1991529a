"""uvicorn's HTTP/1.1 protocol with the two things it lacks for clients on bad networks.

uvicorn waits for a request's headers as long as the client likes, and after an early answer it goes on reading the rest
of the body, however long it is. Here headers have 10 s, and a body that nobody reads any more ends the connection.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEADER_SECONDS = 10.0
FRESH_SECONDS = 1.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 256 * 1024


class BoothProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=BoothProtocol)`."""

    _headers_due: asyncio.TimerHandle | None = None
    _unwanted_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """A client has connected: its first request's headers are due."""
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._headers_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. uvicorn stops its keep-alive timer for any of them, a stray line break too: one must run."""
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._headers_due is None and not self.transport.is_closing():
            self._expect_headers()

    def on_message_begin(self) -> None:
        """A further request on this connection begins."""
        super().on_message_begin()
        self._expect_headers()

    def on_headers_complete(self) -> None:
        """They came in time."""
        self._headers_arrived()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """The process ends. A connection made just now may have its request on the way: it is not cut off under it."""
        if self.cycle is None:
            self.loop.call_later(FRESH_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def on_body(self, body: bytes) -> None:
        """A piece of a body. What comes after the answer is thrown away, up to a limit."""
        super().on_body(body)
        if self.cycle.response_complete:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > LINGER_BYTES:
                self._end_unread(self.cycle)

    def on_message_complete(self) -> None:
        """A request's body has come to its end; also one that was answered before."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self.cycle.more_body = False
            self._unwanted_bytes = 0

    def on_response_complete(self) -> None:
        """The answer is out. What is left of the request's body is waited for no longer than a moment.

        Closed at once under a body that is just arriving, the connection is reset and the answer lost with it. Where a
        further request waits behind this one, this one's body has come to its end.
        """
        unread = not self.pipeline and self.cycle.more_body
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self.loop.call_later(LINGER_SECONDS, self._end_unread, self.cycle)

    def _end_unread(self, cycle: RequestResponseCycle) -> None:
        if cycle.more_body and not self.transport.is_closing():
            self.transport.close()

    def _expect_headers(self) -> None:
        self._headers_arrived()
        self._headers_due = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _headers_arrived(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _give_up(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_headers()  # they belong to a request behind one that still waits for its answer
        elif not self.transport.is_closing():
            self.transport.close()
