"""Every command block of the README and of docs/ is run as it is written; every link leads on.

The blocks of one document run in their order, in one folder that is empty at first. A comment on
the line above a block changes that, and is seen by no reader:

    <!-- not run: needs a GPU -->      the block is listed as skipped, with this reason
    <!-- exit: 3 -->                   it must end with this code; several with "or"
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
READ = [
    *RUN,
    *(path for path in (ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md") if path.exists()),
    *sorted((ROOT / "models").rglob("*.md")),
]
SHELLS, PYTHON = {"console", "sh"}, {"python"}
# A block under another name would not be run: these hold no commands.
SILENT = {"text", "toml", "json", "yaml", "c", "mermaid"}
FENCE = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]+?) -->\n)?^```(?P<language>\S*)\n(?P<body>.*?)^```$", re.M | re.S
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(?:img|a)[^>]+(?:src|href)=\"([^\"]+)\"")
LIMIT_S = 600  # a shared machine may be slow


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, the comment above it, its text."""

    document: Path
    line: int
    language: str
    marker: str
    body: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"

    @property
    def not_run(self) -> str:
        """Why it is not run; empty if it is."""
        return self.marker.removeprefix("not run: ") if self.marker.startswith("not run") else ""

    @property
    def codes(self) -> set[int]:
        """The exit codes it may end with."""
        if not self.marker.startswith("exit: "):
            return {0}
        return {int(code) for code in self.marker.removeprefix("exit: ").split(" or ")}

    @property
    def script(self) -> str:
        """What is run: all of it, or of a console the lines that were typed."""
        return "\n".join(typed(self.body)) if self.language == "console" else self.body


def typed(body: str) -> Iterator[str]:
    more = False
    for line in body.splitlines():
        if line.startswith("$ ") or more:
            yield line.removeprefix("$ ").removeprefix("> ")
            more = line.endswith("\\")


def blocks(document: Path, text: str | None = None) -> list[Block]:
    text = document.read_text(encoding="utf-8") if text is None else text
    return [
        Block(
            document,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            found["marker"] or "",
            found["body"],
        )
        for found in FENCE.finditer(text)
    ]


ALL = [block for document in RUN for block in blocks(document)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Give each document a folder of its own, empty at first."""
    return {document: tmp_path_factory.mktemp(document.stem) for document in RUN}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give all of them one home, so that no cache of this machine's user is read or written."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [block for block in ALL if block.language in SHELLS | PYTHON], ids=str
)
def test_a_block_runs_as_it_is_written(block: Block, folders: dict[Path, Path], home: Path) -> None:
    if block.not_run:
        pytest.skip(f"{block}: {block.not_run}")
    if block.document.name == "c.md" and shutil.which("cc") is None:
        pytest.skip(f"{block}: there is no C compiler: `apt-get install gcc`.")
    shell = ["bash", "-euo", "pipefail", "-c"]
    command = [sys.executable, "-c"] if block.language in PYTHON else shell
    done = subprocess.run(
        [*command, block.script],
        cwd=folders[block.document],
        env={**os.environ, **environment(home)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode in block.codes, f"{block.script}\n{done.stdout}\n{done.stderr}"


def environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}


@pytest.mark.parametrize("document", RUN, ids=lambda path: path.name)
def test_no_block_hides_its_commands(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not re.search(r"^([ \t]+```|~~~)", text, re.M), "only plain fences are found and run"
    for block in blocks(document):
        assert block.language in SHELLS | PYTHON | SILENT, f"{block} has no known language"
        assert re.fullmatch(r"|not run: .{10,}|exit: \d+( or \d+)*", block.marker), block


@pytest.mark.parametrize("document", READ, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_links_lead_to_something(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for found in LINK.finditer(text):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = (document.parent / target).resolve() if target else document
        assert place.exists(), f"{document.name} links to {target}, which is not there"
        assert place.is_relative_to(ROOT), f"{document.name} links out of the repository"
        if anchor:
            assert anchor in anchors(place), f"{document.name} links to {target}#{anchor}"


def anchors(document: Path) -> set[str]:
    """Give the anchors of a document's headings, as GitHub names them."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


EXAMPLE = """# One `edgecnn` thing

<!-- a remark that belongs to no block -->

<!-- exit: 2 or 3 -->
```console
$ echo one \\
    two
one two
$ exit 3
```

<!-- not run: it would take a week -->
```sh
sleep 604800
```

```text
$ false
```
"""


def test_blocks_are_found_with_what_is_said_of_them(tmp_path: Path) -> None:
    first, second, third = blocks(tmp_path / "x.md", EXAMPLE)
    assert (first.line, first.codes, first.not_run) == (6, {2, 3}, "")
    assert first.script == "echo one \\\n    two\nexit 3"
    assert second.not_run == "it would take a week"
    assert (third.language, third.codes) == ("text", {0})
    document = tmp_path / "x.md"
    document.write_text(EXAMPLE)
    assert anchors(document) == {"one-edgecnn-thing"}
