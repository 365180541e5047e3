"""Who may come in to a server that is started, and how: the options of `driftline up` about access, checked."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from driftline.collector.access import AccessFile


class NobodyCouldEnter(DriftlineError):
    """The server would be reachable by others, and there is no key to tell who may enter."""


class UnusableCertificate(DriftlineError):
    """The files for TLS cannot be used."""


@dataclass(frozen=True)
class Entrance:
    """*require_keys*: also on this machine; *behind_proxy*: requests come through a proxy that speaks for others;
    *names*: what the server may be called beside localhost.
    """

    require_keys: bool = False
    behind_proxy: bool = False
    names: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None

    @property
    def scheme(self) -> str:
        """What addresses of the server begin with."""
        return "https" if self.tls_cert else "http"

    def keyless(self, host: str) -> bool:
        """Whether a request without a key enters `default`: it can only come from this machine then."""
        from driftline.collector.front import is_loopback

        return is_loopback(host) and not self.require_keys and not self.behind_proxy

    def check(self, host: str, access: AccessFile, data_option: str) -> None:
        """Refuse to open a door that nobody guards.

        Raises:
            NobodyCouldEnter, UnusableCertificate, AccessUnreadable
        """
        found = access.read()
        if not self.keyless(host) and not found.keys:
            why = (
                "--require-keys wants a key of everybody" if self.require_keys
                else "--behind-proxy wants a key of everybody, as a proxy lets anybody in" if self.behind_proxy
                else f"{host} can be reached by other machines, so whoever comes needs a key"
            )  # fmt: skip
            raise NobodyCouldEnter(
                f"{why}, and there is none yet",
                f"create one: driftline keys create --project default --role admin{data_option}",
            )
        if bool(self.tls_cert) != bool(self.tls_key):
            raise UnusableCertificate("--tls-cert and --tls-key belong together", "give both, in PEM")
        if self.tls_cert:
            try:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.tls_cert, self.tls_key, password=lambda: "")
            except (OSError, ValueError) as error:
                raise UnusableCertificate(
                    f"{self.tls_cert} and {self.tls_key} cannot be used for TLS: {error}",
                    "give a certificate (with its chain) and its key without a password, both in PEM",
                ) from error

    def uvicorn(self) -> dict[str, Any]:
        """What the HTTP servers have to know. A proxy's word is taken only where there is one."""
        told: dict[str, Any] = {"proxy_headers": self.behind_proxy, "server_header": False}
        if self.behind_proxy:
            told["forwarded_allow_ips"] = "*"
        if self.tls_cert:
            told.update(ssl_certfile=self.tls_cert, ssl_keyfile=self.tls_key)
        return told
