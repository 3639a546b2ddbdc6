"""Protects what the terminal shows of rows: no digit that an error bound does not leave."""

import io

from rich.console import Console

from ntk_sweep.commands.terminal_tables import summary_of
from tests.helpers.analysis_rows import frame, row

SINGLE = {
    "dtype": "float32",
    "limit_lambda_min": 0.000912345678,
    "lambda_max": 6543.212345,
    "condition_number": 6543.212345 / 0.00093124567,
}


def rows(**changes):
    made = row(lambda_min=0.00093124567, error_bound=1.02e-5, **{**SINGLE, **changes})
    return frame([{**made, "lambda_max_error": 0.31, "limit_lambda_min_error": 2e-12}])


def test_figures_of_a_row_end_where_their_bounds_begin():
    figures = dict(summary_of("spectrum").figures(rows().iloc[0]))
    assert figures["lambda_min"] == "0.00093 ± 1e-05"
    assert figures["lambda_max"] == "6543.2 ± 0.3"
    assert figures["condition_number"] == "7.03e+06"
    assert figures["infinite width"] == "lambda_min 0.000912345678 ± 2e-12"


def test_the_table_of_a_sweep_shows_no_digit_too_many():
    text = io.StringIO()
    Console(file=text, width=200).print(summary_of("spectrum").table(rows().to_dict("records")))
    assert " 0.00093 " in text.getvalue() and "0.00093125" not in text.getvalue()


def test_other_classes_and_saved_files_are_named():
    both = [row(), row(data_classes=[3, 5], data_fingerprint="e" * 64)]
    text = io.StringIO()
    Console(file=text, width=200).print(summary_of("spectrum").table(both))
    assert "eeeeeeeeeeee (classes 3 and 5)" in text.getvalue()
    made = frame([row(kernel_file="_kernels/spectrum/k.npy")]).iloc[0]
    assert dict(summary_of("spectrum").figures(made))["kernel_file"] == made.kernel_file


def test_an_unresolved_row_shows_no_digits():
    figures = dict(summary_of("spectrum").figures(rows(lambda_min_resolved=False).iloc[0]))
    assert figures["lambda_min"].startswith("unresolved: at most 0.00094")
    assert figures["condition_number"].startswith("unknown")
