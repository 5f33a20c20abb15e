import re
import tomllib

import yaml

from tests.infrastructure.stack import ROOT, Resource, Stack

COMMON = {"TABLE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"}


def test_a_functions_handler_is_a_file_of_its_own(function: Resource) -> None:
    module, _, name = function.get("Handler").partition(".")
    assert name == "handler"
    assert (ROOT / function.get("CodeUri") / f"{module}.py").is_file()
    assert function.get("Environment", "Variables", "POWERTOOLS_SERVICE_NAME") == module


def test_every_file_beside_the_package_is_a_function(stack: Stack) -> None:
    modules = {function.get("Handler").partition(".")[0] for function in stack.of("AWS::Serverless::Function")}
    assert {path.stem for path in (ROOT / "functions").glob("*.py")} == modules


def test_a_function_runs_on_the_tested_runtime_and_is_traced(function: Resource) -> None:
    assert function.get("Runtime") == "python3.13"
    assert function.get("Architectures") == ["arm64"]
    assert function.get("Tracing") == "Active"


def test_a_function_has_the_memory_and_time_that_its_work_needs(function: Resource, stack: Stack) -> None:
    assert 256 <= function.get("MemorySize") <= 1024
    scheduled = function in [f for f, _, _ in stack.events("ScheduleV2")]
    public = function in [f for f, _, _ in stack.events("HttpApi")]
    imports = function.name == "ImportBook"
    # API Gateway gives up after 30 seconds, and a planner has to leave room before its next start. A file takes long.
    assert function.get("Timeout") <= (300 if scheduled else 15 if public else 120 if imports else 30)


def test_a_functions_log_is_its_own_and_is_kept_for_a_stated_time(function: Resource, stack: Stack) -> None:
    group = stack.named_by(function.get("LoggingConfig", "LogGroup"))
    assert group is not None
    assert group.get("LogGroupName") == f"/aws/lambda/{function.get('FunctionName')}"


def test_a_log_group_is_kept_for_a_stated_time(log_group: Resource) -> None:
    assert log_group.get("RetentionInDays") >= 90


def test_a_functions_settings_hold_names_and_no_keys(function: Resource) -> None:
    for name, value in function.get("Environment", "Variables").items():
        assert value is not None, name
        assert not any(word in name for word in ("PASSWORD", "TOKEN", "PRIVATE")), name


def test_the_code_asks_for_every_setting_and_the_template_gives_every_one_that_it_asks_for(stack: Stack) -> None:
    given = {name for f in stack.of("AWS::Serverless::Function") for name in f.get("Environment", "Variables")}
    source = "".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
    asked = set(re.findall(r"""env\(["']([A-Z_]+)["']\)""", source)) - {"AWS_LAMBDA_FUNCTION_NAME"}
    for ending in re.findall(r'env\(f"\{channel\.upper\(\)\}(_[A-Z_]+)"\)', source):
        asked |= {f"SMS{ending}", f"EMAIL{ending}"}
    assert {name for name in given if not name.startswith("POWERTOOLS_")} == asked


def test_both_channels_get_the_same_settings_but_for_their_provider(stack: Stack) -> None:
    settings = {f.name: set(f.get("Environment", "Variables")) for f in stack.of("AWS::Serverless::Function")}
    assert settings["DeliverSms"] ^ settings["DeliverEmail"] == {
        "SMS_CONFIGURATION_SET",
        "SMS_ORIGINATION_IDENTITY",
        "EMAIL_CONFIGURATION_SET",
        "EMAIL_FROM",
        # Only email carries a link, which its token's key signs.
        "KEYS_SECRET",
        "PUBLIC_URL",
    }
    assert all(settings[name] >= COMMON for name in settings)


def test_links_in_messages_lead_to_the_lenders_own_domain_when_there_is_one(stack: Stack) -> None:
    urls = {f.get("Environment", "Variables", "PUBLIC_URL") for f in stack.of("AWS::Serverless::Function")} - {None}
    assert urls == {"https://remind.example.com"}
    (domain,) = stack.of("AWS::ApiGatewayV2::DomainName")
    assert domain.get("DomainNameConfigurations")[0]["SecurityPolicy"] == "TLS_1_2"


def test_the_policy_starts_as_the_built_in_defaults_with_a_days_volume_and_nothing_is_stopped(stack: Stack) -> None:
    values = {parameter.name: parameter.get("Value") for parameter in stack.of("AWS::SSM::Parameter")}
    assert values == {"Policy": '{"max_reminders_per_day": 100000}', "Switch": '{"paused": []}'}


def test_the_deployment_sets_every_parameter_without_a_default(stack: Stack) -> None:
    required = {name for name, parameter in stack.template.body["Parameters"].items() if "Default" not in parameter}
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for environment in ("default", "production"):
        given = {pair.partition("=")[0] for pair in config[environment]["deploy"]["parameters"]["parameter_overrides"]}
        assert required <= given <= set(stack.template.body["Parameters"])


def test_checkov_reads_every_template_and_skips_nothing_without_a_reason() -> None:
    text = (ROOT / ".checkov.yaml").read_text()
    config = yaml.safe_load(text)
    templates = {"template.yaml", *(str(path.relative_to(ROOT)) for path in (ROOT / "infrastructure").glob("*.yaml"))}
    assert set(config["file"]) == templates
    assert config["skip-download"] is True
    skips = [line for line in text.splitlines() if "CKV" in line]
    assert len(skips) == len(config["skip-check"])
    assert all(len(line.partition("#")[2].split()) > 5 for line in skips)
