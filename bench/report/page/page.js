const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent), specs = JSON.parse($("specs").textContent);
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const palette = bytes(data.colours), SIZE = data.size;
const named = index => data.classes[index] ?? String(index);
const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
const element = (tag, text, attributes = {}) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};
document.body.classList.toggle("no-images", data.images.length === 0);

// The table: sort by a heading, find by name, controls and intervals on or off.
const board = $("board");
function keyOf(row, key) {
  const cell = key === "name" ? row.querySelector("th").dataset.name
    : key === "rank" ? row.querySelector("[data-rank]").dataset.rank
    : key === "T" ? row.querySelector("[data-time]").dataset.time
    : row.querySelectorAll("[data-value]")[Number(key)].dataset.value;
  return key === "name" ? cell : cell === "" ? null : Number(cell);
}
for (const button of board.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of board.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    for (const body of board.tBodies) {
      const rows = [...body.querySelectorAll("tr[data-method]")].map(row => [keyOf(row, button.dataset.key), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        return (typeof a === "string" ? a.localeCompare(b) : a - b) * (up ? 1 : -1);
      });
      body.append(...rows.map(([, row]) => row));
    }
  });
}
function filterRows() {
  const text = $("find").value.trim().toLowerCase();
  let shown = 0;
  for (const body of board.tBodies) {
    body.hidden = body.classList.contains("controls") && !$("controls").checked;
    for (const row of body.querySelectorAll("tr[data-method]")) {
      row.hidden = !row.querySelector("th").dataset.name.toLowerCase().includes(text);
      shown += !row.hidden && !body.hidden;
    }
  }
  $("shown").textContent = `${shown} rows shown`;
}
$("find").addEventListener("input", filterRows);
$("controls").addEventListener("change", filterRows);
$("intervals").addEventListener("change", () => document.body.classList.toggle("no-intervals", !$("intervals").checked));
if ($("judges")) {
  const show = () => document.body.classList.toggle("no-judges", !$("judges").checked);
  $("judges").addEventListener("change", show);
  show();
}
filterRows();

// Maps: from 8-bit values at their own resolution to the size of the image, bilinearly, pixel centres aligned.
function enlarged(cell, size) {
  const values = bytes(cell.map), [height, width] = cell.side, out = new Float32Array(size * size);
  const axis = (i, n) => {
    const at = Math.max(0, (i + 0.5) * n / size - 0.5), low = Math.min(Math.floor(at), n - 1);
    return [low, Math.min(low + 1, n - 1), at - low];
  };
  let least = Infinity, most = -Infinity;
  for (let y = 0; y < size; y++) {
    const [y0, y1, v] = axis(y, height);
    for (let x = 0; x < size; x++) {
      const [x0, x1, u] = axis(x, width);
      const top = values[y0 * width + x0] * (1 - u) + values[y0 * width + x1] * u;
      const bottom = values[y1 * width + x0] * (1 - u) + values[y1 * width + x1] * u;
      const value = top * (1 - v) + bottom * v;
      out[y * size + x] = value; least = Math.min(least, value); most = Math.max(most, value);
    }
  }
  const reach = most - least;
  return reach > 0 ? out.map(value => (value - least) / reach) : out.map(value => value / 255);
}
const pictures = new Map();
function picture(image) {
  if (!pictures.has(image.id)) pictures.set(image.id, new Promise(done => {
    const shown = new Image();
    shown.onload = () => done(shown);
    shown.src = image.jpeg;
  }));
  return pictures.get(image.id);
}
function paint(canvas, shown, size, change, filter = "none") {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.filter = filter;
  context.drawImage(shown, 0, 0, size, size);
  context.filter = "none";
  const pixels = context.getImageData(0, 0, size, size);
  change?.(pixels.data);
  context.putImageData(pixels, 0, 0);
}
const overlaid = map => pixels => {
  for (let i = 0; i < map.length; i++) {
    const at = 4 * i, level = 3 * Math.round(255 * Math.min(1, Math.max(0, map[i])));
    const grey = 0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2];
    for (let c = 0; c < 3; c++) pixels[at + c] = 0.62 * palette[level + c] + 0.38 * grey;
  }
};
const maskedBy = map => pixels => {
  for (let i = 0; i < map.length; i++) for (let c = 0; c < 3; c++) pixels[4 * i + c] *= map[i];
};

