"""The manifest source: the changes that an edit, a removal, a broken file or a replaced link is reported as.

Polls are called, not waited for; the clock says that every file was written long ago unless a test is about that.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from fakes.seen import Seen

from clusterdns.cluster.manifests import files
from clusterdns.cluster.manifests.source import ManifestError, ManifestSource, differences
from clusterdns.cluster.objects import Change, EndpointSlice, Namespace, Object, Pod, Service
from clusterdns.host import followed_file
from clusterdns.telemetry.metrics import Registry

HOUR_NS = 3600 * 10**9
Make = Callable[..., ManifestSource]


def service(name: str, port: int = 80, selector: str = "") -> str:
    return (
        f"kind: Service\nmetadata: {{name: {name}}}\n"
        f"spec: {{clusterIP: None, {selector}ports: [{{port: {port}}}]}}\n---\n"
    )


def stateful(name: str, replicas: int) -> str:
    return (
        f"kind: StatefulSet\nmetadata: {{name: {name}}}\n"
        f"spec: {{replicas: {replicas}, template: {{metadata: {{labels: {{app: {name}}}}}}}}}\n---\n"
    )


@pytest.fixture
def make(seen: Seen, registry: Registry, tmp_path: Path) -> Make:
    def make_one(*paths: Path, now_ns: Callable[[], int] = lambda: time.time_ns() + HOUR_NS) -> ManifestSource:
        texts = [str(path) for path in paths or (tmp_path,)]
        return ManifestSource(texts, seen.on_change, seen.on_synced, registry, now_ns=now_ns)

    return make_one


def services(seen: Seen) -> set[str]:
    return seen.names(Service)


async def poll(source: ManifestSource, seen: Seen) -> list[Change]:
    """The changes that one poll reported; the next poll reports none."""
    seen.changes.clear()
    await source.poll()
    found = list(seen.changes)
    await source.poll()
    assert seen.changes == found
    return found


async def test_load_then_add_edit_and_remove(make: Make, seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(service("a"))
    source = make()
    assert (source.synced, source.reason) == (False, "manifests have not been read yet")
    source.load()
    assert (source.synced, source.reason, seen.synced_count) == (True, "", 1)
    assert (services(seen), seen.names(Namespace)) == ({"a"}, {"default", "kube-system"})
    assert await poll(source, seen) == []

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yml").write_text(service("b"))
    (tmp_path / "c.json").write_text(
        '{"kind": "Service", "metadata": {"name": "c"}, "spec": {"clusterIP": "10.0.0.1"}}'
    )
    (tmp_path / "d.txt").write_text(service("d"))
    (tmp_path / ".e.yaml").write_text(service("e"))
    assert len(await poll(source, seen)) == 2
    assert services(seen) == {"a", "b", "c"}

    (tmp_path / "a.yaml").write_text(service("a", port=81))
    ((old, new, _),) = await poll(source, seen)
    assert isinstance(old, Service)
    assert isinstance(new, Service)
    assert (old.ports[0].number, new.ports[0].number) == (80, 81)

    (tmp_path / "a.yaml").unlink()
    (tmp_path / "b.yaml").write_text("")
    (change,) = await poll(source, seen)
    assert (change.old, change.new) == (new, None)
    assert seen.synced_count == 1


async def test_scaling_changes_one_slice_and_nothing_else(make: Make, seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("db", selector="selector: {app: db}, ") + stateful("db", 2))
    source = make()
    source.load()
    file.write_text("# moved a line down\n" + service("db", selector="selector: {app: db}, ") + stateful("db", 3))
    ((old, new, _),) = await poll(source, seen)
    assert isinstance(old, EndpointSlice)
    assert isinstance(new, EndpointSlice)
    assert new.endpoints[:2] == old.endpoints
    file.write_text(service("db", selector="selector: {app: db}, ") + stateful("db", 0))
    assert await poll(source, seen) == [Change(new, None)]


@pytest.mark.parametrize("touch", ["content", "times"])
async def test_a_touched_file_is_not_a_change(make: Make, seen: Seen, tmp_path: Path, touch: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    source = make()
    source.load()
    if touch == "times":
        os.utime(file, (1, 1))
    else:
        file.write_text(service("a") + "# a comment\n")
    assert await poll(source, seen) == []


async def test_an_edit_that_keeps_size_and_time_is_seen(make: Make, seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    os.utime(file, (1000, 1000))
    source = make()
    source.load()
    file.write_text(service("b"))
    os.utime(file, (1000, 1000))
    await poll(source, seen)
    assert services(seen) == {"b"}


async def test_a_file_being_written_is_left_for_the_next_poll(make: Make, seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    now = [0]
    source = make(now_ns=lambda: now[0])
    now[0] = file.stat().st_mtime_ns
    source.load()  # the first time, whatever there is is taken
    assert services(seen) == {"a"}
    file.write_text("")
    now[0] = file.stat().st_mtime_ns + 10**7
    assert await poll(source, seen) == []
    file.write_text(service("b"))
    now[0] = file.stat().st_mtime_ns + 10**9
    await poll(source, seen)
    assert services(seen) == {"b"}


BROKEN = [
    ("kind: Service\nmetadata: [\n", "a.yaml:2: "),
    ("- not\n- a mapping\n", "a.yaml:1: a list instead of an object with a kind"),
    ("kind: Pod\na: \x02\n", "a.yaml:2: "),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
async def test_a_broken_file_keeps_its_last_good_content(
    make: Make, seen: Seen, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, message: str
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    (tmp_path / "b.yaml").write_text(service("b"))
    source = make()
    source.load()
    caplog.clear()
    file.write_text(text)
    (tmp_path / "b.yaml").write_text(service("b2"))
    await poll(source, seen)
    assert services(seen) == {"a", "b2"}
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]  # once for two polls
    assert message in record.getMessage()
    assert message in source.warning
    assert source.synced
    file.write_text(service("a"))
    assert await poll(source, seen) == []
    assert source.warning == ""


def test_a_file_that_is_broken_from_the_start(
    make: Make, seen: Seen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_text(service("b"))
    source = make()
    source.load()
    assert services(seen) == {"b"}
    assert f"{tmp_path}/a.yaml:1: " in caplog.text
    assert f"{tmp_path}/a.yaml:1: " in source.warning


async def test_a_file_that_grows_too_large(
    make: Make, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(service("a"))
    source = make()
    source.load()
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1 << 20)
    file.write_text(service("b") + "#" * (1 << 20))
    assert await poll(source, seen) == []
    assert "is larger than 1 MiB" in source.warning
    file.write_text(service("b"))
    await poll(source, seen)
    assert (services(seen), source.warning) == ({"b"}, "")


async def test_unreadable_files_and_folders_keep_their_content(
    make: Make, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text(service("a"))
    (tmp_path / "b.yaml").write_text(service("b"))
    source = make()
    source.load()
    listed = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    with monkeypatch.context() as patch:  # chmod means nothing to root
        patch.setattr(os, "scandir", refuse)
        (tmp_path / "b.yaml").unlink()
        await poll(source, seen)
        assert (services(seen), source.warning) == ({"a"}, f"{tmp_path}/sub: Permission denied")
    assert await poll(source, seen) == []
    assert source.warning == ""

    def unreadable(path: str) -> BinaryIO:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "sub" / "a.yaml").write_text(service("c"))
    with monkeypatch.context() as patch:
        patch.setattr(followed_file, "open_file", unreadable)
        assert await poll(source, seen) == []
        assert source.warning == f"{tmp_path}/sub/a.yaml: Permission denied"
    await poll(source, seen)
    assert (services(seen), source.warning) == ({"c"}, "")


@pytest.mark.parametrize("is_folder", [True, False])
async def test_a_path_that_vanishes_keeps_its_content(
    make: Make, seen: Seen, tmp_path: Path, caplog: pytest.LogCaptureFixture, is_folder: bool
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(service("a"))
    source = make(root if is_folder else root / "a.yaml")
    source.load()
    root.rename(tmp_path / "elsewhere")
    assert await poll(source, seen) == []
    assert "No such file or directory" in source.warning
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    root.mkdir()
    (root / "a.yaml").write_text(service("b"))
    await poll(source, seen)
    assert (services(seen), source.warning) == ({"b"}, "")


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "missing: No such file or directory"), ("fifo", "fifo: neither a file nor a folder")],
)
def test_a_path_that_cannot_be_served(make: Make, tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "a.yaml").write_text(service("a"))
    with pytest.raises(ManifestError, match=message):
        make(tmp_path / "a.yaml", tmp_path / name).load()


def test_a_selector_that_cannot_be_read(seen: Seen, registry: Registry) -> None:
    with pytest.raises(ManifestError, match="label selector 'a in': "):
        ManifestSource([], seen.on_change, seen.on_synced, registry, labels="a in")


def test_an_empty_folder_is_a_cluster_without_services(make: Make, seen: Seen) -> None:
    make().load()
    assert seen.names(Namespace) == {"default", "kube-system"}
    assert seen.synced_count == 1


async def test_a_configmap_s_swapped_links(make: Make, seen: Seen, tmp_path: Path) -> None:
    """The kubelet writes a new folder, then renames a link over `..data`; the files are links through it."""
    for version in ("1", "2"):
        (tmp_path / f"..v{version}").mkdir()
        (tmp_path / f"..v{version}" / "a.yaml").write_text(service(f"a{version}"))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    source = make()
    source.load()
    assert services(seen) == {"a1"}
    (tmp_path / "..tmp").symlink_to("..v2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    assert len(await poll(source, seen)) == 2
    assert services(seen) == {"a2"}


async def test_linked_folders_are_followed_once(make: Make, seen: Seen, tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (other / "a.yaml").write_text(service("a"))
    (root / "link").symlink_to(other)
    (other / "back").symlink_to(root)
    (root / "gone.yaml").symlink_to("nowhere")
    source = make(root, root, root / "link")
    source.load()
    assert services(seen) == {"a"}
    (root / "link").unlink()
    await poll(source, seen)
    assert services(seen) == {"a"}  # named on its own, and not found: kept
    assert "link: No such file" in source.warning


async def test_an_unusable_object_is_logged_and_counted_once(
    make: Make, seen: Seen, registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: Service\nmetadata: {name: bad}\nspec: {ports: 7}\n---\n" + service("a"))
    source = make()
    source.load()
    file.write_text("kind: Service\nmetadata: {name: bad}\nspec: {ports: 7}\n---\n" + service("b"))
    await poll(source, seen)
    assert services(seen) == {"b"}
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{file}:1: Service default/bad: ")
    skipped = registry.counter("clusterdns_objects_skipped_total", "API objects that could not be decoded.", "kind")
    assert {values: series.value for values, series in skipped.series.items()} == {("Service",): 1}


def test_a_thousand_warnings_are_not_a_thousand_lines(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.yaml").write_text('kind: Service\nmetadata: {name: "a\\nb"}\nspec: {clusterIP: x}\n---\n' * 1000)
    for number in range(300):
        (tmp_path / f"{number}.yaml").write_text(f"kind: Service\nmetadata: {{name: 's\u2028{number}'}}\n")
    make().load()
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 101
    assert "more warnings" in caplog.text
    assert not any(set(record.getMessage()) & set("\n\u2028") for record in caplog.records)


async def test_a_change_that_failed_is_reported_again(
    seen: Seen, registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = [False]

    def on_change(change: Change) -> None:
        if failing[0]:
            failing[0] = False
            raise RuntimeError("broken index")
        seen.on_change(change)

    source = ManifestSource([str(tmp_path)], on_change, seen.on_synced, registry, poll_seconds=0)
    source.load()
    failing[0] = True
    (tmp_path / "a.yaml").write_text(service("a") + service("b"))
    os.utime(tmp_path / "a.yaml", (1000, 1000))
    source.start()
    await seen.until(lambda: services(seen) == {"a", "b"})
    assert "broken index" in caplog.text
    await source.stop()
    await source.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "manifests"]


async def test_other_tasks_run_between_changes(
    make: Make, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make()
    source.load()
    monkeypatch.setattr("clusterdns.cluster.turns.MAX_TURN_SECONDS", 0)
    (tmp_path / "a.yaml").write_text("".join(service(f"s{number}") for number in range(50)))
    polling = asyncio.ensure_future(source.poll())
    turns = set()
    while not polling.done():
        await asyncio.sleep(0)
        turns.add(len(seen.changes))
    assert len(turns) > 25


def test_additions_are_reported_before_removals() -> None:
    def state(*objects: Object) -> dict[tuple[type[Object], tuple[str, str]], Object]:
        return {(type(obj), (obj.namespace, obj.name)): obj for obj in objects}

    kept, old, new = Service("d", "kept"), Service("d", "x", external_name="a"), Service("d", "x", external_name="b")
    a1, a2, b = EndpointSlice("d", "s1", "a"), EndpointSlice("d", "s2", "a"), EndpointSlice("d", "s0", "b")
    pod, gone, come = Pod("d", "p"), Namespace("gone"), Namespace("come")
    found = differences(state(kept, old, gone, a1, pod), state(a2, new, b, come, kept))
    assert found == [
        Change(None, come), Change(old, new), Change(None, a2), Change(a1, None), Change(None, b),
        Change(pod, None), Change(gone, None),
    ]  # fmt: skip


async def test_a_path_without_objects_is_a_problem_until_it_has_some(
    make: Make, tmp_path: Path, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source = make()
    source.load()
    empty = f"{tmp_path}: no file *.yaml, *.yml, *.json; it adds no Services"
    assert source.warning == empty
    (tmp_path / "a.yaml").write_text("# nothing yet\n---\nkind: ConfigMap\nmetadata: {name: c}\n")
    await poll(source, seen)
    without = f"{tmp_path}: no object that can have names; it adds no Services"
    assert source.warning == without
    (tmp_path / "a.yaml").write_text(service("a"))
    await poll(source, seen)
    await poll(source, seen)
    assert source.warning == ""
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "adds no" in line] == [empty, without, f"resolved: {without}"]


async def test_a_dangling_link_keeps_the_last_good_content(make: Make, tmp_path: Path, seen: Seen) -> None:
    (tmp_path / "target").write_text(service("a"))
    (tmp_path / "a.yaml").symlink_to("target")
    source = make()
    source.load()
    (tmp_path / "target").rename(tmp_path / "elsewhere")
    assert await poll(source, seen) == []
    assert source.warning == f"{tmp_path}/a.yaml: a link to a file that does not exist"
    (tmp_path / "a.yaml").unlink()
    await poll(source, seen)
    assert services(seen) == set(), "a link that is removed is a file that is removed"


def test_a_folder_that_cannot_be_listed_at_the_start_does_not_prevent_the_others(
    make: Make, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text(service("a"))
    listed = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source = make()
    source.load()
    assert (services(seen), source.warning) == ({"a"}, f"{tmp_path}/sub: Permission denied")


async def test_an_internal_error_is_logged_once_and_its_end_too(
    seen: Seen, registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tries = [0]

    def on_change(change: Change) -> None:
        if tries[0] in range(1, 4):
            tries[0] += 1
            raise RuntimeError("broken index")
        seen.on_change(change)

    source = ManifestSource([str(tmp_path)], on_change, seen.on_synced, registry, poll_seconds=0)
    source.load()
    tries[0] = 1
    (tmp_path / "a.yaml").write_text(service("a"))
    os.utime(tmp_path / "a.yaml", (1000, 1000))
    source.start()
    await seen.until(lambda: "applied again" in caplog.text)
    await source.stop()
    assert caplog.text.count("internal error") == 1
    assert "manifests: changes are applied again, after: RuntimeError('broken index')" in caplog.text
