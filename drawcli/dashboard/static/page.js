// Enhancements of pages that work without scripts: the theme, live lists, filters that update while
// typing, and sliders through the pictures of a job.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  // The theme, in a cookie so that the next page is rendered with it.
  document.getElementById("theme")?.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
  });

  // Parts of the page that follow the ledger.
  let asked = 0;
  let stale = false;
  const fetched = async (address, more = {}) => {
    const headers = { accept: "text/html", ...more };
    const answer = await fetch(address, { headers, redirect: "error" });
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };
  const busy = (part) => {
    const at = document.activeElement;
    const typing = at && part.contains(at) && at.matches("input, select, textarea, button");
    const pressed = part.querySelector(":active"); // a link that is replaced gets no click
    return typing || pressed || part.contains(getSelection()?.anchorNode ?? null) && !getSelection().isCollapsed;
  };
  const changed = (one) => {
    if (one.matches("[type=checkbox], [type=radio]")) return one.checked !== one.defaultChecked;
    if (!one.matches("select")) return one.value !== one.defaultValue;
    const standard = [...one.options].findIndex((option) => option.defaultSelected);
    return one.selectedIndex !== Math.max(standard, 0);
  };
  // What was chosen or typed, and not sent yet, goes into the new part; false: it has no such field.
  const carried = (part, other) => [...part.querySelectorAll("form [name]")]
    .filter((one) => one.matches("input, select, textarea") && changed(one)).every((one) => {
      const isTick = one.matches("[type=checkbox], [type=radio]");
      const value = isTick ? `[value="${CSS.escape(one.value)}"]` : "";
      const form = `form[action="${CSS.escape(one.form.getAttribute("action") ?? "")}"]`;
      const twin = other.querySelector(`${form} [name="${CSS.escape(one.name)}"]${value}`);
      if (!twin) return false;
      if (isTick) twin.checked = one.checked; else twin.value = one.value;
      return twin.value === one.value;
    });
  const swap = (part, fresh) => {
    const other = fresh.getElementById(part.id);
    if (!other || part.innerHTML === other.innerHTML || !carried(part, other)) return;
    for (const one of part.querySelectorAll("details[id]")) {
      const now = other.querySelector(`#${CSS.escape(one.id)}`);
      if (now) now.open = one.open;
    }
    const at = document.activeElement;
    const href = part.contains(at) ? at.getAttribute("href") : null;
    part.replaceChildren(...document.adoptNode(other).childNodes);
    if (href) part.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  };
  const sign = document.getElementById("live");
  const refresh = async (address = location.href) => {
    if (document.hidden) { stale = true; return; }
    stale = false;
    const number = ++asked;
    try {
      const fresh = await fetched(address, { "x-refresh": "1" });
      if (number !== asked) return;
      for (const part of document.querySelectorAll("[data-live]")) if (!busy(part)) swap(part, fresh);
      document.title = fresh.title;
      const icon = fresh.getElementById("icon");
      if (icon) document.getElementById("icon").href = icon.getAttribute("href");
      const drawn = fresh.getElementById("live")?.dataset.drawn;
      if (sign && drawn) sign.dataset.drawn = drawn;
    } catch { showLive(false); }
  };
  const showLive = (well) => {
    if (!sign) return;
    sign.textContent = well ? "live" : "not live: no connection to the server";
    sign.classList.toggle("lost", !well);
  };
  if (sign && document.querySelector("main [data-live]")) {
    let stream;
    const listen = () => {
      stream = new EventSource(`/live?drawn=${sign.dataset.drawn}`);
      stream.addEventListener("open", () => showLive(true));
      stream.addEventListener("error", () => {
        showLive(false);
        // The browser reconnects after a lost connection, but not after a refusal.
        if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
      });
      stream.addEventListener("change", () => refresh());
      stream.addEventListener("tick", () => refresh());
      stream.addEventListener("again", () => { stream.close(); listen(); });
    };
    listen();
    document.addEventListener("visibilitychange", () => { if (!document.hidden && stale) refresh(); });
    addEventListener("pagehide", () => stream.close());
  } else sign?.remove();

  // The filter updates the list and the address while typing.
  const filter = document.getElementById("filter");
  if (filter) {
    let waiting;
    const chosen = () => {
      const given = [...new FormData(filter)].filter(([, value]) => value);
      return `/jobs?${new URLSearchParams(given)}`;
    };
    const ask = () => {
      const address = chosen();
      history.replaceState(null, "", address);
      refresh(address);
    };
    filter.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(ask, 150); });
    filter.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(waiting); ask(); });
    // What is saved is what is chosen, also where the list has not followed yet.
    document.getElementById("saved")?.addEventListener("submit", (event) => {
      const query = event.target.elements.namedItem("query");
      if (query) query.value = chosen();
    });
  }

  // Charts: the case at the pointer or the focus in words; arrow keys move between cases.
  const chart = document.getElementById("chart");
  const words = document.getElementById("case");
  if (chart && words) {
    const toLatest = (box) => { box.scrollLeft = box.scrollWidth; };
    document.querySelectorAll(".chart .scroll").forEach(toLatest);
    const say = (event) => {
      const at = event.target.closest("svg a");
      if (at) words.textContent = at.getAttribute("aria-label");
    };
    chart.addEventListener("mouseover", say);
    chart.addEventListener("focusin", say);
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    chart.addEventListener("keydown", (event) => {
      const at = event.target.closest("svg a");
      if (!at || !(event.key in steps)) return;
      const cases = [...chart.querySelectorAll("svg a")];
      const next = Math.min(Math.max(cases.indexOf(at) + steps[event.key], 0), cases.length - 1);
      event.preventDefault();
      cases[next].focus();
    });
  }

  // Sliders: the newest position wins; one picture is requested at a time.
  const watch = (viewer) => {
    const { job, width } = viewer.dataset;
    for (const slider of viewer.querySelectorAll("input[type=range]")) {
      const plane = slider.dataset.plane;
      const image = viewer.querySelector(`img[data-plane=${plane}]`);
      const output = slider.parentElement.querySelector("output");
      let drawing = false;
      const draw = () => {
        const at = slider.value;
        const words = `${Number(at) + 1} of ${Number(slider.max) + 1}`;
        output.textContent = words;
        slider.setAttribute("aria-valuetext", words);
        if (drawing) return;
        drawing = true;
        const next = new Image();
        next.onload = next.onerror = () => {
          drawing = false;
          image.src = next.src;
          image.alt = `${plane} picture ${words} with outlines`;
          if (slider.value !== at) draw();
        };
        next.src = `/jobs/${job}/pictures/${plane}/${at}.png?width=${width}`;
      };
      slider.addEventListener("input", draw);
      image.addEventListener("wheel", (event) => {
        event.preventDefault();
        slider.value = Number(slider.value) + Math.sign(event.deltaY);
        draw();
      }, { passive: false });
      slider.addEventListener("moved", draw);
    }
    for (const choice of viewer.querySelectorAll("input[type=radio]")) {
      choice.addEventListener("change", async () => {
        const fresh = await fetched(`/jobs/${job}/pictures?structure=${choice.value}`);
        for (const slider of viewer.querySelectorAll("input[type=range]")) {
          slider.value = fresh.getElementById(slider.id).value;
          slider.dispatchEvent(new Event("moved"));
        }
      });
    }
  };
  for (const viewer of document.querySelectorAll(".viewer")) watch(viewer);

  // The contours are loaded into the page of a job on request.
  for (const place of document.querySelectorAll("[data-load]")) {
    place.querySelector("a").addEventListener("click", async (event) => {
      event.preventDefault();
      event.target.textContent = "Reading the images …";
      try {
        const part = (await fetched(place.dataset.load)).getElementById("pictures");
        place.replaceWith(document.adoptNode(part));
        for (const viewer of part.querySelectorAll(".viewer")) watch(viewer);
        part.querySelector("input")?.focus({ preventScroll: true });
      } catch { location.href = place.dataset.load; }
    });
  }
})();
