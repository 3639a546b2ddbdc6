"""The commands of ``python -m analysis``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from analysis import outputs, training_cli
from analysis.formats import Table, markdown
from analysis.frame import TASK, AnalysisError, Group, groups, load
from analysis.material import materials
from analysis.networks import Selection
from analysis.quantities import LAMBDA_MIN, QUANTITIES
from analysis.report import FIGURES, TABLES, report
from analysis.runs import TASK as TRAINING
from ntk_sweep.errors import SweepError
from ntk_sweep.store.store import Store

EXIT_MISTAKE = 2

_Run = Callable[[list[Group], argparse.Namespace, Console], None]

_EPILOG = """\
examples:
  python -m analysis report results -o report     one page with everything: report/index.html
  python -m analysis table1 results               Table 1 on the terminal, and as CSV, Markdown and LaTeX
  python -m analysis heatmaps results --data digits
  python -m analysis prediction results           λ_min measured, and predicted from infinite width
  python -m analysis spectrum results --act relu --width 800 --depth 3 --seed 0
  python -m analysis kernel s3://bucket/sweeps
  python -m analysis training results --best      loss curves of the best network of each activation
  python -m analysis speed results                what ranks the networks by training speed

RESULTS is what a sweep was given as results=…; it may still be running. Where a store holds several data sets or
parametrisations, each gets files (or a chapter of the report) of its own.
"""


@dataclass(frozen=True)
class _Command:
    """What ``--help`` says of a command."""

    title: str
    text: str
    examples: tuple[str, ...]


_COMMANDS = {
    "table1": _Command(
        "the greatest λ_min of each activation, its width and depth",
        "Prints Table 1 and writes table1-GROUP.csv, .md and .tex: for each activation the greatest λ_min over widths and depths, "
        "as mean ± standard deviation over seeds, with its error bound.",
        (
            "table1 results",
            "table1 results --data fashion_mnist --parametrisation thesis -o tables",
        ),
    ),
    "heatmaps": _Command(
        "λ_min or another quantity over width and depth, a figure for each activation",
        "Writes heatmap-ACT-GROUP.png, .svg, .pdf and .csv: the geometric mean of λ_min over seeds in logarithmic colour. "
        "Unresolved cells are hatched, missing ones empty. Another quantity goes to heatmap-QUANTITY-ACT-GROUP; `ratio` is λ_min "
        "over limit_lambda_min, what infinite width predicts, in colours centred at 1.",
        (
            "heatmaps results",
            "heatmaps results --quantity ratio",
            "heatmaps results --data digits -o figures",
        ),
    ),
    "prediction": _Command(
        "λ_min measured, predicted from infinite width, and their ratio, a figure for each activation",
        "Prints the least and the greatest ratio and writes them to prediction-GROUP.csv, .md and .tex; and for each activation "
        "prediction-ACT-GROUP.png, .svg, .pdf and .csv: three heat maps one above the other, the first two in the same colours.",
        ("prediction results", "prediction results --data digits -o figures"),
    ),
    "convergence": _Command(
        "the distance of the kernel from its infinite-width limit, against width",
        "Prints the fitted slopes and writes them to convergence-GROUP.csv, .md and .tex; and for each activation "
        "convergence-ACT-GROUP.png, .svg, .pdf and .csv: the relative distance against width on logarithmic axes, a line a depth.",
        ("convergence results", "convergence results --data digits -o figures"),
    ),
    "diagnostics": _Command(
        "effective rank, alignments, class contrast and target shares at each activation's best cell",
        "Prints the table and writes diagnostics-GROUP.csv, .md and .tex: for the cell of each activation with the greatest mean "
        "λ_min, what the kernel tells beyond its eigenvalues.",
        ("diagnostics results", "diagnostics results --data digits -o tables"),
    ),
    "kernel": _Command(
        "saved kernel matrices as images",
        "Writes kernel-NETWORK-GROUP.png, .svg, .pdf and .csv. Without a choice: the two networks of Figures 1 to 4 of the thesis, or "
        "else those with a saved kernel. Kernels are saved with task.save_kernel=true.",
        ("kernel results", "kernel results --act sigmoid"),
    ),
    "spectrum": _Command(
        "all eigenvalues of single networks on a logarithmic axis",
        "Writes spectrum-NETWORK-GROUP.png, .svg, .pdf and .csv. Without a choice: the two networks of Figures 1 to 4 of the "
        "thesis, for which it also writes networks-GROUP.csv, .md and .tex, their λ_min beside the thesis's values.",
        ("spectrum results", "spectrum results --act relu --width 800 --depth 3"),
    ),
    "summary": _Command(
        "what was run, and which points failed and why",
        "Prints what was run, spectra and training, and writes summary-GROUP.csv, .md and .tex; points without a result stand in "
        "failures-GROUP.csv, each with its whole traceback.",
        ("summary results", "summary results --data digits -o tables"),
    ),
    "contenders": _Command(
        "the cells most likely to have the greatest λ_min, with their probabilities",
        "Prints, for each activation, the cells that may have the greatest mean λ_min and how probable each is, by bootstrap over "
        "the seeds, and writes them to contenders-GROUP.csv, .md and .tex. Needs several seeds.",
        ("contenders results", "contenders results --data digits -o tables"),
    ),
    "spread": _Command(
        "how much λ_min differs from seed to seed, a figure for each activation",
        "Writes spread-ACT-GROUP.png, .svg, .pdf and .csv: the standard deviation of λ_min over seeds, over their mean. Needs "
        "several seeds.",
        ("spread results", "spread results --data digits -o figures"),
    ),
    "report": _Command(
        "one HTML page with all of it, and every figure and table as files",
        "Writes index.html, which needs neither a network nor a server to be read: what was run, Table 1, interactive heat maps with "
        "spectra and kernels, the prediction from infinite width and the convergence to it, diagnostics, training. Beside it lie all "
        "figures (PNG, SVG, PDF and CSV, in figures/) and tables (CSV, Markdown and LaTeX, in tables/). Sections without rows say "
        "which command makes them. The same rows give the same bytes.",
        (
            "report results -o report",
            "report results --data digits -o report-digits",
            'report results --date "$(date +%F)" --images ~/data',
        ),
    ),
}

_COMMANDS |= {name: _Command(*texts) for name, texts in training_cli.TEXTS.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    options = parser().parse_args(arguments)
    try:
        if options.command in _OF_BOTH:
            _OF_BOTH[options.command](options, console)
        else:
            of_training = (
                [TRAINING, training_cli.EXPERIMENTS[options.command]]
                if options.command in training_cli.RUN
                else []
            )
            frame = load(options.results, *of_training)
            chosen = groups(
                frame, options.results, options.data, options.parametrisation, options.dtype
            )
            _RUN[options.command](chosen, options, console)
    except SweepError as error:
        Console(highlight=False, soft_wrap=True, markup=False, stderr=True).print(f"error: {error}")
        return EXIT_MISTAKE
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Turns the rows of a sweep into tables, figures and a report.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, shown in _COMMANDS.items():
        examples = "\n".join(
            ["examples:", *(f"  python -m analysis {example}" for example in shown.examples)]
        )
        command = commands.add_parser(
            name,
            help=shown.title,
            description=shown.text,
            epilog=examples,
            formatter_class=_Wrapped,
        )
        command.add_argument(
            "results",
            metavar="RESULTS",
            help=f"the results folder or URI of a sweep (its rows lie in RESULTS/{TRAINING if name in training_cli.RUN else TASK})",
        )
        command.add_argument(
            "-o",
            "--output",
            metavar="FOLDER",
            type=Path,
            default=Path("report"),
            help="where to write (default: report)",
        )
        command.add_argument(
            "--data",
            metavar="NAME",
            help="only this data set: its name, or the beginning of its fingerprint",
        )
        command.add_argument("--parametrisation", metavar="NAME", help="only this parametrisation")
        command.add_argument("--dtype", metavar="NAME", help="only this precision")
        training_cli.add_arguments(name, command)
        if name == "heatmaps":
            command.add_argument(
                "--quantity",
                metavar="NAME",
                choices=list(QUANTITIES),
                default=LAMBDA_MIN.name,
                help=f"what to show: {', '.join(QUANTITIES)} (default: {LAMBDA_MIN.name})",
            )
        if name == "report":
            command.add_argument(
                "--date",
                metavar="TEXT",
                default="",
                help="printed at the head of the page (default: nothing)",
            )
            command.add_argument(
                "--images",
                metavar="PATH",
                help="where the inputs lie, to show a few of them: the folder that holds FashionMNIST/raw, or an npz file (default: "
                "where a sweep would look, without downloading)",
            )
        if name in ("kernel", "spectrum"):
            network = command.add_argument_group("which networks")
            network.add_argument("--act", metavar="NAME", help="only this activation")
            for coordinate in ("width", "depth", "seed"):
                network.add_argument(
                    f"--{coordinate}", metavar="N", type=int, help=f"only this {coordinate}"
                )
    return top


class _Wrapped(argparse.RawDescriptionHelpFormatter):
    """Wraps descriptions, and leaves the examples below the options as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _printed(files: Callable[[Group, Path], tuple[Table, list[Path]]]) -> _Run:
    """A command that prints the table it writes."""

    def run(chosen: list[Group], options: argparse.Namespace, console: Console) -> None:
        def one(group: Group) -> list[Path]:
            table, written = files(group, options.output)
            console.print(markdown(table))
            return written

        _each(chosen, console, one)

    return run


