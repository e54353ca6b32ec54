"""Sockets that a server of this machine listens on, and the addresses under which it is reached."""

import errno
import socket
from contextlib import suppress

from recapdata.errors import OptionError
from recapdata.hub.own_pages import LOOPBACK, WILDCARDS


def address(host: str, port: int) -> str:
    """Where clients reach a server; one that listens on all addresses, at this machine's loopback."""
    host = LOOPBACK[1] if host in WILDCARDS else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def own_address() -> str:
    """The address under which other machines reach this one (no packet is sent to find out), or its name."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address of documentation (RFC 5737)
        if (address := probe.getsockname()[0]) not in ("0.0.0.0", LOOPBACK[1]):
            return str(address)
    return socket.gethostname()


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that already takes connections.

    Raises:
        OptionError: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        # The protocol is named because asyncio switches Nagle's algorithm off (40 ms an answer) only where it is.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError as error:
        raise OptionError(f"Cannot listen on {host}: {error.strerror or error}.") from error
    try:
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} on {host} is taken: stop what uses it, or choose another with --port."
            raise OptionError(message) from error
        raise OptionError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error
    return listening
