"""The certificates that an installation's settings name: opened at start, and read again while the service runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from servicekit.host_settings import HostSettings
from servicekit.metrics import Metrics
from servicekit.settings import SettingsError
from servicekit.tls import CertificateFiles, LoadedCertificate
from servicekit.work.repeating_thread import RepeatingThread

_PAUSE_S = 1.0


def open_server_certificate(settings: HostSettings) -> CertificateFiles | None:
    """The certificate of this installation's servers; None where none is set. Raises :class:`SettingsError`."""
    return open_certificate("SONICHAOS_TLS", settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def open_certificate(
    setting: str, certificate: Path | None, key: Path | None, authorities: Path | None
) -> CertificateFiles | None:
    """The files of ``{setting}_CERTIFICATE`` and ``{setting}_KEY``; None where none is set. Raises :class:`SettingsError`."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError(f"{setting}_CERTIFICATE and {setting}_KEY must be set together, got only one of them")
    try:
        return CertificateFiles(certificate, key, authorities)
    except SettingsError as error:
        raise SettingsError(f"{setting}_CERTIFICATE, {setting}_KEY: {error}") from None


class CertificateWatch(RepeatingThread):
    """Reads changed certificate files again, every second, and reports when each certificate expires.

    ``files`` has the certificates by their use ("server", "peer"), which labels the metric.
    """

    def __init__(self, files: Mapping[str, CertificateFiles | None], metrics: Metrics) -> None:
        super().__init__("certificate watch", pause_s=_PAUSE_S)
        self._files = [found for found in files.values() if found is not None]
        for use, found in files.items():
            if found is not None:
                _report_expiry(found, use, metrics)

    def repeat(self) -> bool:
        """One look at all files."""
        for found in self._files:
            found.refresh()
        return False


def _report_expiry(files: CertificateFiles, use: str, metrics: Metrics) -> None:
    gauge = metrics.certificate_expiry.labels(certificate=use)

    def report(loaded: LoadedCertificate) -> None:
        gauge.set(loaded.expires_at.timestamp())

    report(files.current)
    files.on_change(report)
