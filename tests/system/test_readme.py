"""The README's example, run as it is printed."""

from __future__ import annotations

import re

from tests.support import ROOT
from tests.system.conftest import StartDemo

EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_five_lines_read_a_quote(start_demo: StartDemo) -> None:
    (source,) = EXAMPLE.findall((ROOT / "README.md").read_text())
    lines = [line for line in source.splitlines() if line]
    assert len(lines) <= 5
    demo = start_demo()
    demo.wait_tradable()
    program = demo.programs.python("-c", source.replace('"demo"', f'"{demo.instance}"'))
    assert program.wait() == 0, program.stderr()
    bid, ask, recv_age_ns, state, tradable = program.stdout().split()
    assert float(bid) < float(ask)
    assert int(recv_age_ns) > 0
    assert (state, tradable) == ("LIVE", "True")
