// SPDX-License-Identifier: GPL-2.0-only
"use strict";
// The page works without this: folding is the browser's own. This adds filter and copying.
(() => {
  const filter = document.getElementById("filter");
  const chips = [...document.querySelectorAll("[data-outcome][aria-pressed]")];
  const rows = [...document.querySelectorAll(".runs tbody tr")];
  const sections = new Map(
    [...document.querySelectorAll("details.run")].map((run) => [run.dataset.run, run]),
  );
  const texts = new Map(
    rows.map((row) => {
      const words = [row.textContent, row.dataset.run, row.dataset.more, row.dataset.outcome];
      return [row, words.join(" ").toLowerCase()];
    }),
  );

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = chips.filter((chip) => chip.getAttribute("aria-pressed") === "true");
    const wanted = new Set(pressed.map((chip) => chip.dataset.outcome));
    let shown = 0;
    for (const row of rows) {
      const text = texts.get(row);
      const fits = !wanted.size || wanted.has(row.dataset.outcome);
      row.hidden = !(fits && words.every((word) => text.includes(word)));
      shown += row.hidden ? 0 : 1;
      const section = sections.get(row.dataset.run);
      if (section) section.hidden = row.hidden;
    }
    document.getElementById("shown").textContent = `${shown} of ${rows.length} shown`;
  }

  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || target.tagName !== "DETAILS") return;
    if (target.hidden) {
      filter.value = "";
      for (const chip of chips) chip.setAttribute("aria-pressed", "false");
      apply();
    }
    target.open = true;
    target.querySelector("summary").focus();
    target.scrollIntoView();
  }

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      const pressed = chip.getAttribute("aria-pressed") === "true";
      chip.setAttribute("aria-pressed", String(!pressed));
      apply();
    });
  }
  for (const [id, open] of [["unfold", true], ["fold", false]]) {
    document.getElementById(id).addEventListener("click", () => {
      for (const section of sections.values()) section.open = open;
    });
  }
  for (const button of document.querySelectorAll(".copy")) {
    const code = button.previousElementSibling;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "selected";
      }
    });
  }
  filter.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && document.activeElement !== filter) {
      event.preventDefault();
      filter.focus();
    } else if (event.key === "Escape" && document.activeElement === filter) {
      filter.value = "";
      apply();
    }
  });
  window.addEventListener("hashchange", reveal);
  document.getElementById("tools").hidden = false;
  apply();
  reveal();
})();
