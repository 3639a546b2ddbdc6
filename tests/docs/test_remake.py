"""Protects the tables that leave a page: long ones become CSV files, and notes stand once."""

from docs.tools import remake

TABLE = r"""What ranks them (N = 2)

| Known | \|ρ\| less |
| ----- | ---------: |
| Width | +0.1, 0.2  |

ρ: Spearman's.
"""


def test_a_long_table_becomes_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(remake, "TABLES_FOLDER", tmp_path / "tables")
    made = tmp_path / f"speed-x-{remake.GROUP}.md"
    made.write_text(TABLE)
    shown = remake.filed(made)
    assert shown == "[What ranks them (N = 2)](tables/speed-x.csv)\n\nρ: Spearman's."
    filed = (tmp_path / "tables" / "speed-x.csv").read_text()
    assert filed == 'Known,|ρ| less\nWidth,"+0.1, 0.2"\n'


def test_notes_stand_once():
    assert remake.once("a\n\nnote\n\nb\n\nnote") == "a\n\nnote\n\nb"
    captions = f"Table ({remake.SHARED})\n\nTable ({remake.SHARED}; 100 epochs)"
    assert remake.once(captions) == "Table\n\nTable (100 epochs)"
