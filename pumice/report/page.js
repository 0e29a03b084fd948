"use strict";
(() => {
  // Plots.  On a touch screen a drag scrolls the page instead of zooming the plot.
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const touch = matchMedia("(pointer: coarse)").matches;
  const options = { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset" };
  const drawn = [];
  for (const [id, figure] of Object.entries(figures)) {
    const place = document.getElementById(id);
    if (touch) figure.layout.dragmode = false;
    if (place.clientWidth < 480) narrow(figure.layout);
    drawn.push(Plotly.newPlot(place, figure.data, figure.layout, options));
  }
  function narrow(layout) {
    layout.margin = { ...layout.margin, r: 8, l: Math.min(layout.margin.l, 148) };
    layout.font.size = 11;
    if (layout.legend.yref === "container") {
      layout.margin.t += 40;
      layout.yaxis.tickfont.size = 9;
    }
  }
  Promise.all(drawn).then(() => document.documentElement.setAttribute("data-drawn", drawn.length));

  // On paper, plots take the width of the paper.
  const plots = [...document.querySelectorAll(".plot")];
  addEventListener("beforeprint", () => plots.forEach((p) => Plotly.relayout(p, { width: 660 })));
  addEventListener("afterprint", () => plots.forEach((p) => Plotly.relayout(p, { width: null, autosize: true })));

  // Tables sort by the clicked column; empty cells stay last.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const numeric = head.classList.contains("num");
      const value = (row) => row.cells[column].dataset.v;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return way * (numeric ? x - y : x.localeCompare(y, undefined, { numeric: true }));
      });
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    }));
  }
})();