// The gallery: images in rows, methods in columns, drawn as they come into sight.
const THUMB = 80, PAGE = 20;
let shownImages = PAGE;
const drawing = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) {
    drawing.unobserve(target);
    const { image, cell } = target.content;
    picture(image).then(shown => paint(target, shown, THUMB, overlaid(enlarged(cell, THUMB))));
  }
}, { rootMargin: "200px" });
const value = (metric, image, method) => data.values[metric]?.[image.id]?.[method] ?? null;
function worse(image) {
  const metric = data.metrics.find(m => m.name === $("by").value), a = value(metric.name, image, $("a").value);
  const b = $("order").value === "beats" ? value(metric.name, image, $("b").value) : 0;
  if (a === null || b === null) return Infinity;
  const better = (a - b) * (metric.better === "lower" ? -1 : 1);
  return $("order").value === "beats" ? -better : better;
}
function chosenImages() {
  const which = $("which").value;
  const kept = data.images.filter(image => which === "all" || (which === "right" && image.right === true)
    || (which === "wrong" && image.right === false)
    || (which === "degenerate" && Object.values(image.cells).some(cell => cell.degenerate)));
  return $("order").value === "list" ? kept : kept.map(image => [worse(image), image]).sort(([a], [b]) => a - b).map(([, image]) => image);
}
function gallery() {
  const images = chosenImages(), head = element("thead"), body = element("tbody"), row = element("tr");
  row.append(element("th", "image", { scope: "col" }), ...data.methods.map(method => element("th", method.name, { scope: "col" })));
  head.append(row);
  for (const image of images.slice(0, shownImages)) {
    const line = element("tr"), first = element("th", undefined, { scope: "row" });
    const wrong = image.right === false ? ` (true: ${named(image.label)})` : "";
    first.append(element("img", undefined, { src: image.jpeg, alt: `image ${image.id}`, loading: "lazy" }),
      element("span", `${named(image.target)} ${image.p?.toFixed(2) ?? ""}${wrong}`, wrong ? { class: "wrong" } : {}));
    line.append(first);
    data.methods.forEach((method, place) => {
      const td = element("td"), cell = image.cells[place];
      if (cell?.map) {
        const button = element("button", undefined, { type: "button", "aria-label": `${method.label} on ${image.id}, ${named(image.target)}` });
        const canvas = Object.assign(element("canvas"), { width: THUMB, height: THUMB, content: { image, cell } });
        button.append(canvas);
        button.addEventListener("click", () => open(image, place));
        drawing.observe(canvas);
        td.append(button);
      } else td.textContent = "–";
      line.append(td);
    });
    body.append(line);
  }
  $("maps").querySelectorAll("thead, tbody").forEach(part => part.remove());
  $("maps").append(head, body);
  $("more").hidden = images.length <= shownImages;
}
for (const id of ["a", "b", "reference"]) $(id).append(...data.methods.map((method, place) => option(place, method.label)));
$("b").value = String(Math.max(0, data.methods.findIndex(method => method.label === "grad-cam")));
const directed = data.metrics.filter(metric => metric.better !== "none");
for (const id of ["by", "metric"]) $(id).append(...directed.map(metric => option(metric.name, metric.name)));
for (const id of ["which", "order", "a", "b", "by"]) $(id).addEventListener("change", gallery);
$("more").addEventListener("click", () => { shownImages += PAGE; gallery(); });
if (data.images.length && directed.length) gallery();
const scale = $("scale").getContext("2d"), strip = scale.createImageData(256, 1);
for (let i = 0; i < 256; i++) strip.data.set([...palette.subarray(3 * i, 3 * i + 3), 255], 4 * i);
scale.putImageData(strip, 0, 0);

