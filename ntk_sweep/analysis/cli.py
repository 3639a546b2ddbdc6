"""The commands of ``ntk-sweep``: one for each chapter, and the report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from ntk_sweep import exit_status
from ntk_sweep.analysis.chapters import order
from ntk_sweep.analysis.chapters.chapter import Chapter, Command
from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.columns import SPECTRUM
from ntk_sweep.analysis.rows.grouping import GroupChoice
from ntk_sweep.analysis.rows.study import Study, put_together, studies
from ntk_sweep.analysis.writing.content import Content
from ntk_sweep.analysis.writing.files import OutputFolder
from ntk_sweep.analysis.writing.publishing import publish
from ntk_sweep.analysis.writing.tables import markdown
from ntk_sweep.errors import SweepError

SHOWN_GROUPS = 3
"""Groups of which an error says one by one what they lack."""

_EPILOG = """\
examples:
  ntk-sweep run act=relu width=800 depth=3
  ntk-sweep status results --watch       how far a sweep is
  ntk-sweep report results -o report     one page with everything: report/index.html
  ntk-sweep table1 results               Table 1: terminal, CSV, Markdown and LaTeX
  ntk-sweep heatmaps results --data digits
  ntk-sweep prediction results           λ_min measured, and predicted from infinite width
  ntk-sweep spectrum results --act relu --width 800 --depth 3 --seed 0
  ntk-sweep kernel s3://bucket/sweeps
  ntk-sweep training results --best      loss curves of the best networks
  ntk-sweep speed results                what ranks the networks by training speed

RESULTS is what a sweep was given as results=…; it may still be running. Where a store holds
several data sets or parametrisations, each gets files (or a part of the report) of its own.
"""


def _add_report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "other",
        metavar="OTHER",
        nargs="?",
        help="another results folder or URI, compared with the first row by row",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="serve the page on the loopback and draw it anew as rows arrive, without figures, "
        "until Ctrl-C",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="of --watch (default: one that is free)"
    )
    parser.add_argument(
        "--date",
        metavar="TEXT",
        default="",
        help="printed at the head of the page (default: nothing)",
    )
    parser.add_argument(
        "--images",
        metavar="PATH",
        help="where the inputs lie, to show a few of them: the folder that holds "
        "FashionMNIST/raw, or an npz file (default: where a sweep would look, without "
        "downloading)",
    )


_REPORT = Command(
    "report",
    "one HTML page with all of it, and every figure and table as files",
    "Writes index.html, which needs neither a network nor a server to be read: what was run, "
    "Table 1, interactive heat maps with spectra and kernels, the prediction from infinite width "
    "and the convergence to it, diagnostics, training. Beside it lie all figures (PNG, SVG, PDF "
    "and CSV, in figures/) and tables (CSV, Markdown and LaTeX, in tables/). Sections without "
    "rows say which command makes them. The same rows give the same bytes.",
    (
        "report results -o report",
        "report results --data digits -o report-digits",
        "report results results-of-another-machine -o comparison",
        "report results --watch",
        'report results --date "$(date +%F)" --images ~/data',
    ),
    _add_report_arguments,
)


def main(
    arguments: Sequence[str] | None = None,
    others: Mapping[str, str] = {},
    before_drawing: Callable[[bool], None] = lambda files: None,
) -> int:
    """Runs a command; returns the exit status.

    Args:
        arguments: As typed; by default those of this process.
        others: Commands that are run elsewhere, and what each does, for the help page.
        before_drawing: Is called before a command that draws figures. Its argument is whether it
            draws them for files.
    """
    console = _plain()
    top = parser(others)
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not words:
        top.print_help(sys.stderr)
        return exit_status.MISTAKE
    options, unknown = top.parse_known_args(words)
    if unknown:
        top.error(
            f"unrecognized arguments: {' '.join(unknown)}; `ntk-sweep {options.command} --help` "
            "lists those that there are"
        )
    if options.chapter is None or options.chapter.command.draws:
        before_drawing(not getattr(options, "watch", False))
    try:
        if options.chapter is None:
            _report(options, console)
        else:
            _write(options.chapter, options, console)
    except SweepError as error:
        _plain(stderr=True).print(f"error: {error}")
        return exit_status.MISTAKE
    return 0


def _plain(stderr: bool = False) -> Console:
    """A console that prints text as it is."""
    return Console(highlight=False, soft_wrap=True, markup=False, stderr=stderr)


def parser(
    others: Mapping[str, str] = {}, kind: type[argparse.ArgumentParser] = argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """The parser of the command line; `chapter` of what it parses is None for the report.

    Args:
        others: As in `main`.
        kind: Of the parser, and of those of the commands.
    """
    top = kind(
        prog="ntk-sweep",
        description="Computes spectra of neural tangent kernels, and turns their rows into tables, "
        "figures and a report. Each command has a help page of its own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in others.items():
        commands.add_parser(name, help=text)
    _add(commands, _REPORT, None)
    for chapter in order.CHAPTERS:
        if chapter.command is not None:
            _add(commands, chapter.command, chapter)
    return top


def _add(commands: argparse._SubParsersAction, command: Command, chapter: Chapter | None) -> None:
    """Adds the parser of a command."""
    examples = [f"  ntk-sweep {example}" for example in command.examples]
    parser = commands.add_parser(
        command.name,
        help=command.title,
        description=command.text,
        epilog="\n".join(["examples:", *examples]),
        formatter_class=_Wrapped,
    )
    task = chapter.tasks[0] if chapter else SPECTRUM
    parser.add_argument(
        "results",
        metavar="RESULTS",
        help=f"the results folder or URI of a sweep (its rows lie in RESULTS/{task})",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path("report"),
        help="where to write (default: report)",
    )
    parser.add_argument(
        "--data",
        metavar="NAME",
        help="only this data set: its name, or the beginning of its fingerprint",
    )
    parser.add_argument("--parametrisation", metavar="NAME", help="only this parametrisation")
    parser.add_argument("--weight-std", metavar="NUMBER", help="only this scale of the weights")
    parser.add_argument(
        "--bias-std", metavar="NUMBER", help="only this scale of the biases; null for none"
    )
    parser.add_argument("--dtype", metavar="NAME", help="only this precision")
    command.add_arguments(parser)
    parser.set_defaults(chapter=chapter)


class _Wrapped(argparse.RawDescriptionHelpFormatter):
    """Wraps descriptions, and leaves the examples below the options as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _report(options: argparse.Namespace, console: Console) -> None:
    from ntk_sweep.analysis.page.report import FIGURES, TABLES, report

    progress = _plain(stderr=True)

    def write(drawn: bool = True) -> Path:
        found = studies(options.results, _choice(options), options.images)
        others = studies(options.other, _choice(options), options.images) if options.other else ()
        return report(found, options.output, options.date, others, drawn, progress.print)

    if options.watch:
        _watch(options, partial(write, drawn=False), console)
        return
    path = write()
    console.print(
        f"{path}\nfigures and tables lie beside it, in {path.parent / FIGURES} and "
        f"{path.parent / TABLES}"
    )


