// The statistics' chart: photos as bars on top of each other, the 95th percentile as a line, and what is under the pointer.
const DAY_SECONDS = 24 * 3600;
let drawn = null;
let told = "";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function bars(label, fill) {
  return { label, fill, width: 0, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } };
}

const isLong = (from, until) => until - from > 2 * DAY_SECONDS;

function clock(from, until) {
  return new Intl.DateTimeFormat(document.documentElement.lang, isLong(from, until) ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" });
}

function words({ dataset }, series, i) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const ends = series.at[i + 1] ?? series.until;
  const count = new Intl.NumberFormat(document.documentElement.lang);
  const lines = [format.formatRange(new Date(series.at[i] * 1000), new Date(ends * 1000))];
  for (const name of ["done", "late", "failed"]) lines.push(`${dataset[name]}: ${count.format(series[name][i])}`);
  for (const name of ["half", "slow"]) {
    if (series[name][i] !== null) lines.push(`${dataset[name]}: ${count.format(series[name][i])} ${dataset.seconds}`);
  }
  return lines.join("\n");
}

function teller(place, series, stacked) {
  const said = document.createElement("p");
  said.className = "chart-said";
  said.hidden = true;
  return {
    hooks: {
      init: (plot) => plot.over.append(said),
      setCursor: ({ cursor, over }) => {
        said.hidden = cursor.left < 0 || cursor.idx === null || stacked[cursor.idx] === 0;
        if (said.hidden) return;
        said.textContent = words(place, series, cursor.idx);
        const right = cursor.left + 16 + said.offsetWidth < over.clientWidth;
        said.style.left = `${right ? cursor.left + 16 : Math.max(0, cursor.left - 16 - said.offsetWidth)}px`;
      },
    },
  };
}

function draw(place, series) {
  const inside = document.getElementById("chart-drawing");
  drawn?.destroy();
  const ends = [...series.at.slice(1), series.until];
  const middles = series.at.map((from, i) => (from + ends[i]) / 2);
  const stacked = series.at.map((_, i) => series.done[i] + series.late[i] + series.failed[i]);
  const twice = series.at.map((_, i) => series.failed[i] + series.late[i]);
  const line = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--muted"), grid: line, ticks: { show: false }, font: "12px Inter, sans-serif" };
  const format = clock(series.at[0], series.until);
  const days = [1, 2, 3, 7, 14, 28, 56].map((count) => count * DAY_SECONDS);
  drawn = new uPlot(
    {
      width: inside.clientWidth,
      height: inside.clientHeight,
      legend: { show: false },
      cursor: { x: true, y: false, points: { show: false }, drag: { x: false, y: false } },
      plugins: [teller(place, series, stacked)],
      scales: {
        x: { range: () => [series.at[0], series.until] },
        y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] },
        s: { range: (_, __, most) => [0, Math.max(10, (most || 0) * 1.1)] },
      },
      axes: [
        { ...axis, size: 34, grid: { show: false }, ...(isLong(series.at[0], series.until) && { incrs: days }), values: (_, moments) => moments.map((seconds) => format.format(new Date(seconds * 1000))), space: 64 },
        { ...axis, size: 42, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000] },
        { ...axis, side: 1, scale: "s", grid: { show: false }, size: 42 },
      ],
      series: [
        {},
        bars(place.dataset.done, colour("--dot-ok")),
        bars(place.dataset.late, colour("--dot-warn")),
        bars(place.dataset.failed, colour("--dot-danger")),
        { label: place.dataset.slow, scale: "s", stroke: colour("--info"), width: 2, spanGaps: true, points: { size: 5, fill: colour("--info") } },
      ],
    },
    [middles, stacked, twice, series.failed, series.slow],
    inside,
  );
}

// Draws again only what has changed: a refresh without news leaves the canvas alone.
function refresh(force) {
  const place = document.getElementById("chart");
  if (!place) {
    drawn?.destroy();
    drawn = null;
    told = "";
  } else if (force === true || told !== place.dataset.series || !drawn?.root.isConnected) {
    told = place.dataset.series;
    draw(place, JSON.parse(told));
  }
}

document.body.addEventListener("htmx:afterSettle", refresh);
new MutationObserver(() => refresh(true)).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => refresh(true));
window.addEventListener("resize", () => refresh(true));
refresh();
