const SILENT_MS = 12000; // a picture comes every 5 s though nothing changed
const AGAIN_MS = 3000;
const OLD_MS = 10000;
const SHOWN = 8;
const LAST = "last known: ";
const SVG = "http://www.w3.org/2000/svg";
const STATE = { live: "good", starting: "warn", stale: "warn", blocked: "warn", halted: "warn", parked: "bad" };
const SEVERITY = { info: "", warning: "warn", critical: "bad" };
const BLOCK = { rate_limit: "the venue's rate limit", edge: "Cloudflare, before the venue", ban: "a ban of the venue" };

// Words for figures. What is shown exactly (prices, sizes) is never a float.

const minus = (text) => text.replace("-", "−");
const isKnown = (text) => text !== null && text !== undefined;

function exact(text, places = 0) {
  const [whole, part = ""] = text.split(".");
  const shown = part.padEnd(places, "0");
  return minus(whole.replace(/\B(?=(\d{3})+$)/g, ",") + (shown ? "." + shown : ""));
}

function money(text, currency = "", signDisplay = "auto") {
  if (!isKnown(text)) return "unknown";
  const value = Number(text);
  const digits = Math.abs(value) >= 0.995 || value === 0 ? { minimumFractionDigits: 2, maximumFractionDigits: 2 } : { maximumSignificantDigits: 3 };
  return minus(value.toLocaleString("en-US", { ...digits, signDisplay })) + (currency ? " " + currency : "");
}

function percent(text, signDisplay = "auto") {
  if (!isKnown(text)) return "unknown";
  return minus((Number(text) * 100).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay })) + " %";
}

const words = (name) => name.replaceAll("_", " ");
const counted = (count, one) => count + " " + one + (count === 1 ? "" : "s");
const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");
const day = (ms) => new Date(ms).toLocaleDateString("en-CA");

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 120 ? seconds + " s" : seconds < 7200 ? Math.round(seconds / 60) + " min" : Math.round(seconds / 3600) + " h";
}

function offset(at) {
  const minutes = -at.getTimezoneOffset();
  const two = (number) => String(Math.floor(Math.abs(number))).padStart(2, "0");
  return (minutes < 0 ? "−" : "+") + two(minutes / 60) + ":" + two(minutes % 60);
}

// Elements.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== "") node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);

function figures(pairs) {
  const shown = pairs.filter((pair) => pair !== null);
  return make("dl", {}, ...shown.map(([name, value, kind = ""]) =>
    make("div", {}, make("dt", {}, name), make("dd", { class: kind }, value))));
}

// The page is patched, not replaced: what is selected, opened or being read aloud stays where it is.

function patch(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  patchChildren(old, [...fresh.childNodes]);
}

