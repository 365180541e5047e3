"""Switching driftline on and off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from driftline._guard import guarded, warn_once
from driftline._process import process_resource
from driftline._settings import CAPTURES, Capture, settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"


def init(
    service_name: str | None = None,
    *,
    service_version: str | None = None,
    endpoint: str | None = None,
    tracer_provider: TracerProvider | None = None,
    exporter: SpanExporter | None = None,
    capture: Capture | None = None,
    variant: str | None = None,
    enabled: bool | None = None,
) -> None:
    """Send spans to a collector. Everything may come from the environment instead.

    Args:
        service_name: else `OTEL_SERVICE_NAME`.
        service_version: the release drift is compared across; else from `OTEL_RESOURCE_ATTRIBUTES`.
        endpoint: base URL of an OTLP/HTTP receiver; else `DRIFTLINE_ENDPOINT`, the standard `OTEL_EXPORTER_OTLP_*`
            variables, or this machine's port 4318.
        tracer_provider: your provider. Without one, the provider your program has set is used, or a new one is set.
            An existing provider is only added to, never replaced.
        exporter: send through this instead of OTLP/HTTP.
        capture: of arguments and results send nothing (`off`), digests (the default) or content too (`full`);
            else `DRIFTLINE_CAPTURE`.
        variant: prompt, model or graph variant of this process; else `DRIFTLINE_VARIANT`.
        enabled: false makes every call of driftline do nothing; else not `DRIFTLINE_DISABLED=1`.

    Nothing here raises into your program, and no collector need be reachable.

    Raises:
        ValueError: *capture* is none of the three words.
    """
    word = capture or os.environ.get("DRIFTLINE_CAPTURE") or "digests"
    if word not in CAPTURES:
        raise ValueError(f"capture {word!r}: use one of {', '.join(CAPTURES)}")
    settings.capture = word  # type: ignore[assignment]
    settings.variant = variant or os.environ.get("DRIFTLINE_VARIANT", "")
    if enabled is not None:
        settings.enabled = enabled
    if not settings.enabled:
        return
    if settings.exporting is not None:
        warn_once("init twice", "driftline.init() was called again; the first exporter stays")
        return
    with guarded("switching on"):
        from driftline._export import Exporting, provider_in_use

        provider = tracer_provider or provider_in_use() or _new_provider(service_name, service_version)
        settings.exporting = Exporting(provider, exporter or _otlp(endpoint))
        settings.tracer = None


def flush(timeout: float = 10.0) -> bool:
    """Send every span that has ended; false if that took longer than *timeout* seconds."""
    with guarded("flushing"):
        return settings.exporting.flush(timeout) if settings.exporting else True


def shutdown(timeout: float = 5.0) -> None:
    """Flush and stop exporting. `init` may be called again."""
    exporting, settings.exporting, settings.tracer = settings.exporting, None, None
    if exporting:
        exporting.close(timeout)


def _new_provider(service_name: str | None, service_version: str | None) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    said: dict[str, Any] = dict(process_resource())
    if service_name:
        said["service.name"] = service_name
    if service_version:
        said["service.version"] = service_version
    # Without its own exit handler: ours flushes with a bound, and a second one would wait for a dead collector again.
    provider = TracerProvider(resource=Resource.create(said), shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    return provider


def _otlp(endpoint: str | None) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = endpoint or os.environ.get("DRIFTLINE_ENDPOINT")
    standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if base is None and any(os.environ.get(name) for name in standard):
        return OTLPSpanExporter()
    return OTLPSpanExporter(endpoint=(base or DEFAULT_ENDPOINT).rstrip("/") + "/v1/traces", timeout=5)
