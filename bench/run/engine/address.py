"""Whether a Ray cluster answers at an address, found out in seconds: Ray itself tries for two minutes."""

from __future__ import annotations

import os
import re
import socket
import time

from bench.core.errors import UsageError

SECONDS = 4.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, END_STREAM, END_HEADERS = 0, 1, 4, 1, 4
"""Frames and flags of HTTP/2 (RFC 9113)."""
GRPC = b"application/grpc"
ASKED = {b":method": b"POST", b":scheme": b"http", b":path": b"/ray.rpc.NodeInfoGcsService/CheckAlive",
         b":authority": b"ray", b"content-type": GRPC, b"te": b"trailers"}  # fmt: skip
"""A call of gRPC. Ray's server says what it is in the answer, even when it wants a token first."""


def parse(address: str) -> tuple[str, int]:
    """HOST:PORT, with [HOST] for an IPv6 address. Raises UsageError."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]|([^:/\[\]\s]+)):(\d{1,5})", address)
    if match is None or not 0 < int(match[3]) < 65536:
        raise UsageError(
            f"--ray-address {address!r} is none; write auto, local, or HOST:PORT as `ray start --head` prints it, "
            "as 10.0.0.1:6379"
        )
    return match[1] or match[2], int(match[3])


def require_cluster(address: str) -> None:
    """Raise UsageError, within seconds, where nothing listens at HOST:PORT, or something else than Ray."""
    host, port = parse(address)
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "1":
                require_grpc(connection, address)
    except socket.gaierror as error:
        raise no_cluster(address, f"the name {host} is not known here: {error.strerror}") from error
    except TimeoutError as error:
        raise no_cluster(address, f"no answer within {SECONDS:.0f} s") from error
    except (OSError, UnicodeError) as error:
        raise no_cluster(address, getattr(error, "strerror", None) or str(error)) from error


def require_grpc(connection: socket.socket, address: str) -> None:
    """Make a call and wait for an answer that speaks gRPC."""
    headers = b"".join(b"\0" + short(name) + short(value) for name, value in ASKED.items())
    call = frame(HEADERS, END_HEADERS, 1, headers) + frame(DATA, END_STREAM, 1, bytes(5))
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + call)
    answer, end = b"", time.monotonic() + SECONDS
    while GRPC not in answer:
        connection.settimeout(max(0.01, end - time.monotonic()))
        part = connection.recv(4096)
        if not part:
            raise no_cluster(address, "what listens there is not Ray")
        answer += part


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def short(text: bytes) -> bytes:
    """A text of under 127 bytes as header compression writes it in plain (RFC 7541, 5.2)."""
    return bytes([len(text)]) + text


def no_cluster(address: str, reason: str) -> UsageError:
    return UsageError(
        f"no Ray cluster at --ray-address {address} ({reason}); start one with: ray start --head, "
        "or write --ray-address local for this machine alone"
    )
