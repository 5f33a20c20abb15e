import re

from tests.infrastructure.stack import ROOT

_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_test_that_the_page_of_faults_names_is_there() -> None:
    named = _NAMED.findall((ROOT / "docs" / "faults.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    for path, test in named:
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8"), (path, test)
