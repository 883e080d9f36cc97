"""The page tells everything in one file, shows nobody, and asks for nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from components.evaluation.report.page import name_of, render
from components.evaluation.report.report import Report
from components.evaluation.verdict import Overall
from components.settings import Params
from tests.evaluation.report.small_report import jpegs_of, magenta_pixels, small_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures and the report lie."""
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def report(folder: Path, params: Params) -> Report:
    """A small report."""
    return small_report(folder, params)


@pytest.fixture(scope="module")
def html(report: Report, folder: Path, params: Params) -> str:
    """Its page."""
    return render(report, params.gate, folder)


class Tags(HTMLParser):
    """Collects the tags of a page, and complains of those that are not closed."""

    _VOID = frozenset({"meta", "img", "br", "hr", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.all: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.all.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.all.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """A tag ends; it must be the last one that began."""
        assert self.open.pop() == tag


def parsed(html: str) -> Tags:
    """The tags of a page."""
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def test_no_missed_object_is_in_the_page(html: str, report: Report) -> None:
    """No decoded picture has a pixel of the objects' colour, missed or found; the originals have thousands."""
    shown = jpegs_of(html)
    gallery = report.gallery
    assert len(shown) == len(gallery.largest) + len(gallery.least_sure) + len(gallery.false_blurs) + 2 * len(
        gallery.pairs
    )
    assert gallery.missed == 3
    assert len(gallery.largest) == 3
    assert [magenta_pixels(pixels) for pixels in shown] == [0] * len(shown)
    original = np.asarray(Image.open(gallery.largest[0].miss.path).convert("RGB"))
    assert magenta_pixels(original) > 3000


def test_missed_objects_are_outlined_and_linked(html: str, report: Report, folder: Path) -> None:
    """Each miss has its size, its confidence, an outline, and a relative link that leads to the original."""
    assert html.count('class="missed"') >= 3
    assert "Face, 40 px" in html
    assert "would be hidden at a threshold of 0.050" in html
    links = [str(attrs["href"]) for tag, attrs in parsed(html).all if tag == "a"]
    originals = [unquote(link) for link in links if not link.startswith("#")]
    assert originals
    assert all(not link.startswith("/") and (folder / link).is_file() for link in originals)
    assert {Path(report.gallery.largest[0].miss.path).name} <= {Path(link).name for link in originals}


def test_the_page_asks_for_nothing_from_elsewhere(html: str) -> None:
    """No script, no address, no import; pictures are data, and the page forbids itself everything else."""
    tags = parsed(html)
    assert {tag for tag, _ in tags.all} & {"script", "link", "iframe", "object", "embed", "base"} == set()
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    sources = [str(attrs[key]) for _, attrs in tags.all for key in ("src", "srcset") if key in attrs]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "default-src 'none'" in html


def test_the_gate_is_on_top_and_has_every_requirement(html: str, report: Report) -> None:
    """The verdict comes before everything else, and each row has its verdict in words."""
    assert report.judged.gate.overall is Overall.FAILED
    assert html.index("Gate: failed") < html.index("In plain words") < html.index("The worst misses")
    table = html[html.index('<table class="gate">') : html.index("</table>")]
    for row in report.judged.gate.rows:
        assert row.title in table
        assert row.outcome.value in table
    assert table.count("not assessed") >= 4


def test_ids_are_unique_and_every_place_that_is_named_exists(html: str) -> None:
    """Charts share no id, and the table of contents, labels and clip paths lead somewhere."""
    tags = parsed(html)
    ids = [str(attrs["id"]) for _, attrs in tags.all if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = [str(attrs["href"])[1:] for _, attrs in tags.all if str(attrs.get("href", "")).startswith("#")]
    named += re.findall(r"url\(#([^)]+)\)", html)
    named += [str(attrs["aria-labelledby"]) for _, attrs in tags.all if "aria-labelledby" in attrs]
    assert set(named) <= set(ids)
    assert all(attrs.get("alt") for tag, attrs in tags.all if tag == "img")


def test_names_are_escaped_and_colours_are_the_pages_own(html: str) -> None:
    """What a title holds is text and no tag; charts have no colour that would not follow the page."""
    assert "Own &lt;model&gt; &amp; co" in html
    assert "<model>" not in html
    charts = re.findall(r'<div role="img".*?</svg>', html, re.DOTALL)
    assert len(charts) >= 6
    assert not re.search(r"#[0-9a-f]{6}\b", " ".join(charts))
    assert all(f"var(--model-{i})" in " ".join(charts) for i in (1, 2))


def test_the_same_evaluation_gives_the_same_page(html: str, report: Report, folder: Path, params: Params) -> None:
    """Drawing and hiding again give the same bytes."""
    assert render(report, params.gate, folder) == html
    assert render(small_report(folder, params), params.gate, folder) == html


def test_without_complete_labels_the_page_says_what_is_lacking(tmp_path: Path, params: Params) -> None:
    """Nothing is said of false blurs or of precision, and the sections say why."""
    html = render(small_report(tmp_path, params, complete=False), params.gate, tmp_path)
    assert "No picture is labelled completely" in html
    assert "None was seen. Only completely labelled pictures can tell; there are 0." in html
    assert "How much is found, and how much of it is right" not in html
    assert "no completely labelled pictures in the test pictures" in html


def test_paths_of_the_machine_are_not_shown(html: str, folder: Path) -> None:
    """Of a picture outside of the project only the file's name is told."""
    assert name_of("data/labelled/a.jpg") == "data/labelled/a.jpg"
    assert name_of("/somewhere/else/a.jpg") == "a.jpg"
    assert str(folder) not in html
