"""What the command line says to people, in Chinese and English."""

from __future__ import annotations

import locale
import os
from typing import Final, Literal

LANGUAGES: Final = ("zh", "en")

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "id": ("编号", "id"),
    "name": ("名称", "name"),
    "role": ("角色", "role"),
    "pin": ("密码", "PIN"),
    "cards": ("卡", "cards"),
    "scopes": ("权限", "scopes"),
    "made": ("创建时间", "made"),
    "web.pin_set": ("{id}（{name}，{role}）的密码已设置", "the PIN of {id} ({name}, {role}) is set"),
    "web.no_person": ("没有编号为 {id} 的人员", "there is no person {id}"),
    "web.no_card": ("标准输入中没有卡号", "there is no card number on standard input"),
    "web.no_token": ("没有名为 {name} 的令牌", "there is no token {name}"),
    "web.no_file": ("配置中没有 {key}", "the configuration has no {key}"),
    "web.new_pin": ("新密码", "new PIN"),
    "web.again": ("再输一次", "once more"),
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
    "receipt.queued": ("已交打印机 {printer}, 任务 {job}", "given to printer {printer}, job {job}"),
    "chain": ("链", "chain"),
    "requeued": ("已重新排队 {n} 条", "{n} records queued again"),
    "exported": ("已导出 {n} 条", "{n} records exported"),
    "courier.exported": ("已写入 {file}: {n} 条记录, {bytes} 字节", "{file}: {n} records, {bytes} bytes"),
    "courier.resumed": ("继续未完成的文件: 已有 {n} 条", "going on with the unfinished file: {n} records are in it"),
    "courier.none": ("没有待发送的记录, 未写文件", "no record waits to be sent: no file was written"),
    "courier.unfinished": (
        "{file} 未完成: {reason}; 已写 {n} 条, 再次运行即可继续",
        "{file} is not finished: {reason}; {n} records are in it, run the command again to go on",
    ),
    "courier.verdicts": (
        "平台确认 {accepted} 条, 退回 {rejected} 条 (新的)",
        "newly delivered: {accepted}, newly refused: {rejected}",
    ),
    "courier.records": ("新收 {new} 条待转发, 已有 {known} 条", "to be delivered: {new} new, {known} known already"),
    "captured": ("已录制 {n} 段, {bytes} 字节", "{n} pieces captured, {bytes} bytes"),
    "capture.nothing": ("{device} 还没有收到任何字节", "{device} has said nothing yet"),
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
    "evidence.none": ("{day} 没有记录", "there is no record of {day}"),
    "evidence.made": (
        "{file}: {n} 条记录 ({first} 至 {last}), 检查: edge-agent records verify {file}",
        "{file}: {n} records ({first} to {last}); check it with: edge-agent records verify {file}",
    ),
    "evidence.unsigned": ("签名已暂停, 档案未签名", "signing is blocked: the archive is not signed"),
    "keys.accepted": ("已确认, 重新开始签名", "accepted: signing goes on"),
    "keys.not_blocked": ("签名未被暂停", "signing was not blocked"),
    "keys.rotated": ("新密钥 {key}", "the new key is {key}"),
    "signing": ("签名", "signing"),
    "public": ("公钥", "public key"),
    "column": ("列", "column"),
    "version": ("版本", "version"),
    "rows": ("行数", "rows"),
    "code": ("编码", "code"),
    "plu": ("PLU", "PLU"),
    "initials": ("拼音", "initials"),
    "category": ("分类", "category"),
    "mode": ("计量", "mode"),
    "price_fen": ("单价(分)", "price (fen)"),
    "price_per": ("计价单位", "per"),
    "position": ("摊位", "position"),
    "uscc": ("信用代码", "credit code"),
    "goods": ("商品", "goods"),
    "since": ("起始日期", "since"),
    "party": ("主体", "party"),
    "sha256": ("SHA-256", "SHA-256"),
    "media_type": ("格式", "type"),
    "attachment.none": ("没有附件 {sha256}", "there is no attachment {sha256}"),
    "catalogue.bad": ("有 {n} 处问题, 未导入任何内容", "{n} faults; nothing was imported"),
    "catalogue.imported": ("已导入 {kind}: {n} 行, 版本 {version}", "imported {kind}: {n} rows, version {version}"),
    "catalogue.none": ("没有 {kind} 目录 {version}", "there is no catalogue of {kind} {version}"),
    "uplink.ok": ("链路正常: {protocol}, 往返 {ms} 毫秒", "the link works: {protocol}, round trip {ms} ms"),
    "maker": ("制造商", "maker"),
    "model": ("型号", "model"),
    "serial_no": ("编号", "serial number"),
    "verified_until": ("检定有效期至", "verified until"),
    "commissioned_at": ("启用时间", "commissioned"),
    "flags": ("标记", "flags"),
    "commission.which_mass": ("所用砝码（如 1 kg）", "the known mass (such as 1 kg)"),
    "commission.no_mass": ("{text!r} 不是质量；请写数值、空格和单位，如 1 kg", "{text!r} is no mass; write e.g. 1 kg"),
    "commission.empty": ("① 清空秤盘", "1. Take everything off the scale"),
    "commission.mass": ("② 放上砝码，等待稳定", "2. Put the known mass on and wait until it is steady"),
    "commission.tare": (
        "③ 取下砝码，放上空容器并去皮；秤面有净重标志时在数值后写 NET",
        "3. Take it off, put an empty container on and tare it; write NET behind the weight if the display shows it",
    ),
    "commission.overload": (
        "④ 取消去皮，压到超载；照抄秤面（如 OL 或 ----）",
        "4. Clear the tare, press until overload; type what the display shows (such as OL or ----)",
    ),
    "commission.removal": ("⑤ 再次清空秤盘并去皮清零", "5. Take everything off again, without tare"),
    "commission.display": ("秤面显示", "the display shows"),
    "commission.or_skip": ("（直接回车跳过）", " (Enter alone skips this)"),
    "commission.skipped": ("已跳过", "skipped"),
    "commission.read": ("代理读到: {read}", "the agent reads: {read}"),
    "commission.differs": ("✗ 不一致，可能原因: {causes}", "✗ differs; what would explain it: {causes}"),
    "commission.broken_off": ("输入结束，未完成；台账未更改", "the input ended; the ledger was not changed"),
    "commission.passed": ("{device} 启用校核通过，已记入台账", "{device} has passed; it is in the ledger"),
    "commission.failed": (
        "{device} 未通过，记录将继续带 uncommissioned 标记；改正后请重做",
        "{device} did not pass: its records go on carrying `uncommissioned`; correct it and do this again",
    ),
    "finding.unit": ("单位不对（检查 unit）", "the unit is wrong (see `unit`)"),
    "finding.decimal": ("小数点位置不对", "the decimal point is in another place"),
    "finding.reversed": ("数字方向反了（换正序/逆序驱动）", "the digits are reversed (take the other `=` dialect)"),
    "finding.sign": ("正负号不对", "the sign is wrong"),
    "finding.basis": ("净重与毛重弄反", "net is taken for gross"),
    "finding.not-a-weight": ("秤面不是重量，代理却读出重量", "the display shows no weight, and the agent reads one"),
    "finding.no-reading": ("秤面有重量，代理没有读数", "the display shows a weight, and the agent reads none"),
    "finding.value": (
        "数值不同（别的秤、旧数据或别的字段）",
        "another value: another scale, an old one, another field",
    ),
    "finding.scale-off": (
        "读数一致，但秤与砝码不符，应检定",
        "both agree, and the scale itself is off: have it verified",
    ),
    "settings": ("线路参数", "settings"),
    "frames": ("帧数", "frames"),
    "share": ("读懂比例", "understood"),
    "checksum": ("校验", "checksum"),
    "bits": ("每帧证据(位)", "bits a frame"),
    "rejected_as": ("拒收", "rejected"),
    "against": ("疑点", "speaks against"),
    "said": ("读到", "said"),
    "probe.yes": ("有", "yes"),
    "probe.no": ("无", "no"),
    "probe.listening": ("监听 {line} …", "listening with {line} …"),
    "probe.as_is": ("当前设置", "the port as it is"),
    "probe.asking": ("按 {driver} 的方式询问（{line}）…", "asking as {driver} does, with {line} …"),
    "tags.not_active": (
        "以上为将要写入的内容，未写入任何数据；确认写入请加 --active",
        "This is what would be written; nothing was. Add --active to write it.",
    ),
    "tags.not_read_back": ("已写入，但未能读回核对", "it was written, and could not be read back"),
    "tags.not_written": ("{name} 未写入，仍为原内容", "{name} was not written: it is as before"),
    "tags.state_unknown": (
        "标签现在的内容无法读取，使用前请重新读取",
        "what stands on the tag now could not be read: read it again before it is used",
    ),
    "tags.written": ("{name} 已写入", "{name} was written"),
    "tags.written_in_part": ("{name} 只写入了一部分，现为 {now}", "{name} was written in part: it is now {now}"),
    "tags.no_card": ("未发现标签或卡片", "no tag or card was found"),
    "probe.try_active": (
        "若设备要询问才回答，请加 --active（会向端口写入询问字节）",
        "An instrument that must be asked needs --active (which writes polls to the port).",
    ),
    "probe.check_unit": ("帧中没有单位：请照秤面填写", "the frames tell no unit: write what the display shows"),
    "probe.silent": (
        "端口上什么也没有收到：检查接线、电源、秤的输出方式",
        "nothing arrived at all: check cable, power, and whether the instrument is set to send",
    ),
    "probe.parity": (
        "校验位设置不符：设备发 {is}，却按 {read_as} 读取（第 8 位是校验位）",
        "parity mismatch: {is} is read as {read_as} (bit 7 of the bytes is their parity)",
    ),
    "probe.baud": (
        "收到的多为非文本字节：波特率很可能不对",
        "most bytes are no text: the baud rate is probably wrong",
    ),
    "probe.unknown": (
        "收到数据，但没有驱动能读懂；可用 devices capture 录制，文本协议可用 devices learn 学习",
        "bytes arrive that no driver understands: record them with `devices capture`, or try `devices learn`",
    ),
    "probe.equal": (
        "同样符合的驱动: {drivers}；请用 devices commission 与秤面核对",
        "these fit equally well: {drivers}; compare with the display (`devices commission`)",
    ),
    "probe.direction": (
        "= 帧正反两个方向都能读：必须用砝码核对（devices commission）",
        "`=` frames can be read in both directions: prove it with a known mass (`devices commission`)",
    ),
    "probe.last-digits-zero": ("末两位总是 0，数字方向可能反了", "its last digits are always 0: may be reversed"),
    "probe.no-weight": (
        "帧完好，但重量在哪里要用 options 说明",
        "good frames; where the weight stands is a setting (options)",
    ),
    "probe.too-heavy": ("数值大得不合理", "the value is too large to be a weight"),
    "learn.weight": (
        "（{n}/{of}）放上一个重量，等待稳定（各次不同，数字不要左右对称，如 1.235）",
        "({n} of {of}) Put a weight on and wait until it is steady; another each time, such as 1.235",
    ),
    "learn.heard": ("收到 {bytes} 字节", "{bytes} bytes"),
    "learn.moving": (
        "现在用手轻压秤盘，使示值一直变化",
        "Now press on the platter, so that the display keeps changing",
    ),
    "learn.press_enter": ("变化时按回车", "press Enter while it changes"),
    "learn.a_weight": ("请输入秤面上的重量，如 1.235 kg", "type the weight that the display shows, such as 1.235 kg"),
    "learn.broken_off": ("输入结束，未写文件", "the input ended; nothing was written"),
    "learn.failed": ("没有学会", "not learned"),
    "learn.done": (
        "已写入 {file}。把它放在配置文件旁的 dialects.d/ 中，配置如下，然后用 devices commission 核对:\n\n{block}",
        "{file} is written. Keep it in dialects.d/ beside the configuration, with this device, and prove it with "
        "`devices commission`:\n\n{block}",
    ),
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


def language() -> Literal["zh", "en"]:
    """The chosen language."""
    return "zh" if _language == "zh" else "en"


def say(word: str, **values: object) -> str:
    """A message in the chosen language."""
    return _WORDS[word][LANGUAGES.index(_language)].format(**values)
