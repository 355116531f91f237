"""Each module of the product has a test file of its name, or a row here that names the tests that cover it.

The test of `clusterdns/a/b/c.py` is `tests/a/b/test_c.py` or `tests/a/test_b_c.py`; a `directive.py` may have a test of
the directive's name. A row's key is a module, or `folder/*` for the modules of a folder without tests of their own.
"""

from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, TESTS = ROOT / "clusterdns", ROOT / "tests"

COVERED: dict[str, tuple[str, ...]] = {
    "__main__.py": ("cli/test_commands.py",),
    "version.py": ("cli/test_flags.py", "cli/test_serve.py"),
    "admin/listener.py": ("admin/test_http.py", "admin/test_connection.py"),
    "admin/metrics_page.py": ("admin/test_exposition.py",),
    "admin/page.py": ("admin/test_http.py",),
    "admin/status_page.py": ("plugins/test_status.py", "cli/test_status.py"),
    "admin/tls.py": ("plugins/test_prometheus_tls.py",),
    "chain/block.py": ("plugins/test_autopath.py", "cli/test_check.py"),
    "chain/exports.py": ("plugins/test_listening.py",),
    "chain/fallthrough.py": ("plugins/test_hosts.py", "plugins/test_file.py"),
    "chain/handler.py": ("house/test_hops.py",),
    "chain/live.py": ("plugins/test_live_picture.py",),
    "chain/part.py": ("server/test_takeover.py",),
    "chain/plugin.py": ("house/test_writing_a_directive.py",),
    "chain/reply.py": ("chain/test_copies.py",),
    "chain/reply_type.py": ("plugins/test_reply_type.py",),
    "cli/admin_page.py": ("cli/test_status.py", "cli/test_explain.py", "cli/test_top.py"),
    "cli/explain/*": ("cli/test_explain.py", "cli/test_explain_text.py"),
    "cli/config/*": ("cli/test_config.py", "corefile/test_properties.py"),
    "cli/fmt/*": ("cli/test_fmt.py",),
    "cli/output.py": ("cli/test_fmt.py",),
    "cli/usage.py": ("cli/test_commands.py", "cli/test_flags.py"),
    "cli/version.py": ("cli/test_commands.py",),
    "cli/check/*": ("cli/test_check.py", "cli/test_configmap.py", "cli/test_differences.py"),
    "cli/conform/*": ("cli/conform/test_peers.py", "cli/conform/test_lying_servers.py"),
    "cli/conform/cases/*": ("cli/conform/test_peers.py", "cli/conform/test_cases.py"),
    "cli/generated/kubectl_complete.py": ("cli/test_kubectl_complete.py",),
    "cli/generated/*": ("cli/test_completion.py", "cli/test_man.py"),
    "cli/names/*": ("cli/test_names.py",),
    "cli/top/*": ("cli/test_top.py", "cli/test_top_live.py"),
    "cluster/details/*": ("cli/test_explain.py", "plugins/test_explaining.py"),
    "cluster/dependents.py": ("cluster/index/test_properties.py", "server/test_held_negatives.py"),
    "cluster/namespaces.py": ("cluster/index/test_properties.py",),
    "cluster/turns.py": ("cluster/manifests/test_source.py", "cluster/api/test_faults.py"),
    "cluster/objects.py": ("cluster/test_decoding.py", "cluster/index/test_properties.py"),
    "cluster/raw_objects.py": ("cluster/test_decoding.py",),
    "cluster/reduction.py": ("cluster/test_decoding.py",),
    "cluster/api/*": ("cluster/api/test_faults.py", "cluster/api/test_live.py"),
    "cluster/api/audit/*": ("cluster/api/test_audit.py",),
    "cluster/versions.py": ("cluster/api/test_audit.py",),
    "cluster/api/follow/*": ("cluster/api/test_faults.py", "cluster/api/test_live.py"),
    "cluster/index/*": ("cluster/index/test_properties.py", "cluster/index/test_topology.py", "server/test_vectors.py"),
    "cluster/snapshot/*": ("cluster/snapshot/test_keeper.py", "plugins/test_kubernetes_snapshot.py"),
    "cluster/manifests/*": ("cluster/manifests/test_controllers.py", "cluster/manifests/test_source.py"),
    "corefile/braces.py": ("corefile/test_errors.py",),
    "corefile/environment.py": ("corefile/test_parser.py", "corefile/test_imports.py"),
    "corefile/files.py": ("corefile/test_imports.py",),
    "corefile/options.py": ("cli/test_check.py", "house/test_docs.py"),
    "gotemplate/*": ("gotemplate/test_cases.py", "gotemplate/test_against_go.py"),
    "gotemplate/fmt/*": ("gotemplate/test_cases.py", "gotemplate/test_against_go.py"),
    "plugins/multisocket.py": ("plugins/test_listening.py",),
    "plugins/dashboard/*": ("plugins/test_dashboard_site.py", "plugins/test_dashboard_login.py"),
    "plugins/dashboard/views/*": ("plugins/test_dashboard_views.py", "browser/test_dashboard.py"),
    "plugins/order.py": ("house/test_start.py", "house/test_docs.py"),
    "plugins/reload.py": ("plugins/test_listening.py",),
    "plugins/timeouts.py": ("plugins/test_listening.py",),
    "plugins/tls.py": ("plugins/test_listening.py",),
    "plugins/cache/*": ("plugins/test_cache.py", "plugins/test_cache_handler.py", "plugins/test_cache_refresh.py"),
    "plugins/file/*": ("plugins/test_file.py", "plugins/test_file_compared.py"),
    "plugins/forward/*": ("plugins/test_forward.py", "plugins/test_forward_settings.py"),
    "plugins/hosts/*": ("plugins/test_hosts.py", "plugins/test_hosts_against_coredns.py"),
    "plugins/kubernetes/changes.py": ("plugins/test_live_picture.py",),
    "plugins/kubernetes/*": ("plugins/test_kubernetes_handler.py", "plugins/test_kubernetes_settings.py"),
    "plugins/kubernetes/subscription.py": ("plugins/test_kubernetes_snapshot.py",),
    "plugins/kubernetes/exports.py": ("plugins/test_autopath.py",),
    "host/tls_stream.py": ("server/test_tls.py",),
    "plugins/kubernetes/feed.py": ("server/test_takeover.py",),
    "plugins/kubernetes/labels.py": ("plugins/test_metadata.py",),
    "plugins/kubernetes/transfer.py": ("plugins/test_transfer.py",),
    "plugins/loadbalance/handler.py": ("plugins/test_loadbalance.py",),
    "plugins/log/observer.py": ("plugins/test_log.py", "cli/test_configmap.py"),
    "plugins/prometheus/web_config.py": ("plugins/test_prometheus_tls.py",),
    "plugins/rewrite/*": ("plugins/test_rewrite.py", "plugins/test_rewrite_against_coredns.py"),
    "plugins/template/*": ("plugins/test_template.py",),
    "plugins/transfer/notify.py": ("plugins/test_transfer.py",),
    "server/live/*": ("plugins/test_live_picture.py",),
    "server/live/durations.py": ("server/live/test_observation.py",),
    "server/tap.py": ("plugins/test_live_picture.py",),
    "server/*": ("server/test_takeover.py", "process/test_reload.py"),
    "server/explaining/*": ("cli/test_explain.py", "server/test_explain_page.py"),
    "server/explaining/searching/*": ("server/test_search_list.py", "cli/test_explain.py"),
    "server/explaining/verdicts/*": ("cli/test_explain.py", "plugins/test_explaining.py"),
    "server/dispatch.py": ("server/test_conformance.py", "server/test_fuzz.py"),
    "server/unanswered.py": ("server/test_counting.py",),
    "server/listeners/*": ("server/test_tcp.py", "server/test_takeover.py"),
    "server/listeners/udp.py": ("server/test_conformance.py", "process/test_serving.py"),
    "server/run.py": ("cli/test_serve.py", "process/test_ending.py"),
    "telemetry/families.py": ("telemetry/test_queries.py", "admin/test_exposition.py"),
    "telemetry/metrics.py": ("telemetry/test_queries.py",),
    "telemetry/profiles.py": ("plugins/test_pprof.py",),
    "telemetry/unlabelled.py": ("deploy/test_metrics.py",),
    "upstream/https/*": ("upstream/test_https.py", "plugins/test_forward_tls.py"),
    "upstream/address.py": ("plugins/test_forward_settings.py", "cli/test_check.py"),
    "upstream/connection.py": ("upstream/test_stream.py", "upstream/test_https.py"),
    "upstream/exchange.py": ("upstream/test_datagram.py", "upstream/test_spoofing.py"),
    "upstream/failure.py": ("plugins/test_forward.py",),
    "upstream/server.py": ("plugins/test_forward.py", "plugins/test_forward_tls.py"),
    "upstream/settings.py": ("plugins/test_forward_settings.py",),
    "wire/header.py": ("wire/test_query.py",),
    "wire/record.py": ("wire/test_encode.py", "wire/test_rdata.py"),
    "wire/response.py": ("wire/test_encode.py",),
    "wire/stream.py": ("plugins/test_transfer.py",),
    "wire/presentation/entries.py": ("wire/presentation/test_zonetext.py",),
    "wire/presentation/fields.py": ("plugins/test_file_texts.py", "wire/presentation/test_words.py"),
    "wire/presentation/generate.py": ("plugins/test_file_texts.py", "wire/presentation/test_zonetext.py"),
}  # fmt: skip
MODULES = [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


def has_own_test(module: str) -> bool:
    *folders, name = Path(module).with_suffix("").parts
    found = [TESTS.joinpath(*folders, f"test_{name}.py")]
    if len(folders) > 1:
        found.append(TESTS.joinpath(*folders[:-1], f"test_{folders[-1]}_{name}.py"))
        if name == "directive":
            found.append(TESTS.joinpath(*folders[:-1], f"test_{folders[-1]}.py"))
    return any(path.exists() for path in found)


def is_row_of(key: str, module: str) -> bool:
    return fnmatch(module, key) and key.count("/") == module.count("/")


UNTESTED = [module for module in MODULES if not has_own_test(module)]


def test_each_module_has_a_test_or_a_row() -> None:
    assert len(MODULES) > 100
    assert [module for module in UNTESTED if not any(is_row_of(key, module) for key in COVERED)] == []


@pytest.mark.parametrize("key", COVERED)
def test_each_row_names_a_module_without_its_own_test_and_tests_that_exist(key: str) -> None:
    assert any(is_row_of(key, module) for module in UNTESTED), "no module needs this row"
    assert COVERED[key]
    assert [path for path in COVERED[key] if not (TESTS / path).is_file()] == []
