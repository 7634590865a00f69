
(function () {
  "use strict";
  var search = document.getElementById("search");
  var nothing = document.getElementById("nothing");
  var entries = Array.prototype.map.call(document.querySelectorAll("[data-find]"), function (element) {
    // What stands in a list belongs to the heading above it.
    var group = element.parentElement.closest("[data-find]");
    var heading = group === null ? "" : group.firstElementChild.textContent + " ";
    return { element: element, text: (heading + element.textContent).toLowerCase() };
  });
  var sections = document.querySelectorAll("main section");

  function filter() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    var found = 0;
    entries.forEach(function (entry) {
      var fits = words.every(function (word) { return entry.text.includes(word); });
      entry.element.hidden = !fits;
      found += fits ? 1 : 0;
    });
    sections.forEach(function (section) {
      section.hidden = words.length !== 0 ? section.querySelector("[data-find]:not([hidden])") === null : false;
    });
    document.querySelectorAll("details.alternative").forEach(function (details) {
      if (words.length !== 0) { details.open = true; }
    });
    nothing.hidden = found !== 0 || words.length === 0;
  }

  search.addEventListener("input", filter);
  document.addEventListener("keydown", function (event) {
    if (event.key === "/") {
      if (document.activeElement !== search) {
        event.preventDefault();
        search.focus();
      }
    }
  });
  document.querySelectorAll(".fit").forEach(function (button) {
    button.addEventListener("click", function () {
      var fitted = button.nextElementSibling.classList.toggle("fitted");
      button.setAttribute("aria-pressed", String(fitted));
      button.textContent = fitted ? "Full size" : "Fit to the page";
    });
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (details) { details.open = true; });
  });
})();