def _trained(files: Callable[[Group, argparse.Namespace], tuple[list[Table], list[Path]]]) -> _Run:
    """A command that prints the tables of training runs that it writes."""

    def run(chosen: list[Group], options: argparse.Namespace, console: Console) -> None:
        def one(group: Group) -> list[Path]:
            tables, written = files(group, options)
            for table in tables:
                console.print(markdown(table))
            return written

        _each(chosen, console, one)

    return run


def _heatmaps(chosen: list[Group], options: argparse.Namespace, console: Console) -> None:
    quantity = QUANTITIES[options.quantity]
    _each(chosen, console, lambda group: outputs.heatmap_files(group, options.output, quantity))


def _spread(chosen: list[Group], options: argparse.Namespace, console: Console) -> None:
    _each(chosen, console, lambda group: outputs.spread_files(group, options.output))


def _kernel(chosen: list[Group], options: argparse.Namespace, console: Console) -> None:
    store, wanted = Store(options.results, TASK), _selection(options)
    _each(chosen, console, lambda group: outputs.kernel_files(group, store, wanted, options.output))


def _spectrum(chosen: list[Group], options: argparse.Namespace, console: Console) -> None:
    _each(
        chosen,
        console,
        lambda group: outputs.spectrum_files(group, _selection(options), options.output),
    )


