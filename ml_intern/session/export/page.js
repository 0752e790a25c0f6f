(function () {
  "use strict";
  var words = document.getElementById("words"), wrong = document.getElementById("wrong");
  var all = document.getElementById("all"), count = document.getElementById("count");
  var phases = Array.from(document.querySelectorAll(".phase"));
  var entries = Array.from(document.querySelectorAll(".entry")).map(function (node) {
    var details = node.querySelector("details"), body = node.querySelector(".body");
    return { node: node, details: details, body: body, open: details ? details.open : false, text: null, inside: "" };
  });
  var timer = 0, OPENED_AT_MOST = 200;

  function texts(entry) {
    if (entry.text === null) {
      entry.text = entry.node.textContent.toLowerCase();
      entry.inside = entry.body ? entry.body.textContent.toLowerCase() : "";
    }
  }

  function mark(sought) {
    if (!window.CSS || !CSS.highlights) return;
    CSS.highlights.delete("found");
    if (sought.length < 2) return;
    var ranges = [];
    entries.forEach(function (entry) {
      if (entry.node.hidden || ranges.length > 2000) return;
      var walker = document.createTreeWalker(entry.node, NodeFilter.SHOW_TEXT), node;
      while ((node = walker.nextNode())) {
        var text = node.data.toLowerCase();
        if (text.length !== node.data.length) continue;
        for (var at = text.indexOf(sought); at >= 0 && ranges.length <= 2000; at = text.indexOf(sought, at + sought.length)) {
          var range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + sought.length);
          ranges.push(range);
        }
      }
    });
    CSS.highlights.set("found", Reflect.construct(Highlight, ranges));
  }

  function filter() {
    var sought = words.value.trim().toLowerCase(), shown = 0, opened = 0;
    entries.forEach(function (entry) {
      texts(entry);
      var fits = (!sought || entry.text.indexOf(sought) >= 0) && (!wrong.checked || entry.node.classList.contains("bad"));
      entry.node.hidden = !fits;
      shown += fits ? 1 : 0;
      if (!entry.details) return;
      var inside = Boolean(sought) && fits && entry.inside.indexOf(sought) >= 0 && opened < OPENED_AT_MOST;
      opened += inside ? 1 : 0;
      entry.details.open = sought ? inside : entry.open;
    });
    phases.forEach(function (phase) {
      phase.hidden = Boolean(sought || wrong.checked) && !phase.querySelector(".entry:not([hidden])");
    });
    count.textContent = sought || wrong.checked ? shown + " of " + entries.length : "";
    mark(sought);
  }

  function reach() {
    var node = document.getElementById(location.hash.slice(1)), details = node && node.querySelector("details");
    if (node && node.hidden) { words.value = ""; wrong.checked = false; filter(); node.scrollIntoView(); }
    if (details && node.classList.contains("entry")) details.open = true;
  }

  words.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(filter, 120); });
  words.addEventListener("keydown", function (event) { if (event.key === "Escape") { words.value = ""; filter(); } });
  wrong.addEventListener("change", filter);
  all.addEventListener("click", function () {
    var open = all.textContent === "Open all";
    entries.forEach(function (entry) {
      if (!entry.details || entry.node.hidden) return;
      entry.details.open = open;
      if (!words.value.trim()) entry.open = open;
    });
    all.textContent = open ? "Close all" : "Open all";
  });
  window.addEventListener("hashchange", reach);
  document.getElementById("search").hidden = false;
  reach();
})();
