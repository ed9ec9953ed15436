"""What the command line says to people, in Chinese and English."""

from __future__ import annotations

import locale
import os
from typing import Final

LANGUAGES: Final = ("zh", "en")

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "error": ("错误", "error"),
    "file": ("文件", "file"),
    "key": ("配置项", "key"),
    "what": ("问题", "what is wrong"),
    "hint": ("正确写法", "what would be right"),
    "config.ok": ("配置正确", "the configuration is good"),
    "config.bad": ("配置有 {n} 处问题", "{n} problems in the configuration"),
    "config.unused": ("本版本尚未使用: {key}", "not used by this version yet: {key}"),
    "driver": ("驱动", "driver"),
    "kind": ("类别", "kind"),
    "models": ("适用机型", "makes and models"),
    "interfaces": ("接口", "interfaces"),
    "line": ("线路参数", "line settings"),
    "tells": ("可提供", "tells"),
    "maturity": ("成熟度", "maturity"),
    "source": ("依据", "source"),
    "from": ("来自", "from"),
    "fault": ("无法使用", "cannot be used"),
    "device": ("设备", "device"),
    "port": ("端口", "port"),
    "state": ("状态", "state"),
    "reason": ("原因", "reason"),
    "sequence": ("序号", "sequence"),
    "time": ("时间", "time"),
    "type": ("类型", "type"),
    "station": ("工位", "station"),
    "content": ("内容", "content"),
    "kept": ("已保存", "kept"),
    "delivered": ("平台已确认", "delivered"),
    "rejected": ("被退回", "rejected"),
    "pending": ("待确认", "pending"),
    "oldest_pending": ("最早待确认", "oldest pending"),
    "salvaged": ("旧库找回待确认", "salvaged, pending"),
    "link": ("链路", "link"),
    "store": ("存储", "store"),
    "size": ("大小", "size"),
    "agent": ("代理", "agent"),
    "running": ("运行中", "running"),
    "not_running": ("未运行", "not running"),
    "chain": ("链", "chain"),
    "requeued": ("已重新排队 {n} 条", "{n} records queued again"),
    "exported": ("已导出 {n} 条", "{n} records exported"),
    "captured": ("已录制 {n} 段, {bytes} 字节", "{n} pieces captured, {bytes} bytes"),
    "refused": ("未更改", "not done"),
    "no_record": ("没有记录 {id}", "no record {id}"),
    "verify.ok": (
        "✓ 完好: 没有发现改动、缺失、插入、错序或分叉",
        "✓ whole: nothing changed, missing, inserted, moved or forked",
    ),
    "verify.bad": ("✗ 发现 {n} 处问题", "✗ {n} findings"),
    "verify.more": ("另有 {n} 处未列出", "{n} more are not listed"),
    "verify.no_key": (
        "没有公钥: 签名未检查, 只检查了链",
        "No public key: signatures were not checked, only the chain; a cut end cannot be seen",
    ),
    "verify.own_key": (
        "签名按文件自带的公钥检查; 请与平台登记的公钥核对 (--key): {keys}",
        "Signatures were checked with the key that the file itself names; compare it with the one that the platform"
        " knows (--key): {keys}",
    ),
    "prove.no_root": (
        "记录 {sequence} 的当日根尚未签名 (当天结束后才有)",
        "the root of the day of record {sequence} is not signed yet; it is when the day has ended",
    ),
    "keys.accepted": ("已确认, 重新开始签名", "accepted: signing goes on"),
    "keys.not_blocked": ("签名未被暂停", "signing was not blocked"),
    "keys.rotated": ("新密钥 {key}", "the new key is {key}"),
    "signing": ("签名", "signing"),
    "public": ("公钥", "public key"),
    "since": ("自", "since"),
    "uplink.ok": ("链路正常: {protocol}, 往返 {ms} 毫秒", "the link works: {protocol}, round trip {ms} ms"),
    "demo.start": (
        "演示开始: 两台模拟秤, 一支模拟扫码枪, 内嵌消息服务器和城市平台。页面: {url}",
        "Demo: two simulated scales, a simulated scanner, an embedded broker, a stand-in for the city. Page: {url}",
    ),
    "demo.away": ("—— 网络断开, 记录继续保存 ——", "-- network away: records go on being kept --"),
    "demo.back": ("—— 网络恢复, 开始补传 ——", "-- network back: the backlog is delivered --"),
    "demo.line": (
        "已保存 {kept}  平台已确认 {delivered}  待确认 {pending}  被退回 {rejected}  链路 {link}  | {scales}",
        "kept {kept}  delivered {delivered}  pending {pending}  rejected {rejected}  link {link}  | {scales}",
    ),
    "demo.end": ("收尾: 等待最后的确认", "Ending: waiting for the last verdicts"),
}

_language = "en"


def set_language(choice: str | None) -> None:
    """Choose the language; by locale when nothing is chosen."""
    global _language
    if choice is None:
        named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
        choice = "zh" if (named or locale.getlocale()[0] or "").lower().startswith("zh") else "en"
    _language = choice


def say(word: str, **values: object) -> str:
    """A message in the chosen language."""
    return _WORDS[word][LANGUAGES.index(_language)].format(**values)
