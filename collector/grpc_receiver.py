"""The OTLP/gRPC receiver: the Export methods of the three services, port 4317.

Bodies pass through as bytes: they are read once, where those of OTLP/HTTP are.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from driftline.collector import otlp
from driftline.collector.door import AtTheDoor, key_in
from driftline.collector.front import look_for_proxy
from driftline.collector.room import SMALL, Crowded, Room
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.collector import Collector
    from driftline.collector.door import Door

_AT_ONCE = 64  # requests that are read or wait for the disk together; they share its fsync
_ARRIVING = 1024  # requests that may be on their way at once; those of slow clients hold no thread
_SILENCE = 30.0  # seconds that a request may take to arrive
_GRACE = 5.0  # seconds for requests under way when the server ends
_COME_BACK = 2.0  # seconds after which a sender may try again
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class NeverSent(otlp.RefusedRequest):
    """A call without a request, or one that did not arrive in time."""


class PortNotOpened(DriftlineError):
    """The port for gRPC could not be opened."""


@contextmanager
def receiving(
    collector: Collector,
    address: str,
    *,
    door: Door | None = None,
    tls: tuple[bytes, bytes] | None = None,
    max_body: int = otlp.MAX_BODY,
) -> Iterator[int]:
    """Feed *collector*, or with a *door* that of the project which a request's key opens, while the block runs.

    *address*: HOST:PORT; yields the port. *tls*: the certificate chain and its key, in PEM. *max_body*: bytes after
    decompression.

    Raises:
        PortNotOpened: somebody else has it.
    """
    with _event_loop() as loop, ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="driftline-grpc") as pool:
        exports = _Exports(collector, door, max_body, pool)
        server, port = asyncio.run_coroutine_threadsafe(_started(exports, address, tls), loop).result()
        try:
            yield port
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(_GRACE), loop).result()


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="driftline-grpc", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _started(exports: _Exports, address: str, tls: tuple[bytes, bytes] | None) -> tuple[Any, int]:
    """A server on *address*, and its port."""
    server = grpc.aio.server(
        handlers=[exports],
        options=[
            ("grpc.max_receive_message_length", exports.max_body),
            ("grpc.so_reuseport", 0),  # a second server on the port is a mistake, not a share of the load
        ],
    )
    try:
        if tls:
            chain, key = tls
            port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise PortNotOpened(
            f"the gRPC receiver cannot listen on {address}: {str(error).splitlines()[0]}",
            "stop what listens there, or choose another port with --grpc-port",
        ) from error
    await server.start()
    return server, port


class _Exports(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """The Export methods; what we do not know the server answers with UNIMPLEMENTED.

    On the wire a call of one request is a stream of one: taken as that, a stranger is turned away before his request is
    read, and one that comes slowly is waited for without a thread.
    """

    def __init__(self, collector: Collector, door: Door | None, max_body: int, pool: ThreadPoolExecutor) -> None:
        self.max_body = max_body
        self._collector, self._door, self._pool = collector, door, pool
        self._room = Room()
        self._arriving = 0
        self._methods = {
            f"/{signal.service}/Export": grpc.stream_unary_rpc_method_handler(self._taker(signal))
            for signal in otlp.SIGNALS.values()
        }

    def service(self, handler_call_details: Any) -> Any:
        """The handler of one call, if we have it."""
        return self._methods.get(handler_call_details.method)

    def _taker(self, signal: otlp.Signal) -> Any:
        async def export(requests: Any, context: Any) -> bytes:
            try:
                accepted = await self._take(signal, requests, context)
            except otlp.RefusedRequest as error:
                if (error.http != 503 or isinstance(error, Crowded)) and not isinstance(error, AtTheDoor):
                    self._collector.refuse(type(error).__name__)  # collector and door count their own
                await _refuse(error, context)
            return otlp.response(signal, accepted.rejected, accepted.reason)

        return export

    async def _take(self, signal: otlp.Signal, requests: Any, context: Any) -> otlp.Accepted:
        key = self._look(context.invocation_metadata())
        body = await self._arrived(requests)

        def work() -> otlp.Accepted:
            if len(body) > self.max_body:
                raise otlp.BodyTooLarge(f"the body is larger than {self.max_body // 2**20} MiB", "send smaller batches")
            taker = self._door.enter(key, len(body)) if self._door else self._collector
            return taker.receive(body, otlp.PROTOBUF, signal.name)

        async with self._room.turn() if len(body) > SMALL else nullcontext():
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _look(self, metadata: Any) -> str | None:
        """The key that a call brings, if it may go on."""
        headers = [
            (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "replace"))
            for name, value in metadata or ()
        ]
        key = key_in(headers)
        if self._door:
            look_for_proxy(self._door, {name for name, _ in headers}, key)
            self._door.check(key, "write")
        return key

    async def _arrived(self, requests: Any) -> bytes:
        if self._arriving >= _ARRIVING:
            raise Crowded("too many requests arrive at once", "retry later")
        self._arriving += 1
        try:
            body: bytes = await asyncio.wait_for(anext(aiter(requests)), _SILENCE)
        except StopAsyncIteration:
            raise NeverSent("the call holds no request", "send one Export request") from None
        except (asyncio.TimeoutError, TimeoutError):
            raise NeverSent(f"the request did not arrive within {_SILENCE:.0f} s", "send it faster") from None
        finally:
            self._arriving -= 1
        return body


async def _refuse(error: otlp.RefusedRequest, context: Any) -> NoReturn:
    """End the call as OTLP wants it: when to come back stands in two places, as clients look in either."""
    message = otlp.told(error)
    details: list[Any] = []
    trailers: list[tuple[str, bytes]] = []
    if error.code == otlp.UNAVAILABLE:
        wait = Duration()
        wait.FromNanoseconds(int(float(getattr(error, "retry_after", _COME_BACK)) * 1e9))
        details.append(RetryInfo(retry_delay=wait))
        trailers.append(("google.rpc.retryinfo-bin", details[0].SerializeToString()))
    elif error.code == otlp.INVALID_ARGUMENT:
        details.append(BadRequest(field_violations=[BadRequest.FieldViolation(description=message)]))
    if details:
        status = Status(code=error.code, message=message)
        for detail in details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        trailers.append(("grpc-status-details-bin", status.SerializeToString()))
    context.set_trailing_metadata(tuple(trailers))
    await context.abort(_CODES[error.code], message)
    raise AssertionError("abort does not return")
