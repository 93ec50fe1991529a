// The statistics' chart, and the reset, which is a moment kept in this browser.
import { agreed } from "./dialogs.js";

const KEY = "photochanger-statistics-since";
let drawn = null;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function bars(label, fill) {
  return { label, fill, width: 0, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } };
}

function when(moments) {
  const days = moments.at(-1) - moments[0] > 2 * 24 * 3600;
  const told = days ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
  const format = new Intl.DateTimeFormat(document.documentElement.lang, told);
  return (seconds) => format.format(new Date(seconds * 1000));
}

function draw() {
  const place = document.getElementById("chart");
  if (!place) return;
  drawn?.destroy();
  const { done, late, failed, slow } = place.dataset;
  const series = JSON.parse(place.dataset.series);
  const stacked = series.at.map((_, i) => series.done[i] + series.late[i] + series.failed[i]);
  const twice = series.at.map((_, i) => series.failed[i] + series.late[i]);
  const line = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--muted"), grid: line, ticks: { show: false }, font: "12px Inter, sans-serif" };
  drawn = new uPlot(
    {
      width: place.clientWidth,
      height: place.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: (_, least, most) => [least, most + (series.at[1] - series.at[0] || 60)] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] }, s: { range: (_, __, most) => [0, Math.max(10, (most || 0) * 1.1)] } },
      axes: [
        { ...axis, grid: { show: false }, values: (_, moments) => moments.map(when(series.at)), space: 64 },
        { ...axis, size: 42, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] },
        { ...axis, side: 1, scale: "s", grid: { show: false }, size: 42 },
      ],
      series: [
        {},
        bars(done, colour("--dot-ok")),
        bars(late, colour("--dot-warn")),
        bars(failed, colour("--dot-danger")),
        { label: slow, scale: "s", stroke: colour("--info"), width: 2, spanGaps: true, points: { size: 5, fill: colour("--info") } },
      ],
    },
    [series.at, stacked, twice, series.failed, series.slow],
    place,
  );
}

function offerSinceReset() {
  const since = Number(localStorage.getItem(KEY));
  const link = document.getElementById("since-reset");
  if (!since || !link) return;
  const minutes = Math.min(43200, Math.max(5, Math.ceil((Date.now() - since) / 60000)));
  link.href = `/statistics?minutes=${minutes}`;
  link.hidden = false;
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("#reset-statistics");
  if (button && (await agreed(button))) {
    localStorage.setItem(KEY, String(Date.now()));
    location.href = "/statistics?minutes=5";
  }
});
document.body.addEventListener("htmx:afterSettle", draw);
new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
window.addEventListener("resize", draw);
draw();
offerSinceReset();
