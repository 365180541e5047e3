"""Switching driftline on and off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from opentelemetry import trace

from driftline._guard import guarded, warn_once
from driftline._process import process_resource
from driftline._settings import CAPTURES, Capture, settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from driftline._redacting import Redact, Redacting

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
_STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


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
    redact: Redact | None = None,
) -> None:
    """Send spans to a collector. Everything may come from the environment instead.

    Args:
        service_name: else `OTEL_SERVICE_NAME`.
        service_version: the release drift is compared across; else from `OTEL_RESOURCE_ATTRIBUTES`.
        endpoint: base URL of an OTLP/HTTP receiver; else `DRIFTLINE_ENDPOINT`, the standard `OTEL_EXPORTER_OTLP_*`
            variables, or this machine's port 4318. A key for it: `DRIFTLINE_API_KEY`.
        tracer_provider: your provider. Without one, the provider your program has set is used, or a new one is set.
            An existing provider is only added to, never replaced. Set yours first: OpenTelemetry refuses a second.
        exporter: send through this instead of OTLP/HTTP.
        capture: of arguments and results send nothing (`off`), digests (the default) or content too (`full`);
            else `DRIFTLINE_CAPTURE`.
        variant: prompt, model or graph variant of this process; else `DRIFTLINE_VARIANT`.
        enabled: false makes every call of driftline do nothing; else not `DRIFTLINE_DISABLED=1`.
        redact: what is taken from spans before they leave the process: rules, the path of a file with rules, names of
            presets, a function of key and value, or a list of these; else `DRIFTLINE_REDACT`. Digests are those of what
            was there. A rule in the environment that cannot be used lets nothing out.

    Nothing here raises into your program, and no collector need be reachable.

    Raises:
        ValueError: *capture* is none of the three words.
        DriftlineError: a rule of *redact* cannot be used.
    """
    if capture is not None and capture not in CAPTURES:
        raise ValueError(f"capture {capture!r}: use one of {', '.join(CAPTURES)}")
    redacting = _redacting(redact)
    settings.capture = capture or _capture_of_environment()
    settings.variant = variant or os.environ.get("DRIFTLINE_VARIANT", "")
    if enabled is not None:
        settings.enabled = enabled
    if not settings.enabled:
        return
    if settings.exporting is not None and not settings.exporting.processor.closed:
        warn_once("init twice", "driftline.init() was called again; the first exporter stays")
        return
    with guarded("switching on"):
        from driftline._direct_known import direct_tracer
        from driftline._export import Exporting, provider_in_use

        said = {"service.name": service_name, "service.version": service_version}
        known = {key: value for key, value in said.items() if value}
        provider = tracer_provider or provider_in_use() or _new_provider(known)
        settings.exporting = Exporting(provider, exporter, _endpoint(endpoint), known, redacting)
        settings.recognise, settings.tracer = direct_tracer, None


def flush(timeout: float = 10.0) -> bool:
    """Send every span that has ended; false if that failed or took longer than *timeout* seconds."""
    with guarded("flushing"):
        return settings.exporting.flush(timeout) if settings.exporting else True
    return False


def shutdown(timeout: float = 5.0) -> None:
    """Flush and stop exporting. `init` may be called again."""
    exporting, settings.exporting, settings.tracer = settings.exporting, None, None
    if exporting:
        exporting.close(timeout)


def _redacting(given: Redact | None) -> Redacting | None:
    said = given if given is not None else os.environ.get("DRIFTLINE_REDACT")
    if not said:
        return None
    from driftline import _redacting as redacting
    from driftline.errors import DriftlineError

    try:
        return redacting.redacting(said)
    except DriftlineError as error:
        if given is not None:
            raise
        warn_once("redact", "DRIFTLINE_REDACT: %s. No span is sent.", error)
        return redacting.Redacting.of_everything()


def _new_provider(said: dict[str, str]) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    resource = Resource.create({**process_resource(), **said})
    # Without its own exit handler: ours flushes with a bound, and a second one would wait for a dead collector again.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    return provider


def _endpoint(given: str | None) -> str | None:
    """The URL to send to; None: as the standard environment variables say."""
    base = given or os.environ.get("DRIFTLINE_ENDPOINT")
    if base is None and any(os.environ.get(name) for name in _STANDARD):
        return None
    return (base or DEFAULT_ENDPOINT).rstrip("/").removesuffix("/v1/traces") + "/v1/traces"


def _capture_of_environment() -> Capture:
    word = os.environ.get("DRIFTLINE_CAPTURE") or "digests"
    if word in CAPTURES:
        return cast("Capture", word)
    warn_once("capture", "DRIFTLINE_CAPTURE=%s is none of %s; digests are sent", word, ", ".join(CAPTURES))
    return "digests"
