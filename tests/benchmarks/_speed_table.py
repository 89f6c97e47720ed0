"""The table of speed in ``README.md``, written from what ``speed.json`` keeps.

Each script keeps its own rows, so that one script alone can be run again.
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
KEPT, README = HERE / "speed.json", HERE / "README.md"
BEGIN, END = "<!-- written by the scripts -->", "<!-- end of the scripts' table -->"
HEAD = ("", "ours", "against", "ratio", "`python tests/benchmarks/...`")


def keep(what: str, ours: str, against: str, ratio: float | None, command: str) -> None:
    """Keep one row and write the table again.

    Args:
        what: what was measured; a row of the same name is replaced.
        ours: our figure with its unit.
        against: what it is compared with, and that figure.
        ratio: how many times faster ours is; None where the figure is compared with a goal.
        command: the script and its options.
    """
    rows = json.loads(KEPT.read_text("utf-8")) if KEPT.is_file() else {}
    times = "" if ratio is None else f"{ratio:.3g}"
    rows[what] = [ours, against, times, command]
    KEPT.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", "utf-8")


def table() -> str:
    """All kept rows as Markdown."""
    rows = json.loads(KEPT.read_text("utf-8"))
    lines = [HEAD, ("---",) * len(HEAD)]
    lines += [(what, *cells[:-1], f"`{cells[-1]}`") for what, cells in rows.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
