// Renews the sections of the live page with the HTML that the server sends when they change. The page works without it.
"use strict";

(() => {
  const status = document.getElementById("connection");
  const button = document.createElement("button");
  let source = null;
  let paused = false;

  const say = (text) => {
    if (status.textContent !== text) status.textContent = text; // screen readers read each change aloud
  };

  // A selection or a focus in a section would be lost with its content.
  const isSelecting = (section) => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && section.contains(selection.anchorNode);
  };

  const renew = (section, html) => {
    if (isSelecting(section)) return;
    const focused = section.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    section.innerHTML = html;
    if (focused === null) return;
    const same = [...section.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused);
    (same || section.querySelector("a") || document.getElementById("main")).focus({ preventScroll: true });
  };

  const connect = () => {
    if (source || paused || document.hidden) return;
    source = new EventSource("/events");
    source.onopen = () => say("");
    source.onerror = () => {
      const isOver = source.readyState === EventSource.CLOSED; // any other status than 200
      say(isOver ? "No longer renewed: load the page anew." : "The server does not answer; trying again.");
      if (isOver) close();
    };
    for (const section of document.querySelectorAll("[data-live]")) {
      source.addEventListener(section.id, (event) => renew(section, event.data));
    }
  };

  const close = () => {
    if (source) source.close();
    source = null;
  };

  button.type = "button";
  button.className = "pause";
  button.textContent = "Pause";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    if (paused) close();
    else connect();
    say(paused ? "Paused." : "");
  });
  document.querySelector("h1").after(button);

  // Nobody looks at a hidden page, and the server observes nothing while nobody looks.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : connect()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", connect);
  connect();
})();