function patchChildren(parent, fresh) {
  const keyed = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstChild;
  for (const child of fresh) {
    const key = child.dataset?.key;
    const match = key === undefined ? (at?.dataset?.key === undefined ? at : null) : keyed.get(key);
    if (!match) {
      parent.insertBefore(child, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else parent.insertBefore(match, at);
    patch(match, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// One position: every price that matters on one axis, and the same as a table.

function levels(position) {
  const found = [
    { kind: "liquidation", name: "liquidation", price: position.liquidation_price },
    { kind: "stop", name: position.stop_loss?.ours === false ? "your stop" : "stop-loss", price: position.stop_loss?.trigger_price },
    { kind: "profit", name: position.take_profit?.ours === false ? "your take-profit" : "take-profit", price: position.take_profit?.trigger_price },
    { kind: "entry", name: "entry", price: position.entry_price },
    ...rulesOf(position).filter((rule) => !rule.is_true).map((rule) => ({ kind: "rule", name: rule.name, price: rule.at_mark_price })),
    { kind: "mark", name: "mark", price: position.mark_price },
  ];
  return found.filter((level) => isKnown(level.price)).sort((a, b) => Number(b.price) - Number(a.price));
}

function rulesOf(position) {
  if (position.rules?.length) return position.rules;
  return isKnown(position.next_rule?.at_mark_price) ? [{ ...position.next_rule, is_true: false }] : [];
}

const ROW = 38; // units: 1.9em, 20 to an em
const AXIS = 14;
const SPREAD = 70;

function axis(position, found) {
  const height = found.length * ROW;
  const high = Number(found[0].price), low = Number(found.at(-1).price);
  const at = (level) => (high === low ? height / 2 : ROW / 2 + ((high - Number(level.price)) / (high - low)) * (height - ROW));
  const picture = draw("svg", {
    viewBox: "0 0 " + SPREAD + " " + height, width: SPREAD / 20 + "em", height: height / 20 + "em", "aria-hidden": "true", focusable: "false",
  });
  picture.append(draw("line", { x1: AXIS, x2: AXIS, y1: ROW / 4, y2: height - ROW / 4 }));
  picture.append(...zones(position, found, at));
  found.forEach((level, index) => {
    const y = at(level), row = (index + 0.5) * ROW;
    picture.append(draw("path", { class: "lead " + level.kind, d: "M" + (AXIS + 9) + " " + y + " C 48 " + y + " 42 " + row + " " + (SPREAD - 4) + " " + row }));
    picture.append(level.kind === "mark"
      ? draw("circle", { cx: AXIS, cy: y, r: 8 })
      : draw("line", { class: "tick " + level.kind, x1: AXIS - 9, x2: AXIS + 9, y1: y, y2: y }));
  });
  return picture;
}

// From liquidation to the stop is lost ground; from the stop to the mark is room. Without a stop, or past it, all of it is danger.
function zones(position, found, at) {
  const [end, stop, mark] = ["liquidation", "stop", "mark"].map((kind) => found.find((level) => level.kind === kind));
  if (!mark) return [];
  const holds = stop && (Number(mark.price) - Number(stop.price)) * (position.side === "long" ? 1 : -1) > 0;
  const zone = (kind, from, to) => draw("line", { class: kind, x1: AXIS, x2: AXIS, y1: at(from), y2: at(to) });
  return [
    end ? zone("danger", end, holds ? stop : mark) : null,
    holds ? zone("room", stop, mark) : null,
  ].filter((each) => each !== null);
}

function priceTable(position, found) {
  const mark = Number(position.mark_price);
  const places = Math.max(...found.map((level) => (level.price.split(".")[1] ?? "").length));
  const away = (level) => {
    if (!isKnown(position.mark_price)) return "unknown";
    return level.kind === "mark" ? "" : percent(Number(level.price) / mark - 1, "exceptZero");
  };
  return make("table", {},
    make("caption", { class: "unseen" }, "Prices of " + position.symbol + " " + position.side + ", the highest first"),
    make("thead", {}, make("tr", {}, ...["Level", "Price", "From mark"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...found.map((level) => make("tr", { class: level.kind },
      make("th", { scope: "row", title: level.name }, level.kind === "rule" ? make("span", { class: "word" }, "rule ") : null, level.name),
      make("td", {}, exact(level.price, places)),
      make("td", {}, away(level))))));
}

function protection(position) {
  if (position.protected) return ["protected", "good"];
  return ["unprotected", "bad"];
}

function positionCard(position) {
  const [word, kind] = protection(position);
  const found = levels(position);
  const fired = rulesOf(position).filter((rule) => rule.is_true);
  const pnl = Number(position.unrealized_pnl ?? 0);
  return make("article", { class: "position" + (position.protected ? "" : " bare"), "data-key": position.symbol + "/" + position.side },
    make("div", { class: "row" },
      make("h4", {}, position.symbol + " " + position.side),
      make("span", { class: "tag " + kind }, word),
      make("span", { class: "faint" }, position.margin_mode + (isKnown(position.leverage) ? ", " + exact(position.leverage) + "×" : ""))),
    position.protection_note ? make("p", { class: position.protected ? "faint" : "bad" }, position.protection_note) : null,
    fired.length ? make("p", { class: "notice warn" }, "True now: " + (fired.length > 1 ? "rules " : "rule ") + fired.map((rule) => rule.name).join(", ")) : null,
    figures([
      ["to liquidation", isKnown(position.distance_to_liquidation) ? percent(position.distance_to_liquidation) : "none given"],
      ["unrealised", money(position.unrealized_pnl, "", "exceptZero"), pnl < 0 ? "bad" : pnl > 0 ? "good" : ""],
      ["quantity", exact(position.quantity)],
      ["notional", money(position.notional)],
    ]),
    make("div", { class: "prices" }, axis(position, found), priceTable(position, found)));
}

// One account.

function equities(account) {
  const balances = account.balances?.length ? account.balances : [account];
  return balances.map((each) => [balances.length > 1 ? "equity, " + each.currency : "equity", money(each.equity, each.currency ?? "")]);
}

function drawdowns(account) {
  const several = (account.balances ?? []).length > 1;
  return (account.balances ?? []).filter((each) => isKnown(each.drawdown)).map((each) =>
    ["below the day's high" + (several ? ", " + each.currency : ""), percent(each.drawdown)]);
}

function troubles(account, now) {
  const told = [];
  const isExplained = account.state === "blocked" && account.blocks?.length;
  if (account.state_reason && !isExplained) told.push([account.state === "parked" ? "bad" : "warn", account.state_reason]);
  for (const block of account.blocks ?? []) {
    told.push(["warn", "Held back by " + (BLOCK[block.kind] ?? block.kind) + " until " + clock(block.until_ms) + ", " + span(block.until_ms - now) + " from now."]);
  }
  for (const each of account.streams ?? []) {
    if (!each.up) told.push(["warn", "The " + each.stream + " stream is down" + (each.reason ? ": " + each.reason : "") + "."]);
  }
  if (account.venue_closing) told.push(["bad", "The venue is closing: it refuses new risk or announced its end."]);
  for (const each of account.balances ?? []) {
    if (each.doubt && account.positions.length) told.push(["warn", each.currency + ": " + each.doubt + "."]);
    if (each.drawdown_reason) told.push(["warn", each.currency + ": no drawdown is known: " + each.drawdown_reason + "."]);
  }
  for (const each of account.unguarded ?? []) told.push(["bad", each.symbol + " is not guarded: " + each.reason]);
  if (account.as_of_ms && now - account.as_of_ms > OLD_MS) told.push(["warn", "These figures are " + span(now - account.as_of_ms) + " old."]);
  return told.map(([kind, text]) => make("p", { class: "notice " + kind }, text));
}

function budgets(account) {
  const listed = account.budgets ?? [];
  if (!listed.length) return null;
  const [first] = listed;
  return make("details", {},
    make("summary", {}, "Request budgets: the scarcest has " + first.calls_left + " of " + first.calls_left_most + " calls left"),
    make("table", { class: "budgets" },
      make("caption", { class: "unseen" }, "Request budgets of " + account.name + ", the scarcest first"),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Budget"), make("th", { scope: "col" }, "Calls left"))),
      make("tbody", {}, ...listed.map((each) => make("tr", { "data-key": each.bucket },
        make("th", { scope: "row" }, each.bucket),
        make("td", {}, make("meter", {
          min: 0, max: Math.max(1, each.calls_left_most), low: each.calls_left_most / 4, value: each.calls_left, "aria-label": each.bucket + ", calls left",
        }), " " + each.calls_left + " of " + each.calls_left_most))))));
}

function accountCard(account, now) {
  const held = account.positions.length > 0;
  const read = isKnown(account.as_of_ms);
  const title = "account-" + account.name;
  const streams = account.streams ?? [];
  return make("section", { class: "account", "data-key": account.name, "aria-labelledby": title },
    make("div", { class: "row" },
      make("h3", { id: title }, account.name),
      make("span", { class: "tag " + (STATE[account.state] ?? "warn") }, account.state),
      make("span", { class: "faint" }, [account.venue, account.family, account.mode].filter(Boolean).join(", "))),
    ...troubles(account, now),
    read ? figures([
      ...equities(account),
      held || isKnown(account.margin_ratio) ? ["margin ratio", percent(account.margin_ratio)] : null,
      ...drawdowns(account),
      held ? ["protected", percent(account.protected_notional_ratio)] : null,
      streams.length ? ["streams", streams.filter((each) => each.up).length + " of " + streams.length + " up"] : null,
    ]) : null,
    held ? make("div", { class: "positions" }, ...account.positions.map(positionCard))
      : make("p", { class: "faint" }, !read ? "Nothing was read yet." : account.unguarded?.length ? "No position under guard." : "Nothing is held, so there is nothing to protect."),
    budgets(account));
}

// What was decided lately.

function what(entry) {
  if (entry.kind === "decision") return words(entry.action) + " " + entry.stage;
  if (entry.kind === "refused") return words(entry.action) + " not sent";
  return entry.kind === "rule" ? "rule true" : entry.severity;
}

function entryItem(entry) {
  const where = [entry.account, entry.symbol, entry.side].filter(Boolean).join(" ");
  const reason = entry.account && entry.reason.startsWith(entry.account + ": ") ? entry.reason.slice(entry.account.length + 2) : entry.reason;
  const kind = entry.stage === "verified" ? "good" : SEVERITY[entry.severity];
  const notes = [entry.rule ? "rule " + entry.rule : "", entry.detail && entry.detail !== entry.reason ? entry.detail : ""].filter(Boolean);
  return make("li", { "data-key": entry.id || entry.kind + entry.number },
    make("p", { class: "row" },
      make("time", { datetime: new Date(entry.at_ms).toISOString() }, (day(entry.at_ms) === day(Date.now()) ? "" : day(entry.at_ms) + " ") + clock(entry.at_ms)),
      make("span", { class: "tag " + kind }, what(entry)),
      where ? make("span", {}, where) : null),
    make("p", {}, reason),
    notes.length ? make("p", { class: "faint" }, notes.join("; ")) : null,
    entry.id ? make("p", { class: "faint" }, make("code", {}, entry.id)) : null);
}

// Spoken: changes that matter, once each.

let before = null;

function facts(status) {
  const found = new Map();
  for (const account of status.accounts) {
    found.set(account.name, [account.name + " is " + account.state + (account.state_reason ? ": " + account.state_reason : ""), account.state, "polite"]);
    for (const each of account.positions) {
      const name = account.name + " " + each.symbol + " " + each.side;
      found.set(name, [name + (each.protected ? " is protected" : " is unprotected" + (each.protection_note ? ": " + each.protection_note : "")),
        String(each.protected), each.protected ? "polite" : "urgent"]);
    }
  }
  return found;
}

function speak(status) {
  const now = facts(status);
  if (before !== null) {
    const said = { polite: [], urgent: [] };
    for (const [name, [text, word, how]] of now) if (before.get(name)?.[1] !== word) said[how].push(text);
    for (const name of before.keys()) if (!now.has(name)) said.polite.push(name + " is gone");
    for (const [how, texts] of Object.entries(said)) if (texts.length) byId(how).textContent = texts.join(". ") + ".";
  }
  before = now;
}

// The whole.

function summary(status) {
  const positions = status.accounts.flatMap((account) => account.positions);
  const bare = positions.filter((position) => !position.protected).length;
  const unguarded = status.accounts.flatMap((account) => account.unguarded ?? []).length;
  const away = status.accounts.filter((account) => account.state !== "live");
  const good = bare || unguarded || !positions.length ? "" : positions.length > 1 ? "all protected" : "protected";
  const count = positions.length + unguarded;
  const held = [count ? counted(count, "position") : "nothing held", bare ? bare + " unprotected" : "", unguarded ? unguarded + " not guarded" : "", good];
  const states = [...new Set(away.map((account) => account.state))].map((state) =>
    counted(away.filter((account) => account.state === state).length, "account") + " " + state);
  return { bare: bare + unguarded, kind: bare + unguarded ? "bad" : away.length ? "warn" : positions.length ? "good" : "", text: [held.filter(Boolean).join(", "), ...states].join("; ") };
}

function show(status) {
  const { bare, kind, text } = summary(status);
  const now = new Date();
  byId("mode").replaceChildren(make("span", { class: "tag " + (status.mode === "enforce" ? "good" : "warn") }, status.mode));
  byId("summary").className = kind;
  byId("summary").textContent = text;
  patchChildren(byId("when"), [make("span", { class: "pulse", "aria-hidden": "true" }), document.createTextNode("updated " + clock(now) + " " + offset(now))]);
  alarm(isKnown(status.silent) ? "The guard is not at work: " + status.silent + "." : "");
  patchChildren(byId("accounts"), status.accounts.map((account) => accountCard(account, status.at_ms)));
  const entries = status.recent ?? [];
  const items = entries.map(entryItem);
  patchChildren(byId("recent"), items.length ? items.slice(0, SHOWN) : [make("li", { class: "faint" }, "Nothing was decided yet.")]);
  patchChildren(byId("older"), items.slice(SHOWN));
  byId("older").parentElement.hidden = items.length <= SHOWN;
  byId("foot").textContent = "guardd " + status.version + ", policy " + status.policy_digest.slice(0, 12);
  document.title = (bare ? "(" + bare + " unprotected) " : "") + "guardd";
  speak(status);
}

function alarm(text) {
  const lost = byId("lost");
  if (lost.textContent !== text) {
    lost.textContent = text;
    byId("urgent").textContent = text;
  }
  lost.hidden = text === "";
  document.body.classList.toggle("old", text !== "");
}

let heard = 0;

function lose() {
  const text = byId("summary").textContent;
  if (heard && !text.startsWith(LAST)) byId("summary").textContent = LAST + text;
  alarm("No answer from guardd" + (heard ? " since " + clock(heard) : "") + "; what stands below is old.");
  document.title = "(no answer) guardd";
}

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("status", (event) => {
    heard = Date.now();
    show(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
    if (Date.now() - heard > AGAIN_MS) lose();
  });
}

setInterval(() => {
  if (Date.now() - heard > SILENT_MS) lose();
}, 1000);
listen();
