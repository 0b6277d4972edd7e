"""What a page of the documentation holds that can be checked: links, headings, code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_HTML_TARGET = re.compile(r'(?:src|href|srcset)="([^"]+)"')
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """Code in running text, and its line."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Code that stands by itself."""

    line: int
    text: str
    language: str
    """Of a fenced block; empty for an indented one."""
    note: str = ""
    """The comment right before it."""


@dataclass(slots=True)
class Page:
    """A page, taken apart."""

    path: Path
    links: list[tuple[int, str]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    blocks: list[Block] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))


def read_page(path: Path) -> Page:
    """Take a page apart, as GitHub would read it."""
    page = Page(path)
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    line, note = 1, ""
    for index, token in enumerate(tokens):
        line = token.map[0] + 1 if token.map else line
        match token.type:
            case "fence" | "code_block":
                page.blocks.append(Block(line, token.content, token.info.strip(), note))
            case "heading_open":
                _add_anchor(page.anchors, _spoken(tokens[index + 1]))
            case "inline":
                _read_inline(page, token, line)
            case "html_block":
                page.links += [(line, target) for target in _HTML_TARGET.findall(token.content)]
        comment = _COMMENT.search(token.content) if token.type == "html_block" else None
        note = comment[1] if comment else ""
    return page


def commands(page: Page) -> Iterator[Block | Span]:
    """The lines of shell blocks, continued ones joined, and what may be one in running text."""
    for block in page.blocks:
        if block.language in ("", "sh", "bash", "console"):
            whole = re.sub(r"\\\n\s*", "", block.text)
            for offset, line in enumerate(whole.splitlines()):
                # what stands behind two spaces is said about the command
                typed = re.split(r"\s{2,}", line.strip().removeprefix("$ "))[0]
                yield Block(block.line + offset, typed, block.language)
    yield from page.spans


def _read_inline(page: Page, token: Token, line: int) -> None:
    for child in token.children or ():
        match child.type:
            case "link_open":
                page.links.append((line, str(child.attrs["href"])))
            case "image":
                page.links.append((line, str(child.attrs["src"])))
            case "html_inline":
                page.links += [(line, target) for target in _HTML_TARGET.findall(child.content)]
            case "code_inline":
                page.spans.append(Span(line, child.content))


def _spoken(token: Token) -> str:
    return "".join(
        child.content for child in token.children or () if child.type in ("text", "code_inline")
    )


def _add_anchor(anchors: set[str], heading: str) -> None:
    """The name that GitHub gives a heading; a second one of the same text gets a number."""
    name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    numbered, count = name, 0
    while numbered in anchors:
        count += 1
        numbered = f"{name}-{count}"
    anchors.add(numbered)
