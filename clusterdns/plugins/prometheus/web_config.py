"""The file of `prometheus { tls FILE }`: the web configuration format that Prometheus's exporters share.

    tls_server_config:
      cert_file: tls.crt            # relative to the file's own folder
      key_file: tls.key

It decides who may read the metrics, so a key that has no effect here is an error.
"""

import os
import ssl
from collections.abc import Mapping
from typing import Any

import yaml

from clusterdns.admin.tls import AdminTls
from clusterdns.host.files import open_file
from clusterdns.host.tls import TlsError

MAX_FILE_BYTES = 1 << 20
_CLIENT_AUTH = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,  # requests a certificate and ignores it
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_KNOWN = ("cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version")
_WITHOUT_EFFECT = ("prefer_server_cipher_suites",)  # Go has ignored it, too, since 1.18


class WebConfigError(Exception):
    """A web configuration is wrong; the text has no path."""


def read_web_config(path: str) -> AdminTls | None:
    """Read the TLS settings; None for plain HTTP. Raises WebConfigError."""
    try:
        with open_file(path) as file:
            content = yaml.safe_load(file.read(MAX_FILE_BYTES))
    except OSError as error:
        raise WebConfigError((error.strerror or str(error)).lower()) from error
    except yaml.YAMLError as error:
        raise WebConfigError(f"is not YAML: {' '.join(str(error).split())}") from error
    config = _mapping(content, "the file", ("tls_server_config", "http_server_config"))
    _mapping(config.get("http_server_config"), "http_server_config", ("http2",))  # the listener speaks HTTP/1.1
    server = _mapping(config.get("tls_server_config"), "tls_server_config", (*_KNOWN, *_WITHOUT_EFFECT))
    return _tls(server, os.path.dirname(path)) if server else None


def _mapping(value: Any, name: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WebConfigError(f"{name} must be a mapping")
    for key in value:
        if key not in known:
            raise WebConfigError(f"{key} in {name} is not supported; known are {', '.join(known)}")
    return value


def _tls(server: Mapping[str, Any], folder: str) -> AdminTls:
    def file(key: str) -> str:
        text = server.get(key) or ""
        return os.path.join(folder, str(text)) if text else ""

    if not file("cert_file") or not file("key_file"):
        raise WebConfigError("tls_server_config needs cert_file and key_file")
    verify = _choice(server, "client_auth_type", _CLIENT_AUTH, ssl.CERT_NONE)
    if verify is ssl.CERT_NONE and file("client_ca_file"):
        raise WebConfigError("client_ca_file needs client_auth_type RequireAndVerifyClientCert")
    if verify is not ssl.CERT_NONE and not file("client_ca_file"):
        raise WebConfigError(f"client_auth_type {server['client_auth_type']} needs client_ca_file")
    made = AdminTls(
        file("cert_file"), file("key_file"), file("client_ca_file"), verify,
        _choice(server, "min_version", _VERSIONS, ssl.TLSVersion.TLSv1_2),
        _choice(server, "max_version", _VERSIONS, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    )  # fmt: skip
    try:
        made.context()
    except TlsError as error:
        raise WebConfigError(str(error)) from error
    return made


def _choice(server: Mapping[str, Any], key: str, known: Mapping[str, Any], default: Any) -> Any:
    word = server.get(key)
    if word is None:
        return default
    if word not in known:
        raise WebConfigError(f"{key} '{word}' is not supported; use {', '.join(filter(None, known))}")
    return known[word]
