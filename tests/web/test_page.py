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
from edge_agent.web.page_files import PageFiles

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
    assert {"app.js", "sell.js", "zh.js"} <= {file.name for file in SCRIPTS}
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


def test_every_file_is_sent_packed_and_not_at_all_to_who_has_it(stall: Stall) -> None:
    version = PageFiles().version
    for file in STATIC.iterdir():
        index = file.name == "index.html"
        for address in (
            (f"{stall.url}/",)
            if index
            else (f"{stall.url}/static/{file.name}", f"{stall.url}/static/{version}/{file.name}")
        ):
            status, packed, headers = _get(address, Accept_Encoding="gzip, deflate")
            assert (status, headers["content-encoding"]) == (200, "gzip"), file.name
            plain = _get(address)[1]
            assert gzip.decompress(packed) == plain
            assert plain.replace(f"/{version}/".encode(), b"/") == file.read_bytes()
            assert _get(address, Accept_Encoding="gzip", If_None_Match=headers["etag"])[:2] == (304, b"")
            # What is named with its version never changes; all else is asked for again.
            kept = headers["cache-control"]
            assert ("immutable" in kept) == (version in address), (address, kept)
            assert ("no-cache" in kept) == (version not in address), (address, kept)
    assert _get(f"{stall.url}/static/000000000000/app.js")[0] == 404


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
    for name in ("page.css", "more.css"):
        sheet = (STATIC / name).read_text(encoding="utf-8").split("*/", 1)[1]
        for word in ("clamp(", ":is(", ":where(", "aspect-ratio", "inset:", "dvh", " gap:", "display: contents"):
            assert word not in sheet, (name, word)


def _words(language: str) -> tuple[set[str], set[str], dict[str, Any]]:
    """Of a language the words of the counter, those of the other screens, and all of them, by their path."""
    files = [(STATIC / f"{language}{more}.js").as_uri() for more in ("", "-more")]
    script = f"""Promise.all({json.dumps(files)}.map((file) => import(file))).then((all) => {{
      const plain = (value) => value && typeof value === "object" && !Array.isArray(value);
      const keys = (table, path) => Object.keys(table).reduce((all, name) => all.concat(
        plain(table[name]) ? keys(table[name], path + name + ".") : [[path + name, table[name]]]), []);
      console.log(JSON.stringify(all.map((module) => keys(module.words, ""))));
    }})"""
    command = ["node", "--experimental-default-type=module", "--input-type=module", "-e", script]
    counter, more = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {path for path, _ in counter}, {path for path, _ in more}, dict(counter + more)


def _code(*names: str) -> str:
    """The scripts without their comments, those with words left out."""
    files = [file for file in SCRIPTS if not re.fullmatch(r"(zh|en)(-more)?\.js", file.name)]
    chosen = [file for file in files if not names or file.stem in names]
    return "\n".join(re.sub(r"^\s*//.*$", "", file.read_text(encoding="utf-8"), flags=re.M) for file in chosen)


def test_every_word_is_there_in_both_languages_and_in_the_same_file() -> None:
    chinese, english = _words("zh"), _words("en")
    may_be_left_out = {"type", "node", "disposal", "field", "about", "of-printer"}
    for at in (0, 1):
        assert english[at] <= chinese[at]
        # What English leaves out is the code itself, which is an English word: `type.sale`, `node.batch`.
        left_out = chinese[at] - english[at]
        assert {each.partition(".")[0] for each in left_out} <= may_be_left_out, left_out
        assert all(re.fullmatch(r"[a-z_ -]+", each.rpartition(".")[2]) for each in left_out)
    assert not chinese[0] & chinese[1]  # no word is loaded twice


def test_no_word_is_asked_for_that_is_not_there() -> None:
    counter, more, _ = _words("zh")
    every = counter | more
    tables = {each.rpartition(".")[0] for each in every}
    asked = set(re.findall(r'\bsay\("([^"]+)"\)', _code()))
    assert {each for each in asked if each not in every and each not in tables} == set()
    # A table that is looked into with a code: `state.${now}`.
    looked = set(re.findall(r"\b(?:say|has)\(`([a-z][a-z-]*)\.\$\{", _code()))
    assert looked <= tables | {"platform"}, looked - tables  # the platform's codes are a city's own
    # What the counter says is loaded with the counter.
    core = _loaded_at_first()
    at_first = set(re.findall(r'\bsay\("([^"]+)"\)', _code(*core)))
    assert {each for each in at_first if each in more} == set()


