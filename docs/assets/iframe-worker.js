// Search without a server: a browser starts no worker for a page that was opened as a file, so the site's search runs in
// a hidden frame instead, which is spoken to as a worker is. The theme looks for the name IFrameWorker.
"use strict";
if (location.protocol === "file:") {
  const inside = () => {
    window.postMessage = data => parent.frameWorkers.get(window)(data);
    window.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise(done => {
      const script = document.createElement("script");
      script.src = url;
      script.onload = done;
      document.body.append(script);
    })), Promise.resolve());
  };
  window.frameWorkers = new Map();
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inner = frame.contentWindow;
      window.frameWorkers.set(this.inner, data => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      });
      const script = text => "<scr" + "ipt" + text + "</scr" + "ipt>";
      this.inner.document.open();
      this.inner.document.write("<body>" + script(">(" + inside + ")()") + script(` src="${new URL(url, location.href)}">`));
      this.inner.document.close();
      this.loaded = new Promise(done => { frame.onload = done; });
    }
    postMessage(data) {
      this.loaded.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() { this.inner.frameElement.remove(); }
  };
}
