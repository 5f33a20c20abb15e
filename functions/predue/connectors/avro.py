"""Fineract's binary messages: Avro's single-object encoding, of schemas that the sender's version of Fineract has.

Source: Apache Avro 1.11, "Single-object encoding": two marker bytes, the CRC-64-AVRO fingerprint of the writer's
schema, the record. Without the very schema that wrote them the bytes cannot be read, and the fingerprint tells which
that was.
"""

import base64
import io
import json
import zlib
from functools import lru_cache
from typing import Any

from predue.errors import BadPolicy, InvalidEvent

_MARKER = b"\xc3\x01"
_HEADER = 10
_GZIP = "gzip:"
_MOST_INFLATED = 4 * 1024 * 1024
_NAMESPACE = "org.apache.fineract.avro"


def _inlined_record(name: str, **fields: Any) -> dict[str, Any]:
    listed = [{"name": field, "type": kind} for field, kind in fields.items()]
    return {"type": "record", "namespace": _NAMESPACE, "name": name, "fields": listed}


# The envelopes, after Fineract 1.10 (fineract-avro-schemas, commit 4198b0b). They are small and have not changed since
# they came; the payloads are large and change with nearly every release, so those come from the sender.
_OUTBOUNDS = (
    _inlined_record(
        "MessageV1",
        id="int",
        source="string",
        type="string",
        category="string",
        createdAt="string",
        businessDate="string",
        tenantId="string",
        idempotencyKey="string",
        dataschema="string",
        data="bytes",
    ),
    _inlined_record("BulkMessageItemV1", id="int", type="string", category="string", dataschema="string", data="bytes"),
    _inlined_record("BulkMessagePayloadV1", datas={"type": "array", "items": f"{_NAMESPACE}.BulkMessageItemV1"}),
)

# Fineract's build writes this wherever its published schemas say "bigdecimal".
_BIGDECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 8}


def decode(data: bytes, schemas: tuple[str, ...]) -> Any:
    """Read one record; raises InvalidEvent for bytes that are no record of a known schema."""
    if data[:2] != _MARKER or len(data) < _HEADER:
        raise InvalidEvent("message: is no single-object Avro")
    schema = _known(schemas).get(data[2:_HEADER].hex())
    if schema is None:
        raise InvalidEvent("message: was written with an Avro schema that the source's settings do not hold")
    # The library's reader in Python, not the one in C: Fineract's schemas hold themselves, and bytes that go down
    # through them without end would overflow the C stack and end the process. Only sources that send Avro pay for it.
    from fastavro import _read_py as reader  # noqa: PLC0415

    stream = io.BytesIO(data[_HEADER:])
    try:
        record = reader.schemaless_reader(stream, schema, None)
    except Exception:  # noqa: BLE001 - whatever the library makes of hostile bytes, it is these bytes that are wrong
        raise InvalidEvent("message: does not hold what its Avro schema says") from None
    if stream.read(1):
        raise InvalidEvent("message: does not end where its Avro schema says")
    return record


@lru_cache(maxsize=8)
def _known(schemas: tuple[str, ...]) -> dict[str, Any]:
    """Every schema by the fingerprint of its canonical form; their texts may stand in any order."""
    import fastavro  # noqa: PLC0415 - as above
    from fastavro.schema import SchemaParseException, UnknownType, fingerprint, to_parsing_canonical_form  # noqa: PLC0415

    try:
        given = [*_OUTBOUNDS, *(one for text in schemas for one in _records(text))]
        named = {f"{one['namespace']}.{one['name']}": one for one in given}
        least = _Least(named)
        for name in named:
            least.of(name, "")
        whole = [_inlined(name, named, "", set()) for name in named]
        return {fingerprint(to_parsing_canonical_form(one), "CRC-64-AVRO"): fastavro.parse_schema(one) for one in whole}
    except UnknownType:
        raise BadPolicy("schemas: they refer to a type that is not among them") from None
    except (SchemaParseException, KeyError, TypeError, ValueError, AttributeError, RecursionError, zlib.error):
        raise BadPolicy("schemas: one of them is no Avro record with a name and a namespace") from None


def _records(text: str) -> list[Any]:
    """The records of one text: one in JSON, or after `gzip:` many, compressed and in base64, since a secret has not
    room for all that Fineract has.
    """
    if not text.startswith(_GZIP):
        return [json.loads(text)]
    inflating = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    listed = json.loads(inflating.decompress(base64.b64decode(text.removeprefix(_GZIP), validate=True), _MOST_INFLATED))
    return listed if isinstance(listed, list) else [listed]


class _Least:
    """The least bytes that a value of a schema takes; raises BadPolicy for a list of what takes no byte, by which a few
    bytes could fill memory.
    """

    def __init__(self, named: dict[str, Any]) -> None:
        self._named = named
        self._known: dict[str, int] = {}
        self._open: set[str] = set()

    def of(self, schema: Any, namespace: str) -> int:
        """In bytes; `namespace` is that of the record around it."""
        match schema:
            case str():
                return self._of_named(schema if "." in schema else f"{namespace}.{schema}", int(schema != "null"))
            case list():
                return 1 + min([self.of(one, namespace) for one in schema], default=0)
            case {"type": "record", "fields": fields}:
                return self._of_record(f"{schema.get('namespace', namespace)}.{schema['name']}", fields)
            case {"type": "array" | "map", "items": inner} | {"type": "array" | "map", "values": inner}:
                if not self.of(inner, namespace) and schema["type"] == "array":
                    raise BadPolicy("schemas: a list holds what takes no byte")
                return 1
            case {"type": "fixed", "size": size}:
                return int(size)
            case {"type": inner}:
                return self.of(inner, namespace)
        return 1

    def _of_named(self, name: str, otherwise: int) -> int:
        if name in self._named and name not in self._known and name not in self._open:
            self._known[name] = self.of(self._named[name], "")
        return self._known.get(name, otherwise)

    def _of_record(self, name: str, fields: list[Any]) -> int:
        # What holds itself does so in a union or a list, which takes a byte.
        self._open.add(name)
        least = sum([self.of(one["type"], name.rpartition(".")[0]) for one in fields])
        self._open.remove(name)
        return least


def _inlined(schema: Any, named: dict[str, Any], namespace: str, seen: set[str]) -> Any:
    """A schema with every other one in the place of its first mention, as Avro's canonical form wants it."""
    match schema:
        case "bigdecimal":
            return _BIGDECIMAL
        case str():
            name = schema if "." in schema else f"{namespace}.{schema}"
            if name not in named or name in seen:
                return schema
            seen.add(name)
            return _inlined(named[name], named, namespace, seen)
        case list():
            return [_inlined(one, named, namespace, seen) for one in schema]
        case {"type": "record", "fields": fields}:
            space = schema.get("namespace", namespace)
            listed = [{"name": one["name"], "type": _inlined(one["type"], named, space, seen)} for one in fields]
            return {"type": "record", "namespace": space, "name": schema["name"], "fields": listed}
        case {"type": "array", "items": items}:
            return {"type": "array", "items": _inlined(items, named, namespace, seen)}
        case _:
            return schema
