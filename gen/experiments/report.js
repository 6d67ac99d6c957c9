"use strict";
// Tables: a click on a heading sorts by it, a second one the other way.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th").forEach((heading, column) => {
    heading.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => {
        const cell = row.cells[column];
        const text = cell.dataset.v ?? cell.textContent.trim();
        const number = text === "" ? NaN : Number(text);
        return Number.isNaN(number) ? text : number;
      };
      const empty = (v) => v === "" || v === "None";
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (empty(x) || empty(y)) return empty(x) - empty(y);
        const order = typeof x === "number" && typeof y === "number"
          ? x - y : String(x).localeCompare(String(y));
        return up ? order : -order;
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
    });
  });
}

// Charts: axes and panel to choose, series to switch, the Pareto front, a point leads to its row.
const SVG = "http://www.w3.org/2000/svg";
const element = (name, attributes, text) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
const short = (v) => Math.abs(v) >= 1000 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(3));

function ticks(low, high, log) {
  if (log) {
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      for (const f of [1, 2, 5]) if (f * 10 ** e >= low && f * 10 ** e <= high) found.push(f * 10 ** e);
    return found;
  }
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((f) => f * power >= rough);
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) found.push(v);
  return found;
}

function scale(values, log, from, to) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  log = log && low > 0;
  if (low === high) [low, high] = [low * 0.9 - (low === 0), high * 1.1 + (high === 0)];
  const pad = log ? (high / low) ** 0.06 : (high - low) * 0.06;
  [low, high] = log ? [low / pad, high * pad] : [low - pad, high + pad];
  const f = log ? Math.log : (v) => v;
  const map = (v) => from + (to - from) * (f(v) - f(low)) / (f(high) - f(low));
  return { map, ticks: ticks(low, high, log) };
}

function front(points, x, y) {
  if (!x.better || !y.better || x.name === y.name) return [];
  const cost = (p, axis) => axis.better === "min" ? p[axis.name] : -p[axis.name];
  let least = Infinity;
  return [...points].sort((a, b) => cost(a, x) - cost(b, x) || cost(a, y) - cost(b, y))
    .filter((p) => cost(p, y) < least && ((least = cost(p, y)), true));
}

function chart(figure, data) {
  const hidden = new Set();
  const series = [...new Set(data.points.map((p) => p.series))];
  const panels = [...new Set(data.points.map((p) => p.panel))];
  const choice = (label, options, chosen) => {
    const select = document.createElement("select");
    for (const [value, text] of options) select.add(new Option(text, value, false, value === chosen));
    select.setAttribute("aria-label", label);
    select.addEventListener("change", draw);
    const holder = document.createElement("label");
    holder.append(label + " ", select, " ");
    figure.append(holder);
    return select;
  };
  const axes = data.axes.map((axis) => [axis.name, axis.label]);
  if (!axes.length) { figure.textContent = "No point may be compared."; return; }
  const xs = choice("across", axes, data.x), ys = choice("up", axes, data.y);
  const panel = panels.length > 1 ? choice("formats", panels.map((p) => [p, p]), panels[0]) : null;
  const svg = element("svg", { viewBox: "0 0 960 460", role: "img" });
  figure.append(svg);

  function draw() {
    svg.replaceChildren();
    const x = data.axes.find((axis) => axis.name === xs.value);
    const y = data.axes.find((axis) => axis.name === ys.value);
    const here = data.points.filter((p) => (!panel || p.panel === panel.value)
      && p[x.name] != null && p[y.name] != null);
    const shown = here.filter((p) => !hidden.has(p.series));
    series.forEach((name, i) => {
      const line = element("text", { x: 690, y: 30 + 16 * i, class: "legend" + (hidden.has(name) ? " off" : "") });
      line.append(element("tspan", { style: `fill:${COLOURS[i % COLOURS.length]}` }, "\u25cf "), name);
      line.addEventListener("click", () => { hidden.delete(name) || hidden.add(name); draw(); });
      svg.append(line);
    });
    if (!shown.length) { svg.append(element("text", { x: 300, y: 200 }, "no point may be compared")); return; }
    const across = scale(shown.map((p) => p[x.name]), data.log && !data.lines, 70, 670);
    const up = scale(shown.map((p) => p[y.name]), data.log, 410, 20);
    for (const v of across.ticks) {
      svg.append(element("line", { x1: across.map(v), x2: across.map(v), y1: 20, y2: 410, class: "grid" }),
        element("text", { x: across.map(v), y: 426, "text-anchor": "middle" }, short(v)));
    }
    for (const v of up.ticks) {
      svg.append(element("line", { x1: 70, x2: 670, y1: up.map(v), y2: up.map(v), class: "grid" }),
        element("text", { x: 64, y: up.map(v) + 4, "text-anchor": "end" }, short(v)));
    }
    svg.append(element("line", { x1: 70, x2: 670, y1: 410, y2: 410, class: "axis" }),
      element("line", { x1: 70, x2: 70, y1: 20, y2: 410, class: "axis" }),
      element("text", { x: 370, y: 448, "text-anchor": "middle" }, x.label),
      element("text", { x: 16, y: 215, "text-anchor": "middle", transform: "rotate(-90 16 215)" }, y.label));
    const path = (points) => points.map((p) => `${across.map(p[x.name])},${up.map(p[y.name])}`).join(" ");
    if (data.lines) {
      series.forEach((name, i) => {
        const line = shown.filter((p) => p.series === name).sort((a, b) => a[x.name] - b[x.name]);
        svg.append(element("polyline", { points: path(line), fill: "none", stroke: COLOURS[i % COLOURS.length] }));
      });
    } else {
      svg.append(element("polyline", { points: path(front(shown, x, y)), class: "front" }));
    }
    for (const p of shown) {
      const dot = element("circle", { cx: across.map(p[x.name]), cy: up.map(p[y.name]), r: 5,
        style: `fill:${COLOURS[series.indexOf(p.series) % COLOURS.length]}` });
      dot.append(element("title", {}, `${p.series}\n${p.title}\n${x.label}: ${short(p[x.name])}\n${y.label}: ${short(p[y.name])}`));
      dot.addEventListener("click", () => {
        location.hash = p.row;
        document.getElementById(p.row).querySelector("details").open = true;
      });
      svg.append(dot);
    }
  }
  draw();
}

for (const data of document.querySelectorAll(".chart-data"))
  chart(data.previousElementSibling, JSON.parse(data.textContent));
