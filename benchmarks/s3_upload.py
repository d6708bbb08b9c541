"""Compares methods of writing an object of unknown size to a bucket: ``python -m benchmarks.s3_upload [--server moto|rclone]``.

The size is that of a 90 s take's ZIP. Each method gets the same chunks of 1 MiB from a writer that digests them, and sends parts of
8 MiB. Each run uses a new process and a new bucket, and writes once before it is measured. The server runs on loopback; its time is
included. Memory is the growth of the peak resident set. Then another process writes as much and fails at the end; the objects and
unfinished uploads that it leaves are counted.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import multiprocessing
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from xml.etree.ElementTree import fromstring

import boto3
import urllib3
from botocore.config import Config
from minio import Minio
from minio.commonconfig import ComposeSource
from minio.datatypes import Part

from servicekit.store.s3_client import S3Settings, s3_client
from servicekit.store.s3_store import S3Store
from servicekit.store.s3_uploads import UnfinishedUploads
from servicekit.store.s3_writer import PART_BYTES
from tests.support.s3_servers import S3Server, moto_server, rclone_server

MIB = 1 << 20
NAME = "take.zip"
Put = Callable[[Iterable[bytes]], None]


def chunks(count: int) -> Iterator[bytes]:
    """``count`` different chunks of 1 MiB."""
    rest = bytes(range(256)) * (MIB // 256 - 1)
    for number in range(count):
        yield number.to_bytes(256, "big") + rest


def parts(source: Iterable[bytes]) -> Iterator[bytes]:
    """Digest the chunks and join them to parts."""
    digest, buffer = hashlib.sha256(), bytearray()
    for chunk in source:
        if len(buffer) == PART_BYTES:
            part = bytes(buffer)
            buffer.clear()
            yield part
        digest.update(chunk)
        buffer += chunk
    yield bytes(buffer)


def put_object_by_pipe(settings: S3Settings) -> Put:
    """S3Store's writer: `put_object` in a thread, fed by a pipe."""
    store = S3Store(settings, now=lambda: datetime.now(UTC))

    def put(source: Iterable[bytes]) -> None:
        with store.writer(NAME, content_type="application/zip") as sink:
            for chunk in source:
                sink.write(chunk)

    return put


class _ProtectedMethods(Minio):
    """A multipart upload by minio's protected methods."""

    def put(self, bucket: str, source: Iterable[bytes]) -> None:
        upload_id = self._create_multipart_upload(bucket, NAME, {"Content-Type": "application/zip"})
        try:
            sent = [
                Part(number, self._upload_part(bucket, NAME, data, None, upload_id, number))
                for number, data in enumerate(parts(source), 1)
            ]
            self._complete_multipart_upload(bucket, NAME, upload_id, sent)
        except BaseException:
            self._abort_multipart_upload(bucket, NAME, upload_id)
            raise


def protected_methods(settings: S3Settings) -> Put:
    """A multipart upload by minio's protected methods, as before decision 15."""
    host = urllib.parse.urlsplit(settings.endpoint).netloc
    client = _ProtectedMethods(
        host,
        settings.access_key,
        settings.secret_key,
        secure=False,
        region=settings.region,
        http_client=urllib3.PoolManager(),
    )
    return lambda source: client.put(settings.bucket, source)


def presigned_requests(settings: S3Settings) -> Put:
    """A multipart upload by our own requests, signed by `get_presigned_url`, with Content-MD5 for each part."""
    client, pool = s3_client(settings, settings.endpoint, read_timeout_s=60), urllib3.PoolManager()

    def send(method: str, query: Mapping[str, str], body: bytes = b"", **headers: str) -> urllib3.BaseHTTPResponse:
        url = client.get_presigned_url(
            method, settings.bucket, NAME, expires=timedelta(minutes=10), extra_query_params=dict(query)
        )
        response = pool.request(method, url, body=body, headers=headers)
        assert response.status in (200, 204), response.data
        return response

    def put(source: Iterable[bytes]) -> None:
        answer = fromstring(send("POST", {"uploads": ""}).data)  # noqa: S314 - a server of our own
        upload_id = next(found.text or "" for found in answer if found.tag.endswith("UploadId"))
        try:
            xml = "<CompleteMultipartUpload>"
            for number, data in enumerate(parts(source), 1):
                md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
                query = {"partNumber": str(number), "uploadId": upload_id}
                tag = send("PUT", query, data, **{"Content-MD5": md5}).headers["ETag"]
                xml += f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            send("POST", {"uploadId": upload_id}, f"{xml}</CompleteMultipartUpload>".encode())
        except BaseException:
            send("DELETE", {"uploadId": upload_id})
            raise

    return put


def local_file_first(settings: S3Settings) -> Put:
    """A local file, then `put_object` with a known size."""
    client = s3_client(settings, settings.endpoint, read_timeout_s=60)

    def put(source: Iterable[bytes]) -> None:
        with tempfile.TemporaryFile() as file:
            for part in parts(source):
                file.write(part)
            size = file.tell()
            file.seek(0)
            client.put_object(settings.bucket, NAME, file, size, part_size=PART_BYTES, num_parallel_uploads=1)

    return put


