"use strict";
(() => {
  const root = document.documentElement;

  // Light or dark: as the system has it until the reader says otherwise, remembered only while the page is open.
  const theme = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => { theme.textContent = dark() ? "Light theme" : "Dark theme"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  system.addEventListener("change", name);
  name();

  // Sorting: within each body, so that rows which are ranked apart stay apart. Cells say by data-sort what they sort by.
  const collator = new Intl.Collator("en", { numeric: true });
  const key = (row, column) => {
    const cell = row.cells[column];
    const given = cell.dataset.sort;
    if (given === undefined) return cell.textContent.trim();
    return given === "" ? null : Number(given);
  };
  const compare = (one, other) =>
    typeof one === "number" && typeof other === "number" ? one - other : collator.compare(String(one), String(other));
  const sort = (table, head, column) => {
    const first = head.dataset.first || "ascending";
    const opposite = first === "ascending" ? "descending" : "ascending";
    const direction = head.getAttribute("aria-sort") === first ? opposite : first;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("reason"));
      const keyed = rows.map((row) => [key(row, column), row]);
      keyed.sort(([one], [other]) => (one === null ? 1 : 0) - (other === null ? 1 : 0) || (one === null ? 0 : sign * compare(one, other)));
      body.append(...keyed.map(([, row]) => row));
    }
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.dataset.first) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, column));
    });
  }

  // Filtering: a row stays that holds every word.
  for (const controls of document.querySelectorAll(".controls")) {
    const [input, count] = [controls.querySelector("input"), controls.querySelector("output")];
    const rows = [...document.getElementById(input.dataset.table).tBodies]
      .flatMap((body) => [...body.rows])
      .filter((row) => !row.classList.contains("reason"));
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const filter = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, number) => {
        const fits = words.every((word) => texts[number].includes(word));
        if (row.hidden === fits) row.hidden = !fits;
        shown += fits;
      });
      count.textContent = words.length ? `${shown} of ${rows.length}` : "";
    };
    controls.hidden = false;
    input.addEventListener("input", filter);
    filter();
  }

  // A link into closed details opens them.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = target?.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
    target?.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", () => { if (link.hash === location.hash) reveal(); });
  }
  if (location.hash) reveal();

  // Paper has no details to open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of closed) details.open = false; });
})();
