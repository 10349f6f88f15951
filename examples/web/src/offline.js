/** Lets the service worker keep the files of the page. */

const container = navigator.serviceWorker;

/**
 * Lets the service worker see what the page fetches from now on.
 *
 * @returns Why that is not possible, or undefined.
 */
export async function takeControl() {
  if (!container) {
    return "Browsers keep pages for offline use only from https or from this machine.";
  }
  const changed = new Promise((resolve) => {
    container.addEventListener("controllerchange", resolve, { once: true });
  });
  if (container.controller) {
    changed.then(() => location.reload()); // there is a new version of the page
  }
  try {
    await container.register("service_worker.js");
  } catch (error) {
    return `The service worker could not be started: ${error.message}`;
  }
  if (!container.controller) {
    (await container.ready).active.postMessage("take control");
    await Promise.race([changed, pause(3)]);
  }
  return container.controller ? undefined : "The service worker does not answer.";
}

/** Waits until every file is kept, and tells whether that came to be. */
export async function keepForOffline(files, seconds) {
  const needed = [new URL("./", location).href, ...files];
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; await pause(0.2)) {
    const kept = await Promise.all(needed.map((address) => caches.match(address)));
    if (kept.every(Boolean)) {
      return true;
    }
  }
  return false;
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}
