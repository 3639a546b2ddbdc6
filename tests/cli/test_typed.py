"""Protects what is typed: texts arrive as they stand, and a corrected line is right for the shell
and for Hydra."""

import os
import subprocess
import sys
from unittest import mock

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from hydra_plugins.ntk_sweep_hydra.composition import compose_all
from hydra_plugins.ntk_sweep_hydra.grid_sweeper import GridSweeper
from ntk_sweep.cli.messages import explain
from ntk_sweep.cli.typed import as_typed, free_texts
from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.overrides import override

# What a command line can hold: no null byte, and what UTF-8 can write.
TEXTS = st.one_of(
    st.text(st.sampled_from(r"""ab/.~ ,:;=#%()[]{}'"\$!`&|<>*?+-@^_01üλ€""" + "\n\t"), max_size=12),
    st.text(st.sampled_from("\\'\"${}a"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)


def typed(*arguments):
    return mock.patch.object(sys, "argv", ["ntk-sweep run", *arguments])


def read(composer, line):
    """What a single run, and the one point of a sweep, make of an override of `data.root`."""
    loader, master = composer
    sweeper = GridSweeper()
    sweeper.hydra_context = type("Context", (), {"config_loader": loader})()
    ((job, _),) = sweeper.expand([line, "act=relu"])
    texts = []
    for each in (line, job):
        parsed = OverridesParser.create().parse_override(each)
        ConfigLoaderImpl._apply_overrides_to_config([parsed], master)
        texts.append(OmegaConf.to_container(master.data, resolve=True)["root"])
    assert texts[0] == texts[1]
    return texts[0]


def words(line, shell="sh"):
    """The arguments of a line that begins with `ntk-sweep run`, as a shell reads it."""
    arguments = line.removeprefix("ntk-sweep run ")
    assert arguments != line
    script = f"set -- {arguments}\nprintf '%s\\0' \"$@\""
    printed = subprocess.run([shell, "-c", script], capture_output=True, check=True)
    assert not printed.stderr
    return os.fsdecode(printed.stdout).split("\0")[:-1]


@settings(max_examples=300)
@given(text=TEXTS)
def test_any_text_can_be_typed_in_quotes(composer, text):
    assert read(composer, override("data.root", text)) == text


@settings(max_examples=200)
@given(text=TEXTS, shell=st.sampled_from(["sh", "bash"]))
def test_any_text_is_taken_or_the_line_printed_gives_it(composer, text, shell):
    line = f"data.root={text}"
    with typed("width=range(2,5)", line, "-m", "act=a b"):
        try:
            (taken,) = as_typed([line])
        except ConfigError as refused:
            corrected = str(refused).split("type:\n  ")[-1].split(":\n  ")[1]
            corrected = corrected.removesuffix("\nas several values")
            before, taken, *after = words(corrected, shell)
            assert [before, *after] == ["width=range(2,5)", "-m", "act=a b"]
        else:
            parsed = OverridesParser.create().parse_override(taken)
            if parsed.is_sweep_override() or parsed.value() is None or "${" in text:
                return  # of which Hydra makes more than a text
            if (
                taken == line
            ):  # what Hydra reads: blanks around it, its quotes and escapes are its own
                assert text.strip() == parsed.value() or set(text) & set("\\'\"")
                return
        assert read(composer, taken) == text


@pytest.mark.parametrize(
    ("text", "means"),
    [
        *(
            (text, text)
            for text in ("~/x", "R/a=b", "R/a#b", "R/a(1)", "R/ünï λ", "a b", "s3://b/p")
        ),
        *(
            (text, text)
            for text in ("R/100%", "C:/x", "it's", "[a]", "{a}", "a;b&c|d", "1e3", "007")
        ),
        *((text, text) for text in ("true", "1_0", "https://u:p@host:9000/b?x=1&y=2")),
        ("'a,b'", "a,b"),
        ('"~/x"', "~/x"),
        (r"a\,b", "a,b"),
        ("~/${act}/x", "~/relu/x"),
        ("${act}", "relu"),
        ("null", None),
    ],
)
@pytest.mark.parametrize("sign", ["", "++"])
def test_a_free_text_is_taken_as_typed(composer, sign, text, means):
    (line,) = as_typed([f"{sign}data.root={text}"])
    (values,) = compose_all(*composer, [[line.removeprefix(sign)]])
    assert values["data"]["root"] == means


def test_free_texts_are_folders_files_and_addresses():
    files = {"results", "data.root", "data.path", "data.test_path"}
    assert set(free_texts()) == files | {"compute.address"}
    assert as_typed(["act=~/x", "width=a#b"]) == ["act=~/x", "width=a#b"]


@pytest.mark.parametrize(
    ("given", "one", "several"),
    [
        (["results=~/a,b"], ['results="~/a,b"'], ["-m", 'results="~/a","b"']),
        (["-m", "results=~/a,b"], ["-m", 'results="~/a,b"'], ["-m", 'results="~/a","b"']),
        (["results='a"], ['results="\'a"'], None),
        (["results=R/${x"], [r'results="R/\${x"'], None),
        (["results=[a,b]", "act=elu"], ['results="[a,b]"', "act=elu"], None),
    ],
)
def test_a_text_with_several_readings_is_shown_in_each(given, one, several):
    (line,) = [word for word in given if word.startswith("results")]
    with typed(*given), pytest.raises(ConfigError, match="cannot be read; as one text") as caught:
        as_typed([line])
    first, *second = [
        line.strip() for line in str(caught.value).splitlines() if "ntk-sweep" in line
    ]
    assert words(first) == one
    assert [words(line) for line in second] == ([several] if several else [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("act=(relu", "act=(relu cannot be read: '(' is unexpected; as one text it needs quotes"),
        ("act=~", "act=~ cannot be read: '~' is unexpected"),
        ("act=a,", "act=a, cannot be read: it ends too early"),
        ("act=choice()", "act=choice() cannot be read: empty choice is not legal"),
        ("act=a(1)", "act=a(1) cannot be read: Unknown function 'a'"),
        ("width", "width has no value: width=…"),
    ],
)
def test_what_cannot_be_read_is_told_plainly(line, message):
    with pytest.raises(OverrideParseException) as caught:
        OverridesParser.create().parse_overrides([line])
    assert explain(caught.value).startswith(message)
