"""What the page's files may be, who may ask the server for what, and that a scan by way of the page is a scan."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from stall import GTIN, Stall

import edge_agent.web

STATIC = Path(edge_agent.web.__file__).parent / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        text = refusal.read()
        return refusal.code, json.loads(text) if text.startswith(b"{") else None


def test_only_the_page_itself_may_ask(stall: Stall) -> None:
    confirm = f"{stall.url}/api/stations/A12/confirm"
    with urllib.request.urlopen(f"{stall.url}/api/session", timeout=20) as answer:
        cookie, session = answer.headers["set-cookie"].partition(";")[0], json.loads(answer.read())
    mine = {"Cookie": cookie, "X_CSRF_Token": session["csrf"], "Content_Type": "application/json"}
    status, refusal = ask(confirm, {}, **mine)
    assert (status, refusal["refused"], refusal["kept"]) == (409, "no-goods", [])
    assert ask(confirm, {}, **{**mine, "X_CSRF_Token": "x"})[1]["error"] == "csrf"
    assert ask(confirm, {}, **{**mine, "Cookie": ""})[1]["error"] == "csrf"
    assert ask(confirm, {}, **{**mine, "Content_Type": "text/plain"})[0] == 415
    assert ask(confirm, {}, **mine, Origin="http://evil.example")[0] == 403
    assert ask(f"{stall.url}/api/state", Host="evil.example")[0] == 403
    assert ask(confirm, {"arguments": 3}, **mine)[0] == 400
    assert ask(f"{stall.url}/api/stations/Z9/confirm", {}, **mine)[0] == 404
    assert ask(f"{stall.url}/api/stations/A12/dance", {}, **mine)[1]["refused"] == "unknown-command"
    assert ask(f"{stall.url}/static/..%2f..%2fagent.py")[0] == 404
    status, state = ask(f"{stall.url}/api/state")
    assert status == 200
    assert state["status"]["kept"] == len(stall.kept("chain"))


def test_the_page_runs_nothing_that_is_not_its_own(stall: Stall) -> None:
    with urllib.request.urlopen(stall.url, timeout=20) as answer:
        policy = answer.headers["content-security-policy"]
        html = answer.read().decode()
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http://" not in html
    assert "https://" not in html


def test_the_files_ask_nobody_else_and_hold_no_markup_from_outside() -> None:
    assert {"app.js", "sell.js", "words.js"} <= {file.name for file in SCRIPTS}
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"']*", text)
        assert [each for each in addresses if not each.startswith("http://www.w3.org/")] == [], file.name
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "<style",
            "style=",
        ):
            assert word not in text, (file.name, word)


def test_the_pages_own_policy_allows_no_inline_script(stall: Stall) -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert " on" not in html.replace(" only", "")


def _ask_as_page(stall: Stall) -> dict[str, str]:
    with urllib.request.urlopen(f"{stall.url}/api/session", timeout=20) as answer:
        cookie, session = answer.headers["set-cookie"].partition(";")[0], json.loads(answer.read())
    return {"Cookie": cookie, "X_CSRF_Token": session["csrf"], "Content_Type": "application/json"}


def test_a_code_that_reaches_a_page_is_a_scan(stall: Stall) -> None:
    mine = _ask_as_page(stall)
    scan = f"{stall.url}/api/stations/A12/scan"
    assert ask(scan, {"arguments": {"text": GTIN}}, **mine)[0] == 200
    assert stall.agent.views()["A12"].detail["goods_name"] == "苹果"
    assert ask(scan, {"arguments": {"text": "134567890123456789"}}, **mine)[1]["refused"] == "not-goods"
    for wrong in ("", 3, None, "x" * 5000):
        assert ask(scan, {"arguments": {"text": wrong}}, **mine)[1]["refused"] == "bad-scan"
    assert ask(scan, {"arguments": {"text": "a", "symbology": 1}}, **mine)[1]["refused"] == "bad-scan"


def test_goods_come_with_the_open_batches_of_a_station(stall: Stall) -> None:
    stall.take_in("01220101", "20261126-05", 7_000_000)
    goods = {each["code"]: each for each in ask(f"{stall.url}/api/catalogue?station=A12")[1]["goods"]}
    assert goods["01220101"]["batches"][0]["batch"] == "20261126-05"
    assert goods["01220101"]["initials"] == "td"
    assert ask(f"{stall.url}/api/catalogue?station=Z9")[0] == 404


def _get(url: str, **headers: str) -> tuple[int, bytes, Any]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as other:
        return other.code, other.read(), other.headers


def test_all_of_the_page_is_less_than_100_kb_on_the_wire(stall: Stall) -> None:
    total = 0
    for file in STATIC.iterdir():
        address = f"{stall.url}/" if file.name == "index.html" else f"{stall.url}/static/{file.name}"
        status, packed, headers = _get(address, Accept_Encoding="gzip, deflate")
        assert (status, headers["content-encoding"]) == (200, "gzip"), file.name
        assert gzip.decompress(packed) == file.read_bytes() == _get(address)[1]
        assert _get(address, Accept_Encoding="gzip", If_None_Match=headers["etag"])[:2] == (304, b"")
        total += len(packed)
    assert total < 100_000


def test_the_scripts_are_of_the_year_of_an_old_phone() -> None:
    """ES2018 without what came later: Chrome 64 reads it. acorn knows the syntax of each year."""
    node_modules = Path(__file__).parents[1] / "node" / "node_modules"
    check = """
      const acorn = require(process.argv[1]); const fs = require("fs");
      for (const file of process.argv.slice(2)) {
        const text = fs.readFileSync(file, "utf8").replace(/\\bimport\\(/g, "load(");
        try { acorn.parse(text, {ecmaVersion: 2018, sourceType: "module"}); }
        catch (problem) { console.log(file + ": " + problem.message); }
      }"""
    command = ["node", "-e", check, str(node_modules / "acorn"), *map(str, SCRIPTS)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    later = (
        *("replaceChildren", ".flat(", "flatMap(", "fromEntries", "matchAll", "allSettled", "structuredClone"),
        *("replaceAll", ".at(", "AbortController", "ResizeObserver", "queueMicrotask", "globalThis"),
    )
    for file in SCRIPTS:
        text = file.read_text(encoding="utf-8")
        assert [word for word in later if word in text] == [], file.name
    sheet = (STATIC / "page.css").read_text(encoding="utf-8")
    for word in ("clamp(", ":is(", ":where(", "aspect-ratio", "inset:", "dvh", " gap:", "display: contents"):
        assert word not in sheet.split("*/", 1)[1], word


def test_every_word_is_there_in_both_languages() -> None:
    words = (STATIC / "words.js").as_uri()
    script = f"""import({json.dumps(words)}).then(({{ words }}) => {{
      const plain = (value) => value && typeof value === "object" && !Array.isArray(value);
      const keys = (table, path) => Object.keys(table).reduce((all, name) => all.concat(
        plain(table[name]) ? keys(table[name], path + name + ".") : path + name), []);
      console.log(JSON.stringify({{ zh: keys(words.zh, ""), en: keys(words.en, "") }}));
    }})"""
    command = ["node", "--experimental-default-type=module", "--input-type=module", "-e", script]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    chinese, english = set(told["zh"]), set(told["en"])
    assert english <= chinese
    # What English leaves out is the code itself, which is an English word: `type.sale`, `node.batch`.
    left_out = chinese - english
    assert {each.partition(".")[0] for each in left_out} <= {"type", "node", "disposal", "field", "about"}, left_out
    assert all(re.fullmatch(r"[a-z_ -]+", each.rpartition(".")[2]) for each in left_out)
    asked = set()
    for file in SCRIPTS:
        if file.name != "words.js":
            asked |= set(re.findall(r'\bsay\("([^"]+)"\)', file.read_text(encoding="utf-8")))
    tables = {each.rpartition(".")[0] for each in chinese}
    assert {each for each in asked if each not in chinese and each not in tables} == set()
