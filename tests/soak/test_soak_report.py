"""The table of the long runs: only what ran changes, a failure shows, what is no more goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soak_report
from soak_report import BEGIN, END, Result, merged

PAGE = f"# Page\n\n{BEGIN}\n{END}\n\nwords\n"


def result(test: str, outcome: str = "passed", seconds: float = 3.0) -> Result:
    return Result(
        test=test, tried="a fault", count="7", seconds=seconds, outcome=outcome, date="2026-11-23", at="abc1234"
    )


def lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| `")]


def test_what_did_not_run_keeps_its_line_and_what_is_no_more_goes() -> None:
    page = merged(PAGE, [result("b::two"), result("a::one", seconds=600)], None)
    assert page.startswith("# Page\n\n")
    assert page.endswith("\n\nwords\n")
    assert lines(page) == [
        "| `a::one` | a fault | 7 | 10 min | passed | 2026-11-23 | abc1234 |",
        "| `b::two` | a fault | 7 | 3 s | passed | 2026-11-23 | abc1234 |",
    ]
    again = merged(page, [result("b::two", "failed")], None)
    assert lines(again) == [lines(page)[0], lines(page)[1].replace("passed", "**failed**")]
    assert merged(again, [], None) == again
    assert lines(merged(again, [], {"b::two"})) == [lines(again)[1]]


def test_a_page_without_the_marks_is_not_written() -> None:
    with pytest.raises(ValueError, match="soak results"):
        merged("# Page\n", [result("a")], None)


TESTS = """
import pytest

@pytest.mark.soak("one fault")
def test_good(record_property):
    record_property("count", "12 times")

@pytest.mark.soak("another fault")
def test_bad():
    assert False

@pytest.fixture
def broken():
    raise OSError

@pytest.mark.soak("a third")
def test_never_begun(broken):
    pass

def test_short():
    pass
"""
CONFTEST = """
from pathlib import Path
from soak_report import SoakReport

def pytest_configure(config):
    config.pluginmanager.register(SoakReport(Path("page.md"), config.rootpath))
"""


def test_a_session_writes_its_outcomes(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\nmarkers = soak\n")
    gone = result("test_it.py::test_gone").line()
    (tmp_path / "page.md").write_text(PAGE.replace(END, f"{gone}\n{END}"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "soak"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(soak_report.__file__).parent)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout.decode()
    told = [[cell.strip() for cell in line.split("|")[1:6]] for line in lines((tmp_path / "page.md").read_text())]
    assert told == [
        ["`test_it.py::test_bad`", "another fault", "", "0 s", "**failed**"],
        ["`test_it.py::test_good`", "one fault", "12 times", "0 s", "passed"],
        ["`test_it.py::test_never_begun`", "a third", "", "0 s", "**failed**"],
    ]


CUT = """
import os
import pytest

@pytest.mark.soak("one fault")
def test_good():
    pass

@pytest.mark.soak("the machine is switched off")
def test_never_ended():
    os._exit(1)
"""


def test_a_run_that_is_cut_off_keeps_what_it_had(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(CUT)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = soak\n")
    (tmp_path / "page.md").write_text(PAGE)
    environment = {**os.environ, "PYTHONPATH": str(Path(soak_report.__file__).parent)}
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-m", "soak"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = lines((tmp_path / "page.md").read_text())
    assert line.startswith("| `test_it.py::test_good` | one fault |")
