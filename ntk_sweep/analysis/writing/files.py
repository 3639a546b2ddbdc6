"""Files below one folder: whatever a row says, none is written elsewhere."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.store.atomic_write import replace_file

LONGEST_STEM = 180
"""Characters of a file's name before its ending; file systems take 255 bytes."""

_FOREIGN = re.compile(r"[^A-Za-z0-9._+-]+")


def file_stem(text: str) -> str:
    """The name of a file, or an anchor of the page, from text that rows may choose.

    The one place that makes such names. Text of letters, digits and ``._+-`` stays. Of any other
    text the foreign characters are replaced, and a hash of the whole follows, so that different
    texts keep different names. No name makes a folder, leaves one or is hidden.
    """
    plain = _FOREIGN.sub("_", text)
    if plain == text and 0 < len(text) <= LONGEST_STEM and not text.startswith("."):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain.lstrip('.')[: LONGEST_STEM - 9]}-{digest}"


@dataclass(frozen=True)
class OutputFolder:
    """A folder for figures and tables.

    Attributes:
        path: Of the folder; nothing is written outside of it.
        figures: The name of a folder in it for figures; empty for itself.
        tables: Likewise, for tables.
    """

    path: Path
    figures: str = ""
    tables: str = ""

    def require_writable(self) -> None:
        """Makes the folder, and finds out whether it takes files, before work is spent on them.

        Raises:
            AnalysisError: It does not.
        """
        self.write("writable", ".tmp", "").unlink()

    def write(self, name: str, ending: str, content: str | bytes, folder: str = "") -> Path:
        """Writes a file, and the folders above it; the file appears whole or not at all.

        Args:
            name: What the file is called, before its ending; made a name by `file_stem`.
            ending: With its dot; ours, never a row's.
            content: Text is written as UTF-8.
            folder: `figures` or `tables` of this object.

        Returns:
            Where it lies.

        Raises:
            AnalysisError: The folder cannot be written.
        """
        target = self.path / folder / (file_stem(name) + ending)
        raw = content.encode() if isinstance(content, str) else content
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not synced: a report has hundreds of files, and can be made again.
            replace_file(target, raw, durable=False)
        except OSError as error:
            raise AnalysisError(
                f"{target} cannot be written ({error.strerror or error}): choose another folder "
                "with --output"
            ) from error
        return target
