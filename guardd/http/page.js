const EVERY_MS = 2000;
const DEADLINE_MS = 4000;
const SVG = "http://www.w3.org/2000/svg";
const WORD = { live: "good", starting: "warn", stale: "warn", blocked: "warn", halted: "warn", parked: "bad" };

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

function draw(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const percent = (text) => (text === null || text === undefined ? "unknown" : (Number(text) * 100).toFixed(2) + " %");
const shown = (text) => text ?? "unknown";

function figures(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  return list;
}

// The prices that matter, in order along one line: how far the mark is from the stop and from the end.
function axis(position) {
  const points = [
    ["liquidation", position.liquidation_price, 0],
    ["stop", position.stop_loss && position.stop_loss.trigger_price, 1],
    ["entry", position.entry_price, 1],
    ["mark", position.mark_price, 0],
  ].filter(([, price]) => price !== null && price !== undefined);
  const prices = points.map(([, price]) => Number(price));
  const low = Math.min(...prices), high = Math.max(...prices);
  const width = 340, pad = 42;
  const at = (price) => (high === low ? width / 2 : pad + ((Number(price) - low) / (high - low)) * (width - 2 * pad));
  const told = points.map(([name, price]) => name + " " + price).join(", ");
  const picture = draw("svg", { viewBox: "0 0 " + width + " 74", role: "img", "aria-label": told });
  picture.append(draw("line", { class: "axis", x1: 0, x2: width, y1: 37, y2: 37 }));
  if (position.liquidation_price !== null && position.mark_price !== null) {
    const end = at(position.liquidation_price), mark = at(position.mark_price);
    const stop = position.stop_loss ? at(position.stop_loss.trigger_price) : end;
    picture.append(draw("line", { class: "danger", x1: end, x2: stop, y1: 37, y2: 37 }));
    picture.append(draw("line", { class: "room", x1: stop, x2: mark, y1: 37, y2: 37 }));
  }
  for (const [name, price, below] of points) {
    const x = at(price);
    picture.append(draw("circle", { class: name, cx: x, cy: 37, r: name === "mark" ? 6 : 4 }));
    picture.append(draw("text", { class: name, x, y: below ? 57 : 11, "text-anchor": "middle" }, name));
    picture.append(draw("text", { class: name, x, y: below ? 70 : 24, "text-anchor": "middle" }, price));
  }
  return picture;
}

function positionCard(position) {
  const word = position.protected ? ["protected", "good"] : ["unprotected", "bad"];
  const next = position.next_rule;
  const known = [position.liquidation_price, position.mark_price].some((price) => price !== null);
  return make("section", { class: "position" },
    make("div", { class: "row" },
      make("h3", {}, position.symbol + " " + position.side),
      make("span", { class: "tag " + word[1] }, word[0]),
      make("span", { class: "faint" }, position.margin_mode + (position.leverage === null ? "" : ", " + position.leverage + "×"))),
    position.protection_note ? make("p", { class: "warn" }, position.protection_note) : null,
    known ? axis(position) : null,
    figures([
      ["to liquidation", percent(position.distance_to_liquidation)],
      ["unrealised", shown(position.unrealized_pnl)],
      ["quantity", position.quantity],
      ["stop", position.stop_loss ? position.stop_loss.trigger_price : "none"],
      ["take-profit", position.take_profit ? position.take_profit.trigger_price : "none"],
      ["next rule", next ? next.name + " at " + shown(next.at_mark_price) : "none"],
    ]));
}

function equities(account) {
  const balances = account.balances?.length ? account.balances : [account];
  return balances.map((each, index) => [index ? "" : "equity", each.equity ? each.equity + " " + each.currency : "unknown"]);
}

function drawdowns(account) {
  const balances = (account.balances ?? []).filter((each) => each.drawdown !== null || each.drawdown_reason);
  return balances.map((each) => ["below the day's high",
    (each.drawdown === null ? "unknown: " + each.drawdown_reason : percent(each.drawdown)) + " (" + each.currency + ")"]);
}

function accountCard(account) {
  const positions = account.positions.map(positionCard);
  const unguarded = (account.unguarded ?? []).map((each) =>
    make("p", { class: "warn" }, each.symbol + " is not guarded: " + each.reason));
  return make("section", { class: "account" },
    make("div", { class: "row" },
      make("h2", {}, account.name),
      make("span", { class: "tag " + (WORD[account.state] ?? "warn") }, account.state),
      make("span", { class: "faint" }, [account.venue, account.mode].filter(Boolean).join(", "))),
    account.state_reason ? make("p", { class: "faint" }, account.state_reason) : null,
    account.venue_closing ? make("p", { class: "bad" }, "The venue is closing: it refuses new risk or announced its end.") : null,
    figures([
      ...equities(account),
      ["margin ratio", percent(account.margin_ratio)],
      ...drawdowns(account),
      ["protected", percent(account.protected_notional_ratio)],
    ]),
    ...unguarded,
    ...(positions.length ? positions : [make("p", { class: "faint" }, "no open position")]));
}

function show(status) {
  const open = status.accounts.reduce((sum, account) => sum + account.positions.length, 0);
  const bare = status.accounts.flatMap((account) => account.positions).filter((position) => !position.protected).length;
  const summary = document.getElementById("summary");
  summary.className = bare ? "bad" : "";
  summary.textContent = status.mode + (status.halted ? ", halted" : "") + ": " + open + " open, " +
    (bare ? bare + " unprotected" : "all protected") + ", " + new Date().toLocaleTimeString();
  document.getElementById("accounts").replaceChildren(...status.accounts.map(accountCard));
  document.getElementById("foot").textContent = "version " + status.version + ", policy " + status.policy_digest;
  document.title = (bare ? "(" + bare + ") " : "") + "guardd";
}

async function refresh() {
  try {
    const answer = await fetch("/status", { signal: AbortSignal.timeout(DEADLINE_MS), cache: "no-store" });
    if (!answer.ok) throw new Error("status " + answer.status);
    show(await answer.json());
  } catch {
    const summary = document.getElementById("summary");
    summary.className = "lost";
    summary.textContent = "No answer from guardd; what stands below is old.";
    for (const card of document.querySelectorAll(".account")) card.classList.add("stale-read");
  }
  setTimeout(refresh, EVERY_MS);
}

refresh();
