"""What a test run would inherit from whoever starts it, and what it has instead.

Tests and the processes that they start see an environment without anybody's preferences, a home
folder of the session, the default reaction to signals and a usual umask.
"""

import os
import shutil
import signal
import tempfile
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to 1 in the tests' own processes; sweeps that they start choose for themselves."""

FAMILIES = (
    *("AWS_", "BLIS_", "GIT_", "GOMP_", "GOTO_", "HYDRA_", "JUPYTER_", "KMP_", "LC_", "MKL_"),
    *("MPL", "NTK_SWEEP_", "NUMEXPR_", "OMP_", "OPENBLAS_", "RAY_", "TORCH", "VECLIB_", "XDG_"),
)
"""Variables whose names begin so are dropped."""

SINGLE = {
    # Of Python: warnings, encodings, an interpreter that stays.
    *("PYTHONCOERCECLOCALE", "PYTHONHASHSEED", "PYTHONINSPECT", "PYTHONIOENCODING"),
    *("PYTHONOPTIMIZE", "PYTHONSAFEPATH", "PYTHONSTARTUP", "PYTHONUTF8", "PYTHONWARNINGS"),
    # Of terminals: width, colours.
    *("CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR"),
    *("TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("HOME", "LANG", "LANGUAGE", "MATPLOTLIBRC"),
    # Of the network: nothing leaves this machine, and no proxy leads back to it.
    *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
}
"""Further variables that are dropped, whatever the case of their letters."""

KEPT = {"NTK_SWEEP_AXE", "NTK_SWEEP_BROWSER", "NTK_SWEEP_SHARED", "MPLCONFIGDIR"}
"""Where the tests' own tools and data lie."""

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def plain(variables):
    """These variables without what somebody prefers."""
    return {
        name: value
        for name, value in variables.items()
        if name in KEPT or not (name.upper() in SINGLE or name.startswith(FAMILIES))
    }


def settle():
    """Gives this process, and what it starts from now on, plain surroundings; returns what ends
    them."""
    home = tempfile.mkdtemp(prefix="ntk-tests-home-")
    browsers = _browsers()
    changed = plain(os.environ) | {"HOME": home, "LC_ALL": "C.UTF-8"}
    changed["MPLCONFIGDIR"] = home  # a list of fonts that is made once, since it takes seconds
    changed |= dict.fromkeys(THREADS, "1")
    if browsers:
        changed["PLAYWRIGHT_BROWSERS_PATH"] = browsers
    os.environ.clear()
    os.environ.update(changed)
    os.umask(0o022)
    return lambda: shutil.rmtree(home, ignore_errors=True)


def _browsers():
    """Where Playwright keeps those that it has downloaded, if it has."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or f"{cache}/ms-playwright"
    return folder if Path(folder).is_dir() else None


def mind_signals():
    """Signals that this process ignores, as under `nohup` or behind `&` in a script, do not stay
    ignored in what it starts: handlers are not inherited."""
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
