"""What ``sonichaos up`` starts: addresses, models and data folder, as the environment of each service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from hostctl.listen import ListenAddress, resolve_ports
from servicekit.host_settings import HostSettings
from servicekit.settings import SettingsError, read_settings, variable_names
from sonichaos_client.addresses import RENDER_ADDRESS, SEPARATION_ADDRESS

RENDER_LISTEN = "SONICHAOS_RENDER_LISTEN"
SEPARATION_LISTEN = "SONICHAOS_SEPARATION_LISTEN"
URL_LISTEN = "SONICHAOS_URL_LISTEN"
WEB_LISTEN = "SONICHAOS_WEB_LISTEN"
_URL_ORIGINS = "SONICHAOS_URL_ORIGINS"
_WILDCARDS = ("0.0.0.0", "[::]")  # noqa: S104  compared, not bound
_PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Idle OpenMP threads sleep: both services share the cores, and spinning made renders on a loaded host 4 to 10 times slower."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The configuration of both services."""

    data: Path
    drain_s: float
    render: tuple[ListenAddress, ...]
    separation: tuple[ListenAddress, ...]
    urls: ListenAddress
    web: ListenAddress | None
    """Of the page; None without one."""
    web_names: tuple[str, ...]
    tls: bool
    chosen: Mapping[str, str]
    environ: Mapping[str, str]

    @property
    def render_socket(self) -> str:
        """The Unix socket on which render_service always listens, as an address."""
        return self._socket("SONICHAOS_RENDER_SOCKET", "render.sock")

    @property
    def separation_socket(self) -> str:
        """The Unix socket on which separation_service always listens, as an address."""
        return self._socket("SONICHAOS_SEPARATION_SOCKET", "separation.sock")

    def for_callers(self, addresses: tuple[ListenAddress, ...]) -> str:
        """The first of a service's addresses, as callers on this machine write it."""
        first = addresses[0]
        return f"https://{first.for_callers}" if self.tls and not first.is_unix else first.for_callers

    def for_certificates(self, service: str) -> tuple[str, ...]:
        """The addresses of ``RENDER`` or ``SEPARATION`` that ask for a client certificate, as configured."""
        configured = self.environ.get(f"SONICHAOS_{service}_MTLS_LISTEN", "")
        return tuple(f"https://{address.strip()}" for address in configured.split(",") if address.strip())

    @property
    def url_base(self) -> str:
        """What signed URLs begin with."""
        return self.environ.get("SONICHAOS_URL_BASE") or f"{self._scheme}://{self.urls.address}"

    @property
    def page_address(self) -> str | None:
        """The page's address for browsers on this machine; None without a page."""
        return None if self.web is None else f"{self._scheme}://{self.web.for_callers}"

    @property
    def page_origins(self) -> tuple[str, ...]:
        """The origins by which browsers know the page."""
        if self.web is None:
            return ()
        host, _, port = self.web.address.rpartition(":")
        listen = () if host in _WILDCARDS else (host,)
        names = dict.fromkeys(["127.0.0.1", "localhost", *listen, *self.web_names])
        return tuple(f"{self._scheme}://{name.lower()}:{port}" for name in names)

    @property
    def _scheme(self) -> str:
        return "https" if self.tls else "http"

    def _socket(self, setting: str, name: str) -> str:
        return f"unix:{self.environ.get(setting) or self.data / 'run' / name}"

    def render_environment(self) -> dict[str, str]:
        """The environment of render_service, including the address of separation_service."""
        return self._environment({"SONICHAOS_SEPARATOR", "SONICHAOS_SEPARATOR_REPO"}) | {
            RENDER_LISTEN: _joined(self.render),
            URL_LISTEN: self.urls.address,
            "SONICHAOS_SEPARATION_ADDRESS": self.separation_socket,
        }

    def separation_environment(self) -> dict[str, str]:
        """The environment of separation_service."""
        return self._environment({"SONICHAOS_RENDERER"}) | {
            SEPARATION_LISTEN: _joined(self.separation),
            URL_LISTEN: self.urls.address,
        }

    def _environment(self, other_service: set[str]) -> dict[str, str]:
        """The operator's environment and options, without the settings of the other service, which this one would reject."""
        merged = {**_PASSIVE, **self.environ, **self.chosen, "SONICHAOS_DATA": str(self.data)}
        if self.web is not None and not merged.get(_URL_ORIGINS):
            merged[_URL_ORIGINS] = ",".join(self.page_origins)  # the page plays and checks files by their signed URLs
        listens = {RENDER_LISTEN, SEPARATION_LISTEN}
        return {name: value for name, value in merged.items() if name not in other_service | listens}


def plan_installation(
    environ: Mapping[str, str],
    *,
    data: Path | None,
    chosen: Mapping[str, str | None],
    listen: Mapping[str, str | None],
    web: bool = False,
) -> Installation:
    """Combine the environment with command line options, which take precedence.

    ``chosen`` has settings and ``listen`` addresses by variable, None if not given. With ``web`` the page has an address too.
    Raises click.UsageError or click.ClickException.
    """
    host = host_settings(environ)
    defaults = {RENDER_LISTEN: RENDER_ADDRESS, SEPARATION_LISTEN: SEPARATION_ADDRESS, URL_LISTEN: host.url_listen}
    if web:
        defaults[WEB_LISTEN] = host.web_listen
    wanted = [
        ListenAddress(address.strip(), name)
        for name, default in defaults.items()
        for address in (listen.get(name) or environ.get(name) or default).split(",")
    ]
    # With an S3 store no service here serves signed URLs, so their port is not checked.
    checked = [address for address in wanted if host.store == "folder" or address.setting != URL_LISTEN]
    resolved = resolve_ports(checked) + [address for address in wanted if address not in checked]
    by_setting = {name: tuple(found for found in resolved if found.setting == name) for name in defaults}
    folder = (data or host.data).absolute()
    return Installation(
        data=folder,
        drain_s=host.drain_seconds,
        render=by_setting[RENDER_LISTEN],
        separation=by_setting[SEPARATION_LISTEN],
        urls=by_setting[URL_LISTEN][0],
        web=by_setting[WEB_LISTEN][0] if web else None,
        web_names=host.page_names,
        tls=host.tls_certificate is not None,
        chosen=_with_fetched_weights(
            {name: value for name, value in chosen.items() if value is not None}, environ, folder
        ),
        environ=environ,
    )


def _joined(addresses: tuple[ListenAddress, ...]) -> str:
    return ",".join(address.address for address in addresses)


def data_folder(environ: Mapping[str, str]) -> Path:
    """The data folder. Raises click.UsageError if a setting is invalid."""
    return host_settings(environ).data


def host_settings(environ: Mapping[str, str]) -> HostSettings:
    """The settings of both services. Raises click.UsageError if one is invalid."""
    known = set(variable_names(HostSettings).values())
    try:
        return read_settings(HostSettings, {name: value for name, value in environ.items() if name in known})
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _with_fetched_weights(chosen: dict[str, str], environ: Mapping[str, str], data: Path) -> dict[str, str]:
    """A separator without a folder is read from where ``fetch-weights`` saves it."""
    separator = chosen.get("SONICHAOS_SEPARATOR") or environ.get("SONICHAOS_SEPARATOR", "")
    fetched = data / "weights" / separator
    if separator and not {"SONICHAOS_SEPARATOR_REPO"} & (chosen.keys() | environ.keys()) and fetched.is_dir():
        return chosen | {"SONICHAOS_SEPARATOR_REPO": str(fetched)}
    return chosen
