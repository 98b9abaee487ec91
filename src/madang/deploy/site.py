"""The nginx site: TLS, one address for all portals, WebSockets, uploads that are never kept on its disk.

A portal that does not answer is left at once (max_fails=1) and asked again after a moment. What may have been done
already is not repeated: nginx passes a POST on only when no portal has seen it. Directives: https://nginx.org/en/docs/,
as of nginx 1.22 (Debian 12) and 1.26 (Debian 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent

from madang.deploy.layout import Address, Layout

PATH = "etc/nginx/conf.d/madang.conf"
# Since then http2 is a directive of its own, and the word in `listen` a warning.
HTTP2_DIRECTIVE = (1, 25, 1)
UPSTREAM = """upstream {name} {{
    zone {name} 64k;  # what one worker learns of a dead portal, all know
    least_conn;
{servers}
    keepalive 32;
}}
"""
SERVER = "    server {address} max_fails=1 fail_timeout=2s;"
# With all of them marked as dead nginx asks nobody: one that came back a moment ago would not be found.
AGAIN = "    server {address} max_fails=0 backup;"

MAPS = """# Connections to portals are kept, but for those that become WebSockets.
map $http_upgrade $madang_connection {
    default upgrade;
    "" "";
}
# While no portal answers: a person gets a page that comes back by itself, a program a problem (RFC 9457).
map $http_accept $madang_away {
    default /away/problem;
    ~*text/html /away/page;
}
"""

REDIRECT = """server {{
{listen}
    server_name {name};
    server_tokens off;
    # To the site's own name, whatever name was asked for.
    return 308 {public_url}$request_uri;
}}
"""

HEAD = """server {{
{listen}
    server_name {name};
    server_tokens off;

    ssl_certificate {certificate};
    ssl_certificate_key {certificate_key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
    ssl_prefer_server_ciphers off;
    ssl_session_cache shared:madang_tls:10m;
    ssl_session_timeout 1d;
    ssl_session_tickets off;

    client_max_body_size {body};
    client_body_buffer_size {body};  # in memory, never on this disk

    proxy_http_version 1.1;
    # The name is the site's own, not the client's word for it; so are address and protocol.
    proxy_set_header Host {authority};
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $madang_connection;
    proxy_connect_timeout 1s;
    # A portal pings its WebSockets, so a silence of this length is no silence.
    proxy_read_timeout {silent}s;
    proxy_send_timeout {silent}s;
    proxy_socket_keepalive on;
    proxy_max_temp_file_size 0;
    # Also a POST goes to the next portal, as long as it was sent to none.
    proxy_next_upstream error timeout;
    proxy_next_upstream_timeout 10s;
    error_page 502 504 = $madang_away;
    error_page 413 = @too_large;
"""

# The security headers are the portals': nginx adds none, and so takes none away.
LOCATIONS = """
location / {{
    proxy_pass http://{page};
    gzip on;
    gzip_proxied any;
    gzip_vary on;
    # The page only: compressed answers with secrets in them give the secrets away (BREACH).
    gzip_types text/css text/javascript application/javascript image/svg+xml;
}}

location /api/ {{
    proxy_pass http://{page};
}}

# Their names carry a hash of their content. While portals are updated one by one, another one may have the file.
location /assets/ {{
    proxy_pass http://{page};
    proxy_next_upstream error timeout http_404;
    gzip on;
    gzip_proxied any;
    gzip_vary on;
    gzip_types text/css text/javascript application/javascript image/svg+xml;
}}
{services}
# For the site's own network: ask a portal itself.
location = /metrics {{
    return 404;
}}

location = /away/problem {{
    internal;
    default_type application/problem+json;
    add_header Retry-After 1 always;
    return 503 '{{"type":"about:blank","title":"The portal does not answer","status":503,"code":"portal_away",\
"detail":"","hint":"It is tried again by itself in a moment.","retry_after":1}}';
}}

location = /away/page {{
    internal;
    default_type "text/html; charset=utf-8";
    add_header Cache-Control no-store always;
    return 503 '<!doctype html><meta http-equiv="refresh" content="2"><title>Madang</title>\
<p>Madang is starting; this page comes back by itself.</p>\
<p lang="ko">마당을 시작하는 중입니다. 화면이 저절로 다시 열립니다.</p>';
}}

location @too_large {{
    internal;
    default_type application/problem+json;
    return 413 '{{"type":"about:blank","title":"This is too large","status":413,"code":"http_413",\
"detail":"","hint":""}}';
}}
"""

LIVE = """
location = /api/live {{
    proxy_pass http://{upstream};
    proxy_buffering off;
}}
"""

API = """
location {route} {{
    proxy_pass http://{upstream};
}}
"""

FILES = """
# Files go through without being kept here, in both directions.
location ~ ^{route}sessions/[^/]+/files(/|$) {{
    proxy_pass http://{upstream};
    proxy_buffering off;
    proxy_request_buffering off;
    client_max_body_size {upload};
}}
"""

# Pictures: handed on as they come.
PICTURES = """
location {route} {{
    proxy_pass http://{upstream};
    proxy_buffering off;
    proxy_buffer_size 64k;
    proxy_buffers 4 64k;
}}
"""


def render(layout: Layout) -> Mapping[str, str]:
    """The site by its path below the root folder."""
    return {PATH: "\n".join(_blocks(layout))}


def _blocks(layout: Layout) -> Iterator[str]:
    everything = sorted({address for addresses in layout.processes().values() for address in addresses})
    yield _upstream("madang", everything if layout.separate else layout.portals)
    if layout.separate:
        for name, addresses in layout.processes().items():
            yield _upstream(f"madang_{name}", addresses)
    yield MAPS
    if layout.http_port:
        listen = _listen(layout, layout.http_port, "")
        yield REDIRECT.format(listen=listen, name=layout.server_name, public_url=layout.public_url)
    yield _server(layout)


def _upstream(name: str, addresses: Sequence[Address]) -> str:
    lines = [SERVER.format(address=each) for each in addresses]
    if len(addresses) > 1:  # a single one is never given up
        lines += [AGAIN.format(address=each) for each in addresses]
    return UPSTREAM.format(name=name, servers="\n".join(lines))


def _server(layout: Layout) -> str:
    separate_http2 = layout.nginx >= HTTP2_DIRECTIVE
    listen = _listen(layout, layout.https_port, " ssl" if separate_http2 or not layout.nginx else " ssl http2")
    head = HEAD.format(
        listen=listen + ("\n    http2 on;" if separate_http2 else ""),
        name=layout.server_name,
        certificate=layout.certificate,
        certificate_key=layout.certificate_key,
        body=layout.largest_body_bytes,
        authority=layout.authority,
        silent=layout.silent_seconds,
    )
    locations = LOCATIONS.format(page="madang", services="".join(_services(layout)))
    return head + _indented(locations) + "}\n"


def _services(layout: Layout) -> Iterator[str]:
    """The routes of each service, to its own process if it has one."""
    yield LIVE.format(upstream="madang")
    for service in layout.services:
        upstream = f"madang_{service.name}" if layout.separate else "madang"
        for route in service.routes:
            if not route.endswith("/"):  # a place in the page
                continue
            if not route.startswith("/api/"):
                yield PICTURES.format(route=route, upstream=upstream)
                continue
            if layout.separate:
                yield API.format(route=route, upstream=upstream)
            if service.starts_desktops:
                yield FILES.format(route=route, upstream=upstream, upload=layout.largest_upload_bytes)


def _indented(locations: str) -> str:
    return indent(locations, "    ", lambda line: not line.isspace())


def _listen(layout: Layout, port: int, more: str) -> str:
    if layout.listen:
        return f"    listen {layout.listen}:{port}{more};"
    every = [f"    listen {port}{more};"]
    if layout.ipv6:
        every.append(f"    listen [::]:{port}{more};")
    return "\n".join(every)
