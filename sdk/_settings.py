"""What `init` decided, for the whole process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opentelemetry import trace

from driftline._version import VERSION

if TYPE_CHECKING:
    from driftline._direct import DirectTracer
    from driftline._export import Exporting

Capture = Literal["off", "digests", "full"]
CAPTURES = ("off", "digests", "full")


@dataclass
class Settings:
    """`capture`: what of arguments and results leaves the process; `limit`: the longest text in characters."""

    enabled: bool = True
    capture: Capture = "digests"
    limit: int = 32_768
    variant: str = ""
    exporting: Exporting | None = None
    tracer: trace.Tracer | None = None
    direct: DirectTracer | None = None
    """Stands in for `tracer`, at less cost; None where it cannot."""
    recognise: Callable[[trace.Tracer], DirectTracer | None] | None = None
    """Finds that out. `init` puts it here: an import when a span begins would deadlock a child forked meanwhile."""
    looked_at: trace.Tracer | None = None
    """The tracer that `direct` stands in for, or cannot stand in for."""
    unusual_sampler: bool = True
    """Not one of OpenTelemetry's own: it may drop the attributes that a span begins with."""

    def get_tracer(self) -> trace.Tracer:
        """The tracer spans are made with: of our provider, or of whatever the program has set."""
        if self.tracer is None:
            provider = self.exporting.provider if self.exporting else None
            tracer = trace.get_tracer("driftline", VERSION, tracer_provider=provider)
            if provider is None:
                return tracer
            own = "opentelemetry.sdk.trace.sampling"
            self.unusual_sampler = type(getattr(provider, "sampler", None)).__module__ != own
            self.tracer = tracer
        return self.tracer

    def get_direct(self) -> DirectTracer | None:
        """What makes spans directly, if nothing speaks against it now; see `_direct`."""
        direct, tracer = self.direct, self.tracer
        if tracer is None:
            tracer = self.get_tracer()
        if tracer is not self.looked_at or (direct is not None and not direct.steady()):
            if self.recognise is None or tracer is not self.tracer:
                return None  # without `init`, the program may set its provider at any time
            direct = self.direct = self.recognise(tracer)
            self.looked_at = tracer
        return direct


settings = Settings(enabled=os.environ.get("DRIFTLINE_DISABLED", "").lower() not in ("1", "true"))
