// The page's words, Chinese and English.
export const words = {
  zh: {
    recent: "最近记录", pending: "待确认", rejected: "被退回", confirm: "确认销售", goods: "商品", noGoods: "请扫码选择商品",
    legal: "以秤面示值为准", scanned: "已扫", synced: "时间已校准", unsynced: "时间待校准", lostPage: "与网关失去连接，正在重连",
    storeAlarm: "记录暂时无法保存", saved: "已保存", sent: "已发送", delivered: "平台已确认", refused: "平台退回",
    legend: "✓ 已保存　↑ 已发送　✓✓ 平台已确认　! 平台退回",
    link: { connected: "● 在线", connecting: "◐ 连接中", offline: "○ 离线", none: "未配置上传" },
    state: {
      empty: "零位", loading: "上货中", moving: "不稳定", stable: "稳定", captured: "已记录", unloading: "取货中",
      "loaded-at-start": "开机时秤上有物，请先清空", overload: "超载", underload: "低于零位", stale: "秤无数据",
      disconnected: "秤未连接", "bad-data": "数据异常", waiting: "等待数据",
    },
    type: {
      weighing: "称重", scan: "扫码", sale: "销售", tag: "标签", chain: "新链", return: "退货", settlement: "结算", loss: "损耗",
      stocktake: "盘点", intake: "进货", intake_review: "进货审核", entry: "进门", inspection: "检测", disposal: "处置",
      stop_sale: "停售", release: "解除停售", recall_hit: "召回命中", transfer: "调拨", transform: "加工", filling: "充装",
      environment: "温湿度", void: "作废", amend: "更正",
    },
    refusal: {
      "no-goods": "请先选择商品", "not-stable": "重量未稳定", "no-load": "秤上无货", "already-sold": "此货已记录，请先清空秤盘",
      "loaded-at-start": "请先清空秤盘", overload: "超载", underload: "低于零位", disconnected: "秤未连接", stale: "秤无数据",
      "not-saved-in-time": "尚未保存，请稍候查看记录", "choose-batch": "请选择进货批次", stopped: "此批次已停售",
      "no-batch": "没有进货批次", "over-balance": "超过进货量",
    },
  },
  en: {
    recent: "Recent records", pending: "waiting", rejected: "refused", confirm: "Confirm sale", goods: "Goods",
    noGoods: "Scan to choose goods", legal: "The scale's own display is the legal indication", scanned: "Scanned",
    synced: "clock synchronised", unsynced: "clock not synchronised", lostPage: "Lost the gateway, reconnecting",
    storeAlarm: "Records cannot be saved at the moment", saved: "saved", sent: "sent", delivered: "accepted by the platform",
    refused: "refused by the platform", legend: "✓ saved　↑ sent　✓✓ accepted by the platform　! refused",
    link: { connected: "● online", connecting: "◐ connecting", offline: "○ offline", none: "no uplink" },
    state: {
      empty: "zero", loading: "loading", moving: "moving", stable: "stable", captured: "recorded", unloading: "unloading",
      "loaded-at-start": "loaded at start: clear the platter", overload: "overload", underload: "below zero",
      stale: "no data from the scale", disconnected: "scale not connected", "bad-data": "unusable data", waiting: "waiting for data",
    },
    type: {
      weighing: "weighing", scan: "scan", sale: "sale", tag: "tag", chain: "new chain", intake_review: "intake review",
      stop_sale: "stop of sale", recall_hit: "stopped goods",
    },
    refusal: {
      "no-goods": "Choose goods first", "not-stable": "Not stable yet", "no-load": "Nothing on the scale",
      "already-sold": "Already recorded: clear the platter", "loaded-at-start": "Clear the platter first",
      overload: "Overload", underload: "Below zero", disconnected: "Scale not connected", stale: "No data from the scale",
      "not-saved-in-time": "Not saved yet, watch the records", "choose-batch": "Choose a batch first",
      stopped: "This batch must not be sold", "no-batch": "No batch of these goods", "over-balance": "More than came in",
    },
  },
};
