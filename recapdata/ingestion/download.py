"""One download, bounded in time, size and redirects, and kept away from addresses that are nobody's business.

Whether an address is allowed is asked of the very address that is connected to, after name resolution and at every redirect, so
that a name which resolves to one thing now and another later gains nothing.
"""

import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from recapdata import __version__
from recapdata.addresses import without_secrets
from recapdata.ingestion.source import IngestOptions

MAX_REDIRECTS = 5
FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0
CHUNK = 2**16
"""Bytes that are unpacked at once."""
_UNPACKED = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""Content encodings that are unpacked, though none was asked for, with zlib's window of each."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSALS = frozenset({"noai", "noimageai"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """Why there is no image: a type to count by, a message, and whether another try may help.

    Attributes:
        wait: seconds that the server asked to wait before the next try.
    """

    def __init__(self, error: str, message: str, *, passing: bool = False, wait: float = 0.0) -> None:
        super().__init__(error, message)
        self.error = error
        self.message = message
        self.passing = passing
        self.wait = wait


class PrivateAddress(Exception):
    """A name that leads to no public address."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet, also where an IPv6 address wraps an IPv4 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class Downloader:
    """Fetches images; to be used from several threads at once."""

    def __init__(self, options: IngestOptions) -> None:
        self._options = options
        self._clock = threading.local()
        transport = httpx.HTTPTransport(trust_env=False)
        transport._pool = httpcore.ConnectionPool(  # httpx has no public way to say how to connect
            ssl_context=ssl.create_default_context(),
            max_connections=options.connections * 2,
            max_keepalive_connections=options.connections,
            network_backend=_Guard(self._clock, allow_private=options.allow_private),
        )
        self._client = httpx.Client(
            transport=transport,
            trust_env=options.allow_private,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            timeout=options.timeout,
            headers={
                "User-Agent": f"recapdata/{__version__}",
                "Accept": "image/*,*/*;q=0.5",
                "Accept-Encoding": "identity",  # an image is packed already, and a packed answer may be a bomb
            },
        )

    def fetch(self, url: str) -> bytes:
        """The bytes at a URL, after as many tries as the options allow.

        Raises:
            Refused: there are none to be had.
        """
        wait = FIRST_WAIT
        for left in range(self._options.retries, -1, -1):
            try:
                return self._fetch_once(url)
            except Refused as refused:
                if not refused.passing or not left:
                    raise
                time.sleep(min(max(wait, refused.wait), LONGEST_WAIT))
                wait *= 2
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _fetch_once(self, url: str) -> bytes:
        self._clock.deadline = time.monotonic() + self._options.timeout
        try:
            if httpx.URL(url).scheme not in ("http", "https"):
                raise Refused("BadUrl", f"neither http nor https: {without_secrets(url)[:200]}")
            with self._client.stream("GET", url) as response:
                self._judge(response)
                return self._read(response)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise Refused("BadUrl", f"{error}: {without_secrets(url)[:200]}") from error
        except httpx.TooManyRedirects as error:
            raise Refused("TooManyRedirects", f"more than {MAX_REDIRECTS}") from error
        except PrivateAddress as error:
            raise Refused("PrivateAddress", f"{error}; --allow-private would let it") from error
        except httpx.TimeoutException as error:
            raise Refused("Timeout", f"not done after {self._options.timeout:g} s", passing=True) from error
        except httpx.TransportError as error:
            unknown = "Name or service not known" in str(error)
            raise Refused(
                "ConnectionFailed", str(error) or type(error).__name__, passing=not unknown
            ) from error
        except zlib.error as error:
            raise Refused("ConnectionFailed", f"its content encoding is broken: {error}") from error

    def _judge(self, response: httpx.Response) -> None:
        """Refuse an answer by its head.

        Raises:
            Refused: an HTTP error, too large, or not to be used for training.
        """
        if response.status_code != 200:
            after = response.headers.get("retry-after", "")
            raise Refused(
                "HttpError",
                f"{response.status_code} {response.reason_phrase}".strip(),
                passing=response.status_code in _PASSING,
                wait=float(after) if after.isascii() and after.isdecimal() else 0.0,
            )
        directives = {
            part.split(":")[-1].strip()
            for part in response.headers.get("x-robots-tag", "").lower().split(",")
        }
        if refused := directives & _REFUSALS:
            raise Refused("NotAllowed", f"its owner says {', '.join(sorted(refused))} (X-Robots-Tag)")
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._options.max_bytes:
            raise Refused("TooLarge", f"{int(length):,} bytes; the limit is {self._options.max_bytes:,}")

    def _read(self, response: httpx.Response) -> bytes:
        content = bytearray()
        for part in self._unpacked(response):
            content += part
            if len(content) > self._options.max_bytes:
                raise Refused("TooLarge", f"more than the limit of {self._options.max_bytes:,} bytes")
        return bytes(content)

    def _unpacked(self, response: httpx.Response) -> Iterator[bytes]:
        """The body in small parts, so that limit and time are kept however little it was packed to.

        Raises:
            Refused: it is packed in another way than once by gzip or deflate, or ends too early.
        """
        encodings = [each.strip() for each in response.headers.get("content-encoding", "").lower().split(",")]
        encodings = [each for each in encodings if each not in ("", "identity")]
        if not encodings:
            yield from response.iter_raw()
            return
        if len(encodings) > 1 or encodings[0] not in _UNPACKED:
            raise Refused(
                "UnsupportedEncoding",
                f"the answer is packed as {', '.join(encodings)[:100]!a}, though it was asked for as it is",
            )
        unpacker = zlib.decompressobj(_UNPACKED[encodings[0]])
        for packed in response.iter_raw():
            while packed and not unpacker.eof:
                _time_left(self._clock, httpx.ReadTimeout)
                yield unpacker.decompress(packed, CHUNK)
                packed = unpacker.unconsumed_tail
        if not unpacker.eof:
            raise Refused("ConnectionFailed", "its content encoding ends too early", passing=True)


class _Guard(httpcore.NetworkBackend):
    """Connects to the addresses of a name that are allowed, and lets nothing take longer than the download may."""

    def __init__(self, clock: threading.local, *, allow_private: bool) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to one of the host's addresses.

        Raises:
            PrivateAddress: none of them is allowed.
            httpcore.ConnectError: the name is unknown, or none answers.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise httpcore.ConnectError(f"Name or service not known: {host}") from error
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        allowed = [each for each in addresses if self._allow_private or is_public(each)]
        if not allowed:
            raise PrivateAddress(f"{host} leads to {', '.join(addresses[:3])}, no public address")
        for left, address in enumerate(reversed(allowed)):
            try:
                stream = self._backend.connect_tcp(
                    address, port, self._left(), local_address, socket_options or []
                )
                return _Timed(stream, self._clock)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == len(allowed) - 1:
                    raise
        raise AssertionError("unreachable")

    def _left(self) -> float:
        return _time_left(self._clock, httpcore.ConnectTimeout)


class _Timed(httpcore.NetworkStream):
    """A connection on which every step ends when the download's time does, however little each takes."""

    def __init__(self, stream: httpcore.NetworkStream, clock: threading.local) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _time_left(self._clock, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _time_left(self._clock, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _time_left(self._clock, httpcore.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _time_left(clock: threading.local, timeout: type[Exception]) -> float:
    left = clock.deadline - time.monotonic()
    if left <= 0:
        raise timeout("the download's time is over")
    return left
