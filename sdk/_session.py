"""How OTLP/HTTP is sent: with the client that OpenTelemetry's exporter brings along, and takes from us if given."""

from __future__ import annotations

from typing import Any

import requests

_BUSY = (429, 502, 503, 504)


class Undelivered(Exception):
    """Nobody took the request."""


class Session(requests.Session):
    """Leaves retrying to our batch processor, which can be woken: the exporter's own would sleep through the end."""

    reason = ""
    asked = False
    worth_retrying = False

    def request(self, *args: Any, **how: Any) -> requests.Response:
        """As usual, but what did not arrive is one error that the exporter does not retry."""
        self.asked = True
        try:
            response = super().request(*args, **how)
        except (requests.ConnectionError, requests.Timeout) as error:
            self.reason, self.worth_retrying = type(error).__name__, True
            raise Undelivered(self.reason) from None
        if not response.ok:
            self.reason, self.worth_retrying = f"HTTP {response.status_code}", response.status_code in _BUSY
            raise Undelivered(self.reason)
        return response