// One cell, opened: image, map, masked image, answers, curves with a scrubber.
let opened = null;
function answers(id, top) {
  $(id).replaceChildren(...(top ?? []).map(([index, p]) => {
    const row = element("tr");
    row.append(element("td", named(index)), element("td", p.toFixed(3)));
    return row;
  }));
}
async function open(image, place) {
  const cell = image.cells[place], method = data.methods[place], shown = await picture(image), map = enlarged(cell, SIZE);
  opened = { image, cell, shown, map, ranks: ranked(map) };
  $("cell-title").textContent = `${method.name}: ${named(image.target)}`;
  $("cell-facts").textContent = [image.id, cell.degenerate && `${cell.degenerate} map`,
    ...data.metrics.map(metric => { const v = value(metric.name, image, place); return v === null ? null : `${metric.name} ${v.toFixed(metric.scale >= 100 ? 1 : 3)}`; })].filter(Boolean).join("; ");
  paint($("view-image"), shown, SIZE);
  paint($("view-map"), shown, SIZE, overlaid(map));
  paint($("view-masked"), shown, SIZE, data.masked === "black" ? maskedBy(map) : undefined);
  $("view-masked").parentElement.hidden = data.masked !== "black";
  answers("before", image.top);
  answers("after", cell.after);
  $("curve-part").hidden = !(cell.I || cell.D);
  $("curve-name").value = cell.I ? "I" : "D";
  $("scrub").value = 0;
  if (!$("curve-part").hidden) scrub();
  $("cell").showModal();
}
function ranked(map) {
  const order = Uint32Array.from(map.keys()).sort((a, b) => map[b] - map[a]), ranks = new Uint32Array(map.length);
  order.forEach((pixel, rank) => { ranks[pixel] = rank; });
  return ranks;
}
function scrub() {
  const { cell, shown, ranks } = opened, name = $("curve-name").value, curve = cell[name];
  if (!curve) return;
  $("scrub").max = curve.length - 1;
  const step = Math.min(Number($("scrub").value), curve.length - 1), share = step / (curve.length - 1);
  $("scrubbed").textContent = `${Math.round(100 * share)} % of the pixels: ${curve[step]?.toFixed(3)}`;
  const W = 560, H = 190, L = 36, B = 24, x = k => L + (W - L - 8) * k / (curve.length - 1), y = p => H - B - (H - B - 8) * p;
  const lines = [["I", "var(--bar)"], ["D", "var(--best)"]].filter(([key]) => cell[key]).map(([key, colour]) =>
    `<polyline fill="none" stroke="${colour}" stroke-width="${key === name ? 2.5 : 1}" points="${cell[key].map((p, k) => `${x(k)},${y(p ?? 0)}`).join(" ")}"/>`);
  $("curve").innerHTML = `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="Insertion and deletion curves of this map" font-size="11" fill="currentColor">
    <line x1="${L}" x2="${W - 8}" y1="${y(0)}" y2="${y(0)}" stroke="currentColor"/><line x1="${L}" x2="${L}" y1="${y(1)}" y2="${y(0)}" stroke="currentColor"/>
    <text x="${L - 4}" y="${y(1) + 8}" text-anchor="end">1</text><text x="${L - 4}" y="${y(0)}" text-anchor="end">0</text>
    <text x="${L}" y="${H - 6}">0 %</text><text x="${W - 8}" y="${H - 6}" text-anchor="end">100 % of the pixels</text>${lines.join("")}
    <line x1="${x(step)}" x2="${x(step)}" y1="${y(1)}" y2="${y(0)}" stroke="currentColor" stroke-dasharray="3 3"/><circle cx="${x(step)}" cy="${y(curve[step] ?? 0)}" r="4"/></svg>`;
  const limit = Math.round(share * SIZE * SIZE), canvas = $("view-step"), clear = document.createElement("canvas");
  paint(clear, shown, SIZE);
  const sharp = clear.getContext("2d").getImageData(0, 0, SIZE, SIZE).data;
  if (name === "I") paint(canvas, shown, SIZE, pixels => { for (let i = 0; i < ranks.length; i++) if (ranks[i] < limit) pixels.set(sharp.subarray(4 * i, 4 * i + 3), 4 * i); }, "blur(5px)");
  else paint(canvas, shown, SIZE, pixels => { const end = data.deletionEnd === "black" ? 0 : 127; for (let i = 0; i < ranks.length; i++) if (ranks[i] < limit) pixels.fill(end, 4 * i, 4 * i + 3); });
  $("view-step-name").textContent = name === "I" ? "insertion at this step" : "deletion at this step";
}
$("scrub").addEventListener("input", scrub);
$("curve-name").addEventListener("change", scrub);

