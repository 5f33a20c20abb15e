import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GENERATED = [ROOT / "docs" / "openapi.json", *(ROOT / "docs" / "schemas").iterdir()]
BY_HAND = [README, *(path for path in (ROOT / "docs").rglob("*") if path.is_file() and path not in GENERATED)]
PAGES = [
    *(path for path in BY_HAND if path.suffix == ".md"),
    ROOT / "functions" / "predue" / "messages" / "texts" / "README.md",
]


def headings(page: Path) -> set[str]:
    """The anchors that a page has, as GitHub makes them of its headings."""
    without_code = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_and_what_is_written_by_hand_stay_short_enough_for_one_person_to_read() -> None:
    assert README.stat().st_size <= 10_240
    made = re.compile(rb"<!-- lifecycles.*<!-- end of lifecycles -->", re.DOTALL)
    assert sum(len(made.sub(b"", path.read_bytes())) for path in BY_HAND) <= 150_000


def test_every_link_from_one_page_to_another_leads_to_a_file_and_a_heading_that_are_there() -> None:
    links = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if not target.startswith("http")
    ]
    assert len(links) > 80
    for page, target in links:
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in headings(there), f"{page.name} links to {target}"


def test_every_page_is_on_the_map_of_the_readme() -> None:
    mapped = README.read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page != README and f"]({page.relative_to(ROOT)})" not in mapped] == []


def test_every_parameter_of_the_template_stands_on_the_page_about_deploying() -> None:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    parameters = re.findall(r"^  (\w+):$", template.partition("\nParameters:\n")[2].partition("\n\n")[0], re.MULTILINE)
    assert "EmailFrom" in parameters
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `")))
    assert [name for name in parameters if name not in named] == []
