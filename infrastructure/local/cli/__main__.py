"""The `predue` command."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from infrastructure.local.aws.engine import EndpointFailed
from infrastructure.local.cli import chaos_command, import_command, mapping_command, run_commands, serve_command
from infrastructure.local.cli.buckets import CannotImport
from infrastructure.local.cli.terminal import DONE, INTERRUPTED, USAGE, UsageError
from infrastructure.local.report.explain import NotFound
from infrastructure.local.runs.portfolio import PortfolioError
from infrastructure.local.serve.server import CannotServe
from predue.errors import BadPolicy


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 done, 2 wrong usage, 3 done with rejected rows, 4 a promise was broken, 5 an
    import is held, and 1 for chaos that was ended early.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.command(given))
    except (UsageError, CannotServe, CannotImport, PortfolioError, NotFound, BadPolicy) as error:
        print(f"predue: {error}", file=sys.stderr)
        return USAGE
    except EndpointFailed as error:
        print(f"predue: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("predue: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="predue", description="Reminds borrowers of loan installments before they fall overdue."
    )
    parser.add_argument("--version", action="version", version=f"predue {version('predue')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    through = "a portfolio through the real handlers over the stack on one machine, in virtual time"
    run_commands.add(commands.add_parser("run", help=through))
    memory = (
        "a portfolio through the very rules over memory, fifty times as fast; docs/local.md says when to take which"
    )
    run_commands.add_simulate(commands.add_parser("simulate", help=memory))
    run_commands.add_explain(commands.add_parser("explain", help="why each message to a borrower went or did not"))
    chaos_command.add(commands.add_parser("chaos", help="many seeds of faults, side by side; keeps each that fails"))
    import_command.add(commands.add_parser("import", help=import_command.HELP, description=import_command.HELP))
    run_commands.add_demo(commands.add_parser("demo", help="two weeks of virtual time on a bundled portfolio"))
    mapping_command.add(
        commands.add_parser("mapping", help="what a mapping file makes of a message; see docs/connectors.md")
    )
    serve_command.add(
        commands.add_parser("serve", help="the stack in real time, with its API and a console on localhost")
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