def _report(options: argparse.Namespace, console: Console) -> None:
    found = materials(
        options.results, options.data, options.parametrisation, options.dtype, options.images
    )
    path = report(found, options.output, options.date)
    console.print(
        f"{path}\nfigures and tables lie beside it, in {path.parent / FIGURES} and {path.parent / TABLES}"
    )


def _summary(options: argparse.Namespace, console: Console) -> None:
    found = materials(options.results, options.data, options.parametrisation, options.dtype)
    training = {one.group.slug: one.training for one in found}
    run = _printed(lambda group, output: outputs.summary_files(group, output, training[group.slug]))
    run([one.group for one in found], options, console)


_OF_BOTH = {"report": _report, "summary": _summary}
"""Commands that show spectra and training runs together."""

_RUN: dict[str, _Run] = {
    "table1": _printed(outputs.table1_files),
    "heatmaps": _heatmaps,
    "prediction": _printed(outputs.prediction_files),
    "convergence": _printed(outputs.convergence_files),
    "diagnostics": _printed(outputs.diagnostics_files),
    "kernel": _kernel,
    "spectrum": _spectrum,
    "contenders": _printed(outputs.contenders_files),
    "spread": _spread,
    **{name: _trained(files) for name, files in training_cli.RUN.items()},
}


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(options.act, options.width, options.depth, options.seed)


def _each(chosen: list[Group], console: Console, write: Callable[[Group], Iterable[Path]]) -> None:
    """Writes the files of every group; a group without the rows is named, and is an error only if
    no group has them.

    Raises:
        AnalysisError: No group has the rows.
    """
    errors = []
    for group in chosen:
        try:
            for path in write(group):
                console.print(str(path))
        except AnalysisError as error:
            errors.append(error)
    if len(errors) == len(chosen):
        raise AnalysisError("\n".join(map(str, errors)))
    for missing in errors:
        console.print(f"left out: {missing}")
