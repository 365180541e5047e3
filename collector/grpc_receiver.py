"""The OTLP/gRPC receiver: the Export methods of the three services, port 4317.

Bodies pass through as bytes: they are read once, where those of OTLP/HTTP are.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from driftline.collector import otlp
from driftline.collector.door import AtTheDoor, key_in
from driftline.collector.front import look_for_proxy
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.collector import Collector
    from driftline.collector.door import Door

_AT_ONCE = 64  # requests that wait for the disk together; they share its fsync
_GRACE = 5.0  # seconds for requests under way when the server ends
_COME_BACK = 2.0  # seconds after which a sender may try again
_CODES = {code.value[0]: code for code in grpc.StatusCode}


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
    server = grpc.server(
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="driftline-grpc"),
        handlers=[_Export(collector, door, max_body)],
        options=[
            ("grpc.max_receive_message_length", max_body),
            ("grpc.so_reuseport", 0),  # a second server on the port is a mistake, not a share of the load
        ],
        maximum_concurrent_rpcs=8 * _AT_ONCE,
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
    server.start()
    try:
        yield port
    finally:
        server.stop(_GRACE).wait()


class _Export(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """Finds the handler of a method by its name; what we do not know the server answers with UNIMPLEMENTED."""

    def __init__(self, collector: Collector, door: Door | None, max_body: int) -> None:
        self._methods = {
            f"/{signal.service}/Export": grpc.unary_unary_rpc_method_handler(_Taker(signal, collector, door, max_body))
            for signal in otlp.SIGNALS.values()
        }

    def service(self, handler_call_details: Any) -> Any:
        """The handler of one call, if we have it."""
        return self._methods.get(handler_call_details.method)


class _Taker:
    """Takes requests of one signal."""

    def __init__(self, signal: otlp.Signal, collector: Collector, door: Door | None, max_body: int) -> None:
        self._signal, self._collector, self._door, self._max_body = signal, collector, door, max_body

    def __call__(self, body: bytes, context: Any) -> bytes:
        try:
            accepted = self._take(body, context)
        except otlp.RefusedRequest as error:
            if error.http != 503 and not isinstance(error, AtTheDoor):  # collector and door count their own
                self._collector.refuse(type(error).__name__)
            _refuse(error, context)
        return otlp.response(self._signal, accepted.rejected, accepted.reason)

    def _take(self, body: bytes, context: Any) -> otlp.Accepted:
        taker = self._collector
        if self._door:
            headers = [
                (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "replace"))
                for name, value in context.invocation_metadata()
            ]
            key = key_in(headers)
            look_for_proxy(self._door, {name for name, _ in headers}, key)
            taker = self._door.enter(key, len(body))
        if len(body) > self._max_body:
            raise otlp.BodyTooLarge(f"the body is larger than {self._max_body // 2**20} MiB", "send smaller batches")
        return taker.receive(body, otlp.PROTOBUF, self._signal.name)


def _refuse(error: otlp.RefusedRequest, context: Any) -> NoReturn:
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
    context.abort(_CODES[error.code], message)
    raise AssertionError("abort does not return")
