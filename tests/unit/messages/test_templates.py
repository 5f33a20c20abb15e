import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from predue.errors import TextMissing
from predue.messages.templates import TemplateSet, check_texts


def test_the_installed_texts_are_whole() -> None:
    assert check_texts() == []


def test_an_unknown_placeholder_is_an_error_that_names_file_key_and_placeholder() -> None:
    texts = TemplateSet("en-US", "sms", {"T-3": {"one": "Dear {{name}}"}})
    with pytest.raises(TextMissing, match=r"texts/en-US/sms.toml: T-3.one holds the unknown placeholder \{\{name\}\}"):
        texts.fill({"name": "Ana"}, "T-3", "one")


def test_a_value_that_looks_like_a_placeholder_is_not_read_again() -> None:
    texts = TemplateSet("en-US", "sms", {"T-3": {"one": "{{lender}}: {{loan}}"}})
    assert texts.fill({"lender": "{{loan}}", "loan": "{{lender}}"}, "T-3", "one") == "{{loan}}: {{lender}}"


def test_the_version_changes_with_any_word_of_the_message_and_with_no_other() -> None:
    words = {"frame": "{{text}}", "T-3": {"one": "a", "many": "b"}, "T-1": {"one": "c", "many": "d"}}
    version = TemplateSet("en-US", "email", words).version("T-3", "<p>")
    assert TemplateSet("en-US", "email", words | {"T-1": {"one": "x"}}).version("T-3", "<p>") == version
    assert TemplateSet("en-US", "email", dict(reversed(words.items()))).version("T-3", "<p>") == version
    changes: list[dict[str, Any]] = [{"frame": "{{text}}!"}, {"T-3": {"one": "a", "many": "B"}}, {"date": "EEE"}]
    assert all(TemplateSet("en-US", "email", words | change).version("T-3", "<p>") != version for change in changes)
    assert TemplateSet("en-US", "email", words).version("T-3", "<div>") != version


Change = Callable[[str], str]


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("en-US/sms.toml", lambda text: text.replace("{{amount}}", "{{amont}}", 1), "unknown placeholder {{amont}}"),
        ("en-US/sms.toml", lambda text: text.replace("{{loan}}", "{{name}}", 1), "unknown placeholder {{name}}"),
        (
            "en-US/sms.toml",
            lambda text: text.replace("{{help}}", "{{unsubscribe_url}}"),
            "unknown placeholder {{unsubscribe_url}}",
        ),
        ("en-US/sms.toml", lambda text: text.replace("Reply STOP", "www.example.com"), "holds a link"),
        ("en-US/sms.toml", lambda text: text.replace('["T-1"]', '["T-2"]'), "T-1.one is missing"),
        ("en-US/sms.toml", lambda text: text.replace("[before]", "[befor]"), "befor is neither a stage"),
        ("en-US/sms.toml", lambda text: text.replace("EEE, MMM d", "HH:mm"), "date is no date pattern"),
        ("en-US/sms.toml", lambda text: text.replace("most = 5", "most = 0"), "lines.most"),
        ("en-US/sms.toml", lambda text: text.replace('more = "and', 'mor = "and'), "lines.more is missing"),
        ("en-US/sms.toml", lambda text: text.replace('"…" =', '"...." ='), "spelling replaces single letters"),
        (
            "zh-CN/email.toml",
            lambda text: text.replace("{{unsubscribe_url}}", ""),
            "frame does not hold {{unsubscribe_url}}",
        ),
        ("zh-CN/email.toml", lambda text: text.replace("{{count}}期", "{{count}期", 1), "brace outside a placeholder"),
        (
            "es-US/email.toml",
            lambda text: text.replace('subject = "Su', 'subject = "Su\\n', 1),
            "T-7.subject is not one line",
        ),
        ("es-US/email.toml", lambda text: text.replace("frame =", "frame"), "texts/es-US/email.toml: Expected"),
        ("es-US/email.toml", lambda _: "", "frame is missing"),
        ("email.html", lambda text: text.replace("{{content}}", "{{name}}"), "texts/email.html: needs"),
        ("locales.toml", lambda text: text.replace('default = "en-US"', 'default = "fr-FR"'), "default is not one"),
        ("locales.toml", lambda text: text.replace('"zh-CN"]', '"zh-CN", "fr-FR"]'), "fr-FR/sms.toml cannot be read"),
    ],
)
def test_the_check_finds_what_a_change_of_texts_broke(tmp_path: Path, file: str, change: Change, told: str) -> None:
    shutil.copytree(str(files("predue.messages") / "texts"), tmp_path, dirs_exist_ok=True)
    text = (tmp_path / file).read_text("utf-8")
    assert change(text) != text
    (tmp_path / file).write_text(change(text), "utf-8")
    assert any(told in problem for problem in check_texts(tmp_path))


def test_the_check_takes_a_stage_that_a_lender_added(tmp_path: Path) -> None:
    shutil.copytree(str(files("predue.messages") / "texts"), tmp_path, dirs_exist_ok=True)
    file = tmp_path / "en-US" / "sms.toml"
    file.write_text(file.read_text("utf-8") + '["T-5"]\none = "{{amount}} is due."\nmany = "{{lines}}"\n', "utf-8")
    assert check_texts(tmp_path) == []
