import json

import yaml

from infrastructure.local.runtime.sam_local import ENDPOINT, ENV_FILE, environment_file
from infrastructure.local.sam.template import _Loader
from tests.functions.recorded import ROOT

RENEW = "run .venv/bin/python -m infrastructure.local.runtime.sam_local --write"


def test_the_environment_file_is_what_the_template_gives_the_functions() -> None:
    assert json.loads(ENV_FILE.read_text(encoding="utf-8")) == environment_file(), RENEW


def test_nothing_in_the_environment_file_leads_to_aws_or_is_drawn_anew_each_time() -> None:
    first, second = environment_file(), environment_file()
    assert first == second
    urls = {value for own in first.values() for name, value in own.items() if name.endswith("QUEUE_URL")}
    assert urls
    assert all(url.startswith(ENDPOINT) for url in urls)


def test_every_variable_of_the_environment_file_is_declared_or_sam_would_drop_it() -> None:
    template = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    shared = set(template["Globals"]["Function"]["Environment"]["Variables"])
    for logical_id, own in json.loads(ENV_FILE.read_text(encoding="utf-8")).items():
        declared = set(template["Resources"][logical_id]["Properties"]["Environment"]["Variables"])
        assert set(own) == declared | shared