// Differences from a chosen reference: the run's own where it tested them, else Student's t over the common images.
const text = (number, metric) => number === null ? "–" : (number > 0 ? "+" : "") + number.toFixed(metric.scale >= 100 ? 1 : 3);
function contrast() {
  const metric = data.metrics.find(one => one.name === $("metric").value), reference = Number($("reference").value);
  const tested = new Map(data.differences.filter(([, name]) => name === metric.name).map(found => [found[0], found]));
  const own = data.methods[reference].label === "grad-cam" && tested.size > 0;
  const rows = [];
  data.methods.forEach((method, place) => {
    if (place === reference) return;
    let found = own ? tested.get(method.label) : null;
    if (!found) {
      const pairs = Object.values(data.values[metric.name]).filter(by => by[place] != null && by[reference] != null).map(by => by[place] - by[reference]);
      if (!pairs.length) return;
      const n = pairs.length, mean = pairs.reduce((a, b) => a + b, 0) / n;
      const reach = n < 10 ? null : data.t[n] * Math.sqrt(pairs.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1) / n);
      found = [method.label, metric.name, mean, reach === null ? null : mean - reach, reach === null ? null : mean + reach, null, n];
    }
    const row = element("tr"), [, , mean, low, high, p, n] = found;
    row.append(element("th", method.name, { scope: "row" }), element("td", text(mean, metric)),
      element("td", low === null ? "–" : `${text(low, metric)} to ${text(high, metric)}`), element("td", p === null ? "–" : p < 0.001 ? "< 0.001" : p.toFixed(3)), element("td", String(n)));
    rows.push(row);
  });
  $("contrast").tBodies[0].replaceChildren(...rows);
  $("contrast-note").textContent = `${metric.title}, ${metric.better} is better: each method minus ${data.methods[reference].label}` + (own ? "; intervals and tests as in differences.csv, controls by Student's t" : "; Student's t over the common images, no test");
}
if (directed.length) {
  $("reference").value = $("b").value;
  for (const id of ["reference", "metric"]) $(id).addEventListener("change", contrast);
  contrast();
}

for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", async () => {
  const source = $(button.dataset.copy);
  try { await navigator.clipboard.writeText(source.textContent); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(source); }
});

const dark = matchMedia("(prefers-color-scheme: dark)");
function draw() {
  const css = getComputedStyle(document.body), ink = css.getPropertyValue("--ink").trim(), rule = css.getPropertyValue("--rule").trim();
  const config = { background: "transparent", axis: { labelColor: ink, titleColor: ink, gridColor: rule, domainColor: rule, tickColor: rule }, legend: { labelColor: ink, titleColor: ink }, text: { color: ink }, view: { stroke: rule } };
  for (const [id, spec] of Object.entries(specs)) {
    if (Object.keys(spec).length) window.vegaEmbed($(id), { $schema: "https://vega.github.io/schema/vega-lite/v6.json", ...spec }, { actions: false, renderer: "svg", config });
    else $(id).textContent = "Nothing to show.";
  }
}
dark.addEventListener("change", draw);
draw();
document.body.dataset.ready = "true";