def composed_parts(settings: S3Settings) -> Put:
    """Parts as objects, joined by `compose_object`, then removed."""
    client = s3_client(settings, settings.endpoint, read_timeout_s=60)

    def put(source: Iterable[bytes]) -> None:
        names: list[str] = []
        try:
            for number, data in enumerate(parts(source), 1):
                names.append(f"{NAME}.{number}")
                client.put_object(settings.bucket, names[-1], io.BytesIO(data), len(data))
            client.compose_object(settings.bucket, NAME, [ComposeSource(settings.bucket, name) for name in names])
        finally:
            for name in names:
                client.remove_object(settings.bucket, name)

    return put


def boto3_client(settings: S3Settings) -> Put:
    """A multipart upload by boto3."""
    client = boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
    )
    target = {"Bucket": settings.bucket, "Key": NAME}

    def put(source: Iterable[bytes]) -> None:
        upload_id = client.create_multipart_upload(**target)["UploadId"]
        try:
            sent = []
            for number, data in enumerate(parts(source), 1):
                answer = client.upload_part(**target, UploadId=upload_id, PartNumber=number, Body=data)
                sent.append({"PartNumber": number, "ETag": answer["ETag"]})
            client.complete_multipart_upload(**target, UploadId=upload_id, MultipartUpload={"Parts": sent})
        except BaseException:
            client.abort_multipart_upload(**target, UploadId=upload_id)
            raise

    return put


METHODS = (protected_methods, put_object_by_pipe, presigned_requests, local_file_first, composed_parts, boto3_client)


@dataclass(frozen=True)
class Run:
    """One measured write. ``error`` is the name of an unexpected exception, or empty."""

    error: str = ""
    seconds: float = 0.0
    cpu_s: float = 0.0
    memory_mib: float = 0.0


def resident_mib(field: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def write(method: Callable[[S3Settings], Put], settings: S3Settings, mib: int, fails: bool, result: Connection) -> None:  # noqa: FBT001
    """Entry point of the measured process."""

    def source() -> Iterator[bytes]:
        yield from chunks(mib)
        if fails:
            raise KeyboardInterrupt

    try:
        put = method(settings)
        put(chunks(1))
        s3_client(settings, settings.endpoint, read_timeout_s=60).remove_object(settings.bucket, NAME)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
        before_mib, before_cpu_s, before_s = resident_mib("VmRSS"), time.process_time(), time.perf_counter()
        with suppress(KeyboardInterrupt):
            put(source())
        seconds, cpu_s = time.perf_counter() - before_s, time.process_time() - before_cpu_s
        result.send(Run("", seconds, cpu_s, resident_mib("VmHWM") - before_mib))
    except Exception as error:  # noqa: BLE001 - a method that the server does not support is a result
        result.send(Run(type(error).__name__))


def measure(method: Callable[[S3Settings], Put], settings: S3Settings, mib: int, *, fails: bool) -> Run:
    """One write in a new process."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=write, args=(method, settings, mib, fails, there))
    process.start()
    run: Run = here.recv()
    process.join()
    return run


def report(server: S3Server, method: Callable[[S3Settings], Put], runs: Sequence[Run], mib: int) -> str:
    """A line of the table."""
    error = next((run.error for run in runs if run.error), "")
    if error:
        return f"{method.__name__:20} {error}"
    settings = server.settings(server.make_bucket())
    measure(method, settings, mib, fails=True)
    client = s3_client(settings, settings.endpoint, read_timeout_s=60)
    objects = len(list(client.list_objects(settings.bucket, recursive=True)))
    uploads = len(list(UnfinishedUploads(settings).list("")))
    seconds = [run.seconds for run in runs]
    return (
        f"{method.__name__:20}{statistics.median(seconds):8.2f}{min(seconds):8.2f}{max(seconds):8.2f}"
        f"{statistics.median(run.cpu_s for run in runs):8.2f}{max(run.memory_mib for run in runs):8.1f}{objects:8}{uploads:8}"
    )


def start_server(kind: str, folder: Path) -> AbstractContextManager[S3Server]:
    """The server ``moto`` or ``rclone``."""
    return moto_server() if kind == "moto" else rclone_server(folder)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=["moto", "rclone"], default="moto")
    parser.add_argument("--mib", type=int, default=121)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, start_server(arguments.server, Path(folder)) as server:
        runs: dict[str, list[Run]] = {method.__name__: [] for method in METHODS}
        for _ in range(arguments.runs):
            for method in METHODS:
                settings = server.settings(server.make_bucket())
                runs[method.__name__].append(measure(method, settings, arguments.mib, fails=False))
        print(
            f"{arguments.mib} MiB to {arguments.server}, {arguments.runs} interleaved runs, then one that fails at the end"
        )
        print(f"{'':20}{'median s':>8}{'min':>8}{'max':>8}{'CPU s':>8}{'MiB':>8}{'objects':>8}{'uploads':>8}")
        for method in METHODS:
            print(report(server, method, runs[method.__name__], arguments.mib))


if __name__ == "__main__":
    main()
