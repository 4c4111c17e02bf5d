"""The command line: one program, one verb a task."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from console.terminal import FAILED, describe_error, log, write_json
from console.verbs import (
    board,
    calibrate,
    capture,
    console,
    demo,
    doctor,
    models,
    node,
    plates,
    process,
    registry,
    report,
    rig,
    trial,
)
from lab.errors import LabError

app = typer.Typer(
    name="gaitlab",
    help="A multi-camera gait lab: calibrate, reconstruct, measure, report. "
    "Measuring software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("board")(board.board)
app.command("plates")(plates.plates)
app.command("calibrate")(calibrate.calibrate)
app.add_typer(rig.app, name="rig")
app.add_typer(trial.app, name="trial")
app.add_typer(models.app, name="models")
app.add_typer(node.app, name="node")
app.command("capture")(capture.capture)
app.command("process")(process.process)
app.command("report")(report.report)
app.command("export")(report.export_trial)
app.add_typer(registry.app, name="registry")
app.command("console")(console.console)
app.command("doctor")(doctor.doctor)


# The status of a program ended by Ctrl-C, by the custom of shells.
_STOPPED = 130
_STOPPED_WORDS = "gaitlab: stopped. What was finished is kept."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 done, 1 done and refused, 2 not done."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    as_json = "--json" in given
    given = [a for a in given if a != "--debug"]
    command = typer.main.get_command(app)
    status = FAILED
    try:
        answer = command.main(args=given, prog_name="gaitlab", standalone_mode=False)
        status = answer if isinstance(answer, int) else 0
        if status == _STOPPED:
            log.print(_STOPPED_WORDS)
    except LabError as error:
        if debug:
            raise
        if as_json:
            write_json(describe_error(error))
        log.print(f"gaitlab: {error}", style="bold", markup=False)
    except OSError as error:
        if debug:
            raise
        mended = _describe_system(error)
        if as_json:
            write_json(describe_error(mended))
        log.print(f"gaitlab: {mended}", style="bold", markup=False)
    except TyperException as error:
        log.print(f"gaitlab: {error} Try gaitlab --help.", markup=False)
    except (KeyboardInterrupt, Abort):
        log.print(_STOPPED_WORDS)
        status = _STOPPED
    return status


def _describe_system(error: OSError) -> LabError:
    """Say what the operating system refused in an operator's words."""
    return LabError(
        f"the system says: {error.strerror or error}",
        where=str(error.filename) if error.filename is not None else "",
        remedy="Check the path, the rights to it and the space left on the disk.",
    )


def run() -> None:
    """Entry point of the installed program."""
    sys.exit(main())
