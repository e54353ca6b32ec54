"""A page of another site, in a browser on this machine, and everything it may try on a server here."""

import http.server
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

TRY = """
async ({url, method, body, headers}) => {
    const found = [], note = (how, what) => found.push(how + ': ' + String(what).slice(0, 80));
    const options = {method: method || 'GET', body: body ?? undefined};
    for (const mode of ['cors', 'no-cors']) {
        try {
            const answer = await fetch(url, {...options, mode, headers: mode === 'cors' ? headers ?? {} : {}});
            const text = await answer.text();
            if (text || answer.ok) note(mode, answer.status + ' ' + text);
        } catch (error) {}
    }
    if (options.method === 'GET') {
        const size = await new Promise(done => {
            const image = new Image();
            image.onload = () => done(image.naturalWidth);
            image.onerror = () => done(0);
            image.src = url;
        });
        if (size) note('image', size);
        const script = await new Promise(done => {
            const element = document.createElement('script');
            element.onload = () => done(true);
            element.onerror = () => done(false);
            element.src = url;
            document.head.append(element);
        });
        if (script) note('script', 'loaded');
    } else {
        const frame = document.createElement('iframe');
        frame.name = 'form' + Math.random();
        document.body.append(frame);
        const form = document.createElement('form');
        Object.assign(form, {action: url, method: 'POST', enctype: 'text/plain', target: frame.name});
        const field = document.createElement('input');
        field.name = (body ?? '').slice(0, -1) + ',"x":"';
        field.value = '"}';
        form.append(field);
        document.body.append(form);
        const loaded = new Promise(done => { frame.onload = done; setTimeout(done, 60000); });
        form.submit();
        await loaded;
        try { if (frame.contentDocument.body.innerText) note('form', frame.contentDocument.body.innerText); } catch (error) {}
    }
    return found;
}
"""
"""What a page learns by fetch, picture, script and form, one line each."""


@contextmanager
def elsewhere() -> Iterator[str]:
    """The address of an empty page on another port of this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><body></body>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def attempts(page: "Page", requests: Sequence[dict[str, Any]]) -> list[list[str]]:
    """What the page that is open learns from each request, in every way a page has."""
    return [page.evaluate(TRY, request) for request in requests]
