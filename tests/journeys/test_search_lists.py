"""The walks of `explain --from` beside the stub resolvers themselves: getaddrinfo of glibc and of musl.

Both are asked in a pod's network namespace; the server answers by a table and notes what it is asked for. musl is that
of the Debian package musl-dev, with which a program is linked statically.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from journeys.pod import SERVER, Pod, network_namespace
from peers import missing, need
from server.search_lists import ROWS, SearchRow

from clusterdns.server.explaining.searching.search_list import WALKS
from testing.peers import cache_folder

SCRIPT = Path(__file__).with_name("search_server.py")
PROGRAM = """
#include <netdb.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    struct addrinfo hints, *found = 0;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    printf("%d\\n", getaddrinfo(argv[1], 0, &hints, &found));
    return 0;
}
"""
ERRORS = {0: "", -2: "EAI_NONAME", -3: "EAI_AGAIN", -4: "EAI_FAIL", -5: "EAI_NODATA"}  # netdb.h, of both
MUSL_ROOTS = (cache_folder() / "peers" / "musl", Path("/"))  # musl-dev unpacked in the cache, or installed

pytestmark = [pytest.mark.peer("gcc")]


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    with network_namespace("search") as made:
        yield made


@pytest.fixture(scope="module", params=["glibc", "musl"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A program that calls getaddrinfo, linked with one of the libraries."""
    library: str = request.param
    folder = tmp_path_factory.mktemp(library)
    (folder / "gai.c").write_text(PROGRAM)
    words = [need("gcc"), "-o", str(folder / "gai"), str(folder / "gai.c")]
    if library == "musl":
        root = next((one for one in MUSL_ROOTS if (one / "usr/lib/x86_64-linux-musl").is_dir()), None)
        if root is None:
            missing("musl", "install the Debian package musl-dev")
        objects = [root / "usr/lib/x86_64-linux-musl" / name for name in ("crt1.o", "crti.o", "libc.a", "crtn.o")]
        headers = str(root / "usr/include/x86_64-linux-musl")
        words = [words[0], "-static", "-nostdinc", "-nostdlib", "-isystem", headers, *words[1:], *map(str, objects)]
    subprocess.run(words, check=True, capture_output=True)
    return library, folder / "gai"


@pytest.mark.parametrize("row", [row for row in ROWS if all(row.search.domains)], ids=lambda row: row.id)
def test_a_walk_is_that_of_the_stub_resolver(pod: Pod, client: tuple[str, Path], row: SearchRow) -> None:
    library, program = client
    none = "search .\n" if library == "glibc" else ""  # glibc takes the host's domain where no line says none
    domains = f"search {' '.join(row.search.domains)}\n" if row.search.domains else none
    conf = f"{domains}nameserver {SERVER}\noptions ndots:{row.search.ndots} timeout:1 attempts:1\n"
    (Path("/etc/netns") / pod.namespace / "resolv.conf").write_text(conf)
    command = pod.command(sys.executable, str(SCRIPT), SERVER, json.dumps(row.known))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == "ready\n"
            code = int(pod.run(str(program), row.name))
        finally:
            server.terminate()
        asked = list(dict.fromkeys(line.split()[0] for line in server.stdout))
    walked = WALKS[library](row.name, row.search)
    tried = [next(walked)]
    while True:
        try:
            tried.append(walked.send(row.known.get(tried[-1], row.otherwise)))
        except StopIteration as ended:
            walk = ended.value
            break
    assert asked == tried
    older = {"EAI_NODATA": "EAI_NONAME"} if library == "musl" else {}  # before musl 1.2.4
    assert ERRORS[code] in (walk.failure, older.get(walk.failure, walk.failure))
