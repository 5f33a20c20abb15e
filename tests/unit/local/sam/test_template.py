from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.sam.template import ACCOUNT, REGION, Resource, TemplateError, TemplateFile

TEMPLATE = """
Parameters:
  Given: {Type: String}
  Usual: {Type: Number, Default: 7}
Conditions:
  IsWord: !Equals [!Ref Given, word]
  IsOther: !Not [!Condition IsWord]
  Both: !And [!Condition IsWord, !Condition IsOther]
  Either: !Or [!Condition IsWord, !Condition IsOther]
Resources:
  Here: {Type: "A::B::C", Properties: {Name: here}}
  There:
    Type: "A::B::C"
    Condition: IsOther
  Child:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: child.yaml
      Parameters: {Word: !Sub "${Given}-s"}
  All:
    Type: "A::B::C"
    Properties: {Value: %s}
"""
CHILD = """
Parameters: {Word: {Type: String}}
Resources:
  Inner: {Type: "A::B::D", Properties: {Name: !Ref Word}}
Outputs:
  Name: {Value: !Ref Inner}
  Word: {Value: !Ref Word}
"""


def physical(resource: Resource, attribute: str) -> str:
    return f"<{resource.path}{attribute and '.' + attribute}>"


def template(folder: Path, value: str = "x", **given: Any) -> TemplateFile:
    (folder / "t.yaml").write_text(TEMPLATE % value, encoding="utf-8")
    (folder / "child.yaml").write_text(CHILD, encoding="utf-8")
    return TemplateFile(folder / "t.yaml", {"Given": "word"} | given, physical)


def value(folder: Path, text: str, **given: Any) -> Any:
    file = template(folder, text, **given)
    return next(one for one in file.resources() if one.name == "All").get("Value")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!Ref Given", "word"),
        ("!Ref Usual", 7),
        ("!Ref Here", "<Here>"),
        ("!GetAtt Here.Arn", "<Here.Arn>"),
        ("{'Fn::GetAtt': [Here, Arn]}", "<Here.Arn>"),
        ("!GetAtt Child.Outputs.Name", "<Child/Inner>"),
        ("!GetAtt Child.Outputs.Word", "word-s"),
        ('!Sub "${Given}/${Here}/${Here.Arn}/${AWS::Region}/${!Kept}"', "word/<Here>/<Here.Arn>/us-east-1/${Kept}"),
        ('!Sub ["${Own}-${Given}", {Own: !Ref Usual}]', "7-word"),
        ("!If [IsWord, a, b]", "a"),
        ("!If [IsOther, a, !Ref Here]", "<Here>"),
        ("!If [Both, a, b]", "b"),
        ("!If [Either, a, b]", "a"),
        ('!Join [":", [a, !Ref Given, !Ref Usual]]', "a:word:7"),
        ("!Ref AWS::AccountId", ACCOUNT),
        ("!Ref AWS::Region", REGION),
        ("{k: !Ref Given, gone: !Ref AWS::NoValue}", {"k": "word"}),
        ("[a, !If [IsOther, b, !Ref AWS::NoValue], [!Ref Given]]", ["a", ["word"]]),
    ],
)
def test_an_intrinsic_function_means_what_cloudformation_means(text: str, expected: Any, tmp_path: Path) -> None:
    assert value(tmp_path, text) == expected


@pytest.mark.parametrize(
    "text", ["!Select [0, [a]]", "!ImportValue x", "!Ref Nobody", '!Sub "${Nobody}"', "!FindInMap [a, b, c]"]
)
def test_what_is_not_understood_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"t\.yaml"):
        value(tmp_path, text)


def test_resources_of_nested_files_come_under_the_path_of_their_parent(tmp_path: Path) -> None:
    assert [one.path for one in template(tmp_path).resources()] == ["Here", "Child", "Child/Inner", "All"]


def test_a_resource_whose_condition_fails_is_not_there(tmp_path: Path) -> None:
    names = {one.name for one in template(tmp_path, Given="other").resources()}
    assert "There" in names
