/** Keeps every file of the page that was fetched, so that it works without a network. */

const CACHE = `${registration.scope} ${VERSION}`;
// What the browser fetched before this script was there; the rest comes through `answer`.
const PAGE = ["./", "style.css", "icon.svg", "page.js", "worker.js"];

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(keepPage());
});

addEventListener("activate", (event) => {
  event.waitUntil(dropOlderVersions().then(() => clients.claim()));
});

// A reload that passes by the service worker leaves the page without it.
addEventListener("message", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(registration.scope)) {
    event.respondWith(answer(event));
  }
});

async function keepPage() {
  const cache = await caches.open(CACHE);
  await cache.addAll(PAGE.map((address) => new Request(address, { cache: "reload" })));
}

async function dropOlderVersions() {
  const ours = (await caches.keys()).filter((name) => name.startsWith(`${registration.scope} `));
  await Promise.all(ours.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
}

async function answer(event) {
  const cache = await caches.open(CACHE);
  const address = event.request.mode === "navigate" ? registration.scope : event.request.url;
  const kept = await cache.match(address);
  if (kept) {
    return kept;
  }
  const response = await fetch(address, { cache: "no-cache" });
  if (response.ok) {
    event.waitUntil(cache.put(address, response.clone()));
  }
  return response;
}
