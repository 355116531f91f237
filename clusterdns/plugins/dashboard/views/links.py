"""Links from names and objects to the pages about them."""

import re
from urllib.parse import urlencode

from clusterdns.plugins.dashboard.privacy import HIDDEN
from clusterdns.plugins.dashboard.views.markup import Markup, element, foreign, foreign_name

_OBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # a name of Kubernetes; `..` in a path would lead elsewhere


def link_to_name(name: str, qtype: str, *, is_failing: bool = False) -> Markup:
    """Link a name to its Service where it is the name of one, else to its explanation; failures are explained."""
    if name == HIDDEN:
        return foreign(name)
    if not is_failing:
        labels = name.split(".")
        if len(labels) > 3 and labels[2].lower() == "svc" and _is_object(labels[1], labels[0]):
            return element("a", foreign_name(name), href=service_path(labels[1], labels[0]))
    return element("a", foreign_name(name), href=explain_path(name, qtype))


def service_link(label: str) -> Markup:
    """Link `namespace/name` to the page of that Service."""
    namespace, _, name = label.partition("/")
    if not _is_object(namespace, name):
        return foreign(label)
    return element("a", foreign_name(label), href=service_path(namespace, name))


def _is_object(namespace: str, name: str) -> bool:
    return bool(_OBJECT.fullmatch(namespace) and _OBJECT.fullmatch(name))


def service_path(namespace: str, name: str) -> str:
    """Return the path of the page of a Service that exists."""
    return f"/service/{namespace}/{name}"


def explain_path(name: str, qtype: str) -> str:
    """Return the path of an explanation."""
    return "/explain?" + urlencode({"name": name, "type": qtype}, errors="replace")
