"""The form that asks for an explanation of a name."""

from collections.abc import Mapping

from clusterdns.plugins.dashboard.views.markup import Markup, element

TYPES = ("A", "AAAA", "SRV", "PTR", "CNAME", "MX", "NS", "SOA", "TXT", "ANY")


def question_form(given: Mapping[str, str]) -> Markup:
    """Write the form, filled with the parameters of a request."""
    chosen = given.get("type", "").upper()
    types = [element("option", "automatic", value="")]
    types += [element("option", one, value=one, selected=one == chosen) for one in _types(chosen)]
    return element(
        "form",
        _field("name", "Name or address", element(
            "input", type="text", name="name", id="name", value=given.get("name", ""), required=True, maxlength=1100,
            autocomplete="off", autocapitalize="none", spellcheck="false", placeholder="db.prod or 10.96.0.10",
        )),
        _field("type", "Type", element("select", types, name="type", id="type")),
        _field("from", "From the pod (optional)", element(
            "input", type="text", name="from", id="from", value=given.get("from", ""), maxlength=600,
            autocomplete="off", autocapitalize="none", spellcheck="false", placeholder="namespace or namespace/pod",
        )),
        element("button", "Explain", type="submit"),
        action="/explain", method="get", class_="question", role="search", aria_label="Explain a name",
    )  # fmt: skip


def _types(chosen: str) -> tuple[str, ...]:
    return TYPES if not chosen or chosen in TYPES else (*TYPES, chosen)


def _field(name: str, label: str, control: Markup) -> Markup:
    return element("p", element("label", label, for_=name), control, class_=f"field {name}")