def test_no_word_is_there_that_nothing_asks_for() -> None:
    """A word is asked for by its name; an entry of a table by a text of the page, or a code of the agent."""
    code = _code()
    texts = set(re.findall(r'"([^"\n]*)"', code)) | set(re.findall(r"\b([A-Za-z_][\w]*)\s*[:,}]", code))
    root = Path(edge_agent.web.__file__).parents[2]
    agent = "\n".join(
        file.read_text(encoding="utf-8")
        for folder in ("edge_agent", "drivers")
        for file in (root / folder).rglob("*.py")
    )
    codes = set(re.findall(r'"([^"\n]*)"', agent))
    codes |= {file.name.split(".")[1] for file in (root / "docs/reference/schemas").glob("trace.*.json")}
    unused = set()
    for path in _words("zh")[2]:
        table, dot, name = path.partition(".")
        if f'"{path}"' in code:
            continue
        if not dot:
            if name not in texts and table not in texts:
                unused.add(path)
            continue
        if f"{table}." not in code and table not in texts:
            unused.add(path)
        parts = {name, *re.split(r"[-.]", name)} if table == "refusal" else {name}
        if not parts & (texts | codes):
            unused.add(path)
    assert unused == set()


NOT_OF_THE_PAGE = {
    *("bad-request", "not-json", "origin", "scope", "token"),  # what only a program can do wrong
    *("bad-patrol", "no-findings", "nothing-measured", "bad-step", "not-a-scale"),  # commands without a screen
    *("no-action", "bad-{name}", "no-{name}", "bad-{what}"),  # fields, each by its own name
}


def test_whatever_the_box_refuses_is_said_in_words() -> None:
    """Every code by which something is not done, as the sources name them: in words, else by the field it is about."""
    refusing = r'(?:NotDone|Refused|NotPrinted|NotProved|NotTaken|Refusal)\(\s*(?:\d+,\s*)?f?"([a-z][^" ]*)"'
    sources = (Path(edge_agent.web.__file__).parents[1]).rglob("*.py")
    codes = {code for file in sources for code in re.findall(refusing, file.read_text(encoding="utf-8"))}
    assert len(codes) > 90
    for language in ("zh", "en"):
        words = _words(language)[0] | _words(language)[1]
        fields = {each.partition(".")[2] for each in words if each.startswith("field.")}
        said = {each.partition(".")[2] for each in words if each.startswith("refusal.")}
        silent = {code for code in codes - said - NOT_OF_THE_PAGE if code.partition("-")[2] not in fields}
        assert silent == set(), (language, silent)


def _loaded_at_first() -> set[str]:
    """The modules that the page's first one leads to without `import()`."""
    found, waiting = set(), ["app"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
            waiting += re.findall(r'^import .*? from "\./([\w-]+)\.js";', text, flags=re.M)
    return found


def _classes(text: str) -> set[str]:
    """The classes that a style sheet speaks of."""
    selectors = re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", text, flags=re.S))
    return {name for each in selectors for name in re.findall(r"\.([A-Za-z][\w-]*)", each)}


def _worn(code: str) -> set[str]:
    """The classes that scripts give to elements: `h("p.note")`, `key(…, "button.strong")`, `class: "warn"`."""
    named = re.findall(r'["`]([a-z][a-z0-9]*(?:\.[A-Za-z][\w-]*)+)(?:\$\{|["`])', code)
    worn = {name for each in named for name in each.split(".")[1:]}
    for each in re.findall(r"class: ([^}]*)", code):
        worn |= set(re.findall(r'"([\w-]+)"', each))
    return worn | set(re.findall(r"svg\(\w+, \w+, \"([\w-]+)\"", code))


def test_every_rule_of_the_style_is_for_something_that_is_drawn() -> None:
    core = _loaded_at_first()
    sheets = {name: _classes((STATIC / name).read_text(encoding="utf-8")) for name in ("page.css", "more.css")}
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    all_worn = _worn(_code()) | set(re.findall(r'class="([\w-]+)"', html))
    # What a receipt says of its lines, and a class that is made of the kind of a sheet.
    made = {"center", "of-who"}
    for name, classes in sheets.items():
        assert classes - all_worn - made == set(), name
    # What only the other screens wear stands in their sheet, not in the one that every phone loads.
    at_first = _worn(_code(*core)) | set(re.findall(r'class="([\w-]+)"', html)) | made
    assert sheets["page.css"] - at_first == set()
