"""Where goods came from and where they went, as a graph drawn from records; pure.

The caller looks records up by the texts that they hold (`find`); everything here is bounded: how many texts are looked
up, how many records become nodes. What was left out is said (`truncated`).

    voucher -> intake -> BATCH -> sale -> return          transform: its inputs' batches -> transform -> its outputs'
                          |-> inspection, stop, disposal, loss, transfer out ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MOST_NODES: Final = 200
MOST_LOOKUPS: Final = 12
_DEEPEST: Final = 4

Event = Mapping[str, Any]
Find = Callable[[str], Sequence[Event]]

_NAMED_BY: Final = ("trace_code", "ticket", "batch", "upstream_trace", "document_no", "check_no", "complaint_no", "lot")
_FACTS: Final = (
    *("goods_code", "goods_name", "batch", "trace_code", "ticket", "net_mg", "qty", "mode", "amount_fen", "seller"),
    *("buyer", "supplier", "supplier_name", "origin_code", "origin_name", "result", "kind", "reason", "cause"),
    *("direction", "from_party", "to_party", "document_no", "check_no", "decision", "outcome", "about", "flags"),
)
_KINDS: Final = {
    "trace.intake.v1": "intake",
    "trace.sale.v1": "sale",
    "trace.return.v1": "return",
    "trace.transfer.v1": "transfer",
    "trace.inspection.v1": "inspection",
    "trace.disposal.v1": "disposal",
    "trace.loss.v1": "loss",
    "trace.stop_sale.v1": "stop",
    "trace.release.v1": "release",
    "trace.recall_hit.v1": "hit",
    "trace.transform.v1": "transform",
    "trace.complaint.v1": "complaint",
    "trace.void.v1": "void",
    "trace.amend.v1": "amend",
    "trace.intake_review.v1": "review",
    "trace.settlement.v1": "settlement",
}
_UPSTREAM: Final = frozenset({"intake", "transform"})


@dataclass(slots=True)
class Graph:
    """Nodes by id in the order in which they were found, edges in the direction in which goods move."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: dict[tuple[str, str], None] = field(default_factory=dict)
    truncated: bool = False

    def node(self, name: str, kind: str, title: str, **more: Any) -> bool:
        """Add a node once; False where there are too many."""
        if name in self.nodes:
            return True
        if len(self.nodes) >= MOST_NODES:
            self.truncated = True
            return False
        self.nodes[name] = {"id": name, "kind": kind, "title": title, "time": None, "record": None, "facts": {}} | more
        return True

    def edge(self, before: str, after: str) -> None:
        """Goods go from one node to another."""
        if before in self.nodes and after in self.nodes and before != after:
            self.edges[before, after] = None


def trace(code: str, find: Find, *, searched: Callable[[], int] = lambda: 0) -> dict[str, Any]:
    """The graph around a code: a trace code, batch number, ticket, or the id of a record."""
    graph = Graph()
    kind = "none"
    done: set[str] = set()
    queue: deque[tuple[str, int]] = deque([(code, 0)])
    lookups = 0
    while queue:
        text, depth = queue.popleft()
        if text in done:
            continue
        if lookups >= MOST_LOOKUPS:
            graph.truncated = True
            break
        done.add(text)
        lookups += 1
        for event in sorted(find(text), key=lambda each: str(each["sequence"])):
            if not _is_about(event, text):
                continue
            if text == code and kind == "none":
                kind = _kind_of(event, code)
            for further in _add(graph, event):
                if depth < _DEEPEST:
                    queue.append((further, depth + 1))
    return {
        "code": code,
        "kind": kind,
        "nodes": list(graph.nodes.values()),
        "edges": [list(edge) for edge in graph.edges],
        "truncated": graph.truncated,
        "searched": searched(),
    }


def _is_about(event: Event, text: str) -> bool:
    """Whether a record names this text as what it is about, and does not just happen to hold it."""
    data = event["data"]
    if event["type"] not in _KINDS:
        return False
    if event["id"] == text or data.get("corrects") == text or text in (data.get("lines") or ()):
        return True
    if any(data.get(name) == text for name in (*_NAMED_BY, "stop_sale", "inspection", "intake", "sale", "record")):
        return True
    parts = (*(data.get("inputs") or ()), *(data.get("outputs") or ()))
    papers = data.get("vouchers") or ()
    return any(part.get("batch") == text for part in parts) or any(paper.get("no") == text for paper in papers)


def _kind_of(event: Event, code: str) -> str:
    data = event["data"]
    if event["id"] == code:
        return "record"
    if event["type"] == "trace.sale.v1" and data.get("trace_code") == code:
        return "sale"
    return "ticket" if data.get("ticket") == code else "batch"


def _add(graph: Graph, event: Event) -> Iterable[str]:
    """Draw a record; returns the texts by which the search goes on."""
    data, kind, name = event["data"], _KINDS[event["type"]], event["id"]
    facts = {key: data[key] for key in _FACTS if data.get(key) not in (None, (), [])}
    title = data.get("goods_name") or data.get("goods_code") or kind
    if not graph.node(name, kind, title, time=event["time"], record=name, facts=facts):
        return ()
    further: list[str] = []
    if data.get("corrects"):
        graph.edge(str(data["corrects"]), name)
    if kind == "transform":
        for part in data.get("inputs") or ():
            further += _batch(graph, part.get("batch"), part, into=name)
        for part in data.get("outputs") or ():
            further += _batch(graph, part.get("batch"), part, out_of=name)
        return further
    batch = data.get("batch")
    if kind in _UPSTREAM or (kind == "transfer" and data.get("direction") == "in"):
        further += _batch(graph, batch, data, out_of=name)
        for paper in data.get("vouchers") or ():
            _voucher(graph, paper, name)
            further += [paper["no"]] if paper.get("type") == "1" and paper.get("no") else []
        further += [data["upstream_trace"]] if data.get("upstream_trace") else []
    else:
        further += _batch(graph, batch, data, into=name)
    if kind == "sale":
        further += [event["id"]]
    if kind == "complaint":
        further += [data[key] for key in ("sale", "trace_code", "ticket") if data.get(key)]
        if data.get("sale"):
            graph.edge(str(data["sale"]), name)
        for other in [n for n in graph.nodes.values() if data.get("trace_code") and n["facts"].get("trace_code")]:
            if other["facts"]["trace_code"] == data["trace_code"]:
                graph.edge(other["id"], name)
    return further


def _batch(
    graph: Graph, batch: str | None, about: Mapping[str, Any], *, into: str | None = None, out_of: str | None = None
) -> list[str]:
    if not batch:
        return []
    name = f"batch:{batch}"
    facts = {key: about[key] for key in ("goods_code", "goods_name") if about.get(key)}
    graph.node(name, "batch", batch, facts=facts)
    if into is not None:
        graph.edge(name, into)
    if out_of is not None:
        graph.edge(out_of, name)
    return [batch]


def _voucher(graph: Graph, paper: Mapping[str, Any], intake: str) -> None:
    name = f"voucher:{paper.get('type')}:{paper.get('no') or paper.get('url')}"
    facts = {key: value for key, value in paper.items() if value not in (None, "")}
    graph.node(name, "voucher", str(paper.get("no") or paper.get("type")), facts=facts)
    graph.edge(name, intake)