def _watch(options: argparse.Namespace, write: Callable[[], Path], console: Console) -> None:
    """Serves the page until Ctrl-C."""
    from ntk_sweep.analysis.page.watching import Watch

    live = Watch(options.results, options.output, write, options.port)
    console.print(f"{live.address} shows the rows as they arrive; Ctrl-C ends it")
    try:
        live.look()
        live.forever()
    except KeyboardInterrupt:
        live.close()


def _write(chapter: Chapter, options: argparse.Namespace, console: Console) -> None:
    """Writes the files of a chapter for every group, and prints its tables.

    Raises:
        AnalysisError: No group has the rows.
    """
    found, left_out = contents(chapter, options)
    for label, content in found:
        for table in content.tables:
            if table.table is not None:
                console.print(markdown(table.table))
        (sections,) = publish([(label, content)], OutputFolder(options.output))
        for path in (path for section in sections for path in section.paths):
            console.print(str(path))
        if content.missing is not None:
            console.print(f"left out: {content.missing.sentence}")
    for absent in left_out:
        console.print(f"left out: {absent}")


def contents(
    chapter: Chapter, options: argparse.Namespace
) -> tuple[list[tuple[str, Content]], list[str]]:
    """What a chapter shows of the chosen groups.

    Args:
        chapter: One with a command.
        options: As parsed by `parser`.

    Returns:
        The label and the content of each group that has the rows, and what the others lack.

    Raises:
        AnalysisError: No group has the rows, or groups cannot be put together.
        StoreError: A part of the store is unreadable.
    """
    assert chapter.command is not None
    chosen = chapter.command.options(options)
    found, errors = [], []
    for study in put_together(_studies(chapter, options), chapter.across(**chosen)):
        try:
            content = chapter.content(study, **chosen)
            _require_shown(content)
        except AnalysisError as error:
            errors.append(str(error))
            continue
        found.append((study.group.label, content))
    if not found:
        raise AnalysisError(_of_each(errors))
    return found, errors


def _of_each(messages: Sequence[str]) -> str:
    """What is missing of each group; of many groups only some."""
    others = len(messages) - SHOWN_GROUPS
    end = (
        [
            f"… and the same of {others} other groups: choose with --data, --parametrisation, "
            "--weight-std, --bias-std, --dtype"
        ]
        if others > 0
        else []
    )
    return "\n".join([*messages[:SHOWN_GROUPS], *end])


def _studies(chapter: Chapter, options: argparse.Namespace) -> list[Study]:
    """The chosen studies that have rows of what the chapter shows.

    Raises:
        AnalysisError: There are none.
    """
    makes = chapter.makes[0] if chapter.makes else None
    found = studies(options.results, _choice(options), tasks=chapter.tasks, makes=makes)
    if not chapter.makes:
        return found
    task = chapter.tasks[0]
    known = [study for study in found if study.has(task)]
    if not known:
        asked = [
            f"{study.group.title}: there are no rows of the task {task}: make some with\n"
            f"  {study.group.command(*chapter.makes)}"
            for study in found
        ]
        raise AnalysisError(_of_each(asked))
    return known


def _choice(options: argparse.Namespace) -> GroupChoice:
    scales = options.weight_std, options.bias_std
    return GroupChoice(options.data, options.parametrisation, options.dtype, *scales)


def _require_shown(content: Content) -> None:
    """Refuses a content without a table and a figure.

    Raises:
        AnalysisError: It says what is missing.
    """
    if content.missing is not None and not (content.tables or content.figures):
        raise AnalysisError(content.missing.message or content.missing.sentence)
