"""The structure of the package stays within its limits; `structure` has the figures."""

from house.structure import PACKAGE, ROOT, measure

from clusterdns.plugins.order import ORDER

MAX_MODULES = 14  # of a folder
MAX_CHAIN = 21


def test_folders_are_small() -> None:
    large = {folder: count for folder, count in measure().modules.items() if count > MAX_MODULES}
    assert set(large) <= {"clusterdns/plugins"}, large


def test_plugins_has_an_entry_per_directive_and_nothing_else() -> None:
    entries = {path.stem for path in (PACKAGE / "plugins").iterdir() if not path.name.startswith("__")}
    assert entries == {*ORDER, "order"}


def test_a_class_name_stands_for_one_class() -> None:
    assert measure().classes == {}


def test_chains_of_imports_are_short() -> None:
    chain = measure().chain
    assert len(chain) <= MAX_CHAIN, " > ".join(chain)


def test_folders_say_what_they_are_for() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert path.read_text(encoding="utf-8").startswith('"""'), str(path.relative_to(ROOT))
